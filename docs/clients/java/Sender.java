import com.google.protobuf.Any;
import com.google.protobuf.Duration;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.RetryInfo;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import io.headgate.v1.BatchVerdict;
import io.headgate.v1.Event;
import io.headgate.v1.EventVerdict;
import io.headgate.v1.IngestServiceGrpc;
import io.headgate.v1.StreamEventsRequest;
import io.headgate.v1.StreamEventsResponse;
import io.headgate.v1.VerdictCode;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Sends events to a Headgate gateway: batches on one long-lived stream, sent again until each has its verdict.
 *
 * <p>{@link #put} waits while the queue is full, so memory is bounded: at most QUEUE events wait and WINDOW batches are
 * in flight. While the gateway is away, events wait here; what was in flight is sent again with the same ids.
 */
public final class Sender {
    private static final int BATCH_EVENTS = 500; // At most the application's burst: a larger batch never passes.
    private static final int BATCH_BYTES = 1 << 20; // A batch of so many is full, too. The gateway takes messages of
    // 4 MiB, and events of 900 KiB.
    private static final long LINGER = TimeUnit.MILLISECONDS.toNanos(100); // That an event waits for others.
    private static final int WINDOW = 16; // Batches in flight, at most: a stream starts with one, each verdict adds one.
    private static final int QUEUE = 20_000; // Events that wait to be sent.
    private static final long FIRST_PAUSE = TimeUnit.MILLISECONDS.toNanos(100); // Before the next stream; doubled with
    private static final long LONGEST_PAUSE = TimeUnit.SECONDS.toNanos(5); // each that brings no answer, up to this.

    private final ManagedChannel channel;
    private final IngestServiceGrpc.IngestServiceStub service;
    private final Thread loop = new Thread(this::run, "headgate-sender");

    // All of these with the sender's own lock, whose waiters are woken by every change.
    private final Deque<Waiting> queue = new ArrayDeque<>();
    private final Deque<List<Event>> again = new ArrayDeque<>(); // To be sent again, before anything new.
    private Stream stream = new Stream();
    private int window = 1;
    private long notBefore = System.nanoTime();
    private boolean closing;
    private boolean givenUp;
    private RuntimeException failure;
    private long acknowledged;
    private long refused;
    private long resent;
    private long putOff;
    private long streams;

    private record Waiting(Event event, long came) {}

    /** A stream that is open, and the batches on it that have no answer yet. */
    private final class Stream implements StreamObserver<StreamEventsResponse> {
        final Map<Long, List<Event>> inFlight = new TreeMap<>();
        long sequence;
        boolean answered;
        boolean leaving; // Asked to leave: nothing more is sent here.
        boolean over;
        Throwable end; // Null where it ended well.

        @Override
        public void onNext(StreamEventsResponse answer) {
            answered(this, answer);
        }

        @Override
        public void onError(Throwable error) {
            ended(this, error);
        }

        @Override
        public void onCompleted() {
            ended(this, null);
        }
    }

    /** {@code credentials}: {@code TlsChannelCredentials}, or {@code InsecureChannelCredentials} for no TLS. */
    public Sender(String address, String key, ChannelCredentials credentials) {
        channel = Grpc.newChannelBuilder(address, credentials)
                // A connection that died without a word is found out within 15 s.
                .keepAliveTime(10, TimeUnit.SECONDS)
                .keepAliveTimeout(5, TimeUnit.SECONDS)
                .build();
        Metadata metadata = new Metadata();
        metadata.put(Metadata.Key.of("x-api-key", Metadata.ASCII_STRING_MARSHALLER), key);
        service = IngestServiceGrpc.newStub(channel)
                .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(metadata));
        loop.setDaemon(true);
        loop.start();
    }

    /** Takes an event, and waits while the queue is full. One without an id gets one: it makes a resend harmless. */
    public synchronized void put(Event event) throws InterruptedException {
        while (queue.size() >= QUEUE && failure == null && !closing) {
            wait();
        }
        if (failure != null) {
            throw failure;
        }
        if (closing) {
            throw new IllegalStateException("the sender is closed");
        }
        boolean hasId = !event.getEventId().isEmpty();
        queue.add(new Waiting(
                hasId ? event : event.toBuilder().setEventId(UUID.randomUUID().toString()).build(), System.nanoTime()));
        notifyAll();
    }

    /** Sends what is left and waits for its verdicts. Throws if some has none after that time. */
    public void close(long patience, TimeUnit unit) throws InterruptedException, TimeoutException {
        synchronized (this) {
            closing = true;
            notifyAll();
        }
        loop.join(unit.toMillis(patience));
        synchronized (this) {
            givenUp = true;
            notifyAll();
        }
        channel.shutdownNow(); // Ends the stream, too.
        loop.join();
        if (failure != null) {
            throw failure;
        }
        if (left() > 0) {
            throw new TimeoutException(left() + " events have no verdict in time");
        }
    }

    /** What became of the events. */
    public synchronized String report() {
        return String.format("acknowledged=%d refused=%d resent=%d put_off=%d streams=%d",
                acknowledged, refused, resent, putOff, streams);
    }

    private void run() {
        long pause = FIRST_PAUSE;
        try {
            for (Stream open = open(); open != null; open = open()) {
                // Its own pause would grow to two minutes.
                channel.resetConnectBackoff();
                StreamObserver<StreamEventsRequest> requests = service.streamEvents(open);
                StreamEventsRequest request;
                while ((request = next(open)) != null) {
                    requests.onNext(request);
                }
                requests.onCompleted();
                long hint = leave(open);
                pause = open.answered ? FIRST_PAUSE : Math.min(2 * pause, LONGEST_PAUSE);
                // Servers that lost the same gateway do not come back in step.
                await(hint > 0 ? hint : ThreadLocalRandom.current().nextLong(pause));
            }
        } catch (InterruptedException | RuntimeException error) {
            fail(new IllegalStateException("the sender broke", error));
        }
    }

    private synchronized Stream open() {
        if (done()) {
            return null;
        }
        stream = new Stream();
        window = 1;
        return stream;
    }

    /** Waits until a batch may be sent on this stream; null: the stream is to end. */
    private synchronized StreamEventsRequest next(Stream on) throws InterruptedException {
        while (!on.over && !on.leaving && !givenUp) {
            long now = System.nanoTime();
            long wait = 0; // Until something changes.
            if (on.inFlight.size() < window) {
                wait = notBefore - now;
                if (wait <= 0) {
                    List<Event> batch = take(now);
                    if (batch != null) {
                        on.inFlight.put(++on.sequence, batch);
                        return StreamEventsRequest.newBuilder().setSequence(on.sequence).addAllEvents(batch).build();
                    }
                    if (closing && on.inFlight.isEmpty()) {
                        return null;
                    }
                    wait = queue.isEmpty() ? 0 : queue.peek().came() + LINGER - now;
                }
            }
            wait(wait > 0 ? wait / 1_000_000 + 1 : 0);
        }
        return null;
    }

    /** The next batch: one to send again, or a full one, or what has waited long enough. */
    private List<Event> take(long now) {
        List<Event> batch = again.poll();
        if (batch != null) {
            resent += batch.size();
            return batch;
        }
        boolean due = closing || queue.size() >= BATCH_EVENTS;
        if (queue.isEmpty() || !due && queue.peek().came() + LINGER - now > 0) {
            return null;
        }
        batch = new ArrayList<>();
        for (int size = 0; !queue.isEmpty() && batch.size() < BATCH_EVENTS && size < BATCH_BYTES; ) {
            Event event = queue.remove().event();
            batch.add(event);
            size += event.getSerializedSize();
        }
        notifyAll();
        return batch;
    }

    private synchronized void answered(Stream on, StreamEventsResponse answer) {
        List<Event> batch = on.inFlight.remove(answer.getSequence());
        if (answer.hasNotice()) {
            // Draining, or an old connection: this stream ends once its answers are in, and the next one is opened.
            on.leaving = true;
        } else if (batch != null) {
            if (!on.answered) {
                streams++;
            }
            on.answered = true;
            if (answer.hasVerdict()) {
                settle(batch, answer.getVerdict());
            } else {
                refuse(batch, answer.getRefusal());
            }
        }
        notifyAll();
    }

    private void settle(List<Event> batch, BatchVerdict verdict) {
        acknowledged += verdict.getAccepted();
        refused += verdict.getRejected();
        List<Event> rest = new ArrayList<>();
        long delay = 0;
        for (EventVerdict each : verdict.getNotAcceptedList()) {
            Event event = batch.get(each.getIndex());
            if (each.getCode() == VerdictCode.VERDICT_CODE_REJECTED) {
                System.err.println("event " + event.getEventId() + " is rejected: " + each.getMessage());
            } else {
                rest.add(event);
                delay = Math.max(delay, nanos(each.getRetryDelay()));
            }
        }
        if (rest.isEmpty()) {
            window = Math.min(window + 1, WINDOW);
        } else {
            again.add(rest);
            putOff(delay > 0 ? delay : FIRST_PAUSE);
        }
    }

    private void refuse(List<Event> batch, io.headgate.v1.Status refusal) {
        if (refusal.hasRetryDelay()) {
            again.add(batch);
            putOff(nanos(refusal.getRetryDelay()));
        } else {
            refused += batch.size();
            System.err.println("a batch of " + batch.size() + " events is refused: " + refusal.getMessage());
        }
    }

    /** The gateway is over a limit: nothing is sent before it says, and then less at once. */
    private void putOff(long delay) {
        putOff++;
        window = Math.max(window / 2, 1);
        long until = System.nanoTime() + (long) (delay * ThreadLocalRandom.current().nextDouble(1, 1.1));
        notBefore = until - notBefore > 0 ? until : notBefore;
    }

    private synchronized void ended(Stream on, Throwable end) {
        on.over = true;
        on.end = end;
        notifyAll();
    }

    /** Waits for a stream's end, its answers first. Returns how long the gateway says to wait, in ns; 0: it does not. */
    private synchronized long leave(Stream on) throws InterruptedException {
        while (!on.over) {
            wait();
        }
        // What has no answer may be stored or not: it is sent again, and its ids tell the gateway which it is.
        List<List<Event>> unanswered = new ArrayList<>(on.inFlight.values());
        on.inFlight.clear();
        for (int last = unanswered.size() - 1; last >= 0; last--) {
            again.addFirst(unanswered.get(last));
        }
        if (on.end == null || givenUp) {
            return 0;
        }
        Status status = Status.fromThrowable(on.end);
        switch (status.getCode()) {
            // A stream that ends with one of these ends so again, until someone mends the key or the client.
            case UNAUTHENTICATED, PERMISSION_DENIED, UNIMPLEMENTED, INVALID_ARGUMENT -> fail(status.asRuntimeException());
            default -> System.err.println(
                    "the stream ended, " + status.getCode() + ": " + status.getDescription());
        }
        return retryDelay(on.end);
    }

    private synchronized void fail(RuntimeException why) {
        failure = why;
        notifyAll();
    }

    private synchronized void await(long nanos) throws InterruptedException {
        long until = System.nanoTime() + nanos;
        for (long left = nanos; left > 0 && !done(); left = until - System.nanoTime()) {
            wait(left / 1_000_000 + 1);
        }
    }

    private boolean done() {
        return givenUp || failure != null || closing && left() == 0;
    }

    private synchronized long left() {
        return queue.size() + count(again) + count(stream.inFlight.values());
    }

    private static long count(Collection<List<Event>> batches) {
        return batches.stream().mapToLong(List::size).sum();
    }

    private static long nanos(Duration duration) {
        return TimeUnit.SECONDS.toNanos(duration.getSeconds()) + duration.getNanos();
    }

    /** The {@code RetryInfo} of the status that ended a stream, in nanoseconds; 0 without one. */
    private static long retryDelay(Throwable end) {
        com.google.rpc.Status status = StatusProto.fromThrowable(end);
        try {
            for (Any detail : status == null ? List.<Any>of() : status.getDetailsList()) {
                if (detail.is(RetryInfo.class)) {
                    return nanos(detail.unpack(RetryInfo.class).getRetryDelay());
                }
            }
        } catch (InvalidProtocolBufferException unreadable) {
            // Then there is no hint.
        }
        return 0;
    }
}
