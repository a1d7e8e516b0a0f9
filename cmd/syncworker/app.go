package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncworker/internal/config"
)

// The exit codes, which scripts rely on.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitPerson = 3 // something waits for a person's decision
)

// app is what the commands share: the outside world as this run sees it, and the
// flags that go with every command.
type app struct {
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	environ []string // "NAME=value"
	now     func() time.Time

	configPath string
	output     string // outputTable or outputJSON
	started    bool   // a command's own code runs: what fails from here on isn't usage
}

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usagef is an error of the command line: exit code 2 and a hint at the help.
func usagef(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// needsPersonf says that nothing failed and somebody has to decide: exit code 3.
func needsPersonf(format string, args ...any) error {
	return &exitError{exitPerson, fmt.Errorf(format, args...)}
}

// run is one invocation. It returns the exit code; an error has been printed.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, environ: environ, now: time.Now}
	root := a.rootCmd()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	return a.report(cmd, err)
}

// report prints the error once and chooses the exit code.
func (a *app) report(cmd *cobra.Command, err error) int {
	if err == nil {
		return exitDone
	}
	code := exitFailed
	var exit *exitError
	switch {
	case errors.As(err, &exit):
		code = exit.code
	case !a.started:
		code = exitUsage
	case errors.Is(err, context.Canceled):
		err = errors.New("interrupted")
	}
	fmt.Fprintf(a.stderr, "syncworker: %v\n", err)
	if code == exitUsage {
		fmt.Fprintf(a.stderr, "Run '%s --help' for usage.\n", cmd.CommandPath())
	}
	return code
}

// env is the value of a variable, empty where it isn't set.
func (a *app) env(name string) string {
	for _, entry := range a.environ {
		if value, found := strings.CutPrefix(entry, name+"="); found {
			return value
		}
	}
	return ""
}

// defaultConfigPath is looked at where nobody names a file.
const defaultConfigPath = "syncworker.yaml"

// configFile is the file to read: --config, SYNCWORKER_CONFIG, or syncworker.yaml
// if there is one; empty means the defaults.
func (a *app) configFile() (string, error) {
	if a.configPath != "" {
		return a.configPath, nil
	}
	if path := a.env("SYNCWORKER_CONFIG"); path != "" {
		return path, nil
	}
	switch _, err := os.Stat(defaultConfigPath); {
	case errors.Is(err, os.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("looking for %s: %w", defaultConfigPath, err)
	}
	return defaultConfigPath, nil
}

// config loads the configuration that this invocation is about.
func (a *app) config() (config.Config, error) {
	path, err := a.configFile()
	if err != nil {
		return config.Config{}, err
	}
	return config.Load(path, a.environ, kinds())
}
