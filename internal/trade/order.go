package trade

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/shopspring/decimal"

	"syncworker/internal/event"
)

// identity names a member as a till knows them.
type identity struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// orderData is the data of every order event; c_ fields are the shop's own.
type orderData struct {
	OrderNo        string      `json:"orderNo"`
	UUID           string      `json:"uuid,omitempty"`
	MembershipID   int64       `json:"membershipId,omitempty"`
	CustomerID     int64       `json:"customerId,omitempty"`
	Identities     []identity  `json:"identities,omitempty"`
	DateOrder      string      `json:"dateOrder,omitempty"`
	AmountTotal    json.Number `json:"amountTotal,omitempty"`
	AmountDiscount json.Number `json:"amountDiscount,omitempty"`
	AmountPaid     json.Number `json:"amountPaid,omitempty"`
	Currency       string      `json:"currency,omitempty"`
	Store          string      `json:"store,omitempty"`
	SalesChannel   string      `json:"salesChannel,omitempty"`
	PaymentTerm    string      `json:"paymentTerm,omitempty"`
	PaymentNo      string      `json:"paymentNo,omitempty"`
	DealLines      []line      `json:"dealLines,omitempty"`
	DateRefund     string      `json:"dateRefund,omitempty"`
	RefundTotal    json.Number `json:"refundTotal,omitempty"`
	RefundLines    []line      `json:"refundLines,omitempty"`
	Reason         string      `json:"reason,omitempty"`
	Terminal       string      `json:"c_terminal,omitempty"`
	Cashier        string      `json:"c_cashier,omitempty"`
	Receiver       string      `json:"c_receiver,omitempty"`
}

type line struct {
	LineID        string      `json:"lineId"`
	ProductID     string      `json:"productId,omitempty"`
	SKU           string      `json:"skuId,omitempty"`
	ProductName   string      `json:"productName,omitempty"`
	Category      string      `json:"category,omitempty"`
	Qty           int64       `json:"qty,omitempty"`
	PriceUnit     json.Number `json:"priceUnit,omitempty"`
	PriceSubTotal json.Number `json:"priceSubTotal,omitempty"`
}

// life is what happens to an order after it was placed.
type life int

const (
	kept life = iota
	corrected
	corrected2
	cancelled
	refunded
	refunded2
	takenBack
	deleted
)

// lives is what becomes of 25 orders, so that even a small day has one of each.
var lives = [25]life{
	kept, kept, kept, kept, kept, kept, kept, kept, kept, kept, kept, kept, kept,
	corrected, corrected, corrected2, cancelled, cancelled, refunded, refunded, refunded, refunded2, refunded2,
	takenBack, deleted,
}

// orders makes all orders of the day, evenly over its hours.
func (g *generator) orders() {
	block := lives
	for n := range g.Orders {
		if n%len(block) == 0 {
			g.rng.Shuffle(len(block), func(i, j int) { block[i], block[j] = block[j], block[i] })
		}
		g.live(g.place(n, g.Orders), block[n%len(block)])
	}
	for n := range g.SeveralRefunds {
		s := g.place(n, g.SeveralRefunds)
		first := s.refund(3, false)
		s.refund(3, false)
		s.takeBack(first, false)
	}
	for n := range g.Strangers {
		s := g.place(n, g.Strangers)
		s.placed.MembershipID, s.placed.CustomerID, s.placed.Identities = 0, 0, []identity{{"mobile", fmt.Sprintf("1990%07d", s.serial)}}
		s.Held = "member_not_found"
		g.day.Delivered[event.OrderCreated]--
		g.day.Held[s.Held]++
	}
	for n := range g.Orphans {
		s := g.place(n, g.Orphans)
		g.events = g.events[:len(g.events)-1] // its create, which nobody publishes
		g.day.Events[event.OrderCreated]--
		g.day.Delivered[event.OrderCreated]--
		s.refund(1, true)
		s.Held = "unseen_order"
		s.Paid = decimal.Zero
	}
}

// sale is an order in the making.
type sale struct {
	*Order
	g      *generator
	serial int
	store  store
	buyer  Member
	placed *orderData
	at     time.Time // of its last event
	paid   int64     // cents
	left   int64     // of them, what may still be refunded
}

// place publishes the create of the n-th of so many orders.
func (g *generator) place(n, of int) *sale {
	g.serial++
	s := &sale{g: g, serial: g.serial, store: pick(g, stores), buyer: pick(g, g.Members)}
	s.at = g.Start.Add(time.Duration((float64(n) + g.rng.Float64()) / float64(of) * float64(Hours-2*time.Hour))).Truncate(time.Millisecond)
	s.Order = &Order{No: fmt.Sprintf("%s%s-%s-%05d", s.store.code, g.Start.Format("060102"), strconv.FormatUint(g.Seed, 36), g.serial)}
	g.day.Orders[s.No] = s.Order
	s.placed = &orderData{
		OrderNo: s.No, DateOrder: s.at.Add(-time.Duration(g.rng.IntN(90)) * time.Second).UTC().Format(time.RFC3339),
		Currency: "CNY", Store: s.store.name, SalesChannel: s.store.channel, PaymentTerm: pick(g, []string{"微信支付", "支付宝", "现金", "银联"}),
		PaymentNo: g.paymentNo(), DealLines: g.lines(), Receiver: Person,
		Terminal: s.store.code + "-" + strconv.Itoa(1+g.rng.IntN(6)), Cashier: fmt.Sprintf("%03d", 1+g.rng.IntN(40)),
	}
	if g.chance(0.4) && s.buyer.Mobile != "" {
		s.placed.Identities = []identity{{"mobile", s.buyer.Mobile}}
	} else {
		s.placed.MembershipID, s.placed.CustomerID = s.buyer.ID, s.buyer.CustomerID
	}
	var total int64
	for _, l := range s.placed.DealLines {
		total += cents(l.PriceSubTotal)
	}
	discount := int64(0)
	if g.chance(0.3) {
		discount = g.rng.Int64N(total/5 + 1)
	}
	s.paid = total - discount
	s.left, s.Paid = s.paid, decimal.New(s.paid, -2)
	s.placed.AmountTotal, s.placed.AmountDiscount, s.placed.AmountPaid = yuan(total), yuan(discount), yuan(s.paid)
	s.happens(event.OrderCreated, s.placed)
	return s
}

func (g *generator) paymentNo() string { return strconv.FormatUint(g.rng.Uint64N(9e17)+1e17, 10) }

func (g *generator) lines() []line {
	lines := make([]line, 1+g.rng.IntN(4))
	for i := range lines {
		p, qty := pick(g, products), 1+g.rng.Int64N(3)
		lines[i] = line{
			LineID: "l_" + strconv.Itoa(i+1), ProductID: p.id, SKU: p.sku, ProductName: p.name, Category: p.category,
			Qty: qty, PriceUnit: yuan(p.price), PriceSubTotal: yuan(p.price * qty),
		}
	}
	return lines
}

func (g *generator) live(s *sale, as life) {
	switch as {
	case corrected:
		s.correct()
	case corrected2:
		s.correct()
		s.correct()
	case cancelled:
		s.cancel()
	case refunded:
		if g.chance(0.3) {
			s.correct()
		}
		s.refund(1, false)
	case refunded2:
		s.refund(2, false)
		s.refund(1, false)
	case takenBack:
		s.takeBack(s.refund(1, false), true)
	case deleted:
		if g.chance(0.5) {
			s.cancel()
		}
		s.Deleted = true
		s.happens(event.OrderDeleted, &orderData{OrderNo: s.No})
	}
}

// correct publishes an update: another channel of payment, or a lower price.
func (s *sale) correct() {
	d := &orderData{OrderNo: s.No, UUID: s.g.uuid(), PaymentTerm: "储值卡", PaymentNo: s.g.paymentNo()}
	if s.g.chance(0.5) {
		s.paid -= s.g.rng.Int64N(s.paid/10 + 1)
		s.left, s.Paid = s.paid, decimal.New(s.paid, -2)
		d.AmountPaid = yuan(s.paid)
	}
	s.Updates++
	s.happens(event.OrderUpdated, d)
}

func (s *sale) cancel() {
	s.Cancelled = true
	s.happens(event.OrderCancelled, &orderData{OrderNo: s.No, Reason: pick(s.g, refundReasons)})
}

// refund publishes a refund of at most a part of what is left, and returns its
// index. Most tills know no more than the order's number.
func (s *sale) refund(part int64, orphan bool) int {
	total := s.left / part
	if total > 100 && s.g.chance(0.5) {
		total -= s.g.rng.Int64N(total / 2)
	}
	s.left -= total
	d := &orderData{
		OrderNo: s.No, UUID: s.g.uuid(), RefundTotal: yuan(total), Store: s.store.name, Reason: pick(s.g, refundReasons),
		RefundLines: []line{{LineID: "l_1", ProductName: s.placed.DealLines[0].ProductName, Qty: 1}}, Terminal: s.placed.Terminal,
	}
	if s.g.chance(0.2) {
		d.MembershipID = s.placed.MembershipID
	}
	r := Refund{UUID: d.UUID, Total: decimal.New(total, -2)}
	if orphan {
		r.Held = "unseen_order"
		s.g.day.Held[r.Held]++
		s.g.day.Delivered[event.OrderRefunded]--
	}
	s.Refunds = append(s.Refunds, r)
	s.happens(event.OrderRefunded, d)
	d.DateRefund = s.at.UTC().Format(time.RFC3339)
	return len(s.Refunds) - 1
}

// takeBack publishes the deletion of a refund; alone says that the order has no
// other, without which the vendor's call would be a guess.
func (s *sale) takeBack(refund int, alone bool) {
	r := &s.Refunds[refund]
	r.TakenBack = alone
	if !alone {
		s.g.day.Held["several_refunds"]++
		s.g.day.Delivered[event.OrderRefundDeleted]--
	}
	s.happens(event.OrderRefundDeleted, &orderData{OrderNo: s.No, UUID: r.UUID})
}

// happens adds an event to the order, some minutes after its last one.
func (s *sale) happens(t event.Type, d *orderData) {
	if t != event.OrderCreated {
		s.at = s.at.Add(time.Minute + time.Duration(s.g.rng.IntN(20*60*1000))*time.Millisecond)
	}
	s.g.happens(&happening{typ: t, at: s.at, source: s.store.source, order: s.Order, data: d})
}

func yuan(cents int64) json.Number {
	return json.Number(fmt.Sprintf("%d.%02d", cents/100, cents%100))
}

func cents(n json.Number) int64 {
	return decimal.RequireFromString(string(n)).Shift(2).IntPart()
}
