package outbox

import "context"

// ListSQL lets tests look at the plan of a list.
func (s *Store) ListSQL(ctx context.Context, f Filter, limit int) (sql string, args []any, err error) {
	return s.listSQL(ctx, f, limit)
}

// IntendSQL is what commits intents.
const IntendSQL = intendSQL
