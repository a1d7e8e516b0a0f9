package dispatch

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

func TestABatchWaitsForRoomOnlyWhileAllItsAccountsAreBusy(t *testing.T) {
	to := func(accounts ...string) outbox.Batch {
		return outbox.Batch{Events: []outbox.Incoming{{Event: &event.Event{}, Accounts: accounts}}}
	}
	for _, tt := range []struct {
		name  string
		batch outbox.Batch
		alone bool // the busy account isn't called
		waits bool
	}{
		{"busy", to("busy"), false, true},
		{"another has room", to("busy", "idle"), false, false},
		{"its circuit is open", to("busy"), true, false},
		{"it left the configuration", to("gone"), false, false},
		{"no event", outbox.Batch{}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := Limits{MaxInFlight: 4}
				busy := &account{Account: Account{Limits: limits}, gate: alone(limits), live: 513}
				if tt.alone {
					busy.gate.sync(outbox.Gate{OpenUntil: time.Now().Add(time.Minute)})
				}
				h := &hand{
					Worker: &Worker{now: time.Now}, room: make(chan struct{}),
					accounts: map[string]*account{
						"busy": busy, "idle": {Account: Account{Limits: limits}, gate: alone(limits)},
					},
				}
				start := time.Now()
				h.waitForRoom(t.Context(), tt.batch)
				require.Equal(t, tt.waits, time.Since(start) == roomWait, time.Since(start))
			})
		})
	}
}
