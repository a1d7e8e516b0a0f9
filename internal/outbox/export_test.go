package outbox

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// ListSQL lets tests look at the plan of a list.
func (s *Store) ListSQL(ctx context.Context, f Filter, limit int) (sql string, args []any, err error) {
	return s.listSQL(ctx, f, limit)
}

// IntendSQL is what commits intents.
const IntendSQL = intendSQL

// CountSQL counts a commit.
const CountSQL = countSQL

// SettleSQL and LanesSQL are what commits what became of deliveries.
const (
	SettleSQL = settleSQL
	LanesSQL  = lanesSQL
)

// Pool is the store's connections.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// LoadSQL takes what rests in lanes.
const LoadSQL = loadSQL

// AdoptSQL reads what a worker holds.
const AdoptSQL = adoptSQL

// Since is from when on lanes that are due are looked for.
func (s *Store) Since(account string) time.Time { return s.looks.of(account).since }

// SweptLater is how much later than usual a look at all lanes comes after one that took
// so long.
func SweptLater(took time.Duration) time.Duration {
	now := time.Now()
	return look{}.next(time.Time{}, now, true, took).swept.Sub(now)
}
