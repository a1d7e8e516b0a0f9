package heyshop

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// adjustFields is what 调整指定用户积分 takes of an event. It has no field for the
// event's uuid, pattern or remark.
var adjustFields = []struct {
	name string
	from func(vendors.Call) string // as JSON
}{
	{"customer_id", customer},
	{"points", func(c vendors.Call) string { return strconv.FormatInt(signed(c.Event), 10) }},
}

// levelFields are those of a level rule (积分等级规则). The event has the same names,
// and their values go as they are, so that a decimal keeps its digits: gain_points
// is a float型 of the document. Fields that we don't know go along; what is ours
// doesn't.
var (
	levelFields = []string{
		"title", "condition_points", "sign_points", "gain_points", "redeem_points", "redeem_limitation", "redeem_limitation_monthly",
	}
	ourFields = []string{"uuid", "id"}
)

// errNegative says what to find out before a decrement may be sent.
var errNegative = errors.New("the account's semantics.negative_points is held, and HeyShop's document has no example of negative points: " +
	"adjust a customer of yours by -1, and where the balance falls by 1, set it to sent and replay")

// errToZero: HeyShop can't take what is there.
var errToZero = errors.New("decrToZero: HeyShop can't take what is there where it is less than the points; " +
	"publish a decrement without it, of points that the customer has")

// write builds the request of an event; where it can't, hold says what a person has
// to look at.
func (a *Account) write(call vendors.Call) (req vendors.Request, hold string, err error) {
	e := call.Event
	req = vendors.Request{Personal: func() []string { return personal(e) }, MaySend: call.MaySend}
	switch e.Type {
	case event.PointIncremented, event.PointDecremented:
		req.Method, req.Path = http.MethodPost, adjustPath
		req.Body, hold, err = a.adjustment(call)
	case event.LevelCreated:
		req.Method, req.Path = http.MethodPost, levelsPath
		req.Body, hold, err = level(e)
	case event.LevelUpdated:
		req.Method = http.MethodPut
		if req.Path, err = levelPath(e.Key); err != nil {
			return req, vendors.HoldEvent, err
		}
		req.Body, hold, err = level(e)
	case event.LevelDeleted:
		req.Method = http.MethodDelete
		if req.Path, err = levelPath(e.Key); err != nil {
			hold = vendors.HoldEvent
		}
	default:
		hold, err = vendors.HoldUnsupported, fmt.Errorf("HeyShop has no call for %s", e.Type)
	}
	return req, hold, err
}

// adjustment is the body of 调整指定用户积分.
func (a *Account) adjustment(call vendors.Call) (body []byte, hold string, err error) {
	switch member := customer(call); {
	case member == "":
		return nil, vendors.HoldMember, errors.New("membershipId: missing; HeyShop knows customers by their id only")
	case !digits(member):
		return nil, vendors.HoldMember, fmt.Errorf("membershipId: %q isn't an id of HeyShop's", vendors.Shorten(member, 40))
	case call.Event.DecrToZero:
		return nil, vendors.HoldUnsupported, errToZero
	case call.Event.Type == event.PointDecremented && a.negative == Held:
		return nil, vendors.HoldUnsupported, errNegative
	case call.Event.Points <= 0:
		return nil, vendors.HoldEvent, fmt.Errorf("point: %d; an adjustment needs a number above 0", call.Event.Points)
	}
	separator := "{"
	for _, f := range adjustFields {
		body = fmt.Appendf(body, "%s%q:%s", separator, f.name, f.from(call))
		separator = ","
	}
	return append(body, '}'), "", nil
}

// signed is the points of an event as HeyShop counts them.
func signed(e *event.Event) int64 {
	if e.Type == event.PointDecremented {
		return -e.Points
	}
	return e.Points
}

// customer is the member as HeyShop's customer id.
func customer(call vendors.Call) string { return cmp.Or(call.Member, call.Event.Member.MembershipID) }

// level is the body that creates or replaces a level rule.
func level(e *event.Event) (body []byte, hold string, err error) {
	data, err := event.ReadObject(e.Data)
	if err != nil {
		return nil, vendors.HoldEvent, fmt.Errorf("data: %w", err)
	}
	defer data.Release()
	if body, err = data.Splice(nil, ourFields); err != nil {
		return nil, vendors.HoldEvent, fmt.Errorf("data: %w", err)
	}
	return body, "", nil
}

func levelPath(id string) (string, error) {
	if !digits(id) {
		return "", fmt.Errorf("id: %q isn't an id of HeyShop's", vendors.Shorten(id, 40))
	}
	return levelsPath + id + "/", nil
}

func digits(s string) bool {
	return s != "" && len(s) <= 19 && s[0] != '0' && strings.Trim(s, "0123456789") == ""
}

// personal lists the values of an event that name a person.
func personal(e *event.Event) []string {
	var values []string
	for _, id := range e.Member.Identities {
		values = append(values, id.Value, id.Name)
	}
	return values
}
