// Package devtest gives tests real servers: a database of their own, cloned
// from a migrated template, and a NATS server of their own.
//
// The databases of one test binary share one cluster, which starts with the
// first that is asked for and dies with the binary. A package that uses it ends
// its TestMain with os.Exit(devtest.Run(m)), which removes the cluster's folder;
// what a killed binary leaves is removed by a later one.
package devtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"syncworker/internal/devstack"
)

// Migrate brings the empty database at url to the schema that tests want. It
// has to close its connections.
type Migrate func(ctx context.Context, url string) error

// startTimeout bounds what tests wait for a cluster or a database.
const startTimeout = 2 * time.Minute

// shared is the cluster of this test binary. It is the one variable of the
// package because tests have nothing else in common that could own it.
var shared cluster

type cluster struct {
	mu       sync.Mutex
	dir      string
	server   *devstack.Postgres
	template string
}

// Run runs the tests, ends the shared cluster and returns the exit code.
func Run(m *testing.M) int {
	code := m.Run()
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, "ending the tests' Postgres:", err)
		return max(code, 1)
	}
	return code
}

// Database returns the URL of a database that only this test sees, dropped at
// its end. The first migrate of a test binary makes the template that all its
// databases are cloned from; nil gives an empty database.
//
// SYNCWORKER_TEST_DATABASE_URL names a server to use in place of a private
// cluster; its role needs CREATEDB.
func Database(tb testing.TB, migrate Migrate) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), startTimeout)
	defer cancel()
	url, name, err := shared.clone(ctx, migrate)
	if err != nil {
		tb.Fatalf("a database for the test: %v", err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		if err := shared.exec(ctx, `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
			tb.Errorf("dropping the test's database: %v", err)
		}
	})
	return url
}

// Postgres starts a cluster that only this test uses and may stop, kill and
// restart. Its database "syncworker" is empty. durable keeps fsync on.
func Postgres(tb testing.TB, durable bool) *devstack.Postgres {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), startTimeout)
	defer cancel()
	dir, err := makeDir(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	p, err := devstack.StartPostgres(ctx, devstack.PostgresConfig{Dir: dir, Volatile: !durable})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		p.Kill()
		ctx := context.Background()
		if err := errors.Join(p.Stop(ctx), devstack.RemovePostgres(ctx, dir)); err != nil {
			tb.Errorf("removing the test's Postgres: %v", err)
		}
	})
	return p
}

// NATSServer starts a server that only this test uses. An empty Dir is replaced
// by a temporary one.
func NATSServer(tb testing.TB, cfg devstack.NATSConfig) *devstack.NATS {
	tb.Helper()
	if cfg.Dir == "" {
		cfg.Dir = tb.TempDir()
	}
	n, err := devstack.StartNATS(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(n.Shutdown)
	return n
}

// clone makes a database and returns its URL and its quoted name.
func (c *cluster) clone(ctx context.Context, migrate Migrate) (dbURL, name string, err error) {
	template := "template0"
	if migrate == nil {
		err = c.start(ctx)
	} else {
		template, err = c.migrated(ctx, migrate)
	}
	if err != nil {
		return "", "", err
	}
	name = newName("test")
	err = c.exec(ctx, `CREATE DATABASE `+name+` TEMPLATE `+template)
	if err != nil {
		return "", "", fmt.Errorf("cloning %s: %w", template, err)
	}
	dbURL, err = withDatabase(c.server.URL, name)
	return dbURL, name, err
}

// migrated returns the name of the template, which it makes when it is missing.
func (c *cluster) migrated(ctx context.Context, migrate Migrate) (string, error) {
	if err := c.start(ctx); err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.template != "" {
		return c.template, nil
	}
	name := newName("template")
	if err := c.exec(ctx, `CREATE DATABASE `+name+` TEMPLATE template0`); err != nil {
		return "", fmt.Errorf("creating the template database: %w", err)
	}
	dbURL, err := withDatabase(c.server.URL, name)
	if err == nil {
		err = migrate(ctx, dbURL)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("migrating the template database: %w", err),
			c.exec(ctx, `DROP DATABASE `+name+` WITH (FORCE)`))
	}
	c.template = name
	return name, nil
}

// start starts the cluster once; a start that failed is tried again by the next.
func (c *cluster) start(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server != nil {
		return nil
	}
	cfg := devstack.PostgresConfig{DatabaseURL: os.Getenv("SYNCWORKER_TEST_DATABASE_URL"), Volatile: true}
	if cfg.DatabaseURL == "" {
		dir, err := makeDir(ctx)
		if err != nil {
			return err
		}
		c.dir, cfg.Dir = dir, dir
	}
	server, err := devstack.StartPostgres(ctx, cfg)
	if err != nil {
		return errors.Join(err, c.remove(ctx))
	}
	c.server = server
	return nil
}

// close drops what is left on a server that isn't ours, and ends ours.
func (c *cluster) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	var err error
	if c.dir == "" && c.template != "" {
		err = c.exec(ctx, `DROP DATABASE `+c.template+` WITH (FORCE)`)
	}
	c.server.Kill() // the data is thrown away: nothing to flush
	err = errors.Join(err, c.server.Stop(ctx), c.remove(ctx))
	c.server, c.template = nil, ""
	return err
}

func (c *cluster) remove(ctx context.Context) error {
	if c.dir == "" {
		return nil
	}
	return devstack.RemovePostgres(ctx, c.dir)
}

// exec runs one statement on the cluster's own database.
func (c *cluster) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, c.server.URL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

// newName is a database name that needs no quoting and that no other process
// picks on a server that several share.
func newName(kind string) string {
	return "syncworker_" + kind + "_" + strings.ToLower(rand.Text()[:12])
}

func withDatabase(serverURL, name string) (string, error) {
	u, err := url.Parse(serverURL)
	if err != nil {
		return "", errors.New("the database URL can't be parsed: give it as postgres://user:password@host:port/database")
	}
	u.Path = "/" + name
	return u.String(), nil
}

// makeDir makes a folder that the server's user can reach too, unlike a test's
// own, and removes those of test binaries that were killed.
func makeDir(ctx context.Context) (string, error) {
	prefix := fmt.Sprintf("syncworker-test-%d-", os.Getuid())
	if err := sweep(ctx, filepath.Join(os.TempDir(), prefix+"*")); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return "", fmt.Errorf("making a folder for the tests' Postgres: %w", err)
	}
	return dir, os.Chmod(dir, 0o711)
}

// sweep removes folders that no process uses. Young ones are left: they may not
// have been locked yet.
func sweep(ctx context.Context, pattern string) error {
	dirs, err := filepath.Glob(pattern)
	if err != nil {
		return fmt.Errorf("looking for what killed tests left: %w", err)
	}
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < 10*time.Minute {
			continue
		}
		err = devstack.RemovePostgres(ctx, dir)
		if err != nil && !errors.Is(err, devstack.ErrInUse) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
