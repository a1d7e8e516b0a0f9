package trade

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"syncworker/internal/event"
)

// Bad is one way in which a message breaks the contract. What is replaced in a
// good message stands in it once, as Go's encoder writes it.
type Bad struct {
	Name     string
	Reason   event.Reason
	typ      event.Type
	old, new string
	whole    func(good Message) Message // where a replacement doesn't do
}

// BadKinds lists the ways, with the reason that each is refused for.
func BadKinds() []Bad {
	const created, refunded, granted = event.OrderCreated, event.OrderRefunded, event.PointIncremented
	return []Bad{
		{Name: "cut off in the middle", Reason: event.NotJSON, typ: created, whole: cutOff},
		{Name: "a till's line of CSV", Reason: event.NotJSON, typ: created, whole: comma},
		{Name: "two events in one message", Reason: event.NotJSON, typ: granted, whole: twice},
		{Name: "a store's name in GBK", Reason: event.NotUTF8, typ: created, old: "徐汇店", new: "\xd0\xec\xbb\xe3\xb5\xea"},
		{Name: "nested too deeply", Reason: event.TooDeep, typ: created, old: `"currency":"CNY"`, new: `"c_tree":` + strings.Repeat("[", 70) + strings.Repeat("]", 70)},
		{Name: "two order numbers", Reason: event.DuplicateKey, typ: created, old: `"currency":"CNY"`, new: `"orderNo":"another"`},
		{Name: "NUL in the order number", Reason: event.BadCharacter, typ: created, old: `"orderNo":"`, new: `"orderNo":"\u0000`},
		{Name: "a zero-width space in the order number", Reason: event.BadCharacter, typ: created, old: `"orderNo":"`, new: "\"orderNo\":\"\u200b"},
		{Name: "white space behind the uuid", Reason: event.BadCharacter, typ: refunded, old: `","dateRefund"`, new: ` ","dateRefund"`},
		{Name: "OrderNo", Reason: event.KeyCase, typ: created, old: `"orderNo"`, new: `"OrderNo"`},
		{Name: "CloudEvents 0.3", Reason: event.BadEnvelope, typ: created, old: `"specversion":"1.0"`, new: `"specversion":"0.3"`},
		{Name: "an event without id", Reason: event.BadEnvelope, typ: created, old: `"id":"`, new: `"eventId":"`},
		{Name: "binary mode with XML", Reason: event.BadEnvelope, typ: created, whole: announcedAsXML},
		{Name: "a type that nobody knows", Reason: event.UnknownType, typ: created, old: `"order.created"`, new: `"order.shipped"`},
		{Name: "on another type's subject", Reason: event.SubjectMismatch, typ: created, whole: elsewhere},
		{Name: "a tenant in capitals", Reason: event.BadTenant, typ: granted, old: `"data":`, new: `"tenant":"Brand_A","data":`},
		{Name: "an order without number", Reason: event.MissingField, typ: created, old: `"orderNo"`, new: `"c_no"`},
		{Name: "a refund without uuid", Reason: event.MissingField, typ: refunded, old: `"uuid"`, new: `"refundId"`},
		{Name: "points of nobody", Reason: event.MissingField, typ: granted, old: `"membershipId"`, new: `"c_member"`},
		{Name: "an amount as text", Reason: event.WrongType, typ: created, old: `"amountPaid":59.90`, new: `"amountPaid":"59.90"`},
		{Name: "lines that aren't a list", Reason: event.WrongType, typ: refunded, old: `"refundLines":[{"lineId":"l_1"}]`, new: `"refundLines":{"lineId":"l_1"}`},
		{Name: "an order number of 200 bytes", Reason: event.KeyTooLong, typ: created, old: `"orderNo":"`, new: `"orderNo":"` + strings.Repeat("0", 200)},
		{Name: "a store's name of 1,500 bytes", Reason: event.TextTooLong, typ: created, old: "徐汇店", new: strings.Repeat("徐汇店铺名", 100)},
		{Name: "a negative amount", Reason: event.BadMoney, typ: created, old: `"amountPaid":59.90`, new: `"amountPaid":-59.90`},
		{Name: "an amount beyond all bounds", Reason: event.BadMoney, typ: refunded, old: `"refundTotal":59.90`, new: `"refundTotal":1e400`},
		{Name: "no points at all", Reason: event.BadPoints, typ: granted, old: `"point":8`, new: `"point":0`},
		{Name: "half a point", Reason: event.BadPoints, typ: granted, old: `"point":8`, new: `"point":8.5`},
		{Name: "a member's id from a spreadsheet", Reason: event.BadNumber, typ: granted, old: `"membershipId":`, new: `"membershipId":1.65e4,"c_id":`},
		{Name: "a time without zone", Reason: event.BadTime, typ: refunded, old: `Z","refundTotal"`, new: `","refundTotal"`},
		{Name: "a clock at its beginning", Reason: event.BadTime, typ: granted, old: `"date":"`, new: `"date":"1970-01-01T00:00:00Z","c_date":"`},
	}
}

// spoil puts one message of each bad kind among the others.
func (g *generator) spoil() error {
	for _, b := range BadKinds() {
		good, err := g.plain(b.typ)
		if err != nil {
			return fmt.Errorf("trade: writing an event: %w", err)
		}
		at := g.rng.IntN(len(g.day.Messages) + 1)
		g.day.Messages = append(g.day.Messages, Message{})
		copy(g.day.Messages[at+1:], g.day.Messages[at:])
		g.day.Messages[at] = b.of(good)
		g.day.Rejects[b.Reason]++
	}
	return nil
}

// of makes the bad message from a good one.
func (b *Bad) of(good Message) Message {
	if b.whole != nil {
		return b.whole(good)
	}
	good.Data = []byte(strings.Replace(string(good.Data), b.old, b.new, 1))
	return good
}

// plain is a good event that is published in no other way.
func (g *generator) plain(t event.Type) (Message, error) {
	at := g.Start.Add(time.Duration(g.rng.Int64N(int64(Hours)))).Truncate(time.Second)
	when := at.UTC().Format(time.RFC3339)
	g.serial++
	no := "BAD-" + strconv.FormatUint(g.Seed, 36) + "-" + strconv.Itoa(g.serial)
	member := g.Members[0].ID
	var data any
	switch t {
	case event.OrderCreated:
		data = orderData{
			OrderNo: no, MembershipID: member, DateOrder: when, AmountPaid: "59.90", Currency: "CNY",
			Store: "徐汇店", SalesChannel: "门店", DealLines: []line{{LineID: "l_1", ProductName: "保温杯 500ml", Qty: 1}},
		}
	case event.OrderRefunded:
		data = struct {
			OrderNo     string      `json:"orderNo"`
			UUID        string      `json:"uuid"`
			DateRefund  string      `json:"dateRefund"`
			RefundTotal json.Number `json:"refundTotal"`
			RefundLines []line      `json:"refundLines"`
		}{no, g.uuid(), when, "59.90", []line{{LineID: "l_1"}}}
	default:
		data = pointData{UUID: g.uuid(), MembershipID: member, Point: 8, Pattern: "2", Date: when}
	}
	e := envelope{SpecVersion: "1.0", ID: g.uuid(), Source: "pos/shanghai-001", Type: string(t), Time: when, Data: data}
	text, err := json.Marshal(e)
	return Message{Subject: event.Subject(t), Data: text}, err
}

func cutOff(m Message) Message {
	m.Data = m.Data[:len(m.Data)/2]
	return m
}

func comma(m Message) Message {
	m.Data = []byte(strings.NewReplacer("{", "", "}", "", `"`, "", ":", ",").Replace(string(m.Data)))
	return m
}

func twice(m Message) Message {
	m.Data = []byte(string(m.Data) + "\n" + string(m.Data))
	return m
}

func elsewhere(m Message) Message {
	m.Subject = event.Subject(event.OrderUpdated)
	return m
}

func announcedAsXML(m Message) Message {
	m.Header = map[string][]string{
		"ce-specversion": {"1.0"}, "ce-id": {strconv.Itoa(len(m.Data))}, "ce-source": {"pos/shanghai-001"},
		"ce-type": {string(event.OrderCreated)}, "ce-time": {"2026-11-21T08:00:00Z"}, "content-type": {"text/xml"},
	}
	return m
}
