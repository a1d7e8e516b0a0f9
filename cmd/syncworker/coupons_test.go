package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/config"
	"syncworker/internal/event"
	"syncworker/internal/sandbox"
)

// till adds a Pospal account that takes the coupons' codes.
func (s *stack) till(t *testing.T, sw sandbox.PospalSwitches) *sandbox.Sandbox {
	t.Helper()
	vendor, err := sandbox.New(sandbox.Config{
		Accounts: []sandbox.Account{{AppID: "till", Secret: canarySecret, Store: "till", Vendor: sandbox.Pospal}},
		Switches: sandbox.Switches{Pospal: sw}, Rules: patientFaults(), Seed: 5,
	})
	require.NoError(t, err)
	_, err = vendor.SeedMembers(sandbox.Seed{Store: "till", FirstID: 580988838483990582, Count: 1})
	require.NoError(t, err)
	server, err := sandbox.Listen("127.0.0.1:0", vendor)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	account := kinds().Account("pospal")
	account.BaseURL, account.AppID, account.Secret = server.URL, "till", canarySecret
	account.Timeout, account.QuietPeriod, account.RateLimit = 500*time.Millisecond, 1500*time.Millisecond, 0
	account.Retry.Initial, account.Retry.Max = 20*time.Millisecond, 200*time.Millisecond
	s.config.Vendors["till"] = account
	s.config.Routes = append(s.config.Routes, config.Route{
		Types: []string{"coupon.*"}, Tenants: []string{"*"}, Accounts: []string{"till"},
	})
	return vendor
}

// patientFaults are all but those that stop an account for seconds: a refused
// login, which no new token mends here.
func patientFaults() []sandbox.Rule {
	rules := everyFault()
	for i := range rules {
		rules[i].Faults = slices.DeleteFunc(rules[i].Faults, func(f sandbox.Fault) bool { return f == sandbox.TokenExpired })
	}
	return rules
}

func TestCouponCodesAreIssuedAndUsedOnceUnderEveryFault(t *testing.T) {
	for name, sw := range map[string]sandbox.PospalSwitches{
		"refused": {}, "echoed": {ExistingCode: "success", DoubleUse: "success", UseTime: "server", PageSize: 20},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, sandbox.Switches{})
			vendor := s.till(t, sw)
			now := time.Now()
			var codes []string
			for i := range 40 {
				uuid := fmt.Sprintf("u%d", i)
				data := map[string]any{"uuid": uuid, "promotionCouponUid": "1199186483387900201"}
				code := event.DerivedCode("default", uuid)
				if i%2 == 0 {
					code = fmt.Sprintf("C%d", i)
					data["code"], data["customerUid"] = code, 580988838483990582
				}
				use := map[string]any{"code": code, "useDateTime": now.Add(-time.Minute).UTC().Format(time.RFC3339)}
				if i%3 == 0 {
					s.publish(t, "coupon.code_used", now, use)
				}
				s.publish(t, "coupon.code_added", now, data)
				s.publish(t, "coupon.code_used", now, use) // or once more
				codes = append(codes, code)
			}
			stop, log := s.start(t)
			require.Eventually(t, func() bool {
				return s.states(t)["delivered"] == 2*len(codes)
			}, 2*time.Minute, 50*time.Millisecond)
			stop()
			for _, code := range codes {
				var ops []string
				for _, e := range vendor.EffectsOf(code) {
					ops = append(ops, e.Op)
				}
				require.Equal(t, []string{sandbox.OpPospalCodeAdd, sandbox.OpPospalCodeUse}, ops, code)
			}
			require.Empty(t, vendor.Violations())
			require.NotContains(t, log.String(), canarySecret)
		})
	}
}
