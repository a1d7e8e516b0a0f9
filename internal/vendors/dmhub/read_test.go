package dmhub_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/sandbox"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/vendorstest"
)

func TestReadAsksAsTheDocumentSays(t *testing.T) {
	const paged = "needTotal=true&page=1&rows=100&sord=desc"
	for _, tt := range []struct {
		resource string
		keys     []string
		seen     string
		reply    string // a sample
		rows     int
	}{
		{"members", nil, "GET /loyalty/v1/membership?" + paged, "members", 1},
		{"member", []string{"3"}, "GET /loyalty/v1/membership/3", "member_registered", 1},
		{"member-by-identity", []string{"wechat", "1"}, "GET /loyalty/v1/membershipService/getMembershipByIdentity?type=wechat&value=1", "member", 1},
		{"members-by-identities", []string{"wechat", "666", "wechat", "333"}, "POST /loyalty/v1/membershipService/listMembershipByIdentities", "members_by_identities", 2},
		{"level-rules", nil, "GET /loyalty/v1/settings/level/rules", "level_rules", 4},
		{"coupons", nil, "GET /loyalty/v1/coupon?" + paged, "coupons", 1},
		{"coupon", []string{"STx/1"}, "GET /loyalty/v1/coupon/STx/1", "coupon", 1},
		{"coupons-by-channel", []string{"offline", "test"}, "GET /loyalty/v1/couponService/getCouponByChannel?channel=offline&couponId=test", "coupons_by_channel", 1},
		{"member-coupon", []string{sampleCode}, "GET /loyalty/v1/membershipCoupon/" + sampleCode, "member_coupon", 1},
		{"member-coupons", []string{"1"}, "GET /loyalty/v1/membership/1/coupon?" + paged, "member_coupons", 1},
		{"member-coupons", []string{"1", "used"}, "GET /loyalty/v1/membership/1/coupon?" + paged + "&status=used", "member_coupons", 1},
		{"point-details", []string{"399"}, "GET /loyalty/v1/membership/399/point?" + paged, "point_details", 1},
		{"experience", []string{"667"}, "GET /loyalty/v1/membership/667/exp/changeLogs?" + paged, "experience", 1},
		{"identity-by-md5", []string{"common", "66f2"}, "GET /loyalty/v1/membershipService/getMembershipIdentityByMd5?md5type=common&md5value=66f2", "identity_by_md5", 1},
	} {
		t.Run(tt.resource+" "+strings.Join(tt.keys, " "), func(t *testing.T) {
			s := newShop(t)
			s.answers(200, golden(t, tt.reply))
			page, r := s.account(t, nil).Read(t.Context(), tt.resource, tt.keys, "")
			require.Equal(t, vendors.Applied, r.Class, r.Message)
			require.Equal(t, []string{tt.seen}, s.seen)
			require.Len(t, page.Rows, tt.rows)
			require.Contains(t, golden(t, tt.reply), string(page.Rows[0]), "as the vendor sent it")
			if tt.resource == "members-by-identities" {
				require.JSONEq(t, golden(t, "members_by_identities_request"), s.body)
			}
		})
	}
}

func TestEveryResourceIsOneOfTheKinds(t *testing.T) {
	s := newStreet(t, 20*time.Second)
	_, err := s.sandbox.SeedMembers(sandbox.Seed{Store: "shop", FirstID: 667, Count: 1, Experience: 10})
	require.NoError(t, err)
	redeemed := s.loyalty(t, event.CouponRedeemed)
	require.Equal(t, vendors.Applied, s.account.Push(t.Context(), s.points(event.PointIncremented, 8, false)).Class)
	keys := map[string][]string{
		"member": {s.member}, "member-by-identity": {"mobile", s.mobile}, "members-by-identities": {"mobile", s.mobile, "wechat", "no"},
		"coupon": {drawable}, "coupons-by-channel": {"online", "welcome"}, "member-coupon": {redeemed.Event.Key},
		"member-coupons": {s.member, "normal"}, "point-details": {s.member}, "experience": {"667"},
		"identity-by-md5": {"common", "a7a0ba1d1e2ea1b3b1de13d5e4a4f4ad"},
	}
	for _, d := range s.account.Resources() {
		page, r := s.account.Read(t.Context(), d.Name, keys[d.Name], "")
		if d.Name == "identity-by-md5" { // nobody has that one
			require.Equal(t, vendors.Refused, r.Class)
			require.Equal(t, "409200", r.Code)
			require.Empty(t, page.Rows)
			continue
		}
		require.Equal(t, vendors.Applied, r.Class, "%s: %s", d.Name, r.Message)
		require.NotEmpty(t, page.Rows, d.Name)
		require.NotContains(t, r.Path, vendorstest.Mobile)
		for _, column := range d.Columns {
			name, _, _ := strings.Cut(column, ".")
			require.Contains(t, string(page.Rows[0]), fmt.Sprintf("%q:", name), d.Name)
		}
	}
	require.Empty(t, s.sandbox.Violations())
}

func TestReadGoesThroughThePages(t *testing.T) {
	var rows []string
	for i := range 45 {
		rows = append(rows, fmt.Sprintf(`{"id":%d}`, i))
	}
	all := func(reply func(*http.Request) (int, string)) (read, calls, pages int) {
		s := newShop(t)
		s.reply = reply
		a := s.account(t, nil)
		for next := ""; ; {
			page, r := a.Read(t.Context(), "members", nil, next)
			require.Equal(t, vendors.Applied, r.Class, r.Message)
			read += len(page.Rows)
			pages = max(pages, page.Pages)
			if next = page.Next; next == "" {
				return read, len(s.seen), pages
			}
			require.Less(t, len(s.seen), 10)
		}
	}
	read, calls, pages := all(details(rows, 20))
	require.Equal(t, []int{45, 4, 0}, []int{read, calls, pages}, "without numbers an empty page is the end")

	with := func(total, records int) func(r *http.Request) (int, string) {
		return func(r *http.Request) (int, string) {
			status, body := details(rows, 20)(r)
			return status, strings.TrimSuffix(body, "}") + fmt.Sprintf(`,"total":%d,"records":%d}`, total, records)
		}
	}
	read, calls, pages = all(with(3, 45))
	require.Equal(t, []int{45, 3, 3}, []int{read, calls, pages})
	read, calls, pages = all(with(45, 3))
	require.Equal(t, []int{45, 4, 0}, []int{read, calls, pages}, "more pages than rows can't be")

	same := func(*http.Request) (int, string) { return 200, `{"rows":[{"id":1}],"total":12,"records":10}` }
	read, calls, _ = all(same)
	require.Equal(t, []int{1, 2}, []int{read, calls}, "a vendor that knows of no pages")
}

func TestReadSaysWhatIsWrongWithTheKeys(t *testing.T) {
	s := newShop(t)
	a := s.account(t, nil)
	for _, tt := range []struct {
		resource string
		keys     []string
		page     string
		want     string
	}{
		{"orders", nil, "", "orders: DM Hub's loyalty API has no such resource"},
		{"members", []string{"1"}, "", "members: 1 keys; give none"},
		{"member", nil, "", "member: 0 keys; give membershipId"},
		{"member", []string{"../1"}, "", `member: membershipId: "../1" isn't a number of DM Hub's`},
		{"member-coupon", []string{".."}, "", `member-coupon: couponCode: ".." can't stand in a path of DM Hub's`},
		{"member-coupons", []string{"1", "used", "x"}, "", "member-coupons: 3 keys; give membershipId [status]"},
		{"members-by-identities", []string{"mobile", "1", "wechat"}, "", "members-by-identities: 3 keys; give type value [type value…]"},
		{"member-by-identity", []string{"mobile", ""}, "", "member-by-identity: value: empty"},
		{"members", nil, "x", "members: x isn't a page of it"},
		{"member", []string{"1"}, "2.1.ab", "member: 2.1.ab isn't a page of it"},
	} {
		_, r := a.Read(t.Context(), tt.resource, tt.keys, tt.page)
		require.Equal(t, vendors.NotSent, r.Class)
		require.Equal(t, tt.want, r.Message)
	}
	require.Empty(t, s.seen)
}

func TestReadShowsNoSecret(t *testing.T) {
	s := newShop(t)
	s.answers(200, `{"rows":[{"id":1,"note":"the-token and s3cret"}]}`)
	page, r := s.account(t, nil).Read(t.Context(), "level-rules", nil, "")
	require.Equal(t, vendors.Applied, r.Class)
	require.Equal(t, `{"id":1,"note":"… and …"}`, string(page.Rows[0]))

	s.answers(200, `{"error":{"code":"210","message":"no `+vendorstest.Mobile+`"}}`)
	page, r = s.account(t, nil).Read(t.Context(), "member-by-identity", []string{"mobile", vendorstest.Mobile}, "")
	require.Equal(t, vendors.Refused, r.Class)
	require.Empty(t, page.Rows)
	require.NotContains(t, r.Path+r.Message, vendorstest.Mobile)
}

func TestReadTakesPagesLongerThanAReplyThatIsKept(t *testing.T) {
	s := newShop(t)
	s.answers(200, `{"rows":[{"couponCode":"1","note":"`+strings.Repeat("x", vendors.ReplyLimit)+`"}]}`)
	page, r := s.account(t, nil).Read(t.Context(), "member-coupons", []string{"1"}, "")
	require.Equal(t, vendors.Applied, r.Class, r.Message)
	require.Len(t, page.Rows, 1)
	require.Len(t, r.Reply, vendors.ReplyLimit)
}

func TestShowsNamesTheReadOfAnEvent(t *testing.T) {
	a := newShop(t).account(t, nil)
	for typ, want := range map[event.Type]string{
		event.MemberRegistered:      "member-by-identity wechat 123456",
		event.MemberUpdated:         "member 1",
		event.MemberIdentityBound:   "member-by-identity wechat 666",
		event.MemberIdentityRemoved: "member-by-identity mobile " + vendorstest.Mobile,
		event.MemberMobileChanged:   "member 85",
		event.CouponDrawn:           "member-coupons 1",
		event.CouponRedeemed:        "member-coupon " + sampleCode,
		event.PointIncremented:      "point-details 399",
		event.PointDecremented:      "point-details 399",
		event.OrderCreated:          "",
		event.DeviceRegistered:      "",
	} {
		resource, keys, ok := a.Shows(call(typ))
		require.Equal(t, want != "", ok, typ)
		require.Equal(t, want, strings.TrimSpace(resource+" "+strings.Join(keys, " ")), typ)
	}
	without := call(event.PointIncremented)
	without.Member = ""
	_, _, ok := a.Shows(without)
	require.False(t, ok, "the details are read by the member's id")
}
