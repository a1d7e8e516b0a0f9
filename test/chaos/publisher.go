package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

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

// script makes what is published: days of trade of two tenants with shops and of
// one with a web shop, and one message of each kind of bad input.
func script(seed uint64, messages int, v *vendor) (all []check.Message, who people, err error) {
	if err := who.meet(v); err != nil {
		return nil, who, err
	}
	start := time.Now().Add(-20 * time.Hour).UTC().Truncate(time.Second)
	n := messages / 8 // an order brings two messages, a change of points one: the orders and points are three quarters
	days := []trade.Config{{Tenant: ""}, {Tenant: otherTenant}, {Tenant: webTenant, Conflicts: 1 + n/100}}
	for i := range days[:2] {
		day := &days[i]
		day.Members, day.Orders, day.Points = who.members[i*100:100+i*120], n, n
		day.Conflicts, day.ShortOfPoints, day.SeveralRefunds, day.Strangers, day.Orphans = 5+n/100, 3+n/200, 3, 3, 3
		day.Seed = seed*4 + uint64(i)
	}
	if err := who.patrons(v, &days[0], 3+n/6, 5+n/10); err != nil {
		return nil, who, err
	}
	if days[1].Codes, err = codes(v, 8+n/4); err != nil {
		return nil, who, err
	}
	if days[2].Web, err = web(v, 10+n/2); err != nil {
		return nil, who, err
	}
	for i, cfg := range days {
		cfg.Seed, cfg.Start, cfg.Duplicates, cfg.Disorder = seed*4+uint64(i), start, 0.05, true
		day, err := trade.New(cfg)
		if err != nil {
			return nil, who, err
		}
		if all == nil {
			all = good(day.Messages)
			continue
		}
		all = interleave(all, good(day.Messages))
	}
	bad, err := trade.New(trade.Config{Seed: seed*4 + 3, Start: start, Members: who.members, Bad: true})
	if err != nil {
		return nil, who, err
	}
	var refused []check.Message
	for _, m := range bad.Messages {
		refused = append(refused, check.Message{Subject: m.Subject, Header: m.Header, Data: m.Data, Bad: true})
	}
	emptied, err := emptying(seed, messages/10, start, v)
	return interleave(interleave(all, emptied), refused), who, err
}

var (
	uuidField       = regexp.MustCompile(`"uuid":"([^"]+)"`)
	membershipField = regexp.MustCompile(`"membership":\{`)
	// traced are the events whose uuid the vendor isn't told, and which nothing else
	// of their request names.
	traced = regexp.MustCompile(`^sync\.events\.(order\..*|device\.registered|coupon\.drawn|level\.(created|updated))$`)
)

// good are a day's messages. What names an event travels to the vendor in a field of
// the shop's own where its requests have no uuid.
func good(day []trade.Message) []check.Message {
	var all []check.Message
	for _, m := range day {
		switch uuid := uuidField.FindSubmatch(m.Data); {
		case uuid == nil:
		case traced.MatchString(m.Subject):
			m.Data = uuidField.ReplaceAll(m.Data, []byte(`"uuid":"$1","c_event":"$1"`))
		case m.Subject == "sync.events.member.updated":
			m.Data = membershipField.ReplaceAll(m.Data, fmt.Appendf(nil, `"membership":{"c_event":"%s",`, uuid[1]))
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
