package devstack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Stop shuts the server down (connections are cut, data is flushed) and gives
// up the folder. When ctx ends first the server is killed, as by Kill, and the
// error says so. A server that isn't ours, or has ended, is nothing to stop.
func (p *Postgres) Stop(ctx context.Context) error {
	err := p.shutdown(ctx)
	p.release()
	return err
}

// Kill ends the server at once, as a crash would: what wasn't committed is
// lost, and the next start recovers the rest. Restart brings it back.
func (p *Postgres) Kill() {
	if p.server == nil {
		return
	}
	_ = p.server.process.Signal(syscall.SIGQUIT) // fails only for a process that has ended
	<-p.server.done
	p.server = nil
}

// Restart starts the server again on the same folder and port, and thus with
// the same URL; one that runs is shut down first. ctx bounds both. It has no
// meaning for a database whose URL was given, or after Stop.
func (p *Postgres) Restart(ctx context.Context) error {
	if p.lock == nil {
		return fmt.Errorf("restarting Postgres: the server isn't ours or has been stopped")
	}
	if err := p.shutdown(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := p.launch(ctx); err != nil {
		return fmt.Errorf("restarting Postgres: %w", err)
	}
	return nil
}

func (p *Postgres) shutdown(ctx context.Context) error {
	if p.server == nil {
		return nil
	}
	_ = p.server.process.Signal(syscall.SIGINT) // fails only for a process that has ended
	select {
	case <-p.server.done:
		p.server = nil
		return nil
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("stopping Postgres: %w: it was killed, the next start recovers", ctx.Err())
	}
}

func (p *Postgres) release() {
	if p.lock != nil {
		_ = p.lock.Close() // nothing was written through it
		p.lock = nil
	}
}

// RemovePostgres removes a folder that StartPostgres made, with the data in it
// or that it leads to. ErrInUse where a process still has it.
func RemovePostgres(ctx context.Context, dir string) error {
	lock, err := lockDir(dir)
	if err != nil {
		return fmt.Errorf("removing a Postgres folder: %w", err)
	}
	defer lock.Close() //nolint:errcheck // nothing was written through it
	paths := []string{dir}
	if data, err := filepath.EvalSymlinks(filepath.Join(dir, "data")); err == nil {
		p := &Postgres{data: data}
		if err := p.endOrphan(ctx); err != nil {
			return fmt.Errorf("removing a Postgres folder: %w", err)
		}
		if home := filepath.Dir(data); strings.HasPrefix(filepath.Base(home), elsewhere) {
			paths = append(paths, home)
		}
	}
	for _, path := range paths {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("removing a Postgres folder: %w", err)
		}
	}
	return nil
}
