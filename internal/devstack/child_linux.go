package devstack

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// childAttr has the kernel end the child when we die, however we die. Its own
// process group keeps a terminal's Ctrl-C from the server while we still drain.
func childAttr(as *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: as, Setpgid: true, Pdeathsig: syscall.SIGQUIT}
}

// commandLine is the command line of a process, or "" where there is none.
func commandLine(pid int) string {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
}
