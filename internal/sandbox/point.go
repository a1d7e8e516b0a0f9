package sandbox

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// pointWindow is how far back point details reach ("dmhub-loyalty" §15).
const pointWindow = 30 * 24 * time.Hour

type pointRow struct {
	id                 int64
	sign               int64 // 1 or −1
	points             int64 // as applied, positive
	oldPoint, newPoint int64
	pattern            int64
	date, created      time.Time
	remark, source     json.RawMessage
	content, campaign  json.RawMessage
	uuid               string
}

// usedUUID blocks a uuid until the window ends. applied tells a uuid that had
// an effect from one that a refusal used up.
type usedUUID struct {
	until   time.Time
	applied bool
}

func (s *Sandbox) incrPoints(c *call) (any, *fail) { return s.changePoints(c, 1) }
func (s *Sandbox) decrPoints(c *call) (any, *fail) { return s.changePoints(c, -1) }

// pointChange is the request of "dmhub-loyalty" §5.
type pointChange struct {
	sign, points, pattern int64
	date                  time.Time
	window                time.Duration
	toZero                bool
}

func readPointChange(c *call, sign int64) (pointChange, *fail) {
	f := form{raw: c.body}
	p := pointChange{
		sign: sign, points: f.integer("point", true), pattern: f.integer("pattern", true),
		date: f.date("date", false), toZero: f.boolean("decrToZero"),
	}
	for _, name := range []string{"remark", "source", "contentName", "campaignId", "uuid"} {
		f.text(name, false)
	}
	p.window = time.Duration(f.integer("uuid_timeout", false)) * time.Second
	if f.err == nil && (p.points <= 0 || p.points > math.MaxInt32) { // the document's type is int
		return p, mistyped("point", c.body["point"])
	}
	highest := int64(5)
	if sign < 0 {
		highest = 6
	}
	if f.err == nil && (p.pattern < 0 || p.pattern > highest) {
		return p, &fail{Code: "400001", Message: fmt.Sprintf("Invalid pattern(%d)!", p.pattern)}
	}
	if p.date.IsZero() {
		p.date = c.now
	}
	if p.window <= 0 {
		p.window = time.Duration(c.sw.UUIDWindow)
	}
	if longest := time.Duration(c.sw.UUIDWindowMax); longest > 0 {
		p.window = min(p.window, longest)
	}
	return p, f.err
}

func (s *Sandbox) changePoints(c *call, sign int64) (any, *fail) {
	p, err := readPointChange(c, sign)
	if err != nil {
		return nil, err
	}
	m := c.store.members[c.member]
	if m == nil {
		return nil, errNoMember
	}
	points, err := m.take(p)
	used, seen := c.store.uuids[c.uuid]
	if c.uuid != "" && seen && c.now.Before(used.until) && (err == nil || !c.sw.BalanceFirst) {
		if c.sw.DuplicateUUID == "echo" {
			return echoPoints(c.body), nil
		}
		return nil, &fail{Code: "409000", Message: "uuid exists"}
	}
	if c.uuid != "" && (err == nil || c.sw.RefusedConsumesUUID) {
		if err == nil && used.applied {
			c.ledger.violate(c, UUIDAppliedTwice, 0)
		}
		c.store.uuids[c.uuid] = usedUUID{c.now.Add(p.window), err == nil || used.applied}
	}
	if err != nil {
		return nil, err
	}
	row := c.store.addPoints(m, p, points, c)
	c.ledger.effect(c, Effect{Member: m.id, Points: sign * points, Ref: strconv.FormatInt(row, 10)})
	return echoPoints(c.body), nil
}

// take says how many points the change moves.
func (m *member) take(p pointChange) (int64, *fail) {
	balance := m.balance
	switch {
	case p.sign > 0 || balance >= p.points:
		return p.points, nil
	case balance <= 0:
		return 0, &fail{Code: "409181", Message: "Zero points!", Point: &balance}
	case p.toZero:
		return balance, nil
	}
	return 0, &fail{Code: "409180", Message: "Points not enough!", Point: &balance}
}

// addPoints moves the points, writes the detail row and returns its id.
func (st *store) addPoints(m *member, p pointChange, points int64, c *call) int64 {
	row := pointRow{
		id: st.nextPoint, sign: p.sign, points: points, pattern: p.pattern,
		oldPoint: m.balance, newPoint: m.balance + p.sign*points, date: p.date, created: c.now,
	}
	if laneKind(c.op) == "member" {
		row.remark, row.source = c.body["remark"], c.body["source"]
		row.content, row.campaign, row.uuid = c.body["contentName"], c.body["campaignId"], c.uuid
	}
	st.nextPoint++
	m.balance = row.newPoint
	m.rows = append(m.rows, row)
	return row.id
}

// echoPoints is the documented reply: the request's own fields, neither the
// balance nor the points that decrToZero took, nor the uuid.
func echoPoints(body fields) json.RawMessage {
	var reply object
	for _, name := range []string{"point", "pattern", "date", "remark", "source", "contentName", "campaignId"} {
		if raw, ok := body[name]; ok {
			reply = reply.raw(name, raw)
		}
	}
	return reply.end()
}

// pointDetails is "dmhub-loyalty" §15.
func (s *Sandbox) pointDetails(c *call) (any, *fail) {
	m := c.store.members[c.member]
	if m == nil {
		return nil, errNoMember
	}
	until := c.seenAt()
	var visible []pointRow
	for _, row := range m.rows {
		if !row.created.After(until) && row.created.After(c.now.Add(-pointWindow)) {
			visible = append(visible, row)
		}
	}
	return paged(c, visible, func(row pointRow) any { return row.document(m.id, c.sw.UUIDTrace) }), nil
}

func (r pointRow) document(member int64, trace string) map[string]any {
	doc := map[string]any{
		"id": r.id, "contentName": r.content, "campaignId": r.campaign, "date": stamp(r.date),
		"dateCreated": stamp(r.created), "lastUpdated": stamp(r.created), "leftPoint": r.newPoint,
		"pattern": r.pattern, "source": r.source, "newPoint": r.newPoint, "oldPoint": r.oldPoint,
		"tenantId": 26, "membershipId": member, "point": r.points, "type": r.sign, "status": r.sign,
		"expireDate": nil, "remark": r.remark, "externalId": nil,
	}
	switch {
	case trace == "external_id" && r.uuid != "":
		doc["externalId"] = r.uuid
	case trace == "none":
		doc["remark"] = nil
	}
	return doc
}

// positive reads a query parameter, with a default for what isn't a small
// positive number.
func positive(s string, byDefault int) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 1<<20 {
		return byDefault
	}
	return n
}
