package vendorstest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/vendors"
)

const (
	patient   = 30 * time.Second
	impatient = 200 * time.Millisecond
)

// statuses crosses all HTTP statuses with all kinds of bodies.
func (s Suite) statuses(t *testing.T, sample Sample) {
	srv := s.serve(t, patient)
	code := strconv.Itoa(s.Refusal)
	type kind struct {
		name   string
		answer func(status int) http.HandlerFunc
		good   vendors.Class // with 200 and 201
		always bool          // with every other status too
	}
	kinds := []kind{
		{"good", body(sample.Good), vendors.Applied, false},
		{"empty", body(""), vendors.Ambiguous, false},
		{"null", body("null"), vendors.Ambiguous, false},
		{"empty object", body("{}"), vendors.Ambiguous, false},
		{"list", body("[" + sample.Good + "]"), vendors.Ambiguous, false},
		{"other object", body(other(sample.Good)), vendors.Ambiguous, false},
		{"HTML", gossip, vendors.Ambiguous, false},
	}
	if sample.Good == "" {
		kinds[0].good = vendors.Ambiguous
	} else {
		kinds = append(kinds,
			kind{"truncated", body(sample.Good[:len(sample.Good)-1]), vendors.Ambiguous, false},
			kind{"with something behind", body(sample.Good + sample.Good), vendors.Ambiguous, false})
	}
	if s.Error != nil {
		kinds = append(kinds,
			kind{"code as string", body(s.Error(code, "no: "+Mobile+" "+Secret)), vendors.Refused, true},
			kind{"code as number", body(s.Error(s.Refusal, "no: "+ContactTel)), vendors.Refused, true},
			kind{"empty code", body(s.Error("", Secret)), vendors.Ambiguous, false},
			kind{"unknown code", body(s.Error("987654", Mobile)), vendors.Ambiguous, false})
	}
	if s.ServerError != 0 {
		kinds = append(kinds, kind{"server error", body(s.Error(s.ServerError, "")), vendors.Ambiguous, true})
	}
	for status := 200; status < 600; status++ {
		if http.StatusText(status) == "" {
			continue
		}
		for _, k := range kinds {
			want := expected(status, k.good, k.always)
			if status == http.StatusNoContent && sample.NoContent {
				want = vendors.Applied
			}
			r, _ := srv.push(t, sample.Call, k.answer(status))
			require.Equalf(t, want, r.Class, "status %d, body %s: %+v", status, k.name, r)
			require.Equalf(t, status, r.Status, "body %s", k.name)
			if want == vendors.Refused {
				require.Equal(t, code, r.Code)
			}
		}
	}
	for _, own := range s.Replies {
		for _, status := range []int{200, 201, 202, 400, 401, 403, 404, 405, 409, 410, 422, 429, 500, 502, 503, 504} {
			r, _ := srv.push(t, sample.Call, reply(status, own.Body))
			require.Equalf(t, own.Class(sample.Name, status), r.Class, "status %d, body %s: %+v", status, own.Name, r)
		}
	}
}

// other is an object that isn't the one by which the vendor says that it's done.
func other(good string) string {
	if success := `{"result":"success"}`; success != good {
		return success
	}
	return `{"result":"accepted"}`
}

func body(text string) func(int) http.HandlerFunc {
	return func(status int) http.HandlerFunc { return reply(status, text) }
}

func expected(status int, good vendors.Class, always bool) vendors.Class {
	switch {
	case status == http.StatusNoContent, status == http.StatusNotModified:
		return vendors.Ambiguous // these have no body
	case status == http.StatusOK, status == http.StatusCreated, always:
		return good
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return vendors.Denied
	case status == http.StatusTooManyRequests:
		return vendors.Throttled
	}
	return vendors.Ambiguous
}

func (s Suite) redirects(t *testing.T, sample Sample) {
	srv := s.serve(t, patient)
	for _, status := range []int{301, 302, 303, 307, 308} {
		r, calls := srv.push(t, sample.Call, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/elsewhere?"+r.URL.RawQuery)
			reply(status, sample.Good)(w, r)
		})
		require.Equalf(t, vendors.Ambiguous, r.Class, "status %d", status)
		require.Equalf(t, 1, calls, "status %d was followed", status)
	}
}

func (s Suite) throttled(t *testing.T, sample Sample) {
	srv := s.serve(t, patient)
	in := func(header string) vendors.Result {
		r, _ := srv.push(t, sample.Call, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", header)
			reply(http.StatusTooManyRequests, "slow down")(w, r)
		})
		require.Equal(t, vendors.Throttled, r.Class)
		return r
	}
	require.Equal(t, 7*time.Second, in("7").RetryAfter)
	require.Zero(t, in("soon").RetryAfter)
	require.Equal(t, vendors.MaxRetryAfter, in("99999999999999999999").RetryAfter)
	date := in(time.Now().Add(30 * time.Minute).UTC().Format(http.TimeFormat)).RetryAfter
	require.InDelta(t, 30*time.Minute, date, float64(time.Minute))
}

func (s Suite) broken(t *testing.T, sample Sample) {
	t.Run("huge", func(t *testing.T) {
		srv := s.serve(t, patient)
		r, calls := srv.push(t, sample.Call, func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprint(w, sample.Good, strings.Repeat(" ", vendors.ReplyLimit), r.URL)
		})
		require.Equal(t, vendors.Ambiguous, r.Class)
		require.Contains(t, r.Message, "larger than")
		require.LessOrEqual(t, len(r.Reply), vendors.ReplyLimit)
		require.Equal(t, 1, calls)
	})
	t.Run("shorter than announced", func(t *testing.T) {
		srv := s.serve(t, patient)
		r, calls := srv.push(t, sample.Call, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(sample.Good)+10))
			_, _ = fmt.Fprint(w, sample.Good)
		})
		require.Equal(t, vendors.Ambiguous, r.Class)
		require.Equal(t, 1, calls)
	})
	t.Run("reset after the request was read", func(t *testing.T) {
		srv := s.serve(t, patient)
		r, calls := srv.push(t, sample.Call, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		require.Equal(t, vendors.Ambiguous, r.Class)
		require.Equal(t, 1, calls, "sent again by the transport")
	})
	t.Run("reset before the request was read", func(t *testing.T) {
		srv := s.serve(t, patient)
		srv.push(t, sample.Call, reply(http.StatusOK, sample.Good)) // fetches the token
		srv.mu.Lock()
		srv.reset = true
		srv.mu.Unlock()
		r, calls := srv.push(t, sample.Call, reply(http.StatusOK, sample.Good))
		require.Equal(t, vendors.Ambiguous, r.Class)
		require.Zero(t, calls)
	})
}

func (s Suite) slow(t *testing.T, sample Sample) {
	srv := s.serve(t, impatient)
	start := time.Now()
	r, calls := srv.push(t, sample.Call, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	require.Equal(t, vendors.Ambiguous, r.Class)
	require.Equal(t, 1, calls)

	r, calls = srv.push(t, sample.Call, func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for r.Context().Err() == nil {
			_, _ = fmt.Fprint(w, " ")
			w.(http.Flusher).Flush()
			<-tick.C
		}
	})
	require.Equal(t, vendors.Ambiguous, r.Class)
	require.Equal(t, 1, calls)
	require.Less(t, time.Since(start), 20*impatient)
}

// login checks that a refused login isn't tried again where there is no token.
func (s Suite) login(t *testing.T, sample Sample) {
	srv := s.serve(t, patient)
	answers := map[string]http.HandlerFunc{"401": gossip(http.StatusUnauthorized), "403": gossip(http.StatusForbidden)}
	if s.TokenExpired != "" {
		answers["envelope"] = reply(http.StatusOK, s.TokenExpired)
	}
	for name, answer := range answers {
		r, calls := srv.push(t, sample.Call, answer)
		require.Equal(t, vendors.Denied, r.Class, name)
		require.Equal(t, 1, calls, name)
	}
}

func (s Suite) tokens(t *testing.T, sample Sample) {
	t.Run("a refused token is replaced once", func(t *testing.T) {
		srv := s.serve(t, patient)
		var before atomic.Int32
		r, calls := srv.push(t, sample.Call, func(w http.ResponseWriter, r *http.Request) {
			if before.Add(1) == 1 {
				reply(http.StatusOK, s.TokenExpired)(w, r)
				return
			}
			reply(http.StatusOK, sample.Good)(w, r)
		})
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		require.Equal(t, 2, calls)
		require.Len(t, srv.issued, 2)
	})
	t.Run("refused again, it's denied", func(t *testing.T) {
		for name, answer := range map[string]http.HandlerFunc{
			"envelope": reply(http.StatusOK, s.TokenExpired), "401": gossip(http.StatusUnauthorized), "403": gossip(http.StatusForbidden),
		} {
			srv := s.serve(t, patient)
			r, calls := srv.push(t, sample.Call, answer)
			require.Equal(t, vendors.Denied, r.Class, name)
			require.Equal(t, 2, calls, name)
			require.Len(t, srv.issued, 2, name)
		}
	})
	t.Run("fetched beforehand, once", func(t *testing.T) {
		srv := s.serve(t, patient)
		for range 2 {
			r := srv.ready(t)
			require.Equal(t, vendors.Applied, r.Class, r.Message)
			require.Len(t, srv.issued, 1)
		}
		r, calls := srv.push(t, sample.Call, reply(http.StatusOK, sample.Good))
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		require.Equal(t, 1, calls)
		require.Len(t, srv.issued, 1)
	})
	t.Run("not to be had beforehand", func(t *testing.T) {
		for want, answer := range map[vendors.Class]http.HandlerFunc{
			vendors.Denied: reply(http.StatusOK, s.BadCredentials), vendors.Throttled: gossip(429), vendors.NotSent: gossip(503),
		} {
			srv := s.serve(t, patient)
			srv.token = answer
			r := srv.ready(t)
			require.Equal(t, want, r.Class)
			require.NotEmpty(t, r.Method, "the vendor was asked: the circuit counts it")
			require.False(t, r.Withheld)
		}
	})
	t.Run("bad credentials", func(t *testing.T) {
		srv := s.serve(t, patient)
		srv.token = reply(http.StatusOK, s.BadCredentials)
		r, calls := srv.push(t, sample.Call, reply(http.StatusOK, sample.Good))
		require.Equal(t, vendors.Denied, r.Class)
		require.Zero(t, calls)
	})
	t.Run("no token to be had", func(t *testing.T) {
		for _, status := range []int{200, 302, 404, 500, 502, 503} {
			srv := s.serve(t, patient)
			srv.token = gossip(status)
			r, calls := srv.push(t, sample.Call, reply(http.StatusOK, sample.Good))
			require.Equal(t, vendors.NotSent, r.Class, status)
			require.Zero(t, calls)
		}
	})
}

func (s Suite) unsent(t *testing.T, sample Sample) {
	t.Run("connection refused", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, l.Close())
		srv := s.serve(t, patient)
		tokens := &Tokens{}
		_, err = tokens.Token(t.Context(), func(context.Context) (string, time.Duration, error) { return "canary/token+x=", time.Hour, nil })
		require.NoError(t, err)
		for _, source := range []vendors.TokenSource{tokens, &Tokens{}} {
			srv.vendor = s.New(t, Setup{BaseURL: "http://" + l.Addr().String(), Timeout: patient, Secret: Secret, Tokens: source})
			r, _ := srv.push(t, sample.Call, nil)
			require.Equal(t, vendors.NotSent, r.Class)
			require.False(t, r.Withheld)
			require.Zero(t, r.Status)
		}
	})
	t.Run("the lease has run out", func(t *testing.T) {
		srv := s.serve(t, patient)
		call := sample.Call
		call.MaySend = func() error { return errors.New("the lease has run out") }
		for range 3 { // on a new connection and on kept ones
			r, calls := srv.push(t, call, reply(http.StatusOK, sample.Good))
			require.Equal(t, vendors.NotSent, r.Class)
			require.True(t, r.Withheld)
			require.Contains(t, r.Message, "the lease has run out")
			require.Zero(t, calls)
			srv.push(t, sample.Call, reply(http.StatusOK, sample.Good))
		}
	})
}
