package outbox_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

// benched is how many events a batch or a commit of a busy worker has.
const benched = 200

// creates is a batch of new orders.
func (s *shop) creates(accept ...string) outbox.Batch {
	lines := make([]line, benched)
	for i := range lines {
		lines[i] = line{kind: event.OrderCreated, order: fmt.Sprint("o-", s.sequence, "-", i)}
	}
	return s.batch(accept, lines...)
}

func perEvent(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed())/float64(time.Microsecond)/float64(b.N*benched), "µs/event")
}

func BenchmarkEnqueue(b *testing.B) {
	s := newShop(b)
	for b.Loop() {
		b.StopTimer()
		batch := s.creates(account)
		b.StartTimer()
		require.Len(b, s.enqueues(s.token, batch).Handed, benched)
	}
	perEvent(b)
}

func BenchmarkIntendAndSettle(b *testing.B) {
	s := newShop(b)
	number := int64(0)
	for b.Loop() {
		b.StopTimer()
		handed := s.enqueues(s.token, s.creates(account)).Handed
		var intents, settles outbox.Commit
		for _, h := range handed {
			intents.Intents = append(intents.Intents, &outbox.Intent{ID: h.ID, SentAt: opening})
			h.Calls = 1
			one := delivers(0, h)
			one.Settles[0].FirstSentAt = opening
			settles.Settles, settles.Lanes = append(settles.Settles, one.Settles...), append(settles.Lanes, one.Lanes...)
		}
		b.StartTimer()
		for _, c := range []outbox.Commit{intents, settles} {
			number++
			c.Number = number
			gone, err := s.Commit(b.Context(), s.token, c)
			require.NoError(b, err)
			require.Empty(b, gone)
		}
	}
	perEvent(b)
}

func BenchmarkClaim(b *testing.B) {
	s := newShop(b)
	for b.Loop() {
		b.StopTimer()
		s.enqueues(s.token, s.creates()) // they rest
		b.StartTimer()
		loaded, err := s.Claim(b.Context(), s.token, account, benched)
		require.NoError(b, err)
		require.Len(b, loaded, benched)
	}
	perEvent(b)
}
