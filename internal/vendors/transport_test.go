package vendors_test

import (
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"syncworker/internal/vendors"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func transport(t *testing.T, url string, roots *x509.CertPool) *vendors.Transport {
	tr, err := vendors.NewTransport(vendors.TransportConfig{BaseURL: url, Timeout: 20 * time.Second, MaxInFlight: 8, RootCAs: roots})
	require.NoError(t, err)
	t.Cleanup(tr.Close)
	return tr
}

func post(body string) vendors.Request {
	return vendors.Request{
		Method: http.MethodPost, Path: "/loyalty/v1/dealService/update/", Query: url.Values{"a": {"1"}},
		Secret: url.Values{"access_token": {"canary"}}, Body: []byte(body),
	}
}

func TestDoSendsPathQueryAndBodyAsTheyAre(t *testing.T) {
	var uri, body string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		uri, body = r.RequestURI, string(b)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "done")
	}))
	t.Cleanup(s.Close)
	req := post(`{"n":1.10}`)
	req.Path = "/a%2Fb/update/"
	x := transport(t, s.URL+"/base/", nil).Do(t.Context(), req)
	require.NoError(t, x.Err)
	require.True(t, x.Sent)
	require.Equal(t, http.StatusCreated, x.Status)
	require.Equal(t, "done", string(x.Body))
	require.Equal(t, "/base/a%2Fb/update/?a=1&access_token=canary", uri)
	require.Equal(t, `{"n":1.10}`, body)
	require.Equal(t, "/a%2Fb/update/?a=1", x.Result(req).Path)
}

func TestDoVerifiesTLS(t *testing.T) {
	var calls atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	x := transport(t, s.URL, nil).Do(t.Context(), post("{}"))
	require.Error(t, x.Err)
	require.False(t, x.Sent, "a handshake isn't a byte of the request")
	require.Zero(t, calls.Load())

	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	x = transport(t, s.URL, roots).Do(t.Context(), post("{}"))
	require.NoError(t, x.Err)
	require.EqualValues(t, 1, calls.Load())
}

func TestDoSpeaksPlainHTTPOnlyWhereAsked(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	x := transport(t, "https"+strings.TrimPrefix(s.URL, "http"), nil).Do(t.Context(), post("{}"))
	require.Error(t, x.Err)
	require.False(t, x.Sent)
}

func TestNewTransportRefusesOtherURLs(t *testing.T) {
	for _, bad := range []string{"", "api.convertlab.com", "ftp://a", "https://", "https://u:canary@a", "https://a?x=canary", "https://a#canary", "://canary"} {
		_, err := vendors.NewTransport(vendors.TransportConfig{BaseURL: bad, Timeout: time.Second})
		require.ErrorContains(t, err, "base_url", bad)
		require.NotContains(t, err.Error(), "canary")
	}
	_, err := vendors.NewTransport(vendors.TransportConfig{BaseURL: "https://a"})
	require.ErrorContains(t, err, "timeout")
}

// A server that closes kept connections: before a byte has left, the write goes
// out on another connection; afterwards it's never sent again.
func TestDoNeverSendsAWriteTwice(t *testing.T) {
	var calls atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if calls.Add(1) == 2 {
			panic(http.ErrAbortHandler)
		}
	}))
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	tr := transport(t, s.URL, nil)
	require.NoError(t, tr.Do(t.Context(), post("{}")).Err)
	x := tr.Do(t.Context(), post("{}"))
	require.Error(t, x.Err)
	require.True(t, x.Sent)
	require.EqualValues(t, 2, calls.Load())
}

func TestDoSurvivesConnectionsThatTheServerHasClosed(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	tr := transport(t, s.URL, nil)
	for range 50 {
		x := tr.Do(t.Context(), post("{}"))
		if x.Err != nil { // the close was on its way while the request left
			require.True(t, x.Sent, x.Err)
		}
		s.CloseClientConnections()
	}
}

func TestDoReportsNothingSentWhereNothingWas(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	for name, base := range map[string]string{"refused": "http://" + l.Addr().String(), "no such host": "http://host.invalid"} {
		x := transport(t, base, nil).Do(t.Context(), post("{}"))
		require.Error(t, x.Err, name)
		require.False(t, x.Sent, name)
		require.NotContains(t, x.Err.Error(), "canary")
		require.Equal(t, vendors.NotSent, x.Result(post("{}")).Class)
	}
}

func TestDoAsksBeforeTheFirstByte(t *testing.T) {
	var calls atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	t.Cleanup(s.Close)
	tr := transport(t, s.URL, nil)
	var asked atomic.Int32
	req := post(strings.Repeat("x", 1<<20)) // more than one write
	req.MaySend = func() error { asked.Add(1); return nil }
	require.NoError(t, tr.Do(t.Context(), req).Err)
	require.EqualValues(t, 1, asked.Load())

	late := errors.New("the lease has run out")
	req.MaySend = func() error { return late }
	for range 3 {
		x := tr.Do(t.Context(), req)
		require.ErrorIs(t, x.Err, late)
		require.False(t, x.Sent)
		require.True(t, x.Result(req).Withheld)
	}
	require.EqualValues(t, 1, calls.Load())
}

func TestDoKeepsConnectionsForAllCallsInFlight(t *testing.T) {
	var opened atomic.Int32
	var gate sync.WaitGroup
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { gate.Done(); gate.Wait() }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	tr := transport(t, s.URL, nil)
	for range 3 {
		gate.Add(8)
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() { tr.Do(t.Context(), post("{}")) })
		}
		calls.Wait()
	}
	require.EqualValues(t, 8, opened.Load())
}

func TestDoReadsAsMuchAsTheRequestAllowsAndKeepsLess(t *testing.T) {
	page := strings.Repeat("x", vendors.ReplyLimit+1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, page) }))
	t.Cleanup(s.Close)
	tr := transport(t, s.URL, nil)
	req := post(`{}`)
	require.ErrorContains(t, tr.Do(t.Context(), req).Err, "larger than")
	req.MaxReply = len(page)
	x := tr.Do(t.Context(), req)
	require.NoError(t, x.Err)
	require.True(t, page == string(x.Body))
	require.Equal(t, vendors.ReplyLimit, len(x.Result(req).Reply))
}
