package outbox_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

// batch makes a batch of lines, with sequences that go on from the last.
func (s *shop) batch(accept []string, lines ...line) outbox.Batch {
	s.t.Helper()
	b := outbox.Batch{Accept: accept}
	for _, l := range lines {
		m := l.message()
		e, err := event.Decode(m, event.Limits{}, opening.Add(24*time.Hour))
		require.NoError(s.t, err)
		s.sequence++
		b.Events = append(b.Events, outbox.Incoming{
			Event: &e, Accounts: []string{account}, Sequence: s.sequence, Payload: m.Data,
		})
	}
	return b
}

func (s *shop) enqueues(token outbox.Token, b outbox.Batch) outbox.Enqueued {
	s.t.Helper()
	out, err := s.Enqueue(s.t.Context(), token, b)
	require.NoError(s.t, err)
	return out
}

func (s *shop) count(sql string, args ...any) int {
	s.t.Helper()
	var n int
	require.NoError(s.t, s.conn.QueryRow(s.t.Context(), sql, args...).Scan(&n))
	return n
}

func TestTheSameMessageAgainAddsNothingAndCountsNothing(t *testing.T) {
	s := newShop(t)
	b := s.batch(nil, line{kind: event.OrderCreated, order: "o1"}, line{kind: event.PointIncremented, uuid: "p1"})
	require.Equal(t, 2, s.enqueues(s.token, b).Events)
	again := s.enqueues(s.token, b)
	require.Zero(t, again.Events+again.Duplicates+again.Conflicts)
	require.Equal(t, 2, s.count(`SELECT count(*) FROM outbox.deliveries`))
}

func TestADuplicateIsCountedInAndAcrossBatches(t *testing.T) {
	s := newShop(t)
	create := line{kind: event.OrderCreated, order: "o1"}
	out := s.enqueues(s.token, s.batch(nil, create, create))
	require.Equal(t, [2]int{1, 1}, [2]int{out.Events, out.Duplicates})
	require.Equal(t, 1, s.enqueues(s.token, s.batch(nil, create)).Duplicates)
	require.Equal(t, 2, s.count(`SELECT duplicates FROM outbox.identities`))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.events`))
}

func TestOtherContentIsAConflictThatIsKeptOnce(t *testing.T) {
	s := newShop(t)
	s.enqueues(s.token, s.batch(nil, line{kind: event.OrderCreated, order: "o1", amount: "30"}))
	other := line{kind: event.OrderCreated, order: "o1", amount: "31"}
	for range 2 {
		require.Equal(t, 1, s.enqueues(s.token, s.batch(nil, other)).Conflicts)
	}
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.conflicts WHERE cause = 'content' AND count = 2`))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.deliveries`))
	require.Equal(t, 30, s.count(`SELECT amount::int FROM outbox.events`))
}

func TestIncrementsAndDecrementsShareOneNameSpace(t *testing.T) {
	s := newShop(t)
	s.enqueues(s.token, s.batch(nil, line{kind: event.PointIncremented, uuid: "p1"}))
	require.Equal(t, 1, s.enqueues(s.token, s.batch(nil, line{kind: event.PointDecremented, uuid: "p1"})).Conflicts)
}

func TestTenantsThatShareAnAccountDoNotShareItsVendorKeys(t *testing.T) {
	s := newShop(t)
	s.enqueues(s.token, s.batch([]string{account}, line{kind: event.OrderCreated, order: "o1", tenant: "a"},
		line{kind: event.PointIncremented, uuid: "p1", tenant: "a"}))
	out := s.enqueues(s.token, s.batch([]string{account}, line{kind: event.OrderCreated, order: "o1", tenant: "b"},
		line{kind: event.PointIncremented, uuid: "p1", tenant: "b", member: "13900000000"}))
	require.Equal(t, [2]int{2, 2}, [2]int{out.Events, out.Conflicts})
	require.Empty(t, out.Handed)
	require.Equal(t, 2, s.count(`SELECT count(*) FROM outbox.deliveries d JOIN outbox.events e ON e.id = d.event_id
		WHERE e.tenant = 'b' AND d.state = 'held' AND d.reason = 'vendor_key_conflict'`))
	require.Equal(t, 2, s.count(`SELECT count(*) FROM outbox.conflicts WHERE cause = 'vendor_key' AND tenant = 'b'`))
}

func TestWhatNoRouteTakesIsHeld(t *testing.T) {
	s := newShop(t)
	b := s.batch([]string{account}, line{kind: event.OrderCreated, order: "o1"})
	b.Events[0].Accounts = nil
	s.enqueues(s.token, b)
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'held' AND reason = 'unrouted' AND account = ''`))
	require.Zero(t, s.count(`SELECT count(*) FROM outbox.lanes WHERE next_at IS NOT NULL`))
}

func TestACreateOfADeletedOrderIsAConflict(t *testing.T) {
	s := newShop(t)
	s.comesAs(outbox.Delivered, line{kind: event.OrderDeleted, order: "o1", minute: 5})
	out := s.enqueues(s.token, s.batch(nil, line{kind: event.OrderCreated, order: "o1", minute: 6}))
	require.Equal(t, [2]int{0, 1}, [2]int{out.Events, out.Conflicts})
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.conflicts WHERE cause = 'deleted'`))
}

func TestACreateThatItsDeleteOvertookIsNoConflict(t *testing.T) {
	s := newShop(t)
	s.enqueues(s.token, s.batch(nil, line{kind: event.OrderDeleted, order: "o1", minute: 5}))
	require.Equal(t, 1, s.enqueues(s.token, s.batch(nil, line{kind: event.OrderCreated, order: "o1", minute: 4})).Events)
}

func TestTheSameCreateAfterItsOrderWasDeletedIsAConflict(t *testing.T) {
	s := newShop(t)
	create := line{kind: event.OrderCreated, order: "o1", minute: 1}
	s.comes(create, line{kind: event.OrderDeleted, order: "o1", minute: 2})
	require.Equal(t, 1, s.enqueues(s.token, s.batch(nil, create)).Duplicates, "sent again, from before the delete")
	create.minute = 3
	require.Equal(t, 1, s.enqueues(s.token, s.batch(nil, create)).Conflicts, "the order is made anew")
}

func TestARejectIsKeptOncePerSubjectAndBytes(t *testing.T) {
	s := newShop(t)
	bad := outbox.Reject{
		Subject: "sync.events.order.created", Reason: "not_json", Detail: "found end of text", Sequence: 1,
		Payload: []byte{0, 0xff},
	}
	other := bad
	other.Subject = "sync.events.order.updated"
	s.enqueues(s.token, outbox.Batch{Rejects: []outbox.Reject{bad, other}})
	s.enqueues(s.token, outbox.Batch{Rejects: []outbox.Reject{bad}}) // delivered again
	bad.Sequence = 7
	s.enqueues(s.token, outbox.Batch{Rejects: []outbox.Reject{bad}}) // published again
	require.Equal(t, 2, s.count(`SELECT count(*) FROM outbox.rejects`))
	require.Equal(t, 2, s.count(`SELECT count FROM outbox.rejects WHERE payload = '\x00ff' AND subject = 'sync.events.order.created'`))
}

func TestEventsThatTheDatabaseHadLostAreUnknown(t *testing.T) {
	s := newShop(t)
	b := s.batch([]string{account}, line{kind: event.OrderCreated, order: "o1"})
	b.Recovered = true
	out := s.enqueues(s.token, b)
	require.Empty(t, out.Handed)
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'unknown' AND reason = 'lost_commit' AND ambiguous`))
}
