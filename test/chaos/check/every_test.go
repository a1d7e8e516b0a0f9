package check_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/test/chaos/check"
)

// adjusted publishes a change of a web shop's points, which has its effect unless it
// isn't delivered.
func (w *world) adjusted(uuid string, points int64, state string) *check.Delivery {
	w.Run.Accounts["heyshop"] = check.Account{Kind: "heyshop", Store: "heyshop"}
	w.Run.Routes = append(w.Run.Routes, check.Route{Types: []string{"point.*"}, Tenants: []string{"web"}, Accounts: []string{"heyshop"}})
	data := fmt.Sprintf(`{"uuid":%q,"membershipId":9,"point":%d}`, uuid, points)
	w.publish("point.incremented", data)
	m := &w.Published[len(w.Published)-1]
	m.Data = []byte(strings.Replace(string(m.Data), `"data"`, `"tenant":"web","data"`, 1))
	at := noon.Add(time.Duration(w.n) * time.Second)
	w.Events = append(w.Events, check.Event{
		ID: w.n, ReceivedAt: at, EventTime: at, Tenant: "web", Type: "point.incremented", UUID: uuid, Points: points, Payload: string(m.Data),
	})
	w.Identities = append(w.Identities, check.Identity{Key: check.Key{Tenant: "web", Kind: "point", UUID: uuid}, EventID: w.n, ReceivedAt: at})
	state, reason, _ := strings.Cut(state, ":")
	w.Deliveries = append(w.Deliveries, check.Delivery{
		ID: w.n, EventID: w.n, ReceivedAt: at, EventTime: at, Lane: "web 9", Account: "heyshop", Type: "point.incremented", State: state, Reason: reason, Calls: 1,
	})
	request := fmt.Sprint("hash of 9 ", points)
	w.Requests = append(w.Requests, check.Request{Hash: request, Event: fmt.Sprint("9 ", points)})
	w.Calls = append(w.Calls, check.Call{Seq: int64(len(w.Calls)) + 1, Time: at, Account: "heyshop", Op: "heyshop.adjust", Key: "9", Status: 201, Done: true, Request: request})
	if state == "delivered" {
		w.adjust(request)
	}
	return &w.Deliveries[len(w.Deliveries)-1]
}

func (w *world) adjust(request string) {
	w.Effects = append(w.Effects, check.Effect{Seq: int64(len(w.Effects)) + 1, Call: int64(len(w.Calls)), Time: noon, Op: "heyshop.adjust", Key: "9", Request: request})
}

func TestEqualAdjustmentsAreCounted(t *testing.T) {
	for name, c := range map[string]struct {
		tell func(*world)
		says string
	}{
		"two of two":           {func(*world) {}, ""},
		"one more":             {func(w *world) { w.adjust("hash of 9 5") }, "3 effects"},
		"one too few":          {func(w *world) { w.Effects = w.Effects[:len(w.Effects)-1] }, "delivered without an effect"},
		"one dead, and there":  {func(w *world) { w.adjusted("c", 5, "dead:refused"); w.adjust("hash of 9 5") }, "dead, but it has an effect"},
		"a call too many":      {func(w *world) { w.Calls = append(w.Calls, w.Calls[len(w.Calls)-1]) }, "were intended"},
		"at the wrong account": {func(w *world) { w.Deliveries[len(w.Deliveries)-1].Account = "dmhub" }, `want ["heyshop"]`},
	} {
		t.Run(name, func(t *testing.T) {
			w := right()
			w.adjusted("a", 5, "delivered")
			w.adjusted("b", 5, "delivered")
			w.Run.Routes = w.Run.Routes[:2]
			c.tell(w)
			w.Run.Routes = w.Run.Routes[:2]
			var found []string
			for _, f := range check.Check(w.Bundle).Findings {
				found = append(found, f.What)
			}
			if c.says == "" {
				require.Empty(t, found)
				return
			}
			require.Contains(t, strings.Join(found, "\n"), c.says)
		})
	}
}
