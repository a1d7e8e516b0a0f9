package main

import (
	"os/exec"
	"testing"

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
	log.says(t, `the database had lost events`)
	s.increments(t, 60, 70)
	s.stand(t, map[string]int{"delivered": 70})
	require.Equal(t, 70, s.pointCalls())
}
