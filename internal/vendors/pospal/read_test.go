package pospal_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/pospal"
)

func TestReadShowsWhatTheVendorSent(t *testing.T) {
	app := `"appId":"` + appID + `"`
	for _, tt := range []struct {
		resource string
		keys     []string
		reply    string
		asked    string
		has      string
		more     bool
	}{
		{"promotion", []string{"1199186483387900201"}, golden(t, "promotion"), `queryCouponPromotionByUid {` + app + `,"promotionCouponUid":1199186483387900201}`, `"avaliableQuantity":98`, false},
		{"promotions", nil, `{"status":"success","data":[{"foreShop":1}]}`, `queryCouponPromotions {` + app + `}`, `{"foreShop":1}`, false},
		{"promotion-pages", nil, golden(t, "promotion_pages"), `queryPromotionPages {` + app + `}`, `"enjoyCustomerDiscount":90`, false},
		{"customer-codes", []string{"580988838483990582"}, golden(t, "customer_codes"), `queryCustomerCouponCodePage {` + app + `,"customerUid":580988838483990582}`, `"promotionCouponAppId":"5A8FBDC6B4D2BF7C"`, false},
		{
			"used-codes", []string{"2026-11-21", "2026-11-21T08:00:00Z"}, golden(t, "used_codes"),
			`queryUsedPromotionCode {` + app + `,"startTime":"2026-11-21 00:00:00","excludeEndTime":"2026-11-21 16:00:00"}`, `"usedByProductOrderId":null`, false,
		},
		{"promotion-pages", nil, strings.Replace(golden(t, "promotion_pages"), "100", "1", 1), `queryPromotionPages {` + app + `}`, `"forRShop":1`, true},
	} {
		t.Run(tt.resource, func(t *testing.T) {
			s := newShop(t)
			s.answers(200, strings.Replace(tt.reply, `"enable":1`, `"enable":1,"s":"`+appKey+`"`, 1))
			page, r := s.account(t, nil).Read(t.Context(), tt.resource, tt.keys, "")
			require.Equal(t, vendors.Applied, r.Class, r.Message)
			require.Equal(t, []string{"POST " + reads + tt.asked}, s.seen)
			require.Len(t, page.Rows, 1)
			require.Contains(t, string(page.Rows[0]), tt.has)
			require.NotContains(t, string(page.Rows[0]), appKey)
			require.Equal(t, tt.more, page.Next != "")
		})
	}
}

func TestReadGoesOnWhereItWasAndEchoesThePlaceAsItCame(t *testing.T) {
	const place = `{ "parameterType":1, "parameterValue": 580988838483990582.50 }`
	s := newShop(t)
	s.reply = book(map[string]string{
		"":    `"result":[{"code":"A"}],"postBackParameter":` + place,
		place: `"result":[{"code":"B"}],"pageSize":2,"postBackParameter":7`,
	})
	a := s.account(t, nil)
	keys := []string{"2026-11-21 08:00", "2026-11-28T08:00:00"}
	var codes []string
	next := ""
	for pages := 0; pages == 0 || next != ""; pages++ {
		require.Less(t, pages, 5)
		page, r := a.Read(t.Context(), "used-codes", keys, next)
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		codes, next = append(codes, string(page.Rows[0])), page.Next
	}
	require.Equal(t, []string{`{"code":"A"}`, `{"code":"B"}`, `{"code":"A"}`, `{"code":"B"}`}, codes)
	require.Equal(t, [][2]string{
		{"2026-11-21 08:00:00", "2026-11-26 08:00:00"}, {"2026-11-21 08:00:00", "2026-11-26 08:00:00"},
		{"2026-11-26 08:00:00", "2026-11-28 08:00:00"}, {"2026-11-26 08:00:00", "2026-11-28 08:00:00"},
	}, windows(t, s))
	require.Contains(t, s.seen[1], `,"postBackParameter":`+place+`}`)
	require.NotContains(t, s.seen[2], "postBackParameter")
}

func TestReadSaysWhereThereMayBeMore(t *testing.T) {
	s := newShop(t)
	s.reply = book(map[string]string{"": `"result":[{"code":"A"}],"postBackParameter":1`, "1": `"result":[{"code":"A"}],"postBackParameter":1`})
	a := s.account(t, nil)
	page, _ := a.Read(t.Context(), "promotion-pages", nil, "")
	page, r := a.Read(t.Context(), "promotion-pages", nil, page.Next)
	require.Equal(t, vendors.Applied, r.Class)
	require.Empty(t, page.Next)
	require.Contains(t, r.Message, "there may be more")
}

func TestReadOfWhatIsNotThere(t *testing.T) {
	s := newShop(t)
	a := s.account(t, nil)
	for _, body := range []string{`{"status":"success","data":null}`, envelope(3001, "x"), envelope(2015, "x")} {
		s.answers(200, body)
		page, r := a.Read(t.Context(), "promotion", []string{"1"}, "")
		require.Equal(t, vendors.Refused, r.Class, body)
		require.Empty(t, page.Rows)
	}
	s.answers(200, envelope(2016, "x"))
	_, r := a.Read(t.Context(), "promotion", []string{"1"}, "")
	require.Equal(t, vendors.Ambiguous, r.Class, "no permission isn't absence")
	require.Equal(t, "2016", r.Code)
}

func TestReadAsksForNothingThatItDoesNotHave(t *testing.T) {
	s := newShop(t)
	a := s.account(t, nil)
	for _, tt := range []struct {
		resource string
		keys     []string
		next     string
		says     string
	}{
		{"members", nil, "", `"members": no such resource`},
		{"promotion", nil, "", "found 0 keys; give promotionCouponUid"},
		{"promotions", []string{"1"}, "", "found 1 keys; give none"},
		{"promotion", []string{`1,"x":2`}, "", "isn't a uid"},
		{"customer-codes", []string{"007"}, "", "isn't a uid"},
		{"used-codes", []string{"yesterday", "2026-11-21"}, "", `start: "yesterday"`},
		{"used-codes", []string{"2026-11-21", "7"}, "", `end: "7"`},
		{"used-codes", []string{"2026-11-21", "2026-11-21"}, "", "isn't after start"},
		{"promotions", nil, "x", "invalid character"},
		{"promotions", nil, `{"query":1}`, "isn't one that was given as next"},
		{"promotions", nil, `{"pages":1001}`, "more than 1000 pages"},
	} {
		_, r := a.Read(t.Context(), tt.resource, tt.keys, tt.next)
		require.Equal(t, vendors.NotSent, r.Class)
		require.Contains(t, r.Message, tt.says)
	}
	require.Empty(t, s.seen)
}

func TestShowsNamesAReadThatThereIs(t *testing.T) {
	a := newShop(t).account(t, nil)
	resource, keys, ok := a.Shows(added(t))
	require.True(t, ok)
	require.Equal(t, "customer-codes", resource)
	require.Equal(t, []string{"580988838483990582"}, keys)
	resource, keys, ok = a.Shows(used(t))
	require.True(t, ok)
	require.Equal(t, "used-codes", resource)
	require.Equal(t, []string{"2026-11-21T15:50:00+08:00", "2026-11-21T16:11:00+08:00"}, keys)
	late := used(t)
	late.FirstSentAt = time.Time{}
	_, keys, _ = a.Shows(late)
	require.Equal(t, "2026-11-21T16:10:00+08:00", keys[1])
	_, _, ok = a.Shows(call(t, event.CouponCodeAdded, `{"uuid":"u","promotionCouponUid":1}`))
	require.False(t, ok)
}

func TestEveryEndpointIsReached(t *testing.T) {
	s := newShop(t)
	a := s.account(t, nil)
	calls := map[event.Type]vendors.Call{event.CouponCodeAdded: added(t), event.CouponCodeUsed: used(t)}
	keys := map[string][]string{"promotion": {"1"}, "customer-codes": {"1"}, "used-codes": {"2026-11-21", "2026-11-22"}}
	var read []string
	for _, e := range pospal.Kind.Endpoints {
		s.seen = nil
		s.answers(200, rows(`{"code":"X"}`))
		require.NotEmpty(t, e.Section)
		var r vendors.Result
		if e.Event != "" {
			require.NotEmpty(t, e.Unclear)
			require.Contains(t, pospal.Kind.Takes, e.Event)
			op, ok := a.Operation(e.Event)
			require.True(t, ok)
			require.Equal(t, op.Name, e.Method+" "+e.Path)
			r = a.Push(t.Context(), calls[e.Event])
		} else {
			read = append(read, e.Read)
			_, r = a.Read(t.Context(), e.Read, keys[e.Read], "")
		}
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		require.Len(t, s.seen, 1)
		require.Contains(t, s.seen[0], e.Method+" "+e.Path+" {")
	}
	var resources []string
	for _, r := range a.Resources() {
		resources = append(resources, r.Name)
	}
	require.ElementsMatch(t, resources, read)
}
