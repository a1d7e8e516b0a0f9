package check

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// Key is what makes an event itself: the contract's identity, read here by code
// of the checker's own.
type Key struct {
	Tenant  string `json:"tenant"`
	Kind    string `json:"kind"`
	OrderNo string `json:"order_no"`
	UUID    string `json:"uuid"`
}

func (k Key) String() string {
	return strings.Join(strings.Fields(k.Tenant+" "+k.Kind+" "+k.OrderNo+" "+k.UUID), "/")
}

// fact is an event as the checker reads it.
type fact struct {
	Key
	Type    string
	Content string // the same for two events that mean the same
	Order   string // of a point event too, which has none: empty
	data    data
}

// data is what the checker reads of an event's own.
type data struct {
	OrderNo      string                         `json:"orderNo"`
	UUID         string                         `json:"uuid"`
	MembershipID json.Number                    `json:"membershipId"`
	Identities   []struct{ Type, Value string } `json:"identities"`
	Point        json.Number                    `json:"point"`
	CouponCode   string                         `json:"couponCode"`
	Code         string                         `json:"code"`
	CustomerUID  json.Number                    `json:"customerUid"`
	PushID       string                         `json:"pushId"`
	ID           json.Number                    `json:"id"`
}

func (f fact) member() string { return f.data.MembershipID.String() }

// madeCode is the code of a coupon.code_added that names none, as the contract has it.
func madeCode(tenant, uuid string) string {
	sum := sha256.Sum256([]byte("coupon.code_added\x00" + tenant + "\x00" + uuid))
	return base32.StdEncoding.EncodeToString(sum[:])[:20]
}

// decode reads what a good message says.
func decode(header map[string][]string, payload []byte) (fact, error) {
	envelope := struct {
		Type   string          `json:"type"`
		Tenant string          `json:"tenant"`
		Data   json.RawMessage `json:"data"`
	}{Data: payload}
	if kind := header["ce-type"]; len(kind) > 0 {
		envelope.Type = kind[0]
		if t := header["ce-tenant"]; len(t) > 0 {
			envelope.Tenant = t[0]
		}
	} else if err := json.Unmarshal(payload, &envelope); err != nil {
		return fact{}, fmt.Errorf("reading an envelope: %w", err)
	}
	if envelope.Tenant == "" {
		envelope.Tenant = "default"
	}
	return factOf(envelope.Type, envelope.Tenant, envelope.Data)
}

func factOf(kind, tenant string, text []byte) (fact, error) {
	var names data
	if err := json.Unmarshal(text, &names); err != nil {
		return fact{}, fmt.Errorf("reading the data of %s: %w", kind, err)
	}
	f := fact{Type: kind, Key: Key{Tenant: tenant, Kind: kind, OrderNo: names.OrderNo, UUID: names.UUID}, data: names}
	switch kind {
	case "point.incremented", "point.decremented":
		f.Kind, f.OrderNo = "point", ""
	case "order.created", "order.cancelled", "order.deleted":
		f.UUID = ""
	case "coupon.redeemed":
		f.UUID = names.CouponCode
	case "coupon.code_used":
		f.UUID = names.Code
	}
	f.Order = f.OrderNo
	meaning, err := canonical(text)
	f.Content = kind + " " + meaning
	return f, err
}

// canonical writes JSON with sorted keys and plain numbers.
func canonical(text []byte) (string, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return "", fmt.Errorf("reading JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return "", errors.New("reading JSON: there is more behind it")
	}
	var b strings.Builder
	writeCanonical(&b, value)
	return b.String(), nil
}

func writeCanonical(b *strings.Builder, value any) {
	switch v := value.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			fmt.Fprintf(b, "{%q:", name)
			writeCanonical(b, v[name])
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for _, e := range v {
			writeCanonical(b, e)
			b.WriteByte(',')
		}
		b.WriteByte(']')
	case json.Number:
		if d, err := decimal.NewFromString(v.String()); err == nil {
			b.WriteString(d.String())
		} else {
			b.WriteString(v.String())
		}
	default:
		fmt.Fprintf(b, "%#v", v)
	}
}
