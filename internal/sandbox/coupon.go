package sandbox

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Coupon is a kind of coupon that members can draw ("dmhub-loyalty" §13, coupon).
type Coupon struct {
	Store     string `json:"store"` // the [Account]'s
	ID        string `json:"coupon_id"`
	Name      string `json:"name"`
	Type      int    `json:"type"`       // 1 代金券, 2 折扣券, 3 商品券; 0 = 1
	Total     int    `json:"total"`      // 0 = 100000
	DrawLimit int    `json:"draw_limit"` // per member; 0 = 100
	StartDays int    `json:"start_days"` // valid so many days after it was drawn,
	ValidDays int    `json:"valid_days"` // and for so many
	Channel   string `json:"channel"`    // online or offline; empty = offline
	ChannelID string `json:"channel_id"` // the channel's own couponId; empty = the coupon's name
}

// coupon is a kind of coupon in a store.
type coupon struct {
	Coupon
	drawn int
}

func (k Coupon) withDefaults() Coupon {
	for value, byDefault := range map[*int]int{&k.Type: 1, &k.Total: 100000, &k.DrawLimit: 100} {
		if *value == 0 {
			*value = byDefault
		}
	}
	if k.Name == "" {
		k.Name = k.ID
	}
	if k.Channel == "" {
		k.Channel = "offline"
	}
	if k.ChannelID == "" {
		k.ChannelID = k.Name
	}
	return k
}

// defaultCoupons are those of the document: one that is valid after five days
// (§13.1), and one that is valid at once (§13.4).
func defaultCoupons() []*coupon {
	return []*coupon{
		{Coupon: Coupon{ID: "STxgWromTbt727eBcPOo", Name: "test", StartDays: 5, ValidDays: 5}.withDefaults()},
		{Coupon: Coupon{ID: "11111", Name: "welcome", ValidDays: 30, Channel: "online"}.withDefaults()},
	}
}

// SeedCoupon adds a kind of coupon to a store, by the vendor's side.
func (s *Sandbox) SeedCoupon(k Coupon) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stores[k.Store]
	switch {
	case st == nil:
		return fmt.Errorf("sandbox: seeding a coupon: store %q isn't any account's: use one of %q", k.Store, slices.Sorted(maps.Keys(s.stores)))
	case k.ID == "" || st.coupon(k.ID) != nil:
		return fmt.Errorf("sandbox: seeding a coupon: coupon_id %q is empty or there already: use another", k.ID)
	case k.Type < 0 || k.Type > 3 || k.Total < 0 || k.DrawLimit < 0 || k.StartDays < 0 || k.ValidDays < 0:
		return fmt.Errorf("sandbox: seeding coupon %q: type is 1 to 3, and no number can be negative", k.ID)
	}
	st.kinds = append(st.kinds, &coupon{Coupon: k.withDefaults()})
	return nil
}

func (st *store) coupon(id string) *coupon {
	for _, k := range st.kinds {
		if k.ID == id {
			return k
		}
	}
	return nil
}

// document is the coupon as §13.1 to §13.3 show it.
func (k *coupon) document() map[string]any {
	doc := k.terms()
	doc["couponId"], doc["drawLimit"], doc["total"] = k.ID, k.DrawLimit, k.Total
	doc["validType"], doc["validDate"] = 2, map[string]int{"startDays": k.StartDays, "validDays": k.ValidDays}
	return doc
}

// terms are what a member's coupon shows of its kind too.
func (k *coupon) terms() map[string]any {
	return map[string]any{
		"couponType": k.Type, "couponName": k.Name, "couponLabel": k.Name, "couponSubLabel": k.Name, "note": k.Name,
		"channels": []any{map[string]any{"couponId": k.ChannelID, "couponChannel": k.Channel, "url": nil}},
		"rule":     map[string]any{"amountLimit": nil, "discount": nil, "freeFee": nil, "goodsLimit": "null"},
	}
}

func refusedCoupon(why string) *fail { return &fail{Code: "409000", Message: why} }

// listCoupons is "dmhub-loyalty" §13.1.
func (s *Sandbox) listCoupons(c *call) (any, *fail) {
	return paged(c, c.store.kinds, func(k *coupon) any { return k.document() }), nil
}

// getCoupon is "dmhub-loyalty" §13.2.
func (s *Sandbox) getCoupon(c *call) (any, *fail) {
	k := c.store.coupon(c.key)
	if k == nil {
		return nil, refusedCoupon("coupon not found")
	}
	return k.document(), nil
}

// couponByChannel is "dmhub-loyalty" §13.3; its couponId is the channel's.
func (s *Sandbox) couponByChannel(c *call) (any, *fail) {
	docs := []any{}
	for _, k := range c.store.kinds {
		if k.Channel == c.query.Get("channel") && k.ChannelID == c.query.Get("couponId") {
			docs = append(docs, k.document())
		}
	}
	if len(docs) == 0 {
		return nil, refusedCoupon("coupon not found")
	}
	return map[string]any{"rows": docs}, nil
}

// heldCoupon is a coupon that a member has drawn (membershipCoupon).
type heldCoupon struct {
	kind     *coupon
	number   int    // counted from 0
	given    string // its code, where it wasn't drawn by a call
	member   int64
	drawn    time.Time
	redeemed time.Time // zero: it isn't
}

const (
	firstHeld   = 34636772868722688
	couponToken = "cnik8caw3EqPVCLAFP4IsmVeXwqb-EtxJSw3gugIq-"
)

func (h *heldCoupon) code() string { return cmp.Or(h.given, strconv.Itoa(firstHeld+h.number)) }

// valid are the first and the last day on which it can be redeemed.
func (h *heldCoupon) valid() (from, until string) {
	start := h.drawn.AddDate(0, 0, h.kind.StartDays)
	return start.Format(time.DateOnly), start.AddDate(0, 0, h.kind.ValidDays).Format(time.DateOnly)
}

// status is what a read that shows one time says on a day.
func (h *heldCoupon) status(at, now time.Time) string {
	from, until := h.valid()
	switch today := now.Format(time.DateOnly); {
	case !h.redeemed.IsZero() && !h.redeemed.After(at):
		return "used"
	case today < from:
		return "notStarted"
	case today > until:
		return "expired"
	}
	return "normal"
}

// document is the coupon as §13.4 to §13.7 show it: the uuid ends in a line break,
// and dateRedeem is null even where it is used.
func (h *heldCoupon) document(at, now time.Time) map[string]any {
	doc := h.kind.terms()
	token := couponToken + strconv.Itoa(h.number)
	doc["startDate"], doc["endDate"] = h.valid()
	doc["dateDraw"], doc["dateRedeem"], doc["status"] = stamp(h.drawn), nil, h.status(at, now)
	doc["couponId"], doc["couponCode"], doc["membershipId"], doc["uuid"] = h.kind.ID, h.code(), h.member, token+"\r\n"
	doc["qrcodeUrl"] = "http://127.0.0.1:8004/loyalty/qrimg/" + token
	doc["barcodeUrl"] = "http://127.0.0.1:8004/loyalty/barimg/" + token
	return doc
}

// drawCoupon is "dmhub-loyalty" §13.4: each call draws one.
func (s *Sandbox) drawCoupon(c *call) (any, *fail) {
	f := form{raw: c.body}
	id := f.text("couponId", true)
	m, k := c.store.members[c.member], c.store.coupon(id)
	has := 0
	for _, h := range c.store.held {
		if h.kind == k && h.member == c.member {
			has++
		}
	}
	switch {
	case f.err != nil:
		return nil, f.err
	case m == nil:
		return nil, errNoMember
	case k == nil:
		return nil, refusedCoupon("coupon not found")
	case has >= k.DrawLimit:
		return nil, refusedCoupon("draw limit reached")
	case k.drawn >= k.Total:
		return nil, refusedCoupon("no coupon left")
	}
	h := &heldCoupon{kind: k, number: len(c.store.held), member: m.id, drawn: c.now}
	c.store.held = append(c.store.held, h)
	k.drawn++
	c.ledger.effect(c, Effect{Member: m.id, Ref: h.code()})
	return h.document(c.now, c.now), nil
}

// heldCoupons is "dmhub-loyalty" §13.6: all of a member's, or those of a status.
func (s *Sandbox) heldCoupons(c *call) (any, *fail) {
	at := c.seenAt()
	if m := c.store.members[c.member]; m == nil || m.created.After(at) {
		return nil, errNoMember
	}
	var all []*heldCoupon
	for _, h := range c.store.held {
		status := c.query.Get("status")
		if h.member == c.member && !h.drawn.After(at) && (status == "" || status == h.status(at, c.now)) {
			all = append(all, h)
		}
	}
	return paged(c, all, func(h *heldCoupon) any { return h.document(at, c.now) }), nil
}

func (st *store) byCode(code string) *heldCoupon {
	if h := st.given[code]; h != nil {
		return h
	}
	n, err := strconv.Atoi(code)
	if n -= firstHeld; err != nil || n < 0 || n >= len(st.held) || st.held[n].given != "" {
		return nil
	}
	return st.held[n]
}

// couponByCode is "dmhub-loyalty" §13.5.
func (s *Sandbox) couponByCode(c *call) (any, *fail) {
	h := c.store.byCode(c.key)
	if h == nil || h.drawn.After(c.seenAt()) {
		return nil, errNotFound
	}
	c.member = h.member
	return h.document(c.seenAt(), c.now), nil
}

// redeemCoupon is "dmhub-loyalty" §13.7.
func (s *Sandbox) redeemCoupon(c *call) (any, *fail) {
	f := form{raw: c.body}
	f.integer("membershipId", true)
	if f.err != nil {
		return nil, f.err
	}
	h := c.store.byCode(c.key)
	if h == nil {
		return nil, errNotFound
	}
	status := h.status(c.now, c.now)
	switch {
	case h.member != c.member:
		return nil, refusedCoupon("coupon of another member")
	case status == "used" && c.sw.Members.RedeemTwice == "echo":
		c.ledger.effect(c, Effect{Member: h.member, Ref: h.code(), Repeat: true})
	case status != "normal":
		return nil, refusedCoupon("coupon is " + status)
	default:
		h.redeemed = c.now
		c.ledger.effect(c, Effect{Member: h.member, Ref: h.code()})
	}
	return h.document(c.now, c.now), nil
}

// HeldCoupon is a drawn coupon as the vendor holds it now.
type HeldCoupon struct {
	Store    string    `json:"store"`
	Code     string    `json:"code"`
	CouponID string    `json:"coupon_id"`
	Member   int64     `json:"member"`
	Status   string    `json:"status"` // normal, used, notStarted or expired
	Drawn    time.Time `json:"drawn"`
}

// HeldCoupons returns all drawn coupons by store and code.
func (s *Sandbox) HeldCoupons() []HeldCoupon {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now().UTC()
	var all []HeldCoupon
	for _, name := range slices.Sorted(maps.Keys(s.stores)) {
		for _, h := range s.stores[name].held {
			all = append(all, HeldCoupon{
				Store: name, Code: h.code(), CouponID: h.kind.ID, Member: h.member, Status: h.status(now, now), Drawn: h.drawn,
			})
		}
	}
	return all
}
