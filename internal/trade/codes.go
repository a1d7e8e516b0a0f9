package trade

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"syncworker/internal/event"
)

// Codes is what happens to coupon codes that the shop gives its customers by itself.
type Codes struct {
	Count      int     // codes that are added; most of them are used
	Promotions []int64 // the rules that they belong to
	Customers  []int64 // for whom some of them are
}

// codeData is the data of a code that is added or used.
type codeData struct {
	UUID        string `json:"uuid,omitempty"`
	Promotion   int64  `json:"promotionCouponUid,omitempty"`
	Customer    int64  `json:"customerUid,omitempty"`
	Code        string `json:"code,omitempty"`
	UseDateTime string `json:"useDateTime,omitempty"`
}

// codes makes the codes: every other one has a code of its own, one in three is
// for nobody, and of eight six are used, one of them before it is known that it was
// added, and one at two tills.
func (g *generator) codes() {
	tenant := cmp.Or(g.Tenant, event.DefaultTenant)
	for n := range g.Codes.Count {
		s := g.series(n, g.Codes.Count, "shop/miniapp")
		add := &codeData{UUID: g.uuid(), Promotion: pick(g, g.Codes.Promotions)}
		code := event.DerivedCode(tenant, add.UUID)
		if n%2 == 0 {
			code = fmt.Sprintf("WX%s%04d", strings.ToUpper(strconv.FormatUint(g.Seed, 36)), n)
			add.Code = code
		}
		if n%3 > 0 && len(g.Codes.Customers) > 0 {
			add.Customer = pick(g, g.Codes.Customers)
		}
		added := s.add(event.CouponCodeAdded, add)
		if n%8 > 5 {
			continue
		}
		s.source = pick(g, stores).source
		use := &codeData{Code: code, Customer: add.Customer}
		used := s.add(event.CouponCodeUsed, use)
		if n%2 == 0 {
			use.UseDateTime = used.at.Add(-time.Second).UTC().Format(time.RFC3339)
		}
		switch n % 8 {
		case 1:
			used.sent = added.sent.Add(-time.Millisecond)
		case 2:
			g.usedTwice = append(g.usedTwice, used)
		}
	}
}

// useAgain publishes uses of codes that were used already, at another till.
func (g *generator) useAgain() {
	for _, first := range g.usedTwice {
		h, other := *first, *first.data.(*codeData)
		h.at = first.at.Add(time.Minute)
		h.sent, h.source, h.data = h.at, "pos/hangzhou-001", &other
		other.UseDateTime = h.at.UTC().Format(time.RFC3339)
		g.events = append(g.events, &h)
		g.day.Conflicts++
	}
}
