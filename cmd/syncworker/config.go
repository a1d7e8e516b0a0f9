package main

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"syncworker/internal/config"
)

func (a *app) configCmd() *cobra.Command {
	return parentCmd(&cobra.Command{
		Use:     "config",
		GroupID: groupSetup,
		Short:   "Check and show the configuration",
		Long: `The configuration is one YAML file. Every key can be overridden by a variable:
SYNCWORKER_, then the path of the key in capitals with _ between its parts, such
as SYNCWORKER_NATS_URL or SYNCWORKER_VENDORS_DMHUB_BASE_URL. Secrets come from a
variable or from a file that a secret_file key names, never from the YAML file.
docs/configuration.md explains each key.`,
	}, a.configCheckCmd(), a.configPrintCmd())
}

// configReport is what "config check -o json" prints.
type configReport struct {
	OK       bool             `json:"ok"` // warnings don't count
	Errors   []config.Problem `json:"errors"`
	Warnings []string         `json:"warnings"`
}

func (a *app) configCheckCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Validate the configuration and list all its errors",
		Long: `Validates the file and the variables and lists all the errors at once, each with
its line, what was found and what is allowed. It also checks what the worker
needs on top: that the database's URL is set and that secrets can be read. As JSON
it prints one object: ok, all errors, all warnings.`,
		Example: `  syncworker config check
  syncworker config check --config /etc/syncworker.yaml
  syncworker config check -o json | jq .ok`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.checkConfig() },
	}
}

func (a *app) checkConfig() error {
	path, err := a.configFile()
	if err != nil {
		return err
	}
	c, err := config.Load(path, a.environ, kinds())
	if err == nil {
		err = c.CheckWorker()
	}
	if a.output == outputJSON {
		return errors.Join(err, a.printOne(reportOf(err, c.Warnings())))
	}
	for _, warning := range c.Warnings() {
		fmt.Fprintln(a.stderr, "warning:", warning)
	}
	if err != nil {
		return err
	}
	from := path
	if path == "" {
		from = "the defaults and the environment; there is no " + defaultConfigPath
	}
	_, err = fmt.Fprintf(a.stdout, "The configuration is valid (%s): %s, %s.\n", from,
		counted(len(c.Vendors), "account", "accounts"), counted(len(c.Routes), "route", "routes"))
	return err
}

func reportOf(err error, warnings []string) configReport {
	r := configReport{OK: err == nil, Errors: []config.Problem{}, Warnings: append([]string{}, warnings...)}
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		r.Errors = problems
	case err != nil:
		r.Errors = append(r.Errors, config.Problem{Message: err.Error()})
	}
	return r
}

func (a *app) configPrintCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "print",
		Short: "Show what is in force, with secrets masked",
		Long: `Prints the configuration that is in force as YAML: each value with the line or
the variable that set it. Secrets and passwords are masked.`,
		Example: `  syncworker config print
  syncworker config print -o json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := a.config()
			if err != nil {
				return err
			}
			if a.output == outputTable {
				return c.Print(a.stdout)
			}
			var text bytes.Buffer
			if err := c.Print(&text); err != nil {
				return err
			}
			encoded, err := yaml.YAMLToJSON(text.Bytes())
			if err != nil {
				return fmt.Errorf("encoding the configuration: %w", err)
			}
			_, err = a.stdout.Write(encoded)
			return err
		},
	}
}
