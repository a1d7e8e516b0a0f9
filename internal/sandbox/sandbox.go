// Package sandbox simulates the vendors over HTTP, written from their documents
// alone, and keeps a ledger of what really took effect.
//
// It is the other side of the worker: it shares no code with the client, so
// that a misreading on one side can't hide behind the same misreading on the
// other. What the documents leave open is a field of [Switches]; trouble is
// injected by [Rule]. [Sandbox.Effects] is the oracle that tests and the demo
// compare the outbox with.
package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Account is an application login of a vendor ("dmhub-loyalty" v1: appid and
// secret). Accounts with the same Store see the same members and orders, as the
// loyalty and the customer-deals application of one DM Hub tenant do; those of
// different vendors have different stores.
type Account struct {
	AppID  string `json:"app_id"`
	Secret string `json:"secret"`
	Store  string `json:"store"`
	Vendor string `json:"vendor"` // empty = dmhub; see [Vendors]
}

func (a Account) vendor() string { return cmp.Or(a.Vendor, DMHub) }

// Config is how a sandbox starts, and what a reset goes back to.
type Config struct {
	Accounts      []Account
	TokenLifetime time.Duration // 0 = 7200 s, as documented
	Switches      Switches
	Rules         []Rule
	Seed          uint64           // decides which calls a Rule with a Rate hits
	KeepCalls     int              // the newest calls that the ledger keeps; 0 = all
	Now           func() time.Time // nil = the system's clock; latency and hangs use real time
}

// Sandbox is the vendor: an [http.Handler] with a memory. It outlives its
// [Server], so that a test can take the vendor down and bring it back.
type Sandbox struct {
	cfg Config
	mux *http.ServeMux

	mu       sync.Mutex // guards all below; held for in-memory work only
	switches Switches
	plan     plan
	logins   map[string]*login // by app id
	tokens   map[string]*login // by the token that is valid now
	denials  int               // token errors so far: their code alternates between number and string
	stores   map[string]*store
	ledger   *ledger
}

// New checks the configuration and returns a sandbox without members or orders.
func New(cfg Config) (*Sandbox, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.TokenLifetime == 0 {
		cfg.TokenLifetime = 7200 * time.Second
	}
	if len(cfg.Accounts) == 0 {
		return nil, errors.New("sandbox: accounts is empty: give at least one app id with its secret")
	}
	seen := map[string]bool{}
	for _, a := range cfg.Accounts {
		if err := checkAccount(a, cfg.Accounts); err != nil {
			return nil, err
		}
		if seen[a.AppID] {
			return nil, fmt.Errorf("sandbox: account %q is there twice: app ids must differ", a.AppID)
		}
		seen[a.AppID] = true
	}
	cfg.Switches = cfg.Switches.withDefaults()
	if err := cfg.Switches.check(); err != nil {
		return nil, err
	}
	for i, r := range cfg.Rules {
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("sandbox: rule %d: %w", i+1, err)
		}
	}
	s := &Sandbox{cfg: cfg}
	s.routes()
	s.Reset()
	return s, nil
}

// Reset forgets members, orders, tokens and the ledger, and goes back to the
// switches and rules of the [Config]. Calls that are under way end in what was
// there before.
func (s *Sandbox) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.switches = s.cfg.Switches
	s.plan = newPlan(s.cfg.Seed, s.cfg.Rules)
	s.logins = map[string]*login{}
	s.tokens = map[string]*login{}
	s.denials = 0
	s.stores = map[string]*store{}
	s.ledger = newLedger(s.cfg.KeepCalls)
	for _, a := range s.cfg.Accounts {
		if s.stores[a.Store] == nil {
			s.stores[a.Store] = newStore(a.Store)
		}
		s.logins[a.AppID] = &login{account: a, store: s.stores[a.Store]}
	}
}

// Switches returns those in force.
func (s *Sandbox) Switches() Switches {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.switches
}

// SetSwitches replaces all switches, for the calls that arrive from now on.
// Empty fields take their defaults.
func (s *Sandbox) SetSwitches(sw Switches) error {
	sw = sw.withDefaults()
	if err := sw.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.switches = sw
	return nil
}

// SetRules replaces all fault rules and starts their counts anew; without
// arguments it ends all faults.
func (s *Sandbox) SetRules(rules ...Rule) error {
	for i, r := range rules {
		if err := r.check(); err != nil {
			return fmt.Errorf("sandbox: rule %d: %w", i+1, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan = newPlan(s.cfg.Seed, rules)
	return nil
}

// AddRule puts one more rule behind those in force, whose counts go on.
func (s *Sandbox) AddRule(r Rule) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("sandbox: rule: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan.add(r)
	return nil
}

// ServeHTTP answers the vendor's API and the admin endpoints under /sandbox/.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Server is a sandbox that listens.
type Server struct {
	URL    string // http://host:port, without a trailing slash
	http   *http.Server
	cancel context.CancelFunc
	served chan error
}

// Listen serves the sandbox at addr; port 0 picks a free one, see [Server.URL].
func Listen(addr string, s *Sandbox) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("sandbox: listening on %q: %w", addr, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	srv := &Server{
		URL:    "http://" + l.Addr().String(),
		cancel: cancel,
		served: make(chan error, 1),
		http: &http.Server{
			Handler:           s,
			ReadHeaderTimeout: 10 * time.Second,
			BaseContext:       func(net.Listener) context.Context { return ctx },
		},
	}
	go func() { srv.served <- srv.http.Serve(l) }()
	return srv, nil
}

// Close ends the calls that hang, waits up to two seconds for the others and
// frees the port. What the sandbox remembers stays.
func (s *Server) Close() error {
	s.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if err != nil {
		return fmt.Errorf("sandbox: closing %s: %w", s.URL, err)
	}
	return nil
}
