package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/devstack/devtest"
	"syncworker/internal/sandbox"
)

func TestAFailoverThatLostTheLastSecondsIsSeenByARunningWorker(t *testing.T) {
	t.Parallel()
	pg := devtest.Postgres(t, true)
	require.NoError(t, migrate(t.Context(), pg.URL))
	s := newStackOn(t, pg.URL, sandbox.Switches{UUIDTrace: "remark"})
	var data string
	require.NoError(t, s.db.QueryRow(t.Context(), `SHOW data_directory`).Scan(&data))
	run := func(name string, args ...string) {
		t.Helper()
		out, err := exec.Command(name, args...).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	restart := func() {
		t.Helper()
		require.NoError(t, pg.Restart(t.Context()))
		s.connect(t)
	}
	_, log := s.start(t)
	s.increments(t, 0, 50)
	s.stand(t, map[string]int{"delivered": 50})
	eventually(t, func() bool { return s.count(t, `SELECT coalesce(max(floor), 0)::int FROM outbox.positions`) == 50 }, "its place is stored")
	pg.Kill()
	behind := data + ".behind"
	run("cp", "-a", data, behind)
	restart()
	s.increments(t, 50, 60)
	s.stand(t, map[string]int{"delivered": 60})

	// Another server takes over, which lacks the last commits. The worker sees no
	// more of it than connections that broke.
	pg.Kill()
	run("rm", "-r", data)
	run("mv", behind, data)
	restart()
	eventually(t, func() bool { return s.count(t, `SELECT count(*) FROM outbox.events`) == 60 }, "what was lost is read again")
	s.stand(t, map[string]int{"delivered": 60})
	s.once(t, 60)
	require.Equal(t, 60, s.pointCalls())
	log.Says(t, `the database had lost events`)
	s.increments(t, 60, 70)
	s.stand(t, map[string]int{"delivered": 70})
	require.Equal(t, 70, s.pointCalls())
}

// A delivery that is pending in the state that comes back may have been sent in
// the time that is lost. Nothing else tells so: no event came in that time.
func TestWhatWasSentInALostTimeIsReadNotRepeated(t *testing.T) {
	for name, anew := range map[string]bool{"by the worker that runs": false, "by a worker that starts": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pg := devtest.Postgres(t, true)
			require.NoError(t, migrate(t.Context(), pg.URL))
			s := newStackOn(t, pg.URL, sandbox.Switches{UUIDTrace: "remark"})
			account := s.config.Vendors["dmhub"]
			account.Semantics.OrderReads = "deals"
			s.config.Vendors["dmhub"] = account
			var data string
			require.NoError(t, s.db.QueryRow(t.Context(), `SHOW data_directory`).Scan(&data))
			run := func(name string, args ...string) {
				t.Helper()
				out, err := exec.Command(name, args...).CombinedOutput()
				require.NoError(t, err, string(out))
			}
			now := time.Now().Add(-time.Hour)
			stop, log := s.start(t)
			s.increments(t, 0, 10)
			s.order(t, "o", now)
			s.stand(t, map[string]int{"delivered": 11})
			pause := func(paused any) {
				t.Helper()
				_, err := s.db.Exec(t.Context(), `INSERT INTO outbox.gates (account, paused_at) VALUES ('dmhub', $1)
					ON CONFLICT (account) DO UPDATE SET paused_at = excluded.paused_at`, paused)
				require.NoError(t, err)
			}
			pause(time.Now())
			eventually(t, func() bool {
				_, metrics := page(t, log, "/metrics")
				return strings.Contains(metrics, `syncworker_account_closed{account="dmhub",cause="paused"} 1`)
			}, "it is paused")
			s.increments(t, 10, 30)
			s.refund(t, "o", now.Add(time.Minute))
			s.order(t, "p", now)
			eventually(t, func() bool { return s.count(t, `SELECT coalesce(max(floor), 0)::int FROM outbox.positions`) == 33 }, "its place is stored")
			pg.Kill()
			run("cp", "-a", data, data+".behind")
			require.NoError(t, pg.Restart(t.Context()))
			s.connect(t)
			pause(nil)
			s.stand(t, map[string]int{"delivered": 33})
			calls := s.sandbox.Summary().ByOp
			if anew {
				stop()
			}

			pg.Kill()
			// What comes now isn't sent, but a worker that runs can't tell: it has read it.
			s.order(t, "q", now)
			s.publish(t, "order.updated", now.Add(time.Minute), map[string]any{"orderNo": "q", "uuid": "u-q", "paymentTerm": "card"})
			run("rm", "-r", data)
			run("mv", data+".behind", data)
			require.NoError(t, pg.Restart(t.Context()))
			s.connect(t)
			pause(nil)
			if anew {
				_, log = s.start(t)
			}
			log.Says(t, "the database has gone back in time")
			s.stand(t, map[string]int{"delivered": 34, "held:unclear": 1})
			require.Equal(t, "order.refunded", s.lines(t, `SELECT type FROM outbox.deliveries WHERE state = 'held'`)[1:])
			s.once(t, 30)
			after := s.sandbox.Summary().ByOp
			require.Equal(t, calls[sandbox.OpDealCreate].Calls+1, after[sandbox.OpDealCreate].Calls, "of q")
			for _, op := range []string{sandbox.OpPointIncr, sandbox.OpDealRefund} {
				require.Equal(t, calls[op].Calls, after[op].Calls, op)
			}
			require.Equal(t, 1, s.count(t, `SELECT count(*) FROM outbox.audit WHERE action = 'doubt'`), "it is found once")
			s.increments(t, 30, 40)
			s.stand(t, map[string]int{"delivered": 44, "held:unclear": 1})
			require.Equal(t, 40, s.pointCalls())
		})
	}
}
