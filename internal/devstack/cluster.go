package devstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// superuser is the role that initdb makes and that the URL names.
const superuser = "syncworker"

// elsewhere begins the name of a folder that holds the data for another.
const elsewhere = "syncworker-postgres-"

// ErrInUse is a folder that another process has a server in.
var ErrInUse = errors.New("another process uses it: end that one, or choose another folder")

// lockDir takes the folder for this process, or says who can't have it. The
// lock is gone as soon as the file is closed or the process has ended.
func lockDir(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the Postgres folder: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrInUse
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return file, nil
}

// dataDir returns where the data folder of dir is, or is to be. It is dir/data,
// except where the server's user can't get there (root's home, a test's
// temporary folder): then dir/data is a link to a folder that it can reach.
func dataDir(dir string, as *syscall.Credential) (string, error) {
	link := filepath.Join(dir, "data")
	if data, err := filepath.EvalSymlinks(link); err == nil {
		return data, nil
	}
	if as == nil || reachable(dir, as) {
		return link, nil
	}
	if data, err := os.Readlink(link); err == nil && ours(filepath.Dir(data)) {
		return data, nil // the folder is there, the data isn't yet
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("removing the link to a data folder that is gone: %w", err)
	}
	for _, base := range []string{"/var/tmp", os.TempDir(), "/tmp"} {
		if !reachable(base, as) {
			continue
		}
		home, err := os.MkdirTemp(base, elsewhere)
		if err != nil {
			continue
		}
		if err := os.Chmod(home, 0o711); err != nil {
			return "", fmt.Errorf("opening %s to the server's user: %w", home, err)
		}
		data := filepath.Join(home, "data")
		return data, os.Symlink(data, link)
	}
	return "", fmt.Errorf("%s can't be reached by uid %d, which Postgres has to run as, "+
		"and neither can /var/tmp or %s: choose a folder whose parents all have mode o+x", dir, as.Uid, os.TempDir())
}

// ours says whether we made a folder: anybody may make one in /var/tmp.
func ours(dir string) bool {
	info, err := os.Lstat(dir)
	return err == nil && info.IsDir() && int(info.Sys().(*syscall.Stat_t).Uid) == os.Geteuid()
}

// reachable says whether a user may pass through dir and all folders above it.
func reachable(dir string, as *syscall.Credential) bool {
	for ; dir != ""; dir = parent(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return false
		}
		owner := info.Sys().(*syscall.Stat_t)
		bit := fs.FileMode(0o001)
		if owner.Uid == as.Uid {
			bit = 0o100
		} else if owner.Gid == as.Gid {
			bit = 0o010
		}
		if info.Mode()&bit == 0 {
			return false
		}
	}
	return true
}

// dataMajor is the Postgres version that made the data folder, 0 where there is
// none yet.
func dataMajor(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the data folder's version: %w "+
			"(a folder that another user made has to be removed or used by that user)", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("the version of the data folder %s is %q: remove the folder", data, text)
	}
	return major, nil
}

// initdb makes the data folder and its password. It appears under its own name
// only when it is complete, so that an initdb that was killed is made again.
func (p *Postgres) initdb(ctx context.Context) error {
	fresh := p.data + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("removing an unfinished data folder: %w", err)
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	// Beside the data, since the server's user has to read it during initdb.
	pwfile := fresh + ".password"
	password := rand.Text()
	if err := os.WriteFile(pwfile, []byte(password), 0o600); err != nil {
		return fmt.Errorf("writing the database password: %w", err)
	}
	if p.as != nil {
		for _, path := range []string{fresh, pwfile} {
			if err := os.Lchown(path, int(p.as.Uid), int(p.as.Gid)); err != nil {
				return fmt.Errorf("giving the data folder to the server's user: %w", err)
			}
		}
	}
	args := []string{
		"-D", fresh, "-U", superuser, "--pwfile", pwfile, "-A", "scram-sha-256",
		"-E", "UTF8", "--locale", "C", "--no-instructions",
	}
	if p.cfg.Volatile {
		args = append(args, "--no-sync")
	}
	if err := p.runInitdb(ctx, args); err != nil {
		return err
	}
	if err := os.Rename(pwfile, p.passwordFile()); err != nil {
		return fmt.Errorf("keeping the database password: %w", err)
	}
	if err := os.Rename(fresh, p.data); err != nil {
		return fmt.Errorf("putting the data folder in place: %w", err)
	}
	return nil
}

func (p *Postgres) runInitdb(ctx context.Context, args []string) error {
	var output strings.Builder
	cmd := exec.CommandContext(ctx, filepath.Join(p.BinDir, "initdb"), args...)
	cmd.Env, cmd.Dir = childEnv(), filepath.Dir(p.data)
	cmd.SysProcAttr = childAttr(p.as)
	cmd.Stdout, cmd.Stderr = &output, &output
	c, err := startChild(cmd)
	if err != nil {
		return fmt.Errorf("starting initdb: %w", err)
	}
	<-c.done
	if c.err != nil {
		return fmt.Errorf("initdb: %w; it says:\n%s", c.err, lastLines(output.String()))
	}
	return nil
}

func (p *Postgres) passwordFile() string { return p.data + ".password" }

// endOrphan makes way where the data folder names a server: one whose parent is
// gone is ended, a pid file that outlived its server is removed. The folder's
// lock is ours, so nobody who is alive still uses that server.
func (p *Postgres) endOrphan(ctx context.Context) error {
	pidFile := filepath.Join(p.data, "postmaster.pid")
	text, err := os.ReadFile(pidFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the pid of an earlier server: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err == nil && pid > 0 {
		for p.serves(pid) {
			_ = syscall.Kill(pid, syscall.SIGQUIT) // it may have ended meanwhile
			select {
			case <-ctx.Done():
				return fmt.Errorf("ending the server with pid %d that an earlier run left: %w", pid, ctx.Err())
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	if err := os.Remove(pidFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the pid file of a server that is gone: %w", err)
	}
	return nil
}

// serves says whether a process is the server of our data folder, and not
// another that was given the same pid since.
func (p *Postgres) serves(pid int) bool {
	line := commandLine(pid)
	return strings.Contains(line, "postgres") && strings.Contains(line, "-D "+p.data+" ")
}

// lastLines keeps the end of a log, where the reason stands.
func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
