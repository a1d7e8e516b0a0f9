// Gen writes what follows from the contract and the vendors: docs/events.md, a page
// of all events, contracts/asyncapi.yaml, and the table of endpoints in docs/vendors.md. Run it in the project's root: make docs.
package main

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed *.tmpl
var templates embed.FS

func main() {
	if err := write("."); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// write brings the files below the project's root up to date.
func write(root string) error {
	files, err := generate(root)
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(root, name), text, 0o644); err != nil {
			return fmt.Errorf("writing what is generated: %w", err)
		}
	}
	return nil
}

// generate returns the files by their path below the root.
func generate(root string) (map[string][]byte, error) {
	p, err := readPage(root)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for name, file := range map[string]string{"events.md.tmpl": "docs/events.md", "asyncapi.yaml.tmpl": "contracts/asyncapi.yaml"} {
		t, err := template.New(name).Funcs(template.FuncMap{"join": strings.Join, "lower": strings.ToLower, "anchor": anchor}).ParseFS(templates, name)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		var out bytes.Buffer
		if err := t.Execute(&out, p); err != nil {
			return nil, fmt.Errorf("filling in %s: %w", name, err)
		}
		files[file] = out.Bytes()
	}
	if files["docs/vendors.md"], err = withEndpoints(root); err != nil {
		return nil, err
	}
	return files, nil
}
