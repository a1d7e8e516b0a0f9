package vendors

import (
	"fmt"
	"regexp"
	"strings"
)

// FurtherKey returns a vendor key for an event whose earlier ones the vendor has
// used up: the event's own uuid, the delivery and the number of its last call. No
// other event's uuid looks like that by accident.
func FurtherKey(uuid string, delivery int64, call int) string {
	return fmt.Sprintf("%s~%d.%d", uuid, delivery, call)
}

var further = regexp.MustCompile(`^~[0-9]+\.[0-9]+`)

// CutKey returns what follows the event's key, its uuid or one that FurtherKey
// made of it, at the beginning of s.
func CutKey(s, uuid string) (rest string, found bool) {
	if rest, found = strings.CutPrefix(s, uuid); !found {
		return s, false
	}
	return rest[len(further.FindString(rest)):], true
}
