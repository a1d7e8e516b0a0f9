package main

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"syncworker/internal/sandbox"
)

// What opens the vendor.
const (
	appID  = "bench"
	secret = "bench-secret"
)

// vendor is the other side, in this process.
type vendor struct {
	url     string
	server  *http.Server
	handler http.Handler
	sandbox *sandbox.Sandbox // nil where it only echoes

	calls  atomic.Int64
	writes atomic.Int64
	first  atomic.Int64 // when the first write came, in Unix nanoseconds

	mu     sync.Mutex
	echoed []posted
}

func (s *stack) startVendor(sc scene) (*vendor, error) {
	v := &vendor{}
	var handler http.Handler = http.HandlerFunc(v.echo)
	if !sc.echo {
		var err error
		v.sandbox, err = sandbox.New(sandbox.Config{
			Accounts:  []sandbox.Account{{AppID: appID, Secret: secret}},
			Switches:  sandbox.Switches{Latency: sandbox.Duration(sc.latency)},
			KeepCalls: cmp.Or(sc.calls, 1000),
			Rules:     sc.rules,
		})
		if err != nil {
			return nil, err
		}
		first := s.members[0]
		_, err = v.sandbox.SeedMembers(sandbox.Seed{FirstID: first.ID, Count: len(s.members), Mobile: first.Mobile, Points: first.Points})
		if err != nil {
			return nil, err
		}
		handler = v.sandbox
	}
	if sc.flights != nil {
		handler = sc.flights.record(handler)
	}
	v.handler = v.counted(handler)
	return v, v.listen("127.0.0.1:0")
}

// listen takes calls at an address, for the first time or again.
func (v *vendor) listen(addr string) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("starting the vendor: %w", err)
	}
	v.url = "http://" + listener.Addr().String()
	v.server = &http.Server{Handler: v.handler, ReadHeaderTimeout: 10 * time.Second}
	go v.server.Serve(listener) //nolint:errcheck // it ends with Close
	return nil
}

// counted sees every call go by.
func (v *vendor) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.calls.Add(1)
		if r.Method == http.MethodPost {
			if v.writes.Add(1) == 1 {
				v.first.Store(time.Now().UnixNano())
			}
		}
		next.ServeHTTP(w, r)
	})
}

// ledger says what has become of the calls.
func (v *vendor) ledger() (effects int, mistakes map[string]int) {
	if v.sandbox == nil {
		return int(v.writes.Load()), nil
	}
	for _, op := range v.sandbox.Summary().ByOp {
		effects += op.Effects
	}
	mistakes = map[string]int{}
	for _, m := range v.sandbox.Violations() {
		mistakes[m.Kind+" of "+m.Op]++
	}
	return effects, mistakes
}

// effects are those that took place, in their order; what set what was set
// already is none.
func (v *vendor) effects() (effects []effect) {
	if v.sandbox == nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		for _, p := range v.echoed {
			effects = append(effects, p.effect())
		}
		return effects
	}
	for _, e := range v.sandbox.Effects() {
		key := e.Key
		if e.Op == sandbox.OpPointIncr || e.Op == sandbox.OpPointDecr {
			key = e.UUID
		}
		if !e.Repeat {
			effects = append(effects, effect{e.Op, key})
		}
	}
	return effects
}

// echo answers as DM Hub does where everything goes well: what was sent, with an
// id. It costs next to nothing: what it was sent is looked at afterwards.
func (v *vendor) echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	switch {
	case r.URL.Path == "/security/accesstoken":
		io.WriteString(w, `{"error_code":0,"access_token":"bench-token","expires_in":7200}`) //nolint:errcheck // its client is gone
	case r.Method == http.MethodGet:
		n, _ := strconv.ParseInt(strings.TrimPrefix(r.URL.Query().Get("value"), "138"), 10, 64) // 0 for others
		fmt.Fprintf(w, `{"membership":{"id":%d}}`, firstMember+n)
	default:
		body, err := io.ReadAll(r.Body)
		if err != nil || len(body) < 3 {
			http.Error(w, "no body", http.StatusBadRequest)
			return
		}
		v.mu.Lock()
		v.echoed = append(v.echoed, posted{r.URL.Path, body})
		v.mu.Unlock()
		io.WriteString(w, `{"id":8281,"state":"已取消",`) //nolint:errcheck // its client is gone
		w.Write(body[1:])                              //nolint:errcheck // its client is gone
	}
}
