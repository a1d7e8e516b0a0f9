package killmatrix

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/devstack/devtest"
	"syncworker/internal/event"
	fp "syncworker/internal/failpoint"
	"syncworker/internal/sandbox"
)

func TestAWorkerThatHasFetchedATokenAndNotStoredIt(t *testing.T) {
	for _, tt := range []struct {
		action string
		typ    event.Type
		want   outcome
	}{
		// The first token of all.
		{kill, event.PointIncremented, outcome{"delivered", 1, "push"}},
		{stop, event.PointIncremented, outcome{"delivered", 1, "push token!"}},
		{fail, event.PointIncremented, outcome{"delivered", 1, "token push"}},
		// One that replaces what the gateway has refused in the middle of a call.
		{kill, event.OrderRefunded, outcome{"held unclear", 0, ""}},
		{stop, event.OrderRefunded, outcome{"delivered", 1, "push! push"}},
		{fail, event.OrderRefunded, outcome{"delivered", 1, "push push"}},
	} {
		t.Run(fmt.Sprintf("%s/%s", tt.action, tt.typ), func(t *testing.T) {
			t.Parallel()
			op, nth := operationOf(dmhub, tt.typ), 1
			c := newCell(t, time.Second)
			if len(op.before) > 0 {
				nth = 2
				require.NoError(t, c.sandbox.SetRules(sandbox.Rule{Faults: []sandbox.Fault{sandbox.TokenExpired}, Ops: []string{op.call}, Nth: 1}))
			}
			first := c.start(fmt.Sprintf("token/dmhub=%s@%d", tt.action, nth))
			c.publish(op.before...)
			c.becomes("delivered", op.before...)
			c.publish(op.Type)
			s := step{fp.Token, tt.action, false}
			got := c.finishes(s, op, first, c.goesOn(s, first), tt.want)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestARefundIsNotUnclearWhereItsWorkerDiedBeforeItHadAToken(t *testing.T) {
	for _, tt := range []struct {
		action string
		want   outcome
	}{
		{kill, outcome{"delivered", 1, "push"}},
		{fail, outcome{"delivered", 1, "token push"}},
	} {
		t.Run(tt.action, func(t *testing.T) {
			t.Parallel()
			op := operationOf(dmhub, event.OrderRefunded)
			c := newCell(t, time.Second)
			w := c.start("")
			c.publish(op.before...)
			c.becomes("delivered", op.before...)
			w.drains(t)
			_, err := c.db.Exec(t.Context(), `UPDATE outbox.tokens SET expires_at = now() WHERE account = 'dmhub'`)
			require.NoError(t, err)

			first := c.start("token/dmhub=" + tt.action)
			c.publish(op.Type)
			s := step{fp.Token, tt.action, false}
			require.Equal(t, tt.want, c.finishes(s, op, first, c.goesOn(s, first), tt.want))
		})
	}
}

// An identity is bound and taken away again, by a call that is lost. A read that lags
// shows nobody who has it, as it was before both.
func TestAReadThatLagsProvesNoState(t *testing.T) {
	t.Parallel()
	const lag = 3 * time.Second
	op := operationOf(dmhub, event.MemberIdentityRemoved)
	c := newCell(t, lag)
	require.NoError(t, c.sandbox.SetSwitches(sandbox.Switches{ReadsLag: sandbox.Duration(lag)}))
	want := outcome{"delivered", 1, "find find push"}
	require.Equal(t, want, c.meets(step{fp.Sending, kill, false}, op, false, want))
}

func TestAMigrationThatDoesNotGetToItsEnd(t *testing.T) {
	for _, action := range []string{kill, stop, fail} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			c := newCellOn(t, devtest.Database(t, nil), time.Second)
			first := c.command("migrating="+action, "migrate", "up")
			require.NoError(t, first.Start())
			t.Cleanup(func() { _ = first.Process.Kill() })
			switch action {
			case kill:
				killed(t, first)
			case stop:
				frozen(t, first)
			default:
				require.Error(t, first.Wait())
			}
			const applied = `SELECT string_agg(version_id::text, ' ' ORDER BY id) FROM goose_db_version WHERE version_id > 0`
			require.Equal(t, "1", c.text(applied))
			c.does("migrate", "up")
			all := c.text(applied)
			require.Regexp(t, `^1 2 3( \d+)*$`, all)
			if action == stop {
				require.NoError(t, first.Process.Signal(syscall.SIGCONT))
				require.NoError(t, first.Wait())
			}
			require.Equal(t, all, c.text(applied), "each once")

			w := c.start("")
			c.publish(event.OrderCreated)
			c.becomes("delivered", event.OrderCreated)
			w.drains(t)
		})
	}
}

func TestADecisionThatDoesNotGetToItsEnd(t *testing.T) {
	for _, tt := range []struct {
		point, action string
		done          bool // it has been carried out all the same
	}{
		{"replaying", kill, false},
		{"replaying", fail, false},
		{"replayed", kill, true},
		{"replayed", fail, true},
	} {
		t.Run(tt.point+"/"+tt.action, func(t *testing.T) {
			t.Parallel()
			op := operationOf(dmhub, event.PointDecremented)
			c := newCell(t, time.Second)
			poor, err := c.sandbox.SeedMembers(sandbox.Seed{Count: 1, Mobile: "13900000000"})
			require.NoError(t, err)
			c.member = poor[0]
			w := c.start("")
			c.publish(op.Type)
			c.becomes("dead refused", op.Type)
			c.publish(event.PointIncremented)
			c.becomes("delivered", event.PointIncremented)

			id := c.text(`SELECT id::text FROM outbox.deliveries WHERE type = $1`, string(op.Type))
			replay := []string{"deliveries", "replay", id, "--yes", "--reason", "the points are there now"}
			first := c.command(fmt.Sprintf("%s/replay=%s", tt.point, tt.action), replay...)
			require.NoError(t, first.Start())
			if tt.action == kill {
				killed(t, first)
			} else {
				require.Error(t, first.Wait())
			}
			const decided = `SELECT count(*)::text FROM outbox.audit WHERE action = 'replay'`
			if !tt.done {
				require.Equal(t, "dead refused", c.state(op.Type))
				require.Equal(t, "0", c.text(decided))
				c.does(replay...)
			}
			c.becomes("delivered", op.Type)
			if tt.done {
				require.Error(t, c.command("", replay...).Run(), "it isn't dead any more")
			}
			require.Equal(t, "1", c.text(decided))
			require.Equal(t, 1, c.effects(op))
			w.drains(t)
		})
	}
}
