package main

import (
	"context"
	"sync"
	"time"

	"syncworker/test/chaos/check"
)

// stall is how late a tick has to be until the machine counts as too slow for a
// call to end in time.
const stall = 100 * time.Millisecond

// watchMachine writes down when the machine gave nobody the time to run, until the end
// that it returns: a call that times out meanwhile is unclear, although no fault of the
// schedule explains it.
func (h *harness) watchMachine(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { h.watchStalls(ctx) })
	return func() {
		cancel()
		watching.Wait()
	}
}

func (h *harness) watchStalls(ctx context.Context) {
	const every = 10 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	for last := time.Now(); ; last = time.Now() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if late := time.Since(last) - every; late >= stall {
			h.mu.Lock()
			h.faults = append(h.faults, check.Fault{At: last, Until: time.Now(), Kind: machineStall, Target: "machine", Detail: late.String()})
			h.mu.Unlock()
		}
	}
}
