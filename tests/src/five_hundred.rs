//! Calls of exactly 500 records, the most that PutRecords takes: the gateway's sender alone, through the SDK, on a stand-in.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headgate::clock::Clock;
use headgate::config::{Aggregation, KinesisSettings};
use headgate::delivery::aws::KinesisStream;
use headgate::delivery::packing::{PUT_UNIT, kinesis_packing};
use headgate::delivery::sender::wire::Describe;
use headgate::delivery::sender::{Billing, Sender, SenderLimits, SenderParts, StreamParts, StreamPrices};
use headgate::gather::{BucketSink, EventRange, InFlight, Lanes, LanesParts, Outcome, Waiter};
use headgate::metrics::Metrics;
use headgate::operate::tasks::Tasks;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::aws::faults::{Fault, Rule};
use crate::aws::kinesis::{Stream, StreamSettings};
use crate::aws::{RecordError, Settings, StandIn};
use crate::{ministack, poll};

const RECORDS: u32 = 500;
const STREAM: &str = "events";
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Heard(Mutex<Option<Outcome>>);

impl Waiter for Heard {
    fn settled(&self, _range: EventRange, outcome: &Outcome) {
        *self.0.lock().expect("unpoisoned") = Some(outcome.clone());
    }
}

/// A sender and its stand-in.
pub struct FiveHundred {
    stand_in: StandIn,
    stream: Arc<Stream>,
    lanes: Arc<Lanes>,
    _stop: DropGuard,
}

/// What became of a call of which some records failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Whether all of it counts as stored.
    pub stored: bool,
    /// Records that were stored: each time they were.
    pub stored_records: u64,
    /// Records that were sent beyond the 500.
    pub sent_again: u64,
}

impl FiveHundred {
    /// Starts both.
    ///
    /// # Panics
    /// If the stand-in does not answer.
    pub async fn start(seed: u64) -> Self {
        let stand_in = StandIn::start(Settings { throttle: None, seed, ..Settings::default() }).await;
        // Enough shards that their limits do not divide the calls.
        let of_stand_in = stand_in.create_stream(StreamSettings::new(STREAM, 64));
        let settings = KinesisSettings {
            stream: STREAM.to_owned(),
            aggregation: Aggregation::None,
            linger: Duration::from_secs(3_600),
            ..KinesisSettings::default()
        };
        let (clock, metrics, stop) = (Clock::system(), Metrics::new(), CancellationToken::new());
        let tasks = Tasks::new(&metrics);
        let stream = Arc::new(KinesisStream::new(&ministack::config(stand_in.address()).await, &settings));
        let billing_of = |_, _: &StreamPrices| Billing { unit: PUT_UNIT, price: 0.0 };
        let parts = SenderParts {
            wire: Arc::clone(&stream) as _,
            packing: kinesis_packing(&settings),
            limits: SenderLimits {
                bytes_a_call: settings.max_call.as_usize(),
                calls_in_flight: settings.max_calls_in_flight,
                records_in_flight_a_shard: settings.max_records_in_flight_per_shard,
                bytes_a_call_a_shard: settings.max_call_per_shard.as_usize(),
                attempt_timeout: settings.attempt_timeout,
            },
            billing: Billing { unit: PUT_UNIT, price: 0.0 },
            clock: clock.clone(),
            tasks: tasks.clone(),
            metrics: Arc::clone(&metrics),
        };
        let description = stream.describe().await.expect("the stand-in answers");
        let of_stream = StreamParts {
            describe: stream,
            stream: description,
            aggregates: false,
            keyed: false,
            refresh_interval: Duration::from_secs(60),
            billing_of,
            prices: StreamPrices { put_units_million: 0.0, on_demand_gb: 0.0 },
        };
        let sender = Sender::to_stream(parts, of_stream, None);
        let sending = Arc::clone(&sender);
        tasks.supervise("sender", &stop, move || Arc::clone(&sending).run());
        let lanes = Lanes::sticky(
            1,
            LanesParts {
                sink: Arc::clone(&sender) as Arc<dyn BucketSink>,
                packing: kinesis_packing(&settings),
                deadline: Duration::from_secs(15),
                in_flight: InFlight::new(),
                clock,
            },
            &metrics,
        );
        Self { stand_in, stream: of_stand_in, lanes, _stop: stop.drop_guard() }
    }

    /// Sends 500 records in one call, of which `k` fail once at random places.
    ///
    /// # Panics
    /// If there is no outcome.
    pub async fn send(&self, k: usize) -> Sent {
        // Not throttled ones: after those, the sender sends the shard less at once, and calls are smaller.
        let error = RecordError::InternalFailure;
        let before = self.stand_in.tally().kinesis;
        let rule = self.stand_in.faults().set(Rule::new(Fault::RecordsFail { records: k, error }).times(1));
        let heard = Arc::new(Heard::default());
        self.lanes.write(0, |writer| {
            for n in 0..RECORDS {
                let line = format!("{{\"k\":{k},\"n\":{n}}}\n");
                // One bucket whatever its size: a call of its own.
                writer.append(line.len()).extend_from_slice(line.as_bytes());
            }
            writer.attach(&(Arc::clone(&heard) as Arc<dyn Waiter>), EventRange { start: 0, end: RECORDS });
        });
        self.lanes.close_all();
        let outcome = poll::until("an outcome", PATIENCE, async || heard.0.lock().expect("unpoisoned").clone()).await;
        self.stand_in.faults().unset(rule);
        let after = self.stand_in.tally().kinesis;
        Sent {
            stored: outcome == Outcome::Stored,
            stored_records: after.stored_records - before.stored_records,
            sent_again: after.records - before.records - u64::from(RECORDS),
        }
    }

    /// How many records are there more than once; each has a line of its own as long as each k is sent once.
    #[must_use]
    pub fn doubled(&self) -> usize {
        let shards = self.stream.shards();
        let mut distinct = HashSet::new();
        shards.iter().flat_map(|shard| &shard.records).filter(|record| !distinct.insert(&record.data)).count()
    }
}
