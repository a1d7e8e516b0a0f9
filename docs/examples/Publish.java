// Sends one order.created and waits until JetStream has it. Needs io.nats:jnats.
import io.nats.client.Connection;
import io.nats.client.Nats;
import io.nats.client.PublishOptions;
import io.nats.client.api.PublishAck;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Optional;
import java.util.UUID;

public class Publish {
    public static void main(String[] args) throws Exception {
        String url = Optional.ofNullable(System.getenv("NATS_URL")).orElse("nats://127.0.0.1:4222");
        try (Connection conn = Nats.connect(url)) {
            String now = Instant.now().truncatedTo(ChronoUnit.SECONDS).toString();
            String orderNo = "SH001-" + UUID.randomUUID().toString().substring(24);
            String id = orderNo + "/created"; // the same when the sending is tried again
            // In your code a JSON library writes this; amounts are BigDecimal there.
            String event = """
                {"specversion":"1.0","id":"%1$s","source":"pos/shanghai-001","type":"order.created","time":"%2$s",
                 "data":{"orderNo":"%3$s","dateOrder":"%2$s","store":"徐汇店","salesChannel":"门店","amountPaid":30.50,
                  "identities":[{"type":"mobile","value":"13800000000"}],
                  "dealLines":[{"lineId":"1","productName":"保温杯 500ml","qty":1}]}}
                """.formatted(id, now, orderNo);
            // Throws where no acknowledgement comes: send it again with the same id.
            PublishAck ack = conn.jetStream().publish("sync.events.order.created",
                event.getBytes(StandardCharsets.UTF_8), PublishOptions.builder().messageId(id).build());
            System.out.printf("%s is in stream %s at %d (sent before: %b)%n",
                orderNo, ack.getStream(), ack.getSeqno(), ack.isDuplicate());
        }
    }
}
