package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheCollectorIsGivenRoomWhileLittleIsInUse(t *testing.T) {
	was := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(was) })
	percent := func() int {
		runtime.GC()
		p := debug.SetGCPercent(-1)
		debug.SetGCPercent(p)
		return p
	}
	collectLess()
	much := make([]byte, 64<<20)
	require.Eventually(t, func() bool { return percent() == 100 }, 20*time.Second, time.Millisecond)
	runtime.KeepAlive(much)
	require.Equal(t, 200, percentFor(15<<20))
}
