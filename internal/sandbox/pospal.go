package sandbox

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Operations of Pospal's coupons, 促销(优惠券)API.
const (
	OpPospalPromotion      = "pospal.promotion"
	OpPospalPromotions     = "pospal.promotions"
	OpPospalPromotionPages = "pospal.promotion_pages"
	OpPospalCustomerCodes  = "pospal.customer_codes"
	OpPospalUsedCodes      = "pospal.used_codes"
	OpPospalCodeAdd        = "pospal.code_add"
	OpPospalCodeUse        = "pospal.code_use"
)

func pospalOps() []string {
	return []string{
		OpPospalPromotion, OpPospalPromotions, OpPospalPromotionPages, OpPospalCustomerCodes, OpPospalUsedCodes,
		OpPospalCodeAdd, OpPospalCodeUse,
	}
}

// CodeUsedTwice is the [Violation] of a use that took effect on a used code.
const CodeUsedTwice = "code_used_twice"

// PospalSwitches choose among what is left of Pospal's document leaves open.
type PospalSwitches struct {
	// DoubleUse of a code gets an "error" (3001), or "success" a second time.
	DoubleUse string `json:"double_use"`
	// ExistingCode that is added again gets an "error" (3004), or "success" without
	// any effect.
	ExistingCode string `json:"existing_code"`
	// UseTime is the time that a use counts from: as it was "sent", or the "server"'s.
	UseTime string `json:"use_time"`
	// PageSizeShown says whether pages tell how long they may be: "shown" or "hidden".
	PageSizeShown string `json:"page_size_shown"`
	// CodeType of errorCode in JSON: "number" or "string".
	CodeType string `json:"code_type"`
	// MessagesType in JSON: "list" or "text".
	MessagesType string `json:"messages_type"`
	// StatusCase of status: "lower" or "upper".
	StatusCase string `json:"status_case"`
	// DailyQuota is how many calls an app id has a day, by China's day; 0 = 3000.
	DailyQuota int `json:"daily_quota"`
	// OverQuotaCode is the error code of a call beyond it, which no document names;
	// "" = 1042.
	OverQuotaCode string `json:"over_quota_code"`
	// OverQuotaStatus is that reply's HTTP status; 0 = 200.
	OverQuotaStatus int `json:"over_quota_status"`
	// PageSize is how many rows a page has; 0 = 100.
	PageSize int `json:"page_size"`
}

func (s *PospalSwitches) choices() []choice {
	return []choice{
		{"pospal.double_use", &s.DoubleUse, []string{"error", "success"}},
		{"pospal.existing_code", &s.ExistingCode, []string{"error", "success"}},
		{"pospal.use_time", &s.UseTime, []string{"sent", "server"}},
		{"pospal.page_size_shown", &s.PageSizeShown, []string{"shown", "hidden"}},
		{"pospal.code_type", &s.CodeType, []string{"number", "string"}},
		{"pospal.messages_type", &s.MessagesType, []string{"list", "text"}},
		{"pospal.status_case", &s.StatusCase, []string{"lower", "upper"}},
	}
}

func (s *PospalSwitches) fill() {
	if s.DailyQuota == 0 {
		s.DailyQuota = 3000
	}
	if s.OverQuotaCode == "" {
		s.OverQuotaCode = "1042"
	}
	if s.OverQuotaStatus == 0 {
		s.OverQuotaStatus = http.StatusOK
	}
	if s.PageSize == 0 {
		s.PageSize = 100
	}
}

func (s *PospalSwitches) check() error {
	for name, n := range map[string]int{"daily_quota": s.DailyQuota, "page_size": s.PageSize} {
		if n < 1 {
			return fmt.Errorf("sandbox: switch pospal.%s is %d: use 1 or more", name, n)
		}
	}
	if s.OverQuotaStatus < 200 || s.OverQuotaStatus > 599 {
		return fmt.Errorf("sandbox: switch pospal.over_quota_status is %d: use an HTTP status from 200 to 599", s.OverQuotaStatus)
	}
	if !digits(s.OverQuotaCode) {
		return fmt.Errorf("sandbox: switch pospal.over_quota_code is %q: use digits", s.OverQuotaCode)
	}
	return nil
}

func (s *Sandbox) pospalRoutes() {
	const (
		reads  = "POST /pospal-api2/openapi/v1/promotionOpenApi/"
		writes = "/pospal-api/api/auth/openapi/"
	)
	s.handle(pospal(), map[string]route{
		reads + "queryCouponPromotionByUid":              {OpPospalPromotion, (*Sandbox).getPromotion},
		reads + "queryCouponPromotions":                  {OpPospalPromotions, (*Sandbox).listPromotions},
		reads + "queryPromotionPages":                    {OpPospalPromotionPages, (*Sandbox).pagePromotions},
		reads + "queryCustomerCouponCodePage":            {OpPospalCustomerCodes, (*Sandbox).pageCustomerCodes},
		reads + "queryUsedPromotionCode":                 {OpPospalUsedCodes, (*Sandbox).pageUsedCodes},
		"POST " + writes + "promotion/addCouponcode/{$}": {OpPospalCodeAdd, (*Sandbox).addCode},
		"POST " + writes + "promotioncouponcode/use/{$}": {OpPospalCodeUse, (*Sandbox).useCode},
		reads + "addCouponcode":                          {OpPospalCodeAdd, (*Sandbox).addCode}, // as a client has it
		reads + "promotioncouponcode/use":                {OpPospalCodeUse, (*Sandbox).useCode},
	})
	// The document's paths end in a slash: no redirect to them.
	s.mux.HandleFunc(writes+"promotion/addCouponcode", s.unknownPath)
	s.mux.HandleFunc(writes+"promotioncouponcode/use", s.unknownPath)
	s.mux.HandleFunc("POST /sandbox/pospal/promotions", s.postPospalPromotion)
	s.mux.HandleFunc("GET /sandbox/pospal/codes", s.getPospalCodes)
	s.mux.HandleFunc("POST /sandbox/pospal/codes", s.postPospalCode)
}

// pospal is the dialect of Pospal's open platform: all errors come in one envelope,
// with HTTP 200.
func pospal() *dialect {
	return &dialect{
		vendor: Pospal,
		name:   namePospalCall,
		login:  (*Sandbox).loginBySignature,
		expire: func(_ *Sandbox, c *call) (int, any) {
			return answerPospal(c, nil, &fail{Code: "1032", Message: "签名不匹配"})
		},
		badBody: fail{Code: "9003", Message: "参数错误"},
		answer:  answerPospal,
		errors: map[string]worded{
			kindError:               {http.StatusOK, `{"status":"error","messages":["系统错误"],"errorCode":5000,"data":null}`},
			kindError500:            {http.StatusInternalServerError, `{"status":"error","messages":["系统错误"],"errorCode":"5000","data":null}`},
			kindErrorBlank:          {http.StatusOK, `{"status":"error","messages":"","errorCode":"","data":null}`},
			kindErrorNumber:         {http.StatusOK, `{"status":"error","messages":["error info"],"errorCode":999999,"data":null}`},
			string(ThrottleSeconds): {http.StatusTooManyRequests, `{"status":"error","messages":["访问过于频繁"],"errorCode":null,"data":null}`},
		},
	}
}

// namePospalCall: a write is about its code, a read about its customer or rule.
func namePospalCall(c *call) {
	f := signed{raw: c.body}
	c.member = f.uid("customerUid", false)
	switch c.op {
	case OpPospalCodeAdd, OpPospalCodeUse:
		c.key = f.text("code", false)
	case OpPospalCustomerCodes:
		c.key = strconv.FormatInt(c.member, 10)
	case OpPospalPromotion:
		c.key = strconv.FormatInt(f.uid("promotionCouponUid", false), 10)
	}
}

// loginBySignature checks the headers (接口交互格式说明): data-signature is the MD5
// of appKey and the body as it came, in capitals.
func (s *Sandbox) loginBySignature(c *call) (*login, int, any) {
	refuse := func(code, message string) (*login, int, any) {
		status, doc := answerPospal(c, nil, &fail{Code: code, Message: message})
		return nil, status, doc
	}
	f := signed{raw: c.body}
	l := s.logins[f.text("appId", false)]
	sent := c.header.Get("data-signature")
	_, err := strconv.ParseUint(c.header.Get("time-stamp"), 10, 63)
	switch {
	case sent == "":
		return refuse("1031", "缺少签名")
	case err != nil, c.header.Get("User-Agent") != "openApi":
		return refuse("1033", "验证错误")
	case l == nil || l.account.vendor() != Pospal:
		return refuse("1034", "appId不存在")
	}
	sum := md5.Sum(append([]byte(l.account.Secret), c.raw...))
	if subtle.ConstantTimeCompare([]byte(sent), []byte(strings.ToUpper(hex.EncodeToString(sum[:])))) != 1 {
		return refuse("1032", "签名不匹配")
	}
	if l.callsOn(c.now) >= c.sw.Pospal.DailyQuota {
		_, doc := answerPospal(c, nil, &fail{Code: c.sw.Pospal.OverQuotaCode, Message: "超出每日访问次数"})
		return nil, c.sw.Pospal.OverQuotaStatus, doc
	}
	l.callsToday++
	return l, 0, nil
}

// callsOn is how many calls an app id has made on China's day.
func (l *login) callsOn(now time.Time) int {
	if day := now.In(china).Format(time.DateOnly); day != l.day {
		l.day, l.callsToday = day, 0
	}
	return l.callsToday
}

// CallsToday is how many calls of its daily quota an app id has made.
func (s *Sandbox) CallsToday(appID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.logins[appID]; l != nil {
		return l.callsOn(s.cfg.Now())
	}
	return 0
}

// answerPospal puts what an action returned into the envelope. Rows of
// queryPromotionPages stand in the envelope itself, as the document has them.
func answerPospal(c *call, doc any, err *fail) (int, any) {
	sw := c.sw.Pospal
	status, code, messages := "success", json.RawMessage("null"), []string{}
	if err != nil {
		status, code, messages = "error", json.RawMessage(err.Code), []string{err.Message}
		if sw.CodeType == "string" {
			code = encode(err.Code)
		}
	}
	if sw.StatusCase == "upper" {
		status = strings.ToUpper(status)
	}
	o := object{}.text("status", status)
	if sw.MessagesType == "text" {
		o = o.text("messages", strings.Join(messages, ","))
	} else {
		o = o.raw("messages", encode(messages))
	}
	o = o.raw("errorCode", code)
	if rows, ok := doc.(fields); ok && c.op == OpPospalPromotionPages {
		return http.StatusOK, o.all(rows).end()
	}
	return http.StatusOK, o.raw("data", encode(doc)).end()
}
