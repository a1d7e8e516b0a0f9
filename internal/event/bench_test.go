package event

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// kilobyteOrder is an order of about 1 KB, as a till serializes it.
func kilobyteOrder() []byte {
	var lines []string
	for i := range 4 {
		lines = append(lines, fmt.Sprintf(`{"lineId":"l_%02d","productId":"Id%03d","skuId":"s%02d","productName":"拿铁 大杯","qty":%d,"priceUnit":25.50,"priceSubTotal":51.00}`, i, i, i, i+1))
	}
	return []byte(`{"specversion":"1.0","id":"5f0c1d2e-7a41-4c55-9d4e-0a6b4a2f9c11","source":"pos/shanghai-001","type":"order.created","time":"2026-11-21T08:00:00Z","tenant":"default","data":{` +
		`"orderNo":"deal_201912110081","membershipId":908406823945994241,"dateOrder":"2026-11-21T07:52:30Z","amountTotal":204.00,"amountPaid":199.90,"amountDiscount":4.10,` +
		`"store":"上海南京西路旗舰店","salesChannel":"pos","currency":"CNY","paymentTerm":"wechat","paymentNo":"420000123420261121","c_cashier":"7","dealLines":[` + strings.Join(lines, ",") + `]}}`)
}

func BenchmarkDecode(b *testing.B) {
	m := message(kilobyteOrder())
	m.Header = map[string][]string{"Nats-Msg-Id": {"x"}, "traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}
	b.SetBytes(int64(len(m.Data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(m, Limits{}, corpusNow); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	payload := kilobyteOrder()
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, bad := scan(payload, ""); bad != nil {
			b.Fatal(bad)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	doc, bad := scan(kilobyteOrder(), "")
	if bad != nil {
		b.Fatal(bad)
	}
	data, _ := doc.member(0, "data")
	b.ReportAllocs()
	for b.Loop() {
		doc.meaning(OrderCreated, DefaultTenant, data)
	}
}

func BenchmarkSplice(b *testing.B) {
	payload := kilobyteOrder()
	set := []Set{{"uuid", json.RawMessage(`"x"`)}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Splice(payload, set, nil); err != nil {
			b.Fatal(err)
		}
	}
}
