package dmhub

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"syncworker/internal/vendors"
)

func TestARowIsKnownByEveryKeyOfItsEvent(t *testing.T) {
	fresh := vendors.FurtherKey("p-1", 17, 3)
	for what, c := range map[string]struct {
		row  pointRow
		ours bool
	}{
		"its uuid":                {pointRow{Remark: "[uuid:p-1] tea"}, true},
		"a further key":           {pointRow{Remark: "[uuid:" + fresh + "]"}, true},
		"in externalId":           {pointRow{ExternalID: json.RawMessage(`"p-1"`)}, true},
		"further, in externalId":  {pointRow{ExternalID: json.RawMessage(`"` + fresh + `"`)}, true},
		"another uuid":            {pointRow{Remark: "[uuid:p-10] tea"}, false},
		"another, in externalId":  {pointRow{ExternalID: json.RawMessage(`"p-10"`)}, false},
		"a uuid that looks alike": {pointRow{Remark: "[uuid:p-1~x]"}, false},
		"a remark without one":    {pointRow{Remark: "p-1"}, false},
	} {
		require.Equal(t, c.ours, c.row.carries("p-1"), what)
	}
}
