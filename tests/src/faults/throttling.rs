//! Row 2: half of all records are throttled for long.
//!
//! In two ways. Shards that take half of what they were sent before are what Kinesis does: the records that they refuse
//! depend on what they are sent. Records that are refused by the toss of a coin, however few are sent, are what a stream
//! does that others write to as well.

use std::time::Duration;

use tokio::time::sleep;

use super::Run;
use super::figures::{Figures, count, mib, percent, seconds};
use super::stage::{KINESIS, Stage, steady};
use crate::aws::RecordError;
use crate::aws::faults::{Fault, Rule};
use crate::load::Shape;
use crate::torture::plan::HousePlan;

const GOODPUT: f64 = 0.45;
const BACK_WITHIN: Duration = Duration::from_secs(10);
/// The process may take several times its budget (`admission.bytes_in_flight`) on top of what it takes anyway.
const BUDGETS: f64 = 5.0;
/// Half of what the load puts on its way within the deadline, so that the budget is met by what can't be delivered.
const HOUSE: HousePlan = HousePlan { budget_mib: 16, ..KINESIS };
const SHARD_BYTES: f64 = 1_048_576.0;

pub(super) async fn half(run: Run) -> Figures {
    let mut figures = Figures::default();
    let stage = Stage::open(run, HOUSE, &Shape { window: 1_000, ..steady() }, &[]).await;
    let _ = stage.rate(run.time / 2).await;
    let stored = |stage: &Stage| stage.house.stream.as_ref().expect("the house is on Kinesis").shards();
    let before = stored(&stage);
    let (healthy, calm) = stage.watching(stage.rate(run.time)).await;
    let after = stored(&stage);
    figures.tell(format!("unfaulted {} events a second", count(healthy as u64)));

    Run::say("shards take half of what they were sent");
    let stream = stage.house.stream.as_ref().expect("the house is on Kinesis");
    for (before, after) in before.iter().zip(&after) {
        let sent = (after.stored_bytes - before.stored_bytes) as f64 / run.time.as_secs_f64();
        stream.limit_shard(after.number, Some(sent / 2.0 / SHARD_BYTES));
    }
    faulted(&stage, run, healthy, calm.resident, "shards at half", &mut figures).await;
    after.iter().for_each(|shard| stream.limit_shard(shard.number, None));
    back(&stage, healthy, &mut figures).await;

    Run::say("every second record is throttled");
    let faults = stage.house.stand_in.as_ref().expect("the house is on Kinesis").faults();
    let coin = Fault::EachRecordFails { probability: 0.5, error: RecordError::Throttled };
    let rule = faults.set(Rule::new(coin));
    faulted(&stage, run, healthy, calm.resident, "by the toss of a coin", &mut figures).await;
    faults.unset(rule);
    back(&stage, healthy, &mut figures).await;
    stage.close(&mut figures).await;
    figures
}

async fn faulted(stage: &Stage, run: Run, healthy: f64, calm: f64, name: &str, figures: &mut Figures) {
    let records = || {
        let tally = stage.house.stand_in.as_ref().map(|stand_in| stand_in.tally().kinesis).unwrap_or_default();
        (tally.failed_records.values().sum::<u64>(), tally.records)
    };
    let before = records();
    // What is in the buckets of shards and gateway runs out.
    sleep(run.time / 4).await;
    let (goodput, most) = stage.watching(stage.rate(run.time)).await;
    let after = records();
    let (throttled, sent) = (after.0 - before.0, after.1 - before.1);
    figures.must(throttled > 0, format!("{name}: {} of {} records throttled", count(throttled), count(sent)));
    let part = goodput / healthy;
    figures.must(part >= GOODPUT, format!("goodput {}", percent(part)));
    let rate = stage.metrics().await.sum("headgate_shard_rate_ratio", &["shard=\"all\""]);
    Run::say(&format!("shards are sent at {} of their limit", percent(rate)));
    let held = format!("held {} of {}", mib(most.held), mib(most.budget));
    figures.must(most.held <= most.budget, held);
    let resident = format!("resident {}, unfaulted {}", mib(most.resident), mib(calm));
    figures.must(most.resident <= calm + BUDGETS * most.budget, resident);
}

async fn back(stage: &Stage, healthy: f64, figures: &mut Figures) {
    let back = stage.back_at(healthy).await;
    figures.must(back <= BACK_WITHIN, format!("back after {}", seconds(back)));
    // Until the gateway trusts its shards again.
    sleep(Duration::from_secs(10)).await;
}
