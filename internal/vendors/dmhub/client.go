package dmhub

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"syncworker/internal/vendors"
)

// longestLifetime bounds what the vendor may say of a token's lifetime.
const longestLifetime = 24 * time.Hour

// client makes the calls of one login, with its token.
type client struct {
	transport *vendors.Transport
	tokens    vendors.TokenSource
	appID     string
	secret    vendors.Secret
	timeout   time.Duration
}

// bounded limits a whole push or read, fetching a token included, to two
// exchanges' time: less than the shortest lease.
func (c *client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 2*c.timeout)
}

// call makes one call with the account's token. What the gateway refuses the API
// has never seen, so that such a call is made once more with a new token, a
// write too.
func (c *client) call(ctx context.Context, req vendors.Request) (vendors.Result, reply) {
	req.Redact = []string{string(c.secret)}
	token, err := c.tokens.Token(ctx, c.fetch)
	for last := false; err == nil; last = true {
		req.Secret = url.Values{"access_token": {token.Value}}
		r, rep := understand(req, c.transport.Do(ctx, req))
		rep.secrets = []string{string(c.secret), token.Value}
		if r.Class != vendors.Denied || last {
			return r, rep
		}
		token, err = c.tokens.Refresh(ctx, token.Generation, c.fetch)
	}
	return c.noToken(req, err), reply{}
}

// ready makes sure that the next call has a token.
func (c *client) ready(ctx context.Context) vendors.Result {
	if _, err := c.tokens.Token(ctx, c.fetch); err != nil {
		return c.noToken(c.tokenRequest(), err)
	}
	return vendors.Result{Class: vendors.Applied, StartedAt: time.Now()}
}

// understand turns an exchange into a Result. Where the reply is an object of a
// call that went well, its class is left to the caller, who knows what was asked.
func understand(req vendors.Request, x vendors.Exchange) (vendors.Result, reply) {
	r := x.Result(req)
	if x.Err != nil {
		return r, reply{}
	}
	rep := readReply(x.Status, x.Body)
	r.Class = classify(x.Status, rep)
	r.Code, r.Message = vendors.Shorten(req.Clean(rep.code), 64), vendors.Shorten(req.Clean(rep.message), 500)
	r.Early = r.Class == vendors.Refused && early(rep.code)
	return r, rep
}

func (c *client) noToken(req vendors.Request, err error) vendors.Result {
	r := vendors.Result{Class: vendors.NotSent, Method: req.Method, Path: req.ShownPath(), StartedAt: time.Now()}
	var refused *vendors.TokenError
	if errors.As(err, &refused) {
		t := refused.Result
		r.Class, r.Status, r.Code, r.RetryAfter = t.Class, t.Status, t.Code, t.RetryAfter
		r.StartedAt, r.Duration = t.StartedAt, t.Duration
	}
	r.Message = vendors.Shorten(req.Clean(err.Error()), 500)
	return r
}

// tokenRequest is GET /security/accesstoken, which docs/vendors.md describes.
func (c *client) tokenRequest() vendors.Request {
	return vendors.Request{
		Method: http.MethodGet,
		Path:   "/security/accesstoken",
		Query:  url.Values{"grant_type": {"client_credentials"}},
		Secret: url.Values{"appid": {c.appID}, "secret": {string(c.secret)}},
	}
}

// fetch asks for a token: bad credentials come with 200 and an error_code that is
// a string, success with the number 0.
func (c *client) fetch(ctx context.Context) (string, time.Duration, error) {
	req := c.tokenRequest()
	x := c.transport.Do(ctx, req)
	r := x.Result(req)
	r.Reply = nil // a token may stand in it
	r.Class = vendors.NotSent
	if x.Err != nil {
		return "", 0, &vendors.TokenError{Result: r}
	}
	rep := readReply(x.Status, x.Body)
	token, lifetime, err := readToken(rep)
	if err == nil {
		return token, lifetime, nil
	}
	r.Code, r.Message = vendors.Shorten(req.Clean(rep.code), 64), vendors.Shorten(req.Clean(rep.message), 500)
	switch class := classify(x.Status, rep); {
	case rep.kind == gatewayError && class != vendors.Ambiguous, class == vendors.Denied, class == vendors.Throttled:
		r.Class = class
	case rep.ok:
		r.Message = err.Error()
	}
	return "", 0, &vendors.TokenError{Result: r}
}

// readToken takes the token out of a reply. Its errors don't quote the reply.
func readToken(rep reply) (token string, lifetime time.Duration, err error) {
	if !rep.ok {
		return "", 0, errors.New("the reply holds no token")
	}
	if err := json.Unmarshal(rep.fields["access_token"], &token); err != nil || token == "" {
		return "", 0, errors.New("access_token: missing in the reply, or not a string")
	}
	seconds, err := strconv.ParseInt(vendors.Text(rep.fields["expires_in"]), 10, 64)
	if err != nil || seconds <= 0 {
		return "", 0, errors.New("expires_in: not a number of seconds above 0 in the reply")
	}
	return token, time.Duration(min(seconds, int64(longestLifetime/time.Second))) * time.Second, nil
}
