// Command publish sends one order.created and waits until JetStream has it.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	conn, err := nats.Connect(cmp.Or(os.Getenv("NATS_URL"), nats.DefaultURL))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		log.Fatal(err)
	}

	now := time.Now().UTC().Format(time.RFC3339)
	orderNo := "SH001-" + rand.Text()[:12]
	id := orderNo + "/created" // keep it with the order: a sending that is tried again has the same id
	event, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": id, "source": "pos/shanghai-001", "type": "order.created", "time": now,
		"data": map[string]any{
			"orderNo": orderNo, "dateOrder": now, "store": "徐汇店", "salesChannel": "门店",
			"amountPaid": json.Number("30.50"), // a decimal, never a float
			"identities": []any{map[string]any{"type": "mobile", "value": "13800000000"}},
			"dealLines":  []any{map[string]any{"lineId": "1", "productName": "保温杯 500ml", "qty": 1}},
		},
	})
	if err != nil {
		log.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ack, err := js.Publish(ctx, "sync.events.order.created", event, jetstream.WithMsgID(id))
	if err != nil {
		log.Fatalf("not acknowledged, send it again with the same id: %v", err)
	}
	log.Printf("%s is in stream %s at %d (sent before: %t)", orderNo, ack.Stream, ack.Sequence, ack.Duplicate)
}
