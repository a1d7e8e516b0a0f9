package outbox_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

func toDMHub(event.Type, string) []string { return []string{account} }

// conflicts returns the one conflict that there is.
func (s *shop) conflict() int64 {
	s.t.Helper()
	list, more, err := s.Conflicts(s.t.Context(), outbox.ConflictFilter{Open: true}, 10)
	require.NoError(s.t, err)
	require.False(s.t, more)
	require.Len(s.t, list, 1)
	return list[0].ID
}

func TestAConflictShowsWhatDiffers(t *testing.T) {
	s := newShop(t)
	s.comes(line{kind: event.OrderCreated, order: "o1", amount: "30"})
	s.comes(line{kind: event.OrderCreated, order: "o1", amount: "31.50"})
	c, err := s.ShowConflict(t.Context(), s.conflict())
	require.NoError(t, err)
	require.Equal(t, "content", c.Cause)
	require.Equal(t, []outbox.Difference{{Field: "amountPaid", First: "30", Second: "31.50"}}, c.Differences)
	require.Equal(t, event.OrderCreated, c.FirstType)
	require.Len(t, c.Next, 2)
	_, err = s.ShowConflict(t.Context(), 4711)
	require.ErrorIs(t, err, outbox.ErrNotFound)
}

func TestAConflictOverAVendorKeyShowsTheOtherTenantsEvent(t *testing.T) {
	s := newShop(t)
	s.comes(line{kind: event.PointIncremented, uuid: "p1", points: 5})
	s.comes(line{kind: event.PointIncremented, uuid: "p1", points: 6, tenant: "beta"})
	c, err := s.ShowConflict(t.Context(), s.conflict())
	require.NoError(t, err)
	require.Equal(t, "vendor_key", c.Cause)
	require.Equal(t, "beta", c.Tenant)
	require.Equal(t, "default", c.FirstTenant)
	require.Equal(t, []outbox.Difference{{Field: "point", First: "5", Second: "6"}}, c.Differences)
	require.Equal(t, "uuid p1 is another tenant's at account dmhub", c.What())
	held := one[int64](s, `SELECT id FROM outbox.deliveries WHERE state = 'held'`)
	require.Equal(t, held, c.Delivery)
	require.Contains(t, c.Next[0], "deliveries show "+itoa(held))
	require.Contains(t, c.Next[1], "--keep-first")

	require.NoError(t, s.KeepFirst(t.Context(), c.ID, "ann@till", "theirs came first"))
	c, err = s.ShowConflict(t.Context(), c.ID)
	require.NoError(t, err)
	require.Len(t, c.Next, 1, "its delivery is held still")
	s.acts(outbox.Cancel, held)
	c, err = s.ShowConflict(t.Context(), c.ID)
	require.NoError(t, err)
	require.Empty(t, c.Next)
}

func TestAConflictOverAVendorKeyKnowsWhoseOrderItIs(t *testing.T) {
	s := newShop(t)
	s.comesTo([]string{"second"}, nil, line{kind: event.OrderUpdated, order: "o1", uuid: "u1", tenant: "aside"})
	s.comes(create("o1"))
	s.comes(line{kind: event.OrderUpdated, order: "o1", uuid: "u1", tenant: "beta"})
	c, err := s.ShowConflict(t.Context(), s.conflict())
	require.NoError(t, err)
	require.Equal(t, "order o1 is another tenant's at account dmhub", c.What())
	require.Equal(t, "default", c.FirstTenant, "not the one that has this uuid at another account")
	require.Nil(t, c.First)
}

func TestTheSecondIsSentAsACorrection(t *testing.T) {
	s := newShop(t)
	created := s.comes(line{kind: event.OrderCreated, order: "o1", amount: "30"})[0]
	s.comes(line{kind: event.OrderCreated, order: "o1", amount: "31.50"})
	id := s.conflict()
	uuid, err := s.SendSecond(t.Context(), id, "ann@till", "the till was right", opening.Add(time.Hour), toDMHub)
	require.NoError(t, err)
	require.Equal(t, "conflict-"+itoa(id), uuid)

	list, _, err := s.List(t.Context(), outbox.Filter{OrderNos: []string{"o1"}}, 10)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, event.OrderUpdated, list[0].Type)
	require.Equal(t, uuid, list[0].UUID)
	require.Equal(t, outbox.Pending, list[0].State)
	work := s.claims(created).Work
	require.Len(t, work, 2)
	require.Contains(t, string(work[1].Event.Data), `"amountPaid":31.50`)
	require.Contains(t, string(work[1].Event.Data), `"uuid":"`+uuid+`"`)
	require.Equal(t, "31.5", work[1].Event.Amount.Decimal.String())

	c, err := s.ShowConflict(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "sent_second", c.Resolution)
	require.Empty(t, c.Next)
	require.Len(t, c.Deeds, 1)
	require.Contains(t, string(c.Deeds[0].After), uuid)
	_, err = s.SendSecond(t.Context(), id, "ann@till", "again", opening.Add(time.Hour), toDMHub)
	require.ErrorIs(t, err, outbox.ErrRefused)
	require.ErrorContains(t, err, "resolved already (sent_second)")
	require.ErrorIs(t, s.KeepFirst(t.Context(), id, "ann@till", "no"), outbox.ErrRefused)
}

func TestKeepFirstChangesNothingButTheConflict(t *testing.T) {
	s := newShop(t)
	s.comes(line{kind: event.PointIncremented, uuid: "p1", points: 5})
	s.comes(line{kind: event.PointIncremented, uuid: "p1", points: 6})
	id := s.conflict()
	require.NoError(t, s.KeepFirst(t.Context(), id, "ann@till", "a test of the till"))
	c, err := s.ShowConflict(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "kept_first", c.Resolution)
	require.Equal(t, 1, one[int](s, `SELECT count(*) FROM outbox.deliveries`))
	list, _, err := s.Conflicts(t.Context(), outbox.ConflictFilter{Open: true}, 10)
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestOnlyTheContentOfAnOrderCanBeCorrected(t *testing.T) {
	for name, tt := range map[string]struct {
		second line
		why    string
	}{
		"points":     {line{kind: event.PointIncremented, uuid: "p1", points: 6}, "with its own uuid"},
		"refund":     {line{kind: event.OrderRefunded, order: "o1", uuid: "r1", amount: "2"}, "with its own uuid"},
		"deletion":   {line{kind: event.OrderDeleted, order: "o1", data: `{"orderNo":"o1","x":2}`}, "keep the first"},
		"vendor key": {line{kind: event.OrderUpdated, order: "o1", uuid: "u9", tenant: "beta"}, "another tenant"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			s.comes(line{kind: event.PointIncremented, uuid: "p1", points: 5}, refund("o1", "r1"),
				line{kind: event.OrderDeleted, order: "o1", data: `{"orderNo":"o1","x":1}`})
			s.comes(tt.second)
			id := s.conflict()
			before := one[int](s, `SELECT count(*) FROM outbox.deliveries`)
			_, err := s.SendSecond(t.Context(), id, "ann@till", "why not", opening.Add(time.Hour), toDMHub)
			require.ErrorIs(t, err, outbox.ErrRefused)
			require.ErrorContains(t, err, tt.why)
			require.Equal(t, before, one[int](s, `SELECT count(*) FROM outbox.deliveries`))
			require.Equal(t, id, s.conflict(), "it is still open")
			c, err := s.ShowConflict(t.Context(), id)
			require.NoError(t, err)
			require.NotContains(t, strings.Join(c.Next, "\n"), "--send-second")
		})
	}
}
