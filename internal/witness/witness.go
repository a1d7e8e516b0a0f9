// Package witness remembers in NATS how far each worker has committed in Postgres.
// Where the database has less than that it has gone back in time, by a restore or
// a failover, and what it calls pending may have been sent since.
package witness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"syncworker/internal/outbox"
)

const (
	// memory is how long a mark outlives its worker: longer than anybody looks
	// away from a database, shorter than the database remembers ended workers.
	memory = 25 * 24 * time.Hour
	// every is how often marks are written at most. What was committed since the
	// last one is what a crash of both sides can hide.
	every = 50 * time.Millisecond
	// patience is how long the server may take to tell all marks; pause is how long
	// to leave it alone when it takes none.
	patience = 10 * time.Second
	pause    = time.Second
	// refreshed is how often a mark is written that doesn't change.
	refreshed = 24 * time.Hour
)

// Witness is the memory of all workers of one outbox. It is safe for concurrent use.
type Witness struct {
	js     jetstream.JetStream
	config jetstream.KeyValueConfig
	log    zerolog.Logger
	signal chan struct{}

	mu    sync.Mutex
	marks map[outbox.Token]outbox.Mark // to be written
}

// New returns a witness that keeps its marks in a bucket of the stream's server.
// It doesn't touch the server before it is asked.
func New(js jetstream.JetStream, stream, consumer string, replicas int, log zerolog.Logger) *Witness {
	return &Witness{
		js: js, log: log, signal: make(chan struct{}, 1), marks: map[outbox.Token]outbox.Mark{},
		config: jetstream.KeyValueConfig{
			Bucket:      notInNames.ReplaceAllString(stream+"_"+consumer, "_"),
			Description: "how far each worker has committed in the database",
			TTL:         memory, Replicas: replicas, Storage: jetstream.FileStorage,
		},
	}
}

// notInNames is what the name of a bucket may not have.
var notInNames = regexp.MustCompile(`[^a-zA-Z0-9_-]`)

func (w *Witness) bucket(ctx context.Context) (jetstream.KeyValue, error) {
	kv, err := w.js.KeyValue(ctx, w.config.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = w.js.CreateKeyValue(ctx, w.config)
		if errors.Is(err, jetstream.ErrBucketExists) {
			kv, err = w.js.KeyValue(ctx, w.config.Bucket) // another worker was first
		}
	}
	if err != nil {
		return nil, fmt.Errorf("opening the bucket %s: %w", w.config.Bucket, err)
	}
	return kv, nil
}

// Begin notes that a token exists. Where it is known already, the database has
// given it away twice: fresh is false.
func (w *Witness) Begin(ctx context.Context, token outbox.Token) (fresh bool, err error) {
	kv, err := w.bucket(ctx)
	if err != nil {
		return false, err
	}
	_, err = kv.Create(ctx, key(token), []byte("{}"))
	if err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
		return false, fmt.Errorf("noting token %d in the bucket %s: %w", token, w.config.Bucket, err)
	}
	return err == nil, nil
}

// Known returns the marks of all tokens.
func (w *Witness) Known(ctx context.Context) (map[outbox.Token]outbox.Mark, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	kv, err := w.bucket(ctx)
	if err != nil {
		return nil, err
	}
	known, err := read(ctx, kv)
	if err != nil {
		return nil, fmt.Errorf("reading the bucket %s: %w", w.config.Bucket, err)
	}
	return known, nil
}

func read(ctx context.Context, kv jetstream.KeyValue) (map[outbox.Token]outbox.Mark, error) {
	watcher, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, err
	}
	defer watcher.Stop() //nolint:errcheck // what it has read is what counts
	known := map[outbox.Token]outbox.Mark{}
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case entry, open := <-watcher.Updates():
			switch {
			case !open:
				return nil, errors.New("the watch ended before all keys were read")
			case entry == nil: // all that was there has come
				return known, nil
			}
			token, err := strconv.ParseInt(entry.Key(), 10, 64)
			if err != nil {
				continue // not ours
			}
			var mark outbox.Mark
			if err := json.Unmarshal(entry.Value(), &mark); err != nil {
				return nil, fmt.Errorf("key %s: %w", entry.Key(), err)
			}
			known[outbox.Token(token)] = mark
		}
	}
}

// Saw takes note of how far a token has come. It doesn't wait: Run writes it.
func (w *Witness) Saw(token outbox.Token, mark outbox.Mark) {
	w.mu.Lock()
	w.marks[token] = mark
	w.mu.Unlock()
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// Run writes what was seen until the context ends, and then the last of it. What
// can't be written is tried again with what has been seen since.
func (w *Witness) Run(ctx context.Context) {
	refresh := time.NewTicker(refreshed)
	defer refresh.Stop()
	last := map[outbox.Token]outbox.Mark{}
	var kv jetstream.KeyValue // opened again after an error
	for {
		ending := false
		select {
		case <-ctx.Done():
			ending = true
		case <-w.signal:
		case <-refresh.C:
			w.again(last)
		}
		w.mu.Lock()
		marks := w.marks
		w.marks = map[outbox.Token]outbox.Mark{}
		w.mu.Unlock()
		wait := every
		var err error
		if kv, err = w.write(context.WithoutCancel(ctx), kv, marks); err == nil {
			last = marks
		} else {
			wait = pause
			w.log.Warn().Err(err).Msg("noting how far the database is committed; trying again")
			w.again(marks)
		}
		if ending {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// again has marks written once more where nothing newer was seen.
func (w *Witness) again(marks map[outbox.Token]outbox.Mark) {
	w.mu.Lock()
	for token, mark := range marks {
		if _, newer := w.marks[token]; !newer {
			w.marks[token] = mark
		}
	}
	w.mu.Unlock()
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

func (w *Witness) write(ctx context.Context, kv jetstream.KeyValue, marks map[outbox.Token]outbox.Mark) (jetstream.KeyValue, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if kv == nil {
		var err error
		if kv, err = w.bucket(ctx); err != nil {
			return nil, err
		}
	}
	for token, mark := range marks {
		value, err := json.Marshal(mark)
		if err != nil {
			return nil, err
		}
		if _, err := kv.Put(ctx, key(token), value); err != nil {
			return nil, fmt.Errorf("writing to the bucket %s: %w", w.config.Bucket, err)
		}
	}
	return kv, nil
}

func key(token outbox.Token) string { return strconv.FormatInt(int64(token), 10) }
