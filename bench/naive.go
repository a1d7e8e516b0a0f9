package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// naiveSchema is what the bare loop keeps: the event, and what became of it.
const naiveSchema = `
	CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, received_at timestamptz NOT NULL DEFAULT now(),
		ce_id text NOT NULL UNIQUE, type text NOT NULL, payload text NOT NULL);
	CREATE TABLE queue (id bigint PRIMARY KEY, state text NOT NULL DEFAULT 'pending', reply text, settled_at timestamptz)
		WITH (fillfactor = 50);`

var naiveBooks = books{
	settled:  `SELECT count(*) FROM queue WHERE state <> 'pending'`,
	last:     `SELECT max(settled_at) FROM queue`,
	noted:    `SELECT ce_id FROM events`,
	attempts: `SELECT 0`,
	open:     `SELECT ''`,
}

// runNaive is the loop that one writes first, in a pool of as many as there are slots.
func runNaive(ctx context.Context, m *means) error {
	messages, err := m.cons.Messages(jetstream.PullMaxMessages(max(500, m.Slots)))
	if err != nil {
		return err
	}
	failed := make(chan error, m.Slots)
	var loops sync.WaitGroup
	for range m.Slots {
		loops.Go(func() {
			for {
				msg, err := messages.Next(jetstream.NextContext(ctx))
				if err == nil {
					err = m.one(ctx, msg)
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	return <-failed
}

// one brings one event to the vendor: insert, post, update, acknowledge.
func (m *means) one(ctx context.Context, msg jetstream.Msg) error {
	e, err := readMessage(msg)
	if err != nil {
		return err
	}
	// One that comes a second time is called a second time.
	const insert = `
		WITH e AS (INSERT INTO events (ce_id, type, payload) VALUES ($1, $2, $3)
			ON CONFLICT (ce_id) DO UPDATE SET received_at = now() RETURNING id)
		INSERT INTO queue (id) SELECT id FROM e ON CONFLICT (id) DO UPDATE SET state = 'pending' RETURNING id`
	var id int64
	if err := m.pool.QueryRow(ctx, insert, e.ID, e.Type, e.Text).Scan(&id); err != nil {
		return fmt.Errorf("inserting an event: %w", err)
	}
	c, _ := m.call(e)
	r, err := m.vendor.post(ctx, c)
	if err != nil {
		return err
	}
	const update = `UPDATE queue SET state = $2, reply = $3, settled_at = now() WHERE id = $1`
	if _, err := m.pool.Exec(ctx, update, id, stateOf(r), r.Text); err != nil {
		return fmt.Errorf("updating an event: %w", err)
	}
	return msg.Ack()
}

func stateOf(r reply) string {
	if r.Delivered {
		return "delivered"
	}
	return "refused"
}
