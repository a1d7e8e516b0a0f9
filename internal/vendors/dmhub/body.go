package dmhub

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// body returns what is sent for an event: its data, in which what isn't ours to
// change stays byte for byte.
func (a *Account) body(call vendors.Call, member string) ([]byte, error) {
	data, err := event.ReadObject(call.Event.Data)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	defer data.Release()
	var set []event.Set
	var drop []string
	switch t := call.Event.Type; {
	case t.Point():
		set = a.pointMembers(call, data)
		drop = []string{"identities", "membershipId"} // the member stands in the path
	case t == event.OrderCreated:
		if present(data.Get("identities")) {
			member = "" // either names the member
		}
		set = append(set, membershipID(data, member)...)
		set = append(set, inUTC(data, "dateOrder")...)
	default:
		// uuid is our contract's: DM Hub has no such field here.
		drop = []string{"uuid", "identities"}
		set = append(set, membershipID(data, member)...)
		set = append(set, inUTC(data, "dateOrder")...)
		set = append(set, inUTC(data, "dateRefund")...)
	}
	return data.Splice(set, drop)
}

// membershipID writes the member as the number that §11.1 wants: the contract
// takes digits in a string as well.
func membershipID(data *event.Object, member string) []event.Set {
	switch raw := data.Get("membershipId"); {
	case !present(raw) && member != "":
		return []event.Set{{Key: "membershipId", Value: []byte(member)}}
	case present(raw) && raw[0] == '"':
		return []event.Set{{Key: "membershipId", Value: raw[1 : len(raw)-1]}}
	}
	return nil
}

func (a *Account) pointMembers(call vendors.Call, data *event.Object) []event.Set {
	set := []event.Set{
		{Key: "uuid", Value: quote(call.Key)},
		{Key: "uuid_timeout", Value: []byte(strconv.FormatInt(int64(a.uuidTimeout/time.Second), 10))},
	}
	if present(data.Get("date")) {
		set = append(set, inUTC(data, "date")...)
	} else {
		set = append(set, event.Set{Key: "date", Value: quote(call.Event.Time.UTC().Format(time.RFC3339))})
	}
	if a.semantics.PointTrace == Remark {
		set = append(set, event.Set{Key: "remark", Value: quote(traced(call.Key, call.Event.Remark))})
	}
	return set
}

// inUTC rewrites a time with an offset to DM Hub's form.
func inUTC(data *event.Object, name string) []event.Set {
	s := text(data.Get(name))
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || strings.HasSuffix(s, "Z") {
		return nil
	}
	return []event.Set{{Key: name, Value: quote(t.UTC().Format(time.RFC3339Nano))}}
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

// quote is a JSON string, with <, > and & as they are.
func quote(s string) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string into a buffer
	return bytes.TrimSpace(b.Bytes())
}
