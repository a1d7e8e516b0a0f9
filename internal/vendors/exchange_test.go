package vendors_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/vendors"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-5": 0, "1.5": 0, "0": 0, " 7 ": 7 * time.Second, "007": 7 * time.Second,
		"3600": time.Hour, "3601": time.Hour, "99999999999999999999999": time.Hour,
		"Sat, 21 Nov 2026 12:00:30 GMT":    30 * time.Second,
		"Saturday, 21-Nov-26 12:01:00 GMT": time.Minute,
		"Sat Nov 21 12:00:05 2026":         5 * time.Second,
		"Sat, 21 Nov 2026 11:59:00 GMT":    0,
		"Sun, 21 Nov 2027 12:00:00 GMT":    time.Hour,
	} {
		require.Equal(t, want, vendors.RetryAfter(header, noon), header)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"7", "Sat, 21 Nov 2026 12:00:30 GMT", "-1", "99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		d := vendors.RetryAfter(header, noon)
		require.GreaterOrEqual(t, d, time.Duration(0))
		require.LessOrEqual(t, d, vendors.MaxRetryAfter)
	})
}

func TestRefreshAt(t *testing.T) {
	for lifetime, early := range map[time.Duration]time.Duration{
		2 * time.Hour: 200 * time.Second, 2000 * time.Second: 200 * time.Second, 100 * time.Second: 10 * time.Second,
	} {
		require.Equal(t, noon.Add(lifetime-early), vendors.RefreshAt(noon, noon.Add(lifetime)))
	}
}

func TestRedactFindsWhatServersQuote(t *testing.T) {
	const secret = `a/b+c=&"<d>`
	quoted, err := json.Marshal(secret)
	require.NoError(t, err)
	for name, text := range map[string]string{
		"plain": secret, "query": url.QueryEscape(secret), "path": url.PathEscape(secret),
		"JSON": string(quoted), "JSON with escaped slashes": strings.ReplaceAll(string(quoted), "/", `\/`),
		"HTML": "a/b+c=&amp;&#34;&lt;d&gt;",
	} {
		got := string(vendors.Redact([]byte("x "+text+" y"), secret))
		require.NotContains(t, got, "b+c", name)
		require.NotContains(t, got, "b%2Bc", name)
		require.True(t, strings.HasPrefix(got, "x ") && strings.HasSuffix(got, " y"), got)
	}
	require.Equal(t, "x …", string(vendors.Redact([]byte("x canary-sec"), "canary-secret")), "cut in the middle")
	require.Equal(t, "x can", string(vendors.Redact([]byte("x can"), "canary-secret")), "a few letters are no secret")
	require.Equal(t, "same", string(vendors.Redact([]byte("same"), "", "other")))
}

func FuzzRedact(f *testing.F) {
	f.Add([]byte("a canary-secret b"), "canary-secret")
	f.Add([]byte(`{"a":"x\/y"}`), "x/y")
	f.Fuzz(func(t *testing.T, text []byte, secret string) {
		before := bytes.Clone(text)
		got := vendors.Redact(text, secret)
		require.Equal(t, before, text)
		if secret != "" && !strings.ContainsAny(secret, "…") && !bytes.Contains([]byte("…"), []byte(secret)) {
			require.NotContains(t, string(got), secret)
		}
	})
}

func TestResultShowsNoSecretAndNobody(t *testing.T) {
	req := vendors.Request{
		Method: "GET", Path: "/find", Query: url.Values{"type": {"mobile"}, "value": {"13912345678"}},
		Secret: url.Values{"access_token": {"canary-token"}}, Redact: []string{"canary-secret"}, Personal: func() []string { return []string{"13912345678", "1"} },
	}
	x := vendors.Exchange{
		Status: 500, Sent: true, Body: []byte("canary-token canary-secret"), StartedAt: noon, Duration: time.Second,
		Header: http.Header{"Retry-After": {"Sat, 21 Nov 2026 12:00:31 GMT"}},
		Err:    errors.New("bad reply 1: canary-token of 13912345678"),
	}
	r := x.Result(req)
	require.Equal(t, "/find?type=mobile&value=…", r.Path)
	require.Equal(t, "bad reply 1: … of …", r.Message)
	require.Equal(t, "… …", string(r.Reply))
	require.Equal(t, 30*time.Second, r.RetryAfter)
	require.Equal(t, vendors.Ambiguous, r.Class)
}

func TestSecretsAndTokensDoNotPrint(t *testing.T) {
	values := map[string]any{
		"secret": vendors.Secret("canary"), "token": vendors.Token{Value: "canary"},
		"inside": struct{ S vendors.Secret }{"canary"},
	}
	for name, v := range values {
		encoded, err := json.Marshal(v)
		require.NoError(t, err)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			require.NotContains(t, fmt.Sprintf(verb, v)+string(encoded), "canary", name+verb)
		}
	}
	require.NotContains(t, fmt.Sprintf("%x %q %d", vendors.Secret("canary"), vendors.Secret("canary"), vendors.Secret("canary")), "63616e617279")
	err := &vendors.TokenError{Result: vendors.Result{Class: vendors.Denied, Code: "40004", Message: "illegal"}}
	require.EqualError(t, err, "fetching the access token: denied, code 40004: illegal")
}
