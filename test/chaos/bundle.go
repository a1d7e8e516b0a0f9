package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"syncworker/test/chaos/check"
)

// open counts what is neither final nor waiting for a person, nor behind that.
const open = `
	SELECT count(*) FROM outbox.deliveries d
	WHERE state = 'inflight'
		OR state IN ('pending', 'unknown') AND NOT (reason IN ('sent_by_person', 'lost_commit') AND EXISTS (
			SELECT FROM outbox.deliveries h WHERE h.lane = d.lane AND h.state IN ('held', 'waiting') AND h.id <> d.id))
		OR state = 'waiting' AND next_attempt_at < now() + interval '1 hour'`

// drain waits until nothing is left to do, then stops the workers.
func (h *harness) drain(ctx context.Context) {
	for time.Since(h.run.LastFault) < drainLimit && ctx.Err() == nil {
		if h.run.Left = h.left(ctx); h.run.Left == "" {
			h.run.Drained = time.Now()
			break
		}
		h.tell("draining for %s: %s", time.Since(h.run.LastFault).Truncate(time.Second), h.run.Left)
		time.Sleep(200 * time.Millisecond)
	}
	for _, w := range h.workers {
		w.scrape(ctx)
		h.run.Ends[w.name] = w.drain(30 * time.Second)
	}
	h.tell("")
}

// left says what is still to do; empty: nothing.
func (h *harness) left(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	consumer, err := h.js.Consumer(ctx, stream, durable)
	if err != nil {
		return "the consumer can't be seen: " + err.Error()
	}
	if i := consumer.CachedInfo(); i.NumPending > 0 || i.NumAckPending > 0 {
		return fmt.Sprintf("the stream has %d messages that were never fetched and %d that aren't acknowledged", i.NumPending, i.NumAckPending)
	}
	conn, err := pgx.Connect(ctx, h.postgres.URL)
	if err != nil {
		return "the database can't be reached"
	}
	defer conn.Close(ctx) //nolint:errcheck // it was read
	var n int
	if err := conn.QueryRow(ctx, open).Scan(&n); err != nil {
		return err.Error()
	}
	if n > 0 {
		return fmt.Sprintf("%d deliveries", n)
	}
	return ""
}

// tables are what is dumped, by file.
var tables = map[string]string{
	"events": "outbox.events", "identities": "outbox.identities", "deliveries": "outbox.deliveries",
	"attempts": "outbox.attempts", "lanes": "outbox.lanes", "rejects": "outbox.rejects", "conflicts": "outbox.conflicts",
	"audit": "outbox.audit", "workers": "outbox.workers", "gates": "outbox.gates", "positions": "outbox.positions",
	"tokens": "outbox.tokens", "finance_orders": "finance.orders", "finance_refunds": "finance.refunds",
	"finance_points": "finance.points", "finance_daily": "finance.daily", "finance_deliveries": "finance.deliveries",
}

// save writes the bundle.
func (h *harness) save(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, h.postgres.URL)
	if err != nil {
		return fmt.Errorf("dumping the tables: %w", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // it was read
	// Fresh tables have no statistics, without which the views take minutes.
	if _, err := conn.Exec(ctx, "ANALYZE"); err != nil {
		return fmt.Errorf("analyzing the tables: %w", err)
	}
	for file, table := range tables {
		if err := dump(ctx, conn, table, filepath.Join(h.Out, "db", file+".ndjson")); err != nil {
			return err
		}
	}
	var requests []check.Request
	for hash, event := range h.vendor.events {
		requests = append(requests, check.Request{Hash: hash, Event: event})
	}
	text, err := json.MarshalIndent(h.run, "", "  ")
	return errors.Join(err,
		os.WriteFile(filepath.Join(h.Out, "run.json"), text, 0o600),
		lines(h.Out, "published", h.messages), lines(h.Out, "faults", h.faults), lines(h.Out, "deeds", h.operators.deeds),
		lines(h.Out, "vendor/effects", h.vendor.Effects()), lines(h.Out, "vendor/calls", h.vendor.Calls()),
		lines(h.Out, "vendor/orders", h.vendor.Orders()), lines(h.Out, "vendor/members", h.vendor.Members()),
		lines(h.Out, "vendor/violations", h.vendor.Violations()), lines(h.Out, "vendor/requests", requests))
}

func dump(ctx context.Context, conn *pgx.Conn, table, file string) error {
	return writeLines(file, func(write func([]byte) error) error {
		rows, err := conn.Query(ctx, "SELECT to_jsonb(t)::text FROM "+table+" t")
		if err != nil {
			return fmt.Errorf("dumping %s: %w", table, err)
		}
		var row string
		_, err = pgx.ForEachRow(rows, []any{&row}, func() error { return write([]byte(row)) })
		return err
	})
}

// lines writes a file of NDJSON.
func lines[T any](dir, name string, rows []T) error {
	return writeLines(filepath.Join(dir, name+".ndjson"), func(write func([]byte) error) error {
		for _, row := range rows {
			text, err := json.Marshal(row)
			if err := errors.Join(err, write(text)); err != nil {
				return err
			}
		}
		return nil
	})
}

func writeLines(file string, rows func(write func([]byte) error) error) error {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("writing the bundle: %w", err)
	}
	w := bufio.NewWriter(f)
	err = rows(func(row []byte) error {
		_, err := w.Write(append(row, '\n'))
		return err
	})
	if err = errors.Join(err, w.Flush(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}
