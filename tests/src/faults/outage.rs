//! An outage of a destination, between a stretch of health before it and one of the same length after it.
//!
//! Requests are counted from the outage's beginning to the end of the stretch after it, by the gateway itself, which knows
//! of those that nobody took, and by the stand-in; the higher count is taken. They are set against the events that were
//! acknowledged in that time and against what events took of requests in the healthy stretch. A gateway that only waits
//! sends as many as before; probes, attempts in vain and resends come on top.

use std::time::Duration;

use tokio::time::Instant;

use super::Run;
use super::figures::{Figures, seconds};
use super::stage::{NEVER, Stage};

/// The bar of requests.
const REQUESTS: f64 = 1.2;

/// What the gateway does while all is well.
#[derive(Clone, Copy, Debug)]
pub(super) struct Health {
    /// Events acknowledged a second.
    pub(super) rate: f64,
    requests_an_event: f64,
}

#[derive(Clone, Copy)]
struct Count {
    requests: f64,
    acknowledged: u64,
}

impl Health {
    pub(super) async fn of(stage: &Stage, time: Duration) -> Self {
        let before = Count::of(stage).await;
        let rate = stage.rate(time).await;
        Self { rate, requests_an_event: before.until(Count::of(stage).await) }
    }
}

impl Count {
    async fn of(stage: &Stage) -> Self {
        let own = stage.metrics().await.sum("headgate_delivery_calls_total", &[]);
        let taken: u64 =
            stage.house.stand_in.iter().flat_map(|stand_in| stand_in.tally().kinesis.calls).map(puts).sum();
        Self { requests: own.max(taken as f64), acknowledged: stage.oracle.acknowledged() }
    }

    /// Requests for each event.
    fn until(self, later: Self) -> f64 {
        (later.requests - self.requests) / (later.acknowledged - self.acknowledged).max(1) as f64
    }
}

fn puts((operation, calls): (String, u64)) -> u64 {
    if operation.starts_with("Put") { calls } else { 0 }
}

/// Has an outage happen: `outage` lasts as long as it does. Told and judged are when throughput was back, and the
/// requests.
pub(super) async fn happens(
    stage: &Stage,
    run: Run,
    health: Health,
    heals_within: Duration,
    name: &str,
    outage: impl Future<Output = ()>,
    figures: &mut Figures,
) {
    Run::say(name);
    let (before, refused) = (Count::of(stage).await, stage.refusals());
    let began = Instant::now();
    outage.await;
    let lasted = began.elapsed();
    let refused = stage.refusals() - refused;
    let back = stage.back_at(health.rate).await;
    let _ = stage.rate(run.time).await;
    let requests = before.until(Count::of(stage).await) / health.requests_an_event;
    let words =
        if back < NEVER { format!("back after {}", seconds(back)) } else { format!("not back within {NEVER:?}") };
    figures.tell(format!("{name} for {}: {refused} refusals", seconds(lasted)));
    figures.must(back <= heals_within, words);
    figures.must(requests <= REQUESTS, format!("requests × {requests:.2}"));
}
