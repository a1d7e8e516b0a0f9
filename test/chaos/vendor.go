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
	secret    = "canary-secret-7f3a91"
	timeout   = 700 * time.Millisecond
	quiet     = 2 * time.Second
	maxFlight = 32
)

// vendor is the sandbox with what the wire says of its calls: where a request has no
// key, such as DM Hub's updates and refunds, the event carries one in a field of the
// shop's own.
type vendor struct {
	*sandbox.Sandbox
	listener net.Listener
	http     *http.Server

	mu     sync.Mutex
	events map[string]string // what a request is named by, see named; by SHA-256 of its body
}

func newVendor(seed uint64, switches sandbox.Switches) (*vendor, error) {
	s, err := sandbox.New(sandbox.Config{
		Accounts: logins(), Seed: seed, Switches: switches,
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
	if r.Method != http.MethodGet {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			panic(http.ErrAbortHandler) // half a request: nobody has said anything
		}
		if name := named(body); name != "" {
			sum := sha256.Sum256(body)
			v.mu.Lock()
			v.events[hex.EncodeToString(sum[:])] = name
			v.mu.Unlock()
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	v.ServeHTTP(w, r)
}

// named is what tells a request from others: the event in a field of the shop's own,
// the value of the first identity that is bound, or for an adjustment, which HeyShop
// can't tell from an equal one, the customer and the points.
func named(body []byte) string {
	var identities []struct{ Value string }
	if json.Unmarshal(body, &identities) == nil && len(identities) > 0 {
		return identities[0].Value
	}
	var data struct {
		Event    string `json:"c_event"`
		Customer int64  `json:"customer_id"`
		Points   int64  `json:"points"`
	}
	if json.Unmarshal(body, &data) != nil {
		return ""
	}
	if data.Event == "" && data.Points != 0 {
		return fmt.Sprint(data.Customer, " ", data.Points)
	}
	return data.Event
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

// operations are the vendors' names of what an event asks for, by account: those
// whose effects a person can look up by the order or the uuid.
var operations = map[string]map[string]string{
	account: {
		"order.created": sandbox.OpDealCreate, "order.updated": sandbox.OpDealUpdate, "order.cancelled": sandbox.OpDealCancel,
		"order.deleted": sandbox.OpDealDelete, "order.refunded": sandbox.OpDealRefund,
		"order.refund_deleted": sandbox.OpDealDeleteRefund,
		"point.incremented":    sandbox.OpPointIncr, "point.decremented": sandbox.OpPointDecr,
	},
	crmAccount: {
		"order.created": sandbox.OpCustomerDealCreate, "order.updated": sandbox.OpCustomerDealUpdate,
		"order.cancelled": sandbox.OpCustomerDealCancel, "order.deleted": sandbox.OpCustomerDealDelete,
		"order.refunded": sandbox.OpCustomerDealRefund, "order.refund_deleted": sandbox.OpCustomerDealDeleteRefund,
	},
}

// has says whether the effect of a delivery is there, as the vendor's pages show
// it. certain is false while a call may still have one.
func (v *vendor) has(s standing) (applied, certain bool) {
	key := s.OrderNo
	if key == "" {
		key = s.UUID
	}
	names := operations[s.Account]
	if names == nil || names[s.Type] == "" {
		return false, false // of others nobody looks the page up
	}
	v.mu.Lock()
	events := v.events
	mine := func(op, request string) bool {
		if op != names[s.Type] {
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
