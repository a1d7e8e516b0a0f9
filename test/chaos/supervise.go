package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// points are the failpoints of a worker that are armed by share.
var points = []string{
	"fetched", "inbox_committing", "inbox_committed", "acked", "claimed", "intended", "sending", "sent", "answered", "settling", "recorded",
}

// silent are the failpoints that can't give an error.
var silent = map[string]bool{"sent": true, "answered": true}

// armed is the environment that makes a worker die, stand still or fail at a
// share of the failpoints that it meets.
func armed(share float64, seed uint64) []string {
	var rules []string
	for _, p := range points {
		rules = append(rules, fmt.Sprintf("%s=kill%%%g", p, share), fmt.Sprintf("%s=stop%%%g", p, share/8))
		if !silent[p] {
			rules = append(rules, fmt.Sprintf("%s=error%%%g", p, share/2))
		}
	}
	rules = append(rules, "token=kill%0.05", "draining=kill%0.1")
	return []string{"SYNCWORKER_FAILPOINTS=" + strings.Join(rules, ";"), fmt.Sprintf("SYNCWORKER_FAILPOINT_SEED=%d", seed)}
}

// supervise brings a worker back that has ended, or that stands still at a
// failpoint, as whatever runs workers would, until the context ends.
func (h *harness) supervise(ctx context.Context, w *worker) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var stopped time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p, log := w.running()
		switch {
		case p == nil:
		case !p.alive():
			kind, words := lastWords(log)
			until := h.note(kind, w.name, words)
			time.Sleep(500 * time.Millisecond)
			if err := w.start(); err != nil {
				h.fail(err)
			}
			until()
		case !frozen(p.Pid):
			stopped = time.Time{}
		case stopped.IsZero():
			stopped = time.Now()
		case time.Since(stopped) > lease+1500*time.Millisecond:
			kind, words := lastWords(log)
			h.note(kind, w.name, words)()
			w.signal(syscall.SIGCONT)
		}
	}
}

// lastWords say what ended a worker, or made it stand still, by its log.
func lastWords(log string) (kind, words string) {
	text, err := os.ReadFile(log)
	if err != nil {
		return workerExit, err.Error()
	}
	text = bytes.TrimSpace(text)
	words = string(text[bytes.LastIndexByte(text, '\n')+1:])
	switch {
	case strings.HasPrefix(words, "failpoint: "):
		return failpoint, words
	case !bytes.Contains(text, []byte(working)):
		return workerIdle, words
	}
	return workerExit, words
}

// frozen reports whether a process is stopped by a signal.
func frozen(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// The name of the program stands in parentheses and may hold anything.
	_, rest, _ := strings.Cut(string(text), ") ")
	return strings.HasPrefix(rest, "T")
}
