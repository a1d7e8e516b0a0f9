package dispatch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/outbox"
)

func TestADayOfTheQuotaBeginsAtMidnightInChina(t *testing.T) {
	for at, want := range map[string][2]string{
		"2026-11-21T15:59:59Z": {"2026-11-21", "2026-11-21T16:00:00Z"},
		"2026-11-21T16:00:00Z": {"2026-11-22", "2026-11-22T16:00:00Z"},
		"2026-12-31T20:00:00Z": {"2027-01-01", "2027-01-01T16:00:00Z"},
	} {
		moment, err := time.Parse(time.RFC3339, at)
		require.NoError(t, err)
		day, next := outbox.QuotaDay(moment)
		require.Equal(t, want, [2]string{day, next.UTC().Format(time.RFC3339)})
	}
}

func TestAGateKeepsToWhatWasReservedOfTheDay(t *testing.T) {
	g := alone(Limits{MaxInFlight: 10, Daily: 300})
	now := received
	require.Equal(t, verdict{quota: true}, g.admit(now), "nothing was reserved yet")
	g.quota.asking = true
	require.Equal(t, verdict{}, g.admit(now), "it is being asked for")
	g.quota.asking, g.quota.left = false, 2
	require.True(t, g.admit(now).ok)
	g.withdraw()
	require.Equal(t, 2, g.quota.left, "no call was made")
	g.call(t, now, answer)
	g.spend(now, 2) // the call was three: pages of a read
	require.Equal(t, -1, g.quota.left)
	require.Equal(t, verdict{quota: true}, g.admit(now))

	g.quota.out = true
	_, midnight := outbox.QuotaDay(now)
	require.Equal(t, verdict{wait: midnight.Sub(now)}, g.admit(now))
	require.True(t, g.blocked(now), "nothing more is taken into the hand")
	require.False(t, g.blocked(midnight))
	require.Equal(t, verdict{quota: true}, g.admit(midnight), "a new day")
}

// limited gives the shop's account a daily quota.
func (s *shop) limited(daily int) {
	s.accounts[0].Limits.Daily, s.accounts[0].Limits.App = daily, "pospal-1"
}

func TestWorkersTogetherMakeNoMoreCallsThanTheDayHas(t *testing.T) {
	s := newShop(t, nil)
	s.limited(700)
	today, _ := outbox.QuotaDay(time.Now())
	granted, err := s.store.ReserveQuota(t.Context(), "pospal-1", today, 690, 700)
	require.NoError(t, err)
	require.Equal(t, 690, granted, "other workers")
	stop := s.begin()
	_, err = s.Enqueue(t.Context(), s.batch(15, "16508"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'delivered'`) == 10 },
		10*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool { return s.count(`SELECT used FROM outbox.quotas`) == 700 }, time.Second, time.Millisecond)
	stop()
	require.Contains(t, s.log.String(), "the daily quota is used up")
	require.Equal(t, 10, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'delivered'`))
	require.Equal(t, 5, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'pending' AND attempts = 0`))
}

func TestWhatIsReservedAndNotUsedIsGivenBack(t *testing.T) {
	s := newShop(t, nil)
	s.limited(700) // seven at once
	stop := s.begin()
	_, err := s.Enqueue(t.Context(), s.batch(9, "16508"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'delivered'`) == 9 },
		10*time.Second, 10*time.Millisecond)
	require.Equal(t, 14, s.count(`SELECT used FROM outbox.quotas`))
	stop()
	require.Equal(t, 9, s.count(`SELECT used FROM outbox.quotas`))
}
