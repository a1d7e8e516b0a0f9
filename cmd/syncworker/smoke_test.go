package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/sandbox"
)

func TestADayOfOneOrder(t *testing.T) {
	s := newStack(t, sandbox.Switches{})
	ids, err := s.sandbox.SeedMembers(sandbox.Seed{Count: 2, Mobile: "13800000000", Points: 10})
	require.NoError(t, err)
	now := time.Now()
	member := ids[0]
	line := []map[string]any{{"lineId": "l1", "productName": "啤酒", "qty": 1}}
	s.publish(t, "order.refunded", now.Add(3*time.Second), map[string]any{"orderNo": "o-1", "uuid": "r-1", "refundTotal": 1.10, "dateRefund": "2026-11-21T08:00:00Z", "refundLines": []map[string]any{{"lineId": "l1"}}})
	s.publish(t, "order.created", now, map[string]any{"orderNo": "o-1", "dateOrder": now.UTC().Format(time.RFC3339), "amountPaid": 30.5, "store": "s", "salesChannel": "pos", "membershipId": member, "dealLines": line})
	s.publish(t, "order.updated", now.Add(time.Second), map[string]any{"orderNo": "o-1", "uuid": "u-1", "store": "t"})
	s.publish(t, "point.decremented", now, map[string]any{"uuid": "p-1", "point": 15, "pattern": 1, "membershipId": member})
	s.publish(t, "point.incremented", now.Add(time.Second), map[string]any{"uuid": "p-2", "point": 8, "pattern": 2, "membershipId": member})
	s.publish(t, "point.incremented", now.Add(time.Second), map[string]any{"uuid": "p-3", "point": 8, "pattern": 2, "identities": []map[string]any{{"type": "mobile", "value": "13800000001"}}})
	stop, _ := s.start(t)
	require.Eventually(t, func() bool { return s.states(t)["delivered"] == 6 }, 15*time.Second, 50*time.Millisecond, "%v", s.states(t))
	stop()
	require.Equal(t, map[string]int{"delivered": 6}, s.states(t))
	require.Empty(t, s.sandbox.Violations())
	require.Len(t, s.sandbox.Effects(), 6)
}
