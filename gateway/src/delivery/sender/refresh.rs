//! Keeps the shard map up to date: at its interval, and soon after something hints at a change (an unknown shard in an
//! answer, a shard that throttles again and again). While the stream can't be described the old map goes on being used: a
//! record that a split or a merge has overtaken still lands in the stream, whole.

use std::time::Duration;

use super::backoff::full_jitter;
use super::{Sender, Stream};
use crate::metrics::{Counter, Gauge};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// However many hints there are, the stream is not described more often than this.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
const SHOW_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(sender: &Sender, stream: &Stream) {
    let refreshes = |result| sender.counts.metrics.counter(Counter::ShardMapRefreshes, &[result]);
    let (ok, failed) = (refreshes("ok"), refreshes("failed"));
    let age = sender.counts.metrics.gauge(Gauge::ShardMapAge, &[]);
    let shards = sender.counts.metrics.gauge(Gauge::OpenShards, &[]);
    shards.set(i64::try_from(stream.current.borrow().shards.len()).unwrap_or(i64::MAX));
    let mut described_at = sender.clock.now();
    let mut tried_at = described_at;
    let mut failures = 0;
    let mut due = described_at + interval(stream);
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(due.into()) => {
                tried_at = sender.clock.now();
                match stream.describe.describe().await {
                    Ok(description) => {
                        ok.inc();
                        failures = 0;
                        described_at = sender.clock.now();
                        due = described_at + interval(stream);
                        shards.set(i64::try_from(description.shards.len()).unwrap_or(i64::MAX));
                        sender.follow(stream, description);
                    }
                    Err(error) => {
                        failed.inc();
                        tracing::warn!(%error, "the stream can't be described; going on with the shards known");
                        let pause = LONGEST_PAUSE.min(FIRST_PAUSE * (1 << failures.min(5)));
                        due = sender.clock.now() + pause / 2 + full_jitter(pause, 0, pause);
                        failures += 1;
                    }
                }
            }
            () = stream.look_again.notified() => due = due.min(tried_at + LEAST_PAUSE),
            () = tokio::time::sleep(SHOW_EVERY) => {
                age.set(i64::try_from((sender.clock.now() - described_at).as_secs()).unwrap_or(i64::MAX));
                sender.show();
            }
        }
    }
}

/// Give or take a fifth, so that a fleet does not ask all at once.
fn interval(stream: &Stream) -> Duration {
    let fifth = stream.refresh_interval / 5;
    stream.refresh_interval - fifth + full_jitter(fifth * 2, 0, fifth * 2)
}
