package event

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
)

// Message is what a publisher sent: a NATS message, or a line that is about to
// become one.
type Message struct {
	Subject string
	Header  map[string][]string
	Data    []byte
}

// DefaultMaxBytes is how large an event may be where the configuration doesn't
// say.
const DefaultMaxBytes = 1 << 20

// Limits bounds what Decode takes. The zero value stands for the defaults.
type Limits struct {
	MaxBytes int // of a message's payload
}

// Decode reads one event. An event that the contract refuses gives a *Reject,
// the first that Check would return, and no other error exists.
//
// The event's Data is a part of m.Data: the caller must not write to it
// afterwards. All its other fields are copies.
func Decode(m Message, limits Limits, now time.Time) (Event, error) {
	e, rejects := check(m, limits, now, 1)
	if len(rejects) > 0 {
		return Event{}, &rejects[0]
	}
	return e, nil
}

// Check returns everything that the contract refuses about one event, at most
// one thing per field and a hundred in all; nothing means that Decode takes it.
// A text that isn't JSON has one problem only.
func Check(m Message, limits Limits, now time.Time) []Reject {
	_, rejects := check(m, limits, now, maxProblems)
	return rejects
}

// checker collects what is wrong with one event.
type checker struct {
	doc     *document
	header  map[string][]string
	binary  bool
	now     time.Time
	limit   int
	rejects []Reject
}

func check(m Message, limits Limits, now time.Time, limit int) (Event, []Reject) {
	if r := tooLarge(m.Data, limits); r != nil {
		return Event{}, []Reject{*r}
	}
	c := checker{header: m.Header, binary: Binary(m.Header), now: now, limit: limit}
	name := ""
	if c.binary {
		name = "data"
	}
	var bad *Reject
	if c.doc, bad = scan(m.Data, name); bad != nil {
		return Event{}, []Reject{*bad}
	}
	defer c.doc.release()
	for _, f := range c.doc.flaws {
		c.reject(f.reason, f.at, f.detail)
	}
	if found := c.doc.nodes[0].kind; !c.binary && found != kindObject {
		c.add(BadEnvelope, "", fmt.Sprintf("found %s, an event is a CloudEvents object; publish one per message", found))
		return Event{}, c.rejects
	}
	c.contentType()
	e := c.envelope(m.Subject)
	data, ok := c.findData()
	if !ok {
		return Event{}, c.rejects
	}
	if s, known := shapeOf(e.Type); known {
		c.data(data, s)
	}
	c.numbers(data)
	if len(c.rejects) > 0 {
		return Event{}, c.rejects
	}
	c.fill(&e, data)
	n := c.doc.nodes[data]
	e.Data = json.RawMessage(m.Data[n.start:n.end:n.end])
	e.Hash = c.doc.meaning(e.Type, e.Tenant, data)
	return e, nil
}

func tooLarge(data []byte, limits Limits) *Reject {
	most := limits.MaxBytes
	if most <= 0 {
		most = DefaultMaxBytes
	}
	most = min(most, math.MaxInt32)
	if len(data) <= most {
		return nil
	}
	return &Reject{Reason: TooLarge, Detail: fmt.Sprintf("has %d bytes, at most %d are taken; send a smaller event", len(data), most)}
}

// full reports that no further problem will be kept.
func (c *checker) full() bool { return len(c.rejects) >= c.limit }

// add keeps a problem, one per field: the first says what to do.
func (c *checker) add(reason Reason, field, detail string) {
	same := func(r Reject) bool { return r.Field == field }
	if c.full() || slices.ContainsFunc(c.rejects, same) {
		return
	}
	c.rejects = append(c.rejects, Reject{reason, field, detail})
}

func (c *checker) reject(reason Reason, at int32, detail string) {
	if !c.full() {
		c.add(reason, c.doc.path(at), detail)
	}
}

func (c *checker) missing(object int32, name, detail string) {
	if !c.full() {
		c.add(MissingField, join(c.doc.path(object), name), detail)
	}
}

// findData returns the data, rejecting its absence.
func (c *checker) findData() (int32, bool) {
	if c.binary {
		return 0, true
	}
	at, ok := c.doc.member(0, "data")
	if !ok || c.doc.nodes[at].kind == kindNull {
		c.add(MissingField, "data", "isn't there; send it with every event")
		return 0, false
	}
	return at, true
}

// numbers rejects what no reader downstream should have to expand, wherever it
// stands in the data.
func (c *checker) numbers(data int32) {
	if !c.doc.wild {
		return
	}
	for at := data; at < c.doc.nodes[data].next && !c.full(); at++ {
		if n := &c.doc.nodes[at]; n.kind == kindNumber {
			if _, ok := parseNumber(n.text); !ok {
				c.reject(BadNumber, at, fmt.Sprintf("found %s; send a number of at most %d characters and an exponent of at most %d", quote(n.text), numberLimit, numberLimit))
			}
		}
	}
}

// fill reads the fields that we work with out of data that is valid.
func (c *checker) fill(e *Event, data int32) {
	d := c.doc
	e.UUID = d.text(data, "uuid")
	d.about(e, data)
	when, amount := "", ""
	switch e.Type {
	case PointIncremented, PointDecremented:
		when = "date"
		e.Points, _ = strconv.ParseInt(d.text(data, "point"), 10, 64)
		e.Pattern, e.Remark = d.text(data, "pattern"), d.text(data, "remark")
		e.DecrToZero = e.Type == PointDecremented && d.text(data, "decrToZero") == "true"
	case OrderRefunded, OrderRefundDeleted:
		when, amount = "dateRefund", "refundTotal"
	case OrderCreated, OrderUpdated, OrderCancelled, OrderDeleted:
		when, amount = "dateOrder", "amountPaid"
	case CouponCodeUsed:
		when = "useDateTime"
	}
	if e.Type.Order() {
		e.OrderNo, e.Store, e.SalesChannel = d.text(data, "orderNo"), d.text(data, "store"), d.text(data, "salesChannel")
	}
	if s := d.text(data, when); s != "" {
		e.OccurredAt, _, _ = parseMoment(s, c.now)
	}
	if n, ok := d.given(data, amount); ok {
		e.Amount.Decimal, e.Amount.Valid = decimal.RequireFromString(n.text), true
	}
}

// about fills in whom and what an event is about. It reads only fields that the
// type's shape has checked: others may hold anything.
func (d *document) about(e *Event, data int32) {
	e.Member, e.Key = d.whom(e.Type, data), ""
	switch e.Type {
	case CouponRedeemed:
		e.Key = d.text(data, "couponCode")
		e.UUID = e.Key
	case CouponCodeUsed:
		e.Key = d.text(data, "code")
		e.UUID = e.Key
	case CouponCodeAdded:
		if e.Key = d.text(data, "code"); e.Key == "" {
			e.Key = DerivedCode(e.Tenant, e.UUID)
		}
	case DeviceRegistered:
		e.Key = d.text(data, "pushId")
	case LevelUpdated, LevelDeleted:
		e.Key = d.text(data, "id")
	}
}

// whom is the member that an event is about, by what is known before it.
func (d *document) whom(t Type, data int32) Member {
	switch t {
	case CouponCodeAdded, CouponCodeUsed, LevelCreated, LevelUpdated, LevelDeleted:
		return Member{}
	case MemberRegistered:
		return Member{Identities: d.identities(data)}
	}
	m := Member{MembershipID: d.text(data, "membershipId")}
	switch t {
	case MemberIdentityBound, CouponDrawn, DeviceRegistered:
		// By the membershipId alone: the identities of one that is bound are new.
	case MemberIdentityRemoved:
		m.Identities = []MemberIdentity{{Type: d.text(data, "type"), Value: d.text(data, "value")}}
	case MemberMobileChanged:
		m.Identities = []MemberIdentity{{Type: "mobile", Value: d.text(data, "oldMobile")}}
	default:
		m.Identities = d.identities(data)
	}
	return m
}

func (d *document) identities(data int32) (list []MemberIdentity) {
	at, ok := d.member(data, "identities")
	if !ok {
		return nil
	}
	for i := at + 1; i < d.nodes[at].next; i = d.nodes[i].next {
		list = append(list, MemberIdentity{
			Type: d.text(i, "type"), Value: d.text(i, "value"), Name: d.text(i, "name"),
		})
	}
	return list
}

// ReadAbout fills in Member and Key of an event of which the type, the tenant, the
// uuid and the data are known.
func (e *Event) ReadAbout() error {
	d, bad := scan(e.Data, "data")
	if bad != nil {
		return bad
	}
	defer d.release()
	d.about(e, 0)
	return nil
}

// DerivedCode is the code of a coupon.code_added that names none: 20 of A-Z and
// 2-7, the same for each sending of the event, and not to be guessed from the code
// of another.
func DerivedCode(tenant, uuid string) string {
	sum := sha256.Sum256([]byte(string(CouponCodeAdded) + "\x00" + tenant + "\x00" + uuid))
	return base32.StdEncoding.EncodeToString(sum[:])[:20]
}
