package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// choice is the row of a read that is a delivery's effect, or why there is none.
type choice struct {
	row        int // -1: none was chosen
	by         string
	candidates []string // by name; where none was chosen
}

// chooseRow looks for the row that is an effect, as resolving an unknown does: the
// one that has the vendor's reference as its id, else the one that carries a key of
// ours. Several that do, or none, are no choice.
func chooseRow(rows []json.RawMessage, ref string, keys []string) choice {
	flat := make([][]leaf, len(rows))
	for i, row := range rows {
		flat[i], _ = flatten(row) // what isn't JSON has no leaf that fits
	}
	where := func(fits func([]leaf) bool) (found []int) {
		for i := range flat {
			if fits(flat[i]) {
				found = append(found, i)
			}
		}
		return found
	}
	byRef := where(func(row []leaf) bool { return ref != "" && slices.Contains(idsOf(row), ref) })
	byKey := where(func(row []leaf) bool {
		return slices.ContainsFunc(keys, func(key string) bool { return carries(row, key) })
	})
	name := func(list []int) (names []string) {
		for _, i := range list {
			names = append(names, nameOf(flat[i], i))
		}
		return names
	}
	switch {
	case len(byRef) == 1:
		return choice{row: byRef[0], by: "it has the vendor's reference"}
	case len(byRef) > 1:
		return choice{row: -1, by: counted(len(byRef), "row has", "rows have") + " the vendor's reference", candidates: name(byRef)}
	case len(byKey) == 1:
		return choice{row: byKey[0], by: "it carries our key"}
	case len(byKey) > 1:
		return choice{row: -1, by: counted(len(byKey), "row carries", "rows carry") + " our key", candidates: name(byKey)}
	}
	return choice{row: -1, by: "none carries our key", candidates: name(where(func([]leaf) bool { return true }))}
}

// idFields are where vendors have the name of what a row is, the best first.
var idFields = []string{"id", "uid", "membership.id", "couponCode", "code", "orderNo", "promotionCouponUid"}

func idsOf(row []leaf) (ids []string) {
	for _, field := range idFields {
		if i := slices.IndexFunc(row, func(l leaf) bool { return l.path == field }); i >= 0 {
			if text, _ := unquoted(row[i].literal); text != "" && text != "null" {
				ids = append(ids, text)
			}
		}
	}
	return ids
}

// nameOf is a row's id, or its place where it has none.
func nameOf(row []leaf, i int) string {
	if ids := idsOf(row); len(ids) > 0 {
		return ids[0]
	}
	return fmt.Sprintf("row %d", i+1)
}

// leastKey is the length from which a key is looked for within a text: shorter ones
// stand in any.
const leastKey = 4

// carries says whether a row names a key of ours: as an id, as a whole text, or
// within one with no letter or digit beside it.
func carries(row []leaf, key string) bool {
	if key == "" {
		return false
	}
	if slices.Contains(idsOf(row), key) {
		return true
	}
	within := regexp.MustCompile(`(^|[^\pL\pN])` + regexp.QuoteMeta(key) + `($|[^\pL\pN])`)
	return slices.ContainsFunc(row, func(l leaf) bool {
		text, isString := unquoted(l.literal)
		return isString && (text == key || len(key) >= leastKey && strings.Contains(text, key) && within.MatchString(text))
	})
}
