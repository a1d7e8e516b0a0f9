package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBarsAreAsLongAsTheirFigures(t *testing.T) {
	sums := []summary{
		{result: result{Scene: "0 ms", Contender: "syncworker", PerSecond: 500}, Ratio: 1},
		{result: result{Scene: "0 ms", Contender: "ideal", PerSecond: 1000}, Ratio: 0.5},
		{result: result{Scene: "20 ms", Contender: "syncworker", PerSecond: 10}, Ratio: 1},
	}
	all, height := panels(sums)
	if len(all) != 2 || len(all[0].Bars) != 2 || len(all[1].Bars) != 1 {
		t.Fatalf("panels %+v", all)
	}
	ours, ideal, slow := all[0].Bars[0], all[0].Bars[1], all[1].Bars[0]
	if ideal.Width != chartWidth || ours.Width != chartWidth/2 || slow.Width != chartWidth {
		t.Errorf("widths %d, %d, %d", ours.Width, ideal.Width, slow.Width)
	}
	if !ours.Ours || ideal.Ours || !strings.Contains(ideal.Text, "syncworker 0.50x") {
		t.Errorf("bars %+v, %+v", ours, ideal)
	}
	if slow.Y+chartBar > height || slow.Y <= ideal.Y {
		t.Errorf("the last bar is at %d of %d", slow.Y, height)
	}
	path := filepath.Join(t.TempDir(), "out.svg")
	if err := (report{Summary: sums}).draw(path); err != nil {
		t.Fatal(err)
	}
	picture, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var rects int
	for d := xml.NewDecoder(strings.NewReader(string(picture))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, is := token.(xml.StartElement); is && e.Name.Local == "rect" {
			rects++
		}
	}
	if rects != 1+3 {
		t.Errorf("%d rectangles", rects)
	}
}
