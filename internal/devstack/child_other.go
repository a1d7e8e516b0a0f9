//go:build !linux

package devstack

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// childAttr gives the child its own process group, which keeps a terminal's
// Ctrl-C from the server while we still drain. Without Pdeathsig a server
// outlives a parent that was killed; the next start on its folder ends it.
func childAttr(as *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: as, Setpgid: true}
}

// commandLine is the command line of a process, or "" where there is none.
func commandLine(pid int) string {
	line, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(line))
}
