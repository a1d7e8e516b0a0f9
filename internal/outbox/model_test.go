package outbox_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

// TestTheStoreKeepsItsPromises plays workers, publishers, persons and accidents in
// any order against a real database, and looks at all of it after each step. More
// of it: go test ./internal/outbox -run Promises -rapid.checks=1000 -rapid.steps=60 -rapid.seed=0
func TestTheStoreKeepsItsPromises(t *testing.T) {
	s := newShop(t)
	checksUnlessTold(t, 20)
	unlessTold(t, "rapid.seed", "1") // that stays; a fresh one is for who looks for more
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(rt, s)
		works := oneOf(m.claim, m.reload, m.adopt, m.intend, m.intend, m.answer, m.answer, m.read, m.putDown, m.renew, m.join)
		rt.Repeat(map[string]func(*rapid.T){
			"events come":          m.enqueue,
			"a worker works":       works,
			"one goes on":          works,
			"another works":        works,
			"time passes":          m.wait,
			"a person decides":     oneOf(m.decide),
			"something goes wrong": oneOf(m.redeliver, m.zombie, m.late, m.end, m.expire, m.failOver, m.lose),
			"":                     m.check,
		})
	})
}

// checksUnlessTold runs a rapid test of this package n times where no flag says
// how often: what needs a database takes longer than a pure function.
func checksUnlessTold(t *testing.T, n int) {
	t.Helper()
	unlessTold(t, "rapid.checks", fmt.Sprint(n))
}

// unlessTold sets a flag for a test where nobody has.
func unlessTold(t *testing.T, name, value string) {
	t.Helper()
	told := false
	flag.Visit(func(f *flag.Flag) { told = told || f.Name == name })
	if !told {
		was := flag.Lookup(name).Value.String()
		require.NoError(t, flag.Set(name, value))
		t.Cleanup(func() { require.NoError(t, flag.Set(name, was)) })
	}
}

// model is what everybody outside of the database knows.
type model struct {
	*outbox.Store
	t         *rapid.T
	shop      *shop
	ctx       context.Context
	processes []*process
	trade     []event.Type // what is published
	last      outbox.Batch
	published map[event.Identity][]string // where the first of each went
	fresh     map[int64]bool              // rests, and no worker has had it since it does
	deeds     int                         // that have to be in the audit
	facts     map[outbox.Lane]outbox.LaneUpdate
	marks     map[int64]string // what the last call of each was marked with
	before    *snapshot        // of the last step
}

// process is a worker as it sees itself.
type process struct {
	token   outbox.Token
	number  int64 // of its last commit
	low     int64 // as the last Renew has told it
	most    int64 // the largest delivery id it has seen
	ended   bool  // in the database; it may not know yet
	suspect bool  // an answer of the database was lost
	hand    map[outbox.Lane]*inHand
	calls   map[int64]*outbox.Work // the intent is committed, no answer has come
}

// inHand is a lane in a process's hand.
type inHand struct {
	outbox.LaneState
	met   int // deliveries that were handed over
	stale bool
	work  []*outbox.Work
}

const otherAccount = "other"

func newModel(t *rapid.T, s *shop) *model {
	ctx := s.t.Context()
	_, err := s.conn.Exec(ctx, `DELETE FROM outbox.identities; DELETE FROM outbox.events; DELETE FROM outbox.deliveries;
		DELETE FROM outbox.lanes; DELETE FROM outbox.workers; DELETE FROM outbox.attempts; DELETE FROM outbox.audit;
		DELETE FROM outbox.conflicts`)
	require.NoError(t, err)
	m := &model{
		Store: s.Store, t: t, shop: s, ctx: ctx, published: map[event.Identity][]string{}, fresh: map[int64]bool{},
		facts: map[outbox.Lane]outbox.LaneUpdate{}, marks: map[int64]string{},
		trade: rapid.SampledFrom(trades).Draw(t, "trade"),
	}
	m.before = m.look()
	m.join(t)
	return m
}

// Choosing

// impossible is what a step panics with that can't be taken as things stand.
type impossible string

// pick draws one of those that there are.
func pick[T any](t *rapid.T, label string, of []T) T {
	if len(of) == 0 {
		panic(impossible("no " + label))
	}
	return of[evenly(t, label, len(of))]
}

// evenly draws from 0 to n-1; rapid's own ranges prefer small numbers.
func evenly(t *rapid.T, label string, n int) int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return rapid.SampledFrom(all).Draw(t, label)
}

// sometimes is true once in n times.
func sometimes(t *rapid.T, label string, n int) bool { return evenly(t, label, n) == n-1 }

// oneOf is a step that is one of several that are possible, if any is. (Where too
// many steps are skipped, rapid ends a run early.)
func oneOf(steps ...func(*rapid.T)) func(*rapid.T) {
	order := make([]int, len(steps))
	for i := range order {
		order[i] = i
	}
	return func(t *rapid.T) {
		for _, i := range rapid.Permutation(order).Draw(t, "ways") {
			if taken(t, steps[i]) {
				return
			}
		}
	}
}

func taken(t *rapid.T, step func(*rapid.T)) (taken bool) {
	defer func() {
		if why := recover(); why != nil {
			if _, is := why.(impossible); !is {
				panic(why)
			}
			taken = false
		}
	}()
	step(t)
	return true
}

func (m *model) some(label string, which func(*process) bool) *process {
	var of []*process
	for _, p := range m.processes {
		if which(p) {
			of = append(of, p)
		}
	}
	return pick(m.t, label, of)
}

func live(p *process) bool  { return !p.ended }
func ended(p *process) bool { return p.ended }

func lanesOf(p *process) []*inHand {
	return slices.SortedFunc(maps.Values(p.hand), func(a, b *inHand) int { return slices.Compare(a.Lane[:], b.Lane[:]) })
}

func callsOf(p *process) []*outbox.Work {
	return slices.SortedFunc(maps.Values(p.calls), func(a, b *outbox.Work) int { return int(a.ID - b.ID) })
}

func (l *inHand) calling(p *process) bool {
	return slices.ContainsFunc(l.work, func(w *outbox.Work) bool { return p.calls[w.ID] != nil })
}

// serial reports whether something in the lane keeps what follows it waiting.
func (l *inHand) serial() bool {
	return slices.ContainsFunc(l.work, func(w *outbox.Work) bool { return w.Blocks })
}

func (l *inHand) drop(ids ...int64) {
	l.work = slices.DeleteFunc(l.work, func(w *outbox.Work) bool { return slices.Contains(ids, w.ID) })
}

// soon is a time that has come as soon as the database looks, or one that is far.
func (m *model) soon() time.Time {
	if rapid.Bool().Draw(m.t, "far") {
		return time.Now().Add(time.Hour)
	}
	return time.Now().Add(-time.Second)
}

// Taking

func (m *model) met(p *process, w *outbox.Work) {
	delete(m.fresh, w.ID)
	p.most = max(p.most, w.ID)
}

// takeHanded is what a worker does with what was handed over as it came.
func (m *model) takeHanded(p *process, h outbox.Handed) {
	l := p.hand[h.Lane.Lane]
	if l == nil || l.Epoch != h.Lane.Epoch {
		l = &inHand{LaneState: h.Lane}
		p.hand[h.Lane.Lane] = l
	}
	w := h.Work
	l.met++
	l.work = append(l.work, &w)
	m.met(p, &w)
}

// takeEmpty is what a worker does with a lane in which nothing was handed over.
func (m *model) takeEmpty(p *process, x outbox.LaneState) {
	if l := p.hand[x.Lane]; l == nil || l.Epoch != x.Epoch {
		p.hand[x.Lane] = &inHand{LaneState: x, stale: true}
	}
}

func (m *model) takeLoaded(p *process, l *inHand, x *outbox.Loaded) {
	l.LaneState, l.stale = x.LaneState, false
	l.met += len(x.Work)
	l.work = append(l.work, x.Work...)
	p.hand[x.Lane] = l
	for _, w := range x.Work {
		require.Equal(m.t, m.marks[w.ID], w.Mark, "what was there before its call comes back with it")
		m.met(p, w)
	}
	for id, d := range m.look().deliveries {
		require.False(m.t, d.blocks && d.lane == x.Lane && d.owner == nil && d.account != "" && len(x.Work) < outbox.Window,
			"delivery %d blocks the lane, and isn't loaded with it", id)
	}
}

// commit writes as a process; its answer may be lost, and it is tried again then.
func (m *model) commit(p *process, c outbox.Commit) (gone []int64) {
	c.Number = p.number + 1
	gone, err := m.Commit(m.ctx, p.token, c)
	require.NoError(m.t, err)
	p.number = c.Number
	if sometimes(m.t, "the commit's answer is lost", 5) {
		was := m.digest()
		stale := slices.ContainsFunc(c.Intents, func(x *outbox.Intent) bool { return x.Stale })
		released := make([]bool, len(c.Lanes))
		for i, u := range c.Lanes {
			released[i] = u.Released
		}
		again, err := m.Commit(m.ctx, p.token, c)
		require.NoError(m.t, err)
		require.ElementsMatch(m.t, gone, again, "the same answer")
		for _, x := range c.Intents { // of which there is one
			require.Equal(m.t, stale, x.Stale, "the same answer")
		}
		for i, u := range c.Lanes {
			require.Equal(m.t, released[i], u.Released, "the same answer")
		}
		require.Equal(m.t, was, m.digest(), "a commit that is tried again writes nothing")
	}
	for _, l := range p.hand {
		l.drop(gone...)
	}
	return gone
}

// isOver: the database has ended these tokens, and what they held is at rest.
func (m *model) isOver(tokens ...outbox.Token) {
	for _, p := range m.processes {
		if slices.Contains(tokens, p.token) {
			p.ended = true
			for _, d := range m.before.deliveries {
				if d.owner != nil && *d.owner == p.token && !d.state.Final() {
					m.fresh[d.id] = true
				}
			}
		}
	}
}
