package dmhub_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

const nobody = `{"error":{"code":"210","message":"没找到会员"}}`

// holder is the reply of §7 about a member.
func holder(id string, created time.Time) string {
	return fmt.Sprintf(`{"identities":[],"membership":{"id":%s,"dateCreated":%q}}`, id, created.UTC().Format(time.RFC3339))
}

// owners answers look-ups by the identity's value.
func owners(byValue map[string]string) func(*http.Request) (int, string) {
	return func(r *http.Request) (int, string) { return 200, byValue[r.URL.Query().Get("value")] }
}

func TestFindReadsWhomIdentitiesLeadTo(t *testing.T) {
	now := time.Now()
	two := `{"uuid":"m-1","membershipId":1,"membership":{"name":"x"},"identities":[{"type":"mobile","value":"a"},{"type":"wechat","value":"b"}]}`
	ours, later := holder("1", now), holder("2", now)
	for _, tt := range []struct {
		name  string
		typ   event.Type
		a, b  string // who has the identities
		sent  time.Time
		found vendors.Found
	}{
		{"registered", event.MemberRegistered, ours, ours, now, vendors.Present},
		{"registered, by a clock that is behind", event.MemberRegistered, holder("1", now.Add(-9*time.Minute)), holder("1", now), now, vendors.Present},
		{"not registered", event.MemberRegistered, nobody, nobody, now, vendors.Absent},
		{"registered by somebody before", event.MemberRegistered, holder("1", now.Add(-time.Hour)), holder("1", now.Add(-time.Hour)), now, vendors.Unclear},
		{"registered, but when it was sent isn't known", event.MemberRegistered, ours, ours, time.Time{}, vendors.Unclear},
		{"registered with one of them", event.MemberRegistered, ours, nobody, now, vendors.Unclear},
		{"registered with the other one", event.MemberRegistered, nobody, ours, now, vendors.Unclear},
		{"two members have them", event.MemberRegistered, ours, later, now, vendors.Unclear},
		{"registered at an unknown time", event.MemberRegistered, `{"membership":{"id":1}}`, `{"membership":{"id":1}}`, now, vendors.Unclear},
		{"an unknown type of identity", event.MemberRegistered, `{"error":{"code":220,"message":"x"}}`, nobody, now, vendors.Absent},
		{"a read that fails", event.MemberRegistered, nobody, `<html>`, now, vendors.Unavailable},
		{"bound", event.MemberIdentityBound, ours, ours, now, vendors.Present},
		{"not bound", event.MemberIdentityBound, nobody, nobody, now, vendors.Absent},
		{"bound to another", event.MemberIdentityBound, later, later, now, vendors.Unclear},
		{"bound in part", event.MemberIdentityBound, ours, nobody, now, vendors.Unclear},
		{"a read that is refused", event.MemberIdentityBound, `{"error":{"code":"100","message":"x"}}`, ours, now, vendors.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.reply = owners(map[string]string{"a": tt.a, "b": tt.b})
			c := call(tt.typ)
			c.Event.Data, c.FirstSentAt = data(`%s`, two), tt.sent
			f := s.account(t, nil).Find(t.Context(), c)
			require.Equal(t, tt.found, f.Found, "%s %s", f.Detail, f.Result.Message)
			require.Equal(t, tt.found == vendors.Unclear, f.Detail != "", f.Detail)
			if tt.found == vendors.Present && tt.typ == event.MemberRegistered {
				require.Equal(t, vendors.Receipt{Ref: "1", Member: "1"}, f.Result.Receipt)
			}
		})
	}
}

func TestFindReadsWhetherAnIdentityIsGone(t *testing.T) {
	for _, tt := range []struct {
		name, reply, mark, member string
		found                     vendors.Found
	}{
		{"gone", nobody, "1", "1", vendors.Present},
		{"gone, and so is the way to the member", nobody, "1", "", vendors.Present},
		{"another's by now", holder("2", time.Now()), "1", "1", vendors.Present},
		{"another's by now, and the event names its member by the identity", holder("2", time.Now()), "1", "", vendors.Unclear},
		{"there", holder("1", time.Now()), "1", "1", vendors.Absent},
		{"there, without a mark", holder("1", time.Now()), "", "1", vendors.Absent},
		{"somebody's, and whose it was is lost", holder("1", time.Now()), "", "", vendors.Unclear},
		{"a read that fails", `null`, "1", "1", vendors.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.answers(200, tt.reply)
			c := call(event.MemberIdentityRemoved)
			c.Event.Data = data(`{"uuid":"m-1","type":"mobile","value":"a"}`)
			c.Mark, c.Member, c.Event.Member.MembershipID = tt.mark, tt.member, tt.member
			require.Equal(t, tt.found, s.account(t, nil).Find(t.Context(), c).Found)
		})
	}
}

func TestFindReadsTheMobileNumber(t *testing.T) {
	reply := func(mobile string) string {
		return strings.Replace(golden(t, "mobile_changed"), `"mobile":"456"`, `"mobile":`+mobile, 1)
	}
	for _, tt := range []struct {
		name, reply, mark, member string
		found                     vendors.Found
	}{
		{"the new one", reply(`"456"`), "85", "85", vendors.Present},
		{"the new one as a number", reply(`456`), "", "85", vendors.Present},
		{"the new one, of the member that was marked", reply(`"456"`), "85", "", vendors.Present},
		{"the old one", reply(`"123"`), "85", "85", vendors.Absent},
		{"another one", reply(`"789"`), "85", "85", vendors.Unclear},
		{"none", reply(`null`), "85", "85", vendors.Unclear},
		{"no such member", nobody, "85", "85", vendors.Unclear},
		{"whose is lost", nobody, "", "", vendors.Unclear},
		{"another member's", reply(`"456"`), "8", "8", vendors.Unavailable},
		{"a read that fails", `{"error":{"code":"500000","message":""}}`, "85", "85", vendors.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.answers(200, tt.reply)
			c := call(event.MemberMobileChanged)
			c.Mark, c.Member = tt.mark, tt.member
			f := s.account(t, nil).Find(t.Context(), c)
			require.Equal(t, tt.found, f.Found, f.Detail)
			require.NotContains(t, f.Detail, "789")
		})
	}
}

func TestFindComparesTheCouponsWithThoseBefore(t *testing.T) {
	row := func(code, coupon string) string {
		return fmt.Sprintf(`{"couponCode":%s,"couponId":%q,"status":"used","dateDraw":"2017-12-05T05:54:10Z","channels":[{"couponId":"STxgWromTbt727eBcPOo"}]}`, code, coupon)
	}
	const kind = "STxgWromTbt727eBcPOo"
	for _, tt := range []struct {
		name, reply, mark string
		found             vendors.Found
		ref               string
	}{
		{"one new one", page(row(`"1"`, kind), row(`"2"`, kind)), `["1"]`, vendors.Present, "2"},
		{"one new one, with a number for a code", page(row(`34636772868722688`, kind)), `[]`, vendors.Present, sampleCode},
		{"one that was drawn later", strings.Replace(page(row(`"2"`, kind)), "05:54:10Z", "06:54:10Z", 1), `[]`, vendors.Unclear, ""},
		{"one of no date", strings.Replace(page(row(`"2"`, kind)), "2017-12-05T05:54:10Z", "", 1), `[]`, vendors.Unclear, ""},
		{"none", page(row(`"1"`, kind)), `["1"]`, vendors.Absent, ""},
		{"none at all", page(), `[]`, vendors.Absent, ""},
		{"of another kind, with our id as its channel's", page(row(`"1"`, "other")), `[]`, vendors.Absent, ""},
		{"two new ones", page(row(`"1"`, kind), row(`"2"`, kind)), `[]`, vendors.Unclear, ""},
		{"without a mark", page(row(`"1"`, kind)), ``, vendors.Unclear, ""},
		{"with a mark of another make", page(row(`"1"`, kind)), `1`, vendors.Unclear, ""},
		{"the document's reply", golden(t, "member_coupons"), `[]`, vendors.Present, sampleCode},
		{"a coupon without a code", page(`{"couponId":"x"}`), `[]`, vendors.Unavailable, ""},
		{"no rows", `{}`, `[]`, vendors.Unavailable, ""},
		{"an error", `{"error":{"code":"409000","message":"error info"}}`, `[]`, vendors.Unavailable, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.answers(200, tt.reply)
			c := call(event.CouponDrawn)
			c.Mark, c.FirstSentAt = tt.mark, time.Date(2017, 12, 5, 5, 54, 0, 0, time.UTC)
			f := s.account(t, nil).Find(t.Context(), c)
			require.Equal(t, tt.found, f.Found, "%s %s", f.Detail, f.Result.Message)
			require.Equal(t, tt.ref, f.Result.Receipt.Ref)
		})
	}
}

func TestCouponsAreReadToTheLastPage(t *testing.T) {
	var rows []string
	for i := range 45 {
		rows = append(rows, fmt.Sprintf(`{"couponCode":"c%02d","couponId":"STxgWromTbt727eBcPOo"}`, i))
	}
	s := newShop(t)
	s.reply = details(rows, 20)
	a := s.account(t, nil)
	c := call(event.CouponDrawn)
	mark, r := a.Mark(t.Context(), c)
	require.Equal(t, vendors.Applied, r.Class)
	require.Equal(t, 4, r.Calls, "the fourth page is empty")
	require.Equal(t, 45, strings.Count(mark, `"c`))
	require.Equal(t, "GET /loyalty/v1/membership/1/coupon?needTotal=true&page=1&rows=100&sord=desc", s.seen[0], "no status: used ones too")
	c.Mark = mark
	require.Equal(t, vendors.Absent, a.Find(t.Context(), c).Found)

	s.answers(200, page(rows...))
	s.seen = nil
	_, r = a.Mark(t.Context(), c)
	require.Equal(t, 1, r.Calls, "total and records agree")
	s.answers(200, `{"rows":[`+rows[0]+`],"total":12,"records":10}`)
	_, r = a.Mark(t.Context(), c)
	require.Equal(t, 2, r.Calls, "the sample's numbers don't; the same page again is the end")
}

func TestAMarkSaysWhyThereIsNone(t *testing.T) {
	s := newShop(t)
	a := s.account(t, nil)
	var rows []string
	for i := range 95 {
		rows = append(rows, fmt.Sprintf(`{"couponCode":"%s%02d","couponId":"STxgWromTbt727eBcPOo"}`, strings.Repeat("x", 200), i))
	}
	s.answers(200, page(rows...))
	_, r := a.Mark(t.Context(), call(event.CouponDrawn))
	require.Equal(t, vendors.NotSent, r.Class)
	require.Equal(t, "unsupported", r.Hold)
	require.Contains(t, r.Message, "95 coupons")

	s.answers(503, "")
	_, r = a.Mark(t.Context(), call(event.CouponDrawn))
	require.Equal(t, vendors.Ambiguous, r.Class)
	_, r = a.Mark(t.Context(), call(event.OrderCreated))
	require.Equal(t, "unsupported", r.Hold)

	c := call(event.MemberMobileChanged)
	mark, r := a.Mark(t.Context(), c)
	require.Equal(t, "85", mark)
	require.Equal(t, vendors.Applied, r.Class)
	c.Mark = "84"
	_, r = a.Mark(t.Context(), c)
	require.Equal(t, "member_not_found", r.Hold, "the number has another member by now")
	require.Contains(t, r.Message, "was sent for member 84, and names member 85")
}

func TestFindReadsTheCoupon(t *testing.T) {
	held := func(status, member string) string {
		return fmt.Sprintf(`{"couponCode":%q,"status":%q,"membershipId":%s,"dateRedeem":null,"uuid":"x\r\n"}`, sampleCode, status, member)
	}
	for _, tt := range []struct {
		name, reply string
		found       vendors.Found
	}{
		{"used, although dateRedeem is null", held("used", "1"), vendors.Present},
		{"used, in capitals, by a member as text", held("Used", `"1"`), vendors.Present},
		{"used by another", held("used", "2"), vendors.Unclear},
		{"not used", held("normal", "1"), vendors.Absent},
		{"the document's, which isn't valid yet", golden(t, "member_coupon"), vendors.Absent},
		{"expired", held("expired", "1"), vendors.Unclear},
		{"another status", held("frozen", "1"), vendors.Unclear},
		{"not there", `{"error":{"code":"409200","message":"Not found"}}`, vendors.Absent},
		{"refused", `{"error":{"code":"409000","message":"error info"}}`, vendors.Unclear},
		{"refused for another reason", `{"error":{"code":"100","message":""}}`, vendors.Unavailable},
		{"another coupon", strings.Replace(held("used", "1"), sampleCode, "1", 1), vendors.Unavailable},
		{"an unknown error", `{"error":{"code":"409999","message":""}}`, vendors.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.answers(200, tt.reply)
			f := s.account(t, nil).Find(t.Context(), call(event.CouponRedeemed))
			require.Equal(t, tt.found, f.Found, "%s %s", f.Detail, f.Result.Message)
			require.Equal(t, tt.found == vendors.Present, f.Result.Receipt.Ref != "")
		})
	}
}
