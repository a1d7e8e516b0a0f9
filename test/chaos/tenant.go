package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"

	"syncworker/internal/sandbox"
)

// How much of what the documents leave open the account was told.
const (
	toldNothing = "documents" // the configuration's defaults
	toldReads   = "reads"     // which account shows its orders
	toldAll     = "probed"    // all that its owner can have tried
)

var told = []string{toldNothing, toldReads, toldAll}

// switches draw one of the vendors that the documents allow, as far as all can
// drain: one that answers reads of absent orders with an empty body leaves them
// unknown.
func switches(seed uint64) sandbox.Switches {
	rng := rand.New(rand.NewPCG(seed, 0x7377))
	pick := func(from ...string) string { return from[rng.IntN(len(from))] }
	return sandbox.Switches{
		ExistingOrder: pick("error", "double", "replace"), RepeatCancel: pick("echo", "error"), DuplicateUUID: pick("error", "echo"),
		RefusedConsumesUUID: rng.IntN(2) == 0, OrderNotFound: pick("error", "null"),
		CreateStatus: []int{200, 201}[rng.IntN(2)], ReadsLag: sandbox.Duration(rng.IntN(2)) * sandbox.Duration(quiet) / 2,
		Refunds: pick("accumulate", "overwrite", "refuse"), RefundState: rng.IntN(2) == 0,
		BalanceFirst: rng.IntN(2) == 0,

		Members: sandbox.MemberSwitches{
			BindAgain: pick("error", "echo"), MobileAgain: pick("error", "echo"), RedeemTwice: pick("error", "echo"),
			IdentitiesShown: pick("all", "asked"), TotalsSwapped: rng.IntN(2) == 0,
		},
		HeyShop: sandbox.HeyShopSwitches{
			NegativePoints: pick("applied", "refused", "cut"), UnknownCustomer: pick("400", "404"),
			HistoryOrder: pick("newest", "oldest", "none"), MaxPageSize: []int{100, 3}[rng.IntN(2)], CreateStatus: []int{201, 200}[rng.IntN(2)],
		},
		Pospal: sandbox.PospalSwitches{
			DoubleUse: pick("error", "success"), ExistingCode: pick("error", "success"), UseTime: pick("sent", "server"),
			PageSizeShown: pick("shown", "hidden"), CodeType: pick("number", "string"), MessagesType: pick("list", "text"),
			StatusCase: pick("lower", "upper"), PageSize: []int{100, 5}[rng.IntN(2)], DailyQuota: manyCalls,
		},
		DealCoupon: pick("counponCode", "couponCode"), DealDeleteReply: pick("no_content", "empty", "echo"),
	}
}

// settings draw how much the account was told: mostly what makes for the least
// that is held, since what is held keeps its order's other events from being tried.
func settings(seed uint64) string {
	rng := rand.New(rand.NewPCG(seed, 0x7365))
	return slices.Concat(told, []string{toldReads})[rng.IntN(4)]
}

// given reads switches from JSON; what it doesn't name is drawn from the seed.
func given(text string, seed uint64) (*sandbox.Switches, error) {
	s := switches(seed)
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return nil, fmt.Errorf(`reading -switches %s: %w; write them like {"existing_order":"replace"}`, text, err)
	}
	return &s, nil
}

// semantics are the account's settings, as the owner of a tenant with these
// switches would have found them out.
func semantics(told string, s sandbox.Switches) map[string]string {
	all := map[string]string{}
	if told == toldNothing {
		return all
	}
	all["order_reads"] = dealsAccount
	if told == toldReads {
		return all
	}
	switch s.ExistingOrder {
	case "error":
		all["existing_order"], all["existing_order_reply"] = "refused", "409000 order exists"
	case "replace":
		all["existing_order"] = "replaced"
	}
	switch s.DuplicateUUID {
	case "error":
		all["duplicate_uuid"], all["duplicate_uuid_reply"] = "refused", "409000 uuid exists"
	case "echo":
		all["duplicate_uuid"] = "echoed"
	}
	return all
}
