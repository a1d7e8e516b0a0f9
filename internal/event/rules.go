package event

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxKey is how long, in bytes, what names something may be: order
	// numbers, uuids, event, member and line ids.
	MaxKey = 128
	// MaxText bounds, in bytes, the texts that people search by: source,
	// store and sales channel.
	MaxText = 1024
	// MaxAhead is how far in the future of the worker's clock a time may be.
	MaxAhead = 24 * time.Hour
)

// earliest is where the sane window of times starts.
var earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// rule is what the contract asks of one value that is given.
type rule func(c *checker, at int32)

// is reports whether the value has the kind, and rejects it otherwise.
func (c *checker) is(at int32, want kind) bool {
	if found := c.doc.nodes[at].kind; found != want {
		c.reject(WrongType, at, fmt.Sprintf("found %s, the contract has %s", found, want))
		return false
	}
	return true
}

func text(c *checker, at int32) { c.is(at, kindString) }

func flag(c *checker, at int32) { c.is(at, kindBool) }

func searched(c *checker, at int32) {
	if c.is(at, kindString) {
		if reason, detail := checkText(c.doc.nodes[at].text); reason != "" {
			c.reject(reason, at, detail)
		}
	}
}

func key(c *checker, at int32) {
	if c.is(at, kindString) {
		if reason, detail := checkKey(c.doc.nodes[at].text); reason != "" {
			c.reject(reason, at, detail)
		}
	}
}

// checkKey says what keeps a string from naming something: whatever would make
// two names that look alike. The details don't quote it, since it may be a
// mobile number.
func checkKey(s string) (Reason, string) {
	if s == "" {
		return MissingField, "is empty; send what it names, or leave the field out where the contract doesn't require it"
	}
	if len(s) > MaxKey {
		return KeyTooLong, fmt.Sprintf("has %d bytes, at most %d are taken; send a shorter one", len(s), MaxKey)
	}
	if s == "." || s == ".." {
		return BadCharacter, "is dots alone, which a vendor's path can't name; send another one"
	}
	for i, r := range s {
		switch {
		case r > ' ' && r < utf8.RuneSelf-1:
		case invisible(r) || r == utf8.RuneError:
			return BadCharacter, fmt.Sprintf("holds %U at byte %d, a character that can't be seen or isn't one; remove it", r, i)
		case unicode.Is(unicode.Z, r) && (i == 0 || i+utf8.RuneLen(r) == len(s)):
			return BadCharacter, fmt.Sprintf("has white space (%U) at an end; trim it", r)
		}
	}
	return "", ""
}

func checkText(s string) (Reason, string) {
	if len(s) > MaxText {
		return TextTooLong, fmt.Sprintf("has %d bytes, at most %d are taken; send a shorter one", len(s), MaxText)
	}
	if strings.ContainsRune(s, 0) {
		return BadCharacter, "holds NUL, which no database text can hold; remove it"
	}
	return "", ""
}

// invisible reports control and format characters and line separators.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// money is a JSON number: the vendor's documents have Number, and a string
// would be passed on as one.
func money(c *checker, at int32) { c.decimal(at, BadMoney, false) }

// paid is money that can't be negative: what was paid, what is given back.
func paid(c *checker, at int32) { c.decimal(at, BadMoney, true) }

// quantity may be a weight, and negative on an exchange.
func quantity(c *checker, at int32) { c.decimal(at, BadNumber, false) }

func (c *checker) decimal(at int32, reason Reason, positive bool) {
	if !c.is(at, kindNumber) {
		return
	}
	literal := c.doc.nodes[at].text
	n, ok := parseNumber(literal)
	switch {
	case !ok || !n.inRange():
		c.reject(reason, at, fmt.Sprintf("found %s; send a decimal of less than 10^%d with at most %d decimals", quote(literal), MoneyDigits, MoneyDecimals))
	case positive && n.negative:
		c.reject(reason, at, fmt.Sprintf("found %s; send it without the sign", quote(literal)))
	}
}

// points are positive, the direction is the event's type.
func points(c *checker, at int32) {
	c.integer(at, BadPoints, 1, math.MaxInt32)
}

// seconds is uuid_timeout, which the worker sets itself.
func seconds(c *checker, at int32) {
	c.integer(at, BadNumber, 1, math.MaxInt32)
}

// pattern is how points were gained or lost: 0 to the last that dmhub-loyalty §5
// lists for the direction.
func pattern(last int) rule {
	return func(c *checker, at int32) { c.integer(at, BadNumber, 0, last) }
}

// integer asks for plain digits: 8.0 has the same value, but the vendor gets the
// literal as it is and reads an int.
func (c *checker) integer(at int32, reason Reason, least, most int) {
	if !c.is(at, kindNumber) {
		return
	}
	literal := c.doc.nodes[at].text
	v, err := strconv.Atoi(literal)
	if err != nil || v < least || v > most || literal[0] == '-' {
		c.reject(reason, at, fmt.Sprintf("found %s; send an integer from %d to %d, without sign, fraction or exponent", quote(literal), least, most))
	}
}

// membershipID is a positive integer of at most 19 digits, as a number or as a
// string. It has one spelling, or a member would have two lanes.
func membershipID(c *checker, at int32) {
	c.id(at, "the vendor's membershipId, or name the member by identities")
}

// vendorID is any other id that a vendor has given.
func vendorID(c *checker, at int32) { c.id(at, "the vendor's id as it gave it") }

func (c *checker) id(at int32, instead string) {
	n := c.doc.nodes[at]
	if n.kind != kindNumber && n.kind != kindString {
		c.reject(WrongType, at, fmt.Sprintf("found %s, the contract has digits as a number or a string", n.kind))
		return
	}
	ok := len(n.text) >= 1 && len(n.text) <= 19 && n.text[0] != '0'
	for i := range len(n.text) {
		ok = ok && n.text[i] >= '0' && n.text[i] <= '9'
	}
	if !ok {
		c.reject(BadNumber, at, "isn't a positive integer of at most 19 plain digits without leading zero; send "+instead)
	}
}

// whole is a number of points that may be 0.
func whole(c *checker, at int32) { c.integer(at, BadNumber, 0, math.MaxInt32) }

// maxCouponCode is the longest coupon code of Pospal's (addCouponcode).
const maxCouponCode = 50

// couponCode is what Pospal takes as a code: at most 50 letters and digits (限英文或数字).
func couponCode(c *checker, at int32) {
	if !c.is(at, kindString) {
		return
	}
	s := c.doc.nodes[at].text
	other := strings.IndexFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	switch {
	case s == "":
		key(c, at)
	case other >= 0:
		c.reject(BadCharacter, at, "isn't letters and digits alone (a-z, A-Z, 0-9), which is what the vendor takes as a code; send such a one")
	case len(s) > maxCouponCode:
		c.reject(KeyTooLong, at, fmt.Sprintf("has %d characters, the vendor takes %d; send a shorter one", len(s), maxCouponCode))
	}
}

// anObject has at least one member: fields of the shape, or custom ones.
func anObject(of shape) rule {
	return func(c *checker, at int32) {
		if c.object(at, of); c.doc.nodes[at].kind == kindObject && c.doc.nodes[at].count == 0 {
			c.reject(MissingField, at, "has no member; send what the vendor is to be told")
		}
	}
}

// readOnly refuses a value that the vendor keeps itself or takes by another event:
// it would be dropped without a word.
func readOnly(instead string) rule {
	return func(c *checker, at int32) { c.reject(ReadOnly, at, "isn't set here; leave it out: "+instead) }
}

func moment(c *checker, at int32) {
	if c.is(at, kindString) {
		if _, reason, detail := parseMoment(c.doc.nodes[at].text, c.now); reason != "" {
			c.reject(reason, at, detail)
		}
	}
}

// parseMoment reads a time with a zone inside the sane window, as UTC. Go takes
// an hour of one digit and a decimal comma; RFC 3339 doesn't.
func parseMoment(s string, now time.Time) (time.Time, Reason, string) {
	if s == "" {
		return time.Time{}, MissingField, `is empty; send a time such as "2026-11-21T08:00:00Z"`
	}
	var t time.Time
	if err := t.UnmarshalText([]byte(s)); err != nil || s[len("2006-01-02T15")] != ':' || strings.Contains(s, ",") {
		return t, BadTime, fmt.Sprintf(`found %s; send an RFC 3339 time with a zone, such as "2026-11-21T08:00:00Z"`, quote(s))
	}
	t = t.UTC()
	if t.Before(earliest) || t.After(now.Add(MaxAhead)) {
		return t, BadTime, fmt.Sprintf("found %s; a time from %d on and at most %s in the future is taken: check the clock and the zone", quote(s), earliest.Year(), MaxAhead)
	}
	return t, "", ""
}

// list asks for an array of objects of one shape.
func list(of shape) rule {
	return func(c *checker, at int32) {
		if !c.is(at, kindArray) {
			return
		}
		nodes := c.doc.nodes
		for i := at + 1; i < nodes[at].next && !c.full(); i = nodes[i].next {
			c.object(i, of)
		}
	}
}
