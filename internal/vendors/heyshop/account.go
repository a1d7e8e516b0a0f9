package heyshop

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// What semantics.negative_points says.
const (
	Sent = "sent"
	Held = "held"
)

// answeredSize is how many rows are remembered as somebody's.
const answeredSize = 100_000

// Account is one HeyShop login. It implements vendors.Vendor, Marker, Finder, Reader
// and Checker. A push, a mark or a read takes at most twice Setup.Timeout.
type Account struct {
	transport *vendors.Transport
	token     vendors.Secret
	timeout   time.Duration
	negative  string
	// answered says whose effect a row of the history or a new level is. What is
	// known as another's isn't taken for ours, even where a read didn't show it yet
	// when the mark was made.
	answered *lru.Cache[effect, owner]
}

// New prepares an account without calling the vendor. Its error lists all that is
// wrong with the setup.
func New(s vendors.Setup) (*Account, error) {
	var errs []error
	if s.Secret == "" {
		errs = append(errs, errors.New("secret: empty; give the shop's access token by secret_file or the environment"))
	}
	if n := s.Semantics.NegativePoints; n != "" && n != Sent && n != Held {
		errs = append(errs, fmt.Errorf("semantics.negative_points: %q; give %s or %s", n, Sent, Held))
	}
	var transport *vendors.Transport
	if s.BaseURL == "" {
		errs = append(errs, errors.New("base_url: empty; give the shop's own, such as https://ywu18.heidianer.com"))
	} else {
		var err error
		transport, err = vendors.NewTransport(vendors.TransportConfig{
			BaseURL: s.BaseURL, Timeout: s.Timeout, MaxInFlight: s.MaxInFlight,
		})
		errs = append(errs, err)
	}
	answered, err := lru.New[effect, owner](answeredSize)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, fmt.Errorf("account %q: %w", s.Name, err)
	}
	return &Account{
		transport: transport, token: s.Secret, timeout: s.Timeout, negative: s.Semantics.NegativePoints, answered: answered,
	}, nil
}

// Close drops the idle connections.
func (a *Account) Close() { a.transport.Close() }

// Operation implements vendors.Vendor.
func (a *Account) Operation(t event.Type) (vendors.Operation, bool) { return operation(t) }

// bounded limits a whole push or read to two exchanges' time: less than the
// shortest lease.
func (a *Account) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 2*a.timeout)
}

// Push implements vendors.Vendor.
func (a *Account) Push(ctx context.Context, call vendors.Call) vendors.Result {
	req, hold, err := a.write(call)
	if err != nil {
		return vendors.Unsent(hold, err.Error())
	}
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	r, rep := a.call(ctx, req)
	switch {
	case r.Class == vendors.Ambiguous:
		match(&r, call, rep)
	case r.Class != vendors.Refused:
	case call.Event.Type == event.LevelDeleted && rep.status == http.StatusNotFound:
		r.Class = vendors.AlreadyApplied
	case call.Event.Type.Point() && rep.aboutCustomer():
		r.Hold = vendors.HoldMember
	case call.Event.Type == event.PointDecremented:
		r.Early = true // an increment that the customer's points wait for may be on its way
	}
	if r.Class == vendors.Applied {
		a.remember(call, r.Receipt.Ref)
	}
	return r
}

// Check implements vendors.Checker: it reads one level.
func (a *Account) Check(ctx context.Context) vendors.Result {
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	_, r := a.page(ctx, levelsPath, url.Values{"page_size": {"1"}}, 1)
	return r
}

// effect is a row of the history, or a level, by its id.
type effect struct {
	point bool
	id    string
}

// owner is the event whose effect it is.
type owner struct{ tenant, uuid string }

// remember notes whose effect a row of the history or a new level is.
func (a *Account) remember(call vendors.Call, id string) {
	if e := call.Event; e.Type.Point() || e.Type == event.LevelCreated {
		a.answered.Add(effect{e.Type.Point(), id}, owner{e.Tenant, e.UUID})
	}
}

// anothers reports whether a row of the history or a level is known to be the effect
// of another event.
func (a *Account) anothers(call vendors.Call, id string) bool {
	e := call.Event
	if slices.Contains(call.Others, id) {
		return true
	}
	by, known := a.answered.Get(effect{e.Type.Point(), id})
	return known && by != owner{e.Tenant, e.UUID}
}
