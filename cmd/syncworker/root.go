package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// The groups of the command list.
const (
	groupRun     = "run"
	groupPublish = "publish"
	groupOps     = "ops"
	groupSetup   = "setup"
)

// rootCmd builds the whole command tree. A command sets its GroupID and is
// added here.
func (a *app) rootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:   "syncworker",
		Short: "Brings order and point events from NATS JetStream to loyalty vendors",
		Long: `syncworker takes the order, refund, cancel and point events that shops publish
to NATS JetStream, keeps them in a Postgres outbox and gives each one its effect
at the loyalty vendor: once, in order, with a receipt.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 something needs a person.`,
		Example: `  syncworker dev --demo                      # see all of it at work, without any setting
  syncworker publish --check events.ndjson   # publishers: does the contract take them?
  syncworker events status ORDER             # publishers: what became of an order?
  syncworker deliveries list --state held    # ops: what waits for a decision?
  syncworker config check                    # is the configuration right?`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: a.checkGlobalFlags,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.configPath, "config", "",
		"configuration `file`; else $SYNCWORKER_CONFIG, else ./syncworker.yaml if it exists, else the defaults")
	flags.StringVarP(&a.output, "output", "o", outputTable, "output `format`: table, or json (one object per line)")
	root.AddGroup(
		&cobra.Group{ID: groupRun, Title: "Run:"},
		&cobra.Group{ID: groupPublish, Title: "Publish:"},
		&cobra.Group{ID: groupOps, Title: "Operate:"},
		&cobra.Group{ID: groupSetup, Title: "Set up:"},
	)
	root.SetHelpCommandGroupID(groupSetup)
	root.SetCompletionCommandGroupID(groupSetup)
	root.AddCommand(
		a.devCmd(),
		a.runCmd(),
		a.sandboxCmd(),
		a.publishCmd(),
		a.eventsCmd(),
		a.deliveriesCmd(),
		a.rejectsCmd(),
		a.conflictsCmd(),
		a.vendorsCmd(),
		a.migrateCmd(),
		a.configCmd(),
		a.versionCmd(),
	)
	// The only error would be a flag that doesn't exist.
	_ = root.RegisterFlagCompletionFunc("output",
		cobra.FixedCompletions([]string{outputTable, outputJSON}, cobra.ShellCompDirectiveNoFileComp))
	a.markStart(root)
	return root
}

func (a *app) checkGlobalFlags(*cobra.Command, []string) error {
	if !slices.Contains([]string{outputTable, outputJSON}, a.output) {
		return usagef("found --output %q; want table or json", a.output)
	}
	return nil
}

// markStart wraps every command, so that what cobra refuses before a command
// runs (unknown flags, missing arguments) can be told from what fails in it.
func (a *app) markStart(cmd *cobra.Command) {
	if runE := cmd.RunE; runE != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			a.started = true
			return runE(cmd, args)
		}
	}
	for _, child := range cmd.Commands() {
		a.markStart(child)
	}
}

// parentCmd is a command that only has commands below it. Without one of them it
// prints its help.
func parentCmd(parent *cobra.Command, children ...*cobra.Command) *cobra.Command {
	parent.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		var names []string
		for _, child := range cmd.Commands() {
			names = append(names, child.Name())
		}
		return usagef("unknown command %q for %q; want %s", args[0], cmd.CommandPath(), strings.Join(names, ", "))
	}
	parent.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	parent.AddCommand(children...)
	return parent
}
