//! The gateway's lanes under a flow of events, and a sink that bills what they hand over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use headgate::clock::Clock;
use headgate::config::{FirehoseSettings, KinesisSettings, Routing};
use headgate::delivery::packing::{firehose_packing, kinesis_packing};
use headgate::gather::{BucketSink, ClosedBucket, Format, InFlight, Lanes, LanesParts, Outcome, Packing, ShardRange};
use headgate::metrics::Metrics;
use headgate_proto::aggregate;
use tokio::task::JoinSet;

use super::{Arrival, Arrivals, Flow, SHARDS, Tally, Way};

/// Lanes of a gateway on four cores.
const LANES: usize = 4;
/// Events are written this often, those that are due by then.
const TICK: Duration = Duration::from_millis(1);
/// An event that is written so much later than it is due may miss a bucket that its linger closed.
const TOO_LATE: Duration = Duration::from_millis(20);
/// Hash keys that records of a shard rotate over, as the sender has it.
const POINTS: u32 = 16;

/// What came of a flow.
pub(super) struct Measured {
    pub(super) tally: Tally,
    /// The share of events that were written too late.
    pub(super) late: f64,
}

/// Runs a flow in real time.
pub(super) async fn measure(way: Way, flow: Flow, warm_up: Duration, measured: Duration) -> Measured {
    let clock = Clock::system();
    let begin = clock.now();
    let bill = Arc::new(Bill::new(begin + warm_up, clock.clone()));
    let parts = LanesParts {
        sink: Arc::clone(&bill) as Arc<dyn BucketSink>,
        packing: packing(way),
        deadline: Duration::from_secs(15),
        in_flight: InFlight::new(),
        clock: clock.clone(),
    };
    let lanes = match way {
        Way::Keyed => Lanes::keyed(&shards(), parts, &Metrics::new()),
        Way::Sticky | Way::Firehose { .. } => Lanes::sticky(LANES, parts, &Metrics::new()),
    };
    let mut lingering = JoinSet::new();
    lingering.spawn(Arc::clone(&lanes).linger());

    let mut arrivals = Arrivals::new(flow).take_while(|arrival| arrival.at < warm_up + measured).peekable();
    let (mut written, mut late) = (0_u64, 0_u64);
    while let Some(next) = arrivals.peek() {
        tokio::time::sleep_until((begin + next.at.max(clock.now() - begin + TICK)).into()).await;
        let now = clock.now() - begin;
        while let Some(arrival) = arrivals.next_if(|arrival| arrival.at <= now) {
            written += 1;
            late += u64::from(now - arrival.at > TOO_LATE);
            write(&lanes, &arrival);
        }
    }
    // What is open now would have held more.
    bill.closed.store(true, Ordering::Release);
    lingering.abort_all();
    lanes.close_all();
    let tally = *bill.tally.lock().unwrap_or_else(PoisonError::into_inner);
    #[allow(clippy::cast_precision_loss, reason = "below 2^52")]
    let late = late as f64 / written.max(1) as f64;
    Measured { tally, late }
}

fn packing(way: Way) -> Packing {
    match way {
        Way::Sticky => kinesis_packing(&KinesisSettings::default()),
        Way::Keyed => kinesis_packing(&KinesisSettings { routing: Routing::Keyed, ..KinesisSettings::default() }),
        Way::Firehose { linger } => {
            let defaults = FirehoseSettings::default();
            firehose_packing(&FirehoseSettings { linger: linger.unwrap_or(defaults.linger), ..defaults })
        }
    }
}

fn shards() -> Vec<ShardRange> {
    let width = u128::MAX / SHARDS as u128;
    let shard = |number: usize| {
        let start = if number == 0 { 0 } else { width * number as u128 + 1 };
        let end = if number + 1 == SHARDS { u128::MAX } else { width * (number as u128 + 1) };
        ShardRange { id: format!("shardId-{number:012}").into(), start, end }
    };
    (0..SHARDS).map(shard).collect()
}

/// Each event by itself: batches would only fill records better.
fn write(lanes: &Lanes, arrival: &Arrival) {
    lanes.write(0, |writer| {
        writer.move_to(arrival.hash_key);
        if writer.must_turn_for(arrival.len) {
            writer.turn(arrival.len);
        }
        let payload = writer.append(arrival.len);
        payload.resize(payload.len() + arrival.len - 1, b'x');
        payload.push(b'\n');
    });
}

/// Stores everything and counts what it would be billed for.
struct Bill {
    clock: Clock,
    counts_from: Instant,
    closed: AtomicBool,
    tally: Mutex<Tally>,
    // Bytes of the envelope, for each hash key that the stream's records are sealed for, in turn.
    envelopes: Vec<usize>,
}

impl Bill {
    fn new(counts_from: Instant, clock: Clock) -> Self {
        let points = shards().into_iter().flat_map(|shard| (0..POINTS).map(move |point| shard.point(point, POINTS)));
        let envelopes = points.map(|point| aggregate::seal(&[], point).len()).collect();
        Self { clock, counts_from, closed: AtomicBool::new(false), tally: Mutex::default(), envelopes }
    }
}

impl BucketSink for Bill {
    fn submit(&self, bucket: ClosedBucket) {
        let counts = bucket.opened_at >= self.counts_from && !self.closed.load(Ordering::Acquire);
        if counts {
            let payload = bucket.records().map(|record| record.len()).sum();
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            let wire = match (bucket.format, bucket.events) {
                (Format::Lines | Format::Packed, _) => payload,
                // As the sender has it: an event alone needs no envelope.
                (Format::Aggregate, 1) => payload + aggregate::PARTITION_KEY.len(),
                // `seal` puts magic and tables before the user records and the MD5 behind them: its length adds up.
                (Format::Aggregate, _) => {
                    let turn = usize::try_from(tally.records).unwrap_or(0) % self.envelopes.len();
                    self.envelopes[turn] + bucket.payload.len() + aggregate::PARTITION_KEY.len()
                }
            };
            tally.add(payload, wire, bucket.events);
            tally.note_open(self.clock.now().saturating_duration_since(bucket.opened_at));
        }
        bucket.ticket.settle(&Outcome::Stored);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_adds_its_length_to_the_user_records() {
        let mut framed = Vec::new();
        for len in [1, 300, 70_000] {
            aggregate::begin_user_record(&mut framed, len);
            framed.resize(framed.len() + len, b'x');
        }
        for shard in shards() {
            let point = shard.point(3, POINTS);
            assert!(shard.owns(point));
            assert_eq!(aggregate::seal(&framed, point).len(), aggregate::seal(&[], point).len() + framed.len());
        }
    }
}
