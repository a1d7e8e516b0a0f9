package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// cpuPeriod is the time in which a confined process gets its part of a core: short,
// so that what it waits for isn't seen in a call.
const cpuPeriod = 10 * time.Millisecond

// confine gives a process a part of a core and no more, as a machine of its own
// would, by a control group of that name. It has to be root for that.
func confine(pid int, name string, cores float64) (dir string, err error) {
	period, quota := strconv.FormatInt(cpuPeriod.Microseconds(), 10), strconv.FormatInt(int64(cores*float64(cpuPeriod.Microseconds())), 10)
	dir, limits := filepath.Join("/sys/fs/cgroup", name), [][2]string{{"cpu.max", quota + " " + period}}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err != nil { // version 1
		dir = filepath.Join("/sys/fs/cgroup/cpu", name)
		limits = [][2]string{{"cpu.cfs_period_us", period}, {"cpu.cfs_quota_us", quota}}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
		return "", fmt.Errorf("making a control group: %w", err)
	}
	for _, set := range append(limits, [2]string{"cgroup.procs", strconv.Itoa(pid)}) {
		if err := os.WriteFile(filepath.Join(dir, set[0]), []byte(set[1]), 0o644); err != nil {
			return dir, fmt.Errorf("confining a worker to %g of a core: %w", cores, err)
		}
	}
	return dir, nil
}
