package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Kinds of step of an upgrade. The fault journal names them.
const (
	schemaMigrate  = "schema_migrate"  // by this version, while workers of the one before work
	workerUpgrade  = "worker_upgrade"  // the worker's next process is of this version
	workerRollback = "worker_rollback" // it is of the version before
)

// upgrade is the track of a run that begins with workers of another version. Its
// worker is replaced, put back and replaced again beside the others, which follow
// one by one; one seed in four puts all of them back.
func (o options) upgrade() track {
	rng := rand.New(rand.NewPCG(o.Seed, 0x75706772))
	first := rng.IntN(o.Workers)
	steps := track{
		{Kind: schemaMigrate, At: 0.2},
		{Kind: workerUpgrade, At: 0.35, Target: first},
		{Kind: workerRollback, At: 0.5, Target: first},
	}
	turns := func(kind string, from, to float64) {
		for i := range o.Workers {
			steps = append(steps, step{Kind: kind, At: from + (to-from)*float64(i)/float64(o.Workers), Target: first + i})
		}
	}
	turns(workerUpgrade, 0.55, 0.8)
	if rng.IntN(4) == 0 {
		turns(workerRollback, 0.8, 0.95)
	}
	return steps
}

// buildBefore builds the worker of the revision that the run begins with, from
// nothing but what is committed there.
func (h *harness) buildBefore(ctx context.Context) error {
	commit, err := git(ctx, h.Root, "rev-parse", "--verify", "--short", h.From+"^{commit}")
	if err != nil {
		return err
	}
	h.commit = strings.TrimSpace(commit)
	dir, archive := filepath.Join(h.work, "before"), filepath.Join(h.work, "before.tar")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	if _, err := git(ctx, h.Root, "archive", "--output", archive, h.commit); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "tar", "-xf", archive, "-C", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("unpacking %s: %w\n%s", h.From, err, out)
	}
	h.crossed = newest(dir) + " to " + newest(h.Root)
	h.before = filepath.Join(h.work, "syncworker-before")
	return build(ctx, dir, h.before, h.Race)
}

// newest is the name of a tree's last migration.
func newest(root string) string {
	files, _ := filepath.Glob(filepath.Join(root, "migrations", "*.sql")) // the pattern is well formed
	if len(files) == 0 {
		return "none"
	}
	return strings.TrimSuffix(filepath.Base(files[len(files)-1]), ".sql")
}

func git(ctx context.Context, root string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// migrateLimit is how long migrating may take, whatever dies meanwhile.
const migrateLimit = time.Minute

// migrateUnderLoad brings the schema to this version. The first try dies after the
// first migration that it applies. From then on operators use this version.
func (h *harness) migrateUnderLoad(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, migrateLimit)
	defer cancel()
	dies := []string{"SYNCWORKER_FAILPOINTS=migrating=kill@1"}
	for {
		over := h.note(schemaMigrate, "postgres", h.crossed)
		err := h.migrate(ctx, h.Binary, dies)
		over()
		if err == nil {
			h.operators.use(h.Binary)
			return nil
		}
		dies = nil
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// replace stops a worker and starts it with the other version's program.
func (h *harness) replace(s step) error {
	w := h.workers[s.Target%len(h.workers)]
	binary, version := h.Binary, "this version"
	if s.Kind == workerRollback {
		binary, version = h.before, h.commit
	}
	w.use(binary)
	h.note(s.Kind, w.name, version)()
	defer h.note(workerTerm, w.name, "")()
	_ = w.drain(5 * time.Second) // under faults it may end in any way
	return w.start()
}
