package dispatch

import (
	"time"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// Situation is what a decision stands on, beside the answer itself.
type Situation struct {
	Operation vendors.Operation
	Policy    Policy
	// Outage: the account's circuit is open, so that this call costs no attempt.
	Outage bool
	Now    time.Time
	Asked  time.Time // when the read began that AfterFind decides about
	// MayBeDeleted: the order isn't there, and a delete of it is unclear too.
	MayBeDeleted bool
	Jitter       float64 // uniform in [0, 1)
}

// AfterPush returns the delivery as it is after a push that ended in r. d is the
// delivery as it was when the intent was committed.
func (s Situation) AfterPush(d outbox.Delivery, w *outbox.Work, r vendors.Result) outbox.Delivery {
	switch r.Class {
	case vendors.Applied:
		return s.applied(d, w, r.Receipt)
	case vendors.AlreadyApplied:
		return s.alreadyApplied(d, r)
	case vendors.Refused:
		return s.refused(d, r)
	case vendors.Throttled:
		wait := r.RetryAfter
		if wait <= 0 {
			wait = s.Policy.Retry.Backoff(d.Attempts+1, s.Jitter)
		}
		return s.unsent(d, ThrottledBy, wait)
	case vendors.Denied:
		return s.unsent(d, DeniedBy, s.Policy.Retry.Backoff(d.Attempts+1, s.Jitter))
	case vendors.NotSent:
		if r.Withheld {
			return s.unsent(d, NotReached, s.Policy.Retry.Backoff(max(d.Attempts, 1), s.Jitter))
		}
		if r.Hold != "" && !d.Ambiguous {
			return s.hold(d, r.Hold)
		}
		return s.retry(d, NotReached)
	default:
		return s.unclear(d, r.RetryAfter)
	}
}

// applied: the reply echoes what was asked. A key that may have reached the
// vendor before can be echoed without having had an effect.
func (s Situation) applied(d outbox.Delivery, w *outbox.Work, receipt vendors.Receipt) outbox.Delivery {
	d.VendorRef = receipt.Ref
	switch {
	case d.VendorKey != "" && d.KeyUsed && !s.Operation.EchoProves:
		d.Ambiguous, d.EverAmbiguous = true, true
		return s.find(d, EchoUnproven)
	case s.Operation.AmountByRead && w.Event.DecrToZero && s.Operation.Findable:
		return s.find(d, AmountUnread)
	}
	if w.Type.Point() && !(s.Operation.AmountByRead && w.Event.DecrToZero) {
		points := w.Event.Points
		d.PointsApplied = &points
	}
	return s.delivered(d, receipt)
}

func (s Situation) alreadyApplied(d outbox.Delivery, r vendors.Result) outbox.Delivery {
	d.Duplicate = true
	if r.Proven || d.Ambiguous && s.Operation.DuplicateProves {
		return s.delivered(d, r.Receipt)
	}
	d.Ambiguous, d.EverAmbiguous, d.KeyUsed = true, true, true
	return s.find(d, DuplicateReported)
}

// refused: a definite business error. After an unclear answer it proves nothing:
// a decrement that emptied the balance itself is refused when it is repeated.
func (s Situation) refused(d outbox.Delivery, r vendors.Result) outbox.Delivery {
	if !s.Outage {
		d.Attempts++
	}
	if r.Early && d.EarlySince.IsZero() {
		d.EarlySince = s.Now
	}
	if d.Ambiguous {
		switch {
		case s.Operation.Findable:
			return s.find(d, RefusedAfterUnclear)
		case d.Type.Sets() && mayRepeat(s.Operation, &d, s.Now) && !s.Policy.Retry.gaveUp(&d, s.Now):
			return s.again(d, RepeatAgain, s.Policy.Retry.Backoff(d.Attempts, s.Jitter))
		}
		return s.hold(d, RefusedAfterUnclear)
	}
	d.KeyUsed = true
	if r.Hold != "" {
		return s.hold(d, r.Hold)
	}
	if r.Early && s.early(&d) {
		return s.again(d, Early, min(s.Policy.Retry.Backoff(d.Attempts, s.Jitter), s.Policy.EarlyGrace/4))
	}
	return s.dead(d, Refused)
}

// early reports whether what a refused delivery lacks may still be on its way.
// The time counts from the first such refusal, with whatever key: what the
// delivery waited for before that, such as an account that was away, has kept the
// others waiting too.
func (s Situation) early(d *outbox.Delivery) bool {
	return s.Now.Before(d.EarlySince.Add(s.Policy.EarlyGrace))
}

// unclear: bytes were sent and no answer says what became of them.
func (s Situation) unclear(d outbox.Delivery, asked time.Duration) outbox.Delivery {
	d.Ambiguous, d.EverAmbiguous, d.KeyUsed = true, true, true
	d.QuietUntil = s.Now.Add(s.Policy.QuietPeriod)
	if !s.Outage {
		d.Attempts++
	}
	wait := max(asked, s.Policy.Retry.Backoff(max(d.Attempts, 1), s.Jitter))
	if s.Operation.Repeat == vendors.RepeatAlways {
		if s.Operation.Findable {
			return s.find(d, NoAnswer)
		}
		// What sets a state must not arrive after what follows it in its lane, and
		// this call may still arrive: its lane waits until it can't any more.
		wait = max(wait, s.Policy.QuietPeriod)
	}
	switch {
	case !mayRepeat(s.Operation, &d, s.Now.Add(wait)):
		return s.find(d, NoAnswer)
	case s.Policy.Retry.gaveUp(&d, s.Now):
		return s.giveUp(d)
	}
	return s.again(d, NoAnswer, wait)
}

// AfterFind returns the delivery after a read of whether its effect exists.
func (s Situation) AfterFind(d outbox.Delivery, w *outbox.Work, f vendors.Finding) outbox.Delivery {
	switch f.Found {
	case vendors.Present:
		if readAsState(w.Type) && s.tooEarly(&d) {
			return readAgain(d, d.QuietUntil)
		}
		if f.Result.Receipt.Points != nil {
			d.PointsApplied = f.Result.Receipt.Points
		} else if w.Type.Point() && !w.Event.DecrToZero {
			points := w.Event.Points
			d.PointsApplied = &points
		}
		return s.delivered(d, f.Result.Receipt)
	case vendors.Unclear:
		// What a read doesn't show yet may be what it needs to be clear.
		if s.tooEarly(&d) {
			return readAgain(d, d.QuietUntil)
		}
		return s.hold(d, Mismatch)
	case vendors.Absent:
		return s.absent(d, w)
	}
	if f.Result.Hold != "" {
		return s.hold(d, f.Result.Hold) // no repeat of the read will be another
	}
	if s.tooOldToRead(&d) || s.Operation.FindWindow == 0 && s.Now.Sub(sentAt(&d)) >= s.Policy.Retry.MaxAge {
		return s.hold(d, ReadWindowPassed)
	}
	// Reading again costs nothing but patience; the reason to read stays.
	return readAgain(d, s.Now.Add(max(f.Result.RetryAfter, s.Policy.Retry.Backoff(max(d.Calls, 1), s.Jitter))))
}

func readAgain(d outbox.Delivery, at time.Time) outbox.Delivery {
	d.State, d.NextAttemptAt = outbox.Unknown, at
	if d.Reason == "" {
		d.Reason = NoAnswer
	}
	return d
}

// tooEarly reports whether the read began while the call could still arrive.
func (s Situation) tooEarly(d *outbox.Delivery) bool {
	if d.QuietUntil.IsZero() {
		d.QuietUntil = s.Now.Add(s.Policy.Timeout + s.Policy.QuietPeriod)
	}
	asked := s.Asked
	if asked.IsZero() {
		asked = s.Now
	}
	return asked.Before(d.QuietUntil)
}

// absent: the vendor has no trace of it, now.
func (s Situation) absent(d outbox.Delivery, w *outbox.Work) outbox.Delivery {
	if s.tooEarly(&d) {
		return readAgain(d, d.QuietUntil)
	}
	if s.tooOldToRead(&d) {
		return s.hold(d, ReadWindowPassed)
	}
	if d.Type == event.OrderCreated && s.MayBeDeleted {
		return s.hold(d, Unclear)
	}
	reason := d.Reason
	if reason == AmountUnread {
		return s.hold(d, AmountUnread)
	}
	d.Ambiguous, d.QuietUntil = false, time.Time{}
	switch reason {
	case RefusedAfterUnclear:
		// It may have been refused only because an earlier refusal, whose answer
		// was lost, used up the key. With a fresh one, or now that nothing is
		// unclear any more, the answer is plain.
		return s.freshKey(d, w)
	case EchoUnproven, DuplicateReported:
		if !s.Operation.RefusalSpendsKey {
			// The vendor says that it has something that it doesn't show.
			d.Ambiguous = true
			return s.hold(d, Mismatch)
		}
		return s.freshKey(d, w)
	}
	d.FirstSentAt = time.Time{}
	return s.again(d, ProvenGone, 0)
}

// tooOldToRead reports whether the call lies behind what the vendor's reads show.
func (s Situation) tooOldToRead(d *outbox.Delivery) bool {
	return s.Operation.FindWindow > 0 && s.Now.Sub(sentAt(d)) >= s.Operation.FindWindow
}

// sentAt is when a call of the delivery may first have been made.
func sentAt(d *outbox.Delivery) time.Time {
	if d.FirstSentAt.IsZero() {
		return d.ReceivedAt
	}
	return d.FirstSentAt
}

func (s Situation) freshKey(d outbox.Delivery, w *outbox.Work) outbox.Delivery {
	d.FirstSentAt, d.KeyUsed = time.Time{}, false
	if !s.Operation.RefusalSpendsKey {
		return s.again(d, ProvenGone, 0)
	}
	d.VendorKey = vendors.FurtherKey(w.Event.UUID, w.ID, w.Calls)
	return s.again(d, KeySpent, 0)
}

// find makes the delivery unknown, to be read at once; where no read can tell,
// a person decides.
func (s Situation) find(d outbox.Delivery, reason string) outbox.Delivery {
	if !s.Operation.Findable {
		if reason == NoAnswer {
			reason = Unclear
		}
		return s.hold(d, reason)
	}
	d.State, d.Reason, d.NextAttemptAt = outbox.Unknown, reason, s.Now
	if reason == NoAnswer {
		d.NextAttemptAt = s.Now.Add(min(s.Policy.Retry.Initial, s.Policy.QuietPeriod))
	}
	if d.QuietUntil.IsZero() || reason != NoAnswer {
		d.QuietUntil = s.Now.Add(s.Policy.QuietPeriod)
	}
	return d
}

func (s Situation) retry(d outbox.Delivery, reason string) outbox.Delivery {
	if !s.Outage {
		d.Attempts++
	}
	if s.Policy.Retry.gaveUp(&d, s.Now) {
		return s.giveUp(d)
	}
	return s.unsent(d, reason, s.Policy.Retry.Backoff(max(d.Attempts, 1), s.Jitter))
}

// giveUp ends trying. What may have taken effect is read, else a person decides.
func (s Situation) giveUp(d outbox.Delivery) outbox.Delivery {
	switch {
	case !d.Ambiguous:
		return s.dead(d, GaveUp)
	case s.Operation.Findable:
		return s.find(d, NoAnswer)
	}
	return s.hold(d, GaveUp)
}

// unsent: the vendor hasn't taken this call. Where it took none before, its key
// is as good as new, and a person's decision to send it still stands.
func (s Situation) unsent(d outbox.Delivery, reason string, wait time.Duration) outbox.Delivery {
	if !d.Ambiguous {
		if !d.KeyUsed {
			d.FirstSentAt = time.Time{}
		}
		if d.Reason == outbox.ReasonSentByPerson {
			reason = d.Reason
		}
	}
	return s.again(d, reason, wait)
}

func (s Situation) again(d outbox.Delivery, reason string, wait time.Duration) outbox.Delivery {
	d.State, d.Reason, d.NextAttemptAt = outbox.Pending, reason, s.Now.Add(wait)
	return d
}

func (s Situation) hold(d outbox.Delivery, reason string) outbox.Delivery {
	d.State, d.Reason, d.NextAttemptAt = outbox.Held, reason, time.Time{}
	return d
}

func (s Situation) dead(d outbox.Delivery, reason string) outbox.Delivery {
	d.State, d.Reason, d.NextAttemptAt = outbox.Dead, reason, time.Time{}
	return d
}

func (s Situation) delivered(d outbox.Delivery, receipt vendors.Receipt) outbox.Delivery {
	d.State, d.Reason, d.NextAttemptAt = outbox.Delivered, "", time.Time{}
	d.Ambiguous = false
	if receipt.Ref != "" {
		d.VendorRef = receipt.Ref
	}
	return d
}
