//! What each station of the hot path costs, by itself and for one event where nothing else is said.
//!
//! `cargo bench -p headgate-benches --bench stations`; figures are CPU time on one core with everything in its caches, so
//! they add up to less than a server spends.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BatchSize, Throughput, criterion_group, criterion_main};
use headgate::admission::app::{App, Apps};
use headgate::admission::budget::Permit;
use headgate::admission::key::{ApiKey, KeyHash};
use headgate::admission::rate::{RateLimit, Rates};
use headgate::clock::Clock;
use headgate::config::{AdmissionSettings, IngestSettings, LiveSettings};
use headgate::delivery::Discard;
use headgate::delivery::route::{Outlet, Routes};
use headgate::event::json;
use headgate::event::member::member;
use headgate::event::scan::{self, Envelope, RawEvent};
use headgate::event::validate::{Limits, validate};
use headgate::gather::{BucketId, BucketSink, InFlight, Lanes, LanesParts, Outcome, Packing};
use headgate::ingest::dedupe::Dedupe;
use headgate::ingest::policy::Policies;
use headgate::ingest::verdict::{BatchOutcome, Reply};
use headgate::ingest::{self, Incoming, Ingest};
use headgate::live::Live;
use headgate::metrics::Metrics;
use headgate::registry::{self, Application};
use headgate_benches::cpu::thread_time;
use headgate_benches::events::Sample;
use headgate_benches::load::{Batches, Call, Case};
use headgate_proto::aggregate::seal_each;
use headgate_proto::record::{EventFields, RecordTail, write_record};
use headgate_proto::v1::{Event, StreamEventsRequest};
use prost::Message;
use serde::de::IgnoredAny;
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SAMPLES: usize = 256;
const BUCKET: usize = 256 << 10;
const UNIT: usize = 25_000;
const STREAMS_OF_100: Case = Case::new(Call::Stream, 100);
const PREFIX: usize = 5;

type Criterion = criterion::Criterion<CpuTime>;

/// The thread's CPU time in place of the wall's, so that whatever else runs on the machine is not counted.
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        thread_time()
    }

    fn end(&self, start: Duration) -> Duration {
        thread_time().saturating_sub(start)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

fn samples() -> Vec<Event> {
    let mut sample = Sample::new(1);
    (0..SAMPLES).map(|_| sample.event()).collect()
}

/// One of them after the other, for ever.
fn in_turn<'a, T>(samples: &'a [T]) -> impl FnMut() -> &'a T {
    let mut samples = samples.iter().cycle();
    move || samples.next().expect("a cycle of samples never ends")
}

fn reading(c: &mut Criterion) {
    let mut group = c.benchmark_group("read");
    let message = StreamEventsRequest { sequence: 1, events: samples()[..100].to_vec() }.encode_to_vec();
    group.bench_function("head of a batch of 100", |b| {
        b.iter(|| scan::head(black_box(&message), Envelope::Stream));
    });
    group.bench_function("walk to the next event", |b| {
        let mut events = scan::events(&message, Envelope::Stream);
        b.iter(|| match events.next() {
            Some(event) => event.len(),
            None => {
                events = scan::events(&message, Envelope::Stream);
                0
            }
        });
    });
    let encoded: Vec<Vec<u8>> = samples().iter().map(Message::encode_to_vec).collect();
    group.bench_function("scan an event's fields", |b| {
        let mut next = in_turn(&encoded);
        b.iter(|| scan::event(black_box(next())).is_ok());
    });
    group.bench_function("scan and validate", |b| {
        let limits = Limits::from(&IngestSettings::default());
        let mut next = in_turn(&encoded);
        b.iter(|| scan::event(black_box(next())).is_ok_and(|event| validate(&event, None, &limits).is_ok()));
    });
    group.bench_function("to compare: decode with prost", |b| {
        let mut next = in_turn(&encoded);
        b.iter(|| Event::decode(black_box(next().as_slice())));
    });
    group.finish();
}

fn checking(c: &mut Criterion) {
    let mut group = c.benchmark_group("json");
    let payloads: Vec<Bytes> = samples().into_iter().map(|event| event.event_data).collect();
    group.bench_function("check one object", |b| {
        let mut next = in_turn(&payloads);
        b.iter(|| json::check_object(black_box(next()), 64).is_ok());
    });
    group.bench_function("to compare: serde_json IgnoredAny", |b| {
        let mut next = in_turn(&payloads);
        b.iter(|| serde_json::from_slice::<IgnoredAny>(black_box(next())).is_ok());
    });
    group.bench_function("to compare: serde_json Value", |b| {
        let mut next = in_turn(&payloads);
        b.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(next())).is_ok());
    });
    group.finish();
}

fn writing(c: &mut Criterion) {
    let mut group = c.benchmark_group("write");
    let encoded: Vec<Vec<u8>> = samples().iter().map(Message::encode_to_vec).collect();
    let events: Vec<RawEvent<'_>> =
        encoded.iter().map(|bytes| scan::event(bytes).expect("samples are well formed")).collect();
    group.bench_function("a record into a bucket", |b| {
        let tail = RecordTail::new(&Uuid::new_v4().to_string(), 1_790_000_000_000, &Uuid::new_v4().to_string());
        let mut bucket: Vec<u8> = Vec::with_capacity(BUCKET + 1_024);
        let mut next = in_turn(&events);
        b.iter(|| {
            if bucket.len() > BUCKET {
                bucket.clear();
            }
            let event = black_box(next());
            let timestamp = event.timestamp.unwrap_or_default();
            let fields = EventFields {
                event_id: event.event_id,
                event_type: event.event_type,
                event_name: event.event_name,
                seconds: timestamp.seconds,
                nanos: timestamp.nanos.unsigned_abs(),
                event_version: event.event_version,
                app_version: event.app_version,
                event_data: event.event_data,
                data_has_line_breaks: false,
            };
            write_record(&mut bucket, &fields, &tail);
        });
    });
    let user_records = vec![b'x'; UNIT];
    for together in [1, 4, 8, 16] {
        let records = vec![(&user_records[..], 1_u128 << 127); together];
        group.throughput(Throughput::Bytes((UNIT * together) as u64));
        group.bench_function(format!("seal {together} records of 25,000 bytes"), |b| {
            b.iter(|| seal_each(black_box(&records)));
        });
    }
    group.finish();
}

fn remembering(c: &mut Criterion) {
    c.bench_function("dedupe: claim a new id in a full window", |b| {
        let dedupe = Dedupe::new(IngestSettings::default().dedupe_window, 42);
        let salt = dedupe.salt(Uuid::from_u128(7));
        let mut id = 0_u128;
        let mut claim = || {
            id += 1;
            dedupe.claim(Dedupe::key(salt, Uuid::from_u128(id)), BucketId(1))
        };
        for _ in 0..2 * IngestSettings::default().dedupe_window {
            let _ = claim();
        }
        b.iter(claim);
    });
}

fn admitting(c: &mut Criterion) {
    let mut group = c.benchmark_group("admit a call or a batch");
    group.bench_function("hash a key", |b| {
        let key = ApiKey::generate().expect("the system has randomness");
        b.iter(|| KeyHash::of(black_box(key.expose())));
    });
    group.bench_function("charge the rates", |b| {
        let rates = Rates {
            events_per_second: u32::MAX,
            events_burst: u32::MAX,
            bytes_per_second: 1 << 41,
            bytes_burst: 1 << 41,
        };
        let limit = RateLimit::new(rates);
        b.iter(|| limit.charge(black_box(100), black_box(34_200)).is_ok());
    });
    group.bench_function("take and return a permit", |b| {
        let app = app(&Metrics::new());
        b.iter(|| app.take_permit(black_box(34_200)).is_ok());
    });
    group.finish();
}

/// What live costs: 100 events are counted, and merged once their bucket is stored.
fn showing(c: &mut Criterion) {
    let (clock, metrics) = (Clock::system(), Metrics::new());
    let apps = Apps::new(&AdmissionSettings::default(), &metrics);
    let live = Live::new(&LiveSettings::default(), &apps, &clock, &metrics);
    let app = live.app(Uuid::from_u128(7));
    let encoded: Vec<Vec<u8>> = samples().iter().map(Message::encode_to_vec).collect();
    let events: Vec<RawEvent<'_>> =
        encoded.iter().take(100).map(|bytes| scan::event(bytes).expect("samples are well formed")).collect();
    let now = clock.wall_ms();
    let mut group = c.benchmark_group("show");
    group.bench_function("count a batch of 100 and merge it", |b| {
        let mut bucket = 0;
        b.iter(|| {
            bucket += 1;
            let mut tally = app.tally(now, 100);
            let witness = tally.enter(BucketId(bucket));
            for (index, event) in (0..).zip(black_box(&events)) {
                // Samples are from a fixed time; a game's events are from now.
                tally.written(index, event, event.event_id, now / 1_000);
            }
            tally.close();
            if let Some((witness, part)) = witness {
                witness.settled(part, &Outcome::Stored);
            }
        });
    });
    group.bench_function("find a member of event_data", |b| {
        let mut next = in_turn(&events);
        b.iter(|| member(black_box(next().event_data), "spell_id"));
    });
    group.finish();
}

/// Takes outcomes and looks only whether they are good.
struct Accepted;

impl Reply for Accepted {
    fn settled(&self, _token: u64, outcome: BatchOutcome, _permit: Permit) {
        let BatchOutcome::Settled(verdict) = outcome else { panic!("a batch was refused") };
        assert!(verdict.not_accepted.is_empty(), "{:?}", verdict.not_accepted.first());
    }
}

fn app(metrics: &Arc<Metrics>) -> Arc<App> {
    Apps::new(&AdmissionSettings::default(), metrics).get(&Application {
        application_id: Uuid::new_v4(),
        name: "bench".to_owned(),
        description: None,
        limits: registry::Limits::default(),
        route: None,
        environment: registry::Environment::Prod,
        created_at_ms: 0,
        updated_at_ms: 0,
    })
}

fn everything(c: &mut Criterion) {
    let (clock, metrics) = (Clock::system(), Metrics::new());
    let sink = Arc::new(Discard::new(BUCKET, Duration::from_secs(1)));
    let parts = LanesParts {
        sink: Arc::clone(&sink) as Arc<dyn BucketSink>,
        packing: Packing::lines(BUCKET, Duration::from_secs(1)),
        deadline: Duration::from_secs(10),
        in_flight: InFlight::new(),
        clock: clock.clone(),
    };
    let lanes = Lanes::sticky(2, parts, &metrics);
    let routes = Routes::single(Outlet { lanes: Arc::clone(&lanes), destination: sink });
    let apps = Apps::new(&AdmissionSettings::default(), &metrics);
    let live = Live::new(&LiveSettings::default(), &apps, &clock, &metrics);
    let parts = ingest::Parts {
        routes,
        rejects: None,
        policies: Policies::new(),
        live,
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
    };
    let ingest = Ingest::new(&IngestSettings::default(), parts).expect("randomness");
    let app = app(&metrics);
    let reply: Arc<dyn Reply> = Arc::new(Accepted);
    let mut batches = Batches::new(STREAMS_OF_100, 1).expect("randomness");
    c.bench_function("take a batch of 100: read, check, dedupe, write, settle", |b| {
        b.iter_batched(
            || batches.next_framed().slice(PREFIX..),
            |message| {
                let head = ingest.head(&message, Envelope::Stream).expect("a good batch");
                ingest.take(Incoming {
                    app: Arc::clone(&app),
                    permit: app.take_permit(message.len()).expect("little is in flight"),
                    message,
                    envelope: Envelope::Stream,
                    head,
                    flaws: Vec::new(),
                    policy: ingest.policy(&app),
                    arrived: clock.now(),
                    reply: Arc::clone(&reply),
                    token: head.sequence,
                    affinity: 0,
                });
            },
            BatchSize::SmallInput,
        );
    });
    // Settles what the last open buckets hold.
    lanes.close_all();
}

criterion_group! {
    name = stations;
    config = criterion::Criterion::default()
        .with_measurement(CpuTime)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    targets = reading, checking, writing, remembering, admitting, showing, everything
}
criterion_main!(stations);
