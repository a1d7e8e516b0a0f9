package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"syncworker/internal/config"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// shownDelivery is what "deliveries show" prints: what is known here, how the vendor
// is read about it, and what that read showed where it was asked for.
type shownDelivery struct {
	outbox.Shown
	Reads  []string    `json:"reads"` // commands that show what the vendor has
	Vendor *vendorSide `json:"vendor,omitempty"`
}

func (a *app) deliveriesShowCmd() *cobra.Command {
	var withVendor, force bool
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one delivery: the event, its lane, each attempt, and what you can do",
		Long: `Shows the event as it came, the deliveries that go in order with it, each call
with request and reply, what people did about it, and the commands that fit now:
also the one that reads at the vendor what became of it.
It prints the event as it is, personal data included.

--vendor makes that read, and puts what was sent beside what the vendor has, field
by field: = the same, ≠ different, only ours, only the vendor's. Numbers are compared
by their value, times as moments, everything else as text. Where a read returns many
rows it takes the one with the vendor's reference, else the one that carries our key.
It needs no worker, uses its token and counts against the account's daily quota.`,
		Example: "  syncworker deliveries show 4711\n  syncworker deliveries show 4711 --vendor\n  syncworker deliveries show 4711 -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			return a.withStore(cmd, func(ctx context.Context, c config.Config, store *outbox.Store) error {
				shown, err := store.Show(ctx, id)
				if err != nil {
					return err
				}
				x := shownDelivery{Shown: shown, Reads: []string{}}
				about, err := a.aboutVendor(ctx, c, store, shown)
				if err != nil {
					return err
				}
				x.Reads = append(x.Reads, about.commands(id)...)
				var failed error
				if withVendor {
					x.Vendor, failed = a.readVendor(ctx, c, store, about, force)
				}
				return errors.Join(a.showDelivery(x), failed)
			})
		},
	}
	cmd.Flags().BoolVar(&withVendor, "vendor", false, "read what the vendor has, and put it beside what was sent")
	cmd.Flags().BoolVar(&force, "force", false, "with --vendor: read although the account is paused, throttled or its circuit is open")
	return cmd
}

// vendorRead is the read that shows the effect of a delivery.
type vendorRead struct {
	shown   outbox.Shown
	call    vendors.Call
	account string // that is read: the delivery's, or the one that it reads orders from
	vendors.Resource
	keys []string
	// byMember: the vendor's id of the member has to be looked up first.
	byMember bool
	refused  error // why the account can't be read
}

// aboutVendor finds the read for a delivery without asking the vendor. Its Name is
// empty where there is none.
func (a *app) aboutVendor(ctx context.Context, c config.Config, store *outbox.Store, x outbox.Shown) (vendorRead, error) {
	about := vendorRead{shown: x, account: x.Account}
	if _, configured := c.Vendors[x.Account]; !configured || x.Event == nil {
		return about, nil
	}
	w, member, err := store.Look(ctx, x.ID)
	if err != nil {
		return about, err
	}
	if w.Event.Member.MembershipID != "" {
		member = w.Event.Member.MembershipID
	}
	about.call = vendors.Call{Event: w.Event, Member: member, Key: w.VendorKey, Mark: w.Mark, FirstSentAt: w.FirstSentAt}
	if member == "" {
		about.call.Member = a.calledMember(c, x)
	}
	accounts := []string{x.Account}
	if reads := c.Vendors[x.Account].Semantics.OrderReads; reads != "" && x.Type.Order() {
		accounts = append(accounts, reads)
	}
	for _, account := range accounts {
		vendor, reads, err := a.nameReads(c, account)
		if err != nil {
			about.refused = err
			continue
		}
		if about.named(account, reads) {
			about.byMember = false
			return about, nil
		}
		_, looksUp := vendor.(vendors.MemberFinder)
		if looksUp && account == x.Account && about.call.Member == "" && len(w.Event.Member.Identities) > 0 {
			known := about
			known.call.Member = "1" // any: would there be a read if the member were known?
			about.byMember = known.named(account, reads)
		}
	}
	return about, nil
}

// calledMember is the vendor's id of the member whom a push has named in its path.
func (a *app) calledMember(c config.Config, x outbox.Shown) string {
	vendor, _, err := a.nameReads(c, x.Account)
	if err != nil {
		return ""
	}
	op, _ := vendor.Operation(x.Type)
	for _, t := range slices.Backward(x.AttemptLog) {
		if member := inPath(op.Name, t.Method+" "+t.Path, "{membershipId}"); t.Action == "push" && member != "" {
			return member
		}
	}
	return ""
}

// inPath is what a path has where its template has the name; empty where it isn't one
// of that template.
func inPath(template, path, name string) (value string) {
	path, _, _ = strings.Cut(path, "?")
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return ""
	}
	for i := range want {
		switch {
		case want[i] == name:
			value = got[i]
		case want[i] != got[i]:
			return ""
		}
	}
	return value
}

// named looks for the read in what an account can read.
func (v *vendorRead) named(account string, reads vendors.Reader) bool {
	name, keys, ok := reads.Shows(v.call)
	if !ok {
		return false
	}
	for _, r := range reads.Resources() {
		if r.Name == name && checkKeys(r, keys) == nil {
			v.account, v.Resource, v.keys = account, r, keys
			return true
		}
	}
	return false
}

// commands are those that show what the vendor has.
func (v *vendorRead) commands(id int64) []string {
	vendor := fmt.Sprintf("syncworker deliveries show %d --vendor", id)
	switch {
	case v.Name != "":
		return []string{getCommand(v.account, v.Name, v.keys), vendor}
	case v.byMember:
		return []string{vendor}
	}
	return nil
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]+$`)

// getCommand is a command that a shell takes as it is.
func getCommand(account, resource string, keys []string) string {
	words := []string{"syncworker", "vendors", "get", account, resource}
	if slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, "-") }) {
		words = append(words, "--")
	}
	for _, key := range keys {
		if !plainWord.MatchString(key) {
			key = "'" + strings.ReplaceAll(key, "'", `'\''`) + "'"
		}
		words = append(words, key)
	}
	return strings.Join(words, " ")
}
