// Sends events to a Headgate gateway: batches on one long-lived stream, sent again until each has its verdict.
//
// `put` waits while the queue is full, so memory is bounded: at most QUEUE events wait and WINDOW batches are in flight.
// While the gateway is away, events wait here; what was in flight is sent again with the same ids. `close` flushes.

import { randomUUID } from "node:crypto";
import * as grpc from "@grpc/grpc-js";
import * as protoLoader from "@grpc/proto-loader";
import type { ProtoGrpcType } from "./gen/ingest";
import type { BatchVerdict__Output as BatchVerdict } from "./gen/headgate/v1/BatchVerdict";
import type { Event } from "./gen/headgate/v1/Event";
import type { Status__Output as Status } from "./gen/headgate/v1/Status";
import type { StreamEventsRequest } from "./gen/headgate/v1/StreamEventsRequest";
import type { StreamEventsResponse__Output as StreamEventsResponse } from "./gen/headgate/v1/StreamEventsResponse";

export type { Event };

const BATCH_EVENTS = 500; // At most the application's burst: a larger batch never passes.
const BATCH_BYTES = 1 << 20; // A batch of so many is full, too. The gateway takes messages of 4 MiB, and events of 900 KiB.
const LINGER = 100; // Milliseconds that an event waits for others.
const WINDOW = 16; // Batches in flight, at most: a stream starts with one, and each verdict adds one.
const QUEUE = 20_000; // Events that wait to be sent.
const FIRST_PAUSE = 100; // Milliseconds before the next stream; doubled with each that brings no answer,
const LONGEST_PAUSE = 5_000; // up to this.

// A stream that ends with one of these ends so again, until someone mends the key or the client.
const FOR_GOOD = [grpc.status.UNAUTHENTICATED, grpc.status.PERMISSION_DENIED, grpc.status.UNIMPLEMENTED, grpc.status.INVALID_ARGUMENT];
const CHANNEL: grpc.ChannelOptions = {
  // A connection that died without a word is found out within 15 s.
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
  // The channel waits less than its two minutes before it connects again.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": LONGEST_PAUSE,
};

// As `proto-loader-gen-types` was told in package.json.
const LOADED: protoLoader.Options = { longs: Number, enums: String, defaults: true, oneofs: true };
// `google.rpc.RetryInfo`, as much as is read of it.
const RETRY_INFO = protoLoader.fromJSON({
  nested: {
    Delay: { fields: { seconds: { type: "int64", id: 1 }, nanos: { type: "int32", id: 2 } } },
    RetryInfo: { fields: { retryDelay: { type: "Delay", id: 1 } } },
  },
}, LOADED).RetryInfo as protoLoader.MessageTypeDefinition<object, { retryDelay: Delay | null }>;

type Delay = { seconds: number; nanos: number };
type Call = grpc.ClientDuplexStream<StreamEventsRequest, StreamEventsResponse>;

/** A stream that is open, and the batches on it that have no answer yet. */
class Stream {
  readonly inFlight = new Map<number, Event[]>();
  sequence = 0;
  answered = false;
  leaving = false; // Nothing more is sent here.
  over = false;
  constructor(readonly call: Call) {}
}

export interface Options {
  address: string;
  key: string;
  /** The folder that holds headgate/v1/ingest.proto. */
  protos: string;
  /** PEM of the authority to trust. With `tls` alone those that Node trusts; with neither there is no TLS. */
  ca?: Buffer;
  tls?: boolean;
}

export class Sender {
  acknowledged = 0;
  refused = 0;
  resent = 0;
  putOff = 0;
  streams = 0;

  private readonly types: ProtoGrpcType["headgate"]["v1"];
  private readonly client: InstanceType<ProtoGrpcType["headgate"]["v1"]["IngestService"]>;
  private readonly metadata = new grpc.Metadata();
  private queue: { event: Event; bytes: number; at: number }[] = [];
  private again: Event[][] = []; // To be sent again, before anything new.
  private stream?: Stream;
  private window = 1;
  private notBefore = 0;
  private pause = FIRST_PAUSE;
  private timer?: NodeJS.Timeout;
  private closing = false;
  private ended = false;
  private failure?: Error;
  private waiting: (() => void)[] = []; // Those who wait for room in the queue, or for the end.

  constructor(options: Options) {
    const loaded = protoLoader.loadSync("headgate/v1/ingest.proto", { ...LOADED, includeDirs: [options.protos] });
    this.types = (grpc.loadPackageDefinition(loaded) as unknown as ProtoGrpcType).headgate.v1;
    const tls = options.ca !== undefined || options.tls;
    const credentials = tls ? grpc.credentials.createSsl(options.ca) : grpc.credentials.createInsecure();
    this.client = new this.types.IngestService(options.address, credentials, CHANNEL);
    this.metadata.set("x-api-key", options.key);
    this.open();
  }

  /** Takes an event, and waits while the queue is full. One without an id gets one: it makes a resend harmless. */
  async put(event: Event): Promise<void> {
    event.eventId ||= randomUUID();
    const bytes = this.types.Event.serialize(event).length;
    while (this.queue.length >= QUEUE && !this.ended) await this.change();
    if (this.ended || this.closing) throw this.failure ?? new Error("the sender is closed");
    this.queue.push({ event, bytes, at: now() });
    // What waits already has set the clock.
    if (this.queue.length === 1 || this.queue.length === BATCH_EVENTS) this.pump();
  }

  /** Sends what is left and waits for its verdicts. Throws if some has none after `patience` milliseconds. */
  async close(patience = 60_000): Promise<void> {
    this.closing = true;
    const giveUp = setTimeout(() => this.end(), patience);
    this.pump();
    while (!this.ended) await this.change();
    clearTimeout(giveUp);
    if (this.failure) throw this.failure;
    if (this.left() > 0) throw new Error(`${this.left()} events have no verdict after ${patience} ms`);
  }

  private open(): void {
    const stream = new Stream(this.client.StreamEvents(this.metadata));
    this.stream = stream;
    this.window = 1;
    stream.call.on("data", (answer: StreamEventsResponse) => this.answered(stream, answer));
    stream.call.on("error", () => {}); // The status comes as well.
    stream.call.on("status", (status: grpc.StatusObject) => this.leave(stream, status));
    this.pump();
  }

  /** Sends what may be sent now, and sets the clock for the rest. */
  private pump(): void {
    const stream = this.stream;
    // Between two streams the clock is set for opening the next one.
    if (!stream || stream.leaving || this.ended) return;
    clearTimeout(this.timer);
    while (this.notBefore <= now()) {
      if (stream.inFlight.size >= this.window) return; // The next answer makes room.
      const batch = this.take();
      if (!batch) {
        if (this.closing && stream.inFlight.size === 0) return this.endSending(stream);
        if (this.queue.length > 0) this.pumpAt(this.queue[0].at + LINGER);
        return;
      }
      stream.inFlight.set(++stream.sequence, batch);
      stream.call.write({ sequence: stream.sequence, events: batch });
    }
    this.pumpAt(this.notBefore);
  }

  private pumpAt(time: number): void {
    this.timer = setTimeout(() => this.pump(), Math.max(time - now(), 1));
  }

  /** The next batch: one to send again, or a full one, or what has waited long enough. */
  private take(): Event[] | undefined {
    const again = this.again.shift();
    if (again) {
      this.resent += again.length;
      return again;
    }
    const due = this.closing || this.queue.length >= BATCH_EVENTS;
    if (this.queue.length === 0 || !(due || this.queue[0].at + LINGER <= now())) return undefined;
    let count = 0;
    let size = 0;
    while (count < Math.min(this.queue.length, BATCH_EVENTS) && size < BATCH_BYTES) size += this.queue[count++].bytes;
    const batch = this.queue.splice(0, count).map(({ event }) => event);
    this.changed();
    return batch;
  }

  private answered(stream: Stream, answer: StreamEventsResponse): void {
    if (stream.over) return; // Too late: its batch is to be sent again.
    if (answer.answer === "notice") {
      // Draining, or an old connection: this stream ends once its answers are in, and the next one is opened.
      return this.endSending(stream);
    }
    const batch = stream.inFlight.get(answer.sequence);
    if (!batch) return;
    stream.inFlight.delete(answer.sequence);
    if (!stream.answered) this.streams++;
    stream.answered = true;
    if (answer.verdict) this.settle(batch, answer.verdict);
    else if (answer.refusal) this.refuse(batch, answer.refusal);
    this.pump();
  }

  private settle(batch: Event[], verdict: BatchVerdict): void {
    this.acknowledged += verdict.accepted;
    this.refused += verdict.rejected;
    const again: Event[] = [];
    let delay = 0;
    for (const each of verdict.notAccepted) {
      if (each.code === "VERDICT_CODE_REJECTED") {
        console.error(`event ${batch[each.index].eventId} is rejected: ${each.message}`);
      } else {
        again.push(batch[each.index]);
        delay = Math.max(delay, milliseconds(each.retryDelay));
      }
    }
    if (again.length > 0) {
      this.again.push(again);
      this.putOffFor(delay || FIRST_PAUSE);
    } else {
      this.window = Math.min(this.window + 1, WINDOW);
    }
  }

  private refuse(batch: Event[], refusal: Status): void {
    if (refusal.retryDelay) {
      this.again.push(batch);
      this.putOffFor(milliseconds(refusal.retryDelay));
    } else {
      this.refused += batch.length;
      console.error(`a batch of ${batch.length} events is refused: ${refusal.message}`);
    }
  }

  /** The gateway is over a limit: nothing is sent before it says, and then less at once. */
  private putOffFor(delay: number): void {
    this.putOff++;
    this.window = Math.max(Math.floor(this.window / 2), 1);
    this.notBefore = Math.max(this.notBefore, now() + delay * (1 + Math.random() / 10));
  }

  private endSending(stream: Stream): void {
    if (stream.leaving) return;
    stream.leaving = true;
    stream.call.end();
  }

  /** What has no answer may be stored or not: it is sent again, and its ids tell the gateway which it is. */
  private leave(stream: Stream, status: grpc.StatusObject): void {
    stream.over = stream.leaving = true;
    this.again.unshift(...stream.inFlight.values());
    stream.inFlight.clear();
    if (this.ended) return;
    if (FOR_GOOD.includes(status.code)) {
      this.failure = new Error(`${grpc.status[status.code]}: ${status.details}`);
      return this.end();
    }
    if (this.closing && this.left() === 0) return this.end();
    if (status.code !== grpc.status.OK) console.error(`the stream ended, ${grpc.status[status.code]}: ${status.details}`);
    this.pause = stream.answered ? FIRST_PAUSE : Math.min(2 * this.pause, LONGEST_PAUSE);
    // Servers that lost the same gateway do not come back in step.
    const wait = this.retryDelay(status) ?? Math.random() * this.pause;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), wait);
  }

  private end(): void {
    this.ended = true;
    clearTimeout(this.timer);
    this.client.close();
    this.stream?.call.cancel();
    this.changed();
  }

  private left(): number {
    const batches = [...this.again, ...(this.stream?.inFlight.values() ?? [])];
    return this.queue.length + batches.reduce((sum, batch) => sum + batch.length, 0);
  }

  private change(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  private changed(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  /** The `RetryInfo` of the status that ended a stream, in milliseconds, if there is one. */
  private retryDelay(status: grpc.StatusObject): number | undefined {
    const [details] = status.metadata.get("grpc-status-details-bin");
    if (!Buffer.isBuffer(details)) return undefined;
    // Our `Status` has the shape of `google.rpc.Status`.
    const info = this.types.Status.deserialize(details).details.find((any) => any.type_url?.endsWith("/google.rpc.RetryInfo"));
    return info && milliseconds(RETRY_INFO.deserialize(info.value as Buffer).retryDelay);
  }
}

const now = () => performance.now();
const milliseconds = (delay: Delay | null) => (delay ? delay.seconds * 1_000 + delay.nanos / 1e6 : 0);
