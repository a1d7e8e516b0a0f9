package main

import (
	"context"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"syncworker/internal/event"
	"syncworker/internal/sandbox"
)

// demoEffects says which events the vendors' effects are of. HeyShop has one call for
// both directions.
var demoEffects = map[string]traffic{
	sandbox.OpDealCreate:       {demoLoyalty, event.OrderCreated},
	sandbox.OpDealUpdate:       {demoLoyalty, event.OrderUpdated},
	sandbox.OpDealCancel:       {demoLoyalty, event.OrderCancelled},
	sandbox.OpDealDelete:       {demoLoyalty, event.OrderDeleted},
	sandbox.OpDealRefund:       {demoLoyalty, event.OrderRefunded},
	sandbox.OpDealDeleteRefund: {demoLoyalty, event.OrderRefundDeleted},
	sandbox.OpPointIncr:        {demoLoyalty, event.PointIncremented},
	sandbox.OpPointDecr:        {demoLoyalty, event.PointDecremented},
	sandbox.OpMemberCreate:     {demoLoyalty, event.MemberRegistered},
	sandbox.OpMemberUpdate:     {demoLoyalty, event.MemberUpdated},
	sandbox.OpMemberBind:       {demoLoyalty, event.MemberIdentityBound},
	sandbox.OpMemberUnbind:     {demoLoyalty, event.MemberIdentityRemoved},
	sandbox.OpMemberMobile:     {demoLoyalty, event.MemberMobileChanged},
	sandbox.OpCouponDraw:       {demoLoyalty, event.CouponDrawn},
	sandbox.OpCouponRedeem:     {demoLoyalty, event.CouponRedeemed},
	sandbox.OpDeviceRegister:   {demoLoyalty, event.DeviceRegistered},

	sandbox.OpCustomerDealCreate:       {demoDeals, event.OrderCreated},
	sandbox.OpCustomerDealUpdate:       {demoDeals, event.OrderUpdated},
	sandbox.OpCustomerDealCancel:       {demoDeals, event.OrderCancelled},
	sandbox.OpCustomerDealDelete:       {demoDeals, event.OrderDeleted},
	sandbox.OpCustomerDealRefund:       {demoDeals, event.OrderRefunded},
	sandbox.OpCustomerDealDeleteRefund: {demoDeals, event.OrderRefundDeleted},

	sandbox.OpHeyShopAdjust:      {demoHeyShop, event.PointIncremented},
	sandbox.OpHeyShopLevelCreate: {demoHeyShop, event.LevelCreated},
	sandbox.OpHeyShopLevelUpdate: {demoHeyShop, event.LevelUpdated},
	sandbox.OpHeyShopLevelDelete: {demoHeyShop, event.LevelDeleted},
	sandbox.OpPospalCodeAdd:      {demoPospal, event.CouponCodeAdded},
	sandbox.OpPospalCodeUse:      {demoPospal, event.CouponCodeUsed},
}

// matter is what effects of a type are about at an account.
type matter struct {
	traffic
	about string
}

// effects holds each matter against what is delivered: as many effects, and beyond
// that no more than a person has to decide about.
func (d *demo) effects(ctx context.Context, r *demoReport, found map[matter]int) error {
	const sql = `
		SELECT tenant, account, type, order_no, uuid, state = 'delivered', state = 'held'
		FROM finance.deliveries WHERE tenant = ANY($1)`
	rows, err := d.db.Query(ctx, sql, d.tenants())
	if err != nil {
		return fmt.Errorf("reading the deliveries: %w", err)
	}
	delivered, held := map[matter]int{}, map[matter]int{}
	var id event.Identity
	var m matter
	var isDelivered, isHeld bool
	_, err = pgx.ForEachRow(rows, []any{&id.Tenant, &m.account, &m.typ, &id.OrderNo, &id.UUID, &isDelivered, &isHeld}, func() error {
		if id.Kind = string(m.typ); m.typ.Point() {
			id.Kind = event.PointKind
		}
		m.about = d.known[id]
		if isDelivered {
			delivered[m]++
		}
		if isHeld {
			held[m]++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the deliveries: %w", err)
	}
	all, sums := maps.Clone(delivered), map[traffic]int{}
	maps.Copy(all, found)
	for m := range all {
		sums[m.traffic] += found[m]
		if n := found[m]; n < delivered[m] || n > delivered[m]+held[m] {
			r.Problems = append(r.Problems, fmt.Sprintf("%s: %s of %s: %d delivered, %d held, and %d effects at the vendor",
				m.account, m.typ, m.about, delivered[m], held[m], n))
		}
	}
	for i := range r.Types {
		r.Types[i].Effects = sums[traffic{r.Types[i].Account, event.Type(r.Types[i].Type)}]
	}
	return nil
}

// theirSide sums up the vendors' ledger, and counts what isn't a repeat.
func theirSide(all []deed) (ledger, map[matter]int) {
	l, effects := ledger{}, map[matter]int{}
	for _, e := range all {
		of := demoEffects[e.Op]
		if of.account == demoHeyShop && e.Points < 0 {
			of.typ = event.PointDecremented
		}
		if !e.Repeat {
			effects[matter{of, e.about}]++
		}
		switch of.typ {
		case event.OrderCreated, event.OrderUpdated:
			l.add(book{of.account, sumPaid}, e.about, e.Amount)
		case event.OrderRefunded, event.OrderRefundDeleted:
			l.add(book{of.account, sumRefunded}, e.about, e.Amount)
		case event.PointIncremented:
			l.add(book{of.account, sumGranted}, e.about, decimal.NewFromInt(e.Points))
		case event.PointDecremented:
			l.add(book{of.account, sumTaken}, e.about, decimal.NewFromInt(-e.Points))
		case event.CouponCodeAdded:
			l.add(book{of.account, sumAdded}, e.about, decimal.NewFromInt(1))
		case event.CouponCodeUsed:
			l.add(book{of.account, sumUsed}, e.about, decimal.NewFromInt(1))
		}
	}
	return l, effects
}
