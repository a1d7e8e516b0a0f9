package outbox

import "syncworker/internal/event"

// Facts returns what a delivery that has become final changes for the later
// events of its lane. A delivery in any other state changes nothing.
func Facts(d *Delivery) LaneUpdate {
	u := LaneUpdate{Lane: d.Lane}
	switch {
	case d.Type == event.OrderCreated && d.State.Final():
		u.Created = string(d.State)
	case d.State != Delivered:
	case d.Type.Sets():
		u.UpdatedTo = d.EventTime
	case d.Type == event.OrderRefunded:
		u.RefundsBy = 1
	case d.Type == event.OrderRefundDeleted:
		u.RefundsBy = -1
	case d.Type == event.OrderDeleted:
		u.Deleted = true
	}
	return u
}
