// Package migrations holds the schema as forward-only SQL files, in the order of
// their numbers. `syncworker migrate up` applies them under an advisory lock.
//
// A migration is applied while workers of the version before run, and they may be
// started again after it: it expands. It adds tables, columns that may be NULL or
// have a default, views and functions. What older workers write has to stay allowed,
// and newer ones have to cope with what older ones leave out (timed_floor in 0009 is
// an example). A backfill of more than some thousand rows is for housekeeping.
//
// No statement waits longer than a second for a lock, since all workers would stand
// behind it; the migration is tried again. An index on a table that is there has a
// file of its own, which may be cut off, and in which nobody stands behind it:
//
//	-- +goose NO TRANSACTION
//	-- +goose Up
//	SET lock_timeout = 0;
//	DROP INDEX CONCURRENTLY IF EXISTS outbox.deliveries_hint;
//	CREATE INDEX CONCURRENTLY deliveries_hint ON outbox.deliveries (hint);
//	RESET lock_timeout;
//
// Something is taken away in two steps. One version stops using it, and has a
// migration of its own, say 11, be it one that does nothing. A later migration takes
// it away, once no older worker runs and none will be put back, and says so:
//
//	COMMENT ON SCHEMA outbox IS 'oldest worker: 11';
//
// From then on a worker that knows less than version 11 doesn't start.
//
// TestMigrationsExpand looks at each file for what a machine can see. A line
// `-- old workers: ` that says why they can live with it lets a file pass. Whether
// they can, the load shows: go run ./test/chaos run -from HEAD~1
package migrations

import "embed"

// FS has the migration files at its root.
//
//go:embed *.sql
var FS embed.FS
