package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	bytesType    = reflect.TypeFor[Bytes]()
	secretType   = reflect.TypeFor[Secret]()
)

// decoder writes a tree over a Config that holds the defaults.
type decoder struct {
	config   *Config
	problems []Problem
}

func (d *decoder) problem(t *tree, key, message string, args ...any) {
	d.problems = append(d.problems, Problem{
		Source: t.from.source, Line: t.from.line, Key: key, Message: fmt.Sprintf(message, args...),
	})
}

func (d *decoder) decode(t *tree, v reflect.Value, path string) {
	if t.shape == null {
		return // "key:" with nothing behind it leaves the default
	}
	if path != "" {
		d.config.origins[path] = t.from
	}
	switch v.Kind() {
	case reflect.Struct:
		d.decodeStruct(t, v, path)
	case reflect.Map:
		d.decodeAccounts(t, v, path)
	case reflect.Slice:
		d.decodeSlice(t, v, path)
	default:
		d.decodeScalar(t, v, path)
	}
}

func (d *decoder) decodeStruct(t *tree, v reflect.Value, path string) {
	if t.shape != mapping {
		d.problem(t, path, "found %s; want keys below it: %s", describe(t, v.Type()), strings.Join(keysOf(v.Type()), ", "))
		return
	}
	for _, key := range t.keys {
		child := t.fields[key]
		i := slices.Index(keysOf(v.Type()), key)
		if i < 0 {
			known := keysOf(v.Type())
			d.problem(child, join(path, key), "unknown key%s (known here: %s)", DidYouMean(key, known), strings.Join(known, ", "))
			continue
		}
		d.decode(child, v.Field(i), join(path, key))
	}
}

func (d *decoder) decodeAccounts(t *tree, v reflect.Value, path string) {
	if t.shape != mapping {
		d.problem(t, path, "found %s; want account names below it", describe(t, v.Type()))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, name := range t.keys {
		child := t.fields[name]
		if !accountName.MatchString(name) {
			d.problem(child, join(path, name), "found the account name %q; want 1 to 63 of a-z, 0-9, _ and -", name)
			continue
		}
		kind := ""
		if k := child.fields["kind"]; k != nil {
			kind = k.text
		}
		account := reflect.ValueOf(d.config.kinds.Account(kind))
		settable := reflect.New(account.Type()).Elem()
		settable.Set(account)
		d.decode(child, settable, join(path, name))
		v.SetMapIndex(reflect.ValueOf(name), settable)
	}
}

func (d *decoder) decodeSlice(t *tree, v reflect.Value, path string) {
	if t.shape == scalar && t.from.line == 0 && v.Type().Elem().Kind() == reflect.String {
		t = splitList(t)
	}
	if t.shape != sequence {
		d.problem(t, path, "found %s; want a list", describe(t, v.Type()))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(t.items), len(t.items))
	for i, item := range t.items {
		d.decode(item, list.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(list)
}

// splitList makes a list of what a variable says: "a, b".
func splitList(t *tree) *tree {
	list := &tree{shape: sequence, from: t.from}
	for part := range strings.SplitSeq(t.text, ",") {
		list.items = append(list.items, &tree{shape: scalar, text: strings.TrimSpace(part), from: t.from})
	}
	return list
}

func (d *decoder) decodeScalar(t *tree, v reflect.Value, path string) {
	if t.shape != scalar {
		d.problem(t, path, "found %s; want one value", describe(t, v.Type()))
		return
	}
	if err := parseScalar(t.text, v); err != nil {
		d.problem(t, path, "found %s; want %v", describe(t, v.Type()), err)
	}
}

// parseScalar sets v from its text. Its error is a phrase that says what is wanted.
func parseScalar(text string, v reflect.Value) error {
	switch v.Type() {
	case durationType:
		d, err := parseDuration(text)
		v.SetInt(int64(d))
		return err
	case bytesType:
		b, err := parseBytes(text)
		v.SetInt(int64(b))
		return err
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return errors.New("a whole number")
		}
		v.SetInt(int64(n))
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return errors.New("a number")
		}
		v.SetFloat(f)
	default:
		return fmt.Errorf("a %s, which no setting can be", v.Kind())
	}
	return nil
}

// describe is what was found, as a message shows it, with secrets masked.
func describe(t *tree, want reflect.Type) string {
	switch {
	case t.shape == mapping:
		return "keys"
	case t.shape == sequence:
		return "a list"
	case want == secretType:
		return mask
	}
	return quote(t.text)
}

// quote quotes what a user wrote; what may be a URL with a password is masked
// whatever the key, since it may stand at the wrong one.
func quote(text string) string {
	if strings.Contains(text, "@") {
		text = URL(text).String()
	}
	return strconv.Quote(text)
}

// keysOf lists the keys of a section in the order of its fields. Every exported
// field is a key, and they come before the others.
func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("yaml"); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
