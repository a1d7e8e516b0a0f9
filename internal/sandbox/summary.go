package sandbox

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// OpTotals counts one operation.
type OpTotals struct {
	Calls   int `json:"calls"`
	Effects int `json:"effects"` // without repeats
	Faults  int `json:"faults"`  // injected
}

// Totals are the sums over all effects since the last reset.
type Totals struct {
	PointsIn   int64           `json:"points_in"`
	PointsOut  int64           `json:"points_out"` // positive
	AmountPaid decimal.Decimal `json:"amount_paid"`
	Refunded   decimal.Decimal `json:"refunded"` // refunds that were deleted are taken off
	// Of customer deals, which an order that goes to both accounts is too.
	DealsPaid     decimal.Decimal `json:"customer_deals_paid"`
	DealsRefunded decimal.Decimal `json:"customer_deals_refunded"`

	ByOp       map[string]OpTotals `json:"by_op"`
	Violations map[string]int      `json:"violations"`
}

func (t *Totals) add(e Effect) {
	if e.Points > 0 {
		t.PointsIn += e.Points
	} else {
		t.PointsOut -= e.Points
	}
	switch e.Op {
	case OpDealCreate, OpDealUpdate:
		t.AmountPaid = t.AmountPaid.Add(e.Amount)
	case OpDealRefund, OpDealDeleteRefund:
		t.Refunded = t.Refunded.Add(e.Amount)
	case OpCustomerDealCreate, OpCustomerDealUpdate:
		t.DealsPaid = t.DealsPaid.Add(e.Amount)
	case OpCustomerDealRefund, OpCustomerDealDeleteRefund:
		t.DealsRefunded = t.DealsRefunded.Add(e.Amount)
	}
	if !e.Repeat {
		op := t.ByOp[e.Op]
		op.Effects++
		t.ByOp[e.Op] = op
	}
}

// Summary is what the sandbox holds and has seen.
type Summary struct {
	Totals
	Members     int            `json:"members"`
	Orders      int            `json:"orders"`         // deleted ones too
	Deals       int            `json:"customer_deals"` // those that are apart from orders
	Coupons     int            `json:"coupons"`        // drawn
	CouponsUsed int            `json:"coupons_used"`
	Devices     int            `json:"devices"`
	Calls       int64          `json:"calls"`
	InFlight    int            `json:"in_flight"`
	MaxInFlight int            `json:"max_in_flight"`
	MaxPerLane  int            `json:"max_per_lane"` // writes at the same time for one order, or one member's points
	LaneMax     map[string]int `json:"lane_max"`     // lanes where that exceeded 1: "order/NO", "deal/NO", "member/ID", with "STORE/" before it unless empty
	Tokens      map[string]int `json:"tokens"`       // tokens issued, by app id
	Codes       int            `json:"coupon_codes"` // of Pospal's stores
	CallsToday  map[string]int `json:"calls_today"`  // of the daily quota, by app id
}

// Summary returns the totals and the extremes that were seen.
func (s *Sandbox) Summary() Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.ledger
	sum := Summary{
		Totals: l.totals, Calls: l.seq, InFlight: l.active, MaxInFlight: l.maxActive,
		MaxPerLane: l.maxLane, LaneMax: map[string]int{}, Tokens: maps.Clone(l.tokens),
	}
	sum.ByOp = maps.Clone(l.totals.ByOp)
	sum.Totals.Violations = maps.Clone(l.totals.Violations)
	for id, n := range l.laneMax {
		sum.LaneMax[strings.TrimPrefix(id.store+"/"+id.kind+"/"+id.key, "/")] = n
	}
	sum.CallsToday = map[string]int{}
	for id, l := range s.logins {
		if l.account.vendor() == Pospal {
			sum.CallsToday[id] = l.callsOn(s.cfg.Now())
		}
	}
	for _, st := range s.stores {
		sum.Members += len(st.members)
		sum.Orders += len(st.orders)
		sum.Deals += len(st.deals)
		if st.coupons != nil {
			sum.Codes += len(st.coupons.list)
		}
		sum.Coupons += len(st.held)
		sum.Devices += len(st.devices)
		for _, h := range st.held {
			if !h.redeemed.IsZero() {
				sum.CouponsUsed++
			}
		}
	}
	return sum
}

// Order is an order as the vendor holds it now, whatever [Switches.ReadsLag]
// hides from reads.
type Order struct {
	Store      string          `json:"store"`
	OrderNo    string          `json:"order_no"`
	ID         int64           `json:"id"`
	Member     int64           `json:"member"`
	State      string          `json:"state"` // 已付款, 已取消, 部分退单 or 完全退单
	Deleted    bool            `json:"deleted"`
	Creates    int             `json:"creates"` // creates that took effect since it was last deleted
	AmountPaid decimal.Decimal `json:"amount_paid"`
	Refunded   decimal.Decimal `json:"refunded"`
	Refunds    int             `json:"refunds"` // outstanding ones
	DateOrder  time.Time       `json:"date_order"`
	Created    time.Time       `json:"created"`
	Updated    time.Time       `json:"updated"`
}

func (d *deal) order(store string) Order {
	return Order{
		Store: store, OrderNo: d.orderNo, ID: d.id, Member: d.member, State: d.state, Deleted: d.deleted,
		Creates: d.creates, AmountPaid: d.amountPaid, Refunded: d.refunded(), Refunds: len(d.refunds),
		DateOrder: d.dateOrder, Created: d.created, Updated: d.updated,
	}
}

// Order looks an order up; the store is the [Account]'s.
func (s *Sandbox) Order(store, orderNo string) (Order, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stores[store]
	if st == nil || st.orders[orderNo] == nil {
		return Order{}, false
	}
	return st.orders[orderNo].now().order(store), true
}

// Orders returns all orders by store and id.
func (s *Sandbox) Orders() []Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Order
	for _, st := range s.stores {
		for _, h := range st.orders {
			all = append(all, h.now().order(st.name))
		}
	}
	sortOrders(all)
	return all
}

func sortOrders(all []Order) {
	slices.SortFunc(all, func(a, b Order) int {
		return cmp.Or(strings.Compare(a.Store, b.Store), cmp.Compare(a.ID, b.ID))
	})
}

// Member is a member as the vendor holds it now.
type Member struct {
	Store  string `json:"store"`
	ID     int64  `json:"id"`
	Mobile string `json:"mobile,omitempty"`
	Points int64  `json:"points"`
	// Customer is the customerId that customer deals know the member by; 0 is none.
	Customer int64 `json:"customer,omitempty"`
}

// Balance returns a member's points; the store is the [Account]'s.
func (s *Sandbox) Balance(store string, member int64) (points int64, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.stores[store]; st != nil && st.members[member] != nil {
		return st.members[member].balance, true
	}
	return 0, false
}

// Members returns all members by store and id.
func (s *Sandbox) Members() []Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Member
	for _, st := range s.stores {
		for _, m := range st.members {
			all = append(all, Member{Store: st.name, ID: m.id, Mobile: m.mobile(), Points: m.balance, Customer: m.customer})
		}
	}
	slices.SortFunc(all, func(a, b Member) int {
		return cmp.Or(strings.Compare(a.Store, b.Store), cmp.Compare(a.ID, b.ID))
	})
	return all
}
