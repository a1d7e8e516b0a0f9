// Package devstack starts the servers that syncworker stands on, for
// `syncworker dev` and for tests: a private Postgres cluster from binaries that
// are on the machine, and a NATS server in this process. Both listen on
// 127.0.0.1 only and end with the process that started them.
package devstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// startTimeout bounds a start, with the recovery after a crash in it.
const startTimeout = time.Minute

// PostgresConfig says which Postgres is wanted.
type PostgresConfig struct {
	// DatabaseURL, when set, is used as it is: nothing is started or stopped.
	DatabaseURL string
	// Dir holds the cluster, the lock and the server's log; made when missing.
	// A cluster that is there is used again. One process at a time may use it.
	Dir string
	// Database is created when missing; "syncworker" when empty.
	Database string
	// Port to listen on; 0 picks a free one.
	Port int
	// Volatile trades the data's survival of a power cut for speed (fsync off).
	// A server that dies still loses nothing.
	Volatile bool
	// Settings are more of the server's, each as name=value.
	Settings []string
}

// Postgres is a running server. Its methods must not be called concurrently.
type Postgres struct {
	// URL leads to the database and holds the password: not for logs.
	URL string
	// BinDir is where the server's binaries were found; empty where
	// DatabaseURL was given.
	BinDir string
	// LogFile is the server's own log; empty where DatabaseURL was given.
	LogFile string

	cfg      PostgresConfig
	as       *syscall.Credential
	data     string
	password string
	port     int
	lock     *os.File
	server   *child
}

// StartPostgres starts a server, or makes one first where Dir has none. ctx
// bounds the start only. The server ends with this process, on Linux even if it
// is killed. As root it runs as the user postgres or nobody.
func StartPostgres(ctx context.Context, cfg PostgresConfig) (*Postgres, error) {
	if cfg.DatabaseURL != "" {
		return &Postgres{URL: cfg.DatabaseURL, cfg: cfg}, nil
	}
	if cfg.Dir == "" {
		return nil, errors.New("starting Postgres: no folder and no database URL are given: one of them is needed")
	}
	if cfg.Database == "" {
		cfg.Database = "syncworker"
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	p := &Postgres{cfg: cfg}
	if err := p.open(ctx); err != nil {
		p.release()
		return nil, fmt.Errorf("starting Postgres: %w", err)
	}
	return p, nil
}

// open finds or makes all that a start needs, then starts.
func (p *Postgres) open(ctx context.Context) error {
	dir, err := filepath.Abs(p.cfg.Dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making its folder: %w", err)
	}
	// Links resolved, so that the server's command line names the folder as
	// the next run will look for it.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return err
	}
	p.LogFile = filepath.Join(dir, "postgres.log")
	if p.lock, err = lockDir(dir); err != nil {
		return err
	}
	if p.as, err = childUser(); err != nil {
		return err
	}
	if p.data, err = dataDir(dir, p.as); err != nil {
		return err
	}
	if err := p.makeCluster(ctx); err != nil {
		return err
	}
	return p.startOnFreePort(ctx)
}

func (p *Postgres) makeCluster(ctx context.Context) error {
	major, err := dataMajor(p.data)
	if err != nil {
		return err
	}
	places, err := newSearch()
	if err != nil {
		return err
	}
	if p.BinDir, err = places.binaries(ctx, p.as, major); err != nil {
		return err
	}
	if major == 0 {
		if err := p.initdb(ctx); err != nil {
			return err
		}
	}
	password, err := os.ReadFile(p.passwordFile())
	if err != nil {
		return fmt.Errorf("reading the database password: %w (without it the folder %s is of no use: remove it)", err, p.cfg.Dir)
	}
	p.password = string(password)
	return nil
}

// errPortTaken is a server that ended because somebody else has its port.
var errPortTaken = errors.New("the port is taken")

// startOnFreePort tries again with another port where the one that was free is
// taken before the server has it.
func (p *Postgres) startOnFreePort(ctx context.Context) error {
	for try := 1; ; try++ {
		p.port = p.cfg.Port
		if p.port == 0 {
			ports, err := FreePorts(1)
			if err != nil {
				return err
			}
			p.port = ports[0]
		}
		p.URL = p.urlOf(p.cfg.Database)
		err := p.launch(ctx)
		if err == nil || p.cfg.Port != 0 || try == 5 || !errors.Is(err, errPortTaken) {
			return err
		}
	}
}

func (p *Postgres) urlOf(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, p.password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)), Path: "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

func (p *Postgres) settings() []string {
	set := []string{
		"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(p.port),
		// The length of a socket's path is limited, that of our folder isn't.
		"unix_socket_directories=",
		"max_connections=200", "shared_buffers=128MB", "timezone=UTC", "log_timezone=UTC",
		// Statements and error details hold members' data.
		"log_min_error_statement=panic", "log_error_verbosity=terse", "log_checkpoints=off",
	}
	if p.cfg.Volatile {
		set = append(set, "fsync=off", "full_page_writes=off")
	}
	return append(set, p.cfg.Settings...)
}

// launch starts the server and waits until the database can be used.
func (p *Postgres) launch(ctx context.Context) error {
	if err := p.endOrphan(ctx); err != nil {
		return err
	}
	log, err := os.OpenFile(p.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening its log: %w", err)
	}
	defer log.Close() //nolint:errcheck // the server has its own descriptor
	info, err := log.Stat()
	if err != nil {
		return fmt.Errorf("looking at its log: %w", err)
	}
	args := []string{"-D", p.data}
	for _, setting := range p.settings() {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command(filepath.Join(p.BinDir, "postgres"), args...)
	cmd.Env, cmd.Dir = childEnv(), p.data
	cmd.SysProcAttr = childAttr(p.as)
	cmd.Stdout, cmd.Stderr = log, log
	if p.server, err = startChild(cmd); err != nil {
		p.server = nil
		return fmt.Errorf("running its binary: %w", err)
	}
	if err := p.awaitDatabase(ctx); err != nil {
		p.Kill()
		return p.withLog(err, info.Size())
	}
	return nil
}

// awaitDatabase returns when the server answers and the database exists.
func (p *Postgres) awaitDatabase(ctx context.Context) error {
	// Where somebody else has the port, connecting to it may take for ever.
	trying, cancel := context.WithCancel(ctx)
	defer cancel()
	go func(server *child) {
		defer cancel()
		select {
		case <-server.done:
		case <-trying.Done():
		}
	}(p.server)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		select {
		case <-p.server.done:
			return fmt.Errorf("the server ended: %w", p.server.err)
		case <-ctx.Done():
			return fmt.Errorf("the server isn't ready: %w", errors.Join(ctx.Err(), last))
		case <-tick.C:
		}
		conn, err := pgx.Connect(trying, p.urlOf("postgres"))
		if err != nil {
			last = err
			continue
		}
		err = ensureDatabase(ctx, conn, p.cfg.Database)
		return errors.Join(err, conn.Close(ctx))
	}
}

func ensureDatabase(ctx context.Context, conn *pgx.Conn, name string) error {
	var exists bool
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&exists)
	if err == nil && !exists {
		_, err = conn.Exec(ctx, `CREATE DATABASE `+pgx.Identifier{name}.Sanitize())
	}
	if err != nil {
		return fmt.Errorf("creating the database %s: %w", name, err)
	}
	return nil
}

// withLog adds what the server logged since offset to an error.
func (p *Postgres) withLog(err error, offset int64) error {
	text, readErr := os.ReadFile(p.LogFile)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	tail := string(text[min(offset, int64(len(text))):])
	if strings.Contains(tail, "could not bind") {
		err = fmt.Errorf("%w: %d on 127.0.0.1: %w", errPortTaken, p.port, err)
	}
	return fmt.Errorf("%w; its log %s says:\n%s", err, p.LogFile, lastLines(tail))
}
