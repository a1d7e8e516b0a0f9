package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Load reads a bundle that a run has left in a folder.
func Load(dir string) (*Bundle, error) {
	b := &Bundle{Tables: map[string]string{}}
	text, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if err != nil {
		return nil, fmt.Errorf("reading the run: %w", err)
	}
	if err := json.Unmarshal(text, &b.Run); err != nil {
		return nil, fmt.Errorf("reading the run: %w", err)
	}
	err = errors.Join(
		read(dir, "published", &b.Published, nil), read(dir, "deeds", &b.Deeds, nil), read(dir, "faults", &b.Faults, nil),
		read(dir, "db/events", &b.Events, b.Tables), read(dir, "db/identities", &b.Identities, b.Tables),
		read(dir, "db/deliveries", &b.Deliveries, b.Tables), read(dir, "db/attempts", &b.Attempts, b.Tables),
		read(dir, "db/lanes", &b.Lanes, b.Tables), read(dir, "db/rejects", &b.Rejects, b.Tables),
		read(dir, "db/conflicts", &b.Conflicts, b.Tables), read(dir, "db/audit", &b.Audit, b.Tables),
		read(dir, "db/workers", &b.Workers, b.Tables), read(dir, "db/tokens", &b.Tokens, b.Tables),
		read[struct{}](dir, "db/gates", nil, b.Tables), read[struct{}](dir, "db/positions", nil, b.Tables),
		read(dir, "db/finance_orders", &b.FinanceOrders, b.Tables), read[struct{}](dir, "db/finance_refunds", nil, b.Tables),
		read(dir, "db/finance_points", &b.FinancePoints, b.Tables), read(dir, "db/finance_daily", &b.FinanceDaily, b.Tables),
		read[struct{}](dir, "db/finance_deliveries", nil, b.Tables),
		read(dir, "vendor/effects", &b.Effects, nil), read(dir, "vendor/calls", &b.Calls, nil),
		read(dir, "vendor/orders", &b.Orders, nil), read(dir, "vendor/members", &b.Members, nil),
		read(dir, "vendor/violations", &b.Violations, nil), read(dir, "vendor/requests", &b.Requests, nil),
	)
	if err != nil {
		return nil, err
	}
	if b.Logs, err = texts(filepath.Join(dir, "logs")); err != nil {
		return nil, err
	}
	b.Metrics, err = texts(filepath.Join(dir, "metrics"))
	return b, err
}

// read decodes a file of NDJSON, and keeps it as it is where keep is given.
func read[T any](dir, name string, into *[]T, keep map[string]string) error {
	text, err := os.ReadFile(filepath.Join(dir, name+".ndjson"))
	if err != nil {
		return fmt.Errorf("reading the bundle: %w", err)
	}
	if keep != nil {
		keep[filepath.Base(name)] = string(text)
	}
	if into == nil {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	for {
		var row T
		err := dec.Decode(&row)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s, row %d: %w", name, len(*into)+1, err)
		}
		*into = append(*into, row)
	}
}

func texts(dir string) (map[string]string, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the bundle: %w", err)
	}
	all := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading the bundle: %w", err)
		}
		all[f.Name()] = string(text)
	}
	return all, nil
}
