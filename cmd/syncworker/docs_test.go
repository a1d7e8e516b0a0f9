package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// pages returns every Markdown page of the project by its path from the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	root := os.DirFS("../..")
	found := map[string]string{}
	require.NoError(t, fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || len(d.Name()) > 1 && d.Name()[0] == '.'):
			return fs.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		text, err := fs.ReadFile(root, path)
		found[path] = string(text)
		return err
	}))
	return found
}

var (
	fence      = regexp.MustCompile("(?ms)^```(\\w*)[^\n]*\n(.*?)^```")
	inlineCode = regexp.MustCompile("`([^`\n]+)`")
	word       = regexp.MustCompile(`"[^"]*"|'[^']*'|[^\s"']+`)
	separator  = regexp.MustCompile(`&&|\|\||[|;]`)
)

// commandsOf returns the command lines of syncworker in a page: in its shell
// blocks, and in what it sets as code in its text.
func commandsOf(page string) [][]string {
	var lines []string
	for _, block := range fence.FindAllStringSubmatch(page, -1) {
		if block[1] == "sh" {
			lines = append(lines, strings.Split(strings.ReplaceAll(block[2], "\\\n", " "), "\n")...)
		}
	}
	for _, code := range inlineCode.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		lines = append(lines, code[1])
	}
	var commands [][]string
	for _, line := range lines {
		if at := strings.Index(line, "# "); at >= 0 {
			line = line[:at]
		}
		for _, part := range separator.Split(line, -1) {
			if args, found := syncworkerArgs(word.FindAllString(part, -1)); found {
				commands = append(commands, args)
			}
		}
	}
	return commands
}

// syncworkerArgs returns what stands behind the program's name, up to a
// redirection. Variables before it don't count.
func syncworkerArgs(words []string) (args []string, found bool) {
	for len(words) > 0 && regexp.MustCompile(`^[A-Z_]+=`).MatchString(words[0]) {
		words = words[1:]
	}
	if len(words) < 2 || filepath.Base(words[0]) != "syncworker" || strings.HasPrefix(words[0], "/") {
		return nil, false
	}
	for _, w := range words[1:] {
		if strings.HasPrefix(w, "<") || strings.HasPrefix(w, ">") {
			break
		}
		if w != "…" {
			args = append(args, strings.Trim(w, `"'`))
		}
	}
	return args, true
}

// requireCommand wants the command to exist, its flags too, and the flags'
// values to be readable.
func requireCommand(t *testing.T, args []string, where string) {
	t.Helper()
	a := &app{now: time.Now}
	cmd, rest, err := a.rootCmd().Find(args)
	require.NoError(t, err, "%s: %v", where, args)
	require.NoError(t, cmd.ParseFlags(rest), "%s: %v", where, args)
	if cmd.HasSubCommands() {
		require.Empty(t, cmd.Flags().Args(), "%s: %v: %s has no such command", where, args, cmd.CommandPath())
	}
}

func TestCommandsOfTheDocumentationExist(t *testing.T) {
	named := map[string]bool{}
	for path, page := range pages(t) {
		for _, args := range commandsOf(page) {
			requireCommand(t, args, path)
			if cmd, _, err := (&app{}).rootCmd().Find(args); err == nil {
				named[cmd.CommandPath()] = true
			}
		}
	}
	var missing []string
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, child := range cmd.Commands() {
			walk(child)
		}
		if !cmd.HasSubCommands() && !named[cmd.CommandPath()] {
			missing = append(missing, cmd.CommandPath())
		}
	}
	walk((&app{}).rootCmd())
	slices.Sort(missing)
	require.Empty(t, missing, "commands that no page names")
}
