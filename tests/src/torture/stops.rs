//! SIGKILL and SIGTERM at full load, again and again, on the lake and on Kinesis. Only the gateway goes; the stand-in for
//! Kinesis lives on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::progress::Progress;
use crate::aws::kinesis::StreamSettings;
use crate::aws::{Settings, StandIn, kcl};
use crate::gateway::GatewayProcess;
use crate::load::{Load, Shape};
use crate::oracle::{Judgement, Oracle};
use crate::seed::Draw;
use crate::{binary, lake, ministack, stream};

/// Stops in one house: what the destination holds is read at its end and must fit into memory.
const A_HOUSE: u32 = 20;
const PATIENCE: Duration = Duration::from_secs(120);
const STREAM: &str = "events";

/// How the gateway is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// SIGKILL.
    Kill,
    /// SIGTERM.
    Terminate,
}

/// Where events go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum To {
    /// The local lake.
    Lake,
    /// Kinesis.
    Kinesis,
}

/// What came of many stops.
#[derive(Clone, Debug, Serialize)]
pub struct Stops {
    /// How.
    pub stop: Stop,
    /// Where to.
    pub to: To,
    /// How many.
    pub stops: u32,
    /// Events acknowledged.
    pub acknowledged: u64,
    /// Acknowledged events that are not there.
    pub lost: u64,
    /// Every broken promise, lost events among them.
    pub violations: u64,
    /// Rows beyond the first of an event: of calls without an answer.
    pub duplicates: u64,
    /// Calls that ended without any status. SIGTERM must leave none.
    pub unanswered: u64,
    /// Drains that were not clean.
    pub unclean: u32,
    /// Bytes that kills tore off and starts cut away.
    pub torn_bytes: u64,
    /// The longest drain, milliseconds.
    pub worst_drain_ms: u64,
    /// The longest start, recovery included, milliseconds.
    pub worst_ready_ms: u64,
}

impl Stops {
    /// Whether every promise was kept.
    #[must_use]
    pub fn passed(&self) -> bool {
        let answered = self.stop == Stop::Kill || self.unanswered == 0;
        self.violations == 0 && self.unclean == 0 && answered && self.acknowledged > 0
    }
}

/// Stops a gateway at full load so many times, and judges.
pub async fn run(stop: Stop, to: To, stops: u32, seed: u64, progress: &mut Progress) -> Stops {
    let mut sum = Stops {
        stop,
        to,
        stops: 0,
        acknowledged: 0,
        lost: 0,
        violations: 0,
        duplicates: 0,
        unanswered: 0,
        unclean: 0,
        torn_bytes: 0,
        worst_drain_ms: 0,
        worst_ready_ms: 0,
    };
    let mut house = 0;
    while sum.stops < stops {
        let now = A_HOUSE.min(stops - sum.stops);
        in_house(&mut sum, now, seed.wrapping_add(house), progress).await;
        house += 1;
    }
    sum
}

async fn in_house(sum: &mut Stops, stops: u32, seed: u64, progress: &mut Progress) {
    let mut draw = Draw::new(seed, 0);
    let data = tempfile::tempdir().expect("a folder");
    let stand_in = StandIn::start(Settings { throttle: None, seed, ..Settings::default() }).await;
    let of_house = stand_in.create_stream(StreamSettings::new(STREAM, 4));
    let mut settings = vec![
        "admission.events_per_second=1000000000",
        "admission.events_burst=1000000000",
        "admission.bytes_per_second=100GiB",
        "admission.bytes_burst=100GiB",
        "lake.segment=4MiB",
        "lake.segment_age=1s",
        "kinesis.linger=20ms",
    ];
    if sum.to == To::Kinesis {
        settings.extend(["delivery.destination=kinesis", "kinesis.stream=events"]);
    }
    let environment = ministack::environment(stand_in.address());
    let mut gateway = GatewayProcess::start_in(data.path(), &settings, &environment).await;
    let (demo, target) = gateway.demo();
    let oracle = Arc::new(Oracle::new(seed, &[demo]));
    let shape = Shape { streams: 6, stubborn: 1, unary: 6, ..Shape::default() };
    let load = Load::start(&oracle, &[target], &shape, seed);
    for _ in 0..stops {
        load.acknowledge(draw.within(500..=4_000), PATIENCE).await;
        // Not to wait for anything: the stop must not be tied to an acknowledgement.
        tokio::time::sleep(Duration::from_micros(draw.within(0..=30_000))).await;
        let began = Instant::now();
        match sum.stop {
            Stop::Kill => gateway.kill(),
            Stop::Terminate => {
                let status = gateway.terminate(PATIENCE).await;
                sum.unclean += u32::from(!status.success());
                sum.worst_drain_ms = sum.worst_drain_ms.max(ms(began.elapsed()));
            }
        }
        oracle.stopped();
        let began = Instant::now();
        gateway.start_again().await;
        sum.worst_ready_ms = sum.worst_ready_ms.max(ms(began.elapsed()));
        sum.torn_bytes += gateway.metrics().await.sum("headgate_lake_torn_bytes_total", &[]) as u64;
        sum.stops += 1;
        progress.show(|| {
            format!("{:?} on {:?}: {} done, {} acknowledged", sum.stop, sum.to, sum.stops, oracle.acknowledged())
        });
    }
    let tally = load.finish(PATIENCE).await;
    sum.unanswered += tally.broken_off + tally.forgotten;
    sum.unclean += u32::from(!gateway.terminate(PATIENCE).await.success());
    let judgement = match sum.to {
        To::Lake => {
            let compacted = binary::run_json(gateway.data_dir(), &["lake", "compact"]);
            assert_eq!(compacted["failed"], serde_json::json!([]), "{compacted}");
            oracle.judge(&lake::rows(&gateway.lake()))
        }
        To::Kinesis => {
            let reading = kcl::read(&of_house.shards());
            assert_eq!(reading.discarded_aggregates, 0, "consumers drop nothing");
            let rows: Vec<_> = reading.records().map(|record| stream::row(&record.data)).collect();
            // Calls that a kill cut off were stored and not answered for; what a client then sends again is its own doing.
            oracle.judge(&rows)
        }
    };
    sum.add(&judgement);
}

impl Stops {
    fn add(&mut self, judgement: &Judgement) {
        self.acknowledged += judgement.acknowledged;
        self.lost += judgement.missing;
        self.violations += judgement.violation_count;
        self.duplicates += judgement.duplicates;
        if judgement.violation_count > 0 {
            eprintln!("{judgement}");
        }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
