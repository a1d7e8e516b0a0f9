// Package migrations holds the schema as forward-only SQL files, in the order of
// their numbers. `syncworker migrate up` applies them under an advisory lock.
package migrations

import "embed"

// FS has the migration files at its root.
//
//go:embed *.sql
var FS embed.FS
