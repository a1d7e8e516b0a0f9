package outbox_test

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

func (m *model) end(t *rapid.T) {
	p := m.some("worker", live)
	require.NoError(t, m.End(m.ctx, p.token))
	m.isOver(p.token)
}

// expire lets a lease run out. Where nobody has looked yet it is simply renewed.
func (m *model) expire(t *rapid.T) {
	p := m.some("worker", live)
	m.exec(`UPDATE outbox.workers SET lease_until = now() - interval '1 second' WHERE token = $1`, p.token)
	renewed := sometimes(t, "renewed in time", 4)
	if renewed {
		_, err := m.Renew(m.ctx, p.token, time.Hour, p.low, p.low)
		require.NoError(t, err)
	}
	_, found, err := m.Recover(m.ctx)
	require.NoError(t, err)
	require.Equal(t, !renewed, found)
	if found {
		m.isOver(p.token)
	}
}

// zombie is a worker that doesn't know yet that its token has ended.
func (m *model) zombie(t *rapid.T) {
	p := m.some("zombie", ended)
	was := m.digest()
	c := outbox.Commit{Number: p.number + 1}
	for _, l := range lanesOf(p) {
		c.Lanes = append(c.Lanes, &outbox.LaneUpdate{Lane: l.Lane, Epoch: l.Epoch, Deleted: true, Release: true, Handed: l.met})
		for _, w := range l.work {
			d := w.Delivery
			d.State, d.Reason = outbox.Delivered, ""
			c.Settles = append(c.Settles, &outbox.Settle{Delivery: d, WasCalls: w.Calls})
		}
		_, err := m.Reload(m.ctx, p.token, l.Lane)
		require.ErrorIs(t, err, outbox.ErrLeaseLost)
	}
	_, err := m.Commit(m.ctx, p.token, c)
	require.ErrorIs(t, err, outbox.ErrLeaseLost)
	_, err = m.Renew(m.ctx, p.token, time.Hour, p.low, p.low)
	require.ErrorIs(t, err, outbox.ErrLeaseLost)
	require.ErrorIs(t, m.Vouch(m.ctx, p.token, time.Now()), outbox.ErrLeaseLost)
	require.NoError(t, m.End(m.ctx, p.token))
	require.Equal(t, was, m.digest(), "an ended token writes nothing")
}

// late is what a zombie hears of a call: evidence, as long as nothing has happened
// to the delivery since.
func (m *model) late(t *rapid.T) {
	p := m.some("zombie that calls", func(p *process) bool { return ended(p) && len(p.calls) > 0 })
	w := pick(t, "call", callsOf(p))
	delete(p.calls, w.ID)
	x := m.outcome(w)
	d := m.before.deliveries[w.ID]
	waits := d.owner == nil && (d.state == outbox.Unknown || d.state == outbox.Held) &&
		d.reason == outbox.ReasonWorkerLost && d.calls == w.Calls
	const started = `UPDATE outbox.workers SET server_started = $2 WHERE token = $1`
	var server time.Time
	require.NoError(t, m.shop.conn.QueryRow(m.ctx, `SELECT pg_postmaster_start_time()`).Scan(&server))
	another := sometimes(t, "another server answers", 4)
	if another {
		m.exec(started, p.token, time.Unix(0, 0))
	}
	resolved, err := m.Late(m.ctx, p.token, x)
	require.NoError(t, err)
	m.exec(started, p.token, server)
	unsent := x.State == outbox.Pending && !x.Ambiguous && !another
	require.Equal(t, waits && (x.State == outbox.Delivered || unsent), resolved)
	if resolved && unsent {
		m.fresh[w.ID] = true
	}
}

// failOver lets another server answer: nothing is written before somebody has
// looked whether it has all.
func (m *model) failOver(t *rapid.T) {
	was := m.digest()
	m.exec(`UPDATE outbox.workers SET server_started = 'epoch' WHERE ended_at IS NULL`)
	for _, p := range m.processes {
		if p.ended {
			continue
		}
		_, err := m.Commit(m.ctx, p.token, outbox.Commit{Number: p.number + 1})
		require.ErrorIs(t, err, outbox.ErrServerChanged)
		_, err = m.Enqueue(m.ctx, p.token, m.last)
		require.ErrorIs(t, err, outbox.ErrServerChanged)
		_, err = m.Claim(m.ctx, p.token, account, 1)
		require.ErrorIs(t, err, outbox.ErrServerChanged)
		r, err := m.Renew(m.ctx, p.token, time.Hour, p.low, p.low)
		require.NoError(t, err)
		require.False(t, r.Vouched)
		m.shop.vouches(p.token)
	}
	require.Equal(t, was, m.digest())
}

// lose compares the database with what is known of it, which may be more.
func (m *model) lose(t *rapid.T) {
	known := map[outbox.Token]outbox.Mark{}
	for _, p := range m.processes {
		known[p.token] = outbox.Mark{Commits: p.number, Decisions: m.before.lastDeed}
	}
	p := pick(t, "worker", m.processes)
	mark := known[p.token]
	what := rapid.SampledFrom([]string{"nothing", "nothing", "commits", "decisions"}).Draw(t, "what is lost")
	switch what {
	case "nothing":
		was := m.digest()
		loss, err := m.FindLoss(m.ctx, known, nil)
		require.NoError(t, err)
		require.False(t, loss.Any())
		require.Equal(t, was, m.digest())
		return
	case "commits":
		p.number++ // it has made one more, and remembers
		mark.Commits = p.number
	case "decisions":
		mark.Decisions++
	}
	known[p.token] = mark
	loss, err := m.FindLoss(m.ctx, known, nil)
	require.NoError(t, err)
	require.True(t, loss.Any())
	comes := m.last
	comes.Recovered = false
	_, err = m.Enqueue(m.ctx, p.token, comes)
	require.ErrorIs(t, err, outbox.ErrDoubted)
	m.shop.readsAgain()
	m.deeds++
	for _, p := range m.processes {
		p.ended = true
	}
	for id, d := range m.look().deliveries {
		was := m.before.deliveries[id]
		switch {
		case d.account == "":
			require.Equal(t, was.state, d.state, "it was sent nowhere")
		case was.state == outbox.Dead && what == "decisions":
			require.Equal(t, outbox.Held, d.state, "a person may have replayed it")
		case was.state.Final(), was.state == outbox.Held:
			require.Equal(t, was.state, d.state)
		default:
			require.Equal(t, outbox.Unknown, d.state, "it may have been sent")
			require.True(t, d.ambiguous)
			m.fresh[id] = true
		}
	}
}

// decide is a person who does something about any delivery.
func (m *model) decide(t *rapid.T) {
	var ids []int64
	for id, d := range m.before.deliveries {
		if !m.unmet(d) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	d := m.before.deliveries[pick(t, "delivery", ids)]
	dec := outbox.Decision{
		Action: rapid.SampledFrom([]outbox.Action{
			outbox.Replay, outbox.Cancel, outbox.Applied, outbox.NotApplied, outbox.SendAgain,
		}).Draw(t, "action"),
		Actor: "ann@till", Why: "the shop asked", Evidence: "seen", Accounts: []string{account, otherAccount},
		Route: func(event.Type, string) []string { return []string{account} }, Blocks: blocks,
	}
	if d.state == outbox.Held && d.owner != nil && dec.Action != outbox.Cancel {
		panic(impossible("a worker is about to put it down, and Act waits for that"))
	}
	was := m.digest()
	plan, err := m.Plan(m.ctx, dec, outbox.Filter{IDs: []int64{d.id}}, 0)
	require.NoError(t, err)
	acted, err := m.Act(m.ctx, dec, d.id)
	require.NoError(t, err)
	require.Equal(t, len(plan.IDs) == 1, acted.Refused == "", "the plan says what will be done")
	if acted.Refused != "" {
		require.Equal(t, was, m.digest(), "a refused decision changes nothing")
		return
	}
	now := m.look()
	m.routed(d, now)
	for _, id := range acted.Changed {
		if before := m.before.deliveries[id]; before != nil {
			m.deeds++
			require.NotContains(t, []outbox.State{outbox.Delivered, outbox.Cancelled, outbox.Inflight, outbox.Unknown}, before.state)
			require.False(t, dec.Action == outbox.Replay && before.everAmbiguous, "what was ever unclear isn't replayed")
		}
		if now.deliveries[id].state == outbox.Pending {
			m.fresh[id] = true
		}
	}
}

// unmet reports whether a worker doesn't know of a delivery that it holds, since
// the answer was lost. To cancel it leaves a lane that its owner doesn't know of.
func (m *model) unmet(d *row) bool {
	return d.owner != nil && !d.state.Final() && slices.ContainsFunc(m.processes, func(p *process) bool {
		l := p.hand[d.lane]
		return p.token == *d.owner && (l == nil || !slices.ContainsFunc(l.work, func(w *outbox.Work) bool { return w.ID == d.id }))
	})
}

// routed notes that an event that no route took has got an account.
func (m *model) routed(d *row, now *snapshot) {
	if r := now.deliveries[d.id]; d.account == "" && r.reason == outbox.ReasonRouted {
		m.published[d.identity] = append(m.published[d.identity], account)
	}
}
