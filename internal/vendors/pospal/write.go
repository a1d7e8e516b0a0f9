package pospal

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// part is one member of a write: the vendor's name for it, and where it comes from.
// Nil is left out.
type part struct {
	name string
	from func(a *Account, e *event.Event, data *event.Object) json.RawMessage
}

// addition is what addCouponcode gets of a coupon.code_added.
var addition = []part{
	{sentAppID, theAppID},
	{sentPromotion, uid("promotionCouponUid")},
	{sentCustomer, uid("customerUid")},
	{sentCode, theCode}, // the event's own, or one that is made of it
}

// use is what promotioncouponcode/use gets of a coupon.code_used.
var use = []part{
	{sentAppID, theAppID},
	{sentCode, theCode},
	{sentCustomer, uid("customerUid")},
	{sentUsedAt, theTimeOfUse}, // useDateTime, else the event's time; China time
}

// ours are names of our contract that aren't sent as they are. All others that an
// event has beside them are.
var ours = []string{
	"uuid", "promotionCouponUid", "customerUid", "code", "useDateTime", "membershipId", "identities",
}

// body returns what is sent for an event.
func (a *Account) body(e *event.Event) ([]byte, error) {
	data, err := event.ReadObject(e.Data)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	defer data.Release()
	if e.Key == "" {
		return nil, fmt.Errorf("code: missing; without it nothing keeps a repeat from taking effect twice")
	}
	parts := addition
	if e.Type == event.CouponCodeUsed {
		parts = use
	}
	var set []event.Set
	drop := append(variants(e.Data, parts), ours...)
	for _, p := range parts {
		if v := p.from(a, e, data); v != nil {
			set = append(set, event.Set{Key: p.name, Value: v})
		}
	}
	return data.Splice(set, drop)
}

// variants lists the members whose names differ from one that we send by case
// alone: a server that doesn't look at case would take them for ours.
func variants(data json.RawMessage, parts []part) (names []string) {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(data, &members) // it is an object
	for name := range members {
		for _, p := range parts {
			if name != p.name && strings.EqualFold(name, p.name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func theAppID(a *Account, _ *event.Event, _ *event.Object) json.RawMessage {
	return vendors.Quote(a.appID)
}

func theCode(_ *Account, e *event.Event, _ *event.Object) json.RawMessage {
	return vendors.Quote(e.Key)
}

func theTimeOfUse(_ *Account, e *event.Event, data *event.Object) json.RawMessage {
	return vendors.Quote(inChina(timeOfUse(e, data)))
}

// uid writes a uid as the number (long) that the document has: the contract takes
// digits in a string as well.
func uid(name string) func(*Account, *event.Event, *event.Object) json.RawMessage {
	return func(_ *Account, _ *event.Event, data *event.Object) json.RawMessage {
		if digits := vendors.Text(data.Get(name)); digits != "" {
			return json.RawMessage(digits)
		}
		return nil
	}
}

// timeOfUse is when a coupon was used: what the event says, else its own time.
func timeOfUse(e *event.Event, data *event.Object) time.Time {
	if t, err := time.Parse(time.RFC3339Nano, vendors.Text(data.Get("useDateTime"))); err == nil {
		return t
	}
	return e.Time
}

// china is the zone of all times of Pospal's, which show none. It has had no
// daylight saving time since 1991.
var china = time.FixedZone("+08:00", 8*60*60)

const chinaLayout = "2006-01-02 15:04:05"

func inChina(t time.Time) string { return t.In(china).Format(chinaLayout) }

// chinaTime reads a time of Pospal's.
func chinaTime(s string) (time.Time, error) { return time.ParseInLocation(chinaLayout, s, china) }
