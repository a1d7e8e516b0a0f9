package outbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"syncworker/internal/devstack/devtest"
	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

// shop is a database with one worker, which plays what a dispatcher would do.
type shop struct {
	*outbox.Store
	t        testing.TB
	conn     *pgx.Conn
	token    outbox.Token
	sequence uint64
	commit   int64
}

const account = "dmhub"

var opening = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

func newShop(t testing.TB) *shop {
	t.Helper()
	url := devtest.Database(t, migrate)
	store, err := outbox.OpenForWorker(t.Context(), url, 4, 0)
	require.NoError(t, err)
	t.Cleanup(store.Close)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) }) //nolint:errcheck // the database is dropped next
	s := &shop{Store: store, t: t, conn: conn}
	s.token = s.worker(time.Hour)
	return s
}

// line is an event as a publisher writes it. Its time is minute minutes after
// opening.
type line struct {
	kind   event.Type
	order  string
	uuid   string
	member string // a mobile number
	tenant string
	amount string
	points int
	minute int
	data   string // in place of what the other fields would make
}

func (l line) message() event.Message {
	data := l.data
	if data == "" {
		amount, points := l.amount, l.points
		if amount == "" {
			amount = "30"
		}
		if points == 0 {
			points = 8
		}
		member := l.member
		if member == "" {
			member = "13800001234"
		}
		identities := fmt.Sprintf(`"identities":[{"type":"mobile","value":"%s"}]`, member)
		switch l.kind {
		case event.OrderCreated:
			data = fmt.Sprintf(`{"orderNo":"%s","dateOrder":"2026-11-21T07:52:30Z","amountPaid":%s,"store":"s","salesChannel":"pos",
				"dealLines":[{"lineId":"l1","productId":"p","skuId":"s","productName":"Tea","qty":1,"priceUnit":5,
				"priceSubTotal":5,"priceSubPaid":5}],%s}`, l.order, amount, identities)
		case event.OrderRefunded:
			data = fmt.Sprintf(`{"orderNo":"%s","uuid":"%s","refundTotal":%s,"dateRefund":"2026-11-21T08:00:00Z",
				"refundLines":[{"lineId":"l1","qty":1,"refundSubtotal":%s}]}`, l.order, l.uuid, amount, amount)
		case event.PointIncremented, event.PointDecremented:
			data = fmt.Sprintf(`{"uuid":"%s","point":%d,"pattern":0,%s}`, l.uuid, points, identities)
		default:
			data = fmt.Sprintf(`{"orderNo":"%s"}`, l.order)
			if l.uuid != "" {
				data = fmt.Sprintf(`{"orderNo":"%s","uuid":"%s"}`, l.order, l.uuid)
			}
		}
	}
	tenant := l.tenant
	if tenant == "" {
		tenant = event.DefaultTenant
	}
	envelope := fmt.Sprintf(`{"specversion":"1.0","id":"ce-%s-%s-%s","source":"pos/1","type":"%s","time":"%s","tenant":"%s","data":%s}`,
		l.kind, l.order, l.uuid, l.kind, opening.Add(time.Duration(l.minute)*time.Minute).Format(time.RFC3339), tenant, data)
	return event.Message{Subject: event.Subject(l.kind), Data: []byte(envelope)}
}

// comes enqueues events as the consumer does, leaves them at rest, and returns
// the ids of their deliveries.
func (s *shop) comes(lines ...line) []int64 { return s.comesTo([]string{account}, nil, lines...) }

func (s *shop) comesTo(accounts, accept []string, lines ...line) []int64 {
	s.t.Helper()
	b := outbox.Batch{Accept: accept}
	for _, l := range lines {
		m := l.message()
		e, err := event.Decode(m, event.Limits{}, opening.Add(24*time.Hour))
		require.NoError(s.t, err)
		s.sequence++
		b.Events = append(b.Events, outbox.Incoming{
			Event: &e, Accounts: accounts, Sequence: s.sequence, Payload: m.Data,
		})
	}
	last := one[int64](s, `SELECT coalesce(max(id), 0) FROM outbox.deliveries`)
	_, err := s.Enqueue(s.t.Context(), s.token, b)
	require.NoError(s.t, err)
	rows, err := s.conn.Query(s.t.Context(), `SELECT id FROM outbox.deliveries WHERE id > $1 ORDER BY id`, last)
	require.NoError(s.t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(s.t, err)
	return ids
}

// comesAs brings one event and leaves its delivery in a state.
func (s *shop) comesAs(state outbox.State, l line, more ...func(*outbox.Delivery)) int64 {
	s.t.Helper()
	id := s.comes(l)[0]
	s.becomes(id, state, more...)
	return id
}

// becomes claims the delivery's lane, makes one call for the delivery and lets go
// of the lane again.
func (s *shop) becomes(id int64, state outbox.State, more ...func(*outbox.Delivery)) {
	s.t.Helper()
	lane := s.claims(id)
	var c outbox.Commit
	release := &outbox.LaneUpdate{Lane: lane.Lane}
	for _, w := range lane.Work {
		x := &outbox.Settle{Delivery: w.Delivery, WasCalls: w.Calls, Rest: true}
		if w.ID == id {
			x.State, x.Reason, x.Calls, x.NextAttemptAt = state, "because", w.Calls+1, time.Time{}
			switch state {
			case outbox.Pending, outbox.Delivered:
				x.Reason = ""
			case outbox.Unknown:
				x.NextAttemptAt, x.Ambiguous, x.EverAmbiguous = opening.Add(100000*time.Hour), true, true
			}
			for _, change := range more {
				change(&x.Delivery)
			}
			x.Rest = !state.Final()
			x.Attempt = &outbox.Attempt{
				Number: x.Calls, StartedAt: opening, Action: "push", Class: "refused",
				Status: 200, Method: "POST", Path: "/v1/x", Code: "409180", Message: "会员积分不足", Reply: []byte(`{"code":409180}`),
			}
			facts := outbox.Facts(&x.Delivery)
			release = &facts
		}
		c.Settles = append(c.Settles, x)
	}
	release.Epoch, release.Handed, release.Release, release.PutDown = lane.Epoch, lane.Handed, true, true
	c.Lanes = []*outbox.LaneUpdate{release}
	s.commits(c)
	require.True(s.t, release.Released)
}

// commits writes one transaction of the worker and returns what was gone.
func (s *shop) commits(c outbox.Commit) []int64 {
	s.t.Helper()
	s.commit++
	c.Number = s.commit
	gone, err := s.Commit(s.t.Context(), s.token, c)
	require.NoError(s.t, err)
	return gone
}

// claims makes the delivery's lane due and takes it.
func (s *shop) claims(id int64) *outbox.Loaded {
	s.t.Helper()
	s.exec(`UPDATE outbox.lanes SET next_at = CASE WHEN lane = (SELECT lane FROM outbox.deliveries WHERE id = $1)
		THEN now() END WHERE owner IS NULL`, id)
	loaded, err := s.Claim(s.t.Context(), s.token, account, 10)
	require.NoError(s.t, err)
	require.Len(s.t, loaded, 1)
	return loaded[0]
}

func (s *shop) exec(sql string, args ...any) {
	s.t.Helper()
	_, err := s.conn.Exec(s.t.Context(), sql, args...)
	require.NoError(s.t, err)
}

// one reads one value of the database.
func one[T any](s *shop, sql string, args ...any) (v T) {
	s.t.Helper()
	require.NoError(s.t, s.conn.QueryRow(s.t.Context(), sql, args...).Scan(&v))
	return v
}

// row reads a delivery's row.
func (s *shop) row(id int64) map[string]any {
	s.t.Helper()
	var m map[string]any
	raw := one[[]byte](s, `SELECT to_jsonb(d) FROM outbox.deliveries d WHERE id = $1`, id)
	require.NoError(s.t, json.Unmarshal(raw, &m))
	return m
}

// lane reads the row of a delivery's lane.
func (s *shop) lane(id int64) map[string]any {
	s.t.Helper()
	var m map[string]any
	raw := one[[]byte](s, `SELECT to_jsonb(l) FROM outbox.lanes l JOIN outbox.deliveries d USING (lane) WHERE d.id = $1`, id)
	require.NoError(s.t, json.Unmarshal(raw, &m))
	return m
}

func decides(a outbox.Action) outbox.Decision {
	return outbox.Decision{Action: a, Actor: "ann@till", Why: "the shop asked", Evidence: "seen in the console", Accounts: []string{account}}
}

// acts carries a decision out and wants it done.
func (s *shop) acts(a outbox.Action, id int64) outbox.Acted {
	s.t.Helper()
	acted, err := s.Act(s.t.Context(), decides(a), id)
	require.NoError(s.t, err)
	require.Empty(s.t, acted.Refused)
	return acted
}

// refused wants a decision refused and returns why.
func (s *shop) refused(dec outbox.Decision, id int64) string {
	s.t.Helper()
	before := s.row(id)
	acted, err := s.Act(s.t.Context(), dec, id)
	require.NoError(s.t, err)
	require.NotEmpty(s.t, acted.Refused)
	require.Empty(s.t, acted.Changed)
	require.Equal(s.t, before, s.row(id), "a refused decision changes nothing")
	return acted.Refused
}

func ever(d *outbox.Delivery) { d.EverAmbiguous = true }

func held(reason string) func(*outbox.Delivery) {
	return func(d *outbox.Delivery) { d.Reason = reason }
}

func itoa(id int64) string { return fmt.Sprint(id) }
