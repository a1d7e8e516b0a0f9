package dmhub_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/sandbox"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/dmhub"
	"syncworker/internal/vendors/vendorstest"
)

// market is the sandbox with one customer, and two clients of the same login.
type market struct {
	sandbox *sandbox.Sandbox
	account *dmhub.Deals
	reader  *dmhub.Deals // with all the time it needs
	numbers int
}

func newMarket(t *testing.T, timeout time.Duration, sw sandbox.Switches) *market {
	sb, err := sandbox.New(sandbox.Config{Accounts: []sandbox.Account{{AppID: "deals", Secret: "s2"}}, Switches: sw})
	require.NoError(t, err)
	srv, err := sandbox.Listen("127.0.0.1:0", sb)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, srv.Close()) })
	_, err = sb.SeedMembers(sandbox.Seed{Count: 1, Mobile: vendorstest.Mobile})
	require.NoError(t, err)
	m := &market{sandbox: sb}
	tokens := &vendorstest.Tokens{}
	for account, timeout := range map[**dmhub.Deals]time.Duration{&m.account: timeout, &m.reader: 20 * time.Second} {
		*account, err = dmhub.NewDeals(dmhub.Config{Name: "deals", BaseURL: srv.URL, AppID: "deals", Secret: "s2", Timeout: timeout}, tokens)
		require.NoError(t, err)
		t.Cleanup((*account).Close)
	}
	return m
}

// dealOrder is the events of one order, as they come after each other.
var dealOrder = []event.Type{
	event.OrderCreated, event.OrderUpdated, event.OrderRefunded, event.OrderRefundDeleted, event.OrderCancelled, event.OrderDeleted,
}

// order returns calls for one new order, by type.
func (m *market) order(t *testing.T) map[event.Type]vendors.Call {
	m.numbers++
	no := fmt.Sprintf("o/%d 单%%2F", m.numbers)
	now := time.Now().UTC().Format(time.RFC3339)
	calls := map[event.Type]vendors.Call{}
	for typ, body := range map[event.Type]string{
		event.OrderCreated: fmt.Sprintf(`{"orderNo":%q,"identities":[{"type":"mobile","value":%q}],"dateOrder":%q,"amountPaid":30.50,"store":"s",
			"salesChannel":"tmall","couponCode":"c","dealLines":[{"lineId":"l1","productName":"beer","qty":1,"priceSubTotal":30.50}]}`,
			no, vendorstest.Mobile, now),
		event.OrderUpdated: fmt.Sprintf(`{"orderNo":%q,"uuid":"u","contactName":"JH"}`, no),
		event.OrderRefunded: fmt.Sprintf(`{"orderNo":%q,"uuid":"r","refundTotal":30.50,"dateRefund":%q,"state":"完全退单","refundLines":[{"lineId":"l1"}]}`,
			no, now),
		event.OrderRefundDeleted: fmt.Sprintf(`{"orderNo":%q,"uuid":"r"}`, no),
		event.OrderCancelled:     fmt.Sprintf(`{"orderNo":%q,"cancelDate":%q}`, no, now),
		event.OrderDeleted:       fmt.Sprintf(`{"orderNo":%q}`, no),
	} {
		calls[typ] = vendors.Call{Event: dealEvent(t, typ, body), FirstSentAt: time.Now()}
	}
	return calls
}

// ops are the effects on an order, repeats left out.
func (m *market) ops(orderNo string) (ops []string) {
	for _, e := range m.sandbox.EffectsOf(orderNo) {
		if !e.Repeat {
			ops = append(ops, e.Op)
		}
	}
	return ops
}

func TestSixWritesOfDealsTakeEffectAndAreFound(t *testing.T) {
	for _, reply := range []string{"no_content", "echo"} {
		m := newMarket(t, 20*time.Second, sandbox.Switches{RefundState: true, DealDeleteReply: reply})
		require.Equal(t, vendors.Applied, m.account.Check(t.Context()).Class)
		require.Equal(t, vendors.Applied, m.account.Ready(t.Context()).Class)
		require.True(t, m.account.IsReady())
		order := m.order(t)
		for i, typ := range dealOrder {
			call := order[typ]
			op, _ := m.account.Operation(typ)
			if op.Findable {
				require.Equal(t, vendors.Absent, m.account.Find(t.Context(), call).Found, typ)
			}
			r := m.account.Push(t.Context(), call)
			require.Equal(t, vendors.Applied, r.Class, "%s: %s %s", typ, r.Message, r.Reply)
			require.Len(t, m.ops(call.Event.OrderNo), i+1, typ)
			if op.Findable {
				f := m.account.Find(t.Context(), call)
				require.Equal(t, vendors.Present, f.Found, "%s: %s %s", typ, f.Detail, f.Result.Reply)
			}
			if typ == event.OrderRefunded {
				require.Equal(t, "2100032073", r.Receipt.Ref)
				page, r := m.account.Read(t.Context(), "deal-details", []string{call.Event.OrderNo}, "")
				require.Equal(t, vendors.Applied, r.Class)
				require.Contains(t, string(page.Rows[0]), "完全退单")
			}
		}
		require.Empty(t, m.sandbox.Violations())
		require.Equal(t, "30.5", m.sandbox.Summary().DealsPaid.String())
	}
}

// Whatever way a delete is answered, a class says no more than is true; the reply of
// nothing at all is cleared up by a read.
func TestADeleteThatIsAnsweredWithNothingIsRead(t *testing.T) {
	m := newMarket(t, 20*time.Second, sandbox.Switches{DealDeleteReply: "empty"})
	order := m.order(t)
	m.account.Push(t.Context(), order[event.OrderCreated])
	r := m.account.Push(t.Context(), order[event.OrderDeleted])
	require.Equal(t, vendors.Ambiguous, r.Class)
	require.Equal(t, vendors.Present, m.account.Find(t.Context(), order[event.OrderDeleted]).Found)
}

func TestACustomerWhoIsNotKnownIsHeld(t *testing.T) {
	m := newMarket(t, 20*time.Second, sandbox.Switches{})
	call := m.order(t)[event.OrderCreated]
	data, err := event.Splice(call.Event.Data, []event.Set{{Key: "customerId", Value: []byte(`"5"`)}}, nil)
	require.NoError(t, err)
	r := m.account.Push(t.Context(), vendors.Call{Event: dealEvent(t, event.OrderCreated, string(data))})
	require.Equal(t, []any{vendors.Refused, "210", "member_not_found"}, []any{r.Class, r.Code, r.Hold})
	require.Empty(t, m.sandbox.Effects())
}

func TestDealsAreListedToTheEnd(t *testing.T) {
	m := newMarket(t, 20*time.Second, sandbox.Switches{})
	for range 3 {
		require.Equal(t, vendors.Applied, m.account.Push(t.Context(), m.order(t)[event.OrderCreated]).Class)
	}
	rows, next := 0, ""
	for range 5 {
		page, r := m.account.Read(t.Context(), "deals", []string{"90840682394599424"}, next)
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		rows += len(page.Rows)
		if next = page.Next; next == "" {
			break
		}
	}
	require.Equal(t, 3, rows)
	require.Empty(t, next)
	require.Empty(t, m.sandbox.Violations())
}

// A class never says more than is true: applied means one effect, and all but
// ambiguous and applied mean none. Where a read shows it, the read knows.
func TestNoFaultMakesAClassOfDealsLie(t *testing.T) {
	for _, fault := range sandbox.Faults() {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			m := newMarket(t, 300*time.Millisecond, sandbox.Switches{})
			for i, typ := range dealOrder {
				order := m.order(t)
				for _, before := range dealOrder[:i] {
					r := m.reader.Push(t.Context(), order[before])
					require.Equal(t, vendors.Applied, r.Class, "%s %s", r.Message, r.Reply)
				}
				call := order[typ]
				_, effects := vendorstest.PushUnder(t, m.sandbox, fault, m.account, call)
				if op, _ := m.account.Operation(typ); op.Findable {
					vendorstest.RequireFound(t, m.reader, call, effects)
				}
			}
			require.Empty(t, m.sandbox.Violations(), "redirects among others")
		})
	}
}
