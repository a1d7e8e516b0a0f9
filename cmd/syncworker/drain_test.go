package main

import (
	"net/http"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/config"
	"syncworker/internal/sandbox"
)

// ends waits for a process that was told to stop, and returns how long it took.
func (p *process) ends(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.cmd.Wait(), p.log.String())
	return time.Since(began)
}

// ready waits until a process works and consumes.
func (s *stack) ready(t *testing.T, p *process) {
	t.Helper()
	eventually(t, func() bool { status, _ := page(t, p.log, "/readyz"); return status == http.StatusOK }, "it is ready")
	eventually(t, func() bool {
		_, err := s.js.Consumer(t.Context(), s.config.NATS.Stream, s.config.NATS.Consumer)
		return err == nil
	}, "it consumes")
}

func TestAWorkerThatIsStoppedEndsInTimeWhateverTheVendorDoes(t *testing.T) {
	t.Parallel()
	s := newStack(t, sandbox.Switches{UUIDTrace: "remark"})
	account := s.config.Vendors["dmhub"]
	account.Timeout = 10 * time.Second
	s.config.Vendors["dmhub"] = account
	s.config.Dispatch = config.Dispatch{Lease: 40 * time.Second, DrainTimeout: 2 * time.Second}
	require.NoError(t, s.sandbox.SetRules(sandbox.Rule{
		Faults: []sandbox.Fault{"hang_before", "hang_after"}, Ops: []string{sandbox.OpPointIncr}, Rate: 1,
	}))
	first := s.process(t)
	s.ready(t, first)
	s.increments(t, 0, 60)
	eventually(t, func() bool { return s.count(t, `SELECT count(*) FROM outbox.events`) == 60 }, "all is taken in")
	eventually(t, func() bool { return s.sandbox.Summary().InFlight == 32 }, "as many calls hang as may be in flight")
	require.Less(t, first.ends(t), 2500*time.Millisecond)
	require.Contains(t, first.log.String(), "drained: nothing is in flight")
	require.Equal(t, map[string]int{"pending:no_answer": 32, "pending:not_reached": 28}, s.states(t))
	require.Zero(t, s.count(t, `SELECT count(*) FROM outbox.deliveries WHERE owner IS NOT NULL`))
	require.Equal(t, 32, s.count(t, `SELECT count(*) FROM outbox.attempts WHERE class = 'ambiguous'`), "nothing unrecorded")
	require.Zero(t, s.count(t, `SELECT count(*) FROM outbox.workers WHERE ended_at IS NULL`))

	require.NoError(t, s.sandbox.SetRules())
	began := time.Now()
	second := s.process(t)
	s.stand(t, map[string]int{"delivered": 60})
	require.Less(t, time.Since(began), 10*time.Second, "no lease has to run out first")
	s.once(t, 60)
	require.Less(t, second.ends(t), 2*time.Second, "nothing is under way")
}

func TestAWorkerThatWasFrozenPastItsLeaseWritesNothingUnderIt(t *testing.T) {
	t.Parallel()
	s := newStack(t, sandbox.Switches{Latency: sandbox.Duration(100 * time.Millisecond), UUIDTrace: "remark"})
	s.config.NATS.AckWait = 2 * time.Second
	frozen := s.process(t)
	s.ready(t, frozen)
	s.increments(t, 0, 300)
	eventually(t, func() bool { return s.effects() > 50 }, "calls are under way")
	require.NoError(t, frozen.cmd.Process.Signal(syscall.SIGSTOP))
	other := s.process(t)
	other.log.Says(t, "took over from a worker whose lease ran out")
	s.increments(t, 300, 320)
	require.NoError(t, frozen.cmd.Process.Signal(syscall.SIGCONT))
	frozen.log.Says(t, "going on under a new token")
	s.increments(t, 320, 400)
	s.stand(t, map[string]int{"delivered": 400})
	s.once(t, 400)
	require.Zero(t, s.count(t, `SELECT count(*) FROM outbox.attempts a JOIN outbox.workers w ON w.token = a.worker
		WHERE NOT a.late AND a.recorded_at > w.ended_at`), "nothing is written under a token that has ended")
	require.Equal(t, 3, s.count(t, `SELECT count(*) FROM outbox.workers`))
	require.NotContains(t, other.log.String(), "going on under a new token")
	frozen.ends(t)
	other.ends(t)
}

// joins starts one more worker and waits until the others have made room for it.
func (s *stack) joins(t *testing.T) {
	t.Helper()
	s.start(t)
	eventually(t, func() bool {
		return s.count(t, `SELECT count(*) FROM outbox.workers WHERE started_at < now() - $1::interval`, s.config.Dispatch.Lease/3) == 2
	}, "there are two")
}

func TestWorkersShareTheCallsInFlightOfAnAccount(t *testing.T) {
	t.Parallel()
	s := newStack(t, sandbox.Switches{Latency: sandbox.Duration(50 * time.Millisecond)})
	account := s.config.Vendors["dmhub"]
	account.MaxInFlight = 6
	s.config.Vendors["dmhub"] = account
	s.start(t)
	s.increments(t, 0, 200)
	eventually(t, func() bool { return s.sandbox.Summary().InFlight == 6 }, "the first takes all there is")
	s.joins(t)
	s.increments(t, 200, 400)
	s.stand(t, map[string]int{"delivered": 400})
	s.once(t, 400)
	require.Equal(t, 6, s.sandbox.Summary().MaxInFlight)
	require.Equal(t, 2, s.count(t, `SELECT count(DISTINCT worker) FROM outbox.attempts`), "both have called")
}

func TestWorkersShareTheRateOfAnAccount(t *testing.T) {
	t.Parallel()
	const rate = 60
	s := newStack(t, sandbox.Switches{})
	account := s.config.Vendors["dmhub"]
	account.RateLimit = rate
	s.config.Vendors["dmhub"] = account
	s.start(t)
	s.increments(t, 0, 100)
	s.joins(t)
	s.increments(t, 100, 300)
	s.stand(t, map[string]int{"delivered": 300})
	s.once(t, 300)
	var times []time.Time
	for _, c := range s.sandbox.Calls() {
		if c.Op == sandbox.OpPointIncr {
			times = append(times, c.Time)
		}
	}
	const seconds = 2
	for i := range times {
		if last := i + rate*seconds*11/10; last < len(times) {
			require.GreaterOrEqual(t, times[last].Sub(times[i]), seconds*time.Second, "calls %d to %d", i, last)
		}
	}
	require.Equal(t, 2, s.count(t, `SELECT count(DISTINCT worker) FROM outbox.attempts`), "both have called")
}

func TestAnAccountThatHangsDoesntSlowTheOther(t *testing.T) {
	t.Parallel()
	s := newStack(t, sandbox.Switches{})
	hanging, err := sandbox.New(sandbox.Config{Accounts: []sandbox.Account{{AppID: "app", Secret: canarySecret}}})
	require.NoError(t, err)
	require.NoError(t, hanging.SetRules(sandbox.Rule{Faults: []sandbox.Fault{"hang_before"}, Ops: []string{"*"}, Rate: 1}))
	server, err := sandbox.Listen("127.0.0.1:0", hanging)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	account := s.config.Vendors["dmhub"]
	account.BaseURL = server.URL
	s.config.Vendors["hangs"] = account
	s.config.Routes[0].Accounts = []string{"dmhub", "hangs"}

	stop, log := s.start(t)
	began := time.Now()
	s.increments(t, 0, 500)
	eventually(t, func() bool {
		return s.count(t, `SELECT count(*) FROM outbox.deliveries WHERE account = 'dmhub' AND state = 'delivered'`) == 500
	}, "the account that answers has everything")
	require.Less(t, time.Since(began), 5*time.Second)
	s.once(t, 500)
	require.Zero(t, s.count(t, `SELECT count(*) FROM outbox.deliveries WHERE account = 'hangs' AND state NOT IN ('pending', 'inflight', 'unknown')`))
	log.Says(t, `"account":"hangs","cause":"no_answer","message":"the circuit is open`)
	require.NotRegexp(t, regexp.MustCompile(`"account":"dmhub","cause"`), log.String())
	stop()
}
