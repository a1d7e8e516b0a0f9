package sandbox

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// BenchmarkCreate is a create without the network: what a call costs the
// machine that a worker's benchmark shares.
func BenchmarkCreate(b *testing.B) {
	c := start(b, Config{KeepCalls: 1000})
	c.seed(Seed{})
	path := c.path(dealCreate)
	var n atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			body := order(fmt.Sprint(n.Add(1)), "30.50")
			w := httptest.NewRecorder()
			c.sb.ServeHTTP(w, httptest.NewRequest("POST", path, strings.NewReader(body)))
			if w.Code != 200 {
				b.Error(w.Body.String())
			}
		}
	})
}

// BenchmarkPointsOverHTTP is the same over real connections, 16 at a time.
func BenchmarkPointsOverHTTP(b *testing.B) {
	c := start(b, Config{KeepCalls: 1000})
	c.seed(Seed{Count: 1000})
	var n atomic.Int64
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			url := c.url + c.path(fmt.Sprintf("/loyalty/v1/membership/%d/point/incr", i%1000+1))
			resp, err := c.http.Post(url, "application/json", strings.NewReader(points("3", fmt.Sprint(i))))
			if err != nil {
				b.Error(err)
				return
			}
			if resp.StatusCode != http.StatusOK {
				b.Error(resp.Status)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	})
}
