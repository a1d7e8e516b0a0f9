package main

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"syncworker/internal/sandbox"
)

func TestEveryVendorIsRunOnce(t *testing.T) {
	seen := map[string]bool{}
	members, heyshop := map[sandbox.MemberSwitches]bool{}, map[sandbox.HeyShopSwitches]bool{}
	pospal, deals := map[sandbox.PospalSwitches]bool{}, map[string]bool{}
	for i, c := range combinations() {
		require.False(t, seen[c.String()], c)
		seen[c.String()] = true
		s, err := given(c.String(), 7)
		require.NoError(t, err)
		got := combination{s.ExistingOrder, s.Refunds, s.RefusedConsumesUUID, s.DuplicateUUID, s.ReadsLag, i}
		require.Equal(t, c, got, "what is printed repeats the run")
		_, err = sandbox.New(sandbox.Config{Accounts: []sandbox.Account{{AppID: appID, Secret: secret}}, Switches: *s})
		require.NoError(t, err)
		members[s.Members], heyshop[s.HeyShop], pospal[s.Pospal] = true, true, true
		deals[fmt.Sprint(s.RepeatCancel, s.RefundState, s.OrderNotFound, s.DealCoupon, s.DealDeleteReply)] = true
	}
	require.Len(t, seen, 3*3*2*2*2)
	require.Len(t, members, 2*2*2*2*2)
	require.Len(t, heyshop, 3*2*3*2*2)
	require.Len(t, pospal, 2*2*2*2*2*2)
	require.Len(t, deals, 2*2*2*2*3)
}

func TestWhatIsntGivenIsDrawnFromTheSeed(t *testing.T) {
	s, err := given(`{"refunds":"refuse","refused_consumes_uuid":false}`, 7)
	require.NoError(t, err)
	want := switches(7)
	want.Refunds, want.RefusedConsumesUUID = "refuse", false
	require.Equal(t, want, *s)

	_, err = given(`{"refund":"refuse"}`, 7)
	require.ErrorContains(t, err, `unknown field "refund"`)
}

func TestSeedsDrawEveryVendor(t *testing.T) {
	var existing, refunds, known []string
	for seed := range uint64(100) {
		o := options{Seed: seed}.normal()
		require.Equal(t, o, options{Seed: seed}.normal())
		existing, refunds, known = append(existing, o.Switches.ExistingOrder), append(refunds, o.Switches.Refunds), append(known, o.Settings)
	}
	for all, want := range map[*[]string][]string{
		&existing: {"double", "error", "replace"}, &refunds: {"accumulate", "overwrite", "refuse"}, &known: {"documents", "probed", "reads"},
	} {
		slices.Sort(*all)
		require.Equal(t, want, slices.Compact(*all))
	}
}

func TestAnOwnerTellsWhatTheVendorDoes(t *testing.T) {
	replaces := sandbox.Switches{ExistingOrder: "replace", DuplicateUUID: "echo"}
	require.Empty(t, semantics(toldNothing, replaces))
	require.Equal(t, map[string]string{"order_reads": "deals"}, semantics(toldReads, replaces))
	require.Equal(t, map[string]string{"order_reads": "deals", "existing_order": "replaced", "duplicate_uuid": "echoed"}, semantics(toldAll, replaces))
	require.Equal(t, map[string]string{
		"order_reads": "deals", "existing_order": "refused", "existing_order_reply": "409000 order exists",
		"duplicate_uuid": "refused", "duplicate_uuid_reply": "409000 uuid exists",
	}, semantics(toldAll, sandbox.Switches{ExistingOrder: "error", DuplicateUUID: "error"}))
	require.NotContains(t, semantics(toldAll, sandbox.Switches{ExistingOrder: "double"}), "existing_order", "no setting makes that safe")
}
