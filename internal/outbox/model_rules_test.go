package outbox_test

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

// snapshot is all that the rules are about, as the database has it.
type snapshot struct {
	now        time.Time
	deliveries map[int64]*row
	lanes      map[outbox.Lane]*laneRow
	ended      map[outbox.Token]bool
	deeds      int
	lastDeed   int64
}

type row struct {
	id            int64
	owner         *outbox.Token
	lane          outbox.Lane
	account       string
	kind          event.Type
	state         outbox.State
	reason        string
	ambiguous     bool
	everAmbiguous bool
	blocks        bool
	mark          string
	calls         int
	time          time.Time
	next          *time.Time
	identity      event.Identity
}

type laneRow struct {
	lane        outbox.Lane
	kind        outbox.LaneKind
	tenant      string
	owner       *outbox.Token
	next        *time.Time
	news        bool
	created     string
	updatedTo   *time.Time
	openRefunds int
	deleted     bool
}

func (m *model) look() *snapshot {
	s := &snapshot{deliveries: map[int64]*row{}, lanes: map[outbox.Lane]*laneRow{}, ended: map[outbox.Token]bool{}}
	const deliveries = `
		SELECT d.id, d.owner, d.lane, d.account, d.type, d.state, d.reason, d.ambiguous, d.ever_ambiguous, d.calls,
		       d.blocks, coalesce(d.mark, ''), d.event_time, d.next_attempt_at, i.tenant, i.kind, i.order_no, i.uuid
		FROM outbox.deliveries d JOIN outbox.identities i USING (event_id)`
	m.each(deliveries, func(rows pgx.Rows) error {
		r := &row{}
		i := &r.identity
		err := rows.Scan(&r.id, &r.owner, &r.lane, &r.account, &r.kind, &r.state, &r.reason, &r.ambiguous,
			&r.everAmbiguous, &r.calls, &r.blocks, &r.mark, &r.time, &r.next, &i.Tenant, &i.Kind, &i.OrderNo, &i.UUID)
		s.deliveries[r.id] = r
		return err
	})
	const lanes = `SELECT lane, kind, tenant, owner, next_at, news, created, updated_to, open_refunds, deleted FROM outbox.lanes`
	m.each(lanes, func(rows pgx.Rows) error {
		l := &laneRow{}
		err := rows.Scan(&l.lane, &l.kind, &l.tenant, &l.owner, &l.next, &l.news, &l.created, &l.updatedTo, &l.openRefunds, &l.deleted)
		s.lanes[l.lane] = l
		return err
	})
	m.each(`SELECT token, ended_at IS NOT NULL FROM outbox.workers`, func(rows pgx.Rows) error {
		var token outbox.Token
		var over bool
		err := rows.Scan(&token, &over)
		s.ended[token] = over
		return err
	})
	m.each(`SELECT now(), count(*), coalesce(max(id), 0) FROM outbox.audit`, func(rows pgx.Rows) error {
		return rows.Scan(&s.now, &s.deeds, &s.lastDeed)
	})
	return s
}

func (m *model) each(sql string, scan func(pgx.Rows) error) {
	rows, err := m.shop.conn.Query(m.ctx, sql)
	require.NoError(m.t, err)
	defer rows.Close()
	for rows.Next() {
		require.NoError(m.t, scan(rows))
	}
	require.NoError(m.t, rows.Err())
}

func (m *model) exec(sql string, args ...any) {
	_, err := m.shop.conn.Exec(m.ctx, sql, args...)
	require.NoError(m.t, err)
}

// digest changes with every row that counts.
func (m *model) digest() (sum string) {
	const sql = `
		SELECT md5(string_agg(x, E'\n' ORDER BY x)) FROM (
			SELECT to_jsonb(d)::text FROM outbox.deliveries d
			UNION ALL SELECT to_jsonb(l)::text FROM outbox.lanes l
			UNION ALL SELECT to_jsonb(a)::text FROM outbox.attempts a
			UNION ALL SELECT to_jsonb(a)::text FROM outbox.audit a
			UNION ALL SELECT to_jsonb(i)::text FROM outbox.identities i
			UNION ALL SELECT (to_jsonb(c) - 'last_at')::text FROM outbox.conflicts c
			UNION ALL SELECT (to_jsonb(w) - 'lease_until' - 'server_started')::text FROM outbox.workers w) all_of_it(x)`
	require.NoError(m.t, m.shop.conn.QueryRow(m.ctx, sql).Scan(&sum))
	return sum
}

func (s *snapshot) deletedAtVendor(id event.Identity) bool {
	for _, d := range s.deliveries {
		if d.kind == event.OrderDeleted && d.state == outbox.Delivered &&
			d.identity.OrderNo == id.OrderNo && d.identity.Tenant == id.Tenant {
			return true
		}
	}
	return false
}

// overtakes reports whether a call would be made before that of something that
// rests in its lane and goes before it.
func (s *snapshot) overtakes(kind outbox.LaneKind, w *outbox.Work) bool {
	for _, d := range s.deliveries {
		order := cmp.Or(outbox.Rank(d.kind)-outbox.Rank(w.Type), int16(d.time.Compare(w.EventTime)), int16(cmp.Compare(d.id, w.ID)))
		aside := d.state == outbox.Held || d.state == outbox.Unknown
		passes := kind != outbox.OrderLane && (aside && !d.blocks || d.blocks && !w.Blocks && outbox.Rank(d.kind) > 0)
		if d.lane == w.Lane && d.owner == nil && order < 0 && !passes {
			return true
		}
	}
	return false
}

// check holds all of the database against all of the rules.
func (m *model) check(t *rapid.T) {
	now := m.look()
	for _, p := range m.processes {
		require.Equal(t, p.ended, now.ended[p.token])
	}
	require.Equal(t, m.deeds, now.deeds, "each decision is audited")
	m.checkNothingIsLost(now)
	m.checkVendorKeys(now)
	for _, id := range sortedIDs(now) {
		d := now.deliveries[id]
		m.checkDelivery(now, d)
		m.checkRest(now, d)
		m.learn(now, d)
	}
	for _, l := range now.lanes {
		m.checkLane(now, l)
	}
	m.checkCalls(now)
	m.before = now
}

func sortedIDs(s *snapshot) []int64 {
	var ids []int64
	for id := range s.deliveries {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (m *model) checkNothingIsLost(now *snapshot) {
	there := map[event.Identity][]string{}
	for _, d := range now.deliveries {
		there[d.identity] = append(there[d.identity], d.account)
	}
	require.Len(m.t, there, len(m.published))
	for id, accounts := range m.published {
		require.ElementsMatch(m.t, accounts, there[id], "%v has one delivery per account", id)
	}
}

// checkVendorKeys asserts that what tenants share at an account is one's.
func (m *model) checkVendorKeys(now *snapshot) {
	has := map[string]int64{}
	for _, d := range now.deliveries {
		point := d.kind.Point()
		if !point && d.kind != event.CouponRedeemed || d.account == "" {
			continue
		}
		require.True(m.t, d.reason != outbox.ReasonVendorKey || d.calls == 0, "delivery %d is called, and its key is another's", d.id)
		if d.calls == 0 {
			continue
		}
		key := fmt.Sprint(d.account, point, d.identity.UUID)
		require.Zero(m.t, has[key], "called for one key: delivery %d, as is", d.id)
		has[key] = d.id
	}
}

func (m *model) checkDelivery(now *snapshot, d *row) {
	if was := m.before.deliveries[d.id]; was != nil {
		if was.state == outbox.Delivered || was.state == outbox.Cancelled {
			require.Equal(m.t, was.state, d.state, "delivery %d was over", d.id)
		}
		require.True(m.t, d.everAmbiguous || !was.everAmbiguous, "that a call was unclear is never forgotten")
		require.GreaterOrEqual(m.t, d.calls, was.calls)
	}
	require.True(m.t, d.everAmbiguous || !d.ambiguous)
	require.Equal(m.t, m.marks[d.id], d.mark)
	switch was := m.before.deliveries[d.id]; {
	case was != nil:
		require.Equal(m.t, was.blocks, d.blocks)
	case d.account != "" && d.reason != outbox.ReasonVendorKey:
		require.Equal(m.t, blocks(d.account, d.kind), d.blocks, "%s at %s", d.kind, d.account)
	}
	if d.state.Final() {
		require.NotNil(m.t, d.owner, "what is final isn't at rest")
		return
	}
	if d.owner == nil {
		require.NotEqual(m.t, outbox.Inflight, d.state)
		return
	}
	p := m.process(*d.owner)
	require.False(m.t, p.ended, "delivery %d is %s in the hand of a worker that has ended", d.id, d.state)
	l := p.hand[d.lane]
	known := l != nil && slices.ContainsFunc(l.work, func(w *outbox.Work) bool { return w.ID == d.id })
	require.True(m.t, known || p.suspect, "delivery %d is held by a worker that doesn't know of it", d.id)
	require.True(m.t, now.lanes[d.lane].owner != nil && *now.lanes[d.lane].owner == *d.owner, "its lane is another's")
}

func (m *model) process(token outbox.Token) *process {
	i := slices.IndexFunc(m.processes, func(p *process) bool { return p.token == token })
	require.GreaterOrEqual(m.t, i, 0, "worker %d isn't one", token)
	return m.processes[i]
}

// checkRest asserts that what rests is found when its time has come.
func (m *model) checkRest(now *snapshot, d *row) {
	rests := d.owner == nil && d.state != outbox.Held && d.account != ""
	late := d.next != nil && d.next.After(now.now)
	if !rests || d.state == outbox.Unknown && late {
		delete(m.fresh, d.id)
	}
	if !rests {
		return
	}
	l := now.lanes[d.lane]
	if l.owner != nil {
		require.False(m.t, now.ended[*l.owner], "delivery %d rests in the lane of a worker that has ended", d.id)
		require.True(m.t, l.news || !m.fresh[d.id], "delivery %d: the lane's owner isn't told of it", d.id)
		return
	}
	require.NotNil(m.t, l.next, "delivery %d: nothing will ever wake its lane", d.id)
	by := now.now
	if d.next != nil && d.next.After(by) && !m.fresh[d.id] {
		by = *d.next
	}
	require.False(m.t, l.next.After(by), "delivery %d is due before its lane", d.id)
}

func (m *model) checkLane(now *snapshot, l *laneRow) {
	if l.owner != nil && !now.ended[*l.owner] {
		p := m.process(*l.owner)
		require.True(m.t, p.hand[l.lane] != nil || p.suspect, "a lane's owner doesn't know that it has it")
	}
	want := m.facts[l.lane]
	require.Equal(m.t, want.Created, l.created, "what became of the create")
	require.Equal(m.t, want.RefundsBy, l.openRefunds)
	require.Equal(m.t, want.Deleted, l.deleted)
	if want.UpdatedTo.IsZero() {
		require.Nil(m.t, l.updatedTo)
	} else {
		require.True(m.t, want.UpdatedTo.Equal(*l.updatedTo), "%s, not %s", l.updatedTo, want.UpdatedTo)
	}
}

// learn adds what a delivery has become to what its lane has to know.
func (m *model) learn(now *snapshot, d *row) {
	was := m.before.deliveries[d.id]
	if was != nil && was.state == d.state || d.kind.Order() && d.identity.Tenant != now.lanes[d.lane].tenant || d.reason == outbox.ReasonRouted {
		return
	}
	facts := m.facts[d.lane]
	u := outbox.Facts(&outbox.Delivery{Type: d.kind, State: d.state, EventTime: d.time})
	switch {
	case u.Created != "":
		facts.Created = u.Created
	case d.kind == event.OrderCreated && d.state == outbox.Pending && was != nil && (was.state == outbox.Dead || was.state == outbox.Held):
		facts.Created = "" // a person opens the order again
	}
	if u.UpdatedTo.After(facts.UpdatedTo) {
		facts.UpdatedTo = u.UpdatedTo
	}
	facts.RefundsBy = max(facts.RefundsBy+u.RefundsBy, 0)
	facts.Deleted = facts.Deleted || u.Deleted
	m.facts[d.lane] = facts
}

// checkCalls asserts that the calls that may go out are those that the database
// knows of, one at a time in an order's lane.
func (m *model) checkCalls(now *snapshot) {
	inflight, orders := 0, map[outbox.Lane]int64{}
	for _, d := range now.deliveries {
		if d.state != outbox.Inflight {
			continue
		}
		inflight++
		p := m.process(*d.owner)
		require.NotNil(m.t, p.calls[d.id], "delivery %d: its owner doesn't call", d.id)
		require.Equal(m.t, p.calls[d.id].Calls, d.calls)
		if now.lanes[d.lane].kind == outbox.OrderLane {
			require.Zero(m.t, orders[d.lane], "two calls in one order's lane")
			orders[d.lane] = d.id
		}
	}
	for _, p := range m.processes {
		if !p.ended {
			inflight -= len(p.calls)
		}
	}
	require.Zero(m.t, inflight, "a call without its intent")
}
