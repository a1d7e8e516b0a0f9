package sandbox

import (
	"net/http"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

// TestASeededCouponIsTheMembersOwn: it can be redeemed by its code, once, and one
// that is drawn afterwards has a code of its own.
func TestASeededCouponIsTheMembersOwn(t *testing.T) {
	c := people(t, MemberSwitches{})
	const redeem = "/loyalty/v1/membershipCoupon/G-7/redeem"
	given := HeldCoupon{Code: "G-7", CouponID: "11111", Member: 1}
	require.NoError(t, c.sb.SeedHeldCoupon(given))
	require.Empty(t, c.sb.Effects())
	require.ErrorContains(t, c.sb.SeedHeldCoupon(given), "there already")
	require.ErrorContains(t, c.sb.SeedHeldCoupon(HeldCoupon{Code: "G-8", CouponID: "11111", Member: 99}), "has no member 99")
	require.ErrorContains(t, c.sb.SeedHeldCoupon(HeldCoupon{Code: "G-8", CouponID: "none", Member: 1}), `has no kind "none"`)

	c.post("/loyalty/v1/membership/1/coupon/draw", `{"couponId":"11111"}`)
	require.Contains(t, c.post(redeem, `{"membershipId":2}`), "another member")
	require.Contains(t, c.post(redeem, `{"membershipId":1}`), `"used"`)
	require.Contains(t, c.post(redeem, `{"membershipId":1}`), "coupon is used")
	held := c.sb.HeldCoupons()
	require.Len(t, held, 2)
	require.Equal(t, []string{"G-7", "used", "normal"}, []string{held[0].Code, held[0].Status, held[1].Status})
	require.Contains(t, c.post("/loyalty/v1/membershipCoupon/"+held[1].Code+"/redeem", `{"membershipId":1}`), `"used"`)
	require.Contains(t, c.post("/loyalty/v1/membershipCoupon/34636772868722688/redeem", `{"membershipId":1}`), "409200",
		"the seeded one has no other code")
}

func TestASeededLevelIsOneOfTheShops(t *testing.T) {
	c := startShop(t, Config{})
	level := Level{Store: "hey", ID: 100, Title: "会员", ConditionPoints: decimal.NewFromInt(7)}
	require.NoError(t, c.sb.SeedLevel(level))
	require.ErrorContains(t, c.sb.SeedLevel(level), "give an id above 100")
	level.Store = "nobody's"
	require.ErrorContains(t, c.sb.SeedLevel(level), "isn't a HeyShop account's")
	require.Empty(t, c.sb.Effects())
	status, body := c.hey(http.MethodGet, "/api/loyalty/level/100/", "")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, levelRule(100, "会员", "7", "0", "0"), body)
	_, body = c.hey(http.MethodPost, "/api/loyalty/level/", levelRule(0, "新", "1", "0", "0"))
	require.JSONEq(t, levelRule(101, "新", "1", "0", "0"), body)
}
