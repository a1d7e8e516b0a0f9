package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// riverSchema is what River's own tables lack: a row per attempt.
const riverSchema = `
	CREATE TABLE attempts (job_id bigint NOT NULL, number int NOT NULL, recorded_at timestamptz NOT NULL DEFAULT now(),
		started_at timestamptz NOT NULL, duration_us bigint NOT NULL, state text NOT NULL, reply text NOT NULL);`

var riverBooks = books{
	settled:  `SELECT count(*) FROM river_job WHERE state = 'completed'`,
	last:     `SELECT max(finalized_at) FROM river_job`,
	noted:    `SELECT args->>'id' FROM river_job`,
	attempts: `SELECT count(*) FROM attempts`,
	open:     `SELECT args->>'id' FROM river_job WHERE state <> 'completed'`,
}

func prepareRiver(ctx context.Context, pool *pgxpool.Pool) error {
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	return schema(riverSchema)(ctx, pool)
}

// delivery is an event as a job's arguments. Its payload is one string: as nested
// JSON it would be taken apart and put together in each of Postgres' steps.
type delivery struct {
	ID      string `json:"id"`
	Type    string `json:"type,omitempty"` // where the payload is the data alone
	Payload string `json:"payload"`
}

func (delivery) Kind() string { return "delivery" }

// riverAttempt is a row of attempts.
type riverAttempt struct {
	job    int64
	number int
	reply  reply
}

type riverWorker struct {
	river.WorkerDefaults[delivery]
	*means
	attempts recorder[riverAttempt]
}

// handlersPerSlot is how many handlers share a slot where each of them waits for
// its row: the calls wait for none.
const handlersPerSlot = 4

func runRiver(ctx context.Context, m *means) error {
	workers := river.NewWorkers()
	river.AddWorker(workers, &riverWorker{means: m, attempts: newRecorder(ctx, m.insertAttempts)})
	client, err := river.NewClient(riverpgxv5.New(m.pool), &river.Config{
		Queues:               map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: min(handlersPerSlot*m.Slots, river.QueueNumWorkersMax)}},
		Workers:              workers,
		FetchCooldown:        2 * time.Millisecond,
		FetchPollInterval:    50 * time.Millisecond,
		JobTimeout:           cmp.Or(m.Takeover, time.Minute), // a job without one isn't rescued
		RescueStuckJobsAfter: m.Takeover,
		Logger:               slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return fmt.Errorf("starting River: %w", err)
	}
	return m.batches(ctx, func(ctx context.Context, events []occurrence) error {
		params := make([]river.InsertManyParams, len(events))
		for i, e := range events {
			d := delivery{ID: e.ID, Payload: e.Text}
			if e.Binary {
				d.Type = e.Type
			}
			params[i].Args = d
		}
		if _, err := client.InsertManyFast(ctx, params); err != nil {
			return fmt.Errorf("inserting jobs: %w", err)
		}
		return nil
	})
}

// Work makes the call and waits for the row of its attempt.
func (w *riverWorker) Work(ctx context.Context, job *river.Job[delivery]) error {
	header := nats.Header{}
	if job.Args.Type != "" {
		header = nats.Header{"ce-type": {job.Args.Type}, "ce-id": {job.Args.ID}}
	}
	e, err := readEvent(header, job.Args.Payload)
	if err != nil {
		return err
	}
	c, _ := w.call(e)
	r, err := w.vendor.post(ctx, c)
	if err != nil {
		return err
	}
	return w.attempts.record(ctx, riverAttempt{job.ID, job.Attempt, r})
}

func (m *means) insertAttempts(ctx context.Context, rows []riverAttempt) error {
	const insert = `
		INSERT INTO attempts (job_id, number, started_at, duration_us, state, reply)
		SELECT id, number, to_timestamp(started / 1e6), took, state, reply
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[]) a (id, number, started, took, state, reply)`
	n := len(rows)
	jobs, numbers, started, took := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	states, replies := make([]string, n), make([]string, n)
	for i, a := range rows {
		jobs[i], numbers[i], started[i], took[i] = a.job, int64(a.number), a.reply.Started.UnixMicro(), a.reply.Took.Microseconds()
		states[i], replies[i] = stateOf(a.reply), a.reply.Text
	}
	_, err := m.pool.Exec(ctx, insert, jobs, numbers, started, took, states, replies)
	return err
}
