package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// stalled is how long a track waits for progress before it goes on without: the
// fault of another may be what stands in its way.
const stalled = 3 * time.Second

// play carries a track out until publishing ends. A fault that has begun is
// always ended.
func (h *harness) play(ctx context.Context, name string, steps track) {
	for _, s := range steps {
		if !h.reach(ctx, s.At) {
			return
		}
		if err := h.inflict(context.WithoutCancel(ctx), s); err != nil {
			h.fail(fmt.Errorf("track %s, %s: %w", name, s.Kind, err))
			return
		}
	}
}

// reach waits until that share of the messages is published; false: it is over.
func (h *harness) reach(ctx context.Context, share float64) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	last, since := h.acked.Load(), time.Now()
	for {
		acked := h.acked.Load()
		if acked != last {
			last, since = acked, time.Now()
		}
		if float64(acked) >= share*float64(len(h.messages)) || time.Since(since) > stalled {
			return ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

func (h *harness) inflict(ctx context.Context, s step) error {
	switch s.Kind {
	case workerKill, workerStop, workerTerm:
		return h.hitWorker(s)
	case schemaMigrate:
		return h.migrateUnderLoad(ctx)
	case workerUpgrade, workerRollback:
		return h.replace(s)
	case natsKill:
		return h.killNATS(ctx, s)
	case consumerDelete:
		defer h.note(s.Kind, durable, "")()
		// It may be gone, or NATS may be: then this fault is none.
		_ = h.js.DeleteConsumer(ctx, stream, durable)
		return nil
	case streamFull:
		return h.fillStream(ctx, s)
	case postgresKill:
		defer h.note(s.Kind, "postgres", "")()
		h.postgres.Kill()
		time.Sleep(s.For)
		return h.postgres.Restart(ctx)
	case postgresRestore:
		return h.restore(ctx, s)
	case streamTail:
		return h.loseTail(ctx, s)
	case diskFull:
		return h.fillDisk(ctx, s)
	case linkToxic, linkCut:
		return h.hitLink(s)
	}
	return fmt.Errorf("no such fault: %q", s.Kind)
}

func (h *harness) hitWorker(s step) error {
	w := h.workers[s.Target%len(h.workers)]
	defer h.note(s.Kind, w.name, s.For.String())()
	switch s.Kind {
	case workerKill:
		w.kill()
		time.Sleep(s.For)
	case workerStop:
		w.signal(syscall.SIGSTOP)
		time.Sleep(s.For)
		w.signal(syscall.SIGCONT)
	case workerTerm:
		_ = w.drain(25 * time.Second) // under faults it may end in any way
	}
	return w.start()
}

// killNATS kills one node: in a cluster the stream's leader, every other time.
func (h *harness) killNATS(ctx context.Context, s step) error {
	n := h.nats.nodes[s.Target%len(h.nats.nodes)]
	if len(h.nats.nodes) > 1 && s.Target&1 == 0 {
		if leader := h.leader(ctx); leader != nil {
			n = leader
		}
	}
	defer h.note(s.Kind, n.name, s.For.String())()
	n.kill()
	time.Sleep(s.For)
	if err := n.start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return awaitPort(ctx, n.address())
}

func (h *harness) leader(ctx context.Context) *natsNode {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	s, err := h.js.Stream(ctx, stream)
	if err != nil || s.CachedInfo().Cluster == nil {
		return nil
	}
	i := slices.IndexFunc(h.nats.nodes, func(n *natsNode) bool { return n.name == s.CachedInfo().Cluster.Leader })
	if i < 0 {
		return nil
	}
	return h.nats.nodes[i]
}

// fillStream makes the stream's limit what it holds, so that publishers are
// refused, and then what it was.
func (h *harness) fillStream(ctx context.Context, s step) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	limit := func(bytes func(*jetstream.StreamInfo) int64) error {
		st, err := h.js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		c := st.CachedInfo().Config
		c.MaxBytes = bytes(st.CachedInfo())
		_, err = h.js.UpdateStream(ctx, c)
		return err
	}
	defer h.note(s.Kind, stream, s.For.String())()
	if limit(func(i *jetstream.StreamInfo) int64 { return int64(i.State.Bytes) + 1 }) != nil {
		return nil // NATS is away
	}
	time.Sleep(s.For)
	for {
		err := limit(func(*jetstream.StreamInfo) int64 { return streamBytes })
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// streamBytes is the size of the stream that the workers are configured with.
const streamBytes = 1 << 30

func (h *harness) hitLink(s step) error {
	var links []string
	for name := range h.proxies.links {
		if strings.Contains(name, "/"+s.Link) {
			links = append(links, name)
		}
	}
	slices.Sort(links)
	link := links[s.Target%len(links)]
	if s.Kind == linkCut {
		defer h.note(s.Kind, link, s.For.String())()
		h.proxies.cut(link)
		time.Sleep(s.For)
		return h.proxies.mend(link)
	}
	defer h.note(s.Kind, link, fmt.Sprint(s.Toxic.Type, " ", s.Toxic.Stream, " ", s.Toxic.Attributes))()
	if err := h.proxies.poison(link, s.Toxic); err != nil {
		return err
	}
	time.Sleep(s.For)
	return h.proxies.heal(link)
}
