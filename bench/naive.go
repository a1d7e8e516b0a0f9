package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// naiveCommand makes this program the bare loop, in a process of its own so that
// what it costs can be told from the rest.
const naiveCommand = "bare-loop"

// naiveSchema is what the bare loop keeps: the event, and what became of it.
const naiveSchema = `
	CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, received_at timestamptz NOT NULL DEFAULT now(),
		ce_id text NOT NULL UNIQUE, type text NOT NULL, payload text NOT NULL);
	CREATE TABLE queue (id bigint PRIMARY KEY, state text NOT NULL DEFAULT 'pending', reply text, settled_at timestamptz)
		WITH (fillfactor = 50);`

type naiveConfig struct {
	NATS, Consumer, Database, Vendor string
	Slots, Events                    int
	Members                          map[string]int64 // by mobile number
}

// naive is the loop that one writes first. It is given what would cost it calls
// and queries of its own: the token, the members, and the member of each order.
type naive struct {
	naiveConfig
	pool  *pgxpool.Pool
	http  *http.Client
	token string

	mu     sync.Mutex
	orders map[string]int64 // member by order number
}

func naiveMain(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) != 1 {
		return errors.New("the bare loop takes the path of its configuration")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	n := &naive{orders: map[string]int64{}}
	if err := json.Unmarshal(text, &n.naiveConfig); err != nil {
		return fmt.Errorf("reading %s: %w", args[0], err)
	}
	return n.run(ctx)
}

func (n *naive) run(ctx context.Context) error {
	config, err := pgxpool.ParseConfig(n.Database)
	if err != nil {
		return err
	}
	config.MaxConns = int32(min(n.Slots, 32))
	if n.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return err
	}
	defer n.pool.Close()
	n.http = &http.Client{Transport: &http.Transport{MaxIdleConns: n.Slots, MaxIdleConnsPerHost: n.Slots}}
	if err := n.logIn(ctx); err != nil {
		return err
	}
	conn, err := nats.Connect(n.NATS)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	cons, err := js.CreateConsumer(ctx, streamName, jetstream.ConsumerConfig{
		Durable: n.Consumer, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 10_000,
	})
	if err != nil {
		return err
	}
	messages, err := cons.Messages(jetstream.PullMaxMessages(500))
	if err != nil {
		return err
	}
	if err := n.loops(ctx, messages); err != nil {
		return err
	}
	<-ctx.Done() // who measures it says when to end
	return nil
}

// loops runs as many loops as there are slots until all events are through.
func (n *naive) loops(ctx context.Context, messages jetstream.MessagesContext) error {
	turns := make(chan struct{}, n.Events)
	for range n.Events {
		turns <- struct{}{}
	}
	close(turns)
	failed := make(chan error, n.Slots)
	var loops sync.WaitGroup
	for range n.Slots {
		loops.Go(func() {
			for range turns {
				m, err := messages.Next()
				if err == nil {
					err = n.one(ctx, m)
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	loops.Wait()
	close(failed)
	return <-failed
}

// one brings one event to the vendor: insert, post, update, acknowledge.
func (n *naive) one(ctx context.Context, m jetstream.Msg) error {
	e, err := readEvent(m)
	if err != nil {
		return err
	}
	const insert = `
		WITH e AS (INSERT INTO events (ce_id, type, payload) VALUES ($1, $2, $3) RETURNING id)
		INSERT INTO queue (id) SELECT id FROM e RETURNING id`
	var id int64
	if err := n.pool.QueryRow(ctx, insert, e.ID, e.Type, string(m.Data())).Scan(&id); err != nil {
		return fmt.Errorf("inserting an event: %w", err)
	}
	path, body, err := n.call(e)
	if err != nil {
		return err
	}
	state, reply, err := n.post(ctx, path, body)
	if err != nil {
		return err
	}
	const update = `UPDATE queue SET state = $2, reply = $3, settled_at = now() WHERE id = $1`
	if _, err := n.pool.Exec(ctx, update, id, state, reply); err != nil {
		return fmt.Errorf("updating an event: %w", err)
	}
	return m.Ack()
}

func (n *naive) logIn(ctx context.Context) error {
	url := n.Vendor + "/security/accesstoken?grant_type=client_credentials&appid=" + appID + "&secret=" + secret
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := n.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	var got struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		return fmt.Errorf("reading the token: %w", err)
	}
	n.token = got.Token
	return nil
}

// post makes the call once, whatever comes of it.
func (n *naive) post(ctx context.Context, path string, body []byte) (state, reply string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.Vendor+path+"?access_token="+n.token, bytes.NewReader(body))
	if err != nil {
		return "", "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := n.http.Do(req)
	if err != nil {
		return "", "", fmt.Errorf("posting an event: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", "", fmt.Errorf("reading the reply: %w", err)
	}
	if resp.StatusCode != http.StatusOK || bytes.Contains(text, []byte(`"error"`)) {
		return "refused", string(text), nil
	}
	return "delivered", string(text), nil
}
