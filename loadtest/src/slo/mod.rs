//! The rules that a run is judged by: one line each, such as `ack.p99 < 50ms for good during hold`.
//!
//! A rule is read by [`Rule::parse`], which says what is wrong where, and judged from a [`crate::result::RunResult`] by
//! [`judge`], as often as wanted and on any machine: whatever a judgement needs is in the result. Where the result can't
//! answer, a rule is neither kept nor broken, and says why; [`Rule::check_against`] finds out before a run that it won't.

mod check;
mod error;
mod eval;
mod goose;
mod observe;
mod parse;
mod rule;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod window;
pub(crate) mod words;

pub use error::RuleError;
pub use eval::judge;
pub use goose::goose_threshold;
pub use rule::{Limit, Metric, Op, Rule, SeriesName, Stat, Unit};

/// How rules are written, for `--help` and the book.
pub const GRAMMAR: &str = "\
<metric> <op> <value> [for <class>] [during <phase>]

Metrics
  ack.p99, service.p99, event_age.p99, lag.p99, connect.p99
                    a percentile of a latency, p0.1 to p100; also .avg and .max. A bare p99 is ack.p99
  error-rate        events failed, of unknown fate or never sent (overflow), of all that were due; with %
  code(NAME)        batches answered with this gRPC code; a count, or with % of all batches
  goodput           events acknowledged in a second
  offered           events due, of those planned; with %
  rejected          events answered as breaking a rule, of all that were due; with %
  lost              acknowledged events missing at the destination; a count, or with % of those acknowledged
  dup               records beyond the first of an event; a count, or with % of the events stored
  recovery-time     from the disturbance until back to normal
  measure(NAME)     a figure of the scenario, such as measure(retry_amplification)

Ops     <  <=  >  >=
Values  50ms (us, ms, s), 0.1%, 50k events/s, 1.5M, 12; or 1.1x baseline: so many times the same figure of the phase
        `baseline`, or without one, of the result given with --baseline
Scope   for hot, for good (also: for app=hot, for app=others); without it, all servers together
Phase   during hold; without it, the whole run without its warm-up

Examples
  ack.p99 < 50ms
  ack.p99 <= 1.1x baseline for good during noise
  error-rate <= 0.1%
  code(RESOURCE_EXHAUSTED) <= 0 for good
  goodput >= 50k events/s during hold
  lost <= 0";
