package sandbox

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"time"
)

type login struct {
	account Account
	store   *store
	token   string // the only one that is valid
	expires time.Time

	day        string // of callsToday, China's
	callsToday int    // of the daily quota that an app id of Pospal's has
}

// gatewayError is the envelope of the API gateway, unlike the loyalty API's.
type gatewayError struct {
	Code        json.RawMessage `json:"error_code"` // number or string
	Description string          `json:"error_description"`
}

// issueToken makes the account's former token invalid.
func (s *Sandbox) issueToken(c *call) (any, *fail) {
	q := c.query
	l := s.logins[q.Get("appid")]
	if l == nil || l.account.vendor() != DMHub || q.Get("grant_type") != "client_credentials" ||
		subtle.ConstantTimeCompare([]byte(q.Get("secret")), []byte(l.account.Secret)) != 1 {
		return gatewayError{json.RawMessage(`"40004"`), "the params is illegal"}, nil
	}
	s.revoke(l)
	l.token, l.expires = rand.Text(), c.now.Add(s.cfg.TokenLifetime)
	s.tokens[l.token] = l
	s.ledger.tokens[l.account.AppID]++
	return map[string]any{
		"error_code": 0, "access_token": l.token, "expires_in": int(s.cfg.TokenLifetime.Seconds()),
	}, nil
}

func (s *Sandbox) revoke(l *login) {
	delete(s.tokens, l.token)
	l.token = ""
}

// RevokeToken makes the account's token invalid, as another client's fetch
// would.
func (s *Sandbox) RevokeToken(appID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.logins[appID]; l != nil {
		s.revoke(l)
	}
}

// loginByToken is how the calls of DM Hub's documents log in.
func (s *Sandbox) loginByToken(c *call) (*login, int, any) {
	l := s.tokens[c.query.Get("access_token")]
	if l == nil || !c.now.Before(l.expires) {
		return nil, http.StatusOK, s.tokenError()
	}
	return l, 0, nil
}

// expireToken makes the token of a call invalid.
func (s *Sandbox) expireToken(c *call) (int, any) {
	if l := s.logins[c.account]; l != nil {
		s.revoke(l)
	}
	return http.StatusOK, s.tokenError()
}

func (s *Sandbox) tokenError() gatewayError {
	s.denials++
	code := s.switches.TokenErrorCode
	text := s.switches.TokenErrorType == "string" ||
		s.switches.TokenErrorType == "alternate" && s.denials%2 == 0
	if text {
		b, _ := json.Marshal(code)
		return gatewayError{b, "access_token is invalid"}
	}
	return gatewayError{json.RawMessage(code), "access_token is invalid"}
}
