// Package trade makes up a shop's day of trade from a seed: the messages that
// its tills and its web shop publish, with the trouble that real ones make, and
// what has to become of them. The demo, the end-to-end tests and the benchmarks
// publish it.
//
// It knows the contract and nothing of the worker: what it expects follows from
// what a vendor's documents say, one effect for each event.
package trade

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/shopspring/decimal"

	"syncworker/internal/event"
)

// Config is what the day is made from. The same Config makes the same Day.
type Config struct {
	// Seed also stands in every order number and uuid: days of different seeds
	// share none.
	Seed uint64
	// Start is when the shops open, for Hours. An event whose time is more than
	// a day ahead of the worker's clock would be refused.
	Start  time.Time
	Tenant string // empty: the events name none
	// Members are those that the vendor has. Most of those with points take part
	// in the ordinary trade in points; one for each fifty changes, and no more
	// than a tenth of them, is cleared instead, by a decrement with decrToZero
	// that asks for more than is there; those without points get orders only, and
	// what must be refused.
	Members []Member

	Orders int // with the updates, cancels, refunds and deletes that follow
	Points int // changes of points that are neither refused nor clear a member

	Duplicates float64 // share of the events that is published a second time
	Conflicts  int     // identities that are published again with other content
	Disorder   bool    // creates after what follows them, refunds in any order
	Bad        bool    // one message of each kind of Bad

	ShortOfPoints  int // decrements that the vendor must refuse
	SeveralRefunds int // further orders where one of two refunds is taken back
	Strangers      int // further orders of members that the vendor doesn't have
	Orphans        int // refunds of orders that are never published

	// What a day has beside orders and members' points, where it is asked for.
	People People
	Codes  Codes
	Web    Web
}

// Hours is how long the shops are open.
const Hours = 14 * time.Hour

// Member is one of the vendor's members.
type Member struct {
	ID         int64
	CustomerID int64 // by which orders name them too, where it is set
	Mobile     string
	Points     int64 // before the day
}

// Message is what is published.
type Message struct {
	Subject string
	Header  map[string][]string // set for an event in binary mode
	Data    []byte
}

// Day is what is published, in this order, and what must become of it where the
// vendor answers every call.
type Day struct {
	Messages []Message

	// Events counts the distinct events of the contract: as many deliveries come
	// of them for each account that a route names.
	Events     map[event.Type]int
	Duplicates int
	Conflicts  int
	Rejects    map[event.Reason]int

	Delivered map[event.Type]int
	Refused   map[string]int // by the vendor's code: dead
	Held      map[string]int // by reason

	Orders  map[string]*Order // by order number
	Members map[int64]*Account

	Paid      decimal.Decimal // amountPaid of all orders at the vendor, cancelled and deleted ones too
	Refunded  decimal.Decimal // without what was taken back
	PointsIn  int64
	PointsOut int64 // positive
}

// Order is one order as the vendor has it in the end.
type Order struct {
	No        string
	Held      string // why its create is held: nothing of it is at the vendor
	Paid      decimal.Decimal
	Refunds   []Refund
	Updates   int
	Cancelled bool
	Deleted   bool
}

// Refunded is the sum of what is outstanding.
func (o *Order) Refunded() decimal.Decimal {
	sum := decimal.Zero
	for _, r := range o.Refunds {
		if !r.TakenBack && r.Held == "" {
			sum = sum.Add(r.Total)
		}
	}
	return sum
}

// Refund is one refund of an order.
type Refund struct {
	UUID      string
	Total     decimal.Decimal
	TakenBack bool
	Held      string // why the refund itself is held
}

// Account is a member's points.
type Account struct {
	Start   int64
	In, Out int64 // both positive
	Refused int   // decrements
}

// Balance is what the vendor has in the end.
func (a *Account) Balance() int64 { return a.Start + a.In - a.Out }

// New makes the day.
func New(cfg Config) (*Day, error) {
	g := &generator{
		Config: cfg,
		rng:    rand.New(rand.NewPCG(cfg.Seed, 0x73796e63)),
		day: &Day{
			Events: map[event.Type]int{}, Rejects: map[event.Reason]int{}, Delivered: map[event.Type]int{},
			Refused: map[string]int{}, Held: map[string]int{}, Orders: map[string]*Order{}, Members: map[int64]*Account{},
		},
	}
	if err := g.meetMembers(); err != nil {
		return nil, err
	}
	g.orders()
	g.points()
	g.members()
	g.codes()
	if err := g.web(); err != nil {
		return nil, err
	}
	g.repeat()
	if err := g.contradict(); err != nil {
		return nil, err
	}
	if err := g.publish(); err != nil {
		return nil, err
	}
	g.sum()
	return g.day, nil
}

// generator is a day in the making.
type generator struct {
	Config
	rng *rand.Rand
	day *Day

	trading []*purse // members with points who take part in the ordinary trade
	cleared []*purse
	empty   []*purse // members without points
	serial  int      // of the last order number
	events  []*happening

	welcome   int64        // points of new members
	usedTwice []*happening // uses of codes that another till has too
}

// purse is a member with what may still be taken from them.
type purse struct {
	Member
	left int64
}

func (g *generator) meetMembers() error {
	onlyWeb := len(g.Web.Customers) > 0 && !g.Bad && g.Orders+g.Points+g.ShortOfPoints+g.SeveralRefunds+g.Strangers+g.Orphans == 0
	if len(g.Members) == 0 && !onlyWeb {
		return errors.New("trade: no members: give at least one")
	}
	var rich []*purse
	for _, m := range g.Members {
		if g.day.Members[m.ID] != nil {
			return fmt.Errorf("trade: member %d is there twice", m.ID)
		}
		g.day.Members[m.ID] = &Account{Start: m.Points}
		p := &purse{Member: m, left: m.Points - 1}
		if m.Points > 0 {
			rich = append(rich, p)
		} else {
			g.empty = append(g.empty, p)
		}
	}
	clear := min(len(rich)/10, (g.Points+49)/50)
	g.trading, g.cleared = rich[clear:], rich[:clear]
	if len(g.trading) == 0 && g.Points+g.ShortOfPoints > 0 {
		return errors.New("trade: no member has points: give at least one some, or set Points and ShortOfPoints to 0")
	}
	return nil
}

// sum adds the orders and the members up.
func (g *generator) sum() {
	d := g.day
	for _, o := range d.Orders {
		if o.Held == "" {
			d.Paid, d.Refunded = d.Paid.Add(o.Paid), d.Refunded.Add(o.Refunded())
		}
	}
	for _, a := range d.Members {
		d.PointsIn, d.PointsOut = d.PointsIn+a.In, d.PointsOut+a.Out
	}
	d.PointsIn += g.welcome
}

// uuid is a version 4 UUID in form, from the seed.
func (g *generator) uuid() string {
	a, b := g.rng.Uint64(), g.rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}

func (g *generator) chance(p float64) bool { return g.rng.Float64() < p }

func pick[T any](g *generator, from []T) T { return from[g.rng.IntN(len(from))] }
