package dispatch

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// change is a member.updated of the batches' member.
func (s *shop) change(uuid string) outbox.Incoming {
	s.sent++
	payload := fmt.Sprintf(`{"specversion":"1.0","id":"c","source":"crm","type":"member.updated","time":%q,"data":{"uuid":%q,"membershipId":"16508","membership":{"name":"x"}}}`,
		received.Add(time.Duration(s.sent)*time.Second).Format(time.RFC3339), uuid)
	e, err := event.Decode(event.Message{Subject: "sync.events.member.updated", Data: []byte(payload)}, event.Limits{}, received)
	require.NoError(s.t, err)
	return outbox.Incoming{Event: &e, Accounts: []string{"dmhub"}, Sequence: s.sent, Payload: []byte(payload)}
}

func unclearChanges(e *event.Event) vendors.Class {
	if e.Type == event.MemberUpdated {
		return vendors.Ambiguous
	}
	return vendors.Applied
}

// However many changes wait behind one that a person has: the points behind them go on.
func TestPointsPassMoreHeldChangesThanAWindowHas(t *testing.T) {
	s := newShop(t, unclearChanges)
	var b outbox.Batch
	for i := range outbox.Window + 13 {
		b.Events = append(b.Events, s.change(fmt.Sprint("u-", i)))
	}
	b.Events = append(b.Events, s.batch(outbox.Window+8, "16508").Events...)
	s.begin()
	_, err := s.Enqueue(t.Context(), b)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'delivered'`) == outbox.Window+8
	}, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'held'`))
}

// A lane in which nothing but a held delivery is left isn't taken again and again.
func TestAHeldDeliveryLetsItsLaneRest(t *testing.T) {
	s := newShop(t, unclearChanges)
	s.begin()
	for _, b := range []outbox.Batch{{Events: []outbox.Incoming{s.change("u-1")}}, s.batch(1, "16508")} {
		_, err := s.Enqueue(t.Context(), b)
		require.NoError(t, err)
	}
	s.eventually(map[string]int{"held": 1, "delivered": 1})
	require.Eventually(t, func() bool { return s.count(`SELECT count(*) FROM outbox.lanes WHERE owner IS NULL`) == 1 }, 5*time.Second, time.Millisecond)
	require.Zero(t, s.count(`SELECT count(*) FROM outbox.lanes WHERE next_at IS NOT NULL`), "due again, with nothing to do")
}

// lost is a vendor whose reads never tell.
type lost struct{ *serial }

func (v lost) Operation(event.Type) (vendors.Operation, bool) {
	return vendors.Operation{Name: "POST /", Findable: true, EchoProves: true, Blocks: true}, true
}

func (v lost) Find(context.Context, vendors.Call) vendors.Finding {
	r := vendors.Result{Class: vendors.Ambiguous, Method: "GET", Path: "/", StartedAt: time.Now()}
	return vendors.Finding{Found: vendors.Unavailable, Result: r}
}

func TestAReadThatNeverTellsEndsWithAPerson(t *testing.T) {
	s := newShop(t, func(*event.Event) vendors.Class { return vendors.Ambiguous })
	s.accounts[0].Vendor = lost{newSerial(s, 0)}
	s.accounts[0].Policy.Retry = Retry{Initial: 10 * time.Millisecond, Max: 20 * time.Millisecond, MaxAttempts: 2, MaxAge: time.Second}
	s.begin()
	_, err := s.Enqueue(t.Context(), s.batch(1, "16508"))
	require.NoError(t, err)
	s.eventually(map[string]int{"held": 1})
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.deliveries WHERE reason = 'read_window_passed'`))
}
