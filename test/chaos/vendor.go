package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"syncworker/internal/sandbox"
)

const (
	secret       = "canary-secret-7f3a91"
	account      = "dmhub"
	dealsAccount = "deals"
	appID        = "app"
	dealsApp     = "deals"
	timeout      = 700 * time.Millisecond
	quiet        = 2 * time.Second
	maxFlight    = 32
)

// vendor is the sandbox with what the wire says of its calls: DM Hub's updates
// and refunds have no key, so the events carry one in a field of the shop's own.
type vendor struct {
	*sandbox.Sandbox
	listener net.Listener
	http     *http.Server

	mu     sync.Mutex
	events map[string]string // the field c_event by SHA-256 of the request's body
}

func newVendor(seed uint64, switches sandbox.Switches) (*vendor, error) {
	s, err := sandbox.New(sandbox.Config{
		Accounts: []sandbox.Account{{AppID: appID, Secret: secret}, {AppID: dealsApp, Secret: secret}},
		Seed:     seed, Switches: switches,
	})
	if err != nil {
		return nil, err
	}
	v := &vendor{Sandbox: s, events: map[string]string{}}
	if v.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("listening for the sandbox: %w", err)
	}
	v.http = &http.Server{Handler: http.HandlerFunc(v.serve), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = v.http.Serve(v.listener) }() // ends with Close
	return v, nil
}

func (v *vendor) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			panic(http.ErrAbortHandler) // half a request: nobody has said anything
		}
		var data struct {
			Event string `json:"c_event"`
		}
		if json.Unmarshal(body, &data) == nil && data.Event != "" {
			sum := sha256.Sum256(body)
			v.mu.Lock()
			v.events[hex.EncodeToString(sum[:])] = data.Event
			v.mu.Unlock()
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	v.ServeHTTP(w, r)
}

// trouble fails a share of the writes in every way that the sandbox knows.
func trouble(share float64) []sandbox.Rule {
	var throttles, others []sandbox.Fault
	for _, f := range sandbox.Faults() {
		if f == sandbox.ThrottleSeconds || f == sandbox.ThrottleDate {
			throttles = append(throttles, f)
		} else {
			others = append(others, f)
		}
	}
	return []sandbox.Rule{
		{Faults: throttles, Rate: share / 100},
		{Faults: others, Rate: share, Late: sandbox.Duration(200 * time.Millisecond), Size: 1 << 20},
	}
}

// operations are the vendor's names of what an event asks for.
var operations = map[string]string{
	"order.created": sandbox.OpDealCreate, "order.updated": sandbox.OpDealUpdate, "order.cancelled": sandbox.OpDealCancel,
	"order.deleted": sandbox.OpDealDelete, "order.refunded": sandbox.OpDealRefund,
	"order.refund_deleted": sandbox.OpDealDeleteRefund,
	"point.incremented":    sandbox.OpPointIncr, "point.decremented": sandbox.OpPointDecr,
}

// has says whether the effect of a delivery is there, as the vendor's pages show
// it. certain is false while a call may still have one.
func (v *vendor) has(s standing) (applied, certain bool) {
	key := s.OrderNo
	if key == "" {
		key = s.UUID
	}
	v.mu.Lock()
	events := v.events
	mine := func(op, request string) bool {
		if op != operations[s.Type] {
			return false
		}
		traced := s.UUID != "" && s.OrderNo != ""
		return !traced || events[request] == s.UUID
	}
	defer v.mu.Unlock()
	for _, c := range v.CallsOf(key) {
		if mine(c.Op, c.Request) && !c.Done {
			return false, false
		}
	}
	for _, e := range v.EffectsOf(key) {
		applied = applied || mine(e.Op, e.Request)
	}
	return applied, true
}
