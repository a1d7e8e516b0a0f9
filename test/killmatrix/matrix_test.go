package killmatrix

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	fp "syncworker/internal/failpoint"
	"syncworker/internal/sandbox"
)

func TestKillMatrix(t *testing.T) {
	r := &report{}
	t.Run("cells", func(t *testing.T) {
		for _, s := range steps() {
			for _, op := range operations() {
				for _, applied := range []bool{true, false} {
					if applied && !s.either {
						continue
					}
					if !chosen(s, op, applied) {
						continue
					}
					name := fmt.Sprintf("%s/%s/%s/%s", s.Point, s.action, op.account, op.Type)
					if s.either {
						name += map[bool]string{true: "/applied", false: "/not_applied"}[applied]
					}
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						want := expect(s, op, applied)
						c := newCell(t, quiet(s))
						c.account = op.account
						got := c.meets(s, op, applied, want)
						r.add(s, op, applied, got)
						require.Equal(t, want, got)
					})
				}
			}
		}
	})
	r.write(t)
}

// quiet is how long a call may still arrive. Where the worker goes on it has
// passed when an unclear answer is looked into, and where another takes over it
// hasn't.
func quiet(s step) time.Duration {
	if s.action == fail {
		return 20 * time.Millisecond
	}
	return time.Second
}

// meets lets a worker meet a step of an operation, waits until what has to
// become of it has, and returns what is there then.
func (c *cell) meets(s step, op operation, applied bool, want outcome) outcome {
	c.t.Helper()
	first := c.start(fmt.Sprintf("%s=%s", spec(s, op), s.action))
	c.renews(2) // the first time it may still be about to begin, and have nothing to lose
	c.publish(op.before...)
	c.becomes("delivered", op.before...)
	c.vendorDoes(s, op, applied)
	asleep := s.Point == fp.Acked || s.Point == fp.Claimed
	if asleep {
		c.pause()
	}
	c.publish(op.Type)
	if s.Point == fp.Claimed {
		c.becomes("pending", op.Type)
		c.resume()
	}
	if s.Point == fp.Draining {
		eventually(c.t, func() bool {
			return slices.ContainsFunc(c.sandbox.Calls(), func(x sandbox.Call) bool { return x.Op == op.call && x.Fault != "" })
		}, "the call is under way")
		require.NoError(c.t, first.cmd.Process.Signal(sigterm))
	}
	workers := c.goesOn(s, first)
	if s.Point == fp.Acked {
		c.resume()
	}
	return c.finishes(s, op, first, workers, want)
}

// finishes waits until the event stands as wanted, lets a frozen worker come
// back, and returns what is there when all have ended.
func (c *cell) finishes(s step, op operation, first *process, workers []*process, want outcome) outcome {
	c.t.Helper()
	c.becomes(meanwhile(s, op, want), op.Type)
	if s.action == stop {
		workers = c.comesBack(s, first, workers)
	}
	eventually(c.t, func() bool { return c.alive() == pids(workers) }, "they work, and who is gone has ended")
	const due = `SELECT string_agg(l::text, '; ') FROM outbox.lanes l WHERE next_at IS NOT NULL OR owner IS NOT NULL`
	eventually(c.t, func() bool { return c.text(due) == "" }, "no lane is left to look at")
	eventually(c.t, func() bool { return c.unread() == 0 }, "nothing is left in the stream")
	for _, w := range workers {
		w.drains(c.t)
	}
	c.sound(op)
	return outcome{State: c.state(op.Type), Effects: c.effects(op), Calls: c.calls(op.Type)}
}

// comesBack lets a frozen worker go on once it has lost its lease, and returns the
// workers that are there then.
func (c *cell) comesBack(s step, first *process, workers []*process) []*process {
	c.t.Helper()
	eventually(c.t, func() bool { return c.alive() == pids(workers[:1]) }, "the frozen worker's token has ended")
	require.NoError(c.t, first.cmd.Process.Signal(sigcont))
	if s.Point == fp.Draining {
		first.log.Says(c.t, "recorded a late answer")
		require.NoError(c.t, first.cmd.Wait(), "it was told to stop")
		return workers[:1]
	}
	first.log.Says(c.t, "going on under a new token")
	return workers
}

// spec is the step as the environment names it.
func spec(s step, op operation) string {
	if s.Point == fp.Draining {
		return string(s.Point)
	}
	return fmt.Sprintf("%s/%s", s.Point, op.Type)
}

// vendorDoes arranges that the vendor applies the operation's first call or not,
// and answers or not, as far as the step lets it come to that.
func (c *cell) vendorDoes(s step, op operation, applied bool) {
	c.t.Helper()
	fault := sandbox.Fault("")
	switch {
	case s.Point == fp.Sent || s.Point == fp.Draining:
		fault = map[bool]sandbox.Fault{true: "hang_after", false: "hang_before"}[applied]
	case s.either && !applied:
		fault = "error_before"
	}
	if fault != "" {
		require.NoError(c.t, c.sandbox.SetRules(sandbox.Rule{Faults: []sandbox.Fault{fault}, Ops: []string{op.call}, Nth: 1}))
	}
}

// goesOn waits until the first worker has met its failpoint, and returns the
// workers that are there from then on.
func (c *cell) goesOn(s step, first *process) []*process {
	c.t.Helper()
	switch s.action {
	case kill:
		killed(c.t, first.cmd)
		return []*process{c.start("")}
	case stop:
		frozen(c.t, first.cmd)
		return []*process{c.start(""), first}
	}
	first.log.Says(c.t, fmt.Sprintf("failpoint: %s", s.Point))
	return []*process{first}
}

// effects counts what the vendor has of an operation. To set what is there
// already isn't an effect.
func (c *cell) effects(op operation) int {
	n := 0
	for _, e := range c.sandbox.Effects() {
		if e.Op == op.call && !e.Repeat {
			n++
		}
	}
	return n
}

// sound checks what holds whatever has happened: the order at the vendor, all
// that was published once in the outbox, nothing left in anybody's hands, and
// nothing written by whom it isn't due to.
func (c *cell) sound(op operation) {
	c.t.Helper()
	c.inOrder(op)
	for _, t := range op.before {
		require.Equal(c.t, "delivered", c.state(t), "%s", t)
	}
	count := func(sql string) string { c.t.Helper(); return c.text(`SELECT count(*)::text ` + sql) }
	require.Equal(c.t, fmt.Sprint(len(c.sent)), count(`FROM outbox.events`))
	require.Equal(c.t, fmt.Sprint(len(c.sent)), count(`FROM outbox.deliveries`))
	require.Equal(c.t, "0", c.text(`SELECT sum(duplicates)::text FROM outbox.identities`), "counted as a duplicate")
	require.Equal(c.t, "0", count(`FROM outbox.conflicts`))
	require.Equal(c.t, "0", count(`FROM outbox.rejects`))
	require.Empty(c.t, c.text(`SELECT string_agg(w::text, E'\n') FROM outbox.workers w WHERE ended_at IS NULL`), "workers that never ended")
	require.Equal(c.t, "0", count(`FROM outbox.lanes WHERE owner IS NOT NULL`), "lanes in somebody's hands")
	require.Equal(c.t, "0", count(`FROM outbox.deliveries WHERE owner IS NOT NULL AND state <> 'delivered'`), "deliveries in somebody's hands")
	require.Equal(c.t, "0", count(`FROM outbox.lanes WHERE next_at IS NOT NULL`), "something is still due")
	require.Equal(c.t, "0", count(`FROM outbox.attempts a JOIN outbox.workers w ON w.token = a.worker
		WHERE NOT a.late AND a.recorded_at > w.ended_at`), "written under a token that had ended")
	require.Zero(c.t, c.unread(), "left in the stream")
}

// unread is how many messages aren't acknowledged.
func (c *cell) unread() int {
	c.t.Helper()
	cons, err := c.js.Consumer(c.t.Context(), "SYNC", "syncworker")
	require.NoError(c.t, err)
	return int(cons.CachedInfo().NumPending) + cons.CachedInfo().NumAckPending
}

// inOrder checks that the effects came in the order of the events, and that the
// worker did nothing that a careful client never does.
func (c *cell) inOrder(op operation) {
	c.t.Helper()
	var order []string
	for _, t := range append(slices.Clone(op.before), op.Type) {
		order = append(order, operationOf(op.account, t).call)
	}
	last := 0
	for _, e := range c.sandbox.Effects() {
		at := slices.Index(order, e.Op)
		require.GreaterOrEqual(c.t, at, last, "%s took effect out of its order: %v", e.Op, order)
		last = at
	}
	calls := c.sandbox.Calls()
	for _, v := range c.sandbox.Violations() {
		if v.Kind == sandbox.Overlap && calls[v.Other-1].Fault != "" {
			continue // the call that hangs has been given up, as far as a client can
		}
		if v.Kind == sandbox.AfterDelete && (v.Op == sandbox.OpDealDelete || v.Op == sandbox.OpCustomerDealDelete) {
			continue // a delete is safe to repeat
		}
		require.Fail(c.t, "violation", "%+v\n%s", v, strings.ReplaceAll(fmt.Sprintf("%+v", calls), "} {", "}\n{"))
	}
}
