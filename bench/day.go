package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"time"

	"syncworker/internal/trade"
)

// dayOf makes that many events of one day's trade.
func (s *stack) dayOf(events int) ([]trade.Message, error) {
	return tradeOf(1, "", s.members, events)
}

// tradeOf makes that many events of a day's trade: about six of ten concern
// orders. Decrements that ask for more than there may be are left out, since they
// take a second call, and both sides are to make the same calls. An empty
// tenant is named by no event.
func tradeOf(seed uint64, tenant string, members []trade.Member, events int) ([]trade.Message, error) {
	day, err := trade.New(trade.Config{
		Seed: seed, Tenant: tenant, Start: time.Now().UTC().Add(-trade.Hours), Members: members,
		Orders: events/2 + 50, Points: events/2 + 50,
	})
	if err != nil {
		return nil, err
	}
	random := rand.NewChaCha8([32]byte{})
	var chosen []trade.Message
	for _, m := range day.Messages {
		if bytes.Contains(m.Data, []byte(`"decrToZero":true`)) {
			continue
		}
		m.Data = withReceipt(m.Data, m.Header != nil, random)
		chosen = append(chosen, m)
	}
	if len(chosen) < events {
		return nil, fmt.Errorf("the day has %d events, and %d are asked for", len(chosen), events)
	}
	return chosen[:events], nil
}

// eventSize is what shops' events come to with the fields of their own.
const eventSize = 1000

// withReceipt adds a field of the shop's own to an event's data, as long as the
// event is smaller than most are. In structured mode data is the last member.
func withReceipt(data []byte, binary bool, random *rand.ChaCha8) []byte {
	end := "}}"
	if binary {
		end = "}"
	}
	const field = `,"c_receipt":"`
	missing := eventSize - len(data) - len(field) - 1
	if missing <= 0 || !bytes.HasSuffix(data, []byte(end)) {
		return data
	}
	raw := make([]byte, missing)
	_, _ = random.Read(raw) // it never fails
	receipt := base64.StdEncoding.EncodeToString(raw)[:missing]
	return []byte(string(data[:len(data)-len(end)]) + field + receipt + `"` + end)
}
