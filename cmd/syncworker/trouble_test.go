package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"syncworker/internal/config"
	"syncworker/internal/consumer"
	"syncworker/internal/devstack/devtest"
	"syncworker/internal/sandbox"
)

// soon is how long a test waits for what has to happen by itself: long enough for
// a machine that is busy with other things.
const soon = time.Minute

func eventually(t *testing.T, holds func() bool, what string) {
	t.Helper()
	require.Eventually(t, holds, soon, 10*time.Millisecond, what)
}

// increments publishes point events p-FROM to p-(TO-1), of four hundred members.
func (s *stack) increments(t *testing.T, from, to int) {
	t.Helper()
	if s.members == nil {
		var err error
		s.members, err = s.sandbox.SeedMembers(sandbox.Seed{Count: 400, Mobile: "13800000000"})
		require.NoError(t, err)
	}
	for i := from; i < to; i++ {
		s.publish(t, "point.incremented", time.Now(), map[string]any{
			"uuid": fmt.Sprintf("p-%d", i), "point": 5, "pattern": 2, "membershipId": s.members[i%400],
		})
	}
}

func (s *stack) order(t *testing.T, no string, at time.Time) {
	t.Helper()
	s.publish(t, "order.created", at, map[string]any{
		"orderNo": no, "dateOrder": at.UTC().Format(time.RFC3339), "amountPaid": 30.5, "store": "s", "salesChannel": "pos",
		"dealLines": []any{map[string]any{"lineId": "l1", "productName": "Tea", "qty": 1}}, "membershipId": s.members[0],
	})
}

func (s *stack) refund(t *testing.T, no string, at time.Time) {
	t.Helper()
	s.publish(t, "order.refunded", at, map[string]any{
		"orderNo": no, "uuid": "r-" + no, "refundTotal": 1.1, "dateRefund": at.UTC().Format(time.RFC3339),
		"refundLines": []any{map[string]any{"lineId": "l1"}},
	})
}

// stand waits until the deliveries stand as named and nothing is left to take in.
func (s *stack) stand(t *testing.T, want map[string]int) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		cons, err := s.js.Consumer(t.Context(), s.config.NATS.Stream, s.config.NATS.Consumer)
		require.NoError(c, err)
		info := cons.CachedInfo()
		require.Zero(c, info.NumPending+uint64(info.NumAckPending), "left in the stream")
		require.Equal(c, want, s.states(t))
	}, soon, 50*time.Millisecond)
}

// once checks that the vendor has these increments, each once.
func (s *stack) once(t *testing.T, n int) {
	t.Helper()
	effects := map[string]int{}
	for _, e := range s.sandbox.Effects() {
		if e.Op == sandbox.OpPointIncr {
			effects[e.UUID]++
		}
	}
	require.Len(t, effects, n)
	for uuid, times := range effects {
		require.Equal(t, 1, times, uuid)
	}
	require.Empty(t, s.sandbox.Violations())
}

func (s *stack) effects() int { return len(s.sandbox.Effects()) }

func (s *stack) pointCalls() int { return s.sandbox.Summary().ByOp[sandbox.OpPointIncr].Calls }

// acknowledged is how far the worker's consumer has acknowledged the stream.
func (s *stack) acknowledged(t *testing.T) uint64 {
	t.Helper()
	cons, err := s.js.Consumer(t.Context(), s.config.NATS.Stream, s.config.NATS.Consumer)
	require.NoError(t, err)
	return cons.CachedInfo().AckFloor.Stream
}

var servedAt = regexp.MustCompile(`"address":"(http://[^"]+)"`)

// page reads a page that the worker with this log serves.
func page(t *testing.T, log *devtest.Log, path string) (status int, body string) {
	t.Helper()
	eventually(t, func() bool { return servedAt.MatchString(log.String()) }, "the worker serves pages")
	reply, err := http.Get(servedAt.FindStringSubmatch(log.String())[1] + path)
	require.NoError(t, err)
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	require.NoError(t, err)
	return reply.StatusCode, string(text)
}

func TestADatabaseThatGoesAwayLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	pg := devtest.Postgres(t, true)
	require.NoError(t, migrate(t.Context(), pg.URL))
	s := newStackOn(t, pg.URL, sandbox.Switches{Latency: sandbox.Duration(100 * time.Millisecond)})
	_, log := s.start(t)
	eventually(t, func() bool { status, _ := page(t, log, "/readyz"); return status == http.StatusOK }, "it is ready")
	s.increments(t, 0, 300)
	eventually(t, func() bool { return s.effects() > 50 }, "calls are under way")

	pg.Kill()
	s.increments(t, 300, 400)
	log.Says(t, "nothing is acknowledged until it does")
	log.Says(t, "writing answers down; trying again until it works")
	eventually(t, func() bool { return s.sandbox.Summary().InFlight == 0 }, "the vendor has answered")
	acknowledged, answered := s.acknowledged(t), s.pointCalls()
	require.LessOrEqual(t, acknowledged, uint64(300))
	require.Less(t, answered, 300)
	status, body := page(t, log, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, "not ready: the database doesn't answer: ")
	s.increments(t, 400, 450)
	require.Equal(t, acknowledged, s.acknowledged(t))
	require.Equal(t, answered, s.pointCalls(), "no call without a database to write its answer to")

	require.NoError(t, pg.Restart(t.Context()))
	s.connect(t)
	s.stand(t, map[string]int{"delivered": 450})
	s.once(t, 450)
	require.Equal(t, 450, s.pointCalls(), "what the vendor answered meanwhile is recorded, not repeated")
	require.Equal(t, 450, s.count(t, `SELECT count(*) FROM outbox.attempts WHERE class = 'applied'`))
	require.Equal(t, 450, s.count(t, `SELECT count(*) FROM outbox.events`))
	eventually(t, func() bool { status, _ := page(t, log, "/readyz"); return status == http.StatusOK }, "it is ready again")
}

func TestANATSServerThatRestartsLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	s := newStack(t, sandbox.Switches{Latency: sandbox.Duration(20 * time.Millisecond)})
	s.config.NATS.AckWait = 2 * time.Second
	_, log := s.start(t)
	s.increments(t, 0, 200)
	eventually(t, func() bool { return s.effects() > 50 }, "calls are under way")
	s.nats.Shutdown()
	log.Says(t, "the connection to NATS broke")
	_, body := page(t, log, "/readyz")
	require.Contains(t, body, "not connected to NATS")
	require.NoError(t, s.nats.Restart())
	log.Says(t, "connected to NATS again")
	eventually(t, func() bool { _, err := s.js.Stream(t.Context(), s.config.NATS.Stream); return err == nil }, "the stream is there")
	s.increments(t, 200, 300)
	s.stand(t, map[string]int{"delivered": 300})
	s.once(t, 300)
	require.Equal(t, 300, s.pointCalls())
	require.Zero(t, s.count(t, `SELECT sum(duplicates)::int FROM outbox.identities`), "what is delivered again isn't a duplicate")
}

func TestADeletedConsumerIsMadeAnewWhereTheOutboxKnowsTheStream(t *testing.T) {
	t.Parallel()
	s := newStack(t, sandbox.Switches{})
	_, log := s.start(t)
	s.increments(t, 0, 100)
	s.stand(t, map[string]int{"delivered": 100})
	eventually(t, func() bool { return s.count(t, `SELECT coalesce(max(floor), 0)::int FROM outbox.positions`) == 100 }, "its place is stored")
	require.NoError(t, s.js.DeleteConsumer(t.Context(), s.config.NATS.Stream, s.config.NATS.Consumer))
	s.increments(t, 100, 200)
	log.Says(t, `"from":101.*the consumer was deleted; making it anew`)
	s.stand(t, map[string]int{"delivered": 200})
	s.once(t, 200)
	require.Equal(t, 200, s.pointCalls())
	require.Zero(t, s.count(t, `SELECT sum(duplicates)::int FROM outbox.identities`))
}

func TestAStreamThatIsMadeAnewLosesNothing(t *testing.T) {
	t.Parallel()
	s := newStack(t, sandbox.Switches{})
	s.start(t)
	s.increments(t, 0, 50)
	s.stand(t, map[string]int{"delivered": 50})
	require.NoError(t, s.js.DeleteStream(t.Context(), s.config.NATS.Stream))
	eventually(t, func() bool {
		_, err := consumer.EnsureStream(t.Context(), s.js, streamConfig(s.config.NATS))
		return err == nil
	}, "there is a stream")
	s.increments(t, 40, 100) // whose sequences begin with 1 again
	s.stand(t, map[string]int{"delivered": 100})
	s.once(t, 100)
	require.Equal(t, 100, s.pointCalls())
}

// copied is a copy of the stack's database as it stands, which nobody may be
// connected to meanwhile.
func (s *stack) copied(t *testing.T) (copyURL string) {
	t.Helper()
	require.NoError(t, s.db.Close(t.Context()))
	u, err := url.Parse(s.url)
	require.NoError(t, err)
	name := u.Path[1:]
	u.Path = "/postgres"
	admin, err := pgx.Connect(t.Context(), u.String())
	require.NoError(t, err)
	defer admin.Close(t.Context()) //nolint:errcheck // nothing is under way
	_, err = admin.Exec(t.Context(), `CREATE DATABASE `+name+`_copy TEMPLATE `+name)
	require.NoError(t, err)
	s.connect(t)
	u.Path = "/" + name + "_copy"
	return u.String()
}

func TestCommitsThatTheDatabaseLostAreReadAtTheVendorNotRepeated(t *testing.T) {
	t.Parallel()
	s := newStack(t, sandbox.Switches{UUIDTrace: "remark"})
	account := s.config.Vendors["dmhub"]
	account.Semantics.OrderReads = "deals"
	s.config.Vendors["dmhub"] = account
	now := time.Now().Add(-time.Hour)
	stop, _ := s.start(t)
	s.increments(t, 0, 50)
	s.order(t, "before", now)
	s.stand(t, map[string]int{"delivered": 51})
	stop()
	old := s.copied(t)

	stop, _ = s.start(t)
	s.increments(t, 50, 70)
	s.order(t, "o", now)
	s.stand(t, map[string]int{"delivered": 72})
	s.refund(t, "o", now.Add(time.Minute))
	s.stand(t, map[string]int{"delivered": 73})
	stop()
	calls := s.sandbox.Summary().ByOp

	// The database comes back without the last commits.
	s.url, s.config.Database.URL = old, config.URL(old)
	s.connect(t)
	stop, log := s.start(t)
	s.stand(t, map[string]int{"delivered": 72, "held:unclear": 1})
	require.Contains(t, log.String(), `"events":22,"message":"the database had lost events that were acknowledged`)
	s.once(t, 70)
	require.Equal(t, "order.refunded", s.lines(t, `SELECT type FROM outbox.deliveries WHERE state = 'held'`)[1:])
	after := s.sandbox.Summary().ByOp
	for _, op := range []string{sandbox.OpPointIncr, sandbox.OpDealCreate, sandbox.OpDealRefund} {
		require.Equal(t, calls[op].Calls, after[op].Calls, op)
	}
	// A person sees at once that something waits, and for how long.
	_, metrics := page(t, log, "/metrics")
	require.Regexp(t, `syncworker_oldest_delivery_seconds\{account="dmhub",state="held"\} [0-9.]+\n`, metrics)
	require.Regexp(t, `syncworker_waiting_for_person\{account="dmhub",kind="held"\} [1-9][0-9]*\n`, metrics)
	s.increments(t, 70, 80)
	s.stand(t, map[string]int{"delivered": 82, "held:unclear": 1})
	stop()
}

func TestAStreamWithOtherSettingsIsReportedAndUsedAsItIs(t *testing.T) {
	t.Parallel()
	s := newStack(t, sandbox.Switches{})
	require.NoError(t, s.js.DeleteStream(t.Context(), s.config.NATS.Stream))
	theirs := jetstream.StreamConfig{
		Name: s.config.NATS.Stream, Subjects: []string{"sync.events.>", "other.>"}, Storage: jetstream.MemoryStorage,
		Discard: jetstream.DiscardOld, MaxBytes: 1 << 20,
	}
	_, err := s.js.CreateStream(t.Context(), theirs)
	require.NoError(t, err)
	_, log := s.start(t)
	s.increments(t, 0, 20)
	s.stand(t, map[string]int{"delivered": 20})
	for _, setting := range []string{"storage is Memory", "discard policy is DiscardOld", "max_bytes is 1048576"} {
		require.Regexp(t, `"level":"warn","stream":"SYNC","message":"the stream's `+setting+`, configured is `, log.String())
	}
	stream, err := s.js.Stream(t.Context(), s.config.NATS.Stream)
	require.NoError(t, err)
	kept := stream.CachedInfo().Config
	require.Equal(t, theirs.Discard, kept.Discard)
	require.Equal(t, theirs.Storage, kept.Storage)
	require.Equal(t, theirs.MaxBytes, kept.MaxBytes)
	require.Equal(t, theirs.Subjects, kept.Subjects)
}
