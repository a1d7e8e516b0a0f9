package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncworker/internal/config"
	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

func (a *app) deliveriesCmd() *cobra.Command {
	return parentCmd(&cobra.Command{
		Use:     "deliveries",
		GroupID: groupOps,
		Short:   "See what became of events at their vendors, and decide what is stuck",
		Long: `A delivery is one event for one vendor account.

  state      meaning                                           what you can do

  pending    to be called, or behind another of its lane       wait, cancel
  waiting    what has to go first is missing or stuck          cancel
  inflight   its call is under way                             wait
  unknown    its call may have taken effect: being found out   wait
  held       needs your decision                               resolve, cancel
  dead       refused, or given up: no effect exists            replay, cancel
  delivered  the effect exists
  cancelled  a person decided that it isn't sent`,
	}, a.deliveriesListCmd(), a.deliveriesShowCmd(), a.replayCmd(), a.cancelCmd(), a.resolveCmd())
}

// deliveryRow is a delivery in a table; JSON has all columns.
type deliveryRow struct {
	ID      int64        `json:"id"`
	Account string       `json:"account"`
	Type    event.Type   `json:"type"`
	Key     string       `json:"key" col:"ORDER / UUID"`
	Member  string       `json:"member"`
	State   outbox.State `json:"state"`
	Reason  string       `json:"reason"`
	Tries   int          `json:"attempts"`
	Vendor  string       `json:"vendor" col:"VENDOR SAYS"`
	Age     string       `json:"age"`
	Next    time.Time    `json:"next_attempt_at" col:"NEXT ATTEMPT"`
}

func rowOf(l outbox.Listed) deliveryRow {
	key := strings.Trim(l.OrderNo+" "+l.UUID, " ")
	vendor := strings.TrimSpace(l.VendorCode + " " + l.VendorMessage)
	if vendor == "" && l.HTTPStatus != 0 {
		vendor = fmt.Sprintf("HTTP %d", l.HTTPStatus)
	}
	return deliveryRow{
		ID: l.ID, Account: shownAccount(l.Account), Type: l.Type, Key: key, Member: l.Member, State: l.State, Reason: reasonOf(l),
		Tries: l.Attempts, Vendor: vendor, Age: age(time.Duration(l.AgeSeconds) * time.Second), Next: l.NextAttemptAt,
	}
}

// shownAccount is an account in a table: what no route took has none.
func shownAccount(name string) string {
	if name == "" {
		return "(unrouted)"
	}
	return name
}

// reasonOf is the reason of a delivery's state, with what stops its account.
func reasonOf(l outbox.Listed) string {
	switch {
	case l.Stopped == nil:
		return l.Reason
	case l.Reason == "":
		return l.Stopped.String()
	}
	return l.Reason + "; " + l.Stopped.String()
}

// age is a duration as people say it: its two largest units.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

func (a *app) printDeliveries(list []outbox.Listed, showPersonal bool) error {
	rows := make([]deliveryRow, len(list))
	for i := range list {
		if !showPersonal {
			list[i].Mask()
		}
		rows[i] = rowOf(list[i])
	}
	if a.output == outputJSON {
		return a.print(list)
	}
	return a.print(rows)
}

func (a *app) deliveriesListCmd() *cobra.Command {
	var filters filterFlags
	var showPersonal bool
	cmd := listCmd(a, &cobra.Command{
		Use:   "list",
		Short: "List deliveries, newest first",
		Long: `Lists deliveries, newest first. Members are masked; --show-personal shows them.
What is to be called and isn't, since its account is paused or its circuit open,
says so among the reasons.

` + listsHelp,
		Example: `  syncworker deliveries list --state held,dead
  syncworker deliveries list --order deal_201912110081
  syncworker deliveries list --member 13800000000 --type 'point.*' --since 7d
  syncworker deliveries list --state dead --code 409180 -o json | jq .id`,
	}, "delivery",
		func(ctx context.Context, c config.Config, store *outbox.Store, limit int) ([]outbox.Listed, bool, error) {
			f, err := filters.filter(nil, c, a.now())
			if err != nil {
				return nil, false, err
			}
			return store.List(ctx, f, limit)
		},
		func(list []outbox.Listed) error { return a.printDeliveries(list, showPersonal) })
	filters.register(cmd, "reason")
	cmd.Flags().BoolVar(&showPersonal, "show-personal", false, "don't mask members")
	return cmd
}

type factRows []fact

type fact struct {
	What  string `json:"what" col:""`
	Value string `json:"value" col:""`
}

func (r *factRows) add(what string, value any) {
	text := fmt.Sprint(value)
	if t, ok := value.(time.Time); ok {
		text = ""
		if !t.IsZero() {
			text = t.UTC().Format("2006-01-02 15:04:05Z")
		}
	}
	if text != "" {
		*r = append(*r, fact{what, text})
	}
}

func (a *app) showDelivery(x shownDelivery) error {
	if a.output == outputJSON {
		return a.printOne(x)
	}
	var facts factRows
	facts.add("delivery", x.ID)
	facts.add("account", shownAccount(x.Account))
	facts.add("state", x.State)
	facts.add("reason", x.Reason)
	if x.Stopped != nil {
		facts.add("not called", x.Stopped)
	}
	facts.add("since", x.StateSince)
	facts.add("attempts", fmt.Sprintf("%d (%s)", x.Attempts, counted(x.Calls, "call", "calls")))
	facts.add("next attempt", x.NextAttemptAt)
	facts.add("first sent", x.FirstSentAt)
	facts.add("delivered", x.DeliveredAt)
	if x.EverAmbiguous {
		facts.add("unclear", map[bool]string{true: "a call may have taken effect", false: "a call once was, and has been settled"}[x.Ambiguous])
	}
	facts.add("vendor key", x.VendorKey)
	facts.add("vendor ref", x.VendorRef)
	if x.PointsApplied != nil {
		facts.add("points applied", *x.PointsApplied)
	}
	facts.add("worker", x.Worker)
	facts.add("type", x.Type)
	facts.add("tenant", x.Tenant)
	facts.add("order", x.OrderNo)
	facts.add("uuid", x.UUID)
	facts.add("member", x.Member)
	facts.add("event time", x.EventTime)
	facts.add("received", x.ReceivedAt)
	if x.Event != nil {
		facts.add("event id", x.Event.CEID)
		facts.add("source", x.Event.Source)
		facts.add("trace", x.Event.TraceParent)
		facts.add("duplicates", x.Event.Duplicates)
	}
	for _, f := range facts {
		fmt.Fprintf(a.stdout, "%-15s %s\n", f.What, printable(f.Value))
	}
	if x.Event == nil {
		fmt.Fprintln(a.stdout, "\nThe payload is past its retention (database.retention).")
	} else {
		fmt.Fprintf(a.stdout, "\nData\n%s\n", prettyJSON(string(x.Event.Data)))
	}
	if err := a.showLane(x.Shown); err != nil {
		return err
	}
	a.showAttempts(x.AttemptLog)
	if err := a.showDeeds(x.Deeds); err != nil {
		return err
	}
	for _, c := range x.Conflicts {
		fmt.Fprintf(a.stdout, "\nConflict %d (%s), %s: syncworker conflicts show %d\n", c.ID, c.Cause, orOpen(c.Resolution), c.ID)
	}
	a.showCommands("What you can do", x.Next)
	a.showCommands("What the vendor has", x.Reads)
	return a.showVendor(x.Vendor)
}

func orOpen(resolution string) string {
	if resolution == "" {
		return "open"
	}
	return resolution
}

// prettyJSON indents JSON; what isn't JSON stays as it is.
func prettyJSON(text string) string {
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(text), "", "  "); err == nil {
		text = out.String()
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return "  " + strings.Join(lines, "\n  ")
}

func (a *app) showLane(x outbox.Shown) error {
	fmt.Fprintf(a.stdout, "\nLane")
	if x.LaneWorker != "" {
		fmt.Fprintf(a.stdout, " (worker %s has it)", printable(x.LaneWorker))
	} else if !x.LaneNextAt.IsZero() {
		fmt.Fprintf(a.stdout, " (due %s)", x.LaneNextAt.UTC().Format("2006-01-02 15:04:05Z"))
	}
	fmt.Fprintln(a.stdout)
	type laneRow struct {
		This      string       `json:"this" col:" "`
		ID        int64        `json:"id"`
		Type      event.Type   `json:"type"`
		UUID      string       `json:"uuid"`
		State     outbox.State `json:"state"`
		Reason    string       `json:"reason"`
		EventTime time.Time    `json:"event_time"`
	}
	rows := make([]laneRow, len(x.Lane))
	for i, l := range x.Lane {
		rows[i] = laneRow{ID: l.ID, Type: l.Type, UUID: l.UUID, State: l.State, Reason: l.Reason, EventTime: l.EventTime}
		if l.This {
			rows[i].This = ">"
		}
	}
	return a.print(rows)
}

func (a *app) showAttempts(attempts []outbox.ShownAttempt) {
	if len(attempts) == 0 {
		fmt.Fprintln(a.stdout, "\nNo call has been made.")
	}
	for _, t := range attempts {
		late := ""
		if t.Late {
			late = ", heard late"
		}
		fmt.Fprintf(a.stdout, "\nAttempt %d  %s  %s %s %s  HTTP %d  %s  %.0f ms%s\n", t.Number,
			t.StartedAt.UTC().Format("2006-01-02 15:04:05.000Z"), t.Action, t.Method, printable(t.Path), t.HTTPStatus, t.Class, t.DurationMs, late)
		if t.VendorCode != "" || t.VendorMessage != "" {
			fmt.Fprintf(a.stdout, "  vendor   %s\n", printable(t.VendorCode+" "+t.VendorMessage))
		}
		if t.Request != "" {
			fmt.Fprintf(a.stdout, "  request  %s\n", printable(t.Request))
		}
		if t.Reply != "" {
			fmt.Fprintf(a.stdout, "  reply    %s\n", printable(t.Reply))
		}
	}
}

func (a *app) showDeeds(deeds []outbox.Deed) error {
	if len(deeds) == 0 {
		return nil
	}
	fmt.Fprintln(a.stdout, "\nAudit")
	type deedRow struct {
		At     time.Time `json:"at"`
		Actor  string    `json:"actor"`
		Action string    `json:"action"`
		Why    string    `json:"why"`
	}
	rows := make([]deedRow, len(deeds))
	for i, d := range deeds {
		rows[i] = deedRow{d.At, d.Actor, d.Action, d.Why}
	}
	return a.print(rows)
}

func (a *app) showCommands(heading string, commands []string) {
	if len(commands) == 0 {
		return
	}
	fmt.Fprintln(a.stdout, "\n"+heading)
	for _, c := range commands {
		fmt.Fprintln(a.stdout, "  "+printable(c))
	}
}
