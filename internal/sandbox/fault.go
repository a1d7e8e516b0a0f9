package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
)

// Fault is one way in which a call goes wrong. A name that ends in _before
// means that the call has no effect, _after that it has.
type Fault string

// Faults that exist on one side only. The others are made of a kind and a side:
// see [Faults].
const (
	ApplyLate       Fault = "apply_late"       // no reply; applied once the client has given up
	ThrottleSeconds Fault = "throttle_seconds" // 429 with Retry-After in seconds
	ThrottleDate    Fault = "throttle_date"    // 429 with Retry-After as an HTTP date
	Redirect        Fault = "redirect"         // 302 to a page that answers 200 and tells the ledger
	TokenExpired    Fault = "token_expired"    // the gateway's token error; the token is invalid from then on
)

// Kinds of fault that can stand before or after the effect, in DM Hub's words; the
// other vendors' are in their dialects.
const (
	kindError       = "error"        // HTTP 200 with 500000
	kindError500    = "error_500"    // HTTP 500 with 500000
	kindErrorBlank  = "error_blank"  // HTTP 200 with the code "" of the documents' template
	kindErrorNumber = "error_number" // HTTP 200 with a code that no document has, as a number
	kindReset       = "reset"        // the connection is reset
	kindHang        = "hang"         // no reply until the client gives up
	kindHTML        = "html"         // HTTP 200 with a page
	kindBadGateway  = "bad_gateway"  // HTTP 502 with a page
	kindTruncated   = "truncated"    // half of the body that Content-Length promises
	kindEmpty       = "empty"        // HTTP 200 without a body
	kindUnavailable = "unavailable"  // HTTP 503 with Retry-After
	kindSlowLoris   = "slow_loris"   // the reply byte by byte
	kindHuge        = "huge"         // the reply behind megabytes of white space
)

// Faults lists every fault, so that a test can go through them all.
func Faults() []Fault {
	all := []Fault{ApplyLate, ThrottleSeconds, ThrottleDate, Redirect, TokenExpired}
	for _, kind := range []string{
		kindError, kindError500, kindErrorBlank, kindErrorNumber, kindReset, kindHang, kindHTML,
		kindBadGateway, kindTruncated, kindEmpty, kindUnavailable, kindSlowLoris, kindHuge,
	} {
		all = append(all, Fault(kind+"_before"), Fault(kind+"_after"))
	}
	return all
}

// Applies says whether a call with this fault takes effect.
func (f Fault) Applies() bool { return f == ApplyLate || strings.HasSuffix(string(f), "_after") }

// Silent says whether the client gets no HTTP status at all.
func (f Fault) Silent() bool {
	return f == ApplyLate || f.kind() == kindReset || f.kind() == kindHang
}

func (f Fault) kind() string {
	return strings.TrimSuffix(strings.TrimSuffix(string(f), "_before"), "_after")
}

// Rule injects faults into the calls that match Ops and Key. Exactly one of
// Nth, Times and Rate says which of those calls. The first rule that hits wins.
type Rule struct {
	Faults []Fault  `json:"faults"`          // one of these, by the seed
	Ops    []string `json:"ops,omitempty"`   // Op… names; empty = every write; "*" = every call, the token's too
	Key    string   `json:"key,omitempty"`   // order number, member id, app id (for the token) or uuid; empty = any
	Nth    int      `json:"nth,omitempty"`   // only the n-th matching call, counted from 1
	Times  int      `json:"times,omitempty"` // the next so many matching calls
	Rate   float64  `json:"rate,omitempty"`  // this share of the matching calls, the same ones for the same seed

	RetryAfter Duration `json:"retry_after,omitempty"` // 429 and 503; 0 = 1s, whole seconds
	Late       Duration `json:"late,omitempty"`        // apply_late: how long after the client has gone
	Pause      Duration `json:"pause,omitempty"`       // slow_loris: between two bytes; 0 = 100ms
	Size       int      `json:"size,omitempty"`        // huge: bytes; 0 = 16 MiB
}

func (r Rule) check() error {
	if len(r.Faults) == 0 {
		return errors.New("faults is empty: name at least one")
	}
	for _, f := range r.Faults {
		if !slices.Contains(Faults(), f) {
			return fmt.Errorf("faults has %q: use one of %v", f, Faults())
		}
	}
	for _, op := range r.Ops {
		if op != "*" && !slices.Contains(Ops(), op) {
			return fmt.Errorf("ops has %q: use * or one of %v", op, Ops())
		}
	}
	if r.Nth < 0 || r.Times < 0 || r.Rate < 0 || r.Rate > 1 {
		return fmt.Errorf("nth %d, times %d, rate %g: use positive numbers and a rate up to 1", r.Nth, r.Times, r.Rate)
	}
	set := 0
	for _, given := range []bool{r.Nth > 0, r.Times > 0, r.Rate > 0} {
		if given {
			set++
		}
	}
	if set != 1 {
		return errors.New("exactly one of nth, times and rate must be set")
	}
	if r.RetryAfter < 0 || r.Late < 0 || r.Pause < 0 || r.Size < 0 {
		return errors.New("retry_after, late, pause and size can't be negative")
	}
	return nil
}

func (r Rule) matches(c *call) bool {
	if r.Key != "" && r.Key != c.key && r.Key != c.uuid {
		return false
	}
	if len(r.Ops) == 0 {
		return isWrite(c.op)
	}
	return slices.Contains(r.Ops, "*") || slices.Contains(r.Ops, c.op)
}

// hit is a fault that was chosen for a call, with the rule's settings.
type hit struct {
	fault Fault
	rule  Rule
}

type plan struct {
	seed  uint64
	rules []Rule
	seen  []int          // matching calls, by rule
	nth   map[string]int // calls by operation, key and uuid: what makes a rate independent of concurrency
}

func newPlan(seed uint64, rules []Rule) plan {
	return plan{seed: seed, rules: slices.Clone(rules), seen: make([]int, len(rules)), nth: map[string]int{}}
}

func (p *plan) add(r Rule) {
	p.rules = append(p.rules, r)
	p.seen = append(p.seen, 0)
}

// pick counts the call and returns its fault; the zero hit means none.
func (p *plan) pick(c *call) hit {
	if len(p.rules) == 0 {
		return hit{}
	}
	name := c.op + "\x00" + c.key + "\x00" + c.uuid
	p.nth[name]++
	var first hit
	for i, r := range p.rules {
		if !r.matches(c) {
			continue
		}
		p.seen[i]++
		chance, choice := draw(p.seed, i, name, p.nth[name])
		if first.fault == "" && (r.Nth == p.seen[i] || p.seen[i] <= r.Times || chance < r.Rate) {
			first = hit{fault: r.Faults[choice%uint64(len(r.Faults))], rule: r}
		}
	}
	return first
}

// draw turns what names a call into a number in [0,1) and a free choice, the
// same on every run.
func draw(seed uint64, rule int, name string, nth int) (chance float64, choice uint64) {
	h := fnv.New64a()
	h.Write(binary.BigEndian.AppendUint64(nil, seed))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(rule)))
	h.Write([]byte(name))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(nth)))
	x := mix(h.Sum64())
	return float64(x>>11) / (1 << 53), mix(x) >> 1
}

// mix is the finalizer of splitmix64: FNV alone leaves the high bits of similar
// names alike.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
