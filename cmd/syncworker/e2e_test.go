package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"syncworker/internal/devstack/devtest"
	"syncworker/internal/event"
	"syncworker/internal/sandbox"
	"syncworker/internal/trade"
)

// shopDay is a day of trade that is published to a stack.
type shopDay struct {
	*stack
	*trade.Day
	config  trade.Config
	mobiles []string
	// overtaken: what a killed worker had read ahead comes back only after its
	// ack_wait, so that later events of an order may come before earlier ones.
	overtaken bool
}

func newDay(t *testing.T, s *stack, config trade.Config) *shopDay {
	t.Helper()
	d := &shopDay{stack: s, config: config}
	const members = 200
	for i := range members {
		d.mobiles = append(d.mobiles, fmt.Sprintf("138%08d", i))
	}
	ids, err := s.sandbox.SeedMembers(sandbox.Seed{Count: members, Mobile: "13800000000", Points: 500, Name: trade.Person})
	require.NoError(t, err)
	config.Start = time.Now().Add(-20 * time.Hour).UTC().Truncate(time.Second)
	for i, id := range ids {
		config.Members = append(config.Members, trade.Member{ID: id, Mobile: d.mobiles[i], Points: 500})
	}
	none, err := s.sandbox.SeedMembers(sandbox.Seed{Count: 5, Mobile: "13900000000", Name: trade.Person})
	require.NoError(t, err)
	for i, id := range none {
		mobile := fmt.Sprintf("139%08d", i)
		d.mobiles = append(d.mobiles, mobile)
		config.Members = append(config.Members, trade.Member{ID: id, Mobile: mobile})
	}
	d.Day, err = trade.New(config)
	require.NoError(t, err)
	return d
}

func (d *shopDay) publishAll(t *testing.T) {
	t.Helper()
	for _, m := range d.Messages {
		_, err := d.js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
		require.NoError(t, err)
	}
	<-d.js.PublishAsyncComplete()
}

// settles waits until nothing is left to do that isn't waiting for a person.
func (d *shopDay) settles(t *testing.T, within time.Duration) {
	t.Helper()
	const open = `SELECT count(*) FROM outbox.deliveries d WHERE state IN ('pending', 'inflight', 'unknown')
		OR state = 'waiting' AND reason = 'predecessor_missing' AND next_attempt_at < now() + interval '1 hour'`
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("left open:", d.lines(t, `SELECT d::text || ' lane: ' || l::text FROM outbox.deliveries d JOIN outbox.lanes l USING (lane)
				WHERE d.state IN ('pending', 'inflight', 'unknown') LIMIT 10`))
			t.Log("workers:", d.lines(t, `SELECT w::text FROM outbox.workers w ORDER BY token DESC LIMIT 5`),
				"gates:", d.lines(t, `SELECT g::text FROM outbox.gates g`), "states:", d.states(t))
		}
	})
	require.Eventually(t, func() bool {
		cons, err := d.js.Consumer(t.Context(), d.stack.config.NATS.Stream, d.stack.config.NATS.Consumer)
		if err != nil {
			return false
		}
		info, err := cons.Info(t.Context())
		return err == nil && info.NumPending == 0 && info.NumAckPending == 0 && d.count(t, open) == 0
	}, within, 100*time.Millisecond)
}

func (s *stack) count(t *testing.T, sql string, args ...any) int {
	t.Helper()
	var n int
	require.NoError(t, s.db.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

func (s *stack) counts(t *testing.T, sql string) map[string]int {
	t.Helper()
	rows, err := s.db.Query(t.Context(), sql)
	require.NoError(t, err)
	counts := map[string]int{}
	var key string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&key, &n}, func() error { counts[key] = n; return nil })
	require.NoError(t, err)
	return counts
}

func (s *stack) lines(t *testing.T, sql string) string {
	t.Helper()
	rows, err := s.db.Query(context.Background(), sql)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return "\n" + strings.Join(lines, "\n")
}

// kept checks what doesn't depend on the vendor: each event once, and the exact
// counts of rejects and conflicts.
func (d *shopDay) kept(t *testing.T) {
	t.Helper()
	events := map[string]int{}
	for typ, n := range d.Events {
		if n > 0 {
			events[string(typ)] = n
		}
	}
	if d.overtaken {
		// Which of two that contradict each other comes first is open, how many
		// there are isn't.
		sum := 0
		for _, n := range events {
			sum += n
		}
		require.Equal(t, sum, d.count(t, `SELECT count(*) FROM outbox.events`))
		require.Equal(t, sum, d.count(t, `SELECT count(*) FROM outbox.deliveries`))
		require.Equal(t, d.Conflicts, d.count(t, `SELECT count(*) FROM outbox.conflicts`))
	} else {
		require.Equal(t, events, d.counts(t, `SELECT type, count(*) FROM outbox.events GROUP BY 1`))
		require.Equal(t, events, d.counts(t, `SELECT type, count(*) FROM outbox.deliveries GROUP BY 1`))
		require.Equal(t, d.Conflicts, d.count(t, `SELECT coalesce(sum(count), 0)::int FROM outbox.conflicts`))
	}
	rejects := map[string]int{}
	for reason, n := range d.Rejects {
		rejects[string(reason)] = n
	}
	require.Equal(t, rejects, d.counts(t, `SELECT reason, sum(count)::int FROM outbox.rejects GROUP BY 1`))
}

// operations names the sandbox's operation for each type of event.
var operations = map[event.Type]string{
	event.OrderCreated: sandbox.OpDealCreate, event.OrderUpdated: sandbox.OpDealUpdate,
	event.OrderCancelled: sandbox.OpDealCancel, event.OrderDeleted: sandbox.OpDealDelete,
	event.OrderRefunded: sandbox.OpDealRefund, event.OrderRefundDeleted: sandbox.OpDealDeleteRefund,
	event.PointIncremented: sandbox.OpPointIncr, event.PointDecremented: sandbox.OpPointDecr,
}

// truthful checks I2 and I6 against the vendor's ledger: delivered if and only if
// the effect is there, once; dead only if it isn't. Where a person has to decide
// the effect may be there, once at most.
func (d *shopDay) truthful(t *testing.T) {
	t.Helper()
	type key struct{ op, key string }
	effects := map[key]int{}
	for _, e := range d.sandbox.Effects() {
		switch {
		case e.Repeat:
		case e.Points != 0:
			effects[key{e.Op, uuidOf(e.UUID)}]++
		default:
			effects[key{e.Op, e.Key}]++
		}
	}
	rows, err := d.db.Query(t.Context(), `
		SELECT d.type, CASE WHEN d.type LIKE 'point.%' THEN e.uuid ELSE e.order_no END,
			count(*) FILTER (WHERE state = 'delivered'), count(*) FILTER (WHERE state IN ('held', 'unknown') AND ambiguous)
		FROM outbox.deliveries d JOIN outbox.events e ON e.id = d.event_id GROUP BY 1, 2`)
	require.NoError(t, err)
	var typ, id string
	var delivered, open int
	_, err = pgx.ForEachRow(rows, []any{&typ, &id, &delivered, &open}, func() error {
		n := effects[key{operations[event.Type(typ)], id}]
		delete(effects, key{operations[event.Type(typ)], id})
		if n < delivered || n > delivered+open {
			return fmt.Errorf("%s %s: %d delivered, %d open to a person, and %d effects at the vendor: %+v", typ, id, delivered, open, n, d.sandbox.CallsOf(id))
		}
		return nil
	})
	require.NoError(t, err)
	require.Empty(t, effects, "effects that no delivery stands for")
	require.Zero(t, d.count(t, `SELECT count(*) FROM outbox.deliveries d WHERE calls > 0 AND attempts + calls > 0 AND NOT EXISTS (
		SELECT FROM outbox.attempts a WHERE a.delivery_id = d.id) AND ever_ambiguous = false AND state = 'delivered'`),
		"an effect without an attempt on record")
}

// uuidOf is the event's uuid in a vendor key: one that was minted after another
// was used up has more behind it.
func uuidOf(key string) string {
	uuid, _, _ := strings.Cut(key, "~")
	return uuid
}

// careful checks that the worker did nothing that a careful client never does.
func (d *shopDay) careful(t *testing.T) {
	t.Helper()
	calls := map[int64]sandbox.Call{}
	for _, c := range d.sandbox.Calls() {
		calls[c.Seq] = c
	}
	members := map[string]string{}
	rows, err := d.db.Query(t.Context(), `SELECT uuid, member FROM outbox.events WHERE type LIKE 'point.%'`)
	require.NoError(t, err)
	var uuid, member string
	_, err = pgx.ForEachRow(rows, []any{&uuid, &member}, func() error { members[uuid] = member; return nil })
	require.NoError(t, err)
	names := map[int64]map[string]bool{}
	for _, c := range calls {
		if name := members[uuidOf(c.UUID)]; name != "" {
			if names[c.Member] == nil {
				names[c.Member] = map[string]bool{}
			}
			names[c.Member][name] = true
		}
	}
	for _, v := range d.sandbox.Violations() {
		if v.Kind == sandbox.Overlap {
			// A call that the worker has given up on may still be under way there,
			// and a member that events name differently has two lanes.
			one, other := calls[v.Call], calls[v.Other]
			if one.Fault != "" || other.Fault != "" || len(names[one.Member]) > 1 {
				continue
			}
		}
		if v.Kind == sandbox.AfterDelete && (v.Op == sandbox.OpDealDelete || d.overtaken) {
			continue // a delete is safe to repeat after an unclear answer
		}
		if v.Kind == sandbox.OverRefund && d.overtaken &&
			d.count(t, `SELECT count(*) FROM outbox.conflicts WHERE order_no = $1`, v.Key) > 0 {
			continue // the refund that contradicts the other, by a cent more, came first
		}
		require.Fail(t, "violation", "%+v\n%+v\n%+v", v, calls[v.Call], calls[v.Other])
	}
}

// agrees checks I5 by the views that finance reads, to the cent.
func (d *shopDay) agrees(t *testing.T) {
	t.Helper()
	sum := d.sandbox.Summary()
	require.Equal(t, int(sum.PointsIn), d.count(t, `SELECT coalesce(sum(points_applied), 0)::int FROM finance.points WHERE direction = 1 AND delivery_state = 'delivered'`))
	require.Equal(t, int(sum.PointsOut), d.count(t, `SELECT coalesce(sum(points_applied), 0)::int FROM finance.points WHERE direction = -1 AND delivery_state = 'delivered'`))
	type sums struct {
		paid, refunded decimal.Decimal
		open           bool
	}
	rows, err := d.db.Query(t.Context(), `SELECT order_no, coalesce(amount_paid, 0), refunded_total, order_no IN (
		SELECT order_no FROM finance.deliveries WHERE state = 'held') FROM finance.orders`)
	require.NoError(t, err)
	ours := map[string]sums{}
	var no string
	var row sums
	_, err = pgx.ForEachRow(rows, []any{&no, &row.paid, &row.refunded, &row.open}, func() error { ours[no] = row; return nil })
	require.NoError(t, err)
	for _, theirs := range d.sandbox.Orders() {
		our, found := ours[theirs.OrderNo]
		require.True(t, found, theirs.OrderNo)
		if !our.open {
			require.Equal(t, theirs.AmountPaid.String(), our.paid.String(), theirs.OrderNo)
			require.Equal(t, theirs.Refunded.String(), our.refunded.String(), theirs.OrderNo)
		}
	}
}

// discreet checks I10: no secret, token, mobile number or name in a log.
func (d *shopDay) discreet(t *testing.T, logs ...string) {
	t.Helper()
	var tokens []string
	rows, err := d.db.Query(t.Context(), `SELECT token FROM outbox.tokens`)
	require.NoError(t, err)
	tokens, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.NotEmpty(t, tokens)
	for _, log := range logs {
		require.NotEmpty(t, log)
		for _, private := range slices.Concat(d.mobiles, tokens, []string{canarySecret, "access_token", trade.Person}) {
			require.NotContains(t, log, private)
		}
	}
	for _, secret := range append(tokens, canarySecret) {
		require.Zero(t, d.count(t, `SELECT count(*) FROM outbox.attempts WHERE strpos(concat(path, request, reply, vendor_message), $1) > 0`, secret))
	}
}

func TestADayOfTrade(t *testing.T) {
	s := newStack(t, sandbox.Switches{})
	d := newDay(t, s, trade.Config{
		Seed: 1, Orders: 2000, Points: 2000, Duplicates: 0.1, Conflicts: 20, Disorder: true, Bad: true,
		ShortOfPoints: 20, SeveralRefunds: 5, Strangers: 5, Orphans: 5,
	})
	d.publishAll(t)
	stop, log := s.start(t)
	d.settles(t, 2*time.Minute)
	stop()
	d.kept(t)
	require.Equal(t, d.Duplicates, d.count(t, `SELECT sum(duplicates)::int FROM outbox.identities`))
	require.Equal(t, d.expected(), d.states(t))
	d.truthful(t)
	d.careful(t)
	d.agrees(t)
	d.discreet(t, log.String())
	sum := s.sandbox.Summary()
	require.Equal(t, d.PointsIn, sum.PointsIn)
	require.Equal(t, d.PointsOut, sum.PointsOut)
	require.Equal(t, d.Paid.String(), sum.AmountPaid.String())
	require.Equal(t, d.Refunded.String(), sum.Refunded.String())
	require.LessOrEqual(t, sum.MaxInFlight, 32)
	require.Contains(t, log.String(), "drained: nothing is in flight")
}

// expected are the states that the day must come to.
func (d *shopDay) expected() map[string]int {
	states := map[string]int{}
	for _, n := range d.Delivered {
		states["delivered"] += n
	}
	for _, n := range d.Refused {
		states["dead:refused"] += n
	}
	for reason, n := range d.Held {
		if reason == "unseen_order" {
			reason = "predecessor_missing" // predecessor_wait isn't over yet
		}
		state := "held:"
		if strings.HasPrefix(reason, "predecessor_") {
			state = "waiting:"
		}
		states[state+reason] += n
	}
	return states
}

// everyFault fails one write in five in every way that the sandbox knows.
func everyFault() []sandbox.Rule {
	throttles := []sandbox.Fault{sandbox.ThrottleSeconds, sandbox.ThrottleDate}
	others := slices.DeleteFunc(sandbox.Faults(), func(f sandbox.Fault) bool { return slices.Contains(throttles, f) })
	return []sandbox.Rule{
		{Faults: throttles, Rate: 0.002},
		{Faults: others, Rate: 0.198, Late: sandbox.Duration(200 * time.Millisecond), Size: 1 << 20},
	}
}

// faulty is a day whose vendor fails one write in five.
func faulty(t *testing.T, seed uint64, orders, points int) *shopDay {
	t.Helper()
	s := newStack(t, sandbox.Switches{})
	account := s.config.Vendors["dmhub"]
	account.Semantics.OrderReads = "deals"
	account.Timeout, account.QuietPeriod = 500*time.Millisecond, 1500*time.Millisecond
	s.config.Vendors["dmhub"] = account
	require.NoError(t, s.sandbox.SetRules(everyFault()...))
	return newDay(t, s, trade.Config{
		Seed: seed, Orders: orders, Points: points, Duplicates: 0.1, Conflicts: 10, Disorder: true, Bad: true, ShortOfPoints: 10,
	})
}

// onlyWhatMust checks that what can be resolved by the documents is resolved.
func (d *shopDay) onlyWhatMust(t *testing.T) {
	t.Helper()
	held := d.counts(t, `SELECT type || ' ' || state || ' ' || reason, count(*) FROM outbox.deliveries
		WHERE state NOT IN ('delivered') GROUP BY 1`)
	t.Log(held)
	for what := range maps.Keys(held) {
		typ, rest, _ := strings.Cut(what, " ")
		switch {
		case d.overtaken && typ == "order.updated" && rest == "held superseded":
		case d.overtaken && typ == "order.cancelled" && (rest == "dead refused" || rest == "held mismatch"):
		case rest == "held unclear", rest == "held refused_after_unclear", rest == "held several_refunds":
			require.Contains(t, []string{"order.refunded", "order.refund_deleted"}, typ, what)
		case strings.HasPrefix(rest, "waiting predecessor_held"):
			require.NotContains(t, typ, "point.", what)
		case rest == "dead refused":
			require.Equal(t, "point.decremented", typ, what)
		default:
			require.Fail(t, "left over", "%s: %d", what, held[what])
		}
	}
	require.Zero(t, d.count(t, `SELECT count(*) FROM outbox.deliveries d JOIN outbox.lanes l USING (lane)
		WHERE d.state = 'waiting' AND NOT EXISTS (SELECT FROM outbox.deliveries h WHERE h.lane = d.lane AND h.state = 'held')`))
}

func TestADayWithAVendorThatFailsOneWriteInFive(t *testing.T) {
	d := faulty(t, 2, 2000, 2000)
	d.publishAll(t)
	stop, log := d.start(t)
	d.settles(t, 4*time.Minute)
	stop()
	d.kept(t)
	d.truthful(t)
	d.careful(t)
	d.onlyWhatMust(t)
	d.agrees(t)
	d.discreet(t, log.String())
}

// process is a worker of its own, which can be killed.
type process struct {
	cmd *exec.Cmd
	log *devtest.Log
}

func (s *stack) process(t *testing.T) *process {
	t.Helper()
	p := &process{log: &devtest.Log{}}
	p.cmd = exec.Command("syncworker", "run", "--config", s.configFile(t))
	p.cmd.Stderr = p.log
	p.cmd.Env = append(p.cmd.Environ(), "GORACE=atexit_sleep_ms=0", "SYNCWORKER_VENDORS_DMHUB_SECRET="+canarySecret, "SYNCWORKER_VENDORS_DEALS_SECRET="+canarySecret)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

func TestWorkersKilledAtRandom(t *testing.T) {
	d := faulty(t, 3, 2000, 2000)
	d.stack.config.NATS.AckWait, d.overtaken = 2*time.Second, true
	d.publishAll(t)
	workers := []*process{d.process(t), d.process(t)}
	var logs []string
	kill := time.NewTicker(1500 * time.Millisecond)
	defer kill.Stop()
	for n := range 20 {
		<-kill.C
		i := n % 2
		require.NoError(t, workers[i].cmd.Process.Kill())
		_ = workers[i].cmd.Wait()
		logs = append(logs, workers[i].log.String())
		workers[i] = d.process(t)
	}
	d.settles(t, 4*time.Minute)
	for _, w := range workers {
		require.NoError(t, w.cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, w.cmd.Wait(), w.log.String())
		logs = append(logs, w.log.String())
		require.Contains(t, w.log.String(), "drained: nothing is in flight")
	}
	d.kept(t)
	d.truthful(t)
	d.careful(t)
	d.onlyWhatMust(t)
	d.agrees(t)
	d.discreet(t, logs...)
}

// configFile writes the stack's configuration down for a process.
func (s *stack) configFile(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "nats: {url: %q, max_bytes: %d, ack_wait: %s}\n", string(s.config.NATS.URL), s.config.NATS.MaxBytes, s.config.NATS.AckWait)
	fmt.Fprintf(&b, "database: {url: %q}\nhttp: {listen: %q}\n", string(s.config.Database.URL), s.config.HTTP.Listen)
	fmt.Fprintf(&b, "dispatch: {lease: %s, drain_timeout: %s}\nvendors:\n", s.config.Dispatch.Lease, s.config.Dispatch.DrainTimeout)
	for name, a := range s.config.Vendors {
		fmt.Fprintf(&b, "  %s: {kind: %s, base_url: %q, app_id: %s, timeout: %s, max_in_flight: %d, rate_limit: %g, quiet_period: %s, early_grace: %s, "+
			"retry: {initial: %s, max: %s}, semantics: {order_reads: %q}}\n", name, a.Kind, a.BaseURL, a.AppID, a.Timeout, a.MaxInFlight,
			a.RateLimit, a.QuietPeriod, a.EarlyGrace, a.Retry.Initial, a.Retry.Max, a.Semantics.OrderReads)
	}
	b.WriteString("routes:\n  - {types: [\"order.*\", \"point.*\"], tenants: [\"*\"], accounts: [dmhub]}\n")
	path := filepath.Join(t.TempDir(), "syncworker.yaml")
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o600))
	return path
}
