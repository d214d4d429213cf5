//! Promises of the spill, on the real file system and on one that loses power, hangs, or refuses.

use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle as Task;

use super::*;
use crate::delivery::Health;
use crate::delivery::lake::files::OsFiles;
use crate::delivery::lake::power_cut::{PowerCutFiles, Survival};
use crate::gather::testing::{Verdict, bucket, lane};
use crate::gather::{
    BucketId, BucketSink, EventRange, FailureReason, Fate, Format, InFlight, LaneHold, Outcome, Packing, Waiter,
};
use crate::operate::tasks::Tasks;

mod delivering;
mod keeping;
mod sending;

const UNKNOWN: Outcome = Outcome::Unknown { reason: FailureReason::Deadline };
const NOT_STORED: Outcome =
    Outcome::NotStored { reason: FailureReason::DestinationUnavailable, retry_after: Duration::from_secs(1) };
const MIB: u64 = 1 << 20;

struct Rig {
    dir: TempDir,
    metrics: Arc<Metrics>,
    in_flight: Arc<InFlight>,
    clock: Clock,
    runtime: Runtime,
}

impl Rig {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("makes a folder"),
            metrics: Metrics::new(),
            in_flight: InFlight::new(),
            clock: Clock::system(),
            runtime: tokio::runtime::Runtime::new().expect("has a runtime"),
        }
    }

    fn failing(&self) -> PowerCutFiles {
        PowerCutFiles::new(self.dir.path(), Survival::Nothing).expect("opens")
    }

    fn open(&self, files: impl FileLayer + 'static, bound: u64) -> Arc<Spill> {
        Spill::open(SpillParts {
            files: Arc::new(files),
            data_dir: self.dir.path(),
            name: "kinesis",
            bound,
            deadline: Duration::from_secs(15),
            clock: self.clock.clone(),
            metrics: &self.metrics,
        })
        .expect("opens")
    }

    fn bucket(&self, payload: &str) -> (ClosedBucket, Arc<Verdict>) {
        bucket(&self.in_flight, payload.as_bytes().to_vec(), 1, self.clock.now())
    }

    fn bucket_of(&self, lane: &LaneHold, payload: &str) -> ClosedBucket {
        lane.order().keep();
        ClosedBucket { lane: Some(lane.clone()), ..self.bucket(payload).0 }
    }

    /// Keeps a bucket and waits until it is on the disk.
    fn keep(&self, spill: &Spill, payload: &str) {
        let (bucket, verdict) = self.bucket(payload);
        assert!(spill.keep(bucket).is_ok());
        assert_eq!(verdict.wait(), UNKNOWN);
    }

    fn run(&self, spill: &Arc<Spill>, destination: &Arc<Recipient>) -> Task<Option<()>> {
        let destination = Arc::clone(destination) as Arc<dyn Destination>;
        let _entered = self.runtime.enter();
        Tasks::new(&self.metrics).spawn("spill", Arc::clone(spill).run(destination))
    }

    fn close(&self, spill: &Spill) {
        self.runtime.block_on(spill.close());
    }

    fn files(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.dir.path().join("spill/kinesis")).expect("lists");
        let mut files: Vec<_> = files.map(|file| file.expect("reads").path()).collect();
        files.sort();
        files
    }

    fn wait_for(&self, what: &str, is_so: impl Fn() -> bool) {
        let until = self.clock.now() + Duration::from_secs(20);
        while !is_so() {
            assert!(self.clock.now() < until, "{what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn count(&self, metric: Counter) -> u64 {
        self.metrics.counter(metric, &["kinesis"]).get()
    }

    /// What a resend of an event of a bucket is told now, if it shares the bucket's outcome.
    fn resend(&self, id: u64) -> (Fate, Option<Outcome>) {
        let verdict = Arc::new(Verdict::default());
        let waiter = Arc::clone(&verdict) as Arc<dyn Waiter>;
        let fate = self.in_flight.share(BucketId(id), &waiter, EventRange { start: 0, end: 1 });
        (fate, verdict.now())
    }
}

/// A destination that answers at once, as it is told to.
#[derive(Default)]
struct Recipient {
    down: AtomicBool,
    holds: AtomicBool,
    // What it answers first; then it stores.
    answers: Mutex<VecDeque<Outcome>>,
    taken: Mutex<Vec<(String, Format, Option<u64>)>>,
    held: Mutex<Vec<ClosedBucket>>,
}

impl Recipient {
    fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    fn taken(&self) -> Vec<String> {
        self.taken.lock().expect("no panics").iter().map(|(payload, ..)| payload.clone()).collect()
    }

    fn release(&self, outcome: &Outcome) {
        let held: Vec<_> = self.held.lock().expect("no panics").drain(..).collect();
        held.into_iter().for_each(|bucket| bucket.ticket.settle(outcome));
    }
}

impl BucketSink for Recipient {
    fn submit(&self, bucket: ClosedBucket) {
        assert!(bucket.kept, "only kept buckets are sent");
        let payload = String::from_utf8(bucket.payload.clone()).expect("is text");
        let lane = bucket.lane.as_ref().map(|lane| lane.order().number());
        self.taken.lock().expect("no panics").push((payload, bucket.format, lane));
        if self.holds.load(Ordering::Relaxed) {
            self.held.lock().expect("no panics").push(bucket);
            return;
        }
        let answer = self.answers.lock().expect("no panics").pop_front().unwrap_or(Outcome::Stored);
        bucket.ticket.settle(&answer);
    }
}

#[async_trait]
impl Destination for Recipient {
    fn name(&self) -> &'static str {
        "kinesis"
    }

    fn packing(&self) -> Packing {
        Packing::buckets(Format::Lines, 1 << 20, Duration::from_millis(1))
    }

    fn health(&self) -> Health {
        match self.down.load(Ordering::Relaxed) {
            false => Health::Up,
            true => Health::Down { reason: "told so".to_owned(), retry_after: Duration::from_millis(20) },
        }
    }

    async fn close(&self) {}
}
