// Package migrations holds the schema as forward-only SQL files, in the order of
// their numbers. `syncworker migrate up` applies them under an advisory lock.
//
// A migration is applied while workers of the version before run, and they may be
// started again after it: it expands. It adds tables, columns that may be NULL or
// have a default, views and functions. What older workers write has to stay allowed,
// and the newer ones have to take what the older ones leave out (0009 has an
// example: timed_floor). An index on a table that is there is made CONCURRENTLY, in a
// file of its own with `-- +goose NO TRANSACTION`, behind `DROP INDEX CONCURRENTLY
// IF EXISTS` of the same name, since a cut one stays and is invalid. A backfill of
// more than some thousand rows isn't a migration's but housekeeping's.
//
// Something is taken away in two steps. One version stops using it; it needs a
// migration of its own, say 11, be it empty. A later migration, once no older worker
// runs and none will be put back, takes it away and says so:
//
//	COMMENT ON SCHEMA outbox IS 'oldest worker: 11';
//
// A worker that knows less than version 11 doesn't start from then on. TestMigrationsExpand
// looks at each file for what a machine can see; a line `-- old workers: …` that says
// why they can live with it lets a file pass. What it can't see, the load does:
//
//	go run ./test/chaos run -from HEAD~1
package migrations

import "embed"

// FS has the migration files at its root.
//
//go:embed *.sql
var FS embed.FS
