package dispatch

import (
	"fmt"
	"time"

	"syncworker/internal/vendors"
)

// What is at stake with a call: what follows where no answer comes. The order
// matters: the less, the better it is to probe with.
const (
	stakesNothing = iota // it is made again with the next chance
	stakesTime           // its lane waits for the quiet period, or for a read
	stakesPerson         // a person may have to decide
	noCall
)

// stake returns what is at stake with a step. op is of the delivery that it is about.
func stake(op vendors.Operation, step Step) int {
	switch {
	case step.Act == nil, step.Action == LookAtRefund:
		return noCall
	case step.Action == Find, op.Repeat == vendors.RepeatWindow && !step.Act.Ambiguous:
		return stakesNothing
	case op.Findable, op.Repeat == vendors.RepeatAlways:
		return stakesTime
	}
	return stakesPerson
}

// probeWith brings the lane to the front that has the least at stake: most probes
// of a long outage aren't answered. The lock is held.
func (h *hand) probeWith(via *account, now time.Time) {
	best, least := 0, noCall
	for i, l := range via.ready {
		a := h.accounts[l.Account]
		step := Plan(&l.Lane, a.ops, a.Policy, now)
		if step.Act == nil || l.awaits > 0 {
			continue
		}
		op, _ := a.ops(step.Act.Type)
		if s := stake(op, step); s < least {
			best, least = i, s
		}
		if least == stakesNothing {
			break
		}
	}
	via.ready[0], via.ready[best] = via.ready[best], via.ready[0]
}

// overtaken reports that an account isn't to be called any more, as it was when a
// call was admitted: what isn't sent then leaves nothing open. The probe goes.
func (h *hand) overtaken(via *account) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch g := via.gate; {
	case g.open() && !g.probed:
		return fmt.Errorf("the circuit of %s has opened", via.Name)
	case !g.shared.PausedAt.IsZero():
		return fmt.Errorf("%s has been paused", via.Name)
	case h.now().Before(g.shared.ThrottledUntil):
		return fmt.Errorf("%s has asked for patience", via.Name)
	}
	return nil
}
