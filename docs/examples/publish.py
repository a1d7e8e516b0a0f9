"""Sends one order.created and waits until JetStream has it. pip install nats-py"""
import asyncio
import json
import os
import uuid
from datetime import datetime, timezone

import nats


async def main():
    conn = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    order_no = f"SH001-{uuid.uuid4().hex[:12]}"
    event_id = f"{order_no}/created"  # the same when the sending is tried again
    event = {
        "specversion": "1.0", "id": event_id, "source": "pos/shanghai-001",
        "type": "order.created", "time": now,
        "data": {
            "orderNo": order_no, "dateOrder": now, "store": "徐汇店", "salesChannel": "门店",
            "amountPaid": 30.50,  # write a Decimal as float(d) only here, at the very end
            "identities": [{"type": "mobile", "value": "13800000000"}],
            "dealLines": [{"lineId": "1", "productName": "保温杯 500ml", "qty": 1}],
        },
    }
    # Raises where no acknowledgement comes: send it again with the same id.
    ack = await conn.jetstream().publish(
        "sync.events.order.created", json.dumps(event, ensure_ascii=False).encode(),
        headers={"Nats-Msg-Id": event_id}, timeout=10,
    )
    print(f"{order_no} is in stream {ack.stream} at {ack.seq} (sent before: {bool(ack.duplicate)})")
    await conn.drain()


asyncio.run(main())
