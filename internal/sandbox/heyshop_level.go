package sandbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// heyshopLevel is a level rule (积分等级规则) with its former states, oldest first:
// reads may lag.
type heyshopLevel struct {
	id     int64
	states []levelState
}

type levelState struct {
	since   time.Time
	deleted bool
	fields  fields
}

// at returns the state of a time; nil where there was none, or where it was deleted.
func (l *heyshopLevel) at(t time.Time) fields {
	for _, s := range slices.Backward(l.states) {
		if !s.since.After(t) {
			if s.deleted {
				return nil
			}
			return s.fields
		}
	}
	return nil
}

func (l *heyshopLevel) put(c *call, s levelState) {
	s.since = c.now
	l.states = append(l.states, s)
}

var levelNumbers = []string{
	"condition_points", "sign_points", "gain_points", "redeem_points", "redeem_limitation", "redeem_limitation_monthly",
}

// levelDocument is a level as every reply shows it.
func levelDocument(id int64, f fields) json.RawMessage {
	o := object{}.int("id", id).raw("title", f["title"])
	for _, name := range levelNumbers {
		o = o.raw(name, f[name])
	}
	return o.end()
}

// readLevel reads what creates or replaces a level. What isn't given is 0, unknown
// fields are dropped.
func readLevel(c *call) (fields, *fail) {
	f := rest{raw: c.body}
	level := fields{"title": encode(f.text("title"))}
	for _, name := range levelNumbers {
		raw := c.body[name]
		switch {
		case len(raw) == 0 && name != "condition_points":
			level[name] = json.RawMessage("0")
		case name == "gain_points":
			v, ok := exact(raw)
			if !ok {
				f.fail(name, "A valid number is required.")
			}
			level[name] = json.RawMessage(v.String())
		default:
			v := f.integer(name)
			if v < 0 {
				f.fail(name, "Ensure this value is greater than or equal to 0.")
			}
			level[name] = strconv.AppendInt(nil, v, 10)
		}
	}
	return level, f.err
}

// startLevels are those of the document.
func startLevels(now time.Time) []*heyshopLevel {
	var levels []*heyshopLevel
	for _, l := range []struct {
		id        int64
		title     string
		condition int64
	}{{5, "初级会员", 0}, {8, "黄金会员", 1000}, {9, "白金会员", 2000}} {
		f := fields{"title": encode(l.title)}
		for _, name := range levelNumbers {
			f[name] = json.RawMessage("0")
		}
		f["condition_points"] = strconv.AppendInt(nil, l.condition, 10)
		levels = append(levels, &heyshopLevel{id: l.id, states: []levelState{{since: now, fields: f}}})
	}
	return levels
}

// firstLevel is the id that the document's create returns.
const firstLevel = 27

// shop returns what a HeyShop store holds, which begins with the document's levels.
func (c *call) shop() *heyshopStore { return c.store.shop() }

func (st *store) shop() *heyshopStore {
	if st.heyshop == nil {
		st.heyshop = &heyshopStore{levels: startLevels(time.Time{}), of: map[int64][]*heyshopEntry{}}
	}
	return st.heyshop
}

func (c *call) level() *heyshopLevel {
	id, err := strconv.ParseInt(c.path, 10, 64)
	if err != nil {
		return nil
	}
	for _, l := range c.shop().levels {
		if l.id == id {
			return l
		}
	}
	return nil
}

// lagged is the time as reads see it.
func (c *call) lagged() time.Time { return c.now.Add(-time.Duration(c.sw.ReadsLag)) }

// listLevels is 查询积分等级规则.
func (s *Sandbox) listLevels(c *call) (any, *fail) {
	var all []json.RawMessage
	for _, l := range c.shop().levels {
		if f := l.at(c.lagged()); f != nil {
			all = append(all, levelDocument(l.id, f))
		}
	}
	rows, doc, err := pageOf(c, "/api/loyalty/level/", all)
	if err != nil {
		return nil, err
	}
	doc["results"] = append([]json.RawMessage{}, rows...)
	return doc, nil
}

// getLevel is 查询指定积分等级规则.
func (s *Sandbox) getLevel(c *call) (any, *fail) {
	if l := c.level(); l != nil {
		if f := l.at(c.lagged()); f != nil {
			return levelDocument(l.id, f), nil
		}
	}
	return nil, noSuchRow()
}

// createLevel is 创建积分等级规则. Titles may be there twice.
func (s *Sandbox) createLevel(c *call) (any, *fail) {
	f, err := readLevel(c)
	if err != nil {
		return nil, err
	}
	shop := c.shop()
	l := &heyshopLevel{id: max(firstLevel, shop.levels[len(shop.levels)-1].id+1)}
	l.put(c, levelState{fields: f})
	shop.levels = append(shop.levels, l)
	c.ledger.effect(c, Effect{Ref: strconv.FormatInt(l.id, 10)})
	return levelDocument(l.id, f), nil
}

// updateLevel is 更新会员等级规则.
func (s *Sandbox) updateLevel(c *call) (any, *fail) {
	l := c.level()
	if l == nil || l.at(c.now) == nil {
		return nil, noSuchRow()
	}
	f, err := readLevel(c)
	if err != nil {
		return nil, err
	}
	old := l.at(c.now)
	l.put(c, levelState{fields: f})
	c.ledger.effect(c, Effect{Ref: c.path, Repeat: sameLevel(old, f)})
	return levelDocument(l.id, f), nil
}

// deleteLevel is 删除会员等级规则.
func (s *Sandbox) deleteLevel(c *call) (any, *fail) {
	l := c.level()
	if l == nil || l.at(c.now) == nil {
		return nil, noSuchRow()
	}
	l.put(c, levelState{deleted: true})
	c.ledger.effect(c, Effect{Ref: c.path})
	return noBody{}, nil
}

func sameLevel(a, b fields) bool {
	if string(a["title"]) != string(b["title"]) {
		return false
	}
	for _, name := range levelNumbers {
		x, _ := exact(a[name])
		y, _ := exact(b[name])
		if !x.Equal(y) {
			return false
		}
	}
	return true
}

// Level is a level rule as a HeyShop store holds it now.
type Level struct {
	Store           string          `json:"store"`
	ID              int64           `json:"id"`
	Title           string          `json:"title"`
	ConditionPoints decimal.Decimal `json:"condition_points"`
	GainPoints      decimal.Decimal `json:"gain_points"`
}

// Levels returns the level rules of all HeyShop stores by store and id.
func (s *Sandbox) Levels() []Level {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	var all []Level
	for _, st := range s.stores {
		if st.heyshop == nil {
			continue
		}
		for _, l := range st.heyshop.levels {
			f := l.at(now)
			if f == nil {
				continue
			}
			condition, _ := exact(f["condition_points"])
			gain, _ := exact(f["gain_points"])
			all = append(all, Level{Store: st.name, ID: l.id, Title: text(f["title"]), ConditionPoints: condition, GainPoints: gain})
		}
	}
	slices.SortStableFunc(all, func(a, b Level) int { return strings.Compare(a.Store, b.Store) })
	return all
}

// SeedLevel adds a level rule to a HeyShop store, by the vendor's side: no call, no
// effect. Levels that are created later get the ids behind it.
func (s *Sandbox) SeedLevel(l Level) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, login := range s.logins {
		if login.account.vendor() != HeyShop || login.account.Store != l.Store {
			continue
		}
		shop := login.store.shop()
		if newest := shop.levels[len(shop.levels)-1].id; l.ID <= newest {
			return fmt.Errorf("sandbox: seeding level %d: give an id above %d", l.ID, newest)
		}
		f := fields{"title": encode(l.Title)}
		for _, name := range levelNumbers {
			f[name] = json.RawMessage("0")
		}
		f["condition_points"], f["gain_points"] = json.RawMessage(l.ConditionPoints.String()), json.RawMessage(l.GainPoints.String())
		shop.levels = append(shop.levels, &heyshopLevel{id: l.ID, states: []levelState{{fields: f}}})
		return nil
	}
	return fmt.Errorf("sandbox: seeding level %d: store %q isn't a HeyShop account's", l.ID, l.Store)
}
