package check_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"syncworker/test/chaos/check"
)

// noon is when the events of a world come; its faults are over an hour later.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// world is a bundle in the making in which everything is right.
type world struct {
	*check.Bundle
	n      int64
	totals map[string]*check.Order
}

var ops = map[string]string{
	"order.created": "deal.create", "order.updated": "deal.update", "order.cancelled": "deal.cancel",
	"order.deleted": "deal.delete", "order.refunded": "deal.refund", "order.refund_deleted": "deal.delete_refund",
	"point.incremented": "point.incr", "point.decremented": "point.decr",
}

func newWorld() *world {
	return &world{totals: map[string]*check.Order{}, Bundle: &check.Bundle{
		Run: check.Run{
			Accounts: map[string]check.Account{"dmhub": {Kind: "dmhub-loyalty"}},
			Routes:   []check.Route{{Types: []string{"order.*", "point.*"}, Tenants: []string{"default"}, Accounts: []string{"dmhub"}}},
			Slots:    4, Timeout: time.Second, Lease: 3 * time.Second, Secret: "canary",
			Person: "收货人甲", Mobiles: []string{"13800000001"}, Points: 500, Drained: noon.Add(time.Hour), Ends: map[string]string{"worker1": "drained"},
			Semantics: map[string]string{"order_reads": "deals"},
		},
		Vendor:   check.Vendor{Members: []check.Member{{ID: 1, Points: 500}}},
		Database: check.Database{Workers: []check.Worker{{Token: 1}}, Tokens: []check.Token{{Token: "token-of-dmhub"}}},
		Logs:     map[string]string{"worker1-001.log": `{"message":"working"}`},
		Metrics:  map[string]string{"worker1-001.txt": "syncworker_calls_total 7"},
		Tables:   map[string]string{"deliveries": `{"id":1}`, "attempts": `{"reply":"13800000001 收货人甲"}`},
	}}
}

// publish writes a message into the journal, as a till sends it.
func (w *world) publish(typ, data string) {
	w.n++
	w.Published = append(w.Published, check.Message{
		Subject: "sync.events." + typ, Sent: 1, Acked: true, Sequence: uint64(w.n), AckedAt: noon.Add(time.Duration(w.n) * time.Second),
		Data: fmt.Appendf(nil, `{"specversion":"1.0","id":"%d","type":%q,"data":%s}`, w.n, typ, data),
	})
}

// event publishes an event, and has it in the outbox with a delivery in that
// state. Events follow one another by a second.
func (w *world) event(typ, order, uuid string, amount float64, state string) *check.Delivery {
	data := fmt.Sprintf(`{"orderNo":%q,"uuid":%q,"c_amount":%g}`, order, uuid, amount)
	w.publish(typ, data)
	at := noon.Add(time.Duration(w.n) * time.Second)
	key := check.Key{Tenant: "default", Kind: typ, OrderNo: order, UUID: uuid}
	lane := "order " + order
	e := check.Event{
		ID: w.n, ReceivedAt: at, EventTime: at, Tenant: "default", Type: typ, OrderNo: order, UUID: uuid,
		Amount: decimal.NewFromFloat(amount), Payload: string(w.Published[len(w.Published)-1].Data),
	}
	switch {
	case strings.HasPrefix(typ, "point."):
		key.Kind, key.OrderNo, lane = "point", "", "member 1"
		e.OrderNo, e.Points = "", int64(amount)
	case typ == "order.created" || typ == "order.cancelled" || typ == "order.deleted":
		key.UUID, e.UUID = "", ""
	}
	w.Events = append(w.Events, e)
	w.Identities = append(w.Identities, check.Identity{Key: key, EventID: w.n, ReceivedAt: at})
	state, reason, _ := strings.Cut(state, ":")
	w.Deliveries = append(w.Deliveries, check.Delivery{
		ID: w.n, EventID: w.n, ReceivedAt: at, EventTime: at, Lane: lane, Account: "dmhub", Type: typ, State: state, Reason: reason,
	})
	d := &w.Deliveries[len(w.Deliveries)-1]
	if state == "delivered" {
		w.call(d, "", "")
		w.effect(d, amount)
	}
	if e.Points > 0 {
		w.points(d, &e)
	}
	return d
}

// call has the worker intend a call, make it, and record its answer.
func (w *world) call(d *check.Delivery, code, fault string) {
	e := w.Events[len(w.Events)-1]
	d.Calls++
	at := d.ReceivedAt.Add(time.Duration(d.Calls) * 100 * time.Millisecond)
	d.FirstSentAt = &at
	seq := int64(len(w.Calls)) + 1
	c := check.Call{Seq: seq, Time: at, Account: "app", Op: ops[d.Type], Key: e.OrderNo, Status: 200, Code: code, Fault: fault, Done: true}
	if e.OrderNo == "" {
		c.Key, c.UUID, c.Member = "1", e.UUID, 1
	} else if e.UUID != "" {
		c.Request = "hash of " + e.UUID + d.Type
		w.Requests = append(w.Requests, check.Request{Hash: c.Request, Event: e.UUID})
	}
	w.Calls = append(w.Calls, c)
	class := map[bool]string{true: "ambiguous", false: "applied"}[fault != ""]
	w.Attempts = append(w.Attempts, check.Attempt{DeliveryID: d.ID, Number: d.Calls, Worker: 1, StartedAt: at, RecordedAt: at, Class: class})
}

// effect lets the last call take effect.
func (w *world) effect(d *check.Delivery, amount float64) {
	c := &w.Calls[len(w.Calls)-1]
	c.Applied = true
	e := check.Effect{Seq: int64(len(w.Effects)) + 1, Call: c.Seq, Time: c.Time, Op: c.Op, Key: c.Key, UUID: c.UUID, Request: c.Request}
	if c.Member == 1 {
		e.Points = int64(amount)
		if d.Type == "point.decremented" {
			e.Points = -e.Points
		}
		w.Members[0].Points += e.Points
	} else {
		e.Amount = decimal.NewFromFloat(amount)
		w.order(d, c.Key, e.Amount)
	}
	w.Effects = append(w.Effects, e)
}

// order keeps what both sides have of an order.
func (w *world) order(d *check.Delivery, no string, amount decimal.Decimal) {
	if w.totals[no] == nil {
		w.Orders = append(w.Orders, check.Order{OrderNo: no})
		w.FinanceOrders = append(w.FinanceOrders, check.FinanceOrder{Tenant: "default", Account: "dmhub", OrderNo: no})
		w.totals[no] = &check.Order{}
	}
	for i := range w.Orders {
		if w.Orders[i].OrderNo != no {
			continue
		}
		ours, theirs := &w.FinanceOrders[i], &w.Orders[i]
		switch {
		case refunds[d.Type]:
			theirs.Refunded = theirs.Refunded.Add(amount)
			if d.State == "delivered" {
				ours.RefundedTotal = theirs.Refunded
				w.FinanceDaily = append(w.FinanceDaily, check.FinanceDaily{RefundTotal: amount})
			}
		case d.Type == "order.created":
			theirs.AmountPaid, ours.AmountPaid = amount, amount
		}
	}
}

var refunds = map[string]bool{"order.refunded": true, "order.refund_deleted": true}

// points is what finance sees of a change of points.
func (w *world) points(d *check.Delivery, e *check.Event) {
	p := check.FinancePoint{Tenant: "default", Account: "dmhub", UUID: e.UUID, Direction: 1, DeliveryState: d.State}
	if d.Type == "point.decremented" {
		p.Direction = -1
	}
	if d.State == "delivered" {
		applied := e.Points
		p.PointsApplied = &applied
		day := check.FinanceDaily{PointsIn: applied}
		if p.Direction < 0 {
			day = check.FinanceDaily{PointsOut: applied}
		}
		w.FinanceDaily = append(w.FinanceDaily, day)
	}
	w.FinancePoints = append(w.FinancePoints, p)
}

// right is a small world with one of everything, and nothing wrong.
func right() *world {
	w := newWorld()
	w.event("order.created", "o1", "", 100, "delivered")                               // 1
	w.event("order.updated", "o1", "u1", 0, "delivered")                               // 2
	w.event("order.refunded", "o1", "r1", 10, "delivered")                             // 3
	w.event("point.incremented", "", "p1", 8, "delivered")                             // 4
	w.call(w.event("point.decremented", "", "p2", 9000, "dead:refused"), "409180", "") // 5
	w.event("order.created", "o2", "", 50, "delivered")                                // 6
	unclear := w.event("order.refunded", "o2", "r2", 5, "held:unclear")                // 7
	unclear.EverAmbiguous, unclear.Ambiguous = true, true
	w.call(unclear, "", "reset_after")
	w.effect(unclear, 5)
	w.event("order.refund_deleted", "o2", "r2", 0, "waiting:predecessor_held") // 8
	w.event("order.refunded", "o3", "r3", 5, "waiting:predecessor_missing")    // 9
	w.event("order.created", "o4", "", 20, "delivered")                        // 10
	w.event("order.updated", "o4", "old", 0, "held:superseded")                // 11
	w.event("order.updated", "o4", "new", 0, "delivered")                      // 12

	w.publish("order.created", `{"orderNo":"o1","uuid":"","c_amount":101}`) // 13: the same order, another amount
	w.Conflicts = append(w.Conflicts, check.Conflict{
		Key: check.Key{Tenant: "default", Kind: "order.created", OrderNo: "o1"}, ID: 1, Count: 1, Cause: "content", Type: "order.created",
		Payload: string(w.Published[len(w.Published)-1].Data),
	})
	bad := check.Message{Subject: "sync.events.order.created", Data: []byte("nonsense"), Bad: true, Sent: 1, Acked: true}
	w.Published = append(w.Published, bad)
	w.Rejects = append(w.Rejects, check.Reject{ID: 1, Subject: bad.Subject, Count: 1, Reason: "not_json", Payload: `\x` + hex.EncodeToString(bad.Data)})
	w.Deeds = append(w.Deeds, check.Deed{At: noon, Until: noon, Action: "replay", IDs: []int64{5}, Why: "chaos 1.", Answered: true, Changed: []int64{5}})
	w.Audit = append(w.Audit, check.Audit{ID: 1, Action: "replay", Target: "delivery 5", Why: "chaos 1."})
	return w
}
