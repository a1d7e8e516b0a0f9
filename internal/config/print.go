package config

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Print writes what is in force as YAML, each value with where it was set.
// Passwords inside URLs are masked; a secret stands in a comment, masked, so
// that the output is a valid configuration.
func (c Config) Print(w io.Writer) error {
	p := printer{config: &c}
	p.section(reflect.ValueOf(c), "", 0)
	if p.err != nil {
		return fmt.Errorf("printing the configuration: %w", p.err)
	}
	_, err := w.Write(p.out.Bytes())
	return err
}

type printer struct {
	config *Config
	out    bytes.Buffer
	err    error
}

func (p *printer) line(depth int, text, path string) {
	fmt.Fprintf(&p.out, "%s%-*s # %s\n", strings.Repeat("  ", depth), 44-2*depth, text, p.config.from(path))
}

func (p *printer) heading(depth int, text string) {
	fmt.Fprintf(&p.out, "%s%s\n", strings.Repeat("  ", depth), text)
}

// from is where exactly this key was set, as a comment says it.
func (c *Config) from(path string) string {
	at, set := c.origins[path]
	switch {
	case !set:
		return "default"
	case at.line > 0:
		return fmt.Sprintf("%s:%d", at.source, at.line)
	}
	return at.source
}

func (p *printer) section(v reflect.Value, path string, depth int) {
	for i, key := range keysOf(v.Type()) {
		p.value(v.Field(i), key, join(path, key), depth)
	}
}

func (p *printer) value(v reflect.Value, key, path string, depth int) {
	switch {
	case v.Type() == secretType:
		p.secret(v.String() != "", path, depth)
	case v.Kind() == reflect.Struct:
		p.heading(depth, key+":")
		p.section(v, path, depth+1)
	case v.Kind() == reflect.Map:
		p.accounts(v.Interface().(map[string]Account), key, path, depth)
	case v.Kind() == reflect.Slice:
		p.routes(v.Interface().([]Route), key, path, depth)
	case v.Kind() == reflect.String:
		p.line(depth, key+": "+p.text(v.Interface()), path)
	default:
		p.line(depth, key+": "+format(v.Interface()), path)
	}
}

func (p *printer) secret(known bool, path string, depth int) {
	if !known {
		p.heading(depth, "# secret: not set")
		return
	}
	if _, set := p.config.origins[path]; !set {
		path += "_file"
	}
	p.line(depth, "# secret: "+mask, path)
}

func (p *printer) accounts(accounts map[string]Account, key, path string, depth int) {
	if len(accounts) == 0 {
		p.line(depth, key+": {}", path)
		return
	}
	p.heading(depth, key+":")
	for _, name := range slices.Sorted(maps.Keys(accounts)) {
		p.heading(depth+1, p.text(name)+":")
		p.section(reflect.ValueOf(accounts[name]), join(path, name), depth+2)
	}
}

func (p *printer) routes(routes []Route, key, path string, depth int) {
	if len(routes) == 0 {
		p.line(depth, key+": []", path)
		return
	}
	p.heading(depth, key+":")
	for i, r := range routes {
		at := fmt.Sprintf("%s[%d]", path, i)
		p.line(depth+1, fmt.Sprintf("- types: %s", p.list(r.Types)), at+".types")
		p.line(depth+2, fmt.Sprintf("tenants: %s", p.list(r.Tenants)), at+".tenants")
		p.line(depth+2, fmt.Sprintf("accounts: %s", p.list(r.Accounts)), at+".accounts")
	}
}

func (p *printer) list(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = fmt.Sprintf("%q", v)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// text quotes where YAML needs it.
func (p *printer) text(value any) string {
	encoded, err := yaml.MarshalWithOptions(format(value), yaml.JSON())
	if err != nil {
		p.err = err
	}
	return strings.TrimSpace(string(encoded))
}
