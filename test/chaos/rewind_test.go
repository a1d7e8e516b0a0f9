package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRewindPutsAFolderBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.Mkdir(dir, 0o700))
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("kept", "old")
	starts, stops := 0, 0
	stop := func() error { stops++; return nil }
	start := func() error {
		if starts++; starts == 1 { // the server goes on writing
			write("kept", "new")
			write("since", "new")
		}
		return nil
	}
	require.NoError(t, rewind(dir, 0, stop, start))
	require.Equal(t, [2]int{2, 2}, [2]int{stops, starts})
	text, err := os.ReadFile(filepath.Join(dir, "kept"))
	require.NoError(t, err)
	require.Equal(t, "old", string(text))
	require.NoFileExists(t, filepath.Join(dir, "since"))
	require.NoFileExists(t, dir+".copy")
}

func TestLastWordsSayWhatEndedAWorker(t *testing.T) {
	for name, tt := range map[string]struct{ log, kind string }{
		"a failpoint":   {`{"message":"working"}` + "\nfailpoint: sent/order.refunded: kill\n", failpoint},
		"by itself":     {`{"message":"working"}` + "\nsyncworker: the lease is lost\n", workerExit},
		"never began":   {"syncworker: connecting to the database\n", workerIdle},
		"at once":       {"", workerIdle},
		"much later on": {"failpoint: acked: stop\n" + `{"message":"working"}` + "\n", workerExit},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "log")
			require.NoError(t, os.WriteFile(file, []byte(tt.log), 0o600))
			kind, _ := lastWords(file)
			require.Equal(t, tt.kind, kind)
		})
	}
}
