package dispatch

import "syncworker/internal/outbox"

// arrival is an event of a batch on its way into a lane.
type arrival struct {
	lane outbox.Lane
	work *outbox.Work // as far as its place in the lane goes
}

func lanesOf(b outbox.Batch) []arrival {
	var all []arrival
	for _, in := range b.Events {
		for _, account := range in.Accounts {
			lane, _ := outbox.LaneOf(account, in.Event)
			all = append(all, arrival{lane, &outbox.Work{
				Event:    in.Event,
				Delivery: outbox.Delivery{EventTime: in.Event.Time, Type: in.Event.Type},
			}})
		}
	}
	return all
}

// await keeps lanes of the hand from their next call while a batch is committed
// that has something that goes before it: once that is committed, it goes first.
// Whoever gets the lanes lets them go on. The lock is held.
func (h *hand) await(arriving []arrival) (awaiting []*lane) {
	for _, x := range arriving {
		l := h.lanes[x.lane]
		if l == nil || len(l.Work) == 0 {
			continue
		}
		if last := l.Work[len(l.Work)-1]; goesBefore(x.work, last) {
			l.awaits++
			awaiting = append(awaiting, l)
		}
	}
	return awaiting
}

// goesBefore reports whether one delivery goes before another in their lane, by
// all but their ids.
func goesBefore(a, b *outbox.Work) bool {
	rankA, rankB := outbox.Rank(a.Type), outbox.Rank(b.Type)
	return rankA < rankB || rankA == rankB && a.EventTime.Before(b.EventTime)
}

// goOn lets lanes go on with what they have by now. The lock is held.
func (h *hand) goOn(awaiting []*lane) {
	for _, l := range awaiting {
		if l.awaits--; l.awaits == 0 {
			h.consider(h.accounts[l.Account], l)
		}
	}
}
