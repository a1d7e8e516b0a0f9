package sandbox

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Operations of HeyShop's loyalty API.
const (
	OpHeyShopLevels      = "heyshop.levels"
	OpHeyShopLevel       = "heyshop.level"
	OpHeyShopLevelCreate = "heyshop.level_create"
	OpHeyShopLevelUpdate = "heyshop.level_update"
	OpHeyShopLevelDelete = "heyshop.level_delete"
	OpHeyShopHistory     = "heyshop.history"
	OpHeyShopEntry       = "heyshop.entry"
	OpHeyShopAdjust      = "heyshop.adjust"
)

func heyshopOps() []string {
	return []string{
		OpHeyShopLevels, OpHeyShopLevel, OpHeyShopLevelCreate, OpHeyShopLevelUpdate, OpHeyShopLevelDelete,
		OpHeyShopHistory, OpHeyShopEntry, OpHeyShopAdjust,
	}
}

// HeyShopSwitches choose among what the document "VIP会员积分" leaves open.
type HeyShopSwitches struct {
	// NegativePoints of an adjust are "applied", below zero too; "refused" (400);
	// "cut" to what the customer has, which the reply shows; or "absolute": added as
	// if they had no sign.
	NegativePoints string `json:"negative_points"`
	// UnknownCustomer of an adjust gets "400" for the field, or "404".
	UnknownCustomer string `json:"unknown_customer"`
	// HistoryOrder of the rows is "newest" first, "oldest" first, or "none".
	HistoryOrder string `json:"history_order"`
	// MaxPageSize caps page_size; 0 = 100.
	MaxPageSize int `json:"max_page_size"`
	// CreateStatus is the HTTP status of what a POST has made; 0 = 201.
	CreateStatus int `json:"create_status"`
}

func (s *HeyShopSwitches) choices() []choice {
	return []choice{
		{"heyshop.negative_points", &s.NegativePoints, []string{"applied", "refused", "cut", "absolute"}},
		{"heyshop.unknown_customer", &s.UnknownCustomer, []string{"400", "404"}},
		{"heyshop.history_order", &s.HistoryOrder, []string{"newest", "oldest", "none"}},
	}
}

func (s *HeyShopSwitches) fill() {
	if s.MaxPageSize == 0 {
		s.MaxPageSize = 100
	}
	if s.CreateStatus == 0 {
		s.CreateStatus = http.StatusCreated
	}
}

func (s *HeyShopSwitches) check() error {
	if s.MaxPageSize < 1 {
		return fmt.Errorf("sandbox: switch heyshop.max_page_size is %d: use 1 or more", s.MaxPageSize)
	}
	if s.CreateStatus < 200 || s.CreateStatus > 299 {
		return fmt.Errorf("sandbox: switch heyshop.create_status is %d: use an HTTP status from 200 to 299", s.CreateStatus)
	}
	return nil
}

// heyshopStore is what a HeyShop shop holds beside its customers, who are the
// store's members.
type heyshopStore struct {
	levels  []*heyshopLevel // by id
	entries []*heyshopEntry // by id
	of      map[int64][]*heyshopEntry
}

func (s *Sandbox) heyshopRoutes() {
	const loyalty = "/api/loyalty"
	s.handle(heyshop(), map[string]route{
		"GET " + loyalty + "/level/{$}":                 {OpHeyShopLevels, (*Sandbox).listLevels},
		"POST " + loyalty + "/level/{$}":                {OpHeyShopLevelCreate, (*Sandbox).createLevel},
		"GET " + loyalty + "/level/{id}/{$}":            {OpHeyShopLevel, (*Sandbox).getLevel},
		"PUT " + loyalty + "/level/{id}/{$}":            {OpHeyShopLevelUpdate, (*Sandbox).updateLevel},
		"DELETE " + loyalty + "/level/{id}/{$}":         {OpHeyShopLevelDelete, (*Sandbox).deleteLevel},
		"GET " + loyalty + "/point_history/{$}":         {OpHeyShopHistory, (*Sandbox).listEntries},
		"GET " + loyalty + "/point_history/{id}/{$}":    {OpHeyShopEntry, (*Sandbox).getEntry},
		"POST " + loyalty + "/point_history/adjust/{$}": {OpHeyShopAdjust, (*Sandbox).adjustPoints},
	})
	// The document's paths end in a slash: no redirect to them.
	for _, path := range []string{"/level", "/level/{id}", "/point_history", "/point_history/{id}"} {
		s.mux.HandleFunc(loyalty+path, s.unknownPath)
	}
	s.mux.HandleFunc("POST /sandbox/heyshop/entries", s.postHeyShopEntry)
}

// heyshop is the dialect of HeyShop's loyalty API. Its errors are those of the
// framework that its paging shows.
func heyshop() *dialect {
	return &dialect{
		vendor:  HeyShop,
		name:    nameHeyShopCall,
		login:   (*Sandbox).loginByBearer,
		expire:  func(*Sandbox, *call) (int, any) { return http.StatusUnauthorized, detail("Invalid token.") },
		badBody: fail{Code: "detail", Message: "JSON parse error"},
		answer:  answerHeyShop,
		errors: map[string]worded{
			kindError:               {http.StatusOK, `{"detail":"Server error"}`},
			kindError500:            {http.StatusInternalServerError, `{"detail":"A server error occurred."}`},
			kindErrorBlank:          {http.StatusBadRequest, `{"detail":""}`},
			kindErrorNumber:         {http.StatusConflict, `{"code":409999,"detail":"error info"}`},
			string(ThrottleSeconds): {http.StatusTooManyRequests, `{"detail":"Request was throttled."}`},
		},
	}
}

func detail(text string) map[string]string { return map[string]string{"detail": text} }

// loginByBearer knows an account by its secret, which is its token.
func (s *Sandbox) loginByBearer(c *call) (*login, int, any) {
	token, found := strings.CutPrefix(c.header.Get("Authorization"), "Bearer ")
	if !found {
		return nil, http.StatusUnauthorized, detail("Authentication credentials were not provided.")
	}
	for _, l := range s.logins {
		if l.account.vendor() == HeyShop && subtle.ConstantTimeCompare([]byte(token), []byte(l.account.Secret)) == 1 {
			return l, 0, nil
		}
	}
	return nil, http.StatusUnauthorized, detail("Invalid token.")
}

// nameHeyShopCall: the customer of an adjust, the level's id or, of one that is
// created, its title.
func nameHeyShopCall(c *call) {
	f := rest{raw: c.body}
	switch c.op {
	case OpHeyShopAdjust:
		c.member = f.integer("customer_id")
		c.key = strconv.FormatInt(c.member, 10)
	case OpHeyShopLevelCreate:
		c.key = f.text("title")
	case OpHeyShopHistory:
		c.key = c.query.Get("customer")
	default:
		c.key = c.path
	}
}

func answerHeyShop(c *call, doc any, err *fail) (int, any) {
	switch {
	case err != nil && err.Code == "detail":
		return max(err.status, http.StatusBadRequest), detail(err.Message)
	case err != nil:
		return http.StatusBadRequest, map[string][]string{err.Code: {err.Message}}
	case c.op == OpHeyShopLevelCreate, c.op == OpHeyShopAdjust:
		return c.sw.HeyShop.CreateStatus, doc
	case c.op == OpHeyShopLevelDelete:
		return http.StatusNoContent, doc
	}
	return http.StatusOK, doc
}

func noSuchRow() *fail {
	return &fail{Code: "detail", Message: "Not found.", status: http.StatusNotFound}
}
