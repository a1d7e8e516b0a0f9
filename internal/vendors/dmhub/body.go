package dmhub

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// body is what is sent for an event, in the making.
type body struct {
	account *Account
	event   *event.Event
	key     string // the vendor key of points
	member  string // the vendor's id, empty where none is known
	data    *event.Object
	set     []event.Set
	drop    []string
	whole   json.RawMessage // sent instead of the data
	err     error           // for a person: why it can't be sent
}

// change is one row of a transformation.
type change func(*body)

// without leaves out what is our contract's, or stands elsewhere in the call. An
// operation has one.
func without(names ...string) change {
	return func(b *body) { b.drop = names }
}

// only sends the value of one member of the data.
func only(name string) change {
	return func(b *body) {
		if b.whole = b.data.Get(name); !vendors.Given(b.whole) {
			b.err = fmt.Errorf("%s: missing; it is what DM Hub is sent", name)
		}
	}
}

// utc rewrites a time with an offset to DM Hub's form.
func utc(name string) change {
	return func(b *body) { b.set = append(b.set, inUTC(b.data, name)...) }
}

func inUTC(data *event.Object, name string) []event.Set {
	s := vendors.Text(data.Get(name))
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || strings.HasSuffix(s, "Z") {
		return nil
	}
	return []event.Set{{Key: name, Value: vendors.Quote(t.UTC().Format(time.RFC3339Nano))}}
}

// membershipID writes the member as the number that §11.1 wants: the contract
// takes digits in a string as well.
func membershipID(b *body) { b.setMember(b.member) }

// membershipIDOrIdentities does the same for a write that takes either.
func membershipIDOrIdentities(b *body) {
	if vendors.Given(b.data.Get("identities")) {
		b.setMember("")
		return
	}
	b.setMember(b.member)
}

func (b *body) setMember(member string) {
	switch raw := b.data.Get("membershipId"); {
	case !vendors.Given(raw) && member != "":
		b.set = append(b.set, event.Set{Key: "membershipId", Value: []byte(member)})
	case vendors.Given(raw) && raw[0] == '"':
		b.set = append(b.set, event.Set{Key: "membershipId", Value: raw[1 : len(raw)-1]})
	}
}

// pointUUID has the vendor recognize a repeat.
func pointUUID(b *body) {
	b.set = append(b.set,
		event.Set{Key: "uuid", Value: vendors.Quote(b.key)},
		event.Set{Key: "uuid_timeout", Value: []byte(strconv.FormatInt(int64(b.account.uuidTimeout/time.Second), 10))})
}

// pointDay is the event's own time where it has no date.
func pointDay(b *body) {
	if vendors.Given(b.data.Get("date")) {
		b.set = append(b.set, inUTC(b.data, "date")...)
		return
	}
	b.set = append(b.set, event.Set{Key: "date", Value: vendors.Quote(b.event.Time.UTC().Format(time.RFC3339))})
}

// pointRemark carries the uuid where the account says that it is read back there.
func pointRemark(b *body) {
	if b.account.semantics.PointTrace == Remark {
		b.set = append(b.set, event.Set{Key: "remark", Value: vendors.Quote(traced(b.key, b.event.Remark))})
	}
}

// traced is a remark with the uuid in front, where no length limit of the
// vendor's cuts it off.
func traced(key, remark string) string {
	return strings.TrimSpace("[uuid:" + key + "] " + remark)
}

// traces says whether a remark read back carries the uuid, or a further key that
// was made of it.
func traces(uuid, remark string) bool {
	rest, marked := strings.CutPrefix(remark, "[uuid:")
	rest, found := vendors.CutKey(rest, uuid)
	return marked && found && (rest == "]" || strings.HasPrefix(rest, "] "))
}
