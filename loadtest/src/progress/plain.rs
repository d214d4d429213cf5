//! A second in a line.

use super::Tick;
use super::tick::word;
use crate::words;

/// The line of a second: figures in columns, without colour.
#[must_use]
pub fn plain(tick: &Tick) -> String {
    let rate = |rate: f64| words::count(rate.max(0.0).round() as u64);
    let ledger = &tick.ledger;
    let stage = match tick.stage() {
        "" => String::new(),
        stage => format!("  {stage}"),
    };
    format!(
        "{:>6.0} s{stage}  {:>9} of {} events/s  p50 {:>7}  p99 {:>7}  p99.9 {:>7}  {} in flight  {} rejected  \
         {} failed  {} overflow  {} online  lag {}  {}",
        tick.elapsed.as_secs_f64(),
        rate(tick.accepted_per_s),
        rate(tick.planned_per_s),
        words::latency(tick.ack.p50),
        words::latency(tick.ack.p99),
        words::latency(tick.ack.p999),
        words::count(ledger.in_flight),
        words::count(ledger.rejected_total()),
        words::count(ledger.failed + ledger.unknown),
        words::count(ledger.overflow),
        words::count(tick.online),
        words::latency(tick.lag_p99),
        word(tick.health),
    )
}
