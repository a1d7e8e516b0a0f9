package trade

import (
	"fmt"
	"strconv"
	"time"

	"syncworker/internal/event"
)

// People is what happens to members themselves, and not to their points and orders.
type People struct {
	New     int // who register and get points right afterwards
	Patrons []Patron
	Coupon  string // the id of the coupon that patrons draw
}

// Patron is one of the vendor's members to whom nothing else happens than what
// happens to members themselves: a mobile number that changes would make a guess
// of every order that names the old one.
type Patron struct {
	ID      int64
	Mobile  string
	Coupons []string // the codes of unused coupons that they have: to be redeemed
}

// memberData is the data of the events about a member.
type memberData struct {
	UUID         string            `json:"uuid"`
	MembershipID int64             `json:"membershipId,omitempty"`
	Identities   []identity        `json:"identities,omitempty"`
	Membership   map[string]string `json:"membership,omitempty"`
	ForceUpdate  bool              `json:"forceUpdate,omitempty"`
	Type         string            `json:"type,omitempty"`
	Value        string            `json:"value,omitempty"`
	OldMobile    string            `json:"oldMobile,omitempty"`
	NewMobile    string            `json:"newMobile,omitempty"`
}

// couponData is the data of a coupon that is drawn or redeemed.
type couponData struct {
	UUID         string     `json:"uuid,omitempty"`
	MembershipID int64      `json:"membershipId,omitempty"`
	Identities   []identity `json:"identities,omitempty"`
	CouponID     string     `json:"couponId,omitempty"`
	CouponCode   string     `json:"couponCode,omitempty"`
}

// deviceData is the data of a device that takes pushed messages.
type deviceData struct {
	UUID         string `json:"uuid"`
	Provider     string `json:"provider"`
	AppKey       string `json:"appKey"`
	PushID       string `json:"pushId"`
	OS           string `json:"os"`
	MembershipID int64  `json:"membershipId,omitempty"`
	Mobile       string `json:"mobile,omitempty"`
}

// members makes what happens to members themselves.
func (g *generator) members() {
	for n := range g.People.New {
		g.register(n)
	}
	for n, p := range g.People.Patrons {
		g.patron(n, p)
	}
}

// mobile is a number that no other day has for anybody.
func (g *generator) mobile(prefix string, n int) string {
	return fmt.Sprintf("%s%03d%06d", prefix, g.Seed%1000, n)
}

// register publishes a new member, their points, and for some a correction: all by
// the mobile number, since nobody in the shop knows the vendor's id yet.
func (g *generator) register(n int) {
	s := g.series(n, g.People.New, "pos/member-desk")
	who := []identity{{"mobile", g.mobile("17", n)}}
	s.add(event.MemberRegistered, &memberData{UUID: g.uuid(), Identities: who, Membership: map[string]string{
		"name": Person, "birthday": "1990-05-17", "province": "上海", "city": "上海", "c_hobby": "茶",
	}})
	for range 1 + g.rng.IntN(2) {
		points := 1 + g.rng.Int64N(most)
		g.welcome += points
		s.add(event.PointIncremented, &pointData{
			UUID: g.uuid(), Identities: who, Point: points, Pattern: "3", Remark: "入会礼", Date: s.at.UTC().Format(time.RFC3339),
		})
	}
	if n%3 == 0 {
		s.add(event.MemberUpdated, &memberData{UUID: g.uuid(), Identities: who, Membership: map[string]string{"city": "杭州", "province": "浙江"}})
	}
}

// patron publishes the n-th patron's day: one of five, so that a few patrons have
// one of each kind.
func (g *generator) patron(n int, p Patron) {
	s := g.series(n, len(g.People.Patrons), "pos/member-desk")
	named := couponData{MembershipID: p.ID}
	switch n % 5 {
	case 0:
		s.add(event.MemberUpdated, &memberData{
			UUID: g.uuid(), MembershipID: p.ID, Membership: map[string]string{"address": "延安西路 1 号", "birthday": "1985-11-02"}, ForceUpdate: true,
		})
		s.add(event.DeviceRegistered, g.device(n, deviceData{MembershipID: p.ID}))
		named = couponData{Identities: []identity{{"mobile", p.Mobile}}}
	case 1:
		union := "o6_" + strconv.FormatUint(g.Seed, 36) + "_" + strconv.Itoa(n)
		s.add(event.MemberIdentityBound, &memberData{UUID: g.uuid(), MembershipID: p.ID, Identities: []identity{{"wechat-unionid", union}}})
		s.add(event.MemberIdentityRemoved, &memberData{UUID: g.uuid(), MembershipID: p.ID, Type: "wechat-unionid", Value: union})
	case 2:
		s.add(event.MemberMobileChanged, &memberData{UUID: g.uuid(), MembershipID: p.ID, OldMobile: p.Mobile, NewMobile: g.mobile("18", n)})
		s.add(event.MemberUpdated, &memberData{UUID: g.uuid(), MembershipID: p.ID, Membership: map[string]string{"county": "长宁区"}})
	case 3:
		for range 2 {
			s.add(event.CouponDrawn, &couponData{UUID: g.uuid(), MembershipID: p.ID, CouponID: g.People.Coupon})
		}
	case 4:
		s.add(event.MemberIdentityBound, &memberData{
			UUID: g.uuid(), MembershipID: p.ID, Identities: []identity{{"taobao-account", "tb_" + strconv.FormatUint(g.Seed, 36) + "_" + strconv.Itoa(n)}},
		})
		s.add(event.DeviceRegistered, g.device(n, deviceData{Mobile: p.Mobile}))
	}
	for _, code := range p.Coupons {
		redeemed := named
		redeemed.CouponCode = code
		s.add(event.CouponRedeemed, &redeemed)
	}
}

func (g *generator) device(n int, d deviceData) *deviceData {
	d.UUID, d.Provider, d.AppKey, d.OS = g.uuid(), "jpush", "app-7d1f", pick(g, []string{"android", "ios"})
	d.PushID = fmt.Sprintf("push-%s-%04d", strconv.FormatUint(g.Seed, 36), n)
	return &d
}

// series is events that are published in the order of their times, whatever the
// disorder: what sets a state must not come after what is newer.
type series struct {
	g      *generator
	at     time.Time
	source string
}

// series begins the n-th of so many.
func (g *generator) series(n, of int, source string) *series {
	at := g.Start.Add(time.Duration((float64(n) + g.rng.Float64()) / float64(of) * float64(Hours-time.Hour)))
	return &series{g: g, at: at.Truncate(time.Millisecond), source: source}
}

func (s *series) add(t event.Type, data any) *happening {
	s.at = s.at.Add(time.Duration(1000+s.g.rng.IntN(60_000)) * time.Millisecond)
	h := &happening{typ: t, at: s.at, source: s.source, data: data, inOrder: true}
	s.g.happens(h)
	return h
}
