package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// PospalPromotion is a coupon's rule, by the vendor's side: no call, no effect.
type PospalPromotion struct {
	Store    string    `json:"store"`
	UID      int64     `json:"uid"`
	Name     string    `json:"name"`
	AppID    string    `json:"app_id"` // whose codes it gives; empty = any app id's
	Disabled bool      `json:"disabled"`
	Limit    int       `json:"limit"` // codes; 0 = no limit
	Begins   time.Time `json:"begins"`
	Ends     time.Time `json:"ends"`
}

func (p PospalPromotion) begins() time.Time { return orAt(p.Begins, 2026, time.January) }

func (p PospalPromotion) ends() time.Time { return orAt(p.Ends, 2036, time.January) }

func orAt(t time.Time, year int, month time.Month) time.Time {
	if t.IsZero() {
		return time.Date(year, month, 1, 0, 0, 0, 0, china)
	}
	return t
}

// PospalCode is a code as the vendor holds it now.
type PospalCode struct {
	Store     string    `json:"store"`
	Code      string    `json:"code"`
	Promotion int64     `json:"promotion"`
	Customer  int64     `json:"customer"`
	Used      bool      `json:"used"`
	UsedAt    time.Time `json:"used_at"`
	UsedBy    string    `json:"used_by"` // app id; empty = at the till
}

// pospalStoreOf returns a Pospal store by its name. The mutex is held.
func (s *Sandbox) pospalStoreOf(name string) (*pospalStore, error) {
	for _, l := range s.logins {
		if l.account.vendor() == Pospal && l.account.Store == name {
			return l.store.pospal(), nil
		}
	}
	return nil, fmt.Errorf("sandbox: store %q isn't a Pospal account's", name)
}

// AddPospalPromotion adds a rule.
func (s *Sandbox) AddPospalPromotion(p PospalPromotion) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.pospalStoreOf(p.Store)
	switch {
	case err != nil:
		return err
	case p.UID <= 0 || p.Limit < 0:
		return errors.New("sandbox: adding a promotion: uid must be above 0, and limit not below")
	case st.rule(p.UID) != nil:
		return fmt.Errorf("sandbox: adding a promotion: uid %d is there already: use another", p.UID)
	}
	st.addRule(p)
	return nil
}

// SetPospalCode makes a code, or uses it, by the vendor's side as a till does: no
// call, no effect.
func (s *Sandbox) SetPospalCode(given PospalCode) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.pospalStoreOf(given.Store)
	if err != nil {
		return err
	}
	now := s.cfg.Now().UTC()
	k := st.codes[given.Code]
	if k == nil {
		rule := st.rule(given.Promotion)
		if rule == nil || given.Code == "" {
			return fmt.Errorf("sandbox: setting code %q: there is no promotion %d", given.Code, given.Promotion)
		}
		k = st.add(&pospalCode{code: given.Code, rule: rule, customer: given.Customer, created: now})
	}
	if given.Used && k.used == nil {
		at := given.UsedAt
		if at.IsZero() {
			at = now
		}
		k.used = &pospalUse{at: at, recorded: now, by: given.UsedBy}
	}
	return nil
}

// PospalCodes returns all codes by store, oldest first, whatever
// [Switches.ReadsLag] hides from reads.
func (s *Sandbox) PospalCodes() []PospalCode {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []PospalCode
	for _, st := range s.stores {
		if st.coupons == nil {
			continue
		}
		for _, k := range st.coupons.list {
			code := PospalCode{Store: st.name, Code: k.code, Promotion: k.rule.UID, Customer: k.customer}
			if k.used != nil {
				code.Used, code.UsedAt, code.UsedBy = true, k.used.at.UTC(), k.used.by
			}
			all = append(all, code)
		}
	}
	slices.SortStableFunc(all, func(a, b PospalCode) int { return cmp.Compare(a.Store, b.Store) })
	return all
}

func (s *Sandbox) getPospalCodes(w http.ResponseWriter, _ *http.Request) {
	answerLines(w, s.PospalCodes())
}

func (s *Sandbox) postPospalPromotion(w http.ResponseWriter, r *http.Request) {
	var p PospalPromotion
	if !read(w, r, &p) {
		return
	}
	s.answerSet(w, s.AddPospalPromotion(p))
}

func (s *Sandbox) postPospalCode(w http.ResponseWriter, r *http.Request) {
	var k PospalCode
	if !read(w, r, &k) {
		return
	}
	s.answerSet(w, s.SetPospalCode(k))
}

func (s *Sandbox) answerSet(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer(w, map[string]string{"status": "set"})
}
