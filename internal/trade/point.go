package trade

import (
	"encoding/json"
	"strconv"
	"time"

	"syncworker/internal/event"
)

// pointData is the data of both point events.
type pointData struct {
	UUID         string      `json:"uuid"`
	MembershipID int64       `json:"membershipId,omitempty"`
	Identities   []identity  `json:"identities,omitempty"`
	Point        int64       `json:"point"`
	Pattern      json.Number `json:"pattern"`
	Date         string      `json:"date,omitempty"`
	Remark       string      `json:"remark,omitempty"`
	Source       string      `json:"source,omitempty"`
	DecrToZero   bool        `json:"decrToZero,omitempty"`
}

// most is the largest change of the ordinary trade.
const most = 200

// points makes all changes of points. What is taken from a member in a day is
// less than what they have at its start, so that no order of events runs them
// short: ids and mobile numbers are different lanes.
func (g *generator) points() {
	for n := range g.Points {
		p := pick(g, g.trading)
		amount := 1 + g.rng.Int64N(most)
		if g.chance(0.35) && p.left >= amount {
			p.left -= amount
			g.take(n, g.Points, p, amount, amount, g.chance(0.2))
			continue
		}
		g.grant(n, g.Points, p, amount)
	}
	for n, p := range g.cleared {
		g.take(n, len(g.cleared), p, p.Points+1+g.rng.Int64N(100), p.Points, true)
	}
	for n := range g.ShortOfPoints {
		if n%2 == 1 && len(g.empty) > 0 {
			g.refuse(n, "409181", pick(g, g.empty), 10)
		} else {
			p := pick(g, g.trading)
			g.refuse(n, "409180", p, p.Points+int64(g.Points)*most+1) // more than they can come to have today
		}
	}
}

func (g *generator) grant(n, of int, p *purse, points int64) {
	kind := pick(g, grants)
	g.day.Members[p.ID].In += points
	g.change(n, of, event.PointIncremented, p, &pointData{Point: points, Pattern: json.Number(kind.pattern), Remark: kind.remark})
}

// take publishes a decrement of which the vendor applies as much as is there.
func (g *generator) take(n, of int, p *purse, asked, applied int64, toZero bool) {
	kind := pick(g, spends)
	g.day.Members[p.ID].Out += applied
	g.change(n, of, event.PointDecremented, p, &pointData{
		Point: asked, Pattern: json.Number(kind.pattern), Remark: kind.remark, DecrToZero: toZero,
	})
}

func (g *generator) refuse(n int, code string, p *purse, points int64) {
	g.day.Members[p.ID].Refused++
	g.day.Refused[code]++
	g.day.Delivered[event.PointDecremented]--
	g.change(n, g.ShortOfPoints, event.PointDecremented, p, &pointData{Point: points, Pattern: "1", Remark: "积分兑换礼品"})
}

// change publishes the n-th of so many changes of a member's points.
func (g *generator) change(n, of int, t event.Type, p *purse, d *pointData) {
	at := g.Start.Add(time.Duration((float64(n) + g.rng.Float64()) / float64(of) * float64(Hours))).Truncate(time.Millisecond)
	d.UUID, d.Date, d.Source = g.uuid(), at.UTC().Format(time.RFC3339), "crm-"+strconv.Itoa(1+g.rng.IntN(3))
	if g.chance(0.4) && p.Mobile != "" {
		d.Identities = []identity{{"mobile", p.Mobile}}
	} else {
		d.MembershipID = p.ID
	}
	g.happens(&happening{typ: t, at: at, source: "crm/points", data: d})
}
