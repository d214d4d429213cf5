//! Calls of exactly 500 records of which exactly k fail: the sender alone, through the SDK, on the stand-in.

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
use headgate_tests::aws::faults::{Fault, Rule};
use headgate_tests::aws::kinesis::StreamSettings;
use headgate_tests::aws::{RecordError, Settings, StandIn};
use headgate_tests::{ministack, poll};
use tokio_util::sync::CancellationToken;

use super::STREAM;
use crate::PATIENCE;

/// The most that PutRecords takes.
const RECORDS: u32 = 500;

#[derive(Default)]
struct Heard(Mutex<Option<Outcome>>);

impl Waiter for Heard {
    fn settled(&self, _range: EventRange, outcome: &Outcome) {
        *self.0.lock().expect("unpoisoned") = Some(outcome.clone());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_five_hundred_records_exactly_the_k_that_failed_are_sent_again() {
    let stand_in = StandIn::start(Settings { throttle: None, seed: 7, ..Settings::default() }).await;
    // Enough shards that their limits do not divide the calls.
    stand_in.create_stream(StreamSettings::new(STREAM, 64));
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
    for records in [1, 2, 3, 7, 20, 77, 150, 249, 250, 333, 450, 498, 499, 500] {
        // Not throttled ones: after those, the sender sends the shard less at once, and calls are smaller.
        let error = RecordError::InternalFailure;
        let before = stand_in.tally().kinesis;
        let rule = stand_in.faults().set(Rule::new(Fault::RecordsFail { records, error }).times(1));
        let heard = Arc::new(Heard::default());
        lanes.write(0, |writer| {
            for n in 0..RECORDS {
                let line = format!("{{\"k\":{records},\"n\":{n}}}\n");
                // One bucket whatever its size: a call of its own.
                writer.append(line.len()).extend_from_slice(line.as_bytes());
            }
            writer.attach(&(Arc::clone(&heard) as Arc<dyn Waiter>), EventRange { start: 0, end: RECORDS });
        });
        lanes.close_all();
        let outcome = poll::until("an outcome", PATIENCE, async || heard.0.lock().expect("unpoisoned").clone()).await;
        stand_in.faults().unset(rule);
        let after = stand_in.tally().kinesis;
        assert_eq!(outcome, Outcome::Stored, "k = {records}");
        assert_eq!(after.stored_records - before.stored_records, u64::from(RECORDS), "k = {records}: each once");
        assert_eq!(after.records - before.records, u64::from(RECORDS) + records as u64, "k = {records}: no more");
    }
    let shards = stand_in.stream(STREAM).shards();
    let stored: Vec<_> = shards.iter().flat_map(|shard| &shard.records).collect();
    let distinct: std::collections::HashSet<_> = stored.iter().map(|record| &record.data).collect();
    assert_eq!(stored.len(), distinct.len(), "each line is there once");
    stop.cancel();
}
