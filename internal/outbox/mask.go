package outbox

import (
	"regexp"
	"strings"
)

// Mask hides who the member is, also where the vendor's message names them. The
// finance views mask by the same rules.
func (l *Listed) Mask() {
	l.Member = MaskMember(l.Member)
	l.VendorMessage = maskMobiles(l.VendorMessage)
}

// MaskMember hides who a member is: a vendor's own id stays; of a number of
// eleven digits or more the first three and the last four characters stay, of
// anything else the first.
func MaskMember(member string) string {
	kind, value, found := strings.Cut(member, ":")
	if !found {
		kind, value = "", member
	} else {
		kind += ":"
	}
	digits := strings.TrimLeft(strings.TrimPrefix(value, "+"), "0123456789") == ""
	switch {
	case value == "" || kind == "id:" && digits:
		return member
	case digits && len(strings.TrimPrefix(value, "+")) >= 11:
		return kind + value[:3] + "****" + value[len(value)-4:]
	}
	first := []rune(value)[0]
	return kind + string(first) + "****"
}

// maskMobiles hides Chinese mobile numbers in a text. A longer number, such as
// an id, isn't one.
func maskMobiles(text string) string {
	digits := regexp.MustCompile(`[0-9]+`)
	mobile := regexp.MustCompile(`^(1[3-9][0-9])[0-9]{4}([0-9]{4})$`)
	return digits.ReplaceAllStringFunc(text, func(number string) string {
		return mobile.ReplaceAllString(number, "$1****$2")
	})
}
