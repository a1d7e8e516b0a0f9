package dispatch

import (
	"time"

	"syncworker/internal/outbox"
)

// choice is what of a batch is called at once: its intents are committed with it,
// so that the call follows the event by one transaction. Only what would go first
// in a lane of which nothing is in the hand is chosen, as far as the gate admits it.
type choice struct {
	hand  *hand
	calls map[key]*chosen
}

// key is a delivery before it has an id.
type key struct {
	event   int64
	account string
}

// chosen is a call that the gate has admitted.
type chosen struct {
	account *account
	step    Step
	slot    bool // it has its slot already
}

// intend implements outbox.Batch.Intend.
func (c *choice) intend(handed []outbox.Handed) {
	h := c.hand
	h.mu.Lock()
	defer h.mu.Unlock()
	c.takeBack() // what was chosen in a transaction that didn't come to its end
	c.calls = map[key]*chosen{}
	if h.draining {
		return
	}
	lanes := map[outbox.Lane]*Lane{}
	var order []*Lane
	for i := range handed {
		x := &handed[i]
		l := lanes[x.Lane.Lane]
		if l == nil {
			l = &Lane{LaneState: x.Lane}
			lanes[x.Lane.Lane] = l
			order = append(order, l)
		}
		l.Work = append(l.Work, &x.Work)
	}
	now := h.now()
	for _, l := range order {
		Sort(l.Work)
		c.choose(l, now)
	}
	for i := range handed {
		if c.calls[keyOf(&handed[i])] != nil {
			handed[i].SentAt = now
		}
	}
}

// choose admits what goes first in a lane, if nothing has to be found out before
// it is called. The lock is held.
func (c *choice) choose(l *Lane, now time.Time) {
	h := c.hand
	a := h.accounts[l.Account]
	if h.lanes[l.LaneState.Lane] != nil || l.Handed != len(l.Work) || len(a.ready) > 0 || a.gate.open() || a.preparer != nil && !a.preparer.IsReady() {
		return
	}
	step := Plan(l, a.ops, a.Policy, now)
	if step.Act == nil || step.Action != Push {
		return
	}
	op, _ := a.ops(step.Act.Type)
	slot := stake(op, step) == stakesPerson
	if op.NeedsMark || op.NeedsMember && knownMember(&lane{Lane: *l}, step.Act) == "" || slot && a.gate.calling >= a.gate.slots() || !a.gate.admit(now).ok {
		return
	}
	if slot {
		a.gate.enter(false)
	}
	c.calls[key{step.Act.EventID, step.Act.Account}] = &chosen{account: a, step: step, slot: slot}
}

func keyOf(x *outbox.Handed) key { return key{x.EventID, x.Account} }

// begin makes the calls that were chosen, of deliveries that are in the hand by
// now. The lock is held.
func (c *choice) begin(handed []outbox.Handed) {
	h := c.hand
	for i := range handed {
		x := &handed[i]
		call := c.calls[keyOf(x)]
		if call == nil {
			continue
		}
		delete(c.calls, keyOf(x))
		l := h.lanes[x.Lane.Lane]
		l.busy, l.via = true, call.account
		x.FirstSentAt, call.step.Act = x.SentAt, &x.Work
		h.acts.Add(1)
		h.inBackground(func() { h.act(call.account, l, call.step, true) })
	}
	c.takeBack() // their vendor key was somebody else's
}

// takeBack gives the gate back what was chosen and isn't called. The lock is held.
func (c *choice) takeBack() {
	for _, call := range c.calls {
		if call.slot {
			call.account.gate.leave()
		}
		call.account.gate.withdraw()
		c.hand.pumpLocked(call.account)
	}
	c.calls = nil
}
