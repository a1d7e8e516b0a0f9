package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"text/template"
)

//go:embed chart.svg.tmpl
var chartTemplate string

// bar is one contender of a scene in the picture.
type bar struct {
	Y, Width   int
	Name, Text string
	Ours       bool
}

// panel is one scene in the picture.
type panel struct {
	Y     int
	Title string
	Bars  []bar
}

// What the picture's parts measure.
const (
	chartBar   = 22
	chartPanel = 40  // a title
	chartWidth = 420 // of the longest bar of a scene
)

// panels places a bar for each contender of each scene, as long as its events/s.
func panels(sums []summary) (all []panel, height int) {
	most := map[string]float64{}
	for _, s := range sums {
		most[s.Scene] = max(most[s.Scene], s.PerSecond)
	}
	for _, s := range sums {
		if len(all) == 0 || all[len(all)-1].Title != s.Scene {
			all = append(all, panel{Y: height + chartPanel - 14, Title: s.Scene})
			height += chartPanel
		}
		p := &all[len(all)-1]
		text := fmt.Sprintf("%.0f/s, CPU %.3f s per 1,000", s.PerSecond, s.CPU+s.PostgresCPU)
		if len(p.Bars) > 0 {
			text += fmt.Sprintf("; syncworker %.2fx", s.Ratio)
		}
		width := int(s.PerSecond / max(most[s.Scene], 1) * chartWidth)
		p.Bars = append(p.Bars, bar{Y: height, Width: max(width, 1), Name: s.Contender, Text: text, Ours: len(p.Bars) == 0})
		height += chartBar
	}
	return all, height + chartPanel/2
}

// draw writes the table as a picture.
func (r report) draw(path string) error {
	all, height := panels(r.Summary)
	if len(all) == 0 {
		return nil
	}
	t, err := template.New("chart").Funcs(template.FuncMap{"add": func(a, b int) int { return a + b }}).Parse(chartTemplate)
	if err != nil {
		return err
	}
	var picture bytes.Buffer
	if err := t.Execute(&picture, map[string]any{"Height": height, "Panels": all}); err != nil {
		return fmt.Errorf("drawing the figures: %w", err)
	}
	if err := os.WriteFile(path, picture.Bytes(), 0o644); err != nil {
		return fmt.Errorf("keeping the picture: %w", err)
	}
	return nil
}
