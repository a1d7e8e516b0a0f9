//go:build failpoints

package failpoint

import (
	"runtime"
	"syscall"
)

// die doesn't return.
func die() {
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	select {}
}

// freeze returns when the process goes on. The signal goes to this very thread:
// one that another thread takes would let this one run on for a moment.
func freeze() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = syscall.Tgkill(syscall.Getpid(), syscall.Gettid(), syscall.SIGSTOP)
}
