package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
)

func TestABatchIsWhatHasCome(t *testing.T) {
	from := make(chan int, batchLimit+2)
	for n := range batchLimit + 2 {
		from <- n
	}
	for _, want := range []int{batchLimit, 2} {
		if batch, err := gather(t.Context(), from, nil); err != nil || len(batch) != want {
			t.Errorf("%d have come, and not %d: %v", len(batch), want, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gather(ctx, from, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for nothing ends with %v", err)
	}
}

func TestWhoeverRecordsARowWaitsForItsCommit(t *testing.T) {
	broken := errors.New("broken")
	var mu sync.Mutex
	var written []int
	r := newRecorder(t.Context(), func(_ context.Context, rows []int) error {
		mu.Lock()
		defer mu.Unlock()
		if slices.Contains(rows, -1) {
			return broken
		}
		written = append(written, rows...)
		return nil
	})
	var all sync.WaitGroup
	for n := range 50 {
		all.Go(func() {
			if err := r.record(t.Context(), n); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if !slices.Contains(written, n) {
				t.Errorf("%d isn't written yet", n)
			}
		})
	}
	all.Wait()
	if err := r.record(t.Context(), -1); !errors.Is(err, broken) {
		t.Errorf("a row that can't be written gives %v", err)
	}
}
