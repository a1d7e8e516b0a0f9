package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"syncworker/internal/event"
	"syncworker/internal/sandbox"
)

// The accounts of devConfig.
const (
	demoLoyalty = "dmhub"
	demoDeals   = "dmhub-deals"
	demoHeyShop = "heyshop"
	demoPospal  = "pospal"
)

// judge compares with what had to become of the day. What an unclear answer
// leaves for a person to decide isn't foreseen: with faults, only what must hold
// all the same is compared.
func (d *demo) judge(r *demoReport) {
	want := func(what string, got, want int) {
		if got != want {
			r.Problems = append(r.Problems, fmt.Sprintf("%s: %d, and not %d", what, got, want))
		}
	}
	d.judgeDoor(r, want)
	published, delivered := d.expected(), map[traffic]int{}
	dead, refused := map[string]int{}, map[string]int{}
	for _, p := range d.parts {
		for t, n := range p.day.Delivered {
			for _, account := range d.config.Accounts(t, p.tenant) {
				delivered[traffic{account, t}] += n
			}
		}
		for _, n := range p.day.Refused { // decrements, which one account alone takes
			for _, account := range d.config.Accounts(event.PointDecremented, p.tenant) {
				refused[account] += n
			}
		}
	}
	for _, t := range r.Types {
		what, key := t.Account+": "+t.Type, traffic{t.Account, event.Type(t.Type)}
		dead[t.Account] += t.Dead
		want(what+" neither final nor with a person", t.Other, 0)
		want(what+" in the outbox", t.Published, published[key])
		if d.faults == 0 {
			want(what+" delivered", t.Delivered, delivered[key])
		}
		delete(published, key)
	}
	for key, n := range published {
		want(key.account+": "+string(key.typ)+" in the outbox", 0, n)
	}
	for account := range d.config.Vendors {
		want(account+": dead", dead[account], refused[account])
	}
	for _, s := range r.Stopped {
		if s.State == "held" && !mayBeHeld(s) {
			want(fmt.Sprintf("%s: %s held as %s", s.Account, s.Type, s.Reason), s.Deliveries, 0)
		}
	}
	calls := map[int64]sandbox.Call{}
	for _, c := range d.vendor.Calls() {
		calls[c.Seq] = c
	}
	for _, v := range d.vendor.Violations() {
		if !d.meant(v, calls) {
			r.Problems = append(r.Problems, fmt.Sprintf("the vendor saw %s at %s of %s", v.Kind, v.Op, v.Key))
		}
	}
}

func (d *demo) judgeDoor(r *demoReport, want func(what string, got, want int)) {
	duplicates, conflicts, rejects := 0, 0, map[string]int{}
	for _, p := range d.parts {
		duplicates += p.day.Duplicates
		conflicts += p.day.Conflicts
		for reason, n := range p.day.Rejects {
			rejects[string(reason)] += n
		}
	}
	want("duplicates", r.Duplicates, duplicates)
	want("conflicts", r.Conflicts, conflicts)
	for _, reason := range slices.Sorted(maps.Keys(rejects)) {
		want("rejected as "+reason, r.Rejects[reason], rejects[reason])
	}
}

// mayBeHeld says of what no read can clear up: orders, and a code of a till's own
// that is for nobody.
func mayBeHeld(s stoppedRow) bool {
	return strings.HasPrefix(s.Type, "order.") || event.Type(s.Type) == event.CouponCodeAdded && s.Reason == "mismatch"
}

// meant reports what looks careless to the vendor and isn't: a member named by
// id and by mobile number has two lanes, a call that was given up on may still be
// under way there, and a delete whose answer was unclear is safe to repeat.
func (d *demo) meant(v sandbox.Violation, calls map[int64]sandbox.Call) bool {
	switch v.Kind {
	case sandbox.Overlap:
		return v.Op == sandbox.OpPointIncr || v.Op == sandbox.OpPointDecr || calls[v.Call].Fault != "" || calls[v.Other].Fault != ""
	case sandbox.AfterDelete:
		return v.Op == sandbox.OpDealDelete && d.faults > 0
	}
	return false
}
