package trade

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"syncworker/internal/event"
)

// Web is a web shop, which knows its customers by the vendor's own ids and has
// levels of its own. A day of its own Tenant may have nothing else.
type Web struct {
	Customers []Customer
	Changes   int     // of their points, at least
	NewLevels int     // that are created
	Levels    []int64 // the vendor's: each is updated, and the last one deleted
}

// Customer is one of the web shop's.
type Customer struct {
	ID     int64
	Points int64 // before the day
}

// levelData is the data of the events about a level.
type levelData struct {
	UUID            string      `json:"uuid"`
	ID              int64       `json:"id,omitempty"`
	Title           string      `json:"title,omitempty"`
	ConditionPoints *int64      `json:"condition_points,omitempty"`
	GainPoints      json.Number `json:"gain_points,omitempty"`
	RedeemPoints    int64       `json:"redeem_points,omitempty"`
}

// web makes the web shop's day.
func (g *generator) web() error {
	for _, c := range g.Web.Customers {
		if g.day.Members[c.ID] != nil {
			return fmt.Errorf("trade: customer %d is there twice, or a member's id", c.ID)
		}
		g.day.Members[c.ID] = &Account{Start: c.Points}
	}
	for n := 0; n < g.Web.Changes && len(g.Web.Customers) > 0; {
		n += g.buy(n)
	}
	for n := range g.Web.NewLevels {
		s := g.series(n, g.Web.NewLevels, "shop/web")
		s.add(event.LevelCreated, g.level(0, fmt.Sprintf("会员日 %s-%d", strconv.FormatUint(g.Seed, 36), n), n))
	}
	for n, id := range g.Web.Levels {
		s := g.series(n, len(g.Web.Levels), "shop/web")
		s.add(event.LevelUpdated, g.level(id, "黄金会员", n))
		if n < len(g.Web.Levels)-1 {
			s.add(event.LevelUpdated, g.level(id, "白金会员", n))
			continue
		}
		s.add(event.LevelDeleted, &levelData{UUID: g.uuid(), ID: id})
	}
	return nil
}

// buy publishes a change of a customer's points, some of them two or three
// times in a row: equal amounts that are different events. It returns how many.
func (g *generator) buy(n int) int {
	c := pick(g, g.Web.Customers)
	account := g.day.Members[c.ID]
	points, times := 1+g.rng.Int64N(most), int64(1)
	if g.chance(0.3) {
		times = 2 + g.rng.Int64N(2)
	}
	kind, typ := pick(g, grants), event.PointIncremented
	if g.chance(0.35) && account.Out+points*times < account.Start {
		kind, typ = pick(g, spends), event.PointDecremented
		account.Out += points * times
	} else {
		account.In += points * times
	}
	s := g.series(min(n, g.Web.Changes-1), g.Web.Changes, "shop/web")
	for range times {
		d := &pointData{UUID: g.uuid(), MembershipID: c.ID, Point: points, Remark: kind.remark}
		d.Pattern = json.Number(kind.pattern)
		s.add(typ, d).data.(*pointData).Date = s.at.UTC().Format(time.RFC3339)
	}
	return int(times)
}

func (g *generator) level(id int64, title string, n int) *levelData {
	condition := int64(1000 * (n + 1))
	return &levelData{
		UUID: g.uuid(), ID: id, Title: title, ConditionPoints: &condition, GainPoints: json.Number("1.5"), RedeemPoints: 100,
	}
}
