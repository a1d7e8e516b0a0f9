package vendors

import (
	"context"
	"encoding/json"
)

// Reader shows people what a vendor has. Asserted where it is needed.
type Reader interface {
	// Resources lists what can be read.
	Resources() []Resource
	// Read reads one page; page is empty for the first one, and then what the page
	// before named as next. Applied means that it was read, and Refused with no rows
	// that there is no such thing. An unknown resource, or keys that it doesn't
	// have, are NotSent with a message.
	Read(ctx context.Context, resource string, keys []string, page string) (Page, Result)
	// Shows names the read that shows the effect of an event; false where none does.
	Shows(call Call) (resource string, keys []string, ok bool)
}

// Resource is something of a vendor's that can be read.
type Resource struct {
	Name  string   // "member", "point-details"
	Keys  []string // what names it, in order: "membershipId"; "[status]" may be left out
	About string   // one line for people, with the vendor's own term
	Paged bool
	// Columns are the fields that a table shows, of those that a row has.
	Columns []string
}

// Page is what one read returned.
type Page struct {
	Rows []json.RawMessage // objects as the vendor sent them, without secrets
	Next string            // empty: this was the last page
	// Pages is how many there are; 0 where the vendor doesn't say.
	Pages int
}
