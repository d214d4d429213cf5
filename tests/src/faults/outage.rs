//! An outage of a destination, between a stretch of health before it and one of the same length after it.
//!
//! Two things say how much harder a service in trouble is pressed than a well one. Its requests: those of the outage, beside
//! those of the same time in health, before and after. And its records: how often each was sent, from the outage's beginning
//! to the end of the stretch after it, so that what was held up and comes back all at once counts. Requests for an event
//! would say less: how many events share a call depends on the machine's timing.

use std::time::Duration;

use tokio::time::Instant;

use super::Run;
use super::figures::{Figures, seconds};
use super::stage::{NEVER, Stage};

/// The bar: requests beside those of health, and times that a record is sent.
const PRESSED: f64 = 1.2;

#[derive(Clone, Copy)]
struct Count {
    /// The gateway's count, which knows of requests that nobody took, or the stand-in's, whichever is higher.
    requests: f64,
    records_stored: f64,
    records_sent_again: f64,
}

impl Count {
    async fn of(stage: &Stage) -> Self {
        let metrics = stage.metrics().await;
        let own = metrics.sum("headgate_delivery_calls_total", &[]);
        let taken: u64 =
            stage.house.stand_in.iter().flat_map(|stand_in| stand_in.tally().kinesis.calls).map(puts).sum();
        Self {
            requests: own.max(taken as f64),
            records_stored: metrics.sum("headgate_delivery_records_total", &[]),
            records_sent_again: metrics.sum("headgate_delivery_retried_records_total", &[]),
        }
    }

    fn until(self, later: Self) -> Self {
        Self {
            requests: later.requests - self.requests,
            records_stored: later.records_stored - self.records_stored,
            records_sent_again: later.records_sent_again - self.records_sent_again,
        }
    }
}

fn puts((operation, calls): (String, u64)) -> u64 {
    if operation.starts_with("Put") { calls } else { 0 }
}

/// Has an outage happen: `outage` lasts as long as it does. Told and judged are when throughput was back, and how hard the
/// service was pressed.
pub(super) async fn happens(
    stage: &Stage,
    run: Run,
    heals_within: Duration,
    name: &str,
    outage: impl Future<Output = ()>,
    figures: &mut Figures,
) {
    Run::say(name);
    let start = Count::of(stage).await;
    let healthy = stage.rate(run.time).await;
    let (began, refused) = (Instant::now(), stage.refusals());
    let before = Count::of(stage).await;
    outage.await;
    let lasted = began.elapsed();
    let ended = Count::of(stage).await;
    let refused = stage.refusals() - refused;
    let back = stage.back_at(healthy).await;
    let recovered = Count::of(stage).await;
    let _ = stage.rate(run.time).await;
    let after = Count::of(stage).await;

    let in_health = f64::midpoint(start.until(before).requests, recovered.until(after).requests);
    let in_health = in_health * lasted.as_secs_f64() / run.time.as_secs_f64();
    let during = before.until(ended).requests;
    let all = before.until(after);
    let times_sent = 1.0 + all.records_sent_again / all.records_stored.max(1.0);
    figures.tell(format!("{name} for {}: {refused} refusals", seconds(lasted)));
    let words =
        if back < NEVER { format!("back after {}", seconds(back)) } else { format!("not back within {NEVER:?}") };
    figures.must(back <= heals_within, words);
    let words = format!("{during:.0} requests of {in_health:.0} in health");
    figures.must(during <= PRESSED * in_health, words);
    figures.must(times_sent <= PRESSED, format!("records sent × {times_sent:.2}"));
}
