package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Vendors whose APIs the sandbox speaks: values of [Account.Vendor].
const (
	DMHub   = "dmhub"
	HeyShop = "heyshop"
	Pospal  = "pospal"
)

// Vendors lists the values that [Account.Vendor] can have.
func Vendors() []string { return []string{DMHub, HeyShop, Pospal} }

// dialect is what all calls of one vendor's API have in common.
type dialect struct {
	vendor string
	// name finds out what a call is about: its key, uuid and member.
	name func(c *call)
	// login tells whose call it is. Where it is nobody's, account is nil and status
	// and doc are the refusal. The sandbox's mutex is held.
	login func(s *Sandbox, c *call) (account *login, status int, doc any)
	// expire is the refusal that the fault token_expired answers with. The
	// sandbox's mutex is held.
	expire func(s *Sandbox, c *call) (status int, doc any)
	// badBody refuses a body that isn't a JSON object.
	badBody fail
	// answer words what an action returned: its document, or why it was refused.
	answer func(c *call, doc any, err *fail) (int, any)
	// errors are the replies of the kinds of fault that speak the API's language.
	errors map[string]worded
}

// worded is a reply as it goes out.
type worded struct {
	status int
	body   string
}

// route is one endpoint of a dialect.
type route struct {
	op  string
	run action
}

// handle registers a vendor's endpoints by their patterns.
func (s *Sandbox) handle(d *dialect, routes map[string]route) {
	for pattern, route := range routes {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, d, route) })
	}
}

// checkAccount says what is wrong with one of the accounts.
func checkAccount(a Account, all []Account) error {
	if a.AppID == "" || a.Secret == "" {
		return fmt.Errorf("sandbox: account %q: app id and secret must both be set", a.AppID)
	}
	if !slices.Contains(Vendors(), a.vendor()) {
		return fmt.Errorf("sandbox: account %q: vendor is %q: use one of %s", a.AppID, a.Vendor, strings.Join(Vendors(), ", "))
	}
	for _, b := range all {
		if b.Store == a.Store && b.vendor() != a.vendor() {
			return fmt.Errorf("sandbox: accounts %q and %q are of different vendors and have the store %q: give each vendor its own",
				a.AppID, b.AppID, a.Store)
		}
	}
	return nil
}

// dmhub is the dialect of DM Hub's loyalty and customer-deals documents.
func dmhub() *dialect {
	return &dialect{
		vendor:  DMHub,
		name:    nameDMHubCall,
		login:   (*Sandbox).loginByToken,
		expire:  (*Sandbox).expireToken,
		badBody: fail{Code: "400006", Message: "Invalid json!"},
		answer:  answerDMHub,
		errors: map[string]worded{
			kindError:               {http.StatusOK, `{"error":{"code":"500000","message":"Server error"}}`},
			kindError500:            {http.StatusInternalServerError, `{"error":{"code":"500000","message":"Server error"}}`},
			kindErrorBlank:          {http.StatusOK, `{"error":{"code":"","message":""}}`},
			kindErrorNumber:         {http.StatusOK, `{"error":{"code":409999,"message":"error info"}}`},
			string(ThrottleSeconds): {http.StatusTooManyRequests, `{"error":{"code":"429","message":"Too many requests"}}`},
		},
	}
}

func nameDMHubCall(c *call) {
	f := form{raw: c.body}
	c.uuid = f.text("uuid", false)
	switch {
	case c.op == OpToken:
		c.key = c.query.Get("appid")
	case c.op == OpDealRead:
		if c.key = c.path; c.key == "" {
			c.key = c.query.Get("orderNo")
		}
	case laneKind(c.op) == "deal":
		if c.key = c.path; c.key == "" {
			c.key = f.text("orderNo", false)
		}
	case laneKind(c.op) == "order":
		c.key = f.text("orderNo", false)
		c.member = f.integer("membershipId", false)
	case c.path != "":
		c.key = c.path
		var err error
		if c.member, err = strconv.ParseInt(c.path, 10, 64); err == nil {
			c.key = strconv.FormatInt(c.member, 10)
		}
	}
}

func answerDMHub(c *call, doc any, err *fail) (int, any) {
	switch {
	case err != nil:
		return c.sw.ErrorStatus, map[string]*fail{"error": err}
	case doc == any(noContent{}):
		return http.StatusNoContent, doc
	case c.op == OpDealCreate || c.op == OpMemberCreate || c.op == OpCustomerDealCreate:
		return c.sw.CreateStatus, doc
	}
	return http.StatusOK, doc
}
