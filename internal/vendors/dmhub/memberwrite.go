package dmhub

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// noMobile holds an event whose mobile number would be lost: "手机号属性需通过传手机号身份赋值"
// (§2), "不支持修改手机号属性" (§4).
func noMobile(b *body) {
	if vendors.Given(vendors.Fields(b.data.Get("membership"))["mobile"]) {
		b.err = errors.New("membership.mobile: DM Hub doesn't take a mobile number here; of a new member send it in identities with type mobile, else publish member.mobile_changed")
	}
}

// forceUpdate is §4's: whether source, contentName and campaignId are replaced too.
func forceUpdate(_ *event.Event, data *event.Object) url.Values {
	force := "false"
	if string(data.Get("forceUpdate")) == "true" {
		force = "true"
	}
	return url.Values{"forceUpdate": {force}}
}

// theIdentity names what §14 removes.
func theIdentity(_ *event.Event, data *event.Object) url.Values {
	return url.Values{"type": {vendors.Text(data.Get("type"))}, "value": {vendors.Text(data.Get("value"))}}
}

// identitiesOf are those that the event's data lists.
func identitiesOf(e *event.Event) []event.MemberIdentity {
	var data struct {
		Identities []event.MemberIdentity `json:"identities"`
	}
	_ = json.Unmarshal(e.Data, &data) // of another type, there are none
	return data.Identities
}

// theIdentities is the one that is removed.
func theIdentities(e *event.Event) []event.MemberIdentity {
	fields := vendors.Fields(e.Data)
	return []event.MemberIdentity{{Type: vendors.Text(fields["type"]), Value: vendors.Text(fields["value"])}}
}

// mobilesOf are the old and the new mobile number.
func mobilesOf(e *event.Event) []event.MemberIdentity {
	fields := vendors.Fields(e.Data)
	return []event.MemberIdentity{
		{Type: "mobile", Value: vendors.Text(fields["oldMobile"])}, {Type: "mobile", Value: vendors.Text(fields["newMobile"])},
	}
}

// everyText lists the texts and numbers of an event about a member: any may be
// personal, those of one's own properties too. What the vendor names isn't.
func everyText(e *event.Event) []string {
	var data any
	d := json.NewDecoder(strings.NewReader(string(e.Data)))
	d.UseNumber()
	_ = d.Decode(&data) // what isn't JSON isn't sent
	return texts(data, nil)
}

func texts(value any, found []string) []string {
	switch v := value.(type) {
	case string:
		return append(found, v)
	case json.Number:
		return append(found, v.String())
	case []any:
		for _, e := range v {
			found = texts(e, found)
		}
	case map[string]any:
		for name, e := range v {
			if name != "membershipId" && name != "type" && name != "uuid" {
				found = texts(e, found)
			}
		}
	}
	return found
}

// echoed are the properties that a reply is compared by: plain text that the
// vendor has no reason to write in another way.
var echoed = []string{"name", "familyName", "givenName", "gender", "email"}

func echoRegistered(call vendors.Call, rep reply) (vendors.Receipt, string) {
	id := vendors.Text(rep.fields["id"])
	if !isID(id) {
		return vendors.Receipt{}, "id is missing"
	}
	difference := memberDifference(call.Event, rep)
	for _, identity := range call.Event.Member.Identities {
		if got := vendors.Text(rep.fields["mobile"]); identity.Type == "mobile" && got != "" && got != identity.Value {
			difference = "mobile is another one"
		}
	}
	return vendors.Receipt{Ref: id, Member: id}, difference
}

func echoUpdated(call vendors.Call, rep reply) (vendors.Receipt, string) {
	receipt, difference := echoMember(call, rep)
	if difference == "" {
		difference = memberDifference(call.Event, rep)
	}
	return receipt, difference
}

// echoMember compares the member that a reply is about.
func echoMember(call vendors.Call, rep reply) (vendors.Receipt, string) {
	id := vendors.Text(rep.fields["id"])
	if id == "" || id != memberOf(call) {
		return vendors.Receipt{}, fmt.Sprintf("id is %q", vendors.Shorten(id, 40))
	}
	return vendors.Receipt{Ref: id, Member: id}, ""
}

// memberDifference names a property that was sent and that the reply shows
// otherwise; not its value, which is personal.
func memberDifference(e *event.Event, rep reply) string {
	sent := vendors.Fields(vendors.Fields(e.Data)["membership"])
	for _, name := range echoed {
		asked, got := vendors.Text(sent[name]), vendors.Text(rep.fields[name])
		if asked != "" && vendors.Given(rep.fields[name]) && !sameText(asked, got) {
			return name + " is another one"
		}
	}
	return ""
}

// sameText compares properties: 1, "1" and 1.0 are the same.
func sameText(a, b string) bool {
	a, b = strings.TrimSpace(a), strings.TrimSpace(b)
	if a == b {
		return true
	}
	x, ok := event.Decimal(a)
	y, ok2 := event.Decimal(b)
	return ok && ok2 && x.Equal(y)
}

// echoBound wants each identity that was to be bound in §6's array.
func echoBound(call vendors.Call, rep reply) (vendors.Receipt, string) {
	asked := identitiesOf(call.Event)
	if len(asked) == 0 {
		return vendors.Receipt{}, "nothing was asked for"
	}
	bound := map[event.MemberIdentity]bool{}
	for _, raw := range rep.rows {
		fields := vendors.Fields(raw)
		bound[event.MemberIdentity{Type: vendors.Text(fields["type"]), Value: vendors.Text(fields["value"])}] = true
	}
	for i, identity := range asked {
		if !bound[cacheKey(identity)] {
			return vendors.Receipt{}, fmt.Sprintf("identity %d isn't there", i+1)
		}
	}
	return vendors.Receipt{Member: memberOf(call)}, ""
}

func echoMobile(call vendors.Call, rep reply) (vendors.Receipt, string) {
	receipt, difference := echoMember(call, rep)
	if difference == "" && vendors.Text(rep.fields["mobile"]) != vendors.Text(vendors.Fields(call.Event.Data)["newMobile"]) {
		difference = "mobile isn't the new one"
	}
	return receipt, difference
}

func echoRemoved(call vendors.Call, rep reply) (vendors.Receipt, string) {
	if result := vendors.Text(rep.fields["result"]); result != "success" {
		return vendors.Receipt{}, fmt.Sprintf("result is %q", vendors.Shorten(result, 40))
	}
	return vendors.Receipt{Member: memberOf(call)}, ""
}
