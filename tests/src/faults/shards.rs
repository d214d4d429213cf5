//! Rows 14 and 16: one shard of a stream is in trouble, and shards are split and merged.

use std::time::Duration;

use tokio::time::sleep;

use super::Run;
use super::figures::{Figures, count, percent};
use super::stage::{KINESIS, Stage, steady};
use crate::aws::kinesis::{ShardView, Stream};
use crate::load::Shape;
use crate::torture::plan::{Destination, HousePlan};

const OTHERS: f64 = 0.95;
/// What the throttled shard still takes of what it was sent.
const LEFT: f64 = 0.5;
const ROUNDS: usize = 2;
const SHARD_BYTES: f64 = 1_048_576.0;
/// From a round's end to the next one's beginning, once throughput is back.
const PAUSE: Duration = Duration::from_secs(5);

pub(super) async fn one_throttled(run: Run) -> Figures {
    let mut figures = Figures::default();
    // By key, so that events can't go elsewhere. A batch waits for the slowest of its events and holds its bytes until then.
    // With windows, a budget and a deadline that have room for that, what is seen is what the gateway holds up, and not what
    // its clients do who wait.
    let deadline_ms = u64::try_from(run.time.as_millis()).unwrap_or(u64::MAX).saturating_mul(2).max(20_000);
    let destination = Destination::Kinesis { aggregated: true, keyed: true };
    let house = HousePlan { destination, deadline_ms, budget_mib: 256, ..KINESIS };
    let shape = Shape { window: 1_000, unary: 0, ..steady() };
    let stage = Stage::open(run, house, &shape, &[]).await;
    let healthy = stage.rate(run.time / 2).await;
    let stream = stage.house.stream.clone().expect("the house is on Kinesis");
    let throttled = || stream.shards()[0].throttled_records;
    let (mut calm, mut faulted) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        Run::say(&format!("round {round}: all shards, then one throttled"));
        let (hot, others) = stored(&stream, run.time).await;
        calm.push(others);
        stream.limit_shard(0, Some(hot * LEFT / SHARD_BYTES));
        let (_, others) = stored(&stream, run.time).await;
        faulted.push(others);
        stream.limit_shard(0, None);
        let _ = stage.back_at(healthy).await;
        sleep(PAUSE).await;
    }
    let part = faulted.iter().sum::<f64>() / calm.iter().sum::<f64>();
    figures.must(throttled() > 0, format!("{} records throttled", count(throttled())));
    figures.must(part >= OTHERS, format!("the others took {} of what they take otherwise", percent(part)));
    let kib = |rates: &[f64]| rates.iter().map(|rate| format!("{:.0}", rate / 1_024.0)).collect::<Vec<_>>().join(", ");
    figures.tell(format!("KiB/s without {}, with {}", kib(&calm), kib(&faulted)));
    stage.close(&mut figures).await;
    figures
}

/// Bytes a second that the first shard stores, and that the others do, for so long.
async fn stored(stream: &Stream, time: Duration) -> (f64, f64) {
    let before = stream.shards();
    sleep(time).await;
    let rate = |(before, after): (&ShardView, &ShardView)| {
        (after.stored_bytes - before.stored_bytes) as f64 / time.as_secs_f64()
    };
    let after = stream.shards();
    let rates: Vec<f64> = before.iter().zip(&after).map(rate).collect();
    (rates[0], rates[1..].iter().sum())
}

pub(super) async fn resharding(run: Run) -> Figures {
    let mut figures = Figures::default();
    // Time enough for each call, so that none goes without an answer.
    let house = HousePlan { attempt_ms: 10_000, deadline_ms: 20_000, ..KINESIS };
    let stage = Stage::open(run, house, &steady(), &[]).await;
    let healthy = stage.rate(run.time).await;
    let stream = stage.house.stream.clone().expect("the house is on Kinesis");
    Run::say("shards are split and merged");
    let began = tokio::time::Instant::now();
    let (mut changes, before) = (0_u32, stage.oracle.acknowledged());
    while began.elapsed() < run.time || changes == 0 {
        let open = stream.shards().into_iter().find(|shard| !shard.closed).expect("some shard is always open");
        let (left, right) = stream.split(open.number);
        sleep(Duration::from_secs(1)).await;
        let _ = stream.merge(left, right);
        sleep(Duration::from_secs(1)).await;
        changes += 2;
    }
    let goodput = (stage.oracle.acknowledged() - before) as f64 / began.elapsed().as_secs_f64();
    figures.tell(format!("{changes} splits and merges, goodput {}", percent(goodput / healthy)));
    // Two refreshes later whatever lands in the wrong place does so for good.
    sleep(Duration::from_secs(3)).await;
    let wrong = async || stage.metrics().await.sum("headgate_wrong_shard_records_total", &[]);
    let at_end = wrong().await;
    let _ = stage.rate(Duration::from_secs(2)).await;
    let later = wrong().await;
    figures.tell(format!("{} records in another shard than thought", count(at_end as u64)));
    figures.must(later == at_end, format!("{} once the map is fresh", count((later - at_end) as u64)));
    let refreshes = stage.metrics().await.sum("headgate_shard_map_refreshes_total", &["result=\"ok\""]);
    figures.must(refreshes > 1.0, format!("{refreshes} refreshes of the map"));
    let doubled = stage.close_counting(&mut figures).await;
    figures.must(doubled == 0, format!("{doubled} duplicates"));
    figures
}
