package check

import "slices"

// once proves that no identity has more than one effect, and that no effect is
// there that nothing asked for.
func (c *checker) once() {
	known := map[target]bool{}
	for i := range c.Deliveries {
		d := &c.Deliveries[i]
		t := c.target(d)
		known[t] = true
		c.look(1)
		if n := len(c.effects[t]); n > len(c.ofTarget(t)) && !c.setAgain(d) {
			c.find("%d effects: %s", n, c.show(d))
		}
	}
	for t, effects := range c.effects {
		if !known[t] && c.operationOf(t.op) && !c.contradictedSinceRestore(t, effects) {
			c.find("%d effects that no delivery stands for: %+v, the first by call %d at %s", len(effects), t, effects[0].Call, clock(effects[0].Time))
		}
	}
	for _, v := range c.Violations {
		switch v.Kind {
		case "created_twice", "uuid_applied_twice":
			if slices.ContainsFunc(c.ofTarget(target{v.Op, v.Key, ""}), c.replaced) {
				continue
			}
			c.find("the vendor saw %s: %s %s at %s", v.Kind, v.Op, v.Key, clock(v.Time))
		}
	}
}

// contradictedSinceRestore reports whether the database forgot the event of these
// effects and then got one first that contradicts it: the other is a conflict.
func (c *checker) contradictedSinceRestore(t target, effects []Effect) bool {
	return c.restored(effects[0].Time) && slices.ContainsFunc(c.Conflicts, func(row Conflict) bool {
		return row.UUID == t.uuid && row.OrderNo == t.order
	})
}

// replaced reports whether a create was repeated after a call of it was unclear, at
// a vendor of which the account was told that it replaces the order.
func (c *checker) replaced(d *Delivery) bool {
	again := d.Type == "order.created" && d.EverAmbiguous && len(c.effects[c.target(d)]) <= d.Calls
	return again && c.Run.vendorDoes("existing_order") == "replace" && c.Run.Semantics["existing_order"] == "replaced" &&
		c.kind(d) == "dmhub-loyalty"
}

// setAgain reports whether an update, or a create that replaces, was repeated after
// a call of it was unclear: it sets a state, and an older one may have come between.
func (c *checker) setAgain(d *Delivery) bool {
	if c.replaced(d) {
		return true
	}
	return c.operation(d).sets && d.EverAmbiguous && (len(c.effects[c.target(d)]) <= d.Calls || c.restoredCalls(d))
}

// truthful proves that states say what is at the vendor.
func (c *checker) truthful() {
	for i := range c.Deliveries {
		d := &c.Deliveries[i]
		n := len(c.effects[c.target(d)])
		c.look(1)
		switch d.State {
		case "delivered":
			if n < c.delivered(c.target(d)) && !c.wasGone(d) {
				c.find("delivered without an effect: %s", c.show(d))
			}
		case "dead":
			if n > c.mayHave(c.target(d)) {
				c.find("dead, but it has an effect: %s", c.show(d))
			}
			if d.Ambiguous {
				c.find("dead, and unclear: %s", c.show(d))
			}
		case "cancelled":
			// Cancelling what was unclear says nothing about the vendor.
			if n > c.mayHave(c.target(d)) && !d.EverAmbiguous && !c.restoredCalls(d) {
				c.find("cancelled and never unclear, but it has an effect: %s", c.show(d))
			}
		case "waiting", "pending", "held":
			// How many points a decrement to zero took has to be read.
			taken := d.Reason == "mismatch" && c.events[d.EventID].DecrToZero
			if n > c.mayHave(c.target(d)) && !d.EverAmbiguous && !taken && !c.restoredCalls(d) {
				c.find("not sent and never unclear, but it has an effect: %s", c.show(d))
			}
		}
	}
}

// wasGone reports whether what a delivery removes wasn't there: the vendor has said so,
// or what it undoes came later.
func (c *checker) wasGone(d *Delivery) bool {
	code := c.operation(d).gone
	return c.removedTooEarly(d) || code != "" && slices.ContainsFunc(c.calls[c.target(d)], func(call Call) bool {
		return call.Code == code && call.Done
	})
}

// delivered counts the deliveries of a target that are delivered.
func (c *checker) delivered(t target) (n int) {
	for _, d := range c.ofTarget(t) {
		if d.State == "delivered" {
			n++
		}
	}
	return n
}

// mayHave counts the deliveries of a target that may have an effect: those that are
// delivered, and those of which a call was unclear and that nobody has settled.
func (c *checker) mayHave(t target) (n int) {
	if len(c.ofTarget(t)) < 2 {
		return c.delivered(t)
	}
	for _, d := range c.ofTarget(t) {
		if d.State == "delivered" || d.State != "dead" && (d.EverAmbiguous || c.restoredCalls(d)) {
			n++
		}
	}
	return n
}

// intended counts the calls that the deliveries of a target have intended.
func (c *checker) intended(t target) (n int) {
	for _, d := range c.ofTarget(t) {
		n += d.Calls
	}
	return n
}

// restoredCalls reports whether a call of a delivery was made while the database
// lost what it knew.
func (c *checker) restoredCalls(d *Delivery) bool {
	return slices.ContainsFunc(c.calls[c.target(d)], func(call Call) bool { return c.restored(call.Time) })
}

// made counts the calls for a target. One that the gateway turned away for its
// token is repeated with a new one under the same intent.
func (c *checker) made(t target) (n int) {
	for _, call := range c.calls[t] {
		if call.Account != "" && call.Fault != "token_expired" {
			n++
		}
	}
	return n
}

// fenced proves that every call was intended in the database before it was made,
// and that nobody wrote after its worker had ended.
func (c *checker) fenced() {
	ended := map[int64]Worker{}
	for _, w := range c.Workers {
		ended[w.Token] = w
	}
	for i := range c.Deliveries {
		d := &c.Deliveries[i]
		t := c.target(d)
		made := c.made(t)
		c.look(made)
		if intended := c.intended(t); made > intended && !c.restoredCalls(d) {
			c.find("%d calls reached the vendor, and %d were intended: %s", made, intended, c.show(d))
		}
		seen := map[int]bool{}
		for _, a := range c.attempts[d.ID] {
			// A late answer may be of an intent that the database has lost.
			if a.Number > d.Calls && !(a.Late && (c.restored(a.StartedAt) || c.restoredCalls(d))) {
				c.find("attempt %d was recorded, and %d were intended: %s", a.Number, d.Calls, c.show(d))
			}
			if !a.Late && seen[a.Number] {
				c.find("attempt %d was recorded twice: %s", a.Number, c.show(d))
			}
			seen[a.Number] = seen[a.Number] || !a.Late
			w := ended[a.Worker]
			if !a.Late && w.EndedAt != nil && a.RecordedAt.After(w.EndedAt.Add(recordMargin)) {
				c.find("worker %d ended at %s and wrote at %s: %s", a.Worker, clock(*w.EndedAt), clock(a.RecordedAt), c.show(d))
			}
		}
	}
	for _, call := range c.Calls {
		t := c.targetOf(call.Op, call.Key, call.UUID, call.Request)
		if c.operationOf(call.Op) && call.Account != "" && len(c.ofTarget(t)) == 0 && !c.lostToConflict(call) {
			c.find("call %d at %s is for %+v, of which there is no delivery", call.Seq, clock(call.Time), t)
		}
	}
}

// lostToConflict reports whether a call was made while the database lost what it
// knew, for one of two events of which the other is now the first.
func (c *checker) lostToConflict(call Call) bool {
	return c.restored(call.Time) && slices.ContainsFunc(c.Conflicts, func(row Conflict) bool {
		return row.Cause == "content" && call.UUID != "" && row.UUID == call.UUID
	})
}
