package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// giveUp bounds a call whose client never does.
const giveUp = 5 * time.Minute

// play answers a call with its fault.
func (s *Sandbox) play(w http.ResponseWriter, r *http.Request, c *call, run action) {
	f := c.hit.fault
	if f == ApplyLate {
		s.applyLate(w, r, c, run)
		return
	}
	own := c.dialect.errors[kindError]
	status, doc := own.status, any(json.RawMessage(own.body))
	if f.Applies() {
		status, doc = s.settle(c, run)
	}
	switch f.kind() {
	case kindReset:
		s.leave(c, 0, true)
		reset(w)
	case kindHang:
		waitForClient(r)
		s.leave(c, 0, true)
		reset(w)
	case kindTruncated, kindSlowLoris, kindHuge:
		s.leave(c, status, true)
		playBody(w, r, c.hit, status, encode(doc))
	default:
		s.playReply(w, c, f)
	}
}

// playReply answers with something else than the call's own reply.
func (s *Sandbox) playReply(w http.ResponseWriter, c *call, f Fault) {
	status, contentType, body := http.StatusOK, jsonType, ""
	switch f.kind() {
	case kindError, kindError500, kindErrorBlank, kindErrorNumber:
		own := c.dialect.errors[f.kind()]
		status, body = own.status, own.body
	case kindHTML:
		contentType, body = "text/html", "<html><body>System maintenance</body></html>"
	case kindBadGateway:
		status, contentType, body = http.StatusBadGateway, "text/html", "<html><body>502 Bad Gateway</body></html>"
	case kindEmpty:
	case kindUnavailable:
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", strconv.Itoa(seconds(c.hit.rule.RetryAfter)))
	case string(ThrottleSeconds):
		own := c.dialect.errors[f.kind()]
		status, body = own.status, own.body
		w.Header().Set("Retry-After", strconv.Itoa(seconds(c.hit.rule.RetryAfter)))
	case string(ThrottleDate):
		status = http.StatusTooManyRequests
		at := c.now.Add(time.Duration(seconds(c.hit.rule.RetryAfter)) * time.Second)
		w.Header().Set("Retry-After", at.Format(http.TimeFormat))
	case string(Redirect):
		status = http.StatusFound
		w.Header().Set("Location", fmt.Sprintf("%s%d", landing, c.seq))
	case string(TokenExpired):
		s.mu.Lock()
		var doc any
		status, doc = c.dialect.expire(s, c)
		s.mu.Unlock()
		body = string(encode(doc))
	}
	s.leave(c, status, true)
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	w.Write([]byte(body))
}

// applyLate lets the call take effect after its client has given up.
func (s *Sandbox) applyLate(w http.ResponseWriter, r *http.Request, c *call, run action) {
	waitForClient(r)
	s.leave(c, 0, false)
	time.Sleep(time.Duration(c.hit.rule.Late))
	s.settle(c, run)
	s.mu.Lock()
	if e := c.ledger.call(c.seq); e != nil {
		e.Done = true
	}
	s.mu.Unlock()
	reset(w)
}

// waitForClient returns when the client has gone, or the server is closing.
func waitForClient(r *http.Request) {
	t := time.NewTimer(giveUp)
	defer t.Stop()
	select {
	case <-r.Context().Done():
	case <-t.C:
	}
}

// playBody sends the call's reply in a way that few clients are ready for.
func playBody(w http.ResponseWriter, r *http.Request, h hit, status int, body []byte) {
	size := h.rule.Size
	if size == 0 {
		size = 16 << 20
	}
	w.Header().Set("Content-Type", jsonType)
	if h.fault.kind() == kindTruncated {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		w.Write(body[:len(body)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
	if h.fault.kind() == kindSlowLoris {
		dribble(w, r, time.Duration(h.rule.Pause), body)
		return
	}
	for blank := bytes.Repeat([]byte(" "), 64<<10); size > 0; size -= len(blank) {
		if _, err := w.Write(blank); err != nil {
			return
		}
	}
	w.Write(body)
}

// dribble sends byte after byte until the client goes.
func dribble(w http.ResponseWriter, r *http.Request, pause time.Duration, body []byte) {
	if pause == 0 {
		pause = 100 * time.Millisecond
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for i := range body {
		w.Write(body[i : i+1])
		http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

// reset closes the connection so that the client sees a reset, not an end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// seconds is a Retry-After in whole seconds, at least one.
func seconds(d Duration) int {
	return max(1, int(time.Duration(d).Round(time.Second)/time.Second))
}
