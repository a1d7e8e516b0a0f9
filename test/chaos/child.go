package main

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// child is a process that ends with us, on Linux: the kernel kills it when the
// thread that started it ends, so that thread is kept until the process is gone.
type child struct {
	*os.Process
	done chan struct{}
	err  error // how it ended; read it after done
}

func startChild(cmd *exec.Cmd) (*child, error) {
	cmd.SysProcAttr = childAttr()
	c := &child{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		c.Process = cmd.Process
		started <- err
		if err != nil {
			return
		}
		c.err = cmd.Wait()
		close(c.done)
	}()
	return c, <-started
}

// kill ends the process as a crash would, and returns when it is gone.
func (c *child) kill() {
	_ = c.Signal(syscall.SIGKILL) // fails only for a process that has ended
	<-c.done
}

func (c *child) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}
