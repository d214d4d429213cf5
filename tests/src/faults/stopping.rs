//! Rows 9 and 10: SIGTERM and SIGKILL at full load, one after the other, on the lake and on Kinesis.

use std::sync::Arc;
use std::time::Duration;

use super::Run;
use super::figures::{Figures, count};
use crate::gateway::GatewayProcess;
use crate::load::{Load, Shape};
use crate::oracle::Oracle;
use crate::torn_tail::{self, TEARS};
use crate::torture::progress::Progress;
use crate::torture::stops::{self, Stop, Stops, To};
use crate::{binary, lake};

const PATIENCE: Duration = Duration::from_secs(60);
/// `lifecycle.drain_deadline`.
const DRAIN_MS: u64 = 25_000;
/// So many stops for each second that a fault is to last, within these.
const LEAST: u32 = 3;
const MOST: u32 = 100;

pub(super) async fn terminate(run: Run) -> Figures {
    let mut figures = Figures::default();
    for to in [To::Lake, To::Kinesis] {
        let stops = stop(run, Stop::Terminate, to, &mut figures).await;
        figures.must(stops.unanswered == 0, format!("{} calls without an answer", stops.unanswered));
        figures.must(stops.unclean == 0, format!("{} drains not clean", stops.unclean));
        let drain = format!("worst drain {:.2} s", stops.worst_drain_ms as f64 / 1e3);
        figures.must(stops.worst_drain_ms <= DRAIN_MS, drain);
    }
    figures
}

pub(super) async fn kill(run: Run) -> Figures {
    let mut figures = Figures::default();
    for to in [To::Lake, To::Kinesis] {
        let stops = stop(run, Stop::Kill, to, &mut figures).await;
        figures.tell(format!("{} B torn by the kills themselves", stops.torn_bytes));
        figures.tell(format!("ready again within {:.2} s", stops.worst_ready_ms as f64 / 1e3));
    }
    torn_tails(run, &mut figures).await;
    figures
}

async fn stop(run: Run, stop: Stop, to: To, figures: &mut Figures) -> Stops {
    let times = u32::try_from(run.time.as_secs()).unwrap_or(MOST).clamp(LEAST, MOST);
    Run::say(&format!("{stop:?} on {to:?}, {times} times"));
    let stops = stops::run(stop, to, times, run.seed, &mut Progress::new()).await;
    figures.must(stops.acknowledged > 0, format!("{to:?}: {} acknowledged", count(stops.acknowledged)));
    figures.must(stops.lost == 0, format!("{} lost in {} stops", stops.lost, stops.stops));
    if stops.violations > stops.lost {
        figures.wrong(format!("{} other promises broken", stops.violations - stops.lost));
    }
    stops
}

/// What a kill may leave at the end of the log, left there by hand.
async fn torn_tails(run: Run, figures: &mut Figures) {
    Run::say("torn tails");
    let data = tempfile::tempdir().expect("a folder");
    let mut gateway = GatewayProcess::start(data.path(), &[]).await;
    let (demo, target) = gateway.demo();
    let oracle = Arc::new(Oracle::new(run.seed, &[demo]));
    let mut recovered = 0;
    for (round, tear) in (0..).zip(TEARS) {
        let load = Load::start(&oracle, std::slice::from_ref(&target), &Shape::default(), run.seed.wrapping_add(round));
        load.acknowledge(1_000, PATIENCE).await;
        gateway.kill();
        oracle.stopped();
        let _ = load.abandon().await;
        let torn = torn_tail::leave(&gateway.lake(), tear);
        gateway.start_again().await;
        let metrics = gateway.metrics().await;
        let whole = metrics.sum("headgate_lake_damaged_bytes_total", &[]) == 0.0;
        recovered += usize::from(whole && metrics.sum("headgate_lake_torn_bytes_total", &[]) >= torn as f64);
    }
    figures.must(recovered == TEARS.len(), format!("{recovered} of {} torn tails cut off", TEARS.len()));
    let ended = gateway.terminate(PATIENCE).await;
    figures.must(ended.success(), format!("and the drain was {ended}"));
    let compacted = binary::run_json(gateway.data_dir(), &["lake", "compact"]);
    assert_eq!(compacted["failed"], serde_json::json!([]), "{compacted}");
    let judgement = oracle.judge(&lake::rows(&gateway.lake()));
    figures.must(judgement.missing == 0, format!("{} lost of {}", judgement.missing, count(judgement.acknowledged)));
    if judgement.violation_count > judgement.missing {
        figures.wrong(judgement.to_string());
    }
}
