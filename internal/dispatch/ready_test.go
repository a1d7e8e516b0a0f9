package dispatch

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// preparing is a vendor that gives a token only the second time it is asked.
type preparing struct {
	*counting
	asked   int
	intents func() int
	seen    []int // intents, each time that it was asked
}

func (v *preparing) Ready(context.Context) vendors.Result {
	v.asked++
	v.seen = append(v.seen, v.intents())
	if v.asked == 1 {
		return vendors.Result{Class: vendors.NotSent, Method: "GET", Path: "/token", StartedAt: time.Now()}
	}
	return vendors.Result{Class: vendors.Applied, StartedAt: time.Now()}
}

func (v *preparing) IsReady() bool { return false }

// unready is a vendor that has to be asked before each call, so that no intent
// travels with its event.
type unready struct{ *counting }

func (unready) Ready(context.Context) vendors.Result {
	return vendors.Result{Class: vendors.Applied, StartedAt: time.Now()}
}

func (unready) IsReady() bool { return false }

func TestAnIntentIsCommittedOnceThereIsAToken(t *testing.T) {
	sent := make(chan struct{})
	s := newShop(t, func(*event.Event) vendors.Class { close(sent); return vendors.Applied })
	s.accounts[0].Policy.Retry.Initial = time.Millisecond
	v := &preparing{counting: s.vendor}
	v.intents = func() int { return s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'inflight'`) }
	s.accounts[0].Vendor = v
	token := s.somebody(time.Hour)
	_, err := s.store.Enqueue(t.Context(), token, s.order(event.OrderCreated)) // nobody takes it: it rests
	require.NoError(t, err)
	stop := s.begin()
	select {
	case <-sent:
	case <-time.After(20 * time.Second):
		require.Fail(t, "it isn't called")
	}
	stop()
	s.eventually(map[string]int{"delivered": 1})
	require.Equal(t, []int{0, 0}, v.seen)
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.attempts WHERE action = 'token' AND class = 'not_sent'`))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.attempts WHERE action = 'push' AND class = 'applied'`))
}
