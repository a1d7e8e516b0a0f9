package main

import (
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"syncworker/internal/config"
)

// composeFile is what docker-compose.yml uses of the format, and no more.
type composeFile struct {
	Name     string                       `yaml:"name"`
	Common   composeService               `yaml:"x-syncworker"`
	Services map[string]composeService    `yaml:"services"`
	Secrets  map[string]map[string]string `yaml:"secrets"`
	Volumes  map[string]any               `yaml:"volumes"`
}

type composeService struct {
	Image       string                       `yaml:"image"`
	Build       string                       `yaml:"build"`
	Command     []string                     `yaml:"command"`
	Environment map[string]string            `yaml:"environment"`
	Volumes     []string                     `yaml:"volumes"`
	Secrets     []string                     `yaml:"secrets"`
	Ports       []string                     `yaml:"ports"`
	Restart     string                       `yaml:"restart"`
	ReadOnly    bool                         `yaml:"read_only"`
	CapDrop     []string                     `yaml:"cap_drop"`
	SecurityOpt []string                     `yaml:"security_opt"`
	ShmSize     string                       `yaml:"shm_size"`
	StopGrace   string                       `yaml:"stop_grace_period"`
	DependsOn   map[string]map[string]string `yaml:"depends_on"`
	Healthcheck struct {
		Test     []string `yaml:"test"`
		Interval string   `yaml:"interval"`
		Timeout  string   `yaml:"timeout"`
		Retries  int      `yaml:"retries"`
		Disable  bool     `yaml:"disable"`
	} `yaml:"healthcheck"`
}

func readCompose(t *testing.T) composeFile {
	t.Helper()
	data, err := os.ReadFile("../../docker-compose.yml")
	require.NoError(t, err)
	var c composeFile
	require.NoError(t, yaml.UnmarshalWithOptions(data, &c, yaml.Strict()))
	return c
}

func TestComposeHoldsTogether(t *testing.T) {
	c := readCompose(t)
	require.Len(t, c.Services, 5)
	for name, s := range c.Services {
		require.NotEmpty(t, s.Image, name)
		oneShot := s.Restart == "no"
		require.Equal(t, oneShot, s.Healthcheck.Disable, name)
		require.Equal(t, oneShot, len(s.Healthcheck.Test) == 0, name)
		for _, port := range s.Ports {
			require.True(t, strings.HasPrefix(port, "127.0.0.1:"), "%s publishes %s to everybody", name, port)
		}
		for _, secret := range s.Secrets {
			require.Contains(t, c.Secrets, secret, name)
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if strings.HasPrefix(from, "./") {
				require.FileExists(t, "../../"+from, name)
			} else {
				require.Contains(t, c.Volumes, from, name)
			}
		}
		for other, need := range s.DependsOn {
			require.Contains(t, c.Services, other, name)
			want := "service_healthy"
			if c.Services[other].Restart == "no" {
				want = "service_completed_successfully"
			}
			require.Equal(t, want, need["condition"], "%s needs %s", name, other)
		}
		if s.Build != "" {
			require.Equal(t, c.Common.CapDrop, s.CapDrop, name)
			requireCommand(t, s.Command, name)
		}
	}
}

func TestComposeRunsTheWorkerWithItsConfiguration(t *testing.T) {
	c := readCompose(t)
	worker := c.Services["worker"]
	var environ []string
	for name, value := range worker.Environment {
		environ = append(environ, name+"="+value)
	}
	conf, err := config.Load("../../deploy/syncworker.yaml", environ, kinds())
	require.NoError(t, err)
	for _, w := range conf.Warnings() {
		require.Contains(t, w, "http sends the secret", "the only thing to warn about is the sandbox without TLS")
	}
	mounted := func(path string) {
		require.True(t, slices.Contains(worker.Secrets, strings.TrimPrefix(path, "/run/secrets/")), path)
	}
	serves := func(address string) {
		u, err := url.Parse(address)
		require.NoError(t, err)
		require.Contains(t, c.Services, u.Hostname())
	}
	for name, account := range conf.Vendors {
		mounted(account.SecretFile)
		serves(account.BaseURL)
		require.Contains(t, []string{sandboxApp, sandboxDeals}, account.AppID, name)
	}
	serves(string(conf.NATS.URL))
	serves(string(conf.Database.URL))
	database, err := url.Parse(string(conf.Database.URL))
	require.NoError(t, err)
	mounted(database.Query().Get("passfile"))
	require.Equal(t, database.User.Username(), c.Services["postgres"].Environment["POSTGRES_USER"])

	_, port, err := net.SplitHostPort(conf.HTTP.Listen)
	require.NoError(t, err)
	require.Contains(t, strings.Join(worker.Healthcheck.Test, " "), "127.0.0.1:"+port+"/readyz")
	grace, err := time.ParseDuration(worker.StopGrace)
	require.NoError(t, err)
	require.Greater(t, grace, conf.Dispatch.DrainTimeout)
}

func TestTheNATSServerOfComposeKeepsWhatItAcknowledges(t *testing.T) {
	o, err := server.ProcessConfigFile("../../deploy/nats.conf")
	require.NoError(t, err)
	require.True(t, o.JetStream)
	require.True(t, o.SyncAlways)
	conf, err := config.Load("../../deploy/syncworker.yaml", nil, kinds())
	require.NoError(t, err)
	require.Greater(t, o.JetStreamMaxStore, int64(conf.NATS.MaxBytes))
	require.Contains(t, readCompose(t).Services["nats"].Volumes, "nats-data:"+o.StoreDir)
}
