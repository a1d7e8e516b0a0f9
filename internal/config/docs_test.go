package config

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func documentation(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	return string(data)
}

func TestExamplesOfTheDocumentationLoad(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(documentation(t), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		c := load(t, block[1])
		require.Empty(t, c.Warnings())
	}
}

// documented is each key as the documentation writes it, with its default.
func documented(v reflect.Value, path string) map[string]string {
	found := map[string]string{}
	for i, key := range keysOf(v.Type()) {
		field, at := v.Field(i), join(path, key)
		switch {
		case field.Kind() == reflect.Map:
			maps.Copy(found, documented(reflect.ValueOf(kinds.Account("dmhub-loyalty")), at+".<account>"))
		case field.Type() == reflect.TypeFor[[]Route]():
			maps.Copy(found, documented(reflect.ValueOf(Route{Tenants: []string{"*"}}), at+"[N]"))
		case field.Kind() == reflect.Struct:
			maps.Copy(found, documented(field, at))
		case field.Kind() == reflect.Slice:
			found[at] = strings.Join(field.Interface().([]string), ",")
		case field.Type() == secretType || key == "kind":
			found[at] = ""
		default:
			found[at] = format(field.Interface())
		}
	}
	return found
}

func TestDocumentationHasEveryKeyWithItsDefaultAndVariable(t *testing.T) {
	rows := map[string]string{}
	for line := range strings.Lines(documentation(t)) {
		if key, rest, found := strings.Cut(strings.TrimPrefix(line, "| `"), "` | "); found && strings.HasPrefix(line, "| `") {
			rows[key] = strings.TrimSpace(rest)
		}
	}
	keys := documented(reflect.ValueOf(kinds.Default()), "")
	require.ElementsMatch(t, slices.Collect(maps.Keys(keys)), slices.Collect(maps.Keys(rows)))
	variable := strings.NewReplacer("<account>", "<ACCOUNT>", "[N]", "_<N>")
	for key, value := range keys {
		if value == "" {
			value = "empty"
		} else {
			value = "`" + value + "`"
		}
		require.True(t, strings.HasPrefix(rows[key], value+" | "), "%s has the default %s: %s", key, value, rows[key])
		name := fmt.Sprintf("`%s` |", envName(variable.Replace(key)))
		require.True(t, strings.HasSuffix(rows[key], name), "%s has the variable %s: %s", key, name, rows[key])
	}
}
