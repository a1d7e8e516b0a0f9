package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/schollz/progressbar/v3"

	"syncworker/internal/vendors"
)

// rowPrinter prints rows of a vendor's: as JSON at once, each compact and otherwise
// as it came; as a table when all are there.
type rowPrinter struct {
	app     *app
	columns []string
	limit   int // 0: all
	rows    int
	table   []json.RawMessage
}

// page takes the rows of a page; errEnough is that more were there than are wanted.
func (p *rowPrinter) page(page vendors.Page) error {
	for _, row := range page.Rows {
		if p.limit > 0 && p.rows == p.limit {
			return errEnough
		}
		p.rows++
		if p.app.output == outputTable {
			p.table = append(p.table, row)
			continue
		}
		var line bytes.Buffer
		if err := json.Compact(&line, row); err != nil {
			return fmt.Errorf("row %d isn't JSON: %w", p.rows, err)
		}
		line.WriteByte('\n')
		if _, err := p.app.stdout.Write(line.Bytes()); err != nil {
			return fmt.Errorf("printing: %w", err)
		}
	}
	if p.limit > 0 && p.rows == p.limit && page.Next != "" {
		return errEnough
	}
	return nil
}

// end prints the table. whole: all was read.
func (p *rowPrinter) end(whole bool) error {
	if p.app.output != outputTable {
		return nil
	}
	if len(p.table) == 0 {
		if whole {
			_, err := fmt.Fprintln(p.app.stdout, "The vendor has no rows of it.")
			return err
		}
		return nil
	}
	columns, cells := tableOf(p.columns, p.table)
	t := table.NewWriter()
	header := make(table.Row, len(columns))
	for i, c := range columns {
		header[i] = printable(c)
	}
	t.AppendHeader(header)
	for _, line := range cells {
		row := make(table.Row, len(line))
		for i := range line {
			row[i] = line[i]
		}
		t.AppendRow(row)
	}
	return p.app.render(t)
}

// tableOf returns the wanted columns that any row has; where none has one of them,
// what the rows have.
func tableOf(wanted []string, rows []json.RawMessage) (columns []string, cells [][]string) {
	for _, c := range wanted {
		for _, row := range rows {
			if _, found := field(row, c); found {
				columns = append(columns, c)
				break
			}
		}
	}
	if len(columns) == 0 {
		columns = fieldsOf(rows)
	}
	for _, row := range rows {
		line := make([]string, len(columns))
		for i, c := range columns {
			value, _ := field(row, c)
			line[i] = vendorCell(value)
		}
		cells = append(cells, line)
	}
	return columns, cells
}

// field is a row's value by its path, "level.name".
func field(row json.RawMessage, path string) (json.RawMessage, bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(row, &members) != nil {
		return nil, false
	}
	if value, found := members[path]; found {
		return value, true
	}
	first, rest, nested := strings.Cut(path, ".")
	if value, found := members[first]; found && nested {
		return field(value, rest)
	}
	return nil, false
}

// fieldsOf are the fields of rows in the order in which they come.
func fieldsOf(rows []json.RawMessage) (fields []string) {
	known := map[string]bool{}
	for _, row := range rows {
		leaves, _ := flatten(row) // what isn't JSON has no fields
		for _, l := range leaves {
			name := l.path
			if end := strings.IndexAny(name, ".["); end >= 0 {
				name = name[:end]
			}
			if !known[name] && name != "" {
				known[name] = true
				fields = append(fields, name)
			}
		}
	}
	return fields
}

// vendorCell is a value as a person reads it: nothing for null, a string without its
// quotes, and JSON for all else.
func vendorCell(value json.RawMessage) string {
	if value == nil || string(value) == "null" {
		return ""
	}
	text, isString := unquoted(string(value))
	if !isString {
		var compact bytes.Buffer
		if json.Compact(&compact, value) == nil {
			text = compact.String()
		}
	}
	return printable(text)
}

// pageProgress shows how far a read in pages is, on a terminal only, and not between
// rows that are printed there.
type pageProgress struct {
	app  *app
	bar  *progressbar.ProgressBar // nil: there is one page as yet, or nobody looks
	rows int
}

func (p *pageProgress) page(page vendors.Page) {
	a := p.app
	p.rows += len(page.Rows)
	watched := onTerminal(a.stderr) && (a.output == outputTable || !onTerminal(a.stdout))
	if p.bar == nil && watched && page.Next != "" {
		pages := page.Pages
		if pages < 2 {
			pages = -1 // the vendor doesn't say
		}
		p.bar = a.progress(pages, "reading pages")
	}
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("%d rows, reading pages", p.rows))
		_ = p.bar.Add(1) // an error is that stderr can't be written to
	}
}

func (p *pageProgress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
