package check

import (
	"strconv"
	"strings"
)

// audited proves that each change that a command reported is recorded once, and
// that nothing is recorded that nobody did.
func (c *checker) audited() {
	rows := map[string][]Audit{} // by the command's own words
	for _, a := range c.Audit {
		why, _, _ := strings.Cut(a.Why, ".")
		rows[why+"."] = append(rows[why+"."], a)
	}
	for _, d := range c.Deeds {
		c.look(1)
		if c.restored(d.At) || c.restored(d.Until) {
			delete(rows, d.Why)
			continue
		}
		recorded := map[string]int{}
		for _, a := range rows[d.Why] {
			recorded[a.Target]++
		}
		delete(rows, d.Why)
		for _, id := range d.Changed {
			if n := recorded["delivery "+strconv.FormatInt(id, 10)]; n != 1 {
				c.find("%s of delivery %d (%s) is recorded %d times", d.Action, id, d.Why, n)
			}
		}
		if d.Answered && len(recorded) != len(d.Changed) {
			c.find("%s (%s) changed %d deliveries, and %d are recorded", d.Action, d.Why, len(d.Changed), len(recorded))
		}
	}
	for why, left := range rows {
		if left[0].Action == "doubt" && len(c.restores) > 0 {
			continue // the worker's own record of a database that has gone back
		}
		c.find("%d audit rows of which no command is known: %s of %s, %q", len(left), left[0].Action, left[0].Target, why)
	}
}
