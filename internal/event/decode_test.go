package event

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func load(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name + ".json")
	require.NoError(t, err)
	return raw
}

func mustDecode(t testing.TB, payload []byte) Event {
	t.Helper()
	e, err := Decode(message(payload), Limits{}, corpusNow)
	require.NoError(t, err)
	return e
}

func reasonOf(t testing.TB, m Message) Reason {
	t.Helper()
	_, err := Decode(m, Limits{}, corpusNow)
	var r *Reject
	require.ErrorAs(t, err, &r)
	return r.Reason
}

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

func TestDecodeReadsAnOrder(t *testing.T) {
	e := mustDecode(t, load(t, "good/order.created--tenant-and-extensions"))
	require.Equal(t, "5f0c1d2e-7a41-4c55-9d4e-0a6b4a2f9c11", e.ID)
	require.Equal(t, "pos/shanghai-001", e.Source)
	require.Equal(t, at("2026-11-21T08:00:00Z"), e.Time)
	require.Equal(t, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", e.TraceParent)
	require.Equal(t, Identity{Tenant: "brand-2", Kind: "order.created", OrderNo: "deal_201912110081"}, e.Identity())
	require.Equal(t, "id:16508", e.Member.Key())
	require.Equal(t, "store", e.Store)
	require.Equal(t, "taobao", e.SalesChannel)
	require.Equal(t, at("2026-11-21T07:52:30Z"), e.OccurredAt)
	require.Equal(t, "30", e.Amount.Decimal.String())
}

func TestDecodeReadsARefund(t *testing.T) {
	e := mustDecode(t, load(t, "good/order.refunded"))
	require.Equal(t, Identity{Tenant: DefaultTenant, Kind: "order.refunded", OrderNo: "deal_201912110081", UUID: "r-1"}, e.Identity())
	require.Equal(t, at("2026-11-21T01:00:00Z"), e.OccurredAt)
	require.Equal(t, time.UTC, e.OccurredAt.Location())
	require.Equal(t, "5.5", e.Amount.Decimal.String())
	require.Empty(t, e.Member.Key())
}

func TestDecodeReadsPoints(t *testing.T) {
	e := mustDecode(t, load(t, "good/point.decremented--identities"))
	require.Equal(t, Identity{Tenant: DefaultTenant, Kind: PointKind, UUID: "p-1"}, e.Identity())
	require.Equal(t, "mobile:13800000000", e.Member.Key())
	require.EqualValues(t, 8, e.Points)
	require.Equal(t, "0", e.Pattern)
	require.Equal(t, "赠送200", e.Remark)
	require.False(t, e.Amount.Valid)
	require.True(t, e.OccurredAt.IsZero())
	require.False(t, e.DecrToZero)

	require.True(t, mustDecode(t, load(t, "good/point.decremented")).DecrToZero)
	require.False(t, mustDecode(t, load(t, "good/point.incremented--custom-decrToZero")).DecrToZero)
}

func TestDecodeKeepsDecimalsAndLongIdsExactly(t *testing.T) {
	e := mustDecode(t, load(t, "good/order.created--exact-decimals"))
	require.Equal(t, "908406823945994241", e.Member.MembershipID)
	require.Equal(t, "59.1", e.Amount.Decimal.String())
	require.Contains(t, string(e.Data), `"amountPaid": 59.100000`)
	require.Contains(t, string(e.Data), `"priceUnit": 1.2e2`)
}

func TestDecodedFieldsOutliveTheBuffer(t *testing.T) {
	payload := load(t, "good/order.created")
	e := mustDecode(t, payload)
	clear(payload)
	require.Equal(t, "deal_201912110081", e.OrderNo)
	require.Equal(t, "16508", e.Member.MembershipID)
}

// binaryMessage is a good event with its attributes in headers.
func binaryMessage(t *testing.T) Message {
	t.Helper()
	e := mustDecode(t, load(t, "good/order.created"))
	return Message{Subject: Subject(e.Type), Data: e.Data, Header: map[string][]string{
		"ce-specversion": {"1.0"}, "ce-id": {e.ID}, "ce-source": {e.Source}, "ce-type": {string(e.Type)},
		"ce-time": {"2026-11-21T08:00:00Z"}, "content-type": {"application/json"},
	}}
}

func TestBinaryModeIsTheSameEvent(t *testing.T) {
	structured := mustDecode(t, load(t, "good/order.created"))
	lower := binaryMessage(t)
	upper := lower
	upper.Header = map[string][]string{}
	for k, v := range lower.Header {
		upper.Header[strings.ToUpper(k)] = v
	}
	bare := lower
	bare.Header = maps.Clone(lower.Header)
	delete(bare.Header, "content-type")
	for _, m := range []Message{lower, upper, bare} {
		e, err := Decode(m, Limits{}, corpusNow)
		require.NoError(t, err)
		require.Equal(t, structured, e)
	}
}

func TestBinaryModeDecodesPercentEncodedAttributes(t *testing.T) {
	m := binaryMessage(t)
	m.Header["ce-source"] = []string{"pos/%E4%B8%8A%E6%B5%B7"}
	e, err := Decode(m, Limits{}, corpusNow)
	require.NoError(t, err)
	require.Equal(t, "pos/上海", e.Source)

	m.Header["ce-source"] = []string{"100%"}
	e, err = Decode(m, Limits{}, corpusNow)
	require.NoError(t, err)
	require.Equal(t, "100%", e.Source)
}

func TestBinaryModeRefusesABadEnvelope(t *testing.T) {
	tests := map[string]struct {
		set   map[string][]string
		want  Reason
		field string
	}{
		"no id":               {map[string][]string{"ce-id": nil}, BadEnvelope, "id"},
		"no version":          {map[string][]string{"ce-specversion": nil}, BadEnvelope, "specversion"},
		"other version":       {map[string][]string{"ce-specversion": {"0.3"}}, BadEnvelope, "specversion"},
		"no time":             {map[string][]string{"ce-time": nil}, MissingField, "time"},
		"two ids":             {map[string][]string{"CE-ID": {"other"}}, DuplicateKey, "id"},
		"not JSON":            {map[string][]string{"content-type": {"text/plain"}}, BadEnvelope, "content-type"},
		"other data type":     {map[string][]string{"ce-datacontenttype": {"application/xml"}}, BadEnvelope, "datacontenttype"},
		"encoded NUL in id":   {map[string][]string{"ce-id": {"a%00b"}}, BadCharacter, "id"},
		"encoded NUL in text": {map[string][]string{"ce-source": {"a%00b"}}, BadCharacter, "source"},
		"broken encoding":     {map[string][]string{"ce-id": {"a%ffb"}}, BadCharacter, "id"},
		"tenant":              {map[string][]string{"ce-tenant": {"A"}}, BadTenant, "tenant"},
		"empty tenant":        {map[string][]string{"ce-tenant": {""}}, BadTenant, "tenant"},
		"unknown type":        {map[string][]string{"ce-type": {"order.shipped"}}, UnknownType, "type"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := binaryMessage(t)
			maps.Copy(m.Header, tt.set)
			rejects := Check(m, Limits{}, corpusNow)
			require.Len(t, rejects, 1)
			require.Equal(t, tt.want, rejects[0].Reason, rejects[0].Error())
			require.Equal(t, tt.field, rejects[0].Field)
		})
	}
}

func TestBinaryDataThatIsNoObjectIsRefused(t *testing.T) {
	m := binaryMessage(t)
	m.Data = []byte(`[]`)
	require.Equal(t, WrongType, reasonOf(t, m))
	m.Data = nil
	require.Equal(t, NotJSON, reasonOf(t, m))
}

func TestContentTypeDecidesTheMode(t *testing.T) {
	m := message(load(t, "good/order.created"))
	for _, contentType := range []string{"application/cloudevents+json", "Application/CloudEvents+JSON; charset=utf-8", "application/json"} {
		m.Header = map[string][]string{"Content-Type": {contentType}}
		_, err := Decode(m, Limits{}, corpusNow)
		require.NoError(t, err, contentType)
	}
	m.Header = map[string][]string{"Content-Type": {"application/cloudevents+json"}, "ce-id": {"left by a relay"}}
	_, err := Decode(m, Limits{}, corpusNow)
	require.NoError(t, err)

	m.Header = map[string][]string{"Content-Type": {"application/cloudevents-batch+json"}}
	require.Equal(t, BadEnvelope, reasonOf(t, m))
}

func TestTraceParentIsReadInAnyCaseAndNeverRefused(t *testing.T) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	other := strings.Replace(trace, "4b", "5c", 1)
	plain := string(load(t, "good/order.created"))
	with := func(member string) string { return strings.Replace(plain, `"id"`, member+`,"id"`, 1) }
	tests := map[string]struct {
		payload string
		header  map[string][]string
		want    string
	}{
		"none":              {plain, nil, ""},
		"header":            {plain, map[string][]string{"traceparent": {trace}}, trace},
		"header, canonical": {plain, map[string][]string{"Traceparent": {trace}}, trace},
		"extension":         {with(`"traceparent":"` + trace + `"`), nil, trace},
		"extension, camel":  {with(`"traceParent":"` + strings.ToUpper(trace) + `"`), nil, trace},
		"extension first":   {with(`"traceparent":"` + trace + `"`), map[string][]string{"traceparent": {other}}, trace},
		"extension invalid": {with(`"traceparent":"x"`), map[string][]string{"traceparent": {other}}, other},
		"not a string":      {with(`"traceparent":1`), nil, ""},
		"zero trace id":     {plain, map[string][]string{"traceparent": {"00-" + strings.Repeat("0", 32) + trace[35:]}}, ""},
		"zero parent id":    {plain, map[string][]string{"traceparent": {trace[:36] + strings.Repeat("0", 16) + "-01"}}, ""},
		"version ff":        {plain, map[string][]string{"traceparent": {"ff" + trace[2:]}}, ""},
		"not hexadecimal":   {plain, map[string][]string{"traceparent": {"zz" + trace[2:]}}, ""},
		"too long":          {plain, map[string][]string{"traceparent": {trace + "-x"}}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := message([]byte(tt.payload))
			m.Header = tt.header
			e, err := Decode(m, Limits{}, corpusNow)
			require.NoError(t, err)
			require.Equal(t, tt.want, e.TraceParent)
		})
	}
}

func TestRejectsAnotherSubject(t *testing.T) {
	m := message(load(t, "good/order.created"))
	for _, subject := range []string{"", "sync.events.order.updated", "sync.events.", "sync.events.order.created.x", "order.created"} {
		m.Subject = subject
		require.Equal(t, SubjectMismatch, reasonOf(t, m), subject)
	}
}

func TestRejectsMoreThanTheLimit(t *testing.T) {
	payload := load(t, "good/order.created")
	m := message(payload)
	_, err := Decode(m, Limits{MaxBytes: len(payload)}, corpusNow)
	require.NoError(t, err)
	_, err = Decode(m, Limits{MaxBytes: len(payload) - 1}, corpusNow)
	require.ErrorContains(t, err, "too_large")

	m.Data = append(slices.Clone(payload), strings.Repeat(" ", DefaultMaxBytes)...)
	require.Equal(t, TooLarge, reasonOf(t, m))
}

func TestTimesAreTakenUpToADayAhead(t *testing.T) {
	payload := strings.Replace(string(load(t, "good/order.created")), "2026-11-21T08:00:00Z", "2026-11-23T08:00:00Z", 1)
	_, err := Decode(message([]byte(payload)), Limits{}, corpusNow)
	require.NoError(t, err)
	_, err = Decode(message([]byte(payload)), Limits{}, corpusNow.Add(-time.Second))
	require.ErrorContains(t, err, "bad_time: time: ")
}

func TestCheckReturnsEveryProblemWithItsField(t *testing.T) {
	rejects := Check(Message{Subject: "sync.events.order.updated", Data: []byte(`{
		"specversion":"1.0","id":"","source":"s","type":"order.created","time":"now","Tenant":"x",
		"data":{"orderno":"1","dateOrder":"2026-11-21T08:00:00","amountPaid":"30","store":"s","salesChannel":"c",
			"identities":[{"type":"mobile","value":"1 "}],
			"dealLines":[{"lineId":"1","productName":"n","qty":1},{"lineId":2,"productName":"n"}],
			"c_x":{"a":[0,{"b":1,"b":2}]}}}`)}, Limits{}, corpusNow)
	got := map[string]Reason{}
	for _, r := range rejects {
		got[r.Field] = r.Reason
	}
	require.Equal(t, map[string]Reason{
		"Tenant": KeyCase, "id": BadEnvelope, "time": BadTime, "subject": SubjectMismatch,
		"data.orderno": KeyCase, "data.orderNo": MissingField, "data.dateOrder": BadTime, "data.amountPaid": WrongType,
		"data.identities[0].value": BadCharacter, "data.dealLines[1].lineId": WrongType,
		"data.dealLines[1].qty": MissingField, "data.c_x.a[1].b": DuplicateKey,
	}, got)
}

func TestCheckIsBoundedForHostileEvents(t *testing.T) {
	var lines []string
	for range 50_000 {
		lines = append(lines, "1")
	}
	payload := strings.Replace(string(load(t, "good/order.created")), `"dealLines": [`, `"dealLines": [`+strings.Join(lines, ",")+",", 1)
	require.Len(t, Check(message([]byte(payload)), Limits{}, corpusNow), maxProblems)
}

func TestDetailsQuoteNoMember(t *testing.T) {
	for _, f := range corpus(t, "bad") {
		for _, r := range Check(message(f.payload), Limits{}, corpusNow) {
			require.NotContains(t, r.Detail, "13800000000", f.name)
			require.NotContains(t, r.Detail, "16508", f.name)
		}
	}
}

func TestRejectTruncatesWhatItQuotes(t *testing.T) {
	long := strings.Repeat("赠", 5000)
	payload := strings.Replace(string(load(t, "good/order.created")), `"order.created"`, `"`+long+`"`, 1)
	_, err := Decode(message([]byte(payload)), Limits{}, corpusNow)
	require.ErrorContains(t, err, "unknown_type: type: found")
	require.Less(t, len(err.Error()), 400)
	require.Equal(t, strings.Repeat("赠", 16)+"…", shorten(long))
	require.Equal(t, "a\ufffdb", shorten("a\x00b"))
}
