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
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			url, err := a.databaseURL()
			if err != nil {
				return err
			}
			applied, err := outbox.Migrate(cmd.Context(), url, func(notice string) { fmt.Fprintln(a.stderr, notice) })
			if err != nil {
				return err
			}
			if a.output == outputTable && len(applied) == 0 {
				_, err = fmt.Fprintln(a.stdout, "The schema is up to date.")
				return err
			}
			return a.print(applied)
		},
	}
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
