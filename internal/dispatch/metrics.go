package dispatch

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// Metrics of a worker. They come from counters, never from counting rows.
type Metrics struct {
	attempts *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	settles  *prometheus.CounterVec
	hand     *prometheus.GaugeVec
	inflight *prometheus.GaugeVec
	open     *prometheus.GaugeVec
}

// NewMetrics registers the worker's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "syncworker_attempts_total", Help: "Calls to vendors, by how they ended.",
		}, []string{"account", "type", "action", "class"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "syncworker_call_seconds", Help: "How long calls to vendors took.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"account"}),
		settles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "syncworker_settles_total", Help: "Deliveries written down, by the state that they came to.",
		}, []string{"account", "state"}),
		hand: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "syncworker_deliveries_in_hand", Help: "Deliveries that this worker holds.",
		}, []string{"account"}),
		inflight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "syncworker_calls_in_flight", Help: "Slots for calls in use, of this worker's share.",
		}, []string{"account"}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "syncworker_account_closed", Help: "1 where the account isn't called: paused, or its circuit is open.",
		}, []string{"account", "cause"}),
	}
	reg.MustRegister(m.attempts, m.seconds, m.settles, m.hand, m.inflight, m.open)
	return m
}

func (m *Metrics) attempt(account string, t event.Type, action string, r vendors.Result) {
	m.attempts.WithLabelValues(account, string(t), action, string(r.Class)).Inc()
	if r.Duration > 0 {
		m.seconds.WithLabelValues(account).Observe(r.Duration.Seconds())
	}
}

func (m *Metrics) settled(account string, s outbox.State) {
	m.settles.WithLabelValues(account, string(s)).Inc()
}

func (m *Metrics) inHand(account string, n int) { m.hand.WithLabelValues(account).Set(float64(n)) }

func (m *Metrics) gate(account string, g *gate) {
	m.inflight.WithLabelValues(account).Set(float64(g.calling))
	for cause, on := range map[string]bool{
		"paused":      !g.shared.PausedAt.IsZero(),
		CauseDenied:   g.open() && g.shared.Cause == CauseDenied,
		CauseNoAnswer: g.open() && g.shared.Cause == CauseNoAnswer,
	} {
		value := 0.0
		if on {
			value = 1
		}
		m.open.WithLabelValues(account, cause).Set(value)
	}
}

// logAttempt writes the one line that says what was done and what follows. It
// names no member.
func (h *hand) logAttempt(w *outbox.Work, r vendors.Result, action string, attempt *outbox.Attempt) {
	level := zerolog.InfoLevel
	switch w.State {
	case outbox.Held, outbox.Dead, outbox.Unknown:
		level = zerolog.WarnLevel
	}
	line := h.log.WithLevel(level).
		Int64("delivery", w.ID).Str("account", w.Account).Str("type", string(w.Type)).Str("tenant", w.Event.Tenant).
		Str("action", action).Str("class", string(r.Class)).Int("status", r.Status).Str("code", r.Code).
		Dur("took_ms", r.Duration).Str("state", string(w.State))
	if attempt != nil {
		line = line.Int("attempt", attempt.Number)
	}
	if w.Event.OrderNo != "" {
		line = line.Str("order", w.Event.OrderNo)
	}
	if w.Event.UUID != "" {
		line = line.Str("uuid", w.Event.UUID)
	}
	if w.Reason != "" {
		line = line.Str("reason", w.Reason)
	}
	if !w.NextAttemptAt.IsZero() {
		line = line.Dur("again_in_ms", max(w.NextAttemptAt.Sub(h.now()), 0).Round(time.Millisecond))
	}
	if trace := traceID(w.Event.TraceParent); trace != "" {
		line = line.Str("trace_id", trace)
	}
	line.Msg("attempt")
}

// traceID is the trace id of a W3C traceparent, "00-<trace>-<span>-<flags>".
func traceID(parent string) string {
	if len(parent) < 35 {
		return ""
	}
	return parent[3:35]
}
