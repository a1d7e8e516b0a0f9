package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"syncworker/internal/config"
	"syncworker/internal/devstack"
	"syncworker/internal/outbox"
	"syncworker/internal/sandbox"
)

// servers is what dev runs around the worker.
type servers struct {
	dir      string // absolute
	lock     *os.File
	postgres *devstack.Postgres
	nats     *devstack.NATS
	vendor   *sandbox.Sandbox
	api      *sandbox.Server
	config   config.Config
	members  []sandbox.Member
}

func (s *servers) path(name string) string { return filepath.Join(s.dir, name) }

// startServers starts everything but the worker. What it has started ends again
// where something fails.
func startServers(ctx context.Context, o devOptions) (*servers, error) {
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return nil, fmt.Errorf("--dir: %w", err)
	}
	s := &servers{dir: dir}
	if err := s.start(ctx, o); err != nil {
		return nil, errors.Join(err, s.stop(context.WithoutCancel(ctx)))
	}
	return s, nil
}

func (s *servers) start(ctx context.Context, o devOptions) (err error) {
	if err := s.take(); err != nil {
		return err
	}
	if o.fresh {
		if err := s.forget(ctx); err != nil {
			return err
		}
	}
	s.postgres, err = devstack.StartPostgres(ctx, devstack.PostgresConfig{Dir: s.path("postgres"), DatabaseURL: o.database})
	if err != nil {
		return err
	}
	if _, err := outbox.Migrate(ctx, s.postgres.URL, nil); err != nil {
		return err
	}
	s.nats, err = devstack.StartNATS(devstack.NATSConfig{Dir: s.path("nats"), Port: freePort(4222), SyncAlways: true})
	if err != nil {
		return err
	}
	if err := s.startVendor(); err != nil {
		return err
	}
	return s.configure(o)
}

// take makes the folder and keeps it for this process.
func (s *servers) take() error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return fmt.Errorf("making the folder of dev: %w", err)
	}
	file, err := os.OpenFile(s.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("opening the lock of the folder of dev: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close() // nothing was written through it
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("another syncworker dev runs in %s: use that one (%s --config %s …), end it, or choose another folder with --dir",
				s.dir, self(), shown(s.path("syncworker.yaml")))
		}
		return fmt.Errorf("locking %s: %w", s.dir, err)
	}
	s.lock = file
	return nil
}

// forget removes what earlier runs left.
func (s *servers) forget(ctx context.Context) error {
	err := devstack.RemovePostgres(ctx, s.path("postgres"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	for _, name := range []string{"nats", "days", "worker.log"} {
		err = errors.Join(err, os.RemoveAll(s.path(name)))
	}
	if err != nil {
		return fmt.Errorf("removing the data of earlier runs: %w", err)
	}
	return nil
}

// startVendor serves the sandbox with members whom the demo's shops know.
func (s *servers) startVendor() error {
	secret := rand.Text()
	if err := os.WriteFile(s.path("sandbox.secret"), []byte(secret), 0o600); err != nil {
		return fmt.Errorf("keeping the sandbox's secret: %w", err)
	}
	vendor, err := newSandbox(secret, sandbox.Switches{
		Latency: sandbox.Duration(5 * time.Millisecond), RefundState: true, DealsApart: true,
		Pospal: sandbox.PospalSwitches{DailyQuota: devQuota},
	}, nil)
	if err != nil {
		return err
	}
	for _, seed := range []sandbox.Seed{
		{FirstID: 16501, Count: 180, Mobile: "13800000000", Points: 2000},
		{FirstID: 16681, Count: 20, Mobile: "13800000180"},
	} {
		if _, err := vendor.SeedMembers(seed); err != nil {
			return err
		}
	}
	s.vendor, s.members = vendor, vendor.Members() // of other vendors there are none yet
	s.api, err = sandbox.Listen(net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(8090))), vendor)
	return err
}

// freePort is the port that people expect, or a free one where it is taken.
func freePort(preferred int) int {
	for _, port := range []int{preferred, 0} {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		port = l.Addr().(*net.TCPAddr).Port
		_ = l.Close() // it has accepted nobody
		return port
	}
	return 0
}

// devQuota is how many calls a day Pospal grants here: many demos.
const devQuota = 1_000_000

// devConfig is the file that other commands find what runs here by.
const devConfig = `# Written by syncworker dev each time it starts: what is changed here is lost.
nats:
  url: %q
  max_bytes: 2GiB
database:
  url: %q
http:
  listen: %q
dispatch:
  lease: 8s
vendors:
  # All are simulated. Waiting times are short, so that one sees what becomes of things.
  dmhub:
    kind: dmhub-loyalty
    base_url: %[4]q
    app_id: %[6]s
    secret_file: %[5]q
    <<short>>
    semantics:
      # This DM Hub keeps customer deals apart, so that they show no order of this
      # account's; but it refuses an order number that it has.
      existing_order: refused
      existing_order_reply: 409000 order exists
  dmhub-deals:
    kind: dmhub-deals
    base_url: %[4]q
    app_id: %[7]s
    secret_file: %[5]q
    <<short>>
  heyshop:
    kind: heyshop
    base_url: %[4]q
    secret_file: %[5]q
    <<short>>
  pospal:
    kind: pospal
    base_url: %[4]q
    app_id: %[8]s
    secret_file: %[5]q
    daily_quota: %[9]d
    <<short>>
routes:
  - {types: ["order.*"], tenants: ["*"], accounts: [dmhub, dmhub-deals]}
  - {types: ["point.*"], tenants: [default, "demo-*"], accounts: [dmhub]}
  - {types: ["point.*", "level.*"], tenants: ["web-*"], accounts: [heyshop]}
  - {types: ["member.*", "device.*", coupon.drawn, coupon.redeemed], tenants: ["*"], accounts: [dmhub]}
  - {types: [coupon.code_added, coupon.code_used], tenants: ["*"], accounts: [pospal]}
`

// devShort is what all accounts of devConfig have in common.
const devShort = `timeout: 2s
    rate_limit: 0
    quiet_period: 1s
    early_grace: 2s
    predecessor_wait: 5s
    retry: {initial: 200ms, max: 2s}`

// configure writes the configuration and reads it as every command does.
func (s *servers) configure(o devOptions) error {
	database := o.database
	if database == "" {
		var err error
		if database, err = s.keepPassword(); err != nil {
			return err
		}
	}
	listen := net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(8080)))
	text := fmt.Sprintf(strings.ReplaceAll(devConfig, "<<short>>", devShort),
		s.nats.URL, database, listen, s.api.URL, s.path("sandbox.secret"), sandboxApp, sandboxDeals, sandboxPospal, devQuota)
	path := s.path("syncworker.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	var err error
	if s.config, err = config.Load(path, nil, kinds()); err != nil {
		return err
	}
	return s.config.CheckWorker()
}

// keepPassword puts the database's password where Postgres clients look for it
// and returns the URL that names that file.
func (s *servers) keepPassword() (string, error) {
	u, err := url.Parse(s.postgres.URL)
	if err != nil {
		return "", errors.New("the private Postgres has a URL that can't be read")
	}
	password, _ := u.User.Password()
	file := s.path("pgpass")
	line := fmt.Sprintf("%s:%s:*:%s:%s\n", u.Hostname(), u.Port(), u.User.Username(), password)
	if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
		return "", fmt.Errorf("keeping the database's password: %w", err)
	}
	query := u.Query()
	query.Set("passfile", file)
	u.User, u.RawQuery = url.User(u.User.Username()), query.Encode()
	return u.String(), nil
}

// introduce says where everything is.
func (s *servers) introduce(w io.Writer) {
	fmt.Fprintf(w, "NATS       %s   (stream %s, subjects sync.events.>)\n", s.nats.URL, s.config.NATS.Stream)
	database := s.config.Database.URL.String()
	if s.postgres.BinDir != "" {
		database = string(s.config.Database.URL) // names the file with the password
	}
	fmt.Fprintf(w, "Postgres   %s\n", database)
	fmt.Fprintf(w, "Vendors    %s/sandbox/summary   (simulated; also ledger, orders, members)\n", s.api.URL)
	fmt.Fprintf(w, "Worker     http://%s/readyz   (also /metrics)\n", s.config.HTTP.Listen)
	fmt.Fprintf(w, "Config     %s   (other terminals: %s --config %[1]s …)\n\n", shown(s.path("syncworker.yaml")), self())
}

// shown is a path as short as it can be from here.
func shown(path string) string {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return path
}

// stop ends what runs, the vendor's side first.
func (s *servers) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var err error
	if s.api != nil {
		err = s.api.Close()
	}
	if s.nats != nil {
		s.nats.Shutdown()
	}
	if s.postgres != nil {
		err = errors.Join(err, s.postgres.Stop(ctx))
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}
