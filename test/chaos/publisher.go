package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"syncworker/internal/sandbox"
	"syncworker/internal/trade"
	"syncworker/test/chaos/check"
)

// publisher publishes each message until JetStream acknowledges it, and keeps a
// journal of that.
type publisher struct {
	messages []check.Message
	js       jetstream.JetStream
	acked    atomic.Int64
}

// script makes what is published: days of trade of two tenants, and one message
// of each kind of bad input.
func script(seed uint64, messages int, v *vendor) (all []check.Message, mobiles []string, err error) {
	var members []trade.Member
	for _, m := range []sandbox.Seed{{Count: 200, Mobile: "13800000000", Points: 5000, Name: trade.Person}, {Count: 20, Mobile: "13900000000", Name: trade.Person}} {
		ids, err := v.SeedMembers(m)
		if err != nil {
			return nil, nil, err
		}
		for i, id := range ids {
			mobile := fmt.Sprintf("%s%08d", m.Mobile[:3], i)
			mobiles = append(mobiles, mobile)
			members = append(members, trade.Member{ID: id, Mobile: mobile, Points: m.Points})
		}
	}
	start := time.Now().Add(-20 * time.Hour).UTC().Truncate(time.Second)
	n := messages / 6 // each day has half of the messages; an order brings two, a change of points one
	for i, tenant := range []string{"", "brand-b"} {
		day, err := trade.New(trade.Config{
			Seed: seed*4 + uint64(i), Start: start, Tenant: tenant, Members: members[i*100 : 100+i*120],
			Orders: n, Points: n, Duplicates: 0.05, Conflicts: 5 + n/100, Disorder: true,
			ShortOfPoints: 3 + n/200, SeveralRefunds: 3, Strangers: 3, Orphans: 3,
		})
		if err != nil {
			return nil, nil, err
		}
		all = interleave(all, good(day.Messages))
	}
	bad, err := trade.New(trade.Config{Seed: seed*4 + 2, Start: start, Members: members, Bad: true})
	if err != nil {
		return nil, nil, err
	}
	var refused []check.Message
	for _, m := range bad.Messages {
		refused = append(refused, check.Message{Subject: m.Subject, Header: m.Header, Data: m.Data, Bad: true})
	}
	emptied, err := emptying(seed, messages/10, start, v)
	return interleave(interleave(all, emptied), refused), mobiles, err
}

var uuidField = regexp.MustCompile(`"uuid":"([^"]+)"`)

// good are a day's messages. What names an event travels to the vendor in a
// field of the shop's own, since DM Hub's orders take no uuid.
func good(day []trade.Message) []check.Message {
	var all []check.Message
	for _, m := range day {
		if strings.HasPrefix(m.Subject, "sync.events.order.") {
			m.Data = uuidField.ReplaceAll(m.Data, []byte(`"uuid":"$1","c_event":"$1"`))
		}
		all = append(all, check.Message{Subject: m.Subject, Header: m.Header, Data: m.Data})
	}
	return all
}

// interleave spreads b evenly over a; both keep their order.
func interleave(a, b []check.Message) []check.Message {
	all := make([]check.Message, 0, len(a)+len(b))
	taken := 0
	for i, m := range b {
		until := (i + 1) * len(a) / (len(b) + 1)
		all = append(append(all, a[taken:until]...), m)
		taken = until
	}
	return append(all, a[taken:]...)
}

// publishers are how many messages may be unacknowledged at once.
const publishers = 16

// publish sends all messages, so many a second, and returns when each is
// acknowledged or the context ends.
func (p *publisher) publish(ctx context.Context, perSecond float64) {
	pace := rate.NewLimiter(rate.Limit(perSecond), publishers)
	next := make(chan *check.Message)
	var group sync.WaitGroup
	for range publishers {
		group.Go(func() {
			for m := range next {
				p.insist(ctx, m)
			}
		})
	}
	for i := range p.messages {
		if pace.Wait(ctx) != nil {
			break
		}
		next <- &p.messages[i]
	}
	close(next)
	group.Wait()
}

// insist publishes one message until it is acknowledged.
func (p *publisher) insist(ctx context.Context, m *check.Message) {
	sum := sha256.Sum256(m.Data)
	msg := &nats.Msg{Subject: m.Subject, Header: nats.Header{}, Data: m.Data}
	for name, values := range m.Header {
		msg.Header[name] = values
	}
	msg.Header.Set("Nats-Msg-Id", hex.EncodeToString(sum[:]))
	for ctx.Err() == nil {
		m.Sent++
		if m.FirstSent.IsZero() {
			m.FirstSent = time.Now()
		}
		once, cancel := context.WithTimeout(ctx, 2*time.Second)
		ack, err := p.js.PublishMsg(once, msg, jetstream.WithRetryAttempts(0))
		cancel()
		if err == nil {
			m.Acked, m.AckedAt, m.Sequence = true, time.Now(), ack.Sequence
			p.acked.Add(1)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}
