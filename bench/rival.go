package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// rivalCommand makes this program one of the rivals, in a process of its own so
// that what it costs can be told from the rest.
const rivalCommand = "contend"

// rival is a contender that is part of this program.
type rival struct {
	keeps   string                                              // as it stands in the table
	prepare func(ctx context.Context, pool *pgxpool.Pool) error // makes its tables
	run     func(ctx context.Context, m *means) error           // until the context ends
	conns   int                                                 // to Postgres, at most
	books
}

// books are the queries that tell what a contender knows.
type books struct {
	settled  string // how many events are through
	last     string // when the last one was
	noted    string // ids of the events that there is a row of
	attempts string // how many attempts have a row
	open     string // ids of the events that it will still bring, or asks a person about
}

func rivals() map[string]rival {
	return map[string]rival{
		"ideal":     {"order, every attempt; nothing after a crash", schema(idealSchema), runIdeal, 4, idealBooks},
		"river":     {"every attempt; no order", prepareRiver, runRiver, 8, riverBooks},
		"watermill": {"every attempt, but nothing before the call; no order", schema(watermillSchema), runWatermill, 4, watermillBooks},
		"naive":     {"the last reply; no order", schema(naiveSchema), runNaive, 32, naiveBooks},
	}
}

func schema(sql string) func(context.Context, *pgxpool.Pool) error {
	return func(ctx context.Context, pool *pgxpool.Pool) error {
		_, err := pool.Exec(ctx, sql)
		return err
	}
}

// rivalConfig says where everything is. Rivals are given what would cost them
// calls and queries of their own: the members, and the member of each order.
type rivalConfig struct {
	Rival, NATS, Consumer, Database, Vendor string

	Slots    int              // calls in flight at most
	Takeover time.Duration    // after which what a dead process had is taken again; 0: not before the run's end
	Members  map[string]int64 // by mobile number
	Orders   map[string]int64 // member by order number
}

// means is what every rival works with.
type means struct {
	rivalConfig
	pool   *pgxpool.Pool
	cons   jetstream.Consumer
	vendor *client
}

func rivalMain(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) != 1 {
		return errors.New("a rival takes the path of its configuration")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	m := &means{}
	if err := json.Unmarshal(text, &m.rivalConfig); err != nil {
		return fmt.Errorf("reading %s: %w", args[0], err)
	}
	r, known := rivals()[m.Rival]
	if !known {
		return fmt.Errorf("reading %s: there is no rival %q", args[0], m.Rival)
	}
	if err := m.connect(ctx, r.conns); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- r.run(ctx, m) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return nil // who measures it says when to end
	}
}

func (m *means) connect(ctx context.Context, conns int) error {
	config, err := pgxpool.ParseConfig(m.Database)
	if err != nil {
		return err
	}
	config.MaxConns = int32(min(conns, m.Slots+2))
	if m.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return err
	}
	if m.vendor, err = newClient(ctx, m.Vendor, m.Slots); err != nil {
		return err
	}
	conn, err := nats.Connect(m.NATS)
	if err != nil {
		return err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	wait := m.Takeover
	if wait == 0 {
		wait = patience
	}
	m.cons, err = js.CreateOrUpdateConsumer(ctx, streamName, jetstream.ConsumerConfig{
		Durable: m.Consumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: wait, MaxAckPending: 20_000,
	})
	return err
}

// rivalCommandLine is this program as one of the rivals.
func (s *stack) rivalCommandLine(c contender, database, vendor string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("looking for this program: %w", err)
	}
	text, err := json.Marshal(rivalConfig{
		Rival: c.rival, NATS: s.nats.URL, Consumer: database, Database: s.databaseURL(database), Vendor: vendor,
		Slots: c.slots, Takeover: c.takeover, Members: mobiles(s.members), Orders: s.wanted.orders,
	})
	if err != nil {
		return nil, err
	}
	path := filepath.Join(s.dir, database+".json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, fmt.Errorf("writing the configuration of %s: %w", c.name, err)
	}
	return exec.Command(self, rivalCommand, path), nil
}
