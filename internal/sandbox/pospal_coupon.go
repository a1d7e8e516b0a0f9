package sandbox

import (
	"strconv"
	"time"
)

// pospalStore is what a Pospal store holds beside its customers, who are the
// store's members.
type pospalStore struct {
	rules []*pospalRule          // by uid
	codes map[string]*pospalCode // one store has a code once
	list  []*pospalCode          // by id
}

// pospalRule is a coupon's rule (优惠券规则).
type pospalRule struct {
	PospalPromotion
	id int64 // of the promotion that it belongs to
}

// pospalCode is a coupon's code (优惠券号, 核销码).
type pospalCode struct {
	id       int64
	code     string
	rule     *pospalRule
	customer int64 // 0 = none
	created  time.Time
	by       string // app id
	used     *pospalUse
}

type pospalUse struct {
	at       time.Time // as it counts
	recorded time.Time
	by       string // app id, empty = the till's
}

// pospal returns what the store holds of Pospal's, with the rules that each begins
// with.
func (st *store) pospal() *pospalStore {
	if st.coupons == nil {
		st.coupons = &pospalStore{codes: map[string]*pospalCode{}}
		for _, p := range firstPromotions() {
			st.coupons.addRule(p)
		}
	}
	return st.coupons
}

// firstRule and firstPromotion are where uids and ids begin.
const (
	firstRule      = 1199186483387900201
	firstPromotion = 234982
	firstCode      = 23498234
)

func firstPromotions() []PospalPromotion {
	return []PospalPromotion{
		{UID: firstRule, Name: "满100减10"},
		{UID: firstRule + 1, Name: "停用的券", Disabled: true},
		{UID: firstRule + 2, Name: "限量2张", Limit: 2},
	}
}

func (p *pospalStore) addRule(given PospalPromotion) {
	p.rules = append(p.rules, &pospalRule{given, firstPromotion + int64(len(p.rules))})
}

func (p *pospalStore) rule(uid int64) *pospalRule {
	for _, r := range p.rules {
		if r.UID == uid {
			return r
		}
	}
	return nil
}

func (p *pospalStore) add(k *pospalCode) *pospalCode {
	k.id = firstCode + int64(len(p.list))
	p.codes[k.code] = k
	p.list = append(p.list, k)
	return k
}

// count is how many codes of a rule there are, and how many of them were used.
func (p *pospalStore) count(r *pospalRule) (created, used int64) {
	for _, k := range p.list {
		if k.rule == r {
			created++
			if k.used != nil {
				used++
			}
		}
	}
	return created, used
}

// addCode is addCouponcode (添加优惠券号).
func (s *Sandbox) addCode(c *call) (any, *fail) {
	f := signed{raw: c.body}
	uid, customer, code := f.uid("promotionCouponUid", true), f.uid("customerUid", false), f.code()
	if f.err != nil {
		return nil, f.err
	}
	p := c.store.pospal()
	rule := p.rule(uid)
	if err := c.mayUse(rule); err != nil {
		return nil, err
	}
	if customer != 0 && c.store.members[customer] == nil {
		return nil, &fail{Code: "2015", Message: "没有找到会员"}
	}
	k := p.codes[code]
	switch created, _ := p.count(rule); {
	case k != nil && c.sw.Pospal.ExistingCode == "error":
		return nil, &fail{Code: "3004", Message: "优惠券号已存在"}
	case k != nil:
		return k.receipt().end(), nil
	case rule.Limit > 0 && created >= int64(rule.Limit):
		return nil, &fail{Code: "3003", Message: "优惠券号数量不足"}
	}
	k = p.add(&pospalCode{code: code, rule: rule, customer: customer, created: c.now, by: c.account})
	c.ledger.effect(c, Effect{Member: customer, Ref: strconv.FormatInt(k.id, 10)})
	return k.receipt().end(), nil
}

// mayUse refuses a rule that isn't there, is another app id's, or is disabled.
func (c *call) mayUse(r *pospalRule) *fail {
	switch {
	case r == nil:
		return &fail{Code: "3001", Message: "优惠券无效"}
	case r.AppID != "" && r.AppID != c.account:
		return &fail{Code: "2016", Message: "没有权限"}
	case r.Disabled:
		return &fail{Code: "3002", Message: "优惠券已停用"}
	}
	return nil
}

// receipt is the data of addCouponcode: the customer comes with the API's typing
// error.
func (k *pospalCode) receipt() object {
	o := object{}.raw("codeExpiredDate", chinaTime(k.rule.ends()))
	if k.customer != 0 {
		o = o.int("customrUid", k.customer)
	}
	return o
}

// useCode is promotioncouponcode/use (核销).
func (s *Sandbox) useCode(c *call) (any, *fail) {
	f := signed{raw: c.body}
	code, customer, at := f.code(), f.uid("customerUid", false), f.moment("useDateTime", false)
	if f.err != nil {
		return nil, f.err
	}
	k := c.store.pospal().codes[code]
	switch {
	case k == nil, customer != 0 && k.customer != 0 && k.customer != customer,
		k.used != nil && c.sw.Pospal.DoubleUse == "error":
		return nil, &fail{Code: "3001", Message: "优惠券无效"}
	case k.rule.Disabled:
		return nil, &fail{Code: "3002", Message: "优惠券已停用"}
	}
	if at.IsZero() || c.sw.Pospal.UseTime == "server" {
		at = c.now
	}
	e := Effect{Member: k.customer, Ref: strconv.FormatInt(k.id, 10)}
	if k.used != nil {
		e.Repeat = true
		c.ledger.violate(c, CodeUsedTwice, 0)
	} else {
		k.used = &pospalUse{at: at, recorded: c.now, by: c.account}
	}
	c.ledger.effect(c, e)
	return nil, nil
}
