import com.google.protobuf.ByteString;
import com.google.protobuf.Timestamp;
import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import io.grpc.TlsChannelCredentials;
import io.headgate.v1.Event;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Sends events to a gateway and says what became of them.
 *
 * <pre>Send --address HOST:PORT --key-file FILE [--ca FILE | --tls true] [--events N] [--every MS]</pre>
 */
public final class Send {
    public static void main(String[] arguments) throws IOException {
        Map<String, String> options = new HashMap<>(Map.of(
                "--address", "127.0.0.1:50051", "--key-file", "headgate-data/demo-api-key", "--events", "10000",
                "--every", "0", "--ca", "", "--tls", "false"));
        for (int at = 0; at < arguments.length; at += 2) {
            if (at + 1 == arguments.length || options.replace(arguments[at], arguments[at + 1]) == null) {
                System.err.println("usage: Send [--address HOST:PORT] [--key-file FILE] [--ca FILE | --tls true]"
                        + " [--events N] [--every MS]");
                System.exit(2);
            }
        }
        String key = Files.readString(Path.of(options.get("--key-file"))).strip();
        Sender sender = new Sender(options.get("--address"), key, credentials(options));
        int status = 0;
        try {
            for (int number = 0; number < Integer.parseInt(options.get("--events")); number++) {
                sender.put(event(number));
                Thread.sleep(Long.parseLong(options.get("--every")));
            }
            sender.close(60, TimeUnit.SECONDS);
        } catch (Exception error) {
            System.err.println(error.getMessage());
            status = 1;
        }
        System.out.println(sender.report());
        System.exit(status);
    }

    private static ChannelCredentials credentials(Map<String, String> options) throws IOException {
        if (!options.get("--ca").isEmpty()) {
            return TlsChannelCredentials.newBuilder().trustManager(new File(options.get("--ca"))).build();
        }
        return Boolean.parseBoolean(options.get("--tls")) ? TlsChannelCredentials.create() : InsecureChannelCredentials.create();
    }

    private static Event event(int number) {
        Instant now = Instant.now();
        return Event.newBuilder()
                .setEventType("login")
                .setEventName("player_login")
                .setEventTimestamp(Timestamp.newBuilder().setSeconds(now.getEpochSecond()).setNanos(now.getNano()))
                .setEventData(ByteString.copyFromUtf8(
                        "{\"player_id\":\"p-" + number % 1000 + "\",\"number\":" + number + "}"))
                .build();
    }
}
