package devstack

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// install writes programs that answer --version as Postgres does.
func install(t *testing.T, dir string, major int) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for _, name := range []string{"postgres", "initdb"} {
		script := fmt.Sprintf("#!/bin/sh\necho '%s (PostgreSQL) %d.4 (Debian)'\n", name, major)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
	return dir
}

func TestCandidatesComeInOrderOfPreference(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	linked := install(t, filepath.Join(root, "opt/pg/bin"), 16)
	onPath := filepath.Join(root, "bin")
	require.NoError(t, os.Mkdir(onPath, 0o755))
	require.NoError(t, os.Symlink(filepath.Join(linked, "postgres"), filepath.Join(onPath, "postgres")))
	nine := install(t, filepath.Join(root, "lib/9/bin"), 9)
	sixteen := install(t, filepath.Join(root, "lib/16/bin"), 16)
	clientsOnly := filepath.Join(root, "lib/17/bin")
	require.NoError(t, os.MkdirAll(clientsOnly, 0o755))
	npm := install(t, npmFolder("linux-x64", filepath.Join(root, "repo/scripts/postgres")), 17)
	install(t, npmFolder("darwin-arm64", filepath.Join(root, "repo/scripts/postgres")), 17)

	s := search{
		path: onPath + ":" + linked, patterns: []string{filepath.Join(root, "lib/*/bin")},
		workDir: filepath.Join(root, "repo/internal/x"), platform: "linux-x64",
	}
	require.Equal(t, []string{linked, sixteen, nine, npm}, s.candidates())

	s.binDir = nine
	require.Equal(t, []string{nine}, s.candidates(), "what SYNCWORKER_PG_BIN names is the only place")
}

func TestBinariesTakesTheFirstThatFits(t *testing.T) {
	old := install(t, filepath.Join(t.TempDir(), "old"), 14)
	newer := install(t, filepath.Join(t.TempDir(), "newer"), 17)
	s := search{path: old + ":" + newer}

	dir, err := s.binaries(t.Context(), nil, 0)
	require.NoError(t, err)
	require.Equal(t, newer, dir)

	_, err = s.binaries(t.Context(), nil, 16)
	require.ErrorContains(t, err, "is Postgres 17, the data folder was made by 16")
}

func TestMissingBinariesSayWhatToDo(t *testing.T) {
	_, err := search{workDir: t.TempDir()}.binaries(t.Context(), nil, 0)
	require.ErrorContains(t, err, "no usable Postgres server binaries (looked in PATH, ")
	require.ErrorContains(t, err, "run `make deps`")
	require.ErrorContains(t, err, "SYNCWORKER_PG_BIN")

	broken := install(t, t.TempDir(), 17)
	require.NoError(t, os.WriteFile(filepath.Join(broken, "postgres"), []byte("#!/bin/sh\nexit 3\n"), 0o755))
	_, err = search{binDir: broken, path: install(t, t.TempDir(), 17)}.binaries(t.Context(), nil, 0)
	require.ErrorContains(t, err, "no usable Postgres in SYNCWORKER_PG_BIN ("+broken)
	require.ErrorContains(t, err, "exit status 3")
}

func TestReachableWantsAllParentsOpen(t *testing.T) {
	stranger := &syscall.Credential{Uid: 54321, Gid: 54321}
	base, err := os.MkdirTemp("/tmp", "syncworker-reach-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	inner := filepath.Join(base, "inner")
	require.NoError(t, os.Mkdir(inner, 0o755))

	require.False(t, reachable(inner, stranger), "the parent is 0700")
	require.NoError(t, os.Chmod(base, 0o711))
	require.True(t, reachable(inner, stranger))
	require.NoError(t, os.Chmod(base, 0o700))
	owner := &syscall.Credential{Uid: uint32(os.Getuid()), Gid: 54321}
	require.True(t, reachable(inner, owner))
	require.False(t, reachable(filepath.Join(inner, "gone"), owner))
}
