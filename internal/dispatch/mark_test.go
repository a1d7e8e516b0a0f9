package dispatch

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// serial is a vendor that can tell one effect from another only by what was there
// before it.
type serial struct {
	*counting
	marks  int
	unread int            // how many of the first marks can't be read
	calls  []vendors.Call // that were pushed
}

func (v *serial) Operation(event.Type) (vendors.Operation, bool) {
	return vendors.Operation{Name: "POST /", Blocks: true, NeedsMark: true, EchoProves: true}, true
}

func (v *serial) Mark(context.Context, vendors.Call) (string, vendors.Result) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r := vendors.Result{Class: vendors.Applied, Method: "GET", Path: "/", StartedAt: time.Now()}
	if v.marks++; v.marks <= v.unread {
		r.Class = vendors.Ambiguous
	}
	return fmt.Sprint("row ", v.marks), r
}

func (v *serial) Push(ctx context.Context, call vendors.Call) vendors.Result {
	v.mu.Lock()
	v.calls = append(v.calls, call)
	v.mu.Unlock()
	return v.counting.Push(ctx, call)
}

func (v *serial) pushed() []vendors.Call {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls
}

func newSerial(s *shop, unread int) *serial {
	v := &serial{counting: s.vendor, unread: unread}
	s.accounts[0].Vendor = v
	return v
}

func TestAMarkIsReadBeforeTheIntentAndKeptWithIt(t *testing.T) {
	s := newShop(t, nil)
	v := newSerial(s, 1)
	s.begin()
	_, err := s.Enqueue(t.Context(), s.batch(2, "16508"))
	require.NoError(t, err)
	s.eventually(map[string]int{"delivered": 2})
	require.Equal(t, 2, len(v.pushed()))
	require.Equal(t, "row 2", v.pushed()[0].Mark, "a mark that wasn't read is no mark")
	require.Equal(t, "row 3", v.pushed()[1].Mark)
	require.Equal(t, 2, s.count(`SELECT count(DISTINCT mark) FROM outbox.deliveries WHERE mark IN ('row 2', 'row 3')`))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.attempts WHERE action = 'mark' AND class = 'not_sent'`))
}

// Of points that have no key of their own none may follow one that is unclear, also
// where another worker takes the lane, or more comes.
func TestWhatBlocksKeepsTheRestOfItsLaneWaiting(t *testing.T) {
	s := newShop(t, func(e *event.Event) vendors.Class {
		if e.UUID == "p-2" {
			return vendors.Ambiguous
		}
		return vendors.Applied
	})
	v := newSerial(s, 0)
	stop := s.begin()
	_, err := s.Enqueue(t.Context(), s.batch(3, "16508"))
	require.NoError(t, err)
	s.eventually(map[string]int{"delivered": 1, "held": 1, "waiting": 1})
	stop()

	s.begin()
	_, err = s.Enqueue(t.Context(), s.batch(1, "16508"))
	require.NoError(t, err)
	_, err = s.Enqueue(t.Context(), s.batch(1, "4711"))
	require.NoError(t, err)
	s.eventually(map[string]int{"delivered": 2, "held": 1, "waiting": 2})
	require.Len(t, v.pushed(), 3)
	require.Equal(t, 2, s.count(`SELECT count(*) FROM outbox.deliveries WHERE reason = 'predecessor_held'`))
}

// A change of a member that waits for a person doesn't keep the member's points from
// being given; the member's next change waits.
func TestPointsPassAChangeOfTheMemberThatIsHeld(t *testing.T) {
	s := newShop(t, func(e *event.Event) vendors.Class {
		if e.Type == event.MemberUpdated {
			return vendors.Ambiguous
		}
		return vendors.Applied
	})
	change := func(uuid string) outbox.Batch {
		s.sent++
		payload := fmt.Sprintf(`{"specversion":"1.0","id":"c","source":"crm","type":"member.updated","time":%q,"data":{"uuid":%q,"membershipId":"16508","membership":{"name":"x"}}}`,
			received.Add(time.Duration(s.sent)*time.Second).Format(time.RFC3339), uuid)
		e, err := event.Decode(event.Message{Subject: "sync.events.member.updated", Data: []byte(payload)}, event.Limits{}, received)
		require.NoError(t, err)
		return outbox.Batch{Events: []outbox.Incoming{{Event: &e, Accounts: []string{"dmhub"}, Sequence: s.sent, Payload: []byte(payload)}}}
	}
	stop := s.begin()
	_, err := s.Enqueue(t.Context(), change("u-1"))
	require.NoError(t, err)
	s.eventually(map[string]int{"held": 1})
	for _, b := range []outbox.Batch{s.batch(1, "16508"), change("u-2"), s.batch(2, "16508")} {
		_, err = s.Enqueue(t.Context(), b)
		require.NoError(t, err)
	}
	s.eventually(map[string]int{"held": 1, "waiting": 1, "delivered": 3})
	stop()
	s.begin()
	_, err = s.Enqueue(t.Context(), s.batch(1, "16508"))
	require.NoError(t, err)
	s.eventually(map[string]int{"held": 1, "waiting": 1, "delivered": 4})
}

// mover is a vendor whose members can't be found any more by the name that an event
// has for them, once it has taken effect.
type mover struct {
	*serial
	moved bool
}

func (v *mover) Operation(event.Type) (vendors.Operation, bool) {
	return vendors.Operation{Name: "DELETE /", NeedsMember: true, NeedsMark: true, Findable: true, EchoProves: true, Blocks: true}, true
}

func (v *mover) FindMember(context.Context, event.Member) (string, vendors.Result) {
	r := vendors.Result{Class: vendors.Applied, Method: "GET", Path: "/", StartedAt: time.Now()}
	if v.moved {
		r.Class = vendors.Refused
		return "", r
	}
	return "16508", r
}

func (v *mover) Push(ctx context.Context, call vendors.Call) vendors.Result {
	v.moved = true
	return v.serial.Push(ctx, call)
}

func (v *mover) Find(_ context.Context, call vendors.Call) vendors.Finding {
	f := vendors.Finding{Found: vendors.Unclear, Result: vendors.Result{Class: vendors.Applied, Method: "GET", Path: "/", StartedAt: time.Now()}}
	if call.Mark == "row 1" {
		f.Found = vendors.Present
	}
	return f
}

func TestAMemberWhoIsNotFoundAnyMoreIsReadByTheMark(t *testing.T) {
	s := newShop(t, func(*event.Event) vendors.Class { return vendors.Ambiguous })
	s.accounts[0].Vendor = &mover{serial: newSerial(s, 0)}
	s.accounts[0].Policy.QuietPeriod = 100 * time.Millisecond
	s.begin()
	payload := fmt.Sprintf(`{"specversion":"1.0","id":"c","source":"crm","type":"member.identity_removed","time":%q,"data":{"uuid":"u-1","type":"mobile","value":"139"}}`,
		received.Format(time.RFC3339))
	e, err := event.Decode(event.Message{Subject: "sync.events.member.identity_removed", Data: []byte(payload)}, event.Limits{}, received)
	require.NoError(t, err)
	_, err = s.Enqueue(t.Context(), outbox.Batch{Events: []outbox.Incoming{{Event: &e, Accounts: []string{"dmhub"}, Sequence: 1, Payload: []byte(payload)}}})
	require.NoError(t, err)
	s.eventually(map[string]int{"delivered": 1})
}
