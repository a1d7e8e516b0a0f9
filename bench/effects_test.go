package main

import (
	"slices"
	"testing"

	"github.com/nats-io/nats.go"

	"syncworker/internal/sandbox"
	"syncworker/internal/trade"
)

// queued are the events of one order and of two members' points, in their order.
func queued(t *testing.T) wanted {
	t.Helper()
	var messages []trade.Message
	for _, text := range []string{
		`{"id":"0","type":"order.created","data":{"orderNo":"A","identities":[{"type":"mobile","value":"138"}]}}`,
		`{"id":"1","type":"order.updated","data":{"orderNo":"A","uuid":"u1"}}`,
		`{"id":"2","type":"point.incremented","data":{"uuid":"p1","membershipId":7}}`,
		`{"id":"3","type":"order.updated","data":{"orderNo":"A","uuid":"u2"}}`,
		`{"id":"4","type":"point.decremented","data":{"uuid":"p2","membershipId":7}}`,
		`{"id":"5","type":"point.decremented","data":{"uuid":"p3","identities":[{"type":"mobile","value":"138"}]}}`,
	} {
		messages = append(messages, trade.Message{Data: []byte(text)})
	}
	w, err := wantedOf(messages, map[string]int64{"138": 7})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestTheLedgerIsHeldAgainstTheStream(t *testing.T) {
	w := queued(t)
	if w.orders["A"] != 7 {
		t.Errorf("the member of the order is %d", w.orders["A"])
	}
	create, update := effect{sandbox.OpDealCreate, "A"}, effect{sandbox.OpDealUpdate, "A"}
	p1, p2, p3 := effect{sandbox.OpPointIncr, "p1"}, effect{sandbox.OpPointDecr, "p2"}, effect{sandbox.OpPointDecr, "p3"}
	for name, c := range map[string]struct {
		effects                     []effect
		doubled, outOfOrder, points int
		missing                     []int
	}{
		"as published":            {[]effect{create, update, p1, update, p2, p3}, 0, 0, 0, nil},
		"lanes overtake others":   {[]effect{p3, p1, create, p2, update, update}, 0, 0, 0, nil},
		"points in another order": {[]effect{p2, p1, p3, create, update, update}, 0, 0, 1, nil},
		"the create comes last":   {[]effect{update, update, create, p1, p2, p3}, 0, 1, 0, nil},
		"one twice":               {[]effect{create, create, update, update, p1, p2, p3}, 1, 0, 0, nil},
		"nobody asked for it":     {[]effect{create, update, update, p1, p2, p3, {sandbox.OpDealDelete, "A"}}, 1, 0, 0, nil},
		"an update is missing":    {[]effect{create, update, p1, p2, p3}, 0, 0, 0, []int{3}},
		"a lane is missing":       {[]effect{p1, p2, p3}, 0, 0, 0, []int{0, 1, 3}},
	} {
		v := w.judge(c.effects)
		slices.Sort(v.missing)
		if v.Doubled != c.doubled || v.OutOfOrder != c.outOfOrder || v.PointsOutOfOrder != c.points || !slices.Equal(v.missing, c.missing) {
			t.Errorf("%s: %+v", name, v)
		}
		if len(v.had)+len(v.missing) != len(w.ids) {
			t.Errorf("%s: %d events had an effect and %d none", name, len(v.had), len(v.missing))
		}
	}
	if n := w.count([]int{1, 3}, map[string]bool{"3": true, "4": true}); n != 1 {
		t.Errorf("%d of the events are named", n)
	}
}

func TestRivalsSendWhatTheVendorTakes(t *testing.T) {
	m := &means{rivalConfig: rivalConfig{Members: map[string]int64{"138": 7}, Orders: map[string]int64{"A": 9}}}
	binary := nats.Header{"ce-type": {"point.decremented"}, "ce-id": {"1"}}
	for text, want := range map[string]struct {
		header           nats.Header
		path, body, lane string
	}{
		`{"id":"1","type":"order.created","data":{"orderNo":"A","identities":[{"type":"mobile","value":"138"}],"c_x":1.10}}`: {
			nil, "/loyalty/v1/deal", `{"orderNo":"A","c_x":1.10,"membershipId":7}`, "A",
		},
		`{"id":"1","type":"order.refunded","data":{"uuid":"u","orderNo":"A","c_\"":[{"orderNo":"B"}]}}`: {
			nil, "/loyalty/v1/dealService/refund", `{"orderNo":"A","c_\"":[{"orderNo":"B"}],"membershipId":9}`, "A",
		},
		`{"id":"1","type":"point.incremented","data":{"uuid":"u","membershipId":8,"point":5}}`: {
			nil, "/loyalty/v1/membership/8/point/incr", `{"uuid":"u","point":5,"uuid_timeout":259200}`, "8",
		},
		`{"uuid":"u","identities":[{"type":"mobile","value":"138"}],"point":5}`: {
			binary, "/loyalty/v1/membership/7/point/decr", `{"uuid":"u","point":5,"uuid_timeout":259200}`, "7",
		},
	} {
		e, err := readEvent(want.header, text)
		if err != nil {
			t.Fatal(err)
		}
		c, lane := m.call(e)
		if c.path != want.path || string(c.body) != want.body || lane != want.lane || e.Text != text {
			t.Errorf("%s: %s %s, lane %s", text, c.path, c.body, lane)
		}
		if got := (posted{c.path, c.body}).effect(); got.op != opOf[e.Type] || got.key == "" {
			t.Errorf("%s: the ledger takes it for %+v", text, got)
		}
	}
	if _, err := readEvent(nil, `{"id":"1","data":{}}`); err == nil {
		t.Error("an event without a type passes")
	}
}
