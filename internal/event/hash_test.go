package event

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func hashOf(t testing.TB, typ Type, tenant, data string) [32]byte {
	t.Helper()
	doc, bad := scan([]byte(data), "")
	require.Nil(t, bad)
	return doc.meaning(typ, tenant, 0)
}

func TestHashIsOfTheMeaning(t *testing.T) {
	same := [][]string{
		{`1`, `1.0`, `1e0`, `10e-1`, `0.1E+1`, `1.000e0`, `0.01e2`},
		{`0`, `0.0`, `-0`, `0e5`, `-0.00e-3`},
		{`100`, `1e2`, `1E+2`, `10.0e1`},
		{`-0.5`, `-5e-1`, `-0.50`},
		{`1001`, `1001.0`, `1.001e3`},
		{`{"a":1,"b":[true,null]}`, ` { "b" : [ true , null ] , "a" : 1.0 } `, `{"\u0061":1,"b":[true,null]}`},
		{`"é/😀"`, `"\u00e9\/\ud83d\ude00"`},
		{`1e400`, `10e399`},
	}
	different := []string{
		`908406823945994241`, `908406823945994240`, `908406823945994241.1`, `"1"`, `true`, `false`, `null`, `[]`, `{}`, `[1]`,
		`[[1]]`, `[1,2]`, `[2,1]`, `[12]`, `{"a":[1],"b":2}`, `{"a":[1,2]}`, `{"a":{"b":1}}`, `"a"`, `"A"`, `"a "`, `""`, `[""]`, `["",""]`,
		`{"a":null}`, `0.1`, `0.01`, `10`, `-1`, `"e\u0301"`, `11`, `101`, `1.1`,
	}
	seen := map[[32]byte]string{}
	add := func(data string) {
		h := hashOf(t, OrderCreated, "default", data)
		require.Empty(t, seen[h], "%s and %s", seen[h], data)
		seen[h] = data
	}
	for _, group := range same {
		for _, data := range group[1:] {
			require.Equal(t, hashOf(t, OrderCreated, "default", group[0]), hashOf(t, OrderCreated, "default", data), data)
		}
		add(group[0])
	}
	for _, data := range different {
		add(data)
	}
}

func TestHashIsOfTypeAndTenantToo(t *testing.T) {
	h := hashOf(t, OrderCreated, "default", `{}`)
	require.NotEqual(t, h, hashOf(t, OrderDeleted, "default", `{}`))
	require.NotEqual(t, h, hashOf(t, OrderCreated, "brand-2", `{}`))
}

// A hash is stored for good: another value here needs another HashVersion.
func TestHashVersion1IsWhatIsStored(t *testing.T) {
	h := hashOf(t, OrderCreated, "default", `{"orderNo":"1","amountPaid":59.10,"x":[null,true,-0]}`)
	require.Equal(t, "7490eeddf6cdc5ef8e540c511c7c04bd31cc2bfafbdae425f906e7dc010e735e", hex.EncodeToString(h[:]))
}

func TestSendingAgainIsTheSameMsgID(t *testing.T) {
	payload := string(load(t, "good/order.created"))
	e := mustDecode(t, []byte(payload))
	again := strings.NewReplacer("5f0c1d2e", "00000000", "08:00:00Z", "09:00:00Z", "pos/shanghai-001", "pos/other", `"amountPaid": 30`, `"amountPaid":30.00`).Replace(payload)
	require.Equal(t, MsgID(&e), MsgID(new(mustDecode(t, []byte(again)))))

	other := strings.Replace(payload, `"amountPaid": 30`, `"amountPaid": 30.01`, 1)
	require.NotEqual(t, MsgID(&e), MsgID(new(mustDecode(t, []byte(other)))))
}

func TestMsgIDDoesNotJoinColumns(t *testing.T) {
	a := Event{Type: OrderRefunded, Tenant: "t", OrderNo: "1", UUID: "23"}
	b := Event{Type: OrderRefunded, Tenant: "t", OrderNo: "12", UUID: "3"}
	c := Event{Type: OrderUpdated, Tenant: "t", OrderNo: "1", UUID: "23"}
	require.Equal(t, "27b567d7f8f8cde5b0fc4e7220cc44b62cf9b571274911ed8c2f66b073bf8157", MsgID(&a))
	require.Len(t, map[string]bool{MsgID(&a): true, MsgID(&b): true, MsgID(&c): true}, 3)
}
