package vendorstest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"syncworker/internal/vendors"
)

// server is the vendor's side: it hands out tokens and answers calls as one case
// wants it.
type server struct {
	*httptest.Server
	suite  Suite
	vendor vendors.Vendor

	mu     sync.Mutex
	answer http.HandlerFunc // of calls
	token  http.HandlerFunc // of requests for a token; nil is a good one
	issued []string
	calls  int
	reset  bool // drop connections instead of reading from them
}

func (s Suite) serve(t *testing.T, timeout time.Duration) *server {
	srv := &server{suite: s}
	srv.Server = httptest.NewUnstartedServer(http.HandlerFunc(srv.handle))
	srv.Listener = &resettingListener{Listener: srv.Listener, server: srv}
	srv.Config.ErrorLog = nil
	srv.Start()
	t.Cleanup(srv.Close)
	srv.vendor = s.New(t, Setup{BaseURL: srv.URL, Timeout: timeout, Secret: Secret, Tokens: &Tokens{}})
	if c, ok := srv.vendor.(interface{ Close() }); ok {
		t.Cleanup(c.Close)
	}
	return srv
}

func (srv *server) handle(w http.ResponseWriter, r *http.Request) {
	srv.mu.Lock()
	if srv.suite.IsToken != nil && srv.suite.IsToken(r) {
		refuse := srv.token
		value := fmt.Sprintf("canary/token+%d=", len(srv.issued))
		srv.issued = append(srv.issued, value)
		srv.mu.Unlock()
		if refuse != nil {
			refuse(w, r)
			return
		}
		_, _ = w.Write([]byte(srv.suite.Token(value)))
		return
	}
	srv.calls++
	answer := srv.answer
	srv.mu.Unlock()
	// Only once the body is read does the server notice that the client hangs up.
	_, _ = io.Copy(io.Discard, r.Body)
	answer(w, r)
}

// push makes one call that is answered as told, checks that its result leaks
// nothing and returns it with the number of requests that the API saw.
func (srv *server) push(t *testing.T, call vendors.Call, answer http.HandlerFunc) (vendors.Result, int) {
	t.Helper()
	srv.mu.Lock()
	srv.answer, srv.calls = answer, 0
	srv.mu.Unlock()
	r := srv.vendor.Push(context.Background(), call)
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.requireClean(t, r)
	return r, srv.calls
}

// ready has the vendor prepare for a push.
func (srv *server) ready(t *testing.T) vendors.Result {
	t.Helper()
	r := srv.vendor.(vendors.Preparer).Ready(context.Background())
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.requireClean(t, r)
	return r
}

// requireClean looks for secrets in all of a result, and for personal data in
// what is logged of it.
func (srv *server) requireClean(t *testing.T, r vendors.Result) {
	t.Helper()
	var log bytes.Buffer
	logger := zerolog.New(&log)
	logger.Info().Str("path", r.Path).Str("code", r.Code).Str("message", r.Message).Interface("receipt", r.Receipt).Send()
	encoded, err := json.Marshal(r)
	require.NoError(t, err)
	all := strings.Join([]string{
		log.String(), string(encoded), fmt.Sprintf("%+v %#v", r, r), string(r.Request), string(r.Reply),
	}, "\n")
	for _, secret := range append([]string{Secret}, srv.issued...) {
		for _, form := range quoted(secret) {
			require.NotContains(t, all, form)
		}
	}
	for _, person := range []string{Mobile, ContactTel} {
		require.NotContains(t, log.String(), person)
	}
}

// quoted is a secret in the ways a careless server quotes it.
func quoted(secret string) []string {
	encoded, _ := json.Marshal(secret)
	r := http.Request{Form: map[string][]string{"q": {secret}}}
	return []string{secret, strings.Trim(string(encoded), `"`), strings.TrimPrefix(r.Form.Encode(), "q=")}
}

// reply answers with a status and a body.
func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// gossip answers with a page that tells all it knows.
func gossip(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<html><body>%s %s %q %s %s %s</body></html>",
			r.Method, r.URL, r.URL.Query(), r.Header, Secret, Mobile)
	}
}

// resettingListener drops connections, without a goodbye, when the server says so.
type resettingListener struct {
	net.Listener
	server *server
}

func (l *resettingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &resettingConn{Conn: c, server: l.server}, nil
}

type resettingConn struct {
	net.Conn
	server *server
}

func (c *resettingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if c.server.reset && n > 0 {
		_ = c.Conn.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return n, err
}
