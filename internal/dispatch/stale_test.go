package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// turnstile is a vendor that lets one call through at a time, when it is told to.
type turnstile struct {
	*counting
	came chan string // about what
	pass chan struct{}
}

func (v *turnstile) Push(ctx context.Context, call vendors.Call) vendors.Result {
	v.came <- string(call.Event.Type) + call.Event.UUID
	select {
	case <-v.pass:
	case <-ctx.Done():
	}
	return v.counting.Push(ctx, call)
}

// next returns what is called next.
func (v *turnstile) next(t *testing.T) string {
	t.Helper()
	select {
	case about := <-v.came:
		return about
	case <-time.After(20 * time.Second):
		require.Fail(t, "nothing more is called")
		return ""
	}
}

// order is a batch of events of one order, in its own order.
func (s *shop) order(types ...event.Type) outbox.Batch {
	var b outbox.Batch
	for _, kind := range types {
		s.sent++
		data := `{"orderNo":"o1"}`
		if kind == event.OrderCreated {
			data = `{"orderNo":"o1","dateOrder":"2026-11-21T07:52:30Z","amountPaid":5,"store":"s","salesChannel":"pos",
				"dealLines":[{"lineId":"l1","productId":"p","skuId":"s","productName":"Tea","qty":1,"priceUnit":5,
				"priceSubTotal":5,"priceSubPaid":5}],"identities":[{"type":"mobile","value":"13800001234"}]}`
		}
		payload, err := json.Marshal(map[string]any{
			"specversion": "1.0", "id": fmt.Sprint(s.sent), "source": "pos/1", "type": kind,
			"time": received.Add(time.Duration(s.sent) * time.Second), "data": json.RawMessage(data),
		})
		require.NoError(s.t, err)
		e, err := event.Decode(event.Message{Subject: event.Subject(kind), Data: payload}, event.Limits{}, received)
		require.NoError(s.t, err)
		b.Events = append(b.Events, outbox.Incoming{Event: &e, Accounts: []string{"dmhub"}, Sequence: s.sent, Payload: payload})
	}
	return b
}

// parts splits a batch into batches of one event each.
func parts(b outbox.Batch) (each []outbox.Batch) {
	for _, in := range b.Events {
		each = append(each, outbox.Batch{Events: []outbox.Incoming{in}})
	}
	return each
}

// I3, with two workers: one has events in its hand, and an older one of the same
// key comes to the other before they are called.
func TestWhatAnotherWorkerAddsIsCalledBeforeWhatFollowsIt(t *testing.T) {
	for name, c := range map[string]struct {
		events   func(*shop) []outbox.Batch
		mine     []int // go to the one that has the lane, in this order
		late     int   // comes to the other while the vendor answers about the first
		want     []string
		inFlight int
	}{
		"its intent would have travelled with the answer about the one before": {
			events: func(s *shop) []outbox.Batch {
				return parts(s.order(event.OrderCreated, event.OrderCancelled, event.OrderDeleted))
			},
			mine: []int{0, 2}, late: 1, inFlight: 16,
			want: []string{"order.created", "order.cancelled", "order.deleted"},
		},
		"points of a member": {
			events: func(s *shop) []outbox.Batch { return parts(s.batch(3, "16508")) },
			mine:   []int{0, 2}, late: 1, inFlight: 16,
			want: []string{"point.incrementedp-1", "point.incrementedp-2", "point.incrementedp-3"},
		},
		"it waits for the gate": {
			events: func(s *shop) []outbox.Batch {
				return append(parts(s.batch(1, "16508")), parts(s.batch(2, "16509"))...)
			},
			mine: []int{0, 2}, late: 1, inFlight: 1,
			want: []string{"point.incrementedp-1", "point.incrementedp-2", "point.incrementedp-3"},
		},
		"the create comes last": {
			events: func(s *shop) []outbox.Batch {
				s.accounts[0].Policy.SendUnseen, s.accounts[0].Policy.PredecessorWait = true, 0
				return append(parts(s.batch(1, "16508")), parts(s.order(event.OrderCreated, event.OrderCancelled))...)
			},
			mine: []int{0, 2}, late: 1, inFlight: 1,
			want: []string{"point.incrementedp-1", "order.created", "order.cancelled"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, nil)
			ctx := t.Context()
			vendor := &turnstile{counting: s.vendor, came: make(chan string, 16), pass: make(chan struct{}, len(c.want))}
			s.accounts[0].Vendor, s.accounts[0].Limits.MaxInFlight = vendor, c.inFlight
			events := c.events(s)
			other, err := New(s.store, s.accounts, s.config, s.Worker.log, s.metrics, s.now, s.jitter).begin(ctx)
			require.NoError(t, err)
			require.NoError(t, other.end(ctx, time.Minute, nil), "so that it has no share; what comes to it rests")
			s.begin()
			_, err = s.Enqueue(ctx, events[c.mine[0]])
			require.NoError(t, err)
			called := []string{vendor.next(t)}
			_, err = s.Enqueue(ctx, events[c.mine[1]])
			require.NoError(t, err)
			out, err := s.store.Enqueue(ctx, other.token, events[c.late])
			require.NoError(t, err)
			require.True(t, out.Rested)
			for range c.want[1:] {
				vendor.pass <- struct{}{}
				called = append(called, vendor.next(t))
			}
			vendor.pass <- struct{}{}
			require.Equal(t, c.want, called)
			s.eventually(map[string]int{"delivered": len(c.want)})
			s.mu.Lock()
			h := s.hand
			s.mu.Unlock()
			for s.count(`SELECT count(*) FROM outbox.lanes WHERE owner IS NOT NULL OR resting`) > 0 {
				require.NoError(t, ctx.Err())
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			require.Zero(t, h.accounts["dmhub"].gate.used, "each slot is given back")
		})
	}
}

func TestAnIntentThatTravelsAndIsStaleHasTheLaneLoaded(t *testing.T) {
	h, a := handOf(t, plain)
	first, second := row(t, 1, "incr:a inflight"), row(t, 2, "incr:b pending at=1m")
	second.Event.Member.MembershipID = "16508"
	l := holding(h, outbox.MemberLane, first, second)
	done := first.Delivery
	done.State = outbox.Delivered
	a.gate.used = 1
	e, put, next := h.settled(a, l, first, &outbox.Settle{Delivery: done})
	e.intent.Stale = true
	h.draining = true // so that it isn't loaded here
	h.wasSettled(a, l, e, put, &next, nil, nil)
	require.Nil(t, next.Act)
	require.True(t, l.stale)
	require.Equal(t, 1, a.gate.used)
	require.Equal(t, []*outbox.Work{second}, l.Work)
}
