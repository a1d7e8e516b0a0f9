package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"syncworker/internal/event"
	"syncworker/internal/sandbox"
	"syncworker/internal/trade"
)

// traffic is one type of event at one account.
type traffic struct {
	account string
	typ     event.Type
}

// makeDay makes the day of the shop and that of its web shop, and gives the vendors
// whom and what they are about: what was left undecided in an earlier day is about
// others.
func (d *demo) makeDay(o devOptions, now time.Time) error {
	shop := trade.Config{
		Seed: d.seed, Start: now.Add(-trade.Hours - time.Hour).Truncate(time.Minute), Tenant: "demo-" + strconv.FormatUint(d.seed, 10),
		Orders: o.orders, Points: o.points, Duplicates: 0.1, Conflicts: 3 + o.orders/100, Disorder: true, Bad: true,
		ShortOfPoints: 4 + o.points/100, SeveralRefunds: 2, Strangers: 2, Orphans: 2,
	}
	for _, m := range d.members {
		shop.Members = append(shop.Members, trade.Member{ID: m.ID, CustomerID: m.Customer, Mobile: m.Mobile, Points: m.Points})
	}
	web := trade.Config{
		Seed: d.seed ^ 1<<40, Start: shop.Start, Tenant: "web-" + strconv.FormatUint(d.seed, 10),
		Duplicates: 0.1, Conflicts: 1 + o.points/200, Disorder: true,
	}
	if err := d.acquaint(o, &shop, &web); err != nil {
		return err
	}
	d.parts = nil
	for _, cfg := range []trade.Config{shop, web} {
		day, err := trade.New(cfg)
		if err != nil {
			return err
		}
		d.parts = append(d.parts, part{cfg.Tenant, day})
	}
	d.meet(now)
	return nil
}

// acquaint seeds the vendors with those who take part in this day alone.
func (d *demo) acquaint(o devOptions, shop, web *trade.Config) error {
	few := 5 * (1 + o.orders/250)
	number := int64(d.seed % 1_000_000)
	shop.People = trade.People{New: 3 * few, Coupon: demoCoupon}
	ids, err := d.vendor.SeedMembers(sandbox.Seed{
		FirstID: 1_000_000 + 1000*number, Count: few, Mobile: fmt.Sprintf("15%03d000000", number%1000), Name: trade.Person,
	})
	if err != nil {
		return err
	}
	for i, id := range ids {
		patron := trade.Patron{ID: id, Mobile: fmt.Sprintf("15%03d%06d", number%1000, i)}
		for n := range 2 {
			code := strconv.FormatInt(70_000_000_000+2*1000*number+2*int64(i)+int64(n), 10)
			if err := d.vendor.SeedHeldCoupon(sandbox.HeldCoupon{Code: code, CouponID: demoCoupon, Member: id}); err != nil {
				return err
			}
			patron.Coupons = append(patron.Coupons, code)
		}
		shop.People.Patrons = append(shop.People.Patrons, patron)
	}
	shop.Codes = trade.Codes{Count: 4 * few}
	for n := range int64(3) {
		rule := demoPromotion + 10*number + n
		if err := d.vendor.AddPospalPromotion(sandbox.PospalPromotion{Store: storePospal, UID: rule, Name: "满100减" + strconv.FormatInt(10*(n+1), 10)}); err != nil {
			return err
		}
		shop.Codes.Promotions = append(shop.Codes.Promotions, rule)
	}
	shop.Codes.Customers, err = d.vendor.SeedMembers(sandbox.Seed{Store: storePospal, FirstID: 5_000_000 + 1000*number, Count: 2 * few})
	if err != nil {
		return err
	}
	return d.acquaintWeb(few, number, o, web)
}

// acquaintWeb does so for the web shop.
func (d *demo) acquaintWeb(few int, number int64, o devOptions, web *trade.Config) error {
	customers, err := d.vendor.SeedMembers(sandbox.Seed{Store: storeHeyShop, FirstID: 9_000_000 + 1000*number, Count: 4 * few, Points: 500})
	if err != nil {
		return err
	}
	web.Web = trade.Web{Changes: max(20, o.points/5), NewLevels: 2}
	for _, id := range customers {
		web.Web.Customers = append(web.Web.Customers, trade.Customer{ID: id, Points: 500})
	}
	for n := range int64(3) {
		level := sandbox.Level{Store: storeHeyShop, ID: 100 + 10*number + n, Title: "会员", ConditionPoints: decimal.NewFromInt(n)}
		if err := d.vendor.SeedLevel(level); err != nil {
			return err
		}
		web.Web.Levels = append(web.Web.Levels, level.ID)
	}
	return nil
}

const (
	demoCoupon    = "11111"                   // one of those that the sandbox begins with
	demoPromotion = 1_299_186_483_387_000_000 // uids have 18 digits and more
)

// messages are those of both parts, as evenly mixed as their numbers allow.
func (d *demo) messages() iter.Seq[trade.Message] {
	return func(yield func(trade.Message) bool) {
		long, short := d.parts[0].day.Messages, d.parts[1].day.Messages
		for i, m := range long {
			for len(short) > 0 && len(short)*len(long) >= (len(long)-i)*len(d.parts[1].day.Messages) {
				if !yield(short[0]) {
					return
				}
				short = short[1:]
			}
			if !yield(m) {
				return
			}
		}
		for _, m := range short {
			if !yield(m) {
				return
			}
		}
	}
}

// meet learns what the day's events are about.
func (d *demo) meet(now time.Time) {
	d.known = map[event.Identity]string{}
	for m := range d.messages() {
		e, err := event.Decode(event.Message(m), event.Limits{}, now)
		if err == nil { // others are rejected
			d.known[e.Identity()] = d.about(&e)
		}
	}
}

// about names what an event is about as its vendor's ledger does: an order, a uuid,
// a code, a device, a level or its title; else the member.
func (d *demo) about(e *event.Event) string {
	switch {
	case e.Type == event.LevelCreated:
		var level struct{ Title string }
		_ = json.Unmarshal(e.Data, &level) // it has been decoded
		return level.Title
	case e.Type.Point() && d.config.Accounts(e.Type, e.Tenant)[0] != demoHeyShop:
		return e.UUID
	}
	return cmp.Or(e.OrderNo, e.Key, e.Member.Key())
}

// deed is an effect with what it is about, in the words of the event.
type deed struct {
	sandbox.Effect
	about string
}

// deeds are the effects of this day, without what an earlier day's leftovers have
// caused. Who has registered today is known by the mobile number.
func (d *demo) deeds() []deed {
	today, named := map[string]bool{}, map[string]string{}
	for _, about := range d.known {
		today[about] = true
	}
	var own []deed
	for _, e := range d.vendor.Effects() {
		about, member := e.Key, "id:"+strconv.FormatInt(e.Member, 10)
		switch e.Op {
		case sandbox.OpPointIncr, sandbox.OpPointDecr:
			about = pointUUID(e)
		case sandbox.OpMemberCreate:
			named[member] = about
		case sandbox.OpHeyShopAdjust:
			about = member
		case sandbox.OpMemberUpdate, sandbox.OpMemberBind, sandbox.OpMemberUnbind, sandbox.OpMemberMobile, sandbox.OpCouponDraw:
			about = cmp.Or(named[member], member)
		}
		if today[about] {
			own = append(own, deed{e, about})
		}
	}
	return own
}

// pointUUID is the event's uuid: a key that replaces one that was used up begins
// with it.
func pointUUID(e sandbox.Effect) string {
	uuid, _, _ := strings.Cut(e.UUID, "~")
	return uuid
}
