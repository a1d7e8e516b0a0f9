package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// restore puts Postgres back to a copy that is as old as the step lasts, as a
// backup does: what was committed since is lost.
func (h *harness) restore(ctx context.Context, s step) error {
	defer h.note(s.Kind, "postgres", s.For.String())()
	data, err := filepath.EvalSymlinks(filepath.Join(h.work, "postgres", "data"))
	if err != nil {
		return fmt.Errorf("finding Postgres's data: %w", err)
	}
	return rewind(data, s.For,
		func() error { h.postgres.Kill(); return nil },
		func() error { return h.postgres.Restart(ctx) })
}

// loseTail puts the stream's store back to a copy that is as old as the step
// lasts: the messages of that time are lost, and their numbers used again.
func (h *harness) loseTail(ctx context.Context, s step) error {
	n := h.nats.nodes[s.Target%len(h.nats.nodes)]
	defer h.note(s.Kind, n.name, s.For.String())()
	return rewind(n.store(), s.For,
		func() error { n.kill(); return nil },
		func() error {
			if err := n.start(); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
			defer cancel()
			return awaitPort(ctx, n.address())
		})
}

// rewind copies a folder while its server is down, lets the server run for a
// time, and puts the copy in the folder's place.
func rewind(dir string, after time.Duration, stop, start func() error) error {
	copied := dir + ".copy"
	if err := errors.Join(stop(), clone(dir, copied), start()); err != nil {
		return err
	}
	time.Sleep(after)
	if err := stop(); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("emptying %s: %w", dir, err)
	}
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return errors.Join(err, clone(copied, dir), os.RemoveAll(copied), start())
}

// clone copies what is in a folder, with owners and modes.
func clone(from, to string) error {
	if out, err := exec.Command("cp", "-aT", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copying %s: %w\n%s", from, err, out)
	}
	return nil
}

// mount puts a small file system over a folder; it says why where this machine
// doesn't allow that.
func mount(dir string, megabytes int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm,mode=755", megabytes), "tmpfs", dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("a small file system can't be mounted (only root can, where the machine allows it): %w: %s", err, out)
	}
	return nil
}

// fillDisk leaves no byte on the small file system for a time, and then brings
// back the server that stands on it.
func (h *harness) fillDisk(ctx context.Context, s step) error {
	defer h.note(s.Kind, h.Disk, s.For.String())()
	file := filepath.Join(h.disk, "full")
	if err := fill(file); err != nil {
		return err
	}
	time.Sleep(s.For)
	if err := os.Remove(file); err != nil {
		return fmt.Errorf("freeing the disk: %w", err)
	}
	if h.Disk == "postgres" {
		h.postgres.Kill()
		return h.postgres.Restart(ctx)
	}
	n := h.nats.nodes[0]
	n.kill()
	if err := n.start(); err != nil {
		return err
	}
	return h.nats.await(ctx)
}

func fill(file string) error {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("filling the disk: %w", err)
	}
	_, err = io.Copy(f, zeros{})
	if closed := f.Close(); !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("filling the disk: %w", errors.Join(err, closed))
	}
	return nil
}

// zeros is a reader without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
