//go:build failpoints && unix && !linux

package failpoint

import "syscall"

// die doesn't return.
func die() {
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	select {}
}

// freeze returns when the process goes on. Another thread may take the signal,
// so that this one runs on for a moment.
func freeze() { _ = syscall.Kill(syscall.Getpid(), syscall.SIGSTOP) }
