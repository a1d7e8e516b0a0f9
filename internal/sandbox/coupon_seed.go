package sandbox

import (
	"fmt"
	"time"
)

// SeedHeldCoupon gives a member a coupon that is valid and unused, by the vendor's
// side: no call, no effect. Status and Drawn of what is given don't count.
func (s *Sandbox) SeedHeldCoupon(h HeldCoupon) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stores[h.Store]
	switch {
	case st == nil || st.members[h.Member] == nil:
		return fmt.Errorf("sandbox: seeding coupon %q: store %q has no member %d", h.Code, h.Store, h.Member)
	case st.coupon(h.CouponID) == nil:
		return fmt.Errorf("sandbox: seeding coupon %q: store %q has no kind %q: seed that first", h.Code, h.Store, h.CouponID)
	case h.Code == "" || st.byCode(h.Code) != nil:
		return fmt.Errorf("sandbox: seeding coupon %q: the code is empty or there already: use another", h.Code)
	}
	held := &heldCoupon{
		kind: st.coupon(h.CouponID), number: len(st.held), given: h.Code, member: h.Member,
		drawn: s.cfg.Now().UTC().Add(-24 * time.Hour),
	}
	st.held = append(st.held, held)
	st.given[h.Code] = held
	held.kind.drawn++
	return nil
}
