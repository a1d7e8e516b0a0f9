package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
