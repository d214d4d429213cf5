//! Stations that need a house around them: what lies between transport and destination.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headgate::admission::app::{App, Apps};
use headgate::admission::budget::Permit;
use headgate::clock::Clock;
use headgate::config::{AdmissionSettings, IngestSettings, KinesisSettings, LiveSettings};
use headgate::delivery::Discard;
use headgate::delivery::packing::kinesis_packing;
use headgate::delivery::route::{Outlet, Routes};
use headgate::event::scan::{self, Envelope, RawEvent};
use headgate::gather::{BucketId, BucketSink, Format, InFlight, Lanes, LanesParts, Outcome, Packing};
use headgate::ingest::policy::Policies;
use headgate::ingest::verdict::{BatchOutcome, Reply};
use headgate::ingest::{self, Incoming, Ingest};
use headgate::live::Live;
use headgate::metrics::Metrics;
use headgate::registry::{self, Application};
use prost::Message;
use uuid::Uuid;

use super::{EVENTS, Turn};
use crate::events::Sample;
use crate::load::{Batches, Call, Case};

/// The flag and the length before a gRPC message.
const PREFIX: usize = 5;
/// Nothing lingers so long while it is measured.
const LINGER: Duration = Duration::from_secs(60);
const BUCKET: usize = 256 << 10;
/// Batches that are made beforehand; each is sent again and again, with ids that were never sent.
const BATCHES: usize = 64;

fn app(apps: &Apps) -> Arc<App> {
    apps.get(&Application {
        application_id: Uuid::from_u128(7),
        name: "bench".to_owned(),
        description: None,
        limits: registry::Limits::default(),
        route: None,
        environment: registry::Environment::Prod,
        created_at_ms: 0,
        updated_at_ms: 0,
    })
}

pub(super) fn permit() -> Turn {
    let app = app(&Apps::new(&AdmissionSettings::default(), &Metrics::new()));
    Box::new(move || {
        for _ in 0..EVENTS {
            drop(black_box(app.take_permit(black_box(34_200))));
        }
    })
}

/// What live costs: a batch's events are counted, and merged once their bucket is stored.
pub(super) fn show() -> Turn {
    let (clock, metrics) = (Clock::system(), Metrics::new());
    let apps = Apps::new(&AdmissionSettings::default(), &metrics);
    let live = Live::new(&LiveSettings::default(), &apps, &clock, &metrics);
    let app = live.app(Uuid::from_u128(7));
    let mut sample = Sample::new(1);
    let encoded: Vec<Vec<u8>> = (0..EVENTS).map(|_| sample.event().encode_to_vec()).collect();
    let now = clock.wall_ms();
    let mut bucket = 0;
    Box::new(move || {
        bucket += 1;
        let mut tally = app.tally(now, EVENTS);
        let witness = tally.enter(BucketId(bucket));
        for (index, bytes) in (0..).zip(black_box(&encoded)) {
            let event: RawEvent<'_> = scan::event(bytes).expect("samples are well formed");
            // Samples are from a fixed time; a game's events are from now.
            tally.written(index, &event, event.event_id, now / 1_000);
        }
        tally.close();
        if let Some((witness, part)) = witness {
            witness.settled(part, &Outcome::Stored);
        }
    })
}

/// Takes outcomes and looks only whether they are good. What is open when a house is given up is unknown to it.
struct Accepted;

impl Reply for Accepted {
    fn settled(&self, _token: u64, outcome: BatchOutcome, _permit: Permit) {
        let BatchOutcome::Settled(verdict) = outcome else { panic!("a batch was refused") };
        assert!(verdict.rejected == 0 && verdict.retry == 0, "{:?}", verdict.not_accepted.first());
    }
}

pub(super) fn take_batch() -> Turn {
    take(EVENTS, Packing::buckets(Format::Lines, BUCKET, LINGER), IngestSettings::default())
}

pub(super) fn take_and_pack() -> Turn {
    take(EVENTS, Packing::buckets(Format::Packed, BUCKET, LINGER), IngestSettings::default())
}

pub(super) fn take_and_seal() -> Turn {
    let packing = Packing { linger: LINGER, ..kinesis_packing(&KinesisSettings::default()) };
    take(EVENTS, packing, IngestSettings::default())
}

/// Takes a batch of so many events each time, and remembers the ids of so many events.
pub fn taking(events: u32, dedupe_window: u32) -> Box<dyn FnMut()> {
    take(
        events,
        Packing::buckets(Format::Lines, BUCKET, LINGER),
        IngestSettings { dedupe_window, ..IngestSettings::default() },
    )
}

fn take(events: u32, packing: Packing, settings: IngestSettings) -> Turn {
    let (clock, metrics) = (Clock::system(), Metrics::new());
    let sink = Arc::new(Discard::new(packing, KinesisSettings::default().max_call.as_usize()));
    let parts = LanesParts {
        sink: Arc::clone(&sink) as Arc<dyn BucketSink>,
        packing,
        deadline: LINGER,
        in_flight: InFlight::new(),
        clock: clock.clone(),
    };
    let lanes = Lanes::sticky(2, parts, &metrics);
    let routes = Routes::single(Outlet { lanes, destination: sink });
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
    let ingest = Ingest::new(&settings, parts).expect("the system has randomness");
    let app = app(&apps);
    let reply: Arc<dyn Reply> = Arc::new(Accepted);
    let mut batches = Batches::new(Case::new(Call::Stream, events), 1).expect("the system has randomness");
    let mut made: Vec<Bytes> = Vec::new();
    Box::new(move || {
        let message = made.pop().unwrap_or_else(|| {
            made.extend((1..BATCHES).map(|_| batches.next_framed().slice(PREFIX..)));
            batches.next_framed().slice(PREFIX..)
        });
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
            clock_skew_ms: None,
            reply: Arc::clone(&reply),
            token: head.sequence,
            affinity: 0,
        });
    })
}
