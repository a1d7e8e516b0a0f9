package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// result is one measurement.
type result struct {
	Scene     string `json:"scene"`
	Contender string `json:"contender"`
	Keeps     string `json:"keeps"`
	Slots     int    `json:"slots"`
	Round     int    `json:"round"`
	Events    int    `json:"events"`

	Seconds      float64 `json:"seconds"` // from the first call to the last settled delivery
	PerSecond    float64 `json:"events_per_second"`
	CPU          float64 `json:"cpu_seconds_per_1000"`          // the contender's process
	PostgresCPU  float64 `json:"postgres_cpu_seconds_per_1000"` // all of its processes
	SharedCPU    float64 `json:"shared_cpu_seconds_per_1000"`   // NATS and the vendor, which both need
	PeakMiB      float64 `json:"peak_mib"`
	WAL          float64 `json:"wal_bytes_per_event"`
	Commits      float64 `json:"commits_per_event"`
	Versions     float64 `json:"row_versions_per_delivery,omitempty"`
	HOT          float64 `json:"hot_share_of_delivery_updates,omitempty"`
	LaneVersions float64 `json:"lane_updates_per_delivery,omitempty"`
	LaneHOT      float64 `json:"hot_share_of_lane_updates,omitempty"`

	Statements []statement `json:"statements,omitempty"`

	Calls    int64          `json:"calls"`   // that the vendor saw, look-ups too
	Effects  int            `json:"effects"` // that a write had
	Mistakes map[string]int `json:"mistakes"`
	Lost     int            `json:"effects_lost"`
	verdict
}

// usage is what has been spent up to a moment.
type usage struct {
	postgres, shared float64 // CPU seconds
	wal              int64   // bytes ever written
}

func (s *stack) usage(ctx context.Context) (u usage, err error) {
	if u.postgres, err = treeCPU(s.pgPID); err != nil {
		return u, err
	}
	if u.shared, _, err = cpuOf(os.Getpid()); err != nil {
		return u, err
	}
	err = s.admin.QueryRow(ctx, `SELECT pg_current_wal_lsn() - '0/0'::pg_lsn`).Scan(&u.wal)
	return u, err
}

// ticks is the kernel's unit of CPU time in /proc: a hundredth of a second on
// every platform that Go runs on.
const ticks = 100

// treeCPU is the CPU time of a process in seconds, with that of its children and
// of those that have ended.
func treeCPU(pid int) (float64, error) {
	own, reaped, err := cpuOf(pid)
	if err != nil {
		return 0, err
	}
	sum := own + reaped
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // the pattern is well-formed
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			return 0, fmt.Errorf("looking for Postgres' processes: %w", err)
		}
		for _, child := range strings.Fields(string(text)) {
			n, err := strconv.Atoi(child)
			if err != nil {
				return 0, fmt.Errorf("looking for Postgres' processes: %w", err)
			}
			if own, _, err := cpuOf(n); err == nil { // else it has just ended
				sum += own
			}
		}
	}
	return sum, nil
}

func cpuOf(pid int) (own, reaped float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("reading the CPU time of a process: %w", err)
	}
	return parseStat(string(text))
}

// parseStat reads utime, stime, cutime and cstime of proc(5); the name before
// them may hold spaces.
func parseStat(text string) (own, reaped float64, err error) {
	_, rest, _ := strings.Cut(text[strings.LastIndex(text, ")")+1:], " ")
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return 0, 0, fmt.Errorf("reading the CPU time of a process: %q has too few fields", text)
	}
	var n [4]float64
	for i := range n {
		if n[i], err = strconv.ParseFloat(fields[11+i], 64); err != nil {
			return 0, 0, fmt.Errorf("reading the CPU time of a process: %w", err)
		}
	}
	return (n[0] + n[1]) / ticks, (n[2] + n[3]) / ticks, nil
}

// machineCPU is what all cores of the machine have done up to now, in seconds.
func machineCPU() (busy, idle float64, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, fmt.Errorf("reading the CPU time of the machine: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	for i, field := range strings.Fields(first)[1:] {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("reading the CPU time of the machine: %w", err)
		}
		switch i {
		case 3, 4: // idle, iowait
			idle += n / ticks
		case 0, 1, 2, 5, 6, 7: // guests count as user already
			busy += n / ticks
		}
	}
	return busy, idle, nil
}

// peakMiB is the most memory that a process has had.
func peakMiB(pid int) (float64, error) { return memoryOf(pid, "VmHWM:") }

// memoryOf is a size in MiB that proc(5) has of a process.
func memoryOf(pid int, field string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of a process: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if size, ok := strings.CutPrefix(line, field); ok {
			kib, err := strconv.ParseFloat(strings.Fields(size)[0], 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("reading the memory of process %d: /proc has no %s", pid, field)
}

// rowVersions reads how often rows were updated, and how often without touching
// an index. Sessions report it when they end, so the contender has to have ended.
func (s *stack) rowVersions(ctx context.Context, conn *pgx.Conn, r *result) error {
	const table = `SELECT n_tup_ins, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = to_regclass($1)`
	var inserted, updated, hot float64
	if err := conn.QueryRow(ctx, table, "outbox.deliveries").Scan(&inserted, &updated, &hot); err != nil {
		return fmt.Errorf("reading the statistics of deliveries: %w", err)
	}
	deliveries := max(inserted, 1)
	r.Versions, r.HOT = 1+updated/deliveries, hot/max(updated, 1)
	if err := conn.QueryRow(ctx, table, "outbox.lanes").Scan(&inserted, &updated, &hot); err != nil {
		return fmt.Errorf("reading the statistics of lanes: %w", err)
	}
	r.LaneVersions, r.LaneHOT = updated/deliveries, hot/max(updated, 1)
	return nil
}

func (r *result) spend(before, after usage) {
	n := float64(max(r.Events, 1))
	r.PostgresCPU = (after.postgres - before.postgres) / n * 1000
	r.SharedCPU = (after.shared - before.shared) / n * 1000
	r.WAL = float64(after.wal-before.wal) / n
}

func (r *result) took(first, last time.Time) {
	r.Seconds = last.Sub(first).Seconds()
	r.PerSecond = float64(r.Events) / r.Seconds
}
