package event

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// of is the good event of a type that the documentation shows.
func of(t testing.TB, typ Type) Event { return mustDecode(t, load(t, "good/"+string(typ))) }

func TestWhatMakesEachEventItself(t *testing.T) {
	tests := map[Type]struct {
		orderNo, uuid    string
		key, vendorKey   string
		member, identity string
	}{
		OrderCreated:          {orderNo: "deal_201912110081", member: "id:16508"},
		OrderUpdated:          {orderNo: "123456", uuid: "u-1", member: "id:1"},
		OrderCancelled:        {orderNo: "123456"},
		OrderDeleted:          {orderNo: "123456", member: "id:1"},
		OrderRefunded:         {orderNo: "deal_201912110081", uuid: "r-1"},
		OrderRefundDeleted:    {orderNo: "deal_201912110081", uuid: "r-1"},
		PointIncremented:      {uuid: "p-1", vendorKey: "p-1", member: "id:16508"},
		PointDecremented:      {uuid: "p-1", vendorKey: "p-1", member: "id:16508"},
		MemberRegistered:      {uuid: "m-1", member: "mobile:13800000000", identity: "mobile:13800000000"},
		MemberUpdated:         {uuid: "m-2", member: "id:1"},
		MemberIdentityBound:   {uuid: "m-3", member: "id:1"},
		MemberIdentityRemoved: {uuid: "m-4", member: "id:1", identity: "wechat:666"},
		MemberMobileChanged:   {uuid: "m-5", member: "id:8", identity: "mobile:123"},
		CouponDrawn:           {uuid: "d-1", member: "id:1"},
		CouponRedeemed:        {uuid: "34636772868722688", key: "34636772868722688", vendorKey: "coupon.redeemed 34636772868722688", member: "id:1"},
		CouponCodeAdded:       {uuid: "a-1", key: "SH20261121A", vendorKey: "coupon.code_added SH20261121A"},
		CouponCodeUsed:        {uuid: "SH20261121A", key: "SH20261121A", vendorKey: "coupon.code_used SH20261121A"},
		DeviceRegistered:      {uuid: "v-1", key: "1507bfd3f7c466c355c", member: "id:16508"},
		LevelCreated:          {uuid: "l-1"},
		LevelUpdated:          {uuid: "l-2", key: "27"},
		LevelDeleted:          {uuid: "l-3", key: "27"},
	}
	for _, typ := range Types() {
		t.Run(string(typ), func(t *testing.T) {
			want, e := tests[typ], of(t, typ)
			kind := string(typ)
			if typ.Point() {
				kind = PointKind
			}
			require.Equal(t, Identity{Tenant: DefaultTenant, Kind: kind, OrderNo: want.orderNo, UUID: want.uuid}, e.Identity())
			require.Equal(t, want.key, e.Key)
			require.Equal(t, want.vendorKey, e.VendorKey())
			require.Equal(t, want.member, e.Member.Key())
			first := Member{Identities: e.Member.Identities}
			require.Equal(t, want.identity, first.Key())
		})
	}
}

func TestWhatIsKnownOfTheWholeCorpusIsReadAgainFromItsData(t *testing.T) {
	for _, f := range corpus(t, "good") {
		want := mustDecode(t, f.payload)
		got := Event{Type: want.Type, Tenant: want.Tenant, UUID: want.UUID, Data: want.Data}
		require.NoError(t, got.ReadAbout())
		require.Equal(t, want.Member, got.Member, f.name)
		require.Equal(t, want.Key, got.Key, f.name)
		require.Equal(t, want.UUID, got.UUID, f.name)
		require.Equal(t, want.Type.Keyed(), want.VendorKey() != "", f.name)
	}
}

func TestOnlyTheFieldsOfATypeAreRead(t *testing.T) {
	e := mustDecode(t, load(t, "good/level.created--custom-member-fields"))
	require.Equal(t, Member{}, e.Member)
	require.True(t, e.OccurredAt.IsZero())

	swap := func(typ Type, old, new string) Event {
		return mustDecode(t, []byte(strings.Replace(string(load(t, "good/"+string(typ))), old, new+","+old, 1)))
	}
	require.Equal(t, "id:1", swap(CouponDrawn, `"couponId"`, `"identities":[{"type":"mobile","value":"x "}],"orderNo":[1]`).Member.Key())
	require.Empty(t, swap(CouponCodeUsed, `"customerUid"`, `"membershipId":" ","uuid":{"a":1}`).Member.Key())
	require.Empty(t, swap(CouponDrawn, `"couponId"`, `"orderNo":"o-1"`).OrderNo)
}

func TestAMemberWhoIsNamedTwiceIsTakenByTheID(t *testing.T) {
	e := mustDecode(t, load(t, "good/member.updated--named-twice"))
	require.Equal(t, "id:16508", e.Member.Key())
	require.Len(t, e.Member.Identities, 2, "what else names them is kept")
}

func TestMembersAreKnownByWhatTheyHadBefore(t *testing.T) {
	require.Equal(t, "wechat:666", mustDecode(t, load(t, "good/member.identity_removed--no-id")).Member.Key())
	require.Equal(t, "mobile:123", mustDecode(t, load(t, "good/member.mobile_changed--no-id")).Member.Key())
	require.Empty(t, of(t, MemberIdentityBound).Member.Identities, "what is bound names nobody yet")
}

func TestTwoTillsThatUseOneCode(t *testing.T) {
	for typ, old := range map[Type]string{CouponRedeemed: `"membershipId": 1`, CouponCodeUsed: `"2026-11-21T15:59:30+08:00"`} {
		text := string(load(t, "good/"+string(typ)))
		first := mustDecode(t, []byte(text))
		again := mustDecode(t, []byte(strings.NewReplacer("pos/shanghai-001", "pos/shanghai-002", "5f0c1d2e", "77777777", "T08:00", "T08:01").Replace(text)))
		require.Equal(t, first.Identity(), again.Identity())
		require.Equal(t, first.Hash, again.Hash, "another till that says the same says it twice")
		require.Equal(t, MsgID(&first), MsgID(&again))

		changed := map[Type]string{CouponRedeemed: `"membershipId": 2`, CouponCodeUsed: `"2026-11-21T15:59:31+08:00"`}[typ]
		other := mustDecode(t, []byte(strings.Replace(text, old, changed, 1)))
		require.Equal(t, first.Identity(), other.Identity())
		require.NotEqual(t, first.Hash, other.Hash, "a conflict")
		require.NotEqual(t, MsgID(&first), MsgID(&other), "or JetStream would drop it, and nobody would see the conflict")
	}
}

func TestOneUUIDOfSeveralTypesIsSeveralEvents(t *testing.T) {
	seen := map[Identity]Type{}
	for _, typ := range Types() {
		id := (&Event{Type: typ, Tenant: DefaultTenant, OrderNo: "x", UUID: "x"}).Identity()
		if other, there := seen[id]; there {
			require.True(t, typ.Point() && other.Point(), "%s and %s", typ, other)
		}
		seen[id] = typ
	}
}

func TestACodeIsDerivedForEachEventAndStaysTheSame(t *testing.T) {
	e := mustDecode(t, load(t, "good/coupon.code_added--derived-code"))
	require.Equal(t, "3P7AKFFTMAGGRPE4ZKF7", e.Key, "codes that were issued are told by it")
	require.Regexp(t, regexp.MustCompile(`^[A-Z2-7]{20}$`), e.Key)
	require.Equal(t, e.Key, mustDecode(t, load(t, "good/coupon.code_added--nulls-for-unknown")).Key)
	seen := map[string]bool{}
	for _, c := range [][2]string{{"default", "a-1"}, {"default", "a-2"}, {"defaul", "ta-1"}, {"default-", "a-1"}, {"default", "A-1"}} {
		seen[DerivedCode(c[0], c[1])] = true
	}
	require.Len(t, seen, 5)
}

func TestAnUnknownTypeIsToldItsLikes(t *testing.T) {
	for found, want := range map[string]string{
		"coupon.used":   "the contract has coupon.drawn, coupon.redeemed, coupon.code_added, coupon.code_used",
		"Point.Granted": "the contract has point.incremented, point.decremented",
		"shipment.sent": "the contract has order.…, point.…, member.…, coupon.…, device.…, level.…",
	} {
		payload := strings.Replace(string(load(t, "good/order.created")), "order.created", found, 1)
		_, err := Decode(message([]byte(payload)), Limits{}, corpusNow)
		require.ErrorContains(t, err, want)
	}
}
