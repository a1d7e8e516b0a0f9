package heyshop

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// none is the mark where there is no level with the title.
const none = "none"

// levelDifference compares a level with what an event asked for: the document's
// fields, as far as the event has them. White space around a title doesn't count:
// the vendor's framework takes it off.
func levelDifference(e *event.Event, got fields) string {
	asked := vendors.Fields(e.Data)
	if asked == nil {
		return "the event's data can't be read"
	}
	for _, name := range levelFields {
		want := asked[name]
		if !vendors.Given(want) {
			continue
		}
		if name == "title" {
			if strings.TrimSpace(vendors.Text(want)) != strings.TrimSpace(vendors.Text(got[name])) {
				return "title is another"
			}
			continue
		}
		a, ok := number(want)
		b, ok2 := number(got[name])
		if !ok || !ok2 || !a.Equal(b) {
			return fmt.Sprintf("%s is %s and not %s", name, vendors.Shorten(string(got[name]), 40), want)
		}
	}
	return ""
}

// levels reads all levels with the event's title, by id.
func (a *Account) levels(ctx context.Context, e *event.Event) (map[string]fields, vendors.Result) {
	title := strings.TrimSpace(vendors.Text(vendors.Fields(e.Data)["title"]))
	found := map[string]fields{}
	seen := map[int64]bool{}
	for n := 1; n <= maxPages; n++ {
		page, r := a.page(ctx, levelsPath, nil, n)
		r.Calls = n
		if r.Class != vendors.Applied {
			return nil, r
		}
		before := len(seen)
		for _, f := range page.rows {
			level := id(f["id"])
			if level == 0 {
				return nil, unreadable(r, "a level rule has no id")
			}
			seen[level] = true
			if strings.TrimSpace(vendors.Text(f["title"])) == title {
				found[strconv.FormatInt(level, 10)] = f
			}
		}
		switch {
		case page.last && page.count >= 0 && page.count != len(seen):
			return nil, unreadable(r, fmt.Sprintf("%d level rules were seen, and count is %d: they changed while they were read", len(seen), page.count))
		case page.last:
			return found, r
		case len(seen) == before:
			return nil, unreadable(r, "a page of level rules shows nothing new, and says that another follows")
		}
	}
	r := vendors.Unsent(vendors.HoldUnsupported, fmt.Sprintf("there are more than %d level rules: make this one by hand and resolve it with its id", maxPages*pageRows))
	r.Calls = maxPages
	return nil, r
}

// markLevel notes the ids of the levels that have the title already.
func (a *Account) markLevel(ctx context.Context, call vendors.Call) (string, vendors.Result) {
	found, r := a.levels(ctx, call.Event)
	if r.Class != vendors.Applied {
		return "", r
	}
	if len(found) == 0 {
		return none, r
	}
	ids := make([]string, 0, len(found))
	for id := range found {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return strings.Join(ids, ","), r
}

// findCreated looks for a level with the title that wasn't there when the mark was
// made.
func (a *Account) findCreated(ctx context.Context, call vendors.Call) vendors.Finding {
	if call.Mark == "" {
		return unmarked()
	}
	found, r := a.levels(ctx, call.Event)
	if r.Class != vendors.Applied {
		return vendors.Finding{Found: vendors.Unavailable, Result: r, Detail: r.Message}
	}
	before := strings.Split(call.Mark, ",")
	var fresh []string
	for id := range found {
		if !slices.Contains(before, id) && !a.anothers(call, id) {
			fresh = append(fresh, id)
		}
	}
	f := vendors.Finding{Result: r}
	switch {
	case len(fresh) == 0:
		f.Found = vendors.Absent
	case len(fresh) > 1:
		slices.Sort(fresh)
		f.Found, f.Detail = vendors.Unclear, fmt.Sprintf("levels %s have this title and weren't there before the call", strings.Join(fresh, ", "))
	default:
		if difference := levelDifference(call.Event, found[fresh[0]]); difference != "" {
			f.Found, f.Detail = vendors.Unclear, fmt.Sprintf("level %s has this title and wasn't there before the call, but %s", fresh[0], difference)
			break
		}
		f.Found, f.Result.Receipt.Ref = vendors.Present, fresh[0]
	}
	return f
}

// findLevel looks whether a level is as an update set it, or gone as a delete wants.
func (a *Account) findLevel(ctx context.Context, call vendors.Call) vendors.Finding {
	path, err := levelPath(call.Event.Key)
	if err != nil {
		r := vendors.Unsent("", err.Error())
		return vendors.Finding{Found: vendors.Unavailable, Result: r, Detail: r.Message}
	}
	r, rep := a.get(ctx, path, nil)
	f := vendors.Finding{Result: r}
	gone := r.Class == vendors.Refused && rep.status == http.StatusNotFound
	shown := r.Class == vendors.Applied && vendors.Text(rep.fields["id"]) == call.Event.Key
	if gone || shown {
		f.Result.Class, f.Result.Message = vendors.Applied, ""
	}
	switch deleted := call.Event.Type == event.LevelDeleted; {
	case !gone && !shown:
		f.Found, f.Detail = vendors.Unavailable, r.Message
	case deleted && gone, !deleted && shown && levelDifference(call.Event, rep.fields) == "":
		f.Found, f.Result.Receipt.Ref = vendors.Present, call.Event.Key
	default:
		f.Found = vendors.Absent
	}
	return f
}
