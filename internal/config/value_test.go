package config

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestURLsPrintWithoutPasswords(t *testing.T) {
	for raw, want := range map[string]string{
		"":                                     "",
		"postgres://h/d":                       "postgres://h/d",
		"postgres://u@h/d":                     "postgres://u@h/d",
		"postgres://u:p@h1,h2/d?a=b":           "postgres://u:***@h1,h2/d?a=b",
		"postgres://u:p%40@h/d":                "postgres://u:***@h/d",
		"postgres://u:p/w@h/d":                 "postgres://***",
		"postgres://u@h/d?password=p@q":        "postgres://***",
		"postgres:///d?host=/tmp&pass%77ord=p": "postgres:///d?host=/tmp&pass%77ord=***",
		"host=h password=p":                    "***",
		"nats://token@h:4222":                  "nats://***@h:4222",
		"nats://u:p@h,nats://h2":               "nats://u:***@h,nats://h2",
		"nats://u:p,w@h":                       "***",
		"127.0.0.1:4222":                       "127.0.0.1:4222",
	} {
		require.Equal(t, want, URL(raw).String(), raw)
	}
}

func TestSecretsDontPrint(t *testing.T) {
	value := struct {
		S Secret
		U URL
	}{"hunter2", "nats://u:hunter2@h"}
	encoded, err := json.Marshal(value)
	require.NoError(t, err)
	for _, text := range []string{string(encoded), fmt.Sprintf("%v|%+v|%#v|%s|%q", value, value, value, value, value)} {
		require.NotContains(t, text, "hunter2")
		require.Contains(t, text, "***")
	}
}

func TestSizesAndDurationsReadAndPrint(t *testing.T) {
	for text, want := range map[string]Bytes{"0": 0, "512": 512, "1KB": 1000, "512MiB": 512 << 20, "10GiB": 10 << 30, "3 GiB": 3 << 30} {
		got, err := parseBytes(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "-1", "GiB", "1.5GiB", "9223372036854775807KiB"} {
		_, err := parseBytes(text)
		require.Error(t, err, text)
	}
	require.Equal(t, "10GiB", Bytes(10<<30).String())
	require.Equal(t, "1536MiB", Bytes(1536<<20).String())
	require.Equal(t, "1000", Bytes(1000).String())

	for text, want := range map[string]time.Duration{"0": 0, "500ms": 500 * time.Millisecond, "90d": 90 * 24 * time.Hour, "1h30m": 90 * time.Minute} {
		got, err := parseDuration(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	for d, want := range map[time.Duration]string{72 * time.Hour: "72h", 10 * time.Minute: "10m", 90 * time.Minute: "1h30m", 30 * time.Second: "30s", 0: "0s"} {
		require.Equal(t, want, formatDuration(d))
	}
}
