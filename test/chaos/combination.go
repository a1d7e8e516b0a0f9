package main

import (
	"encoding/json"
	"fmt"

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
}

// lag stands for a minute, as the quiet period of these runs does for five.
const lag = quiet / 5

func combinations() (all []combination) {
	for _, existing := range []string{"replace", "error", "double"} {
		for _, refunds := range []string{"accumulate", "overwrite", "refuse"} {
			for _, late := range []sandbox.Duration{0, sandbox.Duration(lag)} {
				for _, consumes := range []bool{false, true} {
					for _, duplicate := range []string{"error", "echo"} {
						all = append(all, combination{existing, refunds, consumes, duplicate, late})
					}
				}
			}
		}
	}
	return all
}

// String is what -switches takes.
func (c combination) String() string {
	text, err := json.Marshal(c)
	if err != nil {
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
