package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// document is what all replies show of a rule.
func (p *pospalStore) document(r *pospalRule) object {
	created, used := p.count(r)
	enable := int64(1)
	if r.Disabled {
		enable = 0
	}
	available := json.RawMessage("null")
	if r.Limit > 0 {
		available = strconv.AppendInt(nil, int64(r.Limit)-created, 10)
	}
	null := json.RawMessage("null")
	return object{}.int("forRShop", 1).int("foreShop", 0).int("forCustomer", 0).raw("enjoyCustomerDiscount", null).
		int("promotionCouponUid", r.UID).text("createUserAccount", "shop").text("createUserAppId", r.AppID).
		int("enable", enable).text("name", r.Name).raw("startDate", chinaTime(r.begins())).raw("endDate", chinaTime(r.ends())).
		text("description", "").raw("avaliableQuantity", available).int("usedQuantity", used).int("createdQuantity", created).
		int("codeLength", 20).raw("salable", null).raw("sellingPrice", null).raw("requiredAmount", json.RawMessage("100.00")).
		raw("usageLimitType", null).raw("usageLimitTimes", null).raw("usageLimitAmountType", null).raw("usageLimitAmount", null)
}

// getPromotion is queryCouponPromotionByUid (根据优惠券规则uid查询).
func (s *Sandbox) getPromotion(c *call) (any, *fail) {
	f := signed{raw: c.body}
	uid := f.uid("promotionCouponUid", true)
	if f.err != nil {
		return nil, f.err
	}
	p := c.store.pospal()
	r := p.rule(uid)
	if r == nil {
		return nil, &fail{Code: "3001", Message: "优惠券无效"}
	}
	return p.document(r).end(), nil
}

// listPromotions is queryCouponPromotions: the rules that are available (查询可用优惠券规则).
func (s *Sandbox) listPromotions(c *call) (any, *fail) {
	p := c.store.pospal()
	list := []json.RawMessage{}
	for _, r := range p.rules {
		if !r.Disabled {
			list = append(list, p.document(r).end())
		}
	}
	return list, nil
}

// pagePromotions is queryPromotionPages (促销规则). Its place to go on is numbers.
func (s *Sandbox) pagePromotions(c *call) (any, *fail) {
	rules := slices.Clone(c.store.pospal().rules)
	slices.Reverse(rules)
	place := func(r *pospalRule) json.RawMessage {
		return fmt.Appendf(nil, `{"parameterType": 1, "parameterValue": %d.50}`, r.UID)
	}
	return postBack(c, rules, place, func(r *pospalRule) json.RawMessage {
		enable := int64(1)
		if r.Disabled {
			enable = 0
		}
		return object{}.text("createUserAppId", r.AppID).text("createUserAccount", "shop").int("id", r.id).text("type", "PromotionCoupon").
			int("enable", enable).text("name", r.Name).raw("startDatetime", chinaTime(r.begins())).raw("endDatetime", chinaTime(r.ends())).
			int("uid", r.UID+500).int("forRShop", 1).int("foreShop", 0).int("promotionCouponUid", r.UID).
			raw("enjoyCustomerDiscount", json.RawMessage("null")).int("forCustomer", 0).end()
	})
}

// pageCustomerCodes is queryCustomerCouponCodePage (查询会员所有优惠券号), newest first.
func (s *Sandbox) pageCustomerCodes(c *call) (any, *fail) {
	f := signed{raw: c.body}
	customer := f.uid("customerUid", true)
	if f.err != nil {
		return nil, f.err
	}
	var found []*pospalCode
	for _, k := range slices.Backward(c.store.pospal().list) {
		if k.customer == customer && !k.created.After(c.lagged()) {
			found = append(found, k)
		}
	}
	return postBack(c, found, (*pospalCode).place, func(k *pospalCode) json.RawMessage { return k.document(c.lagged()).end() })
}

// longestSpan is how much queryUsedPromotionCode shows at once.
const longestSpan = 5 * 24 * time.Hour

// pageUsedCodes is queryUsedPromotionCode (查询核销过的优惠券号), newest first. Each
// app id sees those of the whole store.
func (s *Sandbox) pageUsedCodes(c *call) (any, *fail) {
	f := signed{raw: c.body}
	from, to := f.moment("startTime", true), f.moment("excludeEndTime", true)
	if d := to.Sub(from); f.err == nil && (d <= 0 || d > longestSpan) {
		f.wrong("excludeEndTime")
	}
	if f.err != nil {
		return nil, f.err
	}
	var found []*pospalCode
	for _, k := range slices.Backward(c.store.pospal().list) {
		if u := k.used; u != nil && !u.recorded.After(c.lagged()) && !u.at.Before(from) && u.at.Before(to) {
			found = append(found, k)
		}
	}
	return postBack(c, found, (*pospalCode).place, func(k *pospalCode) json.RawMessage {
		return k.document(c.lagged()).raw("usedByProductOrderId", json.RawMessage("null")).end()
	})
}

func (k *pospalCode) place() json.RawMessage {
	return fmt.Appendf(nil, `{"parameterType":"LAST_RESULT_MAX_ID","parameterValue":"%d"}`, k.id)
}

// document is a row of a list of codes, as reads see it at a time.
func (k *pospalCode) document(at time.Time) object {
	null := json.RawMessage("null")
	usedBy, usedAt, ticket := null, null, null
	if u := k.used; u != nil && !u.recorded.After(at) {
		usedBy, usedAt = encode(u.by), chinaTime(u.at)
		if u.by == "" {
			usedBy, ticket = null, encode(strconv.FormatInt(k.id, 10))
		}
	}
	return object{}.text("createdByUserAppId", k.by).text("createdByUserAccount", "shop").text("code", k.code).
		raw("createdDateTime", chinaTime(k.created)).raw("expiredDate", null).
		raw("usedByUserAppId", usedBy).raw("usedByUserAccount", null).raw("usedDateTime", usedAt).raw("usedByTicketUid", ticket).
		int("promotionCouponUid", k.rule.UID).text("promotionCouponName", k.rule.Name).text("promotionCouponAppId", k.rule.AppID).
		text("promotionCouponAccount", "shop").raw("promotionCouponStartDate", chinaTime(k.rule.begins())).
		raw("promotionCouponEndDate", chinaTime(k.rule.ends()))
}

// postBack cuts the page out of all rows that follows the place in the request. A
// place has to come back as it was given out, byte for byte.
func postBack[T any](c *call, all []T, place func(T) json.RawMessage, row func(T) json.RawMessage) (any, *fail) {
	f := signed{raw: c.body}
	from := 0
	if given := f.value("postBackParameter", false); given != nil {
		i := slices.IndexFunc(all, func(t T) bool { return bytes.Equal(place(t), given) })
		if i < 0 {
			f.wrong("postBackParameter")
			return nil, f.err
		}
		from = i + 1
	}
	to := min(from+c.sw.Pospal.PageSize, len(all))
	rows := []json.RawMessage{}
	for _, t := range all[from:to] {
		rows = append(rows, row(t))
	}
	doc := fields{"result": encode(rows), "postBackParameter": json.RawMessage("null")}
	if to > from {
		doc["postBackParameter"] = place(all[to-1])
	}
	if c.sw.Pospal.PageSizeShown == "shown" {
		doc["pageSize"] = strconv.AppendInt(nil, int64(c.sw.Pospal.PageSize), 10)
	}
	if c.op == OpPospalPromotionPages {
		return doc, nil
	}
	return object{}.all(doc).end(), nil
}
