package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"syncworker/internal/vendors"
)

func TestKeysAreCounted(t *testing.T) {
	for _, tt := range []struct {
		resource string
		keys     []string // that it takes
		given    []string
		err      string
	}{
		{"levels", nil, nil, ""},
		{"levels", nil, []string{"1"}, "found 1 key; levels takes none"},
		{"member", []string{"membershipId"}, []string{"1"}, ""},
		{"member", []string{"membershipId"}, nil, "found 0 keys; member takes membershipId"},
		{"member", []string{"membershipId"}, []string{""}, "found an empty key; member takes membershipId"},
		{"coupons", []string{"membershipId", "[status]"}, []string{"1"}, ""},
		{"coupons", []string{"membershipId", "[status]"}, []string{"1", "used"}, ""},
		{"coupons", []string{"membershipId", "[status]"}, []string{"1", "used", "x"}, "found 3 keys; coupons takes membershipId [status]"},
		{"points", []string{"[customer…]"}, nil, ""},
		{"points", []string{"[customer…]"}, []string{"1", "2", "3"}, ""},
		{"members", []string{"type", "value", "[type value…]"}, []string{"mobile", "1"}, ""},
		{"members", []string{"type", "value", "[type value…]"}, []string{"mobile", "1", "mobile", "2", "wechat", "3"}, ""},
		{"members", []string{"type", "value", "[type value…]"}, []string{"mobile", "1", "mobile"}, "found 3 keys; members takes type value [type value…]"},
		{"members", []string{"type", "value", "[type value…]"}, nil, "found 0 keys; members takes type value [type value…]"},
	} {
		err := checkKeys(vendors.Resource{Name: tt.resource, Keys: tt.keys}, tt.given)
		if tt.err == "" {
			require.NoError(t, err, tt)
		} else {
			require.EqualError(t, err, tt.err)
		}
	}
}

func TestAPathNamesItsMember(t *testing.T) {
	const template = "POST /v1/membership/{membershipId}/point/incr"
	for path, want := range map[string]string{
		"POST /v1/membership/16508/point/incr":     "16508",
		"POST /v1/membership/16508/point/incr?x=1": "16508",
		"POST /v1/membership/16508/point/decr":     "",
		"GET /v1/membership/16508/point/incr":      "",
		"POST /v1/membership/16508/point":          "",
		"":                                         "",
	} {
		require.Equal(t, want, inPath(template, path, "{membershipId}"), path)
	}
	require.Empty(t, inPath("POST /v1/deal", "POST /v1/deal", "{membershipId}"))
}

func TestACommandCanBePasted(t *testing.T) {
	for want, keys := range map[string][]string{
		"syncworker vendors get a r":                       nil,
		"syncworker vendors get a r 16508 2026-11-21":      {"16508", "2026-11-21"},
		`syncworker vendors get a r 'it'\''s' '$(x)' '订单'`: {"it's", "$(x)", "订单"},
		"syncworker vendors get a r -- 1 -1":               {"1", "-1"},
	} {
		require.Equal(t, want, getCommand("a", "r", keys))
	}
}

func TestATableShowsTheFieldsThatRowsHave(t *testing.T) {
	rows := []json.RawMessage{
		[]byte(`{"id":90840682394599424,"level":{"name":"gold"},"note":null,"tags":[1, {"a":"b c"}]}`),
		[]byte(`{"id":"7","point":8,"note":"x\u001b[31m"}`),
	}
	columns, cells := tableOf([]string{"id", "level.name", "note", "tags", "no.such", "level.name.x"}, rows)
	require.Equal(t, []string{"id", "level.name", "note", "tags"}, columns)
	require.Equal(t, [][]string{
		{"90840682394599424", "gold", "", `[1,{"a":"b c"}]`},
		{"7", "", `x\x1b[31m`, ""},
	}, cells)
	columns, _ = tableOf([]string{"none"}, rows)
	require.Equal(t, []string{"id", "level", "note", "tags", "point"}, columns)
}

func TestRowsArePrintedAsTheyCameAndNoMoreThanWanted(t *testing.T) {
	page := vendors.Page{Rows: []json.RawMessage{[]byte("{\n \"a\": 1.10, \"b\":\"\\u8ba2<&>\"}"), []byte(`[2]`)}}
	more := page
	more.Next = "2"
	for _, tt := range []struct {
		limit int
		page  vendors.Page
		want  string
		err   error
	}{
		{0, more, "{\"a\":1.10,\"b\":\"\\u8ba2<&>\"}\n[2]\n", nil},
		{1, page, "{\"a\":1.10,\"b\":\"\\u8ba2<&>\"}\n", errEnough},
		{2, page, "{\"a\":1.10,\"b\":\"\\u8ba2<&>\"}\n[2]\n", nil},
		{2, more, "{\"a\":1.10,\"b\":\"\\u8ba2<&>\"}\n[2]\n", errEnough},
		{3, more, "{\"a\":1.10,\"b\":\"\\u8ba2<&>\"}\n[2]\n", nil},
	} {
		var out bytes.Buffer
		p := &rowPrinter{app: &app{stdout: &out, output: outputJSON}, limit: tt.limit}
		require.Equal(t, tt.err, p.page(tt.page), tt.limit)
		require.NoError(t, p.end(true))
		require.Equal(t, tt.want, out.String())
	}
}
