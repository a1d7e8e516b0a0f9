package check

// conflicts proves that two events with one identity and different content are
// both kept, and that no conflict is made up.
func (c *checker) conflicts() {
	type kept struct {
		Key
		content string
	}
	rows := map[kept]bool{}
	for _, row := range c.Conflicts {
		f, err := decode(envelopeOf(row.BinaryMode, row.Type, row.Tenant), []byte(row.Payload))
		if err != nil {
			c.find("conflict %d can't be read: %v", row.ID, err)
			continue
		}
		rows[kept{row.Key, f.Content}] = true
		c.conflictIsReal(row, f)
	}
	for key, messages := range c.facts {
		id := c.identities[key]
		if id == nil || c.events[id.EventID] == nil {
			continue
		}
		e := c.events[id.EventID]
		first, err := decode(envelopeOf(e.BinaryMode, e.Type, e.Tenant), []byte(e.Payload))
		if err != nil {
			continue // found elsewhere
		}
		for _, m := range messages {
			if m.Content == first.Content {
				continue
			}
			c.look(1)
			if m.Acked && !c.tailLost(m.Message) && !rows[kept{key, m.Content}] {
				c.find("%s: its other content, message %d of the stream, was not kept: %.200s", key, m.Sequence, m.Data)
			}
		}
	}
}

func (c *checker) conflictIsReal(row Conflict, f fact) {
	published, first := false, c.identities[row.Key]
	for _, m := range c.facts[row.Key] {
		published = published || m.Content == f.Content
	}
	if !published {
		c.find("conflict %d (%s) has what nobody published: %.200s", row.ID, row.Key, row.Payload)
	}
	if row.Cause != "content" {
		if row.Cause == "deleted" && len(c.effects[target{"deal.delete", row.OrderNo, ""}])+len(c.effects[target{"customer_deal.delete", row.OrderNo, ""}]) == 0 {
			c.find("conflict %d: %s was kept out because its order was deleted, which it wasn't", row.ID, row.Key)
		}
		return
	}
	if first == nil || c.events[first.EventID] == nil {
		c.find("conflict %d: %s has nothing that it could conflict with", row.ID, row.Key)
		return
	}
	e := c.events[first.EventID]
	if g, err := decode(envelopeOf(e.BinaryMode, e.Type, e.Tenant), []byte(e.Payload)); err == nil && g.Content == f.Content {
		c.find("conflict %d: %s has the same content as its first event", row.ID, row.Key)
	}
}
