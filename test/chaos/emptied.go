package main

import (
	"fmt"
	"time"

	"syncworker/internal/sandbox"
	"syncworker/internal/trade"
	"syncworker/test/chaos/check"
)

// emptying are decrements of just what a member has. One that took effect without
// an answer leaves nothing for its repeat: a vendor that looks at the balance first
// then refuses what it has applied. Every third member has a second one, which has
// to be refused.
func emptying(seed uint64, members int, start time.Time, v *vendor) ([]check.Message, error) {
	const points = 50
	ids, err := v.SeedMembers(sandbox.Seed{Count: members, Name: trade.Person, Points: points})
	if err != nil {
		return nil, fmt.Errorf("seeding the members that are emptied: %w", err)
	}
	var all []check.Message
	for i, id := range ids {
		for n := range 1 + (i%3)/2 {
			uuid := fmt.Sprintf("empty-%d-%d-%d", seed, i, n)
			at := start.Add(time.Duration(i)*time.Second + time.Duration(n)*time.Millisecond).Format(time.RFC3339Nano)
			all = append(all, check.Message{
				Subject: "sync.events.point.decremented",
				Data: fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"crm/points","type":"point.decremented","time":%q,`+
					`"data":{"uuid":%q,"membershipId":%d,"point":%d,"pattern":1,"date":%q}}`, uuid, at, uuid, id, points, at),
			})
		}
	}
	return all, nil
}
