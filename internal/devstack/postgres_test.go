package devstack_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"syncworker/internal/devstack"
)

// parentDir, when set, makes the test binary a program that starts a server in
// that folder and waits to be killed.
const parentDir = "DEVSTACK_TEST_PARENT_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentDir); dir != "" {
		p, err := devstack.StartPostgres(context.Background(), devstack.PostgresConfig{Dir: dir})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(p.URL)
		select {}
	}
	os.Exit(m.Run())
}

func start(t *testing.T, cfg devstack.PostgresConfig) *devstack.Postgres {
	t.Helper()
	p, err := devstack.StartPostgres(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, p.Stop(context.Background()))
		// Gone already where a test started it twice.
		if _, err := os.Stat(cfg.Dir); err == nil {
			require.NoError(t, devstack.RemovePostgres(context.Background(), cfg.Dir))
		}
	})
	return p
}

func exec1(t *testing.T, dbURL, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dbURL)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}

func count(t *testing.T, dbURL string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dbURL)
	require.NoError(t, err)
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM kept`).Scan(&n))
	require.NoError(t, conn.Close(t.Context()))
	return n
}

func TestDataOutlivesKillRestartAndStop(t *testing.T) {
	cfg := devstack.PostgresConfig{Dir: filepath.Join(t.TempDir(), "pg")}
	p := start(t, cfg)
	exec1(t, p.URL, `CREATE TABLE kept AS SELECT 1 AS one`)

	p.Kill()
	_, err := pgx.Connect(t.Context(), p.URL)
	require.Error(t, err, "a killed server answers nobody")
	before := p.URL
	require.NoError(t, p.Restart(t.Context()))
	require.Equal(t, before, p.URL)
	require.Equal(t, 1, count(t, p.URL))

	require.NoError(t, p.Restart(t.Context()), "of a server that runs")
	require.NoError(t, p.Stop(t.Context()))
	require.Error(t, p.Restart(t.Context()), "a server that was stopped has given up its folder")
	require.Equal(t, 1, count(t, start(t, cfg).URL))
}

func TestServerIsPrivate(t *testing.T) {
	p := start(t, devstack.PostgresConfig{Dir: filepath.Join(t.TempDir(), "pg"), Volatile: true})
	u, err := url.Parse(p.URL)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1", u.Hostname())
	password, _ := u.User.Password()
	require.GreaterOrEqual(t, len(password), 20)

	u.User = url.UserPassword(u.User.Username(), "guessed")
	_, err = pgx.Connect(t.Context(), u.String())
	require.ErrorContains(t, err, "28P01")
	log, err := os.ReadFile(p.LogFile)
	require.NoError(t, err)
	require.NotContains(t, string(log), password)
}

func TestOneProcessAtATimeHasAFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pg")
	start(t, devstack.PostgresConfig{Dir: dir, Volatile: true})
	_, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{Dir: dir})
	require.ErrorIs(t, err, devstack.ErrInUse)
	require.ErrorContains(t, err, dir)
	require.ErrorIs(t, devstack.RemovePostgres(t.Context(), dir), devstack.ErrInUse)
}

func TestAFailedStartShowsTheServersLog(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close() //nolint:errcheck // nothing was sent
	dir := filepath.Join(t.TempDir(), "pg")
	_, err = devstack.StartPostgres(t.Context(), devstack.PostgresConfig{Dir: dir, Port: l.Addr().(*net.TCPAddr).Port})
	require.ErrorContains(t, err, "the port is taken")
	require.ErrorContains(t, err, "could not bind IPv4 address")
	require.NoError(t, devstack.RemovePostgres(t.Context(), dir), "it holds no lock and no server")
}

func TestLeftoversDontStopAStart(t *testing.T) {
	cfg := devstack.PostgresConfig{Dir: filepath.Join(t.TempDir(), "pg"), Volatile: true}
	p := start(t, cfg)
	exec1(t, p.URL, `CREATE TABLE kept AS SELECT 1 AS one`)
	require.NoError(t, p.Stop(t.Context()))
	data, err := filepath.EvalSymlinks(filepath.Join(cfg.Dir, "data"))
	require.NoError(t, err)

	// A pid that belongs to somebody else by now: the one of this test.
	require.NoError(t, os.WriteFile(filepath.Join(data, "postmaster.pid"), fmt.Appendln(nil, os.Getpid()), 0o600))
	require.NoError(t, os.Mkdir(data+".new", 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(data+".new", "PG_VERSION"), []byte("15\n"), 0o600))
	p = start(t, cfg)
	require.Equal(t, 1, count(t, p.URL))
	require.NoError(t, p.Stop(t.Context()))

	require.NoError(t, os.RemoveAll(data))
	start(t, cfg) // over an unfinished initdb
}

func TestAGivenDatabaseIsUsedAsItIs(t *testing.T) {
	p, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{DatabaseURL: "postgres://elsewhere/x", Dir: "/nowhere"})
	require.NoError(t, err)
	require.Equal(t, "postgres://elsewhere/x", p.URL)
	require.Error(t, p.Restart(t.Context()))
	require.NoError(t, p.Stop(t.Context()))
	_, err = devstack.StartPostgres(t.Context(), devstack.PostgresConfig{})
	require.ErrorContains(t, err, "no folder and no database URL")
}

func TestServerEndsWithAKilledParent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pg")
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentDir+"="+dir)
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	dbURL := strings.TrimSpace(line)
	exec1(t, dbURL, `CREATE TABLE kept AS SELECT 1 AS one`)

	require.NoError(t, parent.Process.Signal(syscall.SIGKILL))
	require.Error(t, parent.Wait())
	if runtime.GOOS == "linux" {
		require.Eventually(t, func() bool {
			conn, err := pgx.Connect(t.Context(), dbURL)
			if err == nil {
				_ = conn.Close(t.Context())
			}
			return err != nil
		}, 20*time.Second, 50*time.Millisecond, "the kernel ends the server")
	}
	require.Equal(t, 1, count(t, start(t, devstack.PostgresConfig{Dir: dir}).URL))
}
