package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/shopspring/decimal"
	"golang.org/x/term"
)

// The values of --output.
const (
	outputTable = "table"
	outputJSON  = "json"
)

// print writes a list: rows is a slice of structs. As JSON it is one object per
// line. As a table each field with a json tag is a column whose heading is the
// tag in capitals; a tag col:"HEADING" names it otherwise, and col:"-" keeps the
// field out of the table. Cells are cut on a terminal only.
func (a *app) print(rows any) error {
	list := reflect.ValueOf(rows)
	if a.output == outputJSON {
		for i := range list.Len() {
			if err := a.printJSON(list.Index(i).Interface()); err != nil {
				return err
			}
		}
		return nil
	}
	columns := columnsOf(list.Type().Elem())
	t := table.NewWriter()
	header := make(table.Row, len(columns))
	for i, c := range columns {
		header[i] = c.heading
	}
	t.AppendHeader(header)
	for i := range list.Len() {
		row := make(table.Row, len(columns))
		for j, c := range columns {
			row[j] = cell(list.Index(i).FieldByIndex(c.index))
		}
		t.AppendRow(row)
	}
	return a.render(t)
}

// printOne writes one struct: as one JSON object, or as a line per field.
func (a *app) printOne(row any) error {
	if a.output == outputJSON {
		return a.printJSON(row)
	}
	v := reflect.ValueOf(row)
	t := table.NewWriter()
	for _, c := range columnsOf(v.Type()) {
		if value := cell(v.FieldByIndex(c.index)); value != "" {
			t.AppendRow(table.Row{c.heading, value})
		}
	}
	return a.render(t)
}

func (a *app) printJSON(row any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(row)
}

func (a *app) render(t table.Writer) error {
	style := table.StyleDefault
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Options = table.OptionsNoBordersAndSeparators
	style.Format.Header = text.FormatDefault
	if width := a.terminalWidth(); width > 0 {
		style.Size.WidthMax = width
	}
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	if out := t.Render(); out != "" {
		_, err := fmt.Fprintln(a.stdout, out)
		return err
	}
	return nil
}

// terminalWidth is the width of the terminal that stdout is, or 0.
func (a *app) terminalWidth() int {
	file, ok := a.stdout.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

type column struct {
	heading string
	index   []int
}

func columnsOf(row reflect.Type) []column {
	var columns []column
	for _, f := range reflect.VisibleFields(row) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		heading, set := f.Tag.Lookup("col")
		if name == "" || name == "-" || heading == "-" {
			continue
		}
		if !set {
			heading = strings.ToUpper(strings.ReplaceAll(name, "_", " "))
		}
		columns = append(columns, column{heading, f.Index})
	}
	return columns
}

// cell is a value as a person reads it: times in UTC to the second, lists with
// commas, nothing for what isn't there.
func cell(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	switch value := v.Interface().(type) {
	case time.Time:
		if value.IsZero() {
			return ""
		}
		return value.UTC().Format("2006-01-02 15:04:05Z")
	case decimal.Decimal:
		return amount(value)
	case []string:
		return printable(strings.Join(value, ", "))
	case json.RawMessage:
		return printable(string(value))
	}
	return printable(fmt.Sprint(v.Interface()))
}

// amount is money as a person reads it: two decimals, or as many as it has.
func amount(d decimal.Decimal) string {
	if d.Equal(d.Round(2)) {
		return d.StringFixed(2)
	}
	return d.String()
}

// counted is a number of things: "1 event", "2 events".
func counted(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", several)
}

// printable shows control characters as escapes: what a vendor or a publisher
// wrote must not steer the reader's terminal.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
