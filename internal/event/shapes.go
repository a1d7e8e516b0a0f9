package event

import (
	"fmt"
	"slices"
	"strings"
)

// field is a name that the contract knows in an object, and its rule.
type field struct {
	name string
	rule rule
}

// shape is what the contract says about one object. Names it doesn't know are
// left alone: vendors have custom fields.
type shape struct {
	fields   []field
	required []string
}

// dataShape is the shape of an event's data.
type dataShape struct {
	shape
	member bool // membershipId or identities is required
}

// shapeOf returns what a till has to know to publish an event of the type, which
// is less than what the vendor's document marks as required.
func shapeOf(t Type) (dataShape, bool) {
	s, ok := shapes[t]
	return s, ok
}

var (
	identityShape = shape{
		fields:   []field{{"type", key}, {"value", key}, {"name", text}},
		required: []string{"type", "value"},
	}

	// membershipShape is that of dmhub-loyalty, 会员模型, as far as it is a publisher's
	// to set. customerId isn't here: the document has it as a text and as a number.
	membershipShape = shape{fields: []field{
		{"name", text},
		{"familyName", text},
		{"givenName", text},
		{"membershipCode", text},
		{"idCard", text},
		{"address", text},
		{"educationBackgro", text},
		{"img", text},
		{"gender", whole},
		{"email", text},
		{"birthday", text},
		{"dateJoin", moment},
		{"createMethod", text},
		{"createChannel", text},
		{"industry", text},
		{"income", text},
		{"referrer", text},
		{"source", text},
		{"contentName", text},
		{"campaignId", text},
		{"country", text},
		{"province", text},
		{"city", text},
		{"county", text},
		{"id", readOnly("name the member by membershipId")},
		{"mobile", readOnly("send it among the identities of member.registered, or publish member.mobile_changed")},
		{"point", readOnly("publish point.incremented or point.decremented")},
	}}

	// lineFields are those of dmhub-loyalty §11.1, 订单行; priceSubPaid is in
	// its sample only.
	lineFields = []field{
		{"lineId", key},
		{"productName", text},
		{"qty", quantity},
		{"productId", text},
		{"skuId", text},
		{"category", text},
		{"priceUnit", money},
		{"priceSubTotal", money},
		{"priceSubPaid", money},
	}
	newLine   = shape{fields: lineFields, required: []string{"lineId", "productName", "qty"}}
	namedLine = shape{fields: lineFields, required: []string{"lineId"}}

	shapes = map[Type]dataShape{
		OrderCreated: {member: true, shape: shape{orderFields(newLine), []string{
			"orderNo", "dateOrder", "amountPaid", "store", "salesChannel", "dealLines",
		}}},
		OrderUpdated:       {shape: shape{orderFields(namedLine), []string{"orderNo", "uuid"}}},
		OrderCancelled:     {shape: shape{orderFields(namedLine), []string{"orderNo"}}},
		OrderDeleted:       {shape: shape{orderFields(namedLine), []string{"orderNo"}}},
		OrderRefundDeleted: {shape: shape{orderFields(namedLine), []string{"orderNo", "uuid"}}},
		OrderRefunded: {shape: shape{orderFields(namedLine), []string{
			"orderNo", "uuid", "refundTotal", "dateRefund", "refundLines",
		}}},
		PointIncremented: {member: true, shape: shape{pointFields(5), []string{"uuid", "point", "pattern"}}},
		PointDecremented: {member: true, shape: shape{
			append(pointFields(6), field{"decrToZero", flag}), []string{"uuid", "point", "pattern"},
		}},

		MemberRegistered: {shape: shape{[]field{
			{"uuid", key},
			{"membership", anObject(membershipShape)},
			{"identities", list(identityShape)},
			{"membershipId", readOnly("the vendor gives it; publish member.updated for a member who has one")},
		}, []string{"uuid", "membership", "identities"}}},
		MemberUpdated: {member: true, shape: shape{[]field{
			{"uuid", key},
			{"membershipId", membershipID},
			{"identities", list(identityShape)},
			{"membership", anObject(membershipShape)},
			{"forceUpdate", flag},
		}, []string{"uuid", "membership"}}},
		MemberIdentityBound: {shape: shape{[]field{
			{"uuid", key}, {"membershipId", membershipID}, {"identities", list(identityShape)},
		}, []string{"uuid", "membershipId", "identities"}}},
		MemberIdentityRemoved: {shape: shape{[]field{
			{"uuid", key}, {"membershipId", membershipID}, {"type", key}, {"value", key},
		}, []string{"uuid", "type", "value"}}},
		MemberMobileChanged: {shape: shape{[]field{
			{"uuid", key}, {"membershipId", membershipID}, {"oldMobile", key}, {"newMobile", key},
		}, []string{"uuid", "oldMobile", "newMobile"}}},
		CouponDrawn: {shape: shape{[]field{
			{"uuid", key}, {"membershipId", membershipID}, {"couponId", key},
		}, []string{"uuid", "membershipId", "couponId"}}},
		CouponRedeemed: {member: true, shape: shape{[]field{
			{"couponCode", key}, {"membershipId", membershipID}, {"identities", list(identityShape)},
		}, []string{"couponCode"}}},
		CouponCodeAdded: {shape: shape{[]field{
			{"uuid", key}, {"promotionCouponUid", vendorID}, {"customerUid", vendorID}, {"code", couponCode},
		}, []string{"uuid", "promotionCouponUid"}}},
		CouponCodeUsed: {shape: shape{[]field{
			{"code", couponCode}, {"customerUid", vendorID}, {"useDateTime", moment},
		}, []string{"code"}}},
		DeviceRegistered: {shape: shape{[]field{
			{"uuid", key},
			{"provider", searched},
			{"appKey", searched},
			{"pushId", key},
			{"os", searched},
			{"membershipId", membershipID},
			{"mobile", key},
		}, []string{"uuid", "provider", "appKey", "pushId", "os"}}},
		LevelCreated: {shape: shape{
			append(levelFields(), field{"id", readOnly("the vendor gives it; publish level.updated for a level that has one")}), levelRequired(),
		}},
		LevelUpdated: {shape: shape{append(levelFields(), field{"id", vendorID}), append(levelRequired(), "id")}},
		LevelDeleted: {shape: shape{[]field{{"uuid", key}, {"id", vendorID}}, []string{"uuid", "id"}}},
	}
)

// levelFields are those of a HeyShop level rule (创建积分等级规则), and our uuid.
func levelFields() []field {
	return []field{
		{"uuid", key},
		{"title", searched},
		{"condition_points", whole},
		{"sign_points", whole},
		{"gain_points", quantity},
		{"redeem_points", whole},
		{"redeem_limitation", whole},
		{"redeem_limitation_monthly", whole},
	}
}

func levelRequired() []string { return []string{"uuid", "title", "condition_points"} }

// orderFields are those of dmhub-loyalty §11.1 to §11.5, the same for every type
// of order event, and our uuid.
func orderFields(line shape) []field {
	return []field{
		{"orderNo", key},
		{"uuid", key},
		{"membershipId", membershipID},
		{"identities", list(identityShape)},
		{"dateOrder", moment},
		{"amountPaid", paid},
		{"amountTotal", money},
		{"amountDiscount", money},
		{"store", searched},
		{"salesChannel", searched},
		{"dealLines", list(line)},
		{"dateRefund", moment},
		{"refundTotal", paid},
		{"refundLines", list(namedLine)},
		{"reason", text},
		{"type", text},
		{"couponCode", text},
		{"groupId", text},
		{"paymentTerm", text},
		{"paymentNo", text},
		{"shippingMethod", text},
		{"contactName", text},
		{"contactTel", text},
		{"shippingProvince", text},
		{"shippingCity", text},
		{"shippingCounty", text},
		{"shippingStreet", text},
		{"shippingAddress", text},
		{"currency", text},
	}
}

// pointFields are those of dmhub-loyalty §5.
func pointFields(lastPattern int) []field {
	return []field{
		{"uuid", key},
		{"membershipId", membershipID},
		{"identities", list(identityShape)},
		{"point", points},
		{"pattern", pattern(lastPattern)},
		{"date", moment},
		{"remark", text},
		{"source", text},
		{"contentName", text},
		{"campaignId", text},
		{"uuid_timeout", seconds},
	}
}

// data checks an event's data against its type's shape.
func (c *checker) data(at int32, s dataShape) {
	if c.object(at, s.shape); !s.member || c.doc.nodes[at].kind != kindObject {
		return
	}
	if _, ok := c.doc.given(at, "membershipId"); ok {
		return
	}
	if n, ok := c.doc.given(at, "identities"); ok && (n.kind != kindArray || n.count > 0) {
		return
	}
	c.missing(at, "membershipId", "neither membershipId nor identities names the member; send one of them")
}

// maxFields is at least the number of fields of any shape.
const maxFields = 32

// object checks the members that the contract knows.
func (c *checker) object(at int32, s shape) {
	if !c.is(at, kindObject) {
		return
	}
	found := c.known(at, s.fields)
	for i, f := range s.fields {
		n := found[i]
		required := slices.Contains(s.required, f.name)
		switch {
		case n == 0 && required:
			c.missing(at, f.name, "isn't there; send it, the contract requires it")
		case n == 0:
		case required && c.empty(n):
			c.reject(MissingField, n, "is null or empty; send it, the contract requires it")
		case c.doc.nodes[n].kind != kindNull:
			f.rule(c, n)
		}
	}
}

// known returns the member of each field, 0 where there is none, and rejects
// names that differ from a known one by case only: readers that ignore case
// would take the one for the other.
func (c *checker) known(object int32, fields []field) (found [maxFields]int32) {
	for _, at := range c.doc.members(object) {
		name := c.doc.nodes[at].key
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if i >= 0 {
			found[i] = at
			continue
		}
		i = slices.IndexFunc(fields, func(f field) bool { return strings.EqualFold(f.name, name) })
		if i >= 0 {
			c.reject(KeyCase, at, fmt.Sprintf("differs from %q by case alone; write it as %q", fields[i].name, fields[i].name))
		}
	}
	return found
}

// empty reports null, "" and [].
func (c *checker) empty(at int32) bool {
	n := c.doc.nodes[at]
	return n.kind == kindNull || n.kind == kindString && n.text == "" || n.kind == kindArray && n.count == 0
}
