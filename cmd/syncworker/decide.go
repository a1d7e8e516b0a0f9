package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"syncworker/internal/config"
	"syncworker/internal/outbox"
)

// deciding is a command that changes deliveries: it prints its plan, and acts
// with --yes.
type deciding struct {
	filters filterFlags
	deed    deedFlags
	yes     bool
	limit   int
	rate    float64

	evidence, vendorRef string
	points              int64
	applied, notApplied bool
	sendAgain           bool
}

const decidingHelp = `

Deliveries are chosen by ids or by the filters of "deliveries list"; --state-reason
is its --reason. Without --yes the plan is printed and nothing is changed. With
it, --reason says why, and is kept in the audit with the rows before and after.

What can't be done is refused, with the reason and the command that fits; the rest
is done. Exit codes: 0 the plan has something to do, or all of it was done, or
nothing was chosen; 3 a person is needed: --yes left some as they are, or the plan
has nothing but refusals.`

func (d *deciding) register(cmd *cobra.Command) *cobra.Command {
	d.filters.register(cmd, "state-reason")
	d.deed.register(cmd)
	cmd.Flags().BoolVar(&d.yes, "yes", false, "act; without it the plan is printed")
	cmd.Flags().Float64Var(&d.rate, "rate", 50, "how many deliveries a second at most")
	limitFlag(cmd, &d.limit, 0, "how many at most, oldest first; 0 = all")
	return cmd
}

func (a *app) replayCmd() *cobra.Command {
	d := &deciding{}
	return d.register(&cobra.Command{
		Use:   "replay [ID…]",
		Short: "Try again what is dead",
		Long: `Sends deliveries that are dead once more: say, after the vendor has fixed what it
refused. What is delivered, under way or unknown is refused, and so is what was
ever unclear: a repeat might grant points twice. "resolve" answers those.` + decidingHelp,
		Example: `  syncworker deliveries replay 4711
  syncworker deliveries replay --state dead --code 400005 --since 2h
  syncworker deliveries replay --state dead --code 400005 --since 2h --yes --reason "store mapping fixed"`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.decide(cmd, args, d, outbox.Replay) },
	})
}

func (a *app) cancelCmd() *cobra.Command {
	d := &deciding{}
	return d.register(&cobra.Command{
		Use:   "cancel [ID…]",
		Short: "Never send what isn't delivered",
		Long: `Takes deliveries out: they are never sent. Cancelling an order's create cancels
what waits behind it, which the plan lists. Cancelling says nothing about the
vendor: what was ever unclear may exist there, and the plan names it.` + decidingHelp,
		Example: `  syncworker deliveries cancel 4711
  syncworker deliveries cancel --order test-1 --yes --reason "a test of the till"`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.decide(cmd, args, d, outbox.Cancel) },
	})
}

func (a *app) resolveCmd() *cobra.Command {
	d := &deciding{}
	cmd := d.register(&cobra.Command{
		Use:   "resolve [ID…] (--applied --evidence TEXT | --not-applied | --send-again)",
		Short: "Answer what is held",
		Long: `Answers deliveries that are held, and dead ones that were ever unclear:

  --applied      the effect exists at the vendor; --evidence says how you know.
                 The delivery is delivered.
  --not-applied  it doesn't exist and isn't to be sent. The delivery is dead.
  --send-again   send it: only where you know that the vendor doesn't have it, or
                 where nothing was sent. What spoke against it is passed over. An
                 event that no route took goes where the routes name now.` + decidingHelp,
		Example: `  syncworker deliveries resolve 4711 --applied --evidence "order page shows the refund" --yes --reason "ticket 12"
  syncworker deliveries resolve --state held --state-reason unrouted --send-again`,
		RunE: func(cmd *cobra.Command, args []string) error {
			action, err := d.answer()
			if err != nil {
				return err
			}
			return a.decide(cmd, args, d, action)
		},
	})
	flags := cmd.Flags()
	flags.BoolVar(&d.applied, "applied", false, "the effect exists at the vendor")
	flags.BoolVar(&d.notApplied, "not-applied", false, "the effect doesn't exist, and isn't to be sent")
	flags.BoolVar(&d.sendAgain, "send-again", false, "send it")
	flags.StringVar(&d.evidence, "evidence", "", "with --applied: `how` you know, such as what a page of the vendor shows")
	flags.Int64Var(&d.points, "points-applied", -1, "with --applied: how many points the vendor shows, where it may be fewer than asked")
	flags.StringVar(&d.vendorRef, "vendor-ref", "", "with --applied: the vendor's own reference, if it has one")
	return cmd
}

func (d *deciding) answer() (outbox.Action, error) {
	chosen := 0
	action := outbox.Applied
	for a, set := range map[outbox.Action]bool{outbox.Applied: d.applied, outbox.NotApplied: d.notApplied, outbox.SendAgain: d.sendAgain} {
		if set {
			chosen++
			action = a
		}
	}
	switch {
	case chosen != 1:
		return "", usagef("give one of --applied, --not-applied and --send-again")
	case action == outbox.Applied && d.evidence == "":
		return "", usagef("--applied needs --evidence: how do you know that the effect exists?")
	case action != outbox.Applied && (d.evidence+d.vendorRef != "" || d.points >= 0):
		return "", usagef("--evidence, --vendor-ref and --points-applied go with --applied")
	}
	return action, nil
}

// decide prints the plan of an action, or carries it out.
func (a *app) decide(cmd *cobra.Command, args []string, d *deciding, action outbox.Action) error {
	if d.rate <= 0 {
		return usagef("found --rate %g; want more than 0", d.rate)
	}
	if err := checkLimit(d.limit, 0); err != nil {
		return err
	}
	if d.yes {
		if err := d.deed.check(a); err != nil {
			return err
		}
	}
	return a.withStore(cmd, func(ctx context.Context, c config.Config, store *outbox.Store) error {
		if err := checkLists(cmd); err != nil {
			return err
		}
		f, err := d.filters.filter(args, c, a.now())
		if err != nil {
			return err
		}
		if f.Empty() {
			return usagef("name deliveries by id, or choose them by filters")
		}
		dec := outbox.Decision{
			Action: action, Actor: d.deed.actor, Why: d.deed.why, Evidence: d.evidence, VendorRef: d.vendorRef,
			Accounts: accountNames(c), Route: c.Accounts, Blocks: blocks(c),
		}
		if action == outbox.Applied && d.points >= 0 {
			dec.PointsApplied = &d.points
		}
		plan, err := store.Plan(ctx, dec, f, d.limit)
		if err != nil {
			return err
		}
		if !d.yes {
			return a.printPlan(action, plan)
		}
		if plan.Total.Count+len(plan.Refused) == 0 && a.output == outputTable {
			return a.showPlan(action, plan)
		}
		return a.actOn(ctx, store, dec, plan, d.rate)
	})
}

// planLines bounds how many refused and waiting deliveries a table lists; JSON
// has them all.
const planLines = 20

// printPlan shows a plan. One that has nothing but refusals needs a person, who
// decides otherwise.
func (a *app) printPlan(action outbox.Action, p outbox.Plan) error {
	if err := a.showPlan(action, p); err != nil {
		return err
	}
	if n := len(p.Refused); n > 0 && p.Total.Count == 0 {
		return needsPersonf("nothing can be done: %s refused, each with its reason", counted(n, "delivery was", "deliveries were"))
	}
	return nil
}

func (a *app) showPlan(action outbox.Action, p outbox.Plan) error {
	if a.output == outputJSON {
		return a.printOne(p)
	}
	if p.Total.Count+len(p.Refused) == 0 {
		_, err := fmt.Fprintln(a.stdout, "No delivery matches.")
		return err
	}
	fmt.Fprintf(a.stdout, "Plan: %s of %s. Nothing has been changed.\n\n", action, counted(p.Total.Count, "delivery", "deliveries"))
	if len(p.Groups) > 0 {
		if err := a.print(p.Groups); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "\nIn all: paid %s, refunded %s, points in %d, points out %d\n",
			amount(p.Total.AmountPaid), amount(p.Total.Refunds), p.Total.PointsIn, p.Total.PointsOut)
	}
	if n := len(p.MayExist); n > 0 {
		fmt.Fprintf(a.stdout, "\nOf these, %d had a call that was never answered clearly: the vendor may have the effect (%s).\n",
			n, joinIDs(p.MayExist))
	}
	if n := len(p.Behind); n > 0 {
		fmt.Fprintf(a.stdout, "\nCancelled with their create: %d\n", n)
		if err := a.print(p.Behind[:min(n, planLines)]); err != nil {
			return err
		}
	}
	if err := a.printRefused(p.Refused); err != nil {
		return err
	}
	if p.Total.Count > 0 {
		fmt.Fprintln(a.stdout, "\nAdd --yes and --reason TEXT to act.")
	}
	return nil
}

func (a *app) printRefused(refused []outbox.Refusal) error {
	n := len(refused)
	if n == 0 {
		return nil
	}
	fmt.Fprintf(a.stdout, "\nRefused: %d\n", n)
	if err := a.print(refused[:min(n, planLines)]); err != nil {
		return err
	}
	if n > planLines {
		fmt.Fprintf(a.stdout, "… and %d more; -o json lists all\n", n-planLines)
	}
	return nil
}

func joinIDs(ids []int64) string {
	text := ""
	for i, id := range ids {
		switch {
		case i == planLines:
			return text + ", …"
		case i > 0:
			text += ", "
		}
		text += fmt.Sprint(id)
	}
	return text
}

// decided is what an action has done.
type decided struct {
	Action  outbox.Action    `json:"action"`
	Changed []int64          `json:"changed"`
	Refused []outbox.Refusal `json:"refused"`
}

// actOn carries a decision out, one delivery at a time.
func (a *app) actOn(ctx context.Context, store *outbox.Store, dec outbox.Decision, p outbox.Plan, perSecond float64) error {
	done := decided{Action: dec.Action, Changed: []int64{}, Refused: p.Refused}
	changed := map[int64]bool{}
	pace := rate.NewLimiter(rate.Limit(perSecond), 1)
	bar := a.progress(len(p.IDs), string(dec.Action))
	var failed error
	for _, id := range p.IDs {
		_ = bar.Add(1)
		if changed[id] {
			continue // it came along with its create
		}
		if failed = pace.Wait(ctx); failed != nil {
			break
		}
		var acted outbox.Acted
		if acted, failed = store.Act(ctx, dec, id); failed != nil {
			break
		}
		if acted.Refused != "" {
			done.Refused = append(done.Refused, outbox.Refusal{ID: id, Why: acted.Refused})
		}
		for _, c := range acted.Changed {
			changed[c] = true
		}
		done.Changed = append(done.Changed, acted.Changed...)
	}
	_ = bar.Finish()
	return a.reportDecided(done, failed)
}

func (a *app) reportDecided(done decided, failed error) error {
	if a.output == outputJSON {
		if err := a.printOne(done); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.stdout, "%s: %s changed, %d refused.\n",
			done.Action, counted(len(done.Changed), "delivery", "deliveries"), len(done.Refused))
		if err := a.printRefused(done.Refused); err != nil {
			return err
		}
	}
	if failed != nil {
		return fmt.Errorf("after %s, which are kept: %w", counted(len(done.Changed), "change", "changes"), failed)
	}
	if n := len(done.Refused); n > 0 {
		return needsPersonf("%s refused, each with its reason", counted(n, "delivery was", "deliveries were"))
	}
	return nil
}
