package main

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/tidwall/gjson"

	"syncworker/internal/sandbox"
	"syncworker/internal/trade"
)

// opOf is what an event's effect is called at the vendor.
var opOf = map[string]string{
	"order.created": sandbox.OpDealCreate, "order.updated": sandbox.OpDealUpdate, "order.cancelled": sandbox.OpDealCancel,
	"order.deleted": sandbox.OpDealDelete, "order.refunded": sandbox.OpDealRefund, "order.refund_deleted": sandbox.OpDealDeleteRefund,
	"point.incremented": sandbox.OpPointIncr, "point.decremented": sandbox.OpPointDecr,
}

// effect is what an event causes: an operation on an order or, for points, on
// what their uuid names.
type effect struct{ op, key string }

// wanted is what the queued events are to cause. An event is its position in the
// stream; two events of one kind for one order can't be told apart.
type wanted struct {
	ids    []string
	lanes  []string
	by     map[effect][]int
	orders map[string]int64 // member by order number
}

func wantedOf(messages []trade.Message, mobiles map[string]int64) (w wanted, err error) {
	w.by, w.orders = map[effect][]int{}, map[string]int64{}
	for i, m := range messages {
		e, err := readEvent(nats.Header(m.Header), string(m.Data))
		if err != nil {
			return w, err
		}
		data := gjson.Parse(e.data)
		order, mobile := data.Get("orderNo").Str, data.Get("identities.0.value").Str
		member := data.Get("membershipId").Int()
		key, lane := order, order
		if strings.HasPrefix(e.Type, "point.") {
			// A member whom events name differently has two lanes, as the contract has it.
			key, lane = data.Get("uuid").Str, fmt.Sprintf("%d %s", member, mobile)
		} else if id := max(member, mobiles[mobile]); id != 0 {
			w.orders[order] = id
		}
		w.ids, w.lanes = append(w.ids, e.ID), append(w.lanes, lane)
		what := effect{opOf[e.Type], key}
		w.by[what] = append(w.by[what], i)
	}
	return w, nil
}

// verdict is what the ledger shows.
type verdict struct {
	Doubled int `json:"effects_doubled"`
	// After the effect of a later event of the same lane: of orders, and of points,
	// which go on behind a call that may have been lost, since each has its own uuid.
	OutOfOrder       int `json:"effects_out_of_order"`
	PointsOutOfOrder int `json:"points_out_of_order"`

	missing []int // positions of the events without an effect
	had     []int // positions of the others
}

// judge takes the effects in the order in which they took place.
func (w *wanted) judge(effects []effect) (v verdict) {
	taken, newest := map[effect]int{}, map[string]int{} // by lane: one behind the last position
	for _, e := range effects {
		n := taken[e]
		taken[e]++
		if n >= len(w.by[e]) {
			v.Doubled++
			continue
		}
		at := w.by[e][n]
		v.had = append(v.had, at)
		switch lane := w.lanes[at]; {
		case at >= newest[lane]:
			newest[lane] = at + 1
		case e.op == sandbox.OpPointIncr || e.op == sandbox.OpPointDecr:
			v.PointsOutOfOrder++
		default:
			v.OutOfOrder++
		}
	}
	for e, at := range w.by {
		v.missing = append(v.missing, at[min(taken[e], len(at)):]...)
	}
	return v
}

// posted is a call that the echoing vendor has answered.
type posted struct {
	path string
	body []byte
}

// effect is what the call would have caused at DM Hub.
func (p posted) effect() effect {
	switch {
	case strings.HasSuffix(p.path, "/point/incr"):
		return effect{sandbox.OpPointIncr, gjson.GetBytes(p.body, "uuid").Str}
	case strings.HasSuffix(p.path, "/point/decr"):
		return effect{sandbox.OpPointDecr, gjson.GetBytes(p.body, "uuid").Str}
	}
	for typ, path := range dealPaths {
		if path == p.path {
			return effect{opOf[typ], gjson.GetBytes(p.body, "orderNo").Str}
		}
	}
	return effect{op: p.path}
}
