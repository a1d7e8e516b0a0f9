package check

import (
	"encoding/hex"
	"slices"
	"strings"
)

// kept proves that what JetStream acknowledged is in the tables, once, and that
// nothing is there that nobody published.
func (c *checker) kept() {
	bad := c.readPublished()
	for key, messages := range c.facts {
		c.look(len(messages))
		c.identityKept(key, messages)
	}
	c.rejectsKept(bad)
	for _, e := range c.Events {
		var got []string
		for _, d := range c.ofEvent[e.ID] {
			got = append(got, d.Account)
		}
		slices.Sort(got)
		if want := c.Run.routed(e.Type, e.Tenant); !slices.Equal(got, want) {
			c.find("event %d (%s %s %s) has deliveries for %q, want %q", e.ID, e.Type, e.OrderNo, e.UUID, got, want)
		}
	}
	for _, id := range c.Identities {
		if len(c.facts[id.Key]) == 0 {
			c.find("%s is in the outbox, but nobody published it", id.Key)
		}
	}
	if len(c.Events) != len(c.Identities) {
		c.find("%d events for %d identities", len(c.Events), len(c.Identities))
	}
}

// readPublished sorts the journal by identity, and returns the bad messages.
func (c *checker) readPublished() (bad []*Message) {
	for i := range c.Published {
		m := &c.Published[i]
		if m.Bad {
			bad = append(bad, m)
			continue
		}
		f, err := decode(m.Header, m.Data)
		if err != nil {
			c.find("the journal's message %d can't be read: %v", i+1, err)
			continue
		}
		c.facts[f.Key] = append(c.facts[f.Key], published{m, f})
	}
	return bad
}

func (c *checker) identityKept(key Key, messages []published) {
	acked, sent, first := 0, 0, messages[0]
	for _, m := range messages {
		sent += m.Sent
		if m.Acked && !c.tailLost(m.Message) {
			acked++
		}
	}
	row := c.identities[key]
	switch {
	case row == nil && acked > 0 && len(c.against[key]) == 0:
		c.find("%s is lost: acknowledged at %s as message %d of the stream, and there is no row of it", key, clock(first.AckedAt), first.Sequence)
		return
	case row == nil:
		return
	}
	e := c.events[row.EventID]
	if e == nil {
		c.find("%s has an identity without an event (%d)", key, row.EventID)
		return
	}
	got, err := decode(envelopeOf(e.BinaryMode, e.Type, e.Tenant), []byte(e.Payload))
	if err != nil || got.Key != key || !slices.ContainsFunc(messages, func(m published) bool { return m.Content == got.Content }) {
		c.find("%s: event %d isn't what was published: %.200s", key, e.ID, e.Payload)
	}
	if again := row.Duplicates + c.conflictCount(key); again > sent-1 {
		c.find("%s was sent %d times and met %d times again", key, sent, again)
	} else if sent == len(messages) && acked == len(messages) && c.quietRun() && again != len(messages)-1 {
		c.find("%s was sent %d times and met %d times again, with nothing in the way", key, sent, again)
	}
}

// quietRun reports whether nothing has made messages come twice or in another
// order: then counts are exact.
func (c *checker) quietRun() bool { return len(c.Faults) == 0 }

// tailLost reports whether the stream was put back to before a message.
func (c *checker) tailLost(m *Message) bool {
	return slices.ContainsFunc(c.Faults, func(f Fault) bool {
		return f.Kind == "stream_tail" && !m.AckedAt.Before(f.At) && !m.AckedAt.After(f.Until)
	})
}

func (c *checker) conflictCount(key Key) (n int) {
	for _, row := range c.against[key] {
		n += row.Count
	}
	return n
}

// envelopeOf stands for the headers of a row whose payload is the data alone.
func envelopeOf(binary bool, kind, tenant string) map[string][]string {
	if !binary {
		return nil
	}
	return map[string][]string{"ce-type": {kind}, "ce-tenant": {tenant}}
}

// rejectsKept proves that what is bad is kept as it came, and nothing else.
func (c *checker) rejectsKept(bad []*Message) {
	type bytes struct{ subject, payload string }
	rows := map[bytes]Reject{}
	for _, r := range c.Rejects {
		payload, err := hex.DecodeString(strings.TrimPrefix(r.Payload, `\x`))
		if err != nil {
			c.find("reject %d: its payload can't be read: %v", r.ID, err)
		}
		rows[bytes{r.Subject, string(payload)}] = r
	}
	for _, m := range bad {
		c.look(1)
		key := bytes{m.Subject, string(m.Data)}
		row, found := rows[key]
		delete(rows, key)
		switch {
		case !found && m.Acked && !c.tailLost(m):
			c.find("a bad message on %s, acknowledged as message %d of the stream, was not kept: %.100q", m.Subject, m.Sequence, m.Data)
		case found && row.Count > m.Sent:
			c.find("reject %d was sent %d times and counted %d times", row.ID, m.Sent, row.Count)
		}
	}
	for key, r := range rows {
		c.find("reject %d (%s) refuses what is good: %.200q", r.ID, r.Reason, key.payload)
	}
}
