package dispatch

import (
	"testing"

	"github.com/stretchr/testify/require"

	"syncworker/internal/outbox"
)

func TestWhatIsHandedOverTogetherGoesInTheOrderOfItsLane(t *testing.T) {
	h, _ := handOf(t, plain)
	state := outbox.LaneState{Lane: outbox.Lane{1}, Kind: outbox.MemberLane, Epoch: 1, Account: "dmhub"}
	later, earlier := row(t, 7, "incr:later pending at=2m"), row(t, 8, "incr:earlier pending at=1m")
	later.Event.Member.MembershipID, earlier.Event.Member.MembershipID = "16508", "16508"
	h.mu.Lock()
	h.takeAll([]outbox.Handed{{Work: *later, Lane: state}, {Work: *earlier, Lane: state}}, &choice{hand: h})
	h.mu.Unlock()
	first := h.commit.next()
	require.Len(t, first, 1)
	require.Equal(t, int64(8), first[0].intent.ID, "the first that is called is the first by event time, not by arrival")
}
