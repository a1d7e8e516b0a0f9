package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"syncworker/internal/devstack"
	"syncworker/internal/event"
	"syncworker/internal/trade"
)

// workerTemplate is the database that each measurement of the worker gets a copy
// of; a rival's has the rival's name.
const workerTemplate = "syncworker"

// streamName and streamBytes are as the worker's configuration has them.
const (
	streamName  = "SYNC"
	streamBytes = 4 << 30
)

// firstMember is the vendor's id of the member with the mobile number 13800000000;
// the others count on from both.
const firstMember = 10_000

// stack is what all contenders stand on.
type stack struct {
	opts     options
	dir      string
	postgres *devstack.Postgres
	nats     *devstack.NATS
	admin    *pgx.Conn
	js       jetstream.JetStream
	conn     *nats.Conn
	pgPID    int
	members  []trade.Member
	wanted   wanted
	bytes    int // of all queued events
	replicas int // of a fresh stream; 0: one
	runs     int
}

func startStack(ctx context.Context, o options) (s *stack, err error) {
	s = &stack{opts: o, dir: o.dir}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	if s.dir == "" {
		if s.dir, err = os.MkdirTemp("", "syncworker-bench-"); err != nil {
			return s, err
		}
	}
	// Durable: fsync is on, and so is all that a commit stands on.
	cfg := devstack.PostgresConfig{Dir: filepath.Join(s.dir, "postgres"), Database: workerTemplate}
	if o.sql {
		cfg.Settings = []string{"shared_preload_libraries=pg_stat_statements"}
	}
	if o.scale {
		cfg.Settings = append(cfg.Settings, "track_commit_timestamp=on") // for the order of what several workers took in
	}
	s.postgres, err = devstack.StartPostgres(ctx, cfg)
	if err != nil {
		return s, err
	}
	if err := s.prepareDatabases(ctx); err != nil {
		return s, err
	}
	if s.nats, err = devstack.StartNATS(devstack.NATSConfig{Dir: filepath.Join(s.dir, "nats")}); err != nil {
		return s, err
	}
	if s.conn, err = nats.Connect(s.nats.URL); err != nil {
		return s, fmt.Errorf("connecting to NATS: %w", err)
	}
	if s.js, err = jetstream.New(s.conn); err != nil {
		return s, err
	}
	return s, s.queue(ctx)
}

func (s *stack) stop() {
	if s.admin != nil {
		_ = s.admin.Close(context.Background()) // the server goes next
	}
	if s.conn != nil {
		s.conn.Close()
	}
	if s.nats != nil {
		s.nats.Shutdown()
	}
	if s.postgres != nil {
		_ = s.postgres.Stop(context.Background())
		if s.opts.dir == "" {
			_ = devstack.RemovePostgres(context.Background(), filepath.Join(s.dir, "postgres"))
		}
	}
	if s.opts.dir == "" && s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

func (s *stack) prepareDatabases(ctx context.Context) (err error) {
	migrate := exec.CommandContext(ctx, s.opts.worker, "migrate", "up")
	migrate.Env = append(os.Environ(), "SYNCWORKER_DATABASE_URL="+s.postgres.URL)
	if text, err := migrate.CombinedOutput(); err != nil {
		return fmt.Errorf("making the worker's schema: %w; it says:\n%s", err, text)
	}
	if s.admin, err = pgx.Connect(ctx, s.databaseURL("postgres")); err != nil {
		return fmt.Errorf("connecting to Postgres: %w", err)
	}
	if s.opts.sql {
		if _, err := s.admin.Exec(ctx, `CREATE EXTENSION pg_stat_statements`); err != nil {
			return fmt.Errorf("installing pg_stat_statements: %w", err)
		}
	}
	for name, r := range rivals() {
		if err := s.prepareRival(ctx, name, r); err != nil {
			return fmt.Errorf("making the database of %s: %w", name, err)
		}
	}
	const pid = `SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)::int`
	return s.admin.QueryRow(ctx, pid).Scan(&s.pgPID)
}

func (s *stack) prepareRival(ctx context.Context, name string, r rival) error {
	if _, err := s.admin.Exec(ctx, `CREATE DATABASE `+name); err != nil {
		return err
	}
	pool, err := pgxpool.New(ctx, s.databaseURL(name))
	if err != nil {
		return err
	}
	defer pool.Close() // a template that is in use can't be copied
	return r.prepare(ctx, pool)
}

func (s *stack) databaseURL(name string) string {
	u, err := url.Parse(s.postgres.URL)
	if err != nil {
		return s.postgres.URL // pgx says what is wrong with it
	}
	u.Path = "/" + name
	return u.String()
}

// freshDatabase copies a template, and has the checkpoint that is due behind it.
func (s *stack) freshDatabase(ctx context.Context, template string) (name string, err error) {
	s.runs++
	name = fmt.Sprintf("run_%d", s.runs)
	if _, err = s.admin.Exec(ctx, `CREATE DATABASE `+name+` TEMPLATE `+template); err == nil {
		_, err = s.admin.Exec(ctx, `CHECKPOINT`)
	}
	if err != nil {
		return "", fmt.Errorf("copying the database %s: %w", template, err)
	}
	return name, nil
}

func (s *stack) dropDatabase(ctx context.Context, name string) error {
	_, err := s.admin.Exec(ctx, `DROP DATABASE `+name+` WITH (FORCE)`)
	return err
}

// queue publishes a day's trade: 1 KB or so an event, all types. Every
// measurement reads it with a consumer of its own.
func (s *stack) queue(ctx context.Context) error {
	for i := range 2000 {
		s.members = append(s.members, trade.Member{ID: firstMember + int64(i), Mobile: fmt.Sprintf("138%08d", i), Points: 100_000})
	}
	messages, err := s.dayOf(s.opts.events)
	if err != nil {
		return err
	}
	if s.wanted, err = wantedOf(messages, mobiles(s.members)); err != nil {
		return err
	}
	_, err = s.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: streamName, Subjects: []string{event.SubjectPrefix + ">"}, Storage: jetstream.FileStorage,
		Discard: jetstream.DiscardNew, MaxBytes: streamBytes,
	})
	if err != nil {
		return fmt.Errorf("making the stream: %w", err)
	}
	for _, m := range messages {
		s.bytes += len(m.Data)
	}
	return s.publishAll(ctx, messages)
}

// publishAll fills an empty stream.
func (s *stack) publishAll(ctx context.Context, messages []trade.Message) error {
	for _, m := range messages {
		if err := s.queueOne(m); err != nil {
			return err
		}
	}
	return s.queued(ctx, len(messages))
}

func (s *stack) queueOne(m trade.Message) error {
	_, err := s.js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: nats.Header(m.Header), Data: m.Data}, jetstream.WithStallWait(time.Minute))
	if err != nil {
		return fmt.Errorf("queueing an event: %w", err)
	}
	return nil
}

// queued waits until that many events are in a stream that was empty.
func (s *stack) queued(ctx context.Context, events int) error {
	select {
	case <-s.js.PublishAsyncComplete():
	case <-time.After(time.Minute):
		return errors.New("queueing the events: NATS hasn't acknowledged them within a minute")
	case <-ctx.Done():
		return ctx.Err()
	}
	stream, err := s.js.Stream(ctx, streamName)
	if err != nil {
		return fmt.Errorf("looking at the stream: %w", err)
	}
	if queued := stream.CachedInfo().State.Msgs; queued != uint64(events) {
		return fmt.Errorf("the stream has %d events and not %d: give an empty -dir", queued, events)
	}
	return nil
}

// machine says what the figures were taken on.
func (s *stack) machine(ctx context.Context) machine {
	m := machine{Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	_ = s.admin.QueryRow(ctx, `SHOW server_version`).Scan(&m.Postgres) // empty where it doesn't say
	m.EventBytes = s.bytes / max(1, s.opts.events)
	return m
}
