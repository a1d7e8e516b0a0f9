package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAnEffectSaysWhatHappened(t *testing.T) {
	c := start(t, Config{})
	c.seed(Seed{Points: 3})
	c.post(dealCreate, order("A", "10.50"))
	c.post(decr, `{"point":5,"pattern":1,"uuid":"u","decrToZero":true}`)
	c.post(dealRefund, refundOf("A", "2.25"))
	hash := func(body string) string { sum := sha256.Sum256([]byte(body)); return hex.EncodeToString(sum[:]) }

	effects := c.sb.Effects()
	require.Len(t, effects, 3)
	for i, e := range effects {
		require.Equal(t, int64(i+1), e.Seq)
		require.Equal(t, "app", e.Account)
		require.Equal(t, c.clock.now(), e.Time)
		require.Equal(t, int64(1), e.Member)
	}
	require.Equal(t, []string{OpDealCreate, "A", "10.5", "8281", hash(order("A", "10.50"))},
		[]string{effects[0].Op, effects[0].Key, effects[0].Amount.String(), effects[0].Ref, effects[0].Request})
	require.Equal(t, []string{OpPointDecr, "1", "u", "248"},
		[]string{effects[1].Op, effects[1].Key, effects[1].UUID, effects[1].Ref})
	require.Equal(t, int64(-3), effects[1].Points)
	require.Equal(t, "2.25", effects[2].Amount.String())
	require.Len(t, c.sb.EffectsOf("u"), 1)
	require.Len(t, c.sb.EffectsOf("1"), 3, "by member")
	require.Len(t, c.sb.EffectsOf("A"), 2)
	call := c.sb.CallsOf("A")[0]
	require.Equal(t, Call{
		Seq: effects[0].Call, Time: c.clock.now(), Account: "app", Op: OpDealCreate, Key: "A", Member: 1, Status: 200,
		Applied: true, Done: true, Request: effects[0].Request,
	}, call)
}

func TestViolations(t *testing.T) {
	c := start(t, Config{})
	c.seed(Seed{Count: 2})
	c.post(dealRefund, refundOf("A", "1"))
	c.post(dealCancel, `{"orderNo":"A"}`)
	c.post(dealCreate, order("A", "1"))
	c.post(dealUpdate, `{"orderNo":"A","membershipId":2}`)
	c.post(dealRefund, refundOf("A", "1.01"))
	c.post(dealDelete, `{"orderNo":"A"}`)
	c.post(dealRefund, refundOf("A", "1"))
	c.post(dealCreate, order("A", "1"))
	var kinds []string
	for _, v := range c.sb.Violations() {
		kinds = append(kinds, v.Kind)
		require.Equal(t, "A", v.Key)
	}
	require.Equal(t, []string{
		RefundBeforeCreate, UnknownOrder, MemberMismatch, OverRefund, AfterDelete, AfterDelete,
	}, kinds)
	require.False(t, c.order("A").Deleted)
}

func TestOnlyTheNewestCallsAreKept(t *testing.T) {
	c := start(t, Config{KeepCalls: 3})
	for i := range 7 {
		c.get(fmt.Sprintf("/v1/deals/%d", i))
		require.LessOrEqual(t, len(c.sb.Calls()), 3)
	}
	var keys []string
	for _, call := range c.sb.Calls() {
		keys = append(keys, call.Key)
		require.Equal(t, 200, call.Status)
	}
	require.Equal(t, []string{"4", "5", "6"}, keys)
	require.Equal(t, int64(8), c.sb.Summary().Calls, "with the token's")
}

// hang starts a call that the sandbox holds, and returns what ends it.
func (c *client) hang(rule Rule, key, path, body string) (release func()) {
	c.t.Helper()
	require.NoError(c.t, c.sb.SetRules(rule))
	before := len(c.sb.CallsOf(key))
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		c.abort(stop, path, body)
	}()
	require.Eventually(c.t, func() bool { return len(c.sb.CallsOf(key)) > before }, 5*time.Second, time.Millisecond)
	return func() {
		close(stop)
		<-ended
		require.Eventually(c.t, func() bool { return c.sb.Summary().InFlight == 0 }, 5*time.Second, time.Millisecond)
	}
}

func TestTwoCallsInOneLaneAreSeen(t *testing.T) {
	once := Rule{Faults: []Fault{"hang_before"}, Times: 1}
	c := start(t, Config{})
	c.seed(Seed{})
	release := c.hang(once, "A", dealCreate, order("A", "1"))
	c.post(dealCreate, order("B", "1"))
	c.post(incr, points("1", "u"))
	c.get("/v1/deals/A")
	require.Equal(t, 1, c.sb.Summary().MaxPerLane, "other lanes and reads don't count")
	c.post(dealCreate, order("A", "1"))
	sum := c.sb.Summary()
	require.Equal(t, 2, sum.MaxPerLane)
	require.Equal(t, map[string]int{"order/A": 2}, sum.LaneMax)
	require.Equal(t, 2, sum.MaxInFlight)
	calls := c.sb.CallsOf("A")
	v := c.sb.Violations()[0]
	require.Equal(t, []any{Overlap, calls[len(calls)-1].Seq, calls[0].Seq}, []any{v.Kind, v.Call, v.Other})
	release()

	release = c.hang(once, "1", incr, points("1", "v"))
	c.post(decr, points("1", "w"))
	release()
	require.Equal(t, map[string]int{"order/A": 2, "member/1": 2}, c.sb.Summary().LaneMax)
}

func TestAResetLeavesCallsUnderWayBehind(t *testing.T) {
	once := Rule{Faults: []Fault{"hang_before"}, Times: 1}
	c := start(t, Config{})
	c.seed(Seed{})
	release := c.hang(once, "A", dealCreate, order("A", "1"))
	c.sb.Reset()
	require.Empty(t, c.sb.Calls())
	require.Empty(t, c.sb.Members())
	release()
	require.Zero(t, c.sb.Summary().InFlight)
	require.Contains(t, c.get("/v1/deals/A"), "error_code", "tokens are gone too")
}

func TestConcurrentCallsAddUp(t *testing.T) {
	c := start(t, Config{KeepCalls: 50})
	c.seed(Seed{Count: 8})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			path := fmt.Sprintf("/loyalty/v1/membership/%d/point/", w+1)
			for i := range 50 {
				c.post(path+"incr", points("3", fmt.Sprintf("%d-%d", w, i)))
				c.post(path+"decr", points("1", fmt.Sprintf("%d-%d-", w, i)))
				c.post(dealCreate, order(fmt.Sprintf("%d-%d", w, i), "0.1"))
				c.sb.Summary()
			}
		})
	}
	wg.Wait()
	sum := c.sb.Summary()
	require.Equal(t, []int64{1200, 400}, []int64{sum.PointsIn, sum.PointsOut})
	requireMoney(t, "40", sum.AmountPaid)
	require.Equal(t, 400, sum.Orders)
	require.Equal(t, 1, sum.MaxPerLane)
	require.LessOrEqual(t, sum.MaxInFlight, 8)
	require.Len(t, c.sb.Effects(), 1200)
	require.Empty(t, c.sb.ledger.lanes, "lanes at rest take no memory")
	for _, m := range c.sb.Members() {
		require.Equal(t, int64(100), m.Points)
	}
}
