package heyshop

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

func seeds(f *testing.F, names ...string) {
	for _, name := range names {
		body, err := os.ReadFile("testdata/" + name + ".json")
		require.NoError(f, err)
		f.Add(200, body, uint8(0))
		f.Add(201, body, uint8(2))
	}
}

// FuzzAnswer: whatever comes back, a call counts as applied only where a reply of
// success echoes what was asked, and as refused only with 400 or 404.
func FuzzAnswer(f *testing.F) {
	seeds(f, "adjusted", "level_created", "level", "entry")
	f.Add(400, []byte(`{"points":["no"]}`), uint8(1))
	f.Add(404, []byte(`{"detail":"Not found."}`), uint8(4))
	f.Add(204, []byte(nil), uint8(4))
	f.Add(200, []byte(`{"id":1e3,"customer":{"id":"100000"},"points":"1e2","kind":"manual"}`), uint8(0))
	f.Fuzz(func(t *testing.T, status int, body []byte, kind uint8) {
		e := &event.Event{
			Type: Kind.Takes[int(kind)%len(Kind.Takes)], Points: 100, Key: "27",
			Data: json.RawMessage(`{"title":"特殊会员","condition_points":100,"gain_points":1}`),
		}
		call := vendors.Call{Event: e, Member: "100000"}
		rep := readReply(status, body)
		r := vendors.Result{Class: rep.class(), Code: vendors.Shorten(rep.field, 64), Message: vendors.Shorten(rep.message, 500)}
		if r.Class == vendors.Ambiguous {
			match(&r, call, rep)
		}
		require.True(t, utf8.ValidString(r.Message) && utf8.ValidString(r.Code))
		switch r.Class {
		case vendors.Refused:
			require.Contains(t, []int{400, 404}, status)
		case vendors.Applied:
			require.Contains(t, []int{200, 201, 204}, status)
			require.NotEmpty(t, r.Receipt.Ref)
			var row map[string]json.RawMessage
			if e.Type == event.LevelDeleted {
				require.Equal(t, 204, status)
				return
			}
			require.NoError(t, json.Unmarshal(body, &row))
			require.Equal(t, r.Receipt.Ref, strings.Trim(string(row["id"]), `"`))
		}
	})
}

// FuzzHistory: a row counts as ours only where it is manual, newer than the mark and
// has the points; whatever else stands in the history.
func FuzzHistory(f *testing.F) {
	seeds(f, "history", "levels", "adjusted")
	sent := time.Date(2018, 9, 4, 6, 0, 0, 0, time.UTC)
	f.Add(200, []byte(`{"count":1,"next":null,"results":[{"id":8,"customer":{"id":1},"points":5,"kind":"manual","created_at":"2018-09-04T13:55:20+08:00"}]}`), uint8(0))
	f.Fuzz(func(t *testing.T, _ int, body []byte, _ uint8) {
		l, ok := readList(vendors.Fields(body))
		if !ok {
			return
		}
		require.Len(t, l.raw, len(l.rows))
		var rows []entry
		for _, raw := range l.rows {
			if e, ok := readEntry(raw); ok {
				rows = append(rows, e)
			}
		}
		call := vendors.Call{Event: &event.Event{Type: event.PointIncremented, Points: 5}, Member: "1", FirstSentAt: sent}
		finding := judge(call, rows)
		if finding.Found != vendors.Present {
			return
		}
		ours := 0
		for _, e := range rows {
			if e.kind == manual && e.points.IntPart() == 5 {
				ours++
			}
		}
		require.Equal(t, 1, ours)
	})
}
