package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func FuzzLoadNeverPanicsNorShowsAPassword(f *testing.F) {
	for _, seed := range []string{
		account, "nats: &a\n  url: *a", "? [a]\n: b", "routes: [{types: ['*']}]", "a: |\n  b", "- !!str x", "nats: {replicas: 0x7}",
		"database:\n  url: postgres://u:hunter2@h/d", "vendors:\n  a:\n    base_url: https://u:hunter2@h",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, yaml string) {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path, []string{"SYNCWORKER_ROUTES=" + strings.ReplaceAll(yaml, "\x00", "")}, kinds)
		if err != nil && strings.Contains(err.Error(), ":hunter2@") {
			t.Fatal(err)
		}
	})
}
