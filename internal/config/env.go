package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const envPrefix = "SYNCWORKER_"

// envName is the variable that overrides a key: SYNCWORKER_, then the key path in
// capitals with _ for every other sign.
func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_", "[", "_", "]", "").Replace(key))
}

var (
	accountName = regexp.MustCompile(`^[a-z0-9_-]{1,63}$`)
	accountKind = regexp.MustCompile(`^SYNCWORKER_VENDORS_([A-Z0-9_]{1,63})_KIND$`)
	// serviceLink matches what Kubernetes sets for a service of that name.
	serviceLink = regexp.MustCompile(`_SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?$|_PORT(_[0-9]+_(TCP|UDP)(_[A-Z]+)?)?$`)
)

// ourVariables are read by commands and are no settings.
var ourVariables = []string{"SYNCWORKER_ACTOR", "SYNCWORKER_CONFIG", "SYNCWORKER_PG_BIN"}

// overlay puts the variables into the tree. An empty variable counts as not set.
func overlay(root *tree, environ []string) (problems []Problem, warnings []string) {
	vars := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, envPrefix) && value != "" && !slices.Contains(ourVariables, name) {
			vars[name] = value
		}
	}
	problems = append(problems, overlayRoutes(root, vars)...)
	addAccounts(root, vars)
	problems = append(problems, sharedNames(root.fields["vendors"])...)

	settable := settablePaths(root)
	for name, path := range settable {
		if value, found := vars[name]; found {
			root.set(path, &tree{shape: scalar, text: value, from: origin{source: name}})
			delete(vars, name)
		}
	}
	for name := range vars {
		unknown := Problem{Source: name, Message: "no setting has this name" + DidYouMean(name, keys(settable))}
		switch {
		case serviceLink.MatchString(name):
		case strings.HasPrefix(name, "SYNCWORKER_VENDORS_"):
			unknown.Message += " (an account that is in no file also needs SYNCWORKER_VENDORS_<ACCOUNT>_KIND)"
			problems = append(problems, unknown)
		case slices.ContainsFunc(keysOf(reflect.TypeFor[Config]()), func(section string) bool {
			return strings.HasPrefix(name, envName(section)+"_")
		}):
			problems = append(problems, unknown)
		default:
			warnings = append(warnings, unknown.String())
		}
	}
	slices.Sort(warnings)
	return problems, warnings
}

// overlayRoutes takes SYNCWORKER_ROUTES, which is YAML and replaces the list.
func overlayRoutes(root *tree, vars map[string]string) []Problem {
	name := envName("routes")
	value, found := vars[name]
	if !found {
		return nil
	}
	delete(vars, name)
	wrapped, problems := parseYAML(name, []byte("routes: "+value))
	if routes := wrapped.fields["routes"]; routes != nil {
		fromVariable(routes, origin{source: name})
		root.put("routes", routes)
	}
	for i := range problems {
		problems[i].Line = 0
	}
	return problems
}

func fromVariable(t *tree, from origin) {
	t.from = from
	for _, child := range t.fields {
		fromVariable(child, from)
	}
	for _, item := range t.items {
		fromVariable(item, from)
	}
}

// addAccounts makes the accounts that stand in the environment only: the ones
// whose kind is set there.
func addAccounts(root *tree, vars map[string]string) {
	vendors := root.fields["vendors"]
	if vendors != nil && vendors.shape != mapping && vendors.shape != null {
		return
	}
	for _, name := range slices.Sorted(slices.Values(keys(vars))) {
		m := accountKind.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		if vendors == nil || vendors.shape == null {
			vendors = newMapping(origin{source: name})
			root.put("vendors", vendors)
		}
		known := slices.ContainsFunc(vendors.keys, func(account string) bool {
			return envName("vendors."+account+".kind") == name
		})
		if !known {
			vendors.put(strings.ToLower(m[1]), newMapping(origin{source: name}))
		}
	}
}

// sharedNames finds accounts that the environment couldn't tell apart.
func sharedNames(vendors *tree) []Problem {
	if vendors == nil {
		return nil
	}
	var problems []Problem
	taken := map[string]string{}
	for _, name := range vendors.keys {
		key := "vendors." + name
		if other, found := taken[envName(key)]; found {
			at := vendors.fields[name].from
			problems = append(problems, Problem{Source: at.source, Line: at.line, Key: key, Message: fmt.Sprintf(
				"variables that begin with %s_ would set this account and %s; rename one of the two", envName(key), other)})
		}
		taken[envName(key)] = name
	}
	return problems
}

// settablePaths maps every variable that could be set to the path it sets, given
// the accounts and routes that there are.
func settablePaths(root *tree) map[string][]string {
	paths := map[string][]string{}
	var walk func(t reflect.Type, path []string)
	walk = func(t reflect.Type, path []string) {
		at := root.at(path)
		switch {
		case t.Kind() == reflect.Struct:
			for i, key := range keysOf(t) {
				walk(t.Field(i).Type, append(slices.Clone(path), key))
			}
		case t.Kind() == reflect.Map && at != nil:
			for _, name := range at.keys {
				walk(t.Elem(), append(slices.Clone(path), name))
			}
		case t == reflect.TypeFor[[]Route]() && at != nil:
			for i := range at.items {
				walk(t.Elem(), append(slices.Clone(path), strconv.Itoa(i)))
			}
		case t.Kind() != reflect.Map && t != reflect.TypeFor[[]Route]():
			paths[envName(strings.Join(path, "."))] = path
		}
	}
	walk(reflect.TypeFor[Config](), nil)
	return paths
}

// at is the tree at the path, or nil.
func (t *tree) at(path []string) *tree {
	for _, key := range path {
		if t == nil {
			return nil
		}
		if n, err := strconv.Atoi(key); err == nil && t.shape == sequence && n < len(t.items) {
			t = t.items[n]
			continue
		}
		t = t.fields[key]
	}
	return t
}

func keys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	return names
}
