package dispatch

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"syncworker/internal/vendors"
)

// oddReply is a vendor whose answer to one event the database can't take.
type oddReply struct {
	*counting
	uuid string
	odd  func(*vendors.Result)
}

func (v *oddReply) Push(ctx context.Context, call vendors.Call) vendors.Result {
	r := v.counting.Push(ctx, call)
	if call.Event.UUID == v.uuid {
		v.odd(&r)
	}
	return r
}

func TestAnAnswerThatCanNotBeWrittenIsHeldAndCostsTheOthersNothing(t *testing.T) {
	for name, odd := range map[string]func(*vendors.Result){
		"the server refuses it":       func(r *vendors.Result) { r.Path = "/\x00" },
		"it can't even be sent there": func(r *vendors.Result) { r.Status = 1 << 40 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, nil)
			s.accounts[0].Vendor = &oddReply{counting: s.vendor, uuid: "p-2", odd: odd}
			token := s.somebody(s.config.Lease)
			_, err := s.store.Enqueue(t.Context(), token, s.batch(5, "16508"))
			require.NoError(t, err)
			stop := s.begin()
			s.eventually(map[string]int{"delivered": 4, "held": 1})
			stop()
			require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.deliveries WHERE reason = 'unwritable' AND ambiguous`))
			require.Equal(t, 1, s.vendor.pushes["p-2"])
			require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.attempts WHERE vendor_message LIKE 'not written as it was: %'`))
		})
	}
}
