// Package contracts holds the contract with publishers as JSON Schema (2020-12):
// one schema per event type, which describes the whole envelope, and what they
// share in common.schema.json. The decoder of internal/event is held against
// them by a test. docs/gen makes asyncapi.yaml and docs/events.md of them.
package contracts

import "embed"

// Schemas holds the schemas: the one of a type is named "<type>.schema.json".
//
//go:embed *.schema.json
var Schemas embed.FS
