package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/vendors"
)

// side renders a comparison as a person sees it: field, ours, mark, the vendor's.
func side(t *testing.T, ours, theirs string, z zones) []string {
	t.Helper()
	list, err := sideBySide(json.RawMessage(ours), json.RawMessage(theirs), z)
	require.NoError(t, err)
	lines := []string{}
	for _, c := range list {
		lines = append(lines, strings.TrimSpace(strings.Join([]string{c.Field, string(c.Ours), c.mark(), string(c.Vendors)}, " ")))
	}
	return lines
}

func TestWhatWasSentStandsBesideWhatTheVendorHas(t *testing.T) {
	china := time.FixedZone("", 8*60*60)
	for name, tt := range map[string]struct {
		ours, theirs string
		z            zones
		want         []string
	}{
		"money by its value": {
			`{"amountPaid":59,"a":1.10,"b":-0.5,"c":1e2,"d":59}`, `{"amountPaid":59.000000,"a":1.1,"b":-0.50,"c":100,"d":59.01}`, zones{},
			[]string{"amountPaid 59 = 59.000000", "a 1.10 = 1.1", "b -0.5 = -0.50", "c 1e2 = 100", "d 59 ≠ 59.01"},
		},
		"a number as a string": {
			`{"refundTotal":1,"big":90840682394599424,"id":"16508"}`, `{"refundTotal":"1.0","big":"90840682394599425","id":16508}`, zones{},
			[]string{`refundTotal 1 = "1.0"`, `big 90840682394599424 ≠ "90840682394599425"`, `id "16508" = 16508`},
		},
		"ids as texts": {
			`{"orderNo":"0012","code":"1.10","n":"0012"}`, `{"orderNo":"12","code":"1.1","n":12}`, zones{},
			[]string{`orderNo "0012" ≠ "12"`, `code "1.10" ≠ "1.1"`, `n "0012" ≠ 12`},
		},
		"an exponent that would fill the memory": {
			`{"n":1}`, `{"n":1e999999999}`, zones{}, []string{`n 1 ≠ 1e999999999`},
		},
		"times as moments": {
			`{"date":"2026-11-21T08:00:00Z","used":"2026-11-21T08:00:00Z","late":"2026-11-21T08:00:00Z","day":"2026-11-21"}`,
			`{"date":"2026-11-21T08:00:00","used":"2026-11-21T16:00:00+08:00","late":"2026-11-21T16:00:00","day":"2026-11-21T00:00:00Z"}`,
			zones{time.UTC, time.UTC},
			[]string{
				`date "2026-11-21T08:00:00Z" = "2026-11-21T08:00:00"`, `used "2026-11-21T08:00:00Z" = "2026-11-21T16:00:00+08:00"`,
				`late "2026-11-21T08:00:00Z" ≠ "2026-11-21T16:00:00"`, `day "2026-11-21" ≠ "2026-11-21T00:00:00Z"`,
			},
		},
		"times in the vendor's zone": {
			`{"useDateTime":"2026-11-21T08:00:00Z"}`, `{"useDateTime":"2026-11-21 16:00:00"}`, zones{china, china},
			[]string{`useDateTime "2026-11-21T08:00:00Z" = "2026-11-21 16:00:00"`},
		},
		"only one side": {
			`{"a":1,"b":null,"c":"x","e":{}}`, `{"c":null,"d":2,"f":null,"g":[]}`, zones{},
			[]string{"a 1 only ours", `c "x" ≠ null`, "e {} only ours", "d  only the vendor's 2", "g  only the vendor's []"},
		},
		"lines": {
			`{"dealLines":[{"lineId":"l1","qty":1},{"lineId":"l2"}],"x":[[1]]}`, `{"lines":[{"lineId":"l1","qty":2}],"x":[[1]]}`, zones{},
			[]string{
				`dealLines[0].lineId "l1" = "l1"`, `dealLines[0].qty 1 ≠ 2`, `dealLines[1].lineId "l2" only ours`, `x[0][0] 1 = 1`,
			},
		},
		"an array": {`[{"type":"mobile"}]`, `{"type":"mobile"}`, zones{}, []string{`[0].type "mobile" only ours`, `type  only the vendor's "mobile"`}},
		"text":     {`{"a":"订单","b":true,"c":"true"}`, `{"a":"\u8ba2\u5355","b":true,"c":true}`, zones{}, []string{`a "订单" = "订单"`, "b true = true", `c "true" ≠ true`}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tt.want, side(t, tt.ours, tt.theirs, tt.z))
		})
	}
	_, err := sideBySide(json.RawMessage(`{"a":`), json.RawMessage(`{}`), zones{})
	require.ErrorContains(t, err, "reading what was sent")
	_, err = sideBySide(json.RawMessage(`{}`), json.RawMessage(`<html>`), zones{})
	require.ErrorContains(t, err, "reading what the vendor has")
}

func TestARowIsChosenAsResolvingDoes(t *testing.T) {
	rows := func(list ...string) (out []json.RawMessage) {
		for _, row := range list {
			out = append(out, json.RawMessage(row))
		}
		return out
	}
	for name, tt := range map[string]struct {
		rows []json.RawMessage
		ref  string
		keys []string
		want choice
	}{
		"the vendor's reference": {
			rows(`{"id":7,"point":8}`, `{"id":"8","point":7}`), "8", []string{"p-1"},
			choice{row: 1, by: "it has the vendor's reference"},
		},
		"the reference before the key": {
			rows(`{"id":7,"remark":"p-1"}`, `{"id":8}`), "8", []string{"p-1"}, choice{row: 1, by: "it has the vendor's reference"},
		},
		"the key within a text": {
			rows(`{"id":7,"remark":"till 4 xp-1"}`, `{"id":8,"remark":"till 4 p-01"}`, `{"id":9,"remark":"till 4 [p-01~5.2]"}`, `{"id":10,"remark":"p-012"}`),
			"", []string{"", "p-01"},
			choice{row: -1, by: "2 rows carry our key", candidates: []string{"8", "9"}},
		},
		"the key as it is": {
			rows(`{"uid":1,"code":"abc"}`, `{"uid":2,"code":"abcd"}`), "", []string{"abc"}, choice{row: 0, by: "it carries our key"},
		},
		"a short key isn't looked for within a text": {
			rows(`{"id":1,"remark":"1 of 2"}`, `{"id":2,"remark":"2"}`), "", []string{"2"},
			choice{row: 1, by: "it carries our key"},
		},
		"a number that isn't an id": {
			rows(`{"id":1,"points":27}`), "27", []string{"27"}, choice{row: -1, by: "none carries our key", candidates: []string{"1"}},
		},
		"two with the reference": {
			rows(`{"id":1,"orderNo":"2"}`, `{"id":2}`), "2", nil,
			choice{row: -1, by: "2 rows have the vendor's reference", candidates: []string{"1", "2"}},
		},
		"a reference that is gone": {
			rows(`{"id":1,"remark":"uuid-1"}`), "9", []string{"uuid-1"}, choice{row: 0, by: "it carries our key"},
		},
		"none": {
			rows(`{"id":null,"code":"","orderNo":1}`, `{"name":"x"}`, `no JSON`), "9", []string{"p"},
			choice{row: -1, by: "none carries our key", candidates: []string{"1", "row 2", "row 3"}},
		},
		"no rows": {nil, "9", []string{"p"}, choice{row: -1, by: "none carries our key"}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tt.want, chooseRow(tt.rows, tt.ref, tt.keys))
		})
	}
}

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
