package sandbox

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	deniedNumber = `{"error_code":40001,"error_description":"access_token is invalid"}`
	deniedText   = `{"error_code":"40001","error_description":"access_token is invalid"}`
)

func TestOnlyTheNewestTokenIsValid(t *testing.T) {
	c := start(t, Config{Accounts: []Account{{AppID: "app", Secret: "s3cret"}, {AppID: "deals", Secret: "x"}}})
	c.seed(Seed{})
	old := c.token
	other := c.login("deals", "x")
	c.token = c.login("app", "s3cret")
	c.post(dealCreate, order("A", "1"))

	newest := c.token
	c.token = old
	require.JSONEq(t, deniedNumber, c.post(dealCreate, order("B", "1")))
	c.token = ""
	require.JSONEq(t, deniedText, c.get("/v1/deals/A"), "number and string take turns")
	c.token = other
	require.Contains(t, c.get("/v1/deals/A"), `"orderNo":"A"`, "another account's token stays, and sees the same store")
	c.token = newest
	c.sb.RevokeToken("app")
	require.JSONEq(t, deniedNumber, c.get("/v1/deals/A"))
	require.Equal(t, map[string]int{"app": 2, "deals": 1}, c.sb.Summary().Tokens)
	require.Len(t, c.sb.Effects(), 1)
}

func TestTokensExpire(t *testing.T) {
	c := start(t, Config{TokenLifetime: time.Minute, Switches: Switches{TokenErrorType: "string", TokenErrorCode: "E-7"}})
	c.clock.advance(time.Minute - time.Second)
	require.Contains(t, c.get("/v1/deals/A"), "409200")
	c.clock.advance(time.Second)
	require.JSONEq(t, `{"error_code":"E-7","error_description":"access_token is invalid"}`, c.get("/v1/deals/A"))
}

func TestStoresAreApart(t *testing.T) {
	c := start(t, Config{Accounts: []Account{
		{AppID: "app", Secret: "s3cret"}, {AppID: "other", Secret: "x", Store: "two"},
	}})
	c.seed(Seed{})
	c.seed(Seed{Store: "two"})
	c.post(dealCreate, order("A", "1"))
	c.token = c.login("other", "x")
	require.Contains(t, c.get("/v1/deals/A"), "409200")
	c.post(dealCreate, order("A", "2"))
	require.Empty(t, c.sb.Violations())
	one, _ := c.sb.Order("", "A")
	two, _ := c.sb.Order("two", "A")
	require.Equal(t, "1 2", one.AmountPaid.String()+" "+two.AmountPaid.String())
	require.Equal(t, "two", c.sb.Effects()[1].Store)
}
