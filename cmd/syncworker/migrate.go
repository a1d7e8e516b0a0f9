package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"syncworker/internal/outbox"
)

func (a *app) migrateCmd() *cobra.Command {
	return parentCmd(&cobra.Command{
		Use:     "migrate",
		GroupID: groupSetup,
		Short:   "Bring the database's schema up to date",
		Long: `Migrations are built into the binary, go forward only, and are safe while workers
run: each waits for an advisory lock.`,
	}, a.migrateUpCmd(), a.migrateStatusCmd())
}

func (a *app) migrateUpCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "up",
		Short: "Apply what isn't applied yet",
		Long: `Applies the migrations that aren't applied yet, and shows them. As JSON it prints one
object: what this run has applied, and the schema's version now.`,
		Example: "  syncworker migrate up\n  syncworker migrate up -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			url, err := a.databaseURL()
			if err != nil {
				return err
			}
			applied, err := outbox.Migrate(cmd.Context(), url, func(notice string) { fmt.Fprintln(a.stderr, notice) })
			if err != nil {
				return err
			}
			list, err := outbox.Migrations(cmd.Context(), url)
			if err != nil {
				return err
			}
			return a.reportMigrated(migrated{Applied: append([]outbox.Migration{}, applied...), Version: versionOf(list)})
		},
	}
}

// migrated is what "migrate up" has done.
type migrated struct {
	Applied []outbox.Migration `json:"applied"` // by this run
	Version int64              `json:"version"` // of the schema now
}

// versionOf is the newest migration that is applied; 0: none is.
func versionOf(list []outbox.Migration) int64 {
	var version int64
	for _, m := range list {
		if !m.AppliedAt.IsZero() {
			version = max(version, m.Version)
		}
	}
	return version
}

func (a *app) reportMigrated(m migrated) error {
	switch {
	case a.output == outputJSON:
		return a.printOne(m)
	case len(m.Applied) == 0:
		_, err := fmt.Fprintf(a.stdout, "The schema is up to date: version %d.\n", m.Version)
		return err
	}
	return a.print(m.Applied)
}

func (a *app) migrateStatusCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show every migration and when it was applied",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			url, err := a.databaseURL()
			if err != nil {
				return err
			}
			list, err := outbox.Migrations(cmd.Context(), url)
			if err != nil {
				return err
			}
			return a.print(list)
		},
	}
}

func (a *app) databaseURL() (string, error) {
	c, err := a.config()
	if err != nil {
		return "", err
	}
	if c.Database.URL == "" {
		return "", errNoDatabase
	}
	return string(c.Database.URL), nil
}
