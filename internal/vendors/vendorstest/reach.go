package vendorstest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// Reaches holds the table of a vendor's endpoints against the calls that it makes:
// each event and each read reaches the one that the table has for it, and nothing
// that the vendor can do stands beside the table. The samples have one call at least
// for each event; keys are those of each resource.
func (s Suite) Reaches(t *testing.T, k vendors.Kind, keys map[string][]string) {
	calls := map[event.Type]vendors.Call{}
	for _, sample := range s.Samples {
		calls[sample.Call.Event.Type] = sample.Call
	}
	var mu sync.Mutex
	var seen []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.IsToken != nil && s.IsToken(r) {
			_, _ = io.WriteString(w, s.Token("t"))
			return
		}
		mu.Lock()
		seen = append(seen, r.Method+" "+r.URL.EscapedPath())
		mu.Unlock()
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(srv.Close)
	v := s.New(t, Setup{BaseURL: srv.URL, Timeout: patient, Secret: Secret, Tokens: &Tokens{}})
	if c, ok := v.(interface{ Close() }); ok {
		t.Cleanup(c.Close)
	}
	reader, ok := v.(vendors.Reader)
	require.True(t, ok, "vendors get and deliveries show --vendor need a vendors.Reader")
	_, ok = v.(vendors.Checker)
	require.True(t, ok, "vendors check needs a vendors.Checker")
	events, reads := map[event.Type]bool{}, map[string]bool{}
	for _, e := range k.Endpoints {
		t.Run(e.Method+" "+e.Path, func(t *testing.T) {
			require.True(t, e.Event != "" || e.Read != "", "nothing reaches it")
			seen = nil
			if e.Event != "" {
				require.Contains(t, calls, e.Event, "no sample to try it with")
				v.Push(t.Context(), calls[e.Event])
				require.Regexp(t, pattern(e), strings.Join(seen, "\n"))
				require.NotEmpty(t, e.Unclear, "it doesn't say what happens where its answer isn't clear")
			}
			if e.Read != "" {
				seen = nil
				_, r := reader.Read(t.Context(), e.Read, keys[e.Read], "")
				require.Regexp(t, pattern(e), strings.Join(seen, "\n"), r.Message)
			}
		})
		events[e.Event], reads[e.Read] = true, true
	}
	for _, typ := range k.Takes {
		require.True(t, events[typ], "the table has no endpoint for %s", typ)
		_, ok := v.Operation(typ)
		require.True(t, ok, "the kind says that it takes %s, and has no operation for it", typ)
	}
	for _, typ := range event.Types() {
		op, ok := v.Operation(typ)
		require.Equal(t, events[typ], ok, "%s: the table and Operation differ", typ)
		if ok {
			require.Equal(t, !(typ.Point() && k.PointsPass), op.Blocks, "%s: Kind.PointsPass and Operation.Blocks differ", typ)
		}
	}
	for _, r := range reader.Resources() {
		require.True(t, reads[r.Name], "the table has no endpoint for %s", r.Name)
	}
}

// pattern matches a line with a request to the endpoint.
func pattern(e vendors.Endpoint) string {
	path := regexp.QuoteMeta(e.Path)
	return `(?m)^` + e.Method + ` ` + regexp.MustCompile(`\\\{[^/]*?\\\}`).ReplaceAllString(path, `[^/]+`) + `$`
}
