package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/jackc/pgx/v5"
)

// statement is what one of the worker's statements cost Postgres.
type statement struct {
	SQL          string  `json:"sql"`
	Calls        float64 `json:"calls_per_1000_events"`
	Milliseconds float64 `json:"ms_per_1000_events"`
	Each         float64 `json:"ms_each"`
	WAL          float64 `json:"wal_bytes_per_event"`
	Buffers      float64 `json:"buffers_per_event"`
}

// statements are the twenty that took most of the server's time in a database.
func (s *stack) statements(ctx context.Context, database string, events int) ([]statement, error) {
	const sql = `
		SELECT s.query, s.calls * 1000.0 / $2, s.total_exec_time * 1000 / $2, s.mean_exec_time,
		       s.wal_bytes::float8 / $2, (s.shared_blks_hit + s.shared_blks_read) / $2
		FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
		WHERE d.datname = $1 ORDER BY s.total_exec_time DESC LIMIT 20`
	rows, err := s.admin.Query(ctx, sql, database, float64(events))
	if err != nil {
		return nil, fmt.Errorf("reading the statistics of statements: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[statement])
}

func writeStatements(out io.Writer, results []result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range results {
		if len(r.Statements) > 0 {
			fmt.Fprintf(w, "\n%s, round %d\tcalls per 1,000 events\tms per 1,000\tms each\tWAL B an event\tbuffers an event\n", r.Scene, r.Round)
		}
		for _, st := range r.Statements {
			text := strings.Join(strings.Fields(st.SQL), " ")
			fmt.Fprintf(w, "%.70s\t%.1f\t%.1f\t%.2f\t%.0f\t%.1f\n", text, st.Calls, st.Milliseconds, st.Each, st.WAL, st.Buffers)
		}
	}
	return w.Flush()
}
