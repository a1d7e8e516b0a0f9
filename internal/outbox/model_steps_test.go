package outbox_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

func (m *model) join(t *rapid.T) {
	alive := 0
	for _, p := range m.processes {
		if live(p) {
			alive++
		}
	}
	if alive == 3 {
		panic(impossible("there are enough"))
	}
	token, low, err := m.Register(m.ctx, "model", time.Hour)
	require.NoError(t, err)
	m.shop.vouches(token)
	m.processes = append(m.processes, &process{
		token: token, low: low, most: low - 1, hand: map[outbox.Lane]*inHand{}, calls: map[int64]*outbox.Work{},
	})
}

// trades are the types that meet in one run: those of orders and points, what blocks
// beside points in a member's lane, and coupons, whose codes all tenants of an account
// share.
var trades = [][]event.Type{
	slices.DeleteFunc(event.Types(), func(t event.Type) bool { return !t.Order() && !t.Point() }),
	{event.MemberUpdated, event.MemberUpdated, event.MemberRegistered, event.PointIncremented},
	{event.CouponDrawn, event.CouponRedeemed, event.CouponRedeemed},
}

// blocks is Batch.Blocks: one account as DM Hub's loyalty, one as HeyShop.
func blocks(name string, t event.Type) bool {
	return !t.Order() && (!t.Point() || name == otherAccount)
}

// drawLine is an event of few orders, members and coupons, so that they meet.
func drawLine(t *rapid.T, trade []event.Type) line {
	l := line{
		kind:   rapid.SampledFrom(trade).Draw(t, "type"),
		minute: rapid.IntRange(0, 5).Draw(t, "minute"),
		tenant: rapid.SampledFrom([]string{"", "", "", "", "", "", "", "b"}).Draw(t, "tenant"),
		amount: rapid.SampledFrom([]string{"30", "30", "30", "31"}).Draw(t, "amount"),
	}
	uuid := rapid.IntRange(1, 4).Draw(t, "uuid")
	member := rapid.SampledFrom([]string{"13800000001", "13800000002"})
	switch l.kind {
	case event.MemberUpdated, event.MemberRegistered:
		l.data = fmt.Sprintf(`{"uuid":"m%d","membership":{"name":"Lin"},"identities":[{"type":"mobile","value":"%s"}]}`,
			uuid, member.Draw(t, "member"))
		return l
	case event.CouponDrawn:
		l.data = fmt.Sprintf(`{"uuid":"d%d","membershipId":"1","couponId":"c"}`, uuid)
		return l
	case event.CouponRedeemed:
		l.tenant = rapid.SampledFrom([]string{"", "b"}).Draw(t, "whose")
		l.data = fmt.Sprintf(`{"couponCode":"k%d","membershipId":"1"}`, uuid%2)
		return l
	case event.PointIncremented, event.PointDecremented:
		l.uuid = fmt.Sprint("p", uuid)
		l.member = member.Draw(t, "member")
		return l
	case event.OrderUpdated, event.OrderRefunded, event.OrderRefundDeleted:
		l.uuid = fmt.Sprint("u", uuid)
	}
	l.order = rapid.SampledFrom([]string{"o1", "o2"}).Draw(t, "order")
	return l
}

func (m *model) enqueue(t *rapid.T) {
	p := m.some("worker", func(*process) bool { return true })
	accounts := rapid.SampledFrom([][]string{{account}, {account}, {account}, {account}, {account, otherAccount}, nil}).Draw(t, "accounts")
	b := outbox.Batch{Recovered: sometimes(t, "lost before", 12), Blocks: blocks}
	if !sometimes(t, "takes none", 3) {
		b.Accept = []string{account, otherAccount}
	}
	for range rapid.IntRange(1, 4).Draw(t, "events") {
		msg := drawLine(t, m.trade).message()
		e, err := event.Decode(msg, event.Limits{}, opening.Add(24*time.Hour))
		require.NoError(t, err)
		m.shop.sequence++
		b.Events = append(b.Events, outbox.Incoming{
			Event: &e, Accounts: accounts, Sequence: m.shop.sequence, Payload: msg.Data,
		})
	}
	out, err := m.Enqueue(m.ctx, p.token, b)
	require.NoError(t, err)
	m.last = b
	m.expect(b, out)
	if p.ended {
		require.Empty(t, out.Handed, "nobody would ever take over what an ended token holds")
	}
	if len(out.Handed) > 0 && len(out.Taken) == 0 && sometimes(t, "the enqueue's answer is lost", 6) {
		p.suspect = true
	} else {
		for _, h := range out.Handed {
			m.takeHanded(p, h)
		}
		for _, x := range out.Taken {
			m.takeEmpty(p, x)
		}
	}
	handed := map[int64]bool{}
	for _, h := range out.Handed {
		handed[h.ID] = true
	}
	for id, d := range m.look().deliveries {
		if m.before.deliveries[id] == nil && !handed[id] && (d.state == outbox.Pending || d.state == outbox.Unknown) {
			m.fresh[id] = true
		}
	}
}

// expect notes what was published for the first time.
func (m *model) expect(b outbox.Batch, out outbox.Enqueued) {
	fresh := 0
	for _, in := range b.Events {
		id := in.Event.Identity()
		if _, known := m.published[id]; known || in.Event.Type == event.OrderCreated && m.before.deletedAtVendor(id) {
			continue
		}
		m.published[id] = in.Accounts
		if len(in.Accounts) == 0 {
			m.published[id] = []string{""}
		}
		fresh++
	}
	require.Equal(m.t, fresh, out.Events)
}

// redeliver is JetStream sending a batch again whose acknowledgement was lost.
func (m *model) redeliver(t *rapid.T) {
	if len(m.last.Events) == 0 {
		panic(impossible("nothing came"))
	}
	was := m.digest()
	again := m.last
	again.Recovered = false
	// A create that was refused as one of a deleted order may come in by now.
	again.Events = slices.DeleteFunc(slices.Clone(again.Events), func(in outbox.Incoming) bool {
		return m.published[in.Event.Identity()] == nil
	})
	out, err := m.Enqueue(m.ctx, m.some("worker", func(*process) bool { return true }).token, again)
	require.NoError(t, err)
	require.Zero(t, out.Events+out.Duplicates)
	require.Equal(t, was, m.digest(), "the same messages again change nothing")
}

func (m *model) claim(t *rapid.T) {
	p := m.some("worker", func(*process) bool { return true })
	name := rapid.SampledFrom([]string{account, account, otherAccount}).Draw(t, "account")
	loaded, err := m.Claim(m.ctx, p.token, name, rapid.IntRange(1, 3).Draw(t, "lanes"))
	if p.ended {
		require.ErrorIs(t, err, outbox.ErrLeaseLost)
		return
	}
	require.NoError(t, err)
	// A lane without work that nobody knows of would wait for its owner's end.
	full := !slices.ContainsFunc(loaded, func(x *outbox.Loaded) bool { return len(x.Work) == 0 })
	if full && len(loaded) > 0 && sometimes(t, "the claim's answer is lost", 6) {
		p.suspect = true
		for _, x := range loaded {
			for _, w := range x.Work {
				delete(m.fresh, w.ID)
			}
		}
		return
	}
	for _, x := range loaded {
		m.takeLoaded(p, &inHand{}, x)
	}
}

// intend makes a call: one at a time where others wait for it.
func (m *model) intend(t *rapid.T) {
	type call struct {
		p *process
		l *inHand
		w *outbox.Work
	}
	var may []call
	for _, p := range m.processes {
		for _, l := range lanesOf(p) {
			for _, w := range l.work {
				callable := w.State == outbox.Pending || w.State == outbox.Waiting || w.State == outbox.Unknown
				if live(p) && callable && p.calls[w.ID] == nil && !(l.calling(p) && (l.Kind == outbox.OrderLane || l.serial())) {
					may = append(may, call{p, l, w})
				}
			}
		}
	}
	c := pick(t, "call", may)
	x := &outbox.Intent{ID: c.w.ID, WasCalls: c.w.Calls, SentAt: opening}
	if sometimes(t, "has a mark", 2) {
		x.Mark = fmt.Sprint("before call ", c.w.Calls+1)
	}
	gone := m.commit(c.p, outbox.Commit{Intents: []*outbox.Intent{x}})
	if slices.Contains(gone, c.w.ID) {
		return
	}
	require.Equal(t, m.before.overtakes(c.l.Kind, c.w), x.Stale, "I3")
	if x.Mark != "" && !x.Stale {
		m.marks[c.w.ID] = x.Mark
	}
	if x.Stale {
		c.l.stale = true
		return
	}
	c.w.Calls++
	c.w.State, c.w.Reason, c.w.FirstSentAt = outbox.Inflight, "", opening
	c.p.calls[c.w.ID] = c.w
}

// outcome draws what a call has come to. What a refund takes back has to be there.
func (m *model) outcome(w *outbox.Work) *outbox.Settle {
	x := &outbox.Settle{Delivery: w.Delivery, WasCalls: w.Calls}
	x.Attempt = &outbox.Attempt{Number: w.Calls, StartedAt: opening, Action: "push", Class: "applied", Status: 200}
	x.NextAttemptAt = time.Time{}
	states := []outbox.State{outbox.Delivered, outbox.Delivered, outbox.Pending, outbox.Unknown, outbox.Held}
	if !w.Ambiguous {
		states = append(states, outbox.Dead)
	}
	x.State = rapid.SampledFrom(states).Draw(m.t, "outcome")
	x.Reason = "because"
	switch x.State {
	case outbox.Delivered:
		x.Ambiguous, x.Reason = false, ""
	case outbox.Pending:
		x.NextAttemptAt = m.soon()
	case outbox.Unknown:
		x.NextAttemptAt, x.Ambiguous, x.EverAmbiguous, x.KeyUsed = m.soon(), true, true, true
	}
	return x
}

func (m *model) answer(t *rapid.T) {
	p := m.some("worker that calls", func(p *process) bool { return live(p) && len(p.calls) > 0 })
	w := pick(t, "call", callsOf(p))
	delete(p.calls, w.ID)
	m.settle(p, p.hand[w.Lane], w, m.outcome(w))
}

// read is a call that changes nothing at the vendor and so has no intent.
func (m *model) read(t *rapid.T) {
	p := m.some("worker", live)
	var unknown []*outbox.Work
	for _, l := range lanesOf(p) {
		for _, w := range l.work {
			if w.State == outbox.Unknown && p.calls[w.ID] == nil {
				unknown = append(unknown, w)
			}
		}
	}
	w := pick(t, "unknown", unknown)
	x := m.outcome(w)
	x.Calls++
	x.Attempt.Action, x.Attempt.Number = "find", x.Calls
	m.settle(p, p.hand[w.Lane], w, x)
}

// settle writes what a delivery has come to, with what its lane learns of it, and
// lets go of the lane where that is wanted.
func (m *model) settle(p *process, l *inHand, w *outbox.Work, x *outbox.Settle) {
	w.Delivery = x.Delivery
	u := outbox.Facts(&x.Delivery)
	u.Epoch = l.Epoch
	c := outbox.Commit{Settles: []*outbox.Settle{x}, Lanes: []*outbox.LaneUpdate{&u}}
	if w.State.Final() {
		l.drop(w.ID)
	}
	if !l.calling(p) && !l.stale && rapid.Bool().Draw(m.t, "lets go") {
		m.release(p, l, &c, x)
		return
	}
	require.Empty(m.t, m.commit(p, c), "what is under way isn't cancelled")
}

func (m *model) putDown(t *rapid.T) {
	p := m.some("worker", live)
	var quiet []*inHand
	for _, l := range lanesOf(p) {
		if !l.calling(p) && !l.stale {
			quiet = append(quiet, l)
		}
	}
	l := pick(t, "lane", quiet)
	m.release(p, l, &outbox.Commit{Lanes: []*outbox.LaneUpdate{{Lane: l.Lane, Epoch: l.Epoch}}}, nil)
}

// release adds to a commit that all of a lane rests. with is already settled by it.
func (m *model) release(p *process, l *inHand, c *outbox.Commit, with *outbox.Settle) {
	u := c.Lanes[0]
	u.Release, u.Handed = true, l.met
	for _, w := range l.work {
		x := &outbox.Settle{Delivery: w.Delivery, WasCalls: w.Calls, Rest: true}
		if with != nil && with.ID == w.ID {
			with.Rest, x = true, with
		} else {
			c.Settles = append(c.Settles, x)
		}
		if x.State == outbox.Pending || x.State == outbox.Waiting {
			x.State = rapid.SampledFrom([]outbox.State{outbox.Pending, outbox.Waiting}).Draw(m.t, "rests as")
			x.Reason, x.NextAttemptAt = "because", m.soon()
		}
		u.PutDown = true
	}
	m.commit(p, *c)
	l.work = nil
	switch {
	case u.Released:
		delete(p.hand, l.Lane)
	case u.News || u.PutDown:
		l.stale = true
	default:
		require.True(m.t, p.suspect, "a lane isn't let go, and its owner knows of nothing in it")
	}
}

func (m *model) reload(t *rapid.T) {
	p := m.some("worker", live)
	var stale []*inHand
	for _, l := range lanesOf(p) {
		if l.stale {
			stale = append(stale, l)
		}
	}
	l := pick(t, "lane", stale)
	loaded, err := m.Reload(m.ctx, p.token, l.Lane)
	require.NoError(t, err)
	x := loaded[0]
	if sometimes(t, "the reload's answer is lost", 6) {
		p.suspect = true
		for _, w := range x.Work {
			delete(m.fresh, w.ID)
		}
		return
	}
	m.takeLoaded(p, l, x)
}

// adopt takes what the database says that it holds, after an answer was lost.
func (m *model) adopt(t *rapid.T) {
	p := m.some("worker in doubt", func(p *process) bool { return live(p) && p.suspect })
	adopted, err := m.Adopt(m.ctx, p.token)
	require.NoError(t, err)
	p.suspect = false
	adopted = slices.DeleteFunc(adopted, func(h outbox.Handed) bool {
		l := p.hand[h.Lane.Lane]
		return l != nil && slices.ContainsFunc(l.work, func(w *outbox.Work) bool { return w.ID == h.ID })
	})
	lost := map[outbox.Lane]int{}
	for _, h := range adopted {
		lost[h.Lane.Lane]++
	}
	for _, h := range adopted {
		if l := p.hand[h.Lane.Lane]; l == nil || l.Epoch != h.Lane.Epoch {
			p.hand[h.Lane.Lane] = &inHand{LaneState: h.Lane, met: h.Lane.Handed - lost[h.Lane.Lane], stale: true}
		}
		m.takeHanded(p, h)
	}
}

// renew raises the mark below which the worker holds nothing live, as far as it
// can be sure of that.
func (m *model) renew(t *rapid.T) {
	p := m.some("worker", live)
	low := p.most + 1
	for _, l := range p.hand {
		for _, w := range l.work {
			low = min(low, w.ID)
		}
	}
	if p.suspect {
		low = p.low
	}
	r, err := m.Renew(m.ctx, p.token, time.Hour, p.low, low)
	require.NoError(t, err)
	require.True(t, r.Vouched)
	p.low = r.Low
}

func (m *model) wait(t *rapid.T) {
	m.exec(`UPDATE outbox.lanes SET next_at = next_at - interval '2 hours';
		UPDATE outbox.deliveries SET next_attempt_at = next_attempt_at - interval '2 hours'`)
}
