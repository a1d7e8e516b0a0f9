package sandbox

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
)

// Operations on members, coupons and devices of "dmhub-loyalty".
const (
	OpMemberList      = "member.list"
	OpMemberUpdate    = "member.update"
	OpMemberBind      = "member.bind"
	OpMemberUnbind    = "member.unbind"
	OpMemberMobile    = "member.mobile"
	OpMemberFindMany  = "member.find_many"
	OpMemberMD5       = "member.md5"
	OpLevelRules      = "level.rules"
	OpExperience      = "experience.details"
	OpCouponList      = "coupon.list"
	OpCouponGet       = "coupon.get"
	OpCouponByChannel = "coupon.by_channel"
	OpCouponDraw      = "coupon.draw"
	OpCouponHeld      = "coupon.held"    // a member's coupons
	OpCouponByCode    = "coupon.by_code" // one of them
	OpCouponRedeem    = "coupon.redeem"
	OpDeviceRegister  = "device.register"
)

func memberOps() []string {
	return []string{
		OpMemberList, OpMemberUpdate, OpMemberBind, OpMemberUnbind, OpMemberMobile, OpMemberFindMany, OpMemberMD5,
		OpLevelRules, OpExperience, OpCouponList, OpCouponGet, OpCouponByChannel, OpCouponDraw, OpCouponHeld,
		OpCouponByCode, OpCouponRedeem, OpDeviceRegister,
	}
}

// memberLane is laneKind of these operations: who registers an identity, changes a
// member, draws for one, redeems a coupon or registers a device does it alone.
func memberLane(op string) string {
	switch op {
	case OpMemberCreate:
		return "identity"
	case OpMemberUpdate, OpMemberBind, OpMemberUnbind, OpMemberMobile:
		return "member"
	case OpCouponDraw:
		return "draws"
	case OpCouponRedeem:
		return "coupon"
	case OpDeviceRegister:
		return "device"
	}
	return ""
}

// MemberSwitches choose among what "dmhub-loyalty" leaves open of members and
// their coupons.
type MemberSwitches struct {
	// BindAgain of an identity that the member has: "error" (222) or "echo".
	BindAgain string `json:"bind_again"`
	// MobileAgain is a change to the number that the member has by now: "error"
	// (212) or "echo".
	MobileAgain string `json:"mobile_again"`
	// RedeemTwice of a coupon: "error" (409000) or "echo".
	RedeemTwice string `json:"redeem_twice"`
	// IdentitiesShown with a member who was found by one: "all", or "asked" for.
	IdentitiesShown string `json:"identities_shown"`
	// TotalsSwapped makes total of a list the rows and records the pages, as one of
	// the document's samples may be read.
	TotalsSwapped bool `json:"totals_swapped"`
}

func (s *MemberSwitches) choices() []choice {
	return []choice{
		{"members.bind_again", &s.BindAgain, []string{"error", "echo"}},
		{"members.mobile_again", &s.MobileAgain, []string{"error", "echo"}},
		{"members.redeem_twice", &s.RedeemTwice, []string{"error", "echo"}},
		{"members.identities_shown", &s.IdentitiesShown, []string{"all", "asked"}},
	}
}

func (s *Sandbox) memberRoutes() {
	d := dmhub()
	d.name, d.answer = nameMemberCall, answerMemberCall
	const loyalty = "/loyalty/v1"
	s.handle(d, map[string]route{
		"GET " + loyalty + "/membership":                                    {OpMemberList, (*Sandbox).listMembers},
		"POST " + loyalty + "/membershipAndIdentities":                      {OpMemberCreate, (*Sandbox).createMember},
		"GET " + loyalty + "/membership/{id}":                               {OpMemberGet, (*Sandbox).getMember},
		"PUT " + loyalty + "/membership/{id}":                               {OpMemberUpdate, (*Sandbox).updateMember},
		"POST " + loyalty + "/membership/{id}/bindIdentity":                 {OpMemberBind, (*Sandbox).bindIdentity},
		"GET " + loyalty + "/membershipService/getMembershipByIdentity":     {OpMemberFind, (*Sandbox).findMember},
		"POST " + loyalty + "/membershipService/listMembershipByIdentities": {OpMemberFindMany, (*Sandbox).findMembers},
		"PUT " + loyalty + "/membershipService/updateMobile":                {OpMemberMobile, (*Sandbox).updateMobile},
		"DELETE " + loyalty + "/membership/identity/{id}":                   {OpMemberUnbind, (*Sandbox).unbindIdentity},
		"GET " + loyalty + "/membershipService/getMembershipIdentityByMd5":  {OpMemberMD5, (*Sandbox).identityByMD5},
		"GET " + loyalty + "/settings/level/rules":                          {OpLevelRules, (*Sandbox).levelRules},
		"GET " + loyalty + "/membership/{id}/exp/changeLogs":                {OpExperience, (*Sandbox).experience},
		"GET " + loyalty + "/coupon":                                        {OpCouponList, (*Sandbox).listCoupons},
		"GET " + loyalty + "/coupon/{id}":                                   {OpCouponGet, (*Sandbox).getCoupon},
		"GET " + loyalty + "/couponService/getCouponByChannel":              {OpCouponByChannel, (*Sandbox).couponByChannel},
		"POST " + loyalty + "/membership/{id}/coupon/draw":                  {OpCouponDraw, (*Sandbox).drawCoupon},
		"GET " + loyalty + "/membership/{id}/coupon":                        {OpCouponHeld, (*Sandbox).heldCoupons},
		"GET " + loyalty + "/membershipCoupon/{id}":                         {OpCouponByCode, (*Sandbox).couponByCode},
		"POST " + loyalty + "/membershipCoupon/{id}/redeem":                 {OpCouponRedeem, (*Sandbox).redeemCoupon},
		"POST " + loyalty + "/appPush/register":                             {OpDeviceRegister, (*Sandbox).registerDevice},
	})
	s.mux.HandleFunc("GET /sandbox/coupons", s.getHeld)
	s.mux.HandleFunc("POST /sandbox/coupons", s.postCoupon)
	s.mux.HandleFunc("GET /sandbox/devices", s.getDevices)
}

// nameMemberCall: the member, the coupon's code or id, the first identity that is
// registered, or the push id.
func nameMemberCall(c *call) {
	nameDMHubCall(c)
	f := form{raw: c.body}
	switch c.op {
	case OpMemberBind, OpMemberFindMany: // an array
		c.bodyErr = nil
		if raw := bytes.TrimSpace(c.raw); len(raw) == 0 || raw[0] != '[' || !json.Valid(raw) {
			c.bodyErr = &c.dialect.badBody
		}
	case OpMemberCreate:
		c.key = ""
		if rows := f.rows("identities", true); len(rows) > 0 {
			first := form{raw: rows[0]}
			c.key = first.text("type", true) + ":" + first.text("value", true)
		}
	case OpMemberMobile:
		c.member = f.integer("membershipId", false)
		c.key = strconv.FormatInt(c.member, 10)
	case OpCouponGet, OpCouponByCode, OpCouponRedeem:
		c.key, c.member = c.path, f.integer("membershipId", false)
	case OpDeviceRegister:
		c.key = f.text("pushId", false)
	}
}

// answerMemberCall: the errors of §14 have a number for a code.
func answerMemberCall(c *call, doc any, err *fail) (int, any) {
	if code, known := 0, error(nil); err != nil && c.op == OpMemberUnbind {
		if code, known = strconv.Atoi(err.Code); known == nil {
			return c.sw.ErrorStatus, map[string]any{"error": map[string]any{"code": code, "message": err.Message}}
		}
	}
	return answerDMHub(c, doc, err)
}

// paged answers with the rows of the page that is asked for (§13, §15, §16), oldest
// first unless sord is desc.
func paged[T any](c *call, all []T, doc func(T) any) map[string]any {
	size, page := positive(c.query.Get("rows"), 20), positive(c.query.Get("page"), 1)
	from := min((page-1)*size, len(all))
	docs := []any{}
	for i := from; i < min(from+size, len(all)); i++ {
		at := i
		if c.query.Get("sord") == "desc" {
			at = len(all) - 1 - i
		}
		docs = append(docs, doc(all[at]))
	}
	reply := map[string]any{"rows": docs}
	if c.query.Get("needTotal") == "true" {
		records, total := len(all), (len(all)+size-1)/size
		if c.sw.Members.TotalsSwapped {
			records, total = total, records
		}
		reply["records"], reply["total"] = records, total
	}
	return reply
}

func (s *Sandbox) getHeld(w http.ResponseWriter, _ *http.Request) { answerLines(w, s.HeldCoupons()) }

func (s *Sandbox) getDevices(w http.ResponseWriter, _ *http.Request) { answerLines(w, s.Devices()) }

// postCoupon seeds one coupon.
func (s *Sandbox) postCoupon(w http.ResponseWriter, r *http.Request) {
	var coupon Coupon
	if !read(w, r, &coupon) {
		return
	}
	if err := s.SeedCoupon(coupon); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer(w, coupon)
}
