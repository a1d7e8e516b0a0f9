package main

import (
	"fmt"
	"strconv"

	"github.com/shopspring/decimal"

	"syncworker/internal/sandbox"
	"syncworker/internal/trade"
)

// people are whom the vendors know at the start.
type people struct {
	members []trade.Member
	mobiles []string // of everybody, also of those who are going to register
	coming  []string // of those
}

// meet seeds those whose orders and points are traded. Both DM Hubs have them.
func (p *people) meet(v *vendor) error {
	for _, m := range []sandbox.Seed{{Count: 200, Mobile: "13800000000", Points: 5000, Name: trade.Person}, {Count: 20, Mobile: "13900000000", Name: trade.Person}} {
		ids, err := v.SeedMembers(m)
		if err != nil {
			return err
		}
		again := m
		again.Store, again.Points = crmStore, 0
		if _, err := v.SeedMembers(again); err != nil {
			return err
		}
		for i, id := range ids {
			mobile := fmt.Sprintf("%s%08d", m.Mobile[:3], i)
			p.mobiles = append(p.mobiles, mobile)
			p.members = append(p.members, trade.Member{ID: id, Mobile: mobile, Points: m.Points})
		}
	}
	of := map[int64]int64{}
	for _, m := range v.Members() {
		if m.Store == crmStore {
			of[m.ID] = m.Customer
		}
	}
	for i := range p.members {
		p.members[i].CustomerID = of[p.members[i].ID]
	}
	return nil
}

// patrons seeds those to whom something happens themselves, with two coupons each,
// and says who is going to register and under which numbers.
func (p *people) patrons(v *vendor, cfg *trade.Config, registered, count int) error {
	cfg.People = trade.People{New: registered, Coupon: coupon}
	for n := range registered {
		mobile := fmt.Sprintf("17%03d%06d", cfg.Seed%1000, n)
		p.mobiles, p.coming = append(p.mobiles, mobile), append(p.coming, mobile)
	}
	ids, err := v.SeedMembers(sandbox.Seed{Count: count, Mobile: "15000000000", Name: trade.Person})
	if err != nil {
		return err
	}
	for i, id := range ids {
		patron := trade.Patron{ID: id, Mobile: fmt.Sprintf("150%08d", i)}
		p.mobiles = append(p.mobiles, patron.Mobile, fmt.Sprintf("18%03d%06d", cfg.Seed%1000, i))
		for n := range 2 {
			code := strconv.Itoa(70_000_000_000 + 2*i + n)
			if err := v.SeedHeldCoupon(sandbox.HeldCoupon{Code: code, CouponID: coupon, Member: id}); err != nil {
				return err
			}
			patron.Coupons = append(patron.Coupons, code)
		}
		cfg.People.Patrons = append(cfg.People.Patrons, patron)
	}
	return nil
}

const (
	coupon    = "11111"                   // one of those that the sandbox begins with
	promotion = 1_299_186_483_387_000_000 // uids have 18 digits and more
)

// codes seeds the rules that a shop's codes belong to, and its customers.
func codes(v *vendor, count int) (trade.Codes, error) {
	all := trade.Codes{Count: count}
	for n := range int64(3) {
		if err := v.AddPospalPromotion(sandbox.PospalPromotion{Store: pospalStore, UID: promotion + n, Name: "满100减10"}); err != nil {
			return all, err
		}
		all.Promotions = append(all.Promotions, promotion+n)
	}
	var err error
	all.Customers, err = v.SeedMembers(sandbox.Seed{Store: pospalStore, FirstID: 5_000_000, Count: 20})
	return all, err
}

// web seeds a web shop's customers and levels.
func web(v *vendor, changes int) (trade.Web, error) {
	shop := trade.Web{Changes: changes, NewLevels: 3}
	ids, err := v.SeedMembers(sandbox.Seed{Store: heyshopStore, FirstID: 9_000_000, Count: 10 + changes/4, Points: 500})
	if err != nil {
		return shop, err
	}
	for _, id := range ids {
		shop.Customers = append(shop.Customers, trade.Customer{ID: id, Points: 500})
	}
	for n := range int64(4) {
		level := sandbox.Level{Store: heyshopStore, ID: 100 + n, Title: "会员", ConditionPoints: decimal.NewFromInt(n)}
		if err := v.SeedLevel(level); err != nil {
			return shop, err
		}
		shop.Levels = append(shop.Levels, level.ID)
	}
	return shop, nil
}
