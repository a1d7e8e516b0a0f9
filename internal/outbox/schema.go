package outbox

import (
	"context"
	"fmt"

	"github.com/pressly/goose/v3"

	"syncworker/migrations"
)

// schema is what a database says of its own.
type schema struct {
	version int64 // the newest migration that is applied; 0: none is
	// oldest is the version that a worker has to know at least: what older ones
	// use was taken away. 0: nothing was.
	oldest int64
}

// fits tells why a worker whose own migrations go up to known can't work with the
// schema. A newer one is none of these reasons by itself: migrations expand.
func (s schema) fits(known int64) error {
	switch {
	case s.version == 0:
		return fmt.Errorf("the database has no schema outbox; run 'syncworker migrate up' first")
	case s.version < known:
		return fmt.Errorf("the database's schema is version %d, and this worker needs version %d; run 'syncworker migrate up' of this worker first",
			s.version, known)
	case s.oldest > known:
		return fmt.Errorf("this worker knows the database's schema up to version %d, and what it uses was taken away: use a worker that knows version %d or a later one",
			known, s.oldest)
	}
	return nil
}

// checkSchema returns an error where a worker of this build can't work with the
// database's schema.
func (s *Store) checkSchema(ctx context.Context) error {
	known, err := knownVersion()
	if err != nil {
		return err
	}
	const exists = `SELECT to_regclass('outbox.deliveries') IS NOT NULL AND to_regclass('goose_db_version') IS NOT NULL`
	var ready bool
	if err := s.pool.QueryRow(ctx, exists).Scan(&ready); err != nil {
		return fmt.Errorf("looking at the schema: %w", err)
	}
	if !ready {
		return schema{}.fits(known)
	}
	const sql = `
		SELECT (SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied),
			coalesce(substring(obj_description('outbox'::regnamespace, 'pg_namespace') from '^oldest worker: ([0-9]+)$')::bigint, 0)`
	var found schema
	if err := s.pool.QueryRow(ctx, sql).Scan(&found.version, &found.oldest); err != nil {
		return fmt.Errorf("reading the version of the schema: %w", err)
	}
	return found.fits(known)
}

// knownVersion is the newest migration that is built into this program.
func knownVersion() (int64, error) {
	files, err := migrations.FS.ReadDir(".")
	if err != nil {
		return 0, fmt.Errorf("reading the migrations: %w", err)
	}
	return goose.NumericComponent(files[len(files)-1].Name())
}
