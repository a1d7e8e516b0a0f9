package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Operations, as the ledger and the fault rules name them.
const (
	OpToken            = "token"
	OpMemberCreate     = "member.create"
	OpMemberGet        = "member.get"
	OpMemberFind       = "member.find"
	OpPointIncr        = "point.incr"
	OpPointDecr        = "point.decr"
	OpPointDetails     = "point.details"
	OpDealCreate       = "deal.create"
	OpDealUpdate       = "deal.update"
	OpDealCancel       = "deal.cancel"
	OpDealRefund       = "deal.refund"
	OpDealDeleteRefund = "deal.delete_refund"
	OpDealDelete       = "deal.delete"
	OpDealRead         = "deal.read" // both reads of the customer-deals API
)

const opUnknown = "unknown"

// Ops lists the operations that a [Rule] can name.
func Ops() []string {
	return slices.Concat(heyshopOps(), pospalOps(), memberOps(), []string{
		OpToken, OpMemberCreate, OpMemberGet, OpMemberFind, OpPointIncr, OpPointDecr, OpPointDetails,
		OpDealCreate, OpDealUpdate, OpDealCancel, OpDealRefund, OpDealDeleteRefund, OpDealDelete, OpDealRead,
		OpCustomerDealCreate, OpCustomerDealUpdate, OpCustomerDealCancel, OpCustomerDealRefund,
		OpCustomerDealDeleteRefund, OpCustomerDealDelete, OpCustomerDealList,
	})
}

func isWrite(op string) bool {
	return op == OpHeyShopLevelCreate || laneKind(op) != ""
}

// laneKind says what orders the calls of an operation: its order, its member,
// or nothing.
func laneKind(op string) string {
	switch op {
	case OpPointIncr, OpPointDecr, OpHeyShopAdjust:
		return "member"
	case OpHeyShopLevelUpdate, OpHeyShopLevelDelete:
		return "level"
	case OpPospalCodeAdd, OpPospalCodeUse:
		return "code"
	case OpDealCreate, OpDealUpdate, OpDealCancel, OpDealRefund, OpDealDeleteRefund, OpDealDelete:
		return "order"
	case OpCustomerDealCreate, OpCustomerDealUpdate, OpCustomerDealCancel, OpCustomerDealRefund,
		OpCustomerDealDeleteRefund, OpCustomerDealDelete:
		return "deal"
	}
	return memberLane(op)
}

// ofCustomerDeals says whether an operation belongs to the customer-deals API.
func ofCustomerDeals(op string) bool {
	return op == OpDealRead || op == OpCustomerDealList || laneKind(op) == "deal"
}

// call is one request on its way through the sandbox.
type call struct {
	dialect *dialect
	op      string
	seq     int64
	now     time.Time
	account string
	store   *store // nil until the token is known
	sw      Switches
	hit     hit
	lane    laneID
	ledger  *ledger
	effects int

	key, uuid string
	member    int64
	path      string // the id in the path, or empty
	query     url.Values
	header    http.Header
	raw       []byte // the body as it came
	body      fields
	bodyErr   *fail
	hash      string
}

// action applies a call under the sandbox's mutex and returns the document to
// answer with.
type action func(s *Sandbox, c *call) (any, *fail)

func (s *Sandbox) routes() {
	s.mux = http.NewServeMux()
	s.dmhubRoutes()
	s.memberRoutes()
	s.customerDealRoutes()
	s.heyshopRoutes()
	s.pospalRoutes()
	s.mux.HandleFunc("/", s.unknownPath)
	s.mux.HandleFunc("GET "+landing+"{seq}", s.followed)
	s.adminRoutes()
}

func (s *Sandbox) dmhubRoutes() {
	const loyalty = "/loyalty/v1"
	s.handle(dmhub(), map[string]route{
		"GET /security/accesstoken":                       {OpToken, (*Sandbox).issueToken},
		"POST " + loyalty + "/membership/{id}/point/incr": {OpPointIncr, (*Sandbox).incrPoints},
		"POST " + loyalty + "/membership/{id}/point/decr": {OpPointDecr, (*Sandbox).decrPoints},
		"GET " + loyalty + "/membership/{id}/point":       {OpPointDetails, (*Sandbox).pointDetails},
		"POST " + loyalty + "/deal":                       {OpDealCreate, (*Sandbox).createDeal},
		"POST " + loyalty + "/dealService/update/{$}":     {OpDealUpdate, (*Sandbox).updateDeal},
		"POST " + loyalty + "/dealService/cancel":         {OpDealCancel, (*Sandbox).cancelDeal},
		"POST " + loyalty + "/dealService/refund":         {OpDealRefund, (*Sandbox).refundDeal},
		"POST " + loyalty + "/dealService/deleteRefund":   {OpDealDeleteRefund, (*Sandbox).deleteRefund},
		"POST " + loyalty + "/dealService/delete":         {OpDealDelete, (*Sandbox).deleteDeal},
	})
	s.mux.HandleFunc(loyalty+"/dealService/update", s.unknownPath) // the document's path ends in a slash: no redirect to it
}

func (s *Sandbox) serve(w http.ResponseWriter, r *http.Request, d *dialect, to route) {
	c := readCall(d, to.op, r)
	if status, denied := s.arrive(c); status != 0 {
		s.reply(w, c, status, denied)
		return
	}
	if latency := time.Duration(c.sw.Latency); latency > 0 {
		time.Sleep(latency)
	}
	if c.hit.fault == "" {
		status, doc := s.settle(c, to.run)
		s.reply(w, c, status, doc)
		return
	}
	s.play(w, r, c, to.run)
}

// readCall reads the whole request before anything is decided: what names the
// order or the uuid is in its body.
func readCall(d *dialect, op string, r *http.Request) *call {
	c := &call{dialect: d, op: op, path: r.PathValue("id"), query: r.URL.Query(), header: r.Header}
	if r.Method != http.MethodGet {
		raw, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		sum := sha256.Sum256(raw)
		c.hash = hex.EncodeToString(sum[:])
		c.raw = raw
		var ok bool
		c.body, ok = parse(raw)
		if none := len(raw) == 0 && r.Method == http.MethodDelete; err != nil || !ok && !none {
			c.bodyErr = &d.badBody
		}
	}
	d.name(c)
	return c
}

// arrive writes the call down and chooses its fault. It returns the vendor's
// refusal where the login isn't valid, and status 0 where it is.
func (s *Sandbox) arrive(c *call) (status int, denied any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.now, c.sw, c.ledger = s.cfg.Now().UTC(), s.switches, s.ledger
	if c.op != OpToken {
		l, status, denied := c.dialect.login(s, c)
		if l == nil {
			s.ledger.arrive(c, "")
			return status, denied
		}
		c.account, c.store = l.account.AppID, l.store
	}
	c.hit = s.plan.pick(c)
	s.ledger.arrive(c, c.account)
	return 0, nil
}

// settle lets the call take effect and returns its reply.
func (s *Sandbox) settle(c *call, run action) (status int, doc any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.now = s.cfg.Now().UTC()
	err := c.bodyErr
	if err == nil {
		doc, err = run(s, c)
	}
	e := c.ledger.call(c.seq)
	if e != nil {
		e.Applied, e.Member = c.effects > 0, c.member
	}
	if err != nil && e != nil {
		e.Code = err.Code
	}
	return c.dialect.answer(c, doc, err)
}

// leave ends the call for the client and, unless it may still take effect, for
// good. It must come before the reply: the client may call again as soon as it
// has read it.
func (s *Sandbox) leave(c *call, status int, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.ledger.leave(c, status, done)
}

// noBody is the document of a reply without a body.
type noBody struct{}

// noContent is the document of a 204.
type noContent struct{}

func encode(doc any) []byte {
	switch doc := doc.(type) {
	case noBody, noContent:
		return nil
	case json.RawMessage:
		return doc
	case string:
		if plain(doc) {
			return append(append(append(make([]byte, 0, len(doc)+2), '"'), doc...), '"')
		}
	}
	b, err := json.Marshal(doc)
	if err != nil {
		panic("sandbox: a reply can't be written as JSON: " + err.Error())
	}
	return b
}

// plain says whether a JSON string holds the text as it is.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' {
			return false
		}
	}
	return true
}

const jsonType = "application/json;charset=UTF-8"

func (s *Sandbox) reply(w http.ResponseWriter, c *call, status int, doc any) {
	body := encode(doc)
	s.leave(c, status, true)
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	w.Write(body)
}

func (s *Sandbox) unknownPath(w http.ResponseWriter, r *http.Request) {
	c := &call{op: opUnknown, key: r.Method + " " + r.URL.Path}
	s.mu.Lock()
	c.now, c.ledger = s.cfg.Now().UTC(), s.ledger
	c.ledger.arrive(c, "")
	c.ledger.violate(c, UnknownPath, 0)
	s.mu.Unlock()
	s.leave(c, http.StatusNotFound, true)
	http.Error(w, "no such endpoint", http.StatusNotFound)
}

// landing is where the redirect fault leads.
const landing = "/sandbox/landing/"

// followed answers what a client that follows redirects would take for success.
func (s *Sandbox) followed(w http.ResponseWriter, r *http.Request) {
	seq, _ := strconv.ParseInt(r.PathValue("seq"), 10, 64)
	s.mu.Lock()
	c := &call{seq: seq, now: s.cfg.Now().UTC(), ledger: s.ledger}
	if e := s.ledger.call(seq); e != nil {
		e.Redirected = true
		c.op, c.key = e.Op, e.Key
	}
	c.ledger.violate(c, FollowedRedirect, 0)
	s.mu.Unlock()
	w.Header().Set("Content-Type", jsonType)
	io.WriteString(w, `{"result":"success"}`)
}
