package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// occurrence is an event as the bare loop reads it.
type occurrence struct {
	ID   string                     `json:"id"`
	Type string                     `json:"type"`
	Data map[string]json.RawMessage `json:"data"`
}

// readEvent takes both modes of CloudEvents.
func readEvent(m jetstream.Msg) (e occurrence, err error) {
	if e.Type = m.Headers().Get("ce-type"); e.Type != "" {
		e.ID = m.Headers().Get("ce-id")
		err = json.Unmarshal(m.Data(), &e.Data)
	} else {
		err = json.Unmarshal(m.Data(), &e)
	}
	if err != nil {
		return e, fmt.Errorf("reading an event: %w", err)
	}
	return e, nil
}

// call is the path and the body of the vendor's write ("dmhub-loyalty" §5, §11).
func (n *naive) call(e occurrence) (path string, body []byte, err error) {
	const deal, points = "/loyalty/v1/deal", "/loyalty/v1/membership/"
	orders := map[string]string{
		"order.created": deal, "order.updated": deal + "Service/update/", "order.cancelled": deal + "Service/cancel",
		"order.refunded": deal + "Service/refund", "order.refund_deleted": deal + "Service/deleteRefund",
		"order.deleted": deal + "Service/delete",
	}
	data := maps.Clone(e.Data)
	member := n.member(e)
	delete(data, "identities")
	switch e.Type {
	case "point.incremented", "point.decremented":
		delete(data, "membershipId")
		data["uuid_timeout"] = json.RawMessage("259200")
		path = points + strconv.FormatInt(member, 10) + "/point/" + map[string]string{
			"point.incremented": "incr", "point.decremented": "decr",
		}[e.Type]
	default:
		path = orders[e.Type]
		data["membershipId"] = json.RawMessage(strconv.FormatInt(member, 10))
		delete(data, "uuid")
	}
	body, err = json.Marshal(data)
	return path, body, err
}

// member knows whom an event is about, by the order's create where the event
// itself doesn't say.
func (n *naive) member(e occurrence) (id int64) {
	var data struct {
		OrderNo    string
		Identities []struct{ Value string }
	}
	_ = json.Unmarshal(e.Data["membershipId"], &id) // absent: 0
	_ = json.Unmarshal(e.Data["orderNo"], &data.OrderNo)
	_ = json.Unmarshal(e.Data["identities"], &data.Identities)
	if id == 0 && len(data.Identities) > 0 {
		id = n.Members[data.Identities[0].Value]
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if id == 0 {
		return n.orders[data.OrderNo]
	}
	n.orders[data.OrderNo] = id
	return id
}
