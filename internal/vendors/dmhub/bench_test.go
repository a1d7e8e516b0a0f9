package dmhub

import (
	"os"
	"strconv"
	"testing"
	"time"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// BenchmarkBody is an update, of which all that can be changed is.
func BenchmarkBody(b *testing.B) {
	deal, err := os.ReadFile("testdata/deal.json")
	if err != nil {
		b.Fatal(err)
	}
	data := append([]byte(`{"uuid":"x","identities":[{"type":"mobile","value":"13800000000"}],"dateRefund":"2026-11-21T07:52:30+08:00",`), deal[1:]...)
	call := vendors.Call{Event: &event.Event{Type: event.OrderUpdated, Time: time.Unix(0, 0), Data: data}}
	a, w := &Account{}, writeOf(event.OrderUpdated)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		object, err := event.ReadObject(call.Event.Data)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.makeBody(a, call, strconv.Itoa(16508), object); err != nil {
			b.Fatal(err)
		}
		object.Release()
	}
}

func BenchmarkReadReply(b *testing.B) {
	reply, err := os.ReadFile("testdata/deal_read.json")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(reply)))
	b.ReportAllocs()
	for b.Loop() {
		if !readReply(200, reply).ok {
			b.Fatal("not understood")
		}
	}
}
