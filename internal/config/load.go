package config

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
)

// Load reads the file at path, lays the SYNCWORKER_… variables of environ
// ("NAME=value") over it and checks the whole. kinds are what accounts can be; an empty path means no file. The
// error is Problems where the content is wrong: all of them at once.
//
// A secret that can't be read is not an error here, since most commands need
// none: CheckWorker reports it.
func Load(path string, environ []string, kinds Kinds) (Config, error) {
	root := newMapping(origin{})
	var problems []Problem
	if path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return Config{}, fmt.Errorf("reading the configuration: %w", err)
		}
		root, problems = parseYAML(path, data)
		if len(problems) > 0 && root.keys == nil {
			return Config{}, asError(problems)
		}
	}
	if root.shape != mapping {
		return Config{}, asError([]Problem{{Source: path, Message: "found no keys; want sections such as nats: and vendors:"}})
	}
	problems = append(problems, takeSecrets(root)...)
	overlaid, warnings := overlay(root, environ)
	problems = append(problems, overlaid...)

	c := kinds.Default()
	c.origins = map[string]origin{}
	d := decoder{config: &c}
	d.decode(root, reflect.ValueOf(&c).Elem(), "")
	for i := range c.Routes {
		if _, set := c.origins[fmt.Sprintf("routes[%d].tenants", i)]; !set {
			c.Routes[i].Tenants = []string{"*"}
		}
	}
	problems = append(problems, d.problems...)
	problems = append(problems, validate(&c, problems)...)
	if err := asError(problems); err != nil {
		return Config{}, err
	}
	c.readSecrets()
	c.warnings = append(warnings, c.notes()...)
	return c, nil
}

// takeSecrets refuses the secrets that stand in the file, also where a variable
// overrides them.
func takeSecrets(root *tree) []Problem {
	var problems []Problem
	vendors := root.at([]string{"vendors"})
	if vendors == nil {
		return nil
	}
	for _, name := range vendors.keys {
		secret := root.at([]string{"vendors", name, "secret"})
		if secret == nil || secret.shape == null {
			continue
		}
		key := "vendors." + name + ".secret"
		problems = append(problems, Problem{Source: secret.from.source, Line: secret.from.line, Key: key, Message: fmt.Sprintf(
			"a secret has no place in the file; put it in the variable %s, or in a file of its own that %s_file names", envName(key), key)})
		secret.shape = null
	}
	return problems
}

// maxSecret is the size in bytes above which a file surely isn't a secret.
const maxSecret = 64 << 10

func (c *Config) readSecrets() {
	for name, a := range c.Vendors {
		if a.Secret != "" {
			continue
		}
		key := "vendors." + name + ".secret"
		if a.SecretFile == "" {
			at := c.origin(key)
			c.missing = append(c.missing, Problem{
				Source: at.source, Line: at.line, Key: key,
				Message: fmt.Sprintf("not set; put it in the variable %s, or in a file that %s_file names", envName(key), key),
			})
			continue
		}
		secret, err := readSecret(a.SecretFile)
		if err != nil {
			at := c.origin(key + "_file")
			c.missing = append(c.missing, Problem{Source: at.source, Line: at.line, Key: key + "_file", Message: err.Error()})
			continue
		}
		a.Secret = secret
		c.Vendors[name] = a
	}
}

// readSecret leaves out the white space around the secret: editors end a file
// with a line break.
func readSecret(path string) (Secret, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the secret: %w", err)
	}
	text := strings.TrimSpace(string(data))
	if text == "" || len(data) > maxSecret {
		return "", fmt.Errorf("found %d bytes in %s; want a file that holds the secret and nothing else", len(data), path)
	}
	return Secret(text), nil
}

// CheckWorker lists what the worker lacks though the configuration is valid: the
// database's URL and secrets. Commands that only look need less.
func (c Config) CheckWorker() error {
	missing := slices.Clone(c.missing)
	if c.Database.URL == "" {
		missing = append(missing, Problem{
			Key:     "database.url",
			Message: "not set; put postgres://user:password@host:5432/name in the variable " + envName("database.url"),
		})
	}
	return asError(missing)
}

// Warnings are things that are allowed and are perhaps not meant.
func (c Config) Warnings() []string { return c.warnings }

// origin is where the key, or else the nearest section above it, was set.
func (c *Config) origin(key string) origin {
	for {
		if at, found := c.origins[key]; found {
			return at
		}
		i := strings.LastIndexAny(key, ".[")
		if i < 0 {
			return origin{}
		}
		key = key[:i]
	}
}
