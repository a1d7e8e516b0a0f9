package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"syncworker/internal/sandbox"
)

// combination is one of the vendors that the documents allow, by what matters
// most of what they leave open. The rest is drawn from the seed.
type combination struct {
	ExistingOrder       string           `json:"existing_order"`
	Refunds             string           `json:"refunds"`
	RefusedConsumesUUID bool             `json:"refused_consumes_uuid"`
	DuplicateUUID       string           `json:"duplicate_uuid"`
	ReadsLag            sandbox.Duration `json:"reads_lag"`

	nth int // how many come before it, which says what the other vendors do
}

// beside are the switches of what shares nothing with DM Hub's orders and points, so
// that each of these goes through its own combinations beside DM Hub's.
var beside = [][]struct {
	name   string // within an object where it has a dot
	values []any
}{
	{
		{"members.bind_again", []any{"error", "echo"}}, {"members.mobile_again", []any{"error", "echo"}},
		{"members.redeem_twice", []any{"error", "echo"}}, {"members.identities_shown", []any{"all", "asked"}},
		{"members.totals_swapped", []any{false, true}},
	},
	{
		{"heyshop.negative_points", []any{"applied", "refused", "cut"}}, {"heyshop.unknown_customer", []any{"400", "404"}},
		{"heyshop.history_order", []any{"newest", "oldest", "none"}}, {"heyshop.max_page_size", []any{100, 3}},
		{"heyshop.create_status", []any{201, 200}},
	},
	{
		{"pospal.double_use", []any{"error", "success"}}, {"pospal.existing_code", []any{"error", "success"}},
		{"pospal.use_time", []any{"sent", "server"}}, {"pospal.page_size_shown", []any{"shown", "hidden"}},
		{"pospal.messages_type", []any{"list", "text"}}, {"pospal.status_case", []any{"lower", "upper"}},
	},
	{
		{"repeat_cancel", []any{"echo", "error"}}, {"refund_state", []any{false, true}}, {"order_not_found", []any{"error", "null"}},
		{"deal_coupon", []any{"counponCode", "couponCode"}}, {"deal_delete_reply", []any{"no_content", "empty", "echo"}},
	},
}

// lag stands for a minute, as the quiet period of these runs does for five.
const lag = quiet / 5

func combinations() (all []combination) {
	for _, existing := range []string{"replace", "error", "double"} {
		for _, refunds := range []string{"accumulate", "overwrite", "refuse"} {
			for _, late := range []sandbox.Duration{0, sandbox.Duration(lag)} {
				for _, consumes := range []bool{false, true} {
					for _, duplicate := range []string{"error", "echo"} {
						all = append(all, combination{existing, refunds, consumes, duplicate, late, len(all)})
					}
				}
			}
		}
	}
	return all
}

// switches are all that the combination says, as JSON has them.
func (c combination) switches() (map[string]any, error) {
	text, err := json.Marshal(c)
	all := map[string]any{}
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	for _, one := range beside {
		n := c.nth
		for _, s := range one {
			value := s.values[n%len(s.values)]
			n /= len(s.values)
			object, name, within := strings.Cut(s.name, ".")
			if !within {
				all[object] = value
				continue
			}
			if all[object] == nil {
				all[object] = map[string]any{}
			}
			all[object].(map[string]any)[name] = value
		}
	}
	return all, err
}

// String is what -switches takes.
func (c combination) String() string {
	all, err := c.switches()
	text, failed := json.Marshal(all)
	if err = errors.Join(err, failed); err != nil {
		return err.Error()
	}
	return string(text)
}

// row names a combination by the switches that rows are made of; the others are
// ranges.
func (c combination) row() string {
	late := "0"
	if c.ReadsLag > 0 {
		late = "1 min"
	}
	return fmt.Sprintf("%s | %s | %s", c.ExistingOrder, c.Refunds, late)
}
