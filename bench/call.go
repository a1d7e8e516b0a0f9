package main

import (
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/tidwall/gjson"
)

// occurrence is an event as the rivals read it.
type occurrence struct {
	ID, Type string
	Binary   bool   // the text is the data alone
	Text     string // as it came
	data     string
}

// call is one of the vendor's writes.
type call struct {
	path string
	body []byte
}

func readMessage(m jetstream.Msg) (occurrence, error) {
	return readEvent(m.Headers(), string(m.Data()))
}

// readEvent takes both modes of CloudEvents.
func readEvent(header nats.Header, text string) (occurrence, error) {
	if typ := header.Get("ce-type"); typ != "" {
		return occurrence{ID: header.Get("ce-id"), Type: typ, Binary: true, Text: text, data: text}, nil
	}
	e := occurrence{Text: text}
	gjson.Parse(text).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "id":
			e.ID = value.Str
		case "type":
			e.Type = value.Str
		case "data":
			e.data = value.Raw
		}
		return true
	})
	if e.ID == "" || e.Type == "" || e.data == "" {
		return e, fmt.Errorf("reading an event: id, type or data is missing in %.100s", text)
	}
	return e, nil
}

// dealPaths are those of the writes on orders ("dmhub-loyalty" §11).
var dealPaths = map[string]string{
	"order.created": "/loyalty/v1/deal", "order.updated": "/loyalty/v1/dealService/update/",
	"order.cancelled": "/loyalty/v1/dealService/cancel", "order.deleted": "/loyalty/v1/dealService/delete",
	"order.refunded": "/loyalty/v1/dealService/refund", "order.refund_deleted": "/loyalty/v1/dealService/deleteRefund",
}

// call is the vendor's write for an event ("dmhub-loyalty" §5, §11), and what it
// must not overtake: the earlier ones of its order or of its member's points.
func (m *means) call(e occurrence) (c call, lane string) {
	path, order := dealPaths[e.Type]
	var member int64
	var orderNo string
	body := append(make([]byte, 0, len(e.data)+40), '{')
	gjson.Parse(e.data).ForEach(func(key, value gjson.Result) bool {
		switch {
		case key.Str == "membershipId":
			member = value.Int()
			return true
		case key.Str == "identities":
			member = m.Members[value.Get("0.value").Str]
			return true
		case key.Str == "orderNo":
			orderNo = value.Str
		case key.Str == "uuid" && order:
			return true
		}
		body = append(append(append(append(body, key.Raw...), ':'), value.Raw...), ',')
		return true
	})
	if order {
		if member == 0 {
			member = m.Orders[orderNo]
		}
		body = strconv.AppendInt(append(body, `"membershipId":`...), member, 10)
		return call{path, append(body, '}')}, orderNo
	}
	id := strconv.FormatInt(member, 10)
	path = "/loyalty/v1/membership/" + id + "/point/incr"
	if e.Type == "point.decremented" {
		path = "/loyalty/v1/membership/" + id + "/point/decr"
	}
	return call{path, append(body, `"uuid_timeout":259200}`...)}, id
}
