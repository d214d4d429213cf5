"""Sends events to a Headgate gateway: batches on one long-lived stream, sent again until each has its verdict.

`put` waits while the queue is full, so memory is bounded: at most QUEUE events wait and WINDOW batches are in flight.
While the gateway is away, events wait here; what was in flight is sent again with the same ids. `close` flushes.
"""

import collections
import logging
import random
import threading
import time
import uuid

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from headgate.v1 import ingest_pb2 as pb
from headgate.v1 import ingest_pb2_grpc as rpc

BATCH_EVENTS = 500  # At most the application's burst: a larger batch never passes.
BATCH_BYTES = 1 << 20  # A batch of so many is full, too. The gateway takes messages of 4 MiB, and events of 900 KiB.
LINGER = 0.1  # Seconds that an event waits for others.
WINDOW = 16  # Batches in flight, at most: a stream starts with one, and each verdict adds one.
QUEUE = 20_000  # Events that wait to be sent.
FIRST_PAUSE = 0.1  # Seconds before the next stream; doubled with each that brings no answer,
LONGEST_PAUSE = 5.0  # up to this.

# A stream that ends with one of these ends so again, until someone mends the key or the client.
FOR_GOOD = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNIMPLEMENTED,
            grpc.StatusCode.INVALID_ARGUMENT)
OPTIONS = [
    # A connection that died without a word is found out within 15 s.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    # The channel waits less than its two minutes before it connects again. The smallest is an attempt's patience, too.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", int(LONGEST_PAUSE * 1000)),
]


class Stream:
    """A stream that is open, and the batches on it that have no answer yet."""

    def __init__(self):
        self.in_flight = {}
        self.sequence = 0
        self.answered = False
        self.leaving = False  # Asked to leave: nothing more is sent here.
        self.over = False


class Sender:
    def __init__(self, address, key, ca=None, tls=False):
        """`ca`: PEM of the authority to trust; with `tls` alone, the authorities that gRPC brings. Neither: no TLS."""
        if ca or tls:
            self._channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(ca), OPTIONS)
        else:
            self._channel = grpc.insecure_channel(address, OPTIONS)
        self._service = rpc.IngestServiceStub(self._channel)
        self._metadata = [("x-api-key", key)]
        self._changed = threading.Condition()
        self._queue = collections.deque()  # (event, when it came)
        self._again = collections.deque()  # batches to send again, before anything new
        self._window = 1
        self._not_before = 0.0
        self._stream = None
        self._closing = False
        self._given_up = False
        self._failure = None
        self.acknowledged = self.resent = self.refused = self.put_off = self.streams = 0
        self._loop = threading.Thread(target=self._run, daemon=True)
        self._loop.start()

    def put(self, event):
        """Takes an event, and waits while the queue is full. One without an id gets one: it makes a resend harmless."""
        event.event_id = event.event_id or str(uuid.uuid4())
        with self._changed:
            while len(self._queue) >= QUEUE and not (self._failure or self._closing):
                self._changed.wait()
            if self._failure or self._closing:
                raise self._failure or RuntimeError("the sender is closed")
            self._queue.append((event, time.monotonic()))
            self._changed.notify_all()

    def close(self, patience=60.0):
        """Sends what is left and waits for its verdicts. Raises if some has none after `patience` seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._loop.join(patience)
        with self._changed:
            self._given_up = True
            self._changed.notify_all()
        self._channel.close()  # Ends the stream, too.
        self._loop.join()
        if self._failure:
            raise self._failure
        if left := self._left():
            raise TimeoutError(f"{left} events have no verdict after {patience} s")

    def _run(self):
        pause = FIRST_PAUSE
        while not self._done():
            stream = Stream()
            with self._changed:
                self._stream = stream
                self._window = 1
            hint = self._converse(stream)
            self._leave(stream)
            pause = FIRST_PAUSE if stream.answered else min(2 * pause, LONGEST_PAUSE)
            # Servers that lost the same gateway do not come back in step.
            self._wait(hint or random.uniform(0, pause))

    def _converse(self, stream):
        """One stream, from its opening to its end. Returns how long the gateway says to wait, in seconds, if it does."""
        try:
            with self._changed:
                if self._given_up:
                    return None
                # gRPC connects while a call waits for it.
                call = self._service.StreamEvents(self._requests(stream), metadata=self._metadata, wait_for_ready=True)
            for answer in call:
                self._answered(stream, answer)
        except grpc.RpcError as error:
            if error.code() in FOR_GOOD:
                with self._changed:
                    self._failure = RuntimeError(f"{error.code().name}: {error.details()}")
            elif not self._given_up:
                logging.warning("the stream ended, %s: %s", error.code().name, error.details())
            return retry_delay(error)
        return None

    def _requests(self, stream):
        """gRPC asks for the next one when there is room on the wire."""
        while request := self._next(stream):
            yield request

    def _next(self, stream):
        """Waits until a batch may be sent on this stream; None: the stream is to end."""
        with self._changed:
            while not (stream.over or stream.leaving or self._given_up):
                now = time.monotonic()
                wait = self._not_before - now
                if wait <= 0 and len(stream.in_flight) < self._window:
                    if batch := self._take(now):
                        stream.sequence += 1
                        stream.in_flight[stream.sequence] = batch
                        return pb.StreamEventsRequest(sequence=stream.sequence, events=batch)
                    if self._closing and not stream.in_flight:
                        return None
                    wait = self._queue[0][1] + LINGER - now if self._queue else 0
                self._changed.wait(wait if wait > 0 else None)
            return None

    def _take(self, now):
        """The next batch: one to send again, or a full one, or what has waited long enough."""
        if self._again:
            batch = self._again.popleft()
            self.resent += len(batch)
            return batch
        due = self._closing or len(self._queue) >= BATCH_EVENTS
        if not self._queue or not (due or self._queue[0][1] + LINGER <= now):
            return None
        batch, size = [], 0
        while self._queue and len(batch) < BATCH_EVENTS and size < BATCH_BYTES:
            batch.append(self._queue.popleft()[0])
            size += batch[-1].ByteSize()
        self._changed.notify_all()
        return batch

    def _answered(self, stream, answer):
        with self._changed:
            kind = answer.WhichOneof("answer")
            if kind == "notice":
                # Draining, or an old connection: this stream ends once its answers are in, and the next one is opened.
                stream.leaving = True
            elif batch := stream.in_flight.pop(answer.sequence, None):
                self.streams += not stream.answered
                stream.answered = True
                if kind == "verdict":
                    self._settle(batch, answer.verdict)
                else:
                    self._refuse(batch, answer.refusal)
            self._changed.notify_all()

    def _settle(self, batch, verdict):
        self.acknowledged += verdict.accepted
        self.refused += verdict.rejected
        again, delay = [], 0.0
        for each in verdict.not_accepted:
            if each.code == pb.VERDICT_CODE_REJECTED:
                logging.error("event %s is rejected: %s", batch[each.index].event_id, each.message)
            else:
                again.append(batch[each.index])
                delay = max(delay, seconds(each.retry_delay))
        if again:
            self._again.append(again)
            self._put_off(delay or FIRST_PAUSE)
        else:
            self._window = min(self._window + 1, WINDOW)

    def _refuse(self, batch, refusal):
        if refusal.HasField("retry_delay"):
            self._again.append(batch)
            self._put_off(seconds(refusal.retry_delay))
        else:
            self.refused += len(batch)
            logging.error("a batch of %d events is refused: %s", len(batch), refusal.message)

    def _put_off(self, delay):
        """The gateway is over a limit: nothing is sent before it says, and then less at once."""
        self.put_off += 1
        self._window = max(self._window // 2, 1)
        self._not_before = max(self._not_before, time.monotonic() + delay * random.uniform(1, 1.1))

    def _leave(self, stream):
        """What has no answer may be stored or not: it is sent again, and its ids tell the gateway which it is."""
        with self._changed:
            stream.over = True
            self._again.extendleft(reversed(stream.in_flight.values()))
            stream.in_flight = {}
            self._changed.notify_all()

    def _wait(self, delay):
        until = time.monotonic() + delay
        with self._changed:
            while not self._given_up and (left := until - time.monotonic()) > 0 and not self._done():
                self._changed.wait(left)

    def _done(self):
        with self._changed:
            return self._failure or self._given_up or self._closing and not self._left()

    def _left(self):
        in_flight = self._stream.in_flight.values() if self._stream else ()
        return len(self._queue) + sum(map(len, self._again)) + sum(map(len, in_flight))


def seconds(duration):
    return duration.seconds + duration.nanos / 1e9


def retry_delay(error):
    """The `RetryInfo` of the status that ended a stream, in seconds; None without one."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return seconds(info.retry_delay)
    return None
