//! Figures that only some scenarios have: how soon a disturbance was over, how polite retries were, whether anything
//! drifted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::drift;
use crate::config::{Deed, RunConfig};
use crate::result::{Interval, RunResult};

/// A second is calm again if its p99 is at most so many times the ordinary one, and a little.
const CALM: f64 = 1.5;
const CALM_SLACK_US: f64 = 2_000.0;
/// So many calm seconds in a row are recovery.
const CALM_SECONDS: usize = 5;
/// The share of the connections that has to be back.
const BACK: f64 = 0.95;

/// What was measured, by name with the unit in it, and what could not be, with the reason.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Measures {
    pub(crate) figures: BTreeMap<String, f64>,
    pub(crate) reasons: BTreeMap<String, String>,
}

impl Measures {
    /// Only finite figures are figures.
    fn tell(&mut self, name: &str, figure: Option<f64>) {
        if let Some(figure) = figure.filter(|figure| figure.is_finite()) {
            self.figures.insert(name.to_owned(), figure);
        }
    }

    fn tell_or_say(&mut self, name: &str, figure: Result<f64, String>) {
        match figure {
            Ok(figure) => self.tell(name, Some(figure)),
            Err(why) => drop(self.reasons.insert(name.to_owned(), why)),
        }
    }
}

/// What the run's intervals tell.
pub(crate) fn of(result: &RunResult, early_retries: u64) -> Measures {
    let RunResult { config, intervals, ledger, .. } = result;
    let mut measures = Measures::default();
    let judged: Vec<_> = intervals.iter().filter(|one| whole(one, config) && judged(one, config)).collect();
    let seconds: u32 = judged.iter().map(|one| one.width).sum();
    let accepted: u64 = judged.iter().map(|one| one.accepted).sum();
    let goodput = (seconds > 0).then(|| accepted as f64 / f64::from(seconds));
    measures.tell("goodput_per_s", goodput);
    measures.tell("goodput_of_quota", goodput.zip(config.quota).map(|(goodput, quota)| goodput / quota));
    measures.tell(
        "retry_amplification",
        (ledger.sent > 0).then(|| (ledger.sent + ledger.resent) as f64 / ledger.sent as f64),
    );
    let early_retries = match config.transport.sends_again() {
        true => Ok(early_retries as f64),
        false => Err("the client sends again by itself".to_owned()),
    };
    measures.tell_or_say("early_retries", early_retries);
    measures.tell_or_say("p99_drift", drift::of_p99(result));
    // While a run goes on, nobody knows yet when it will have recovered.
    let long_enough = |over: f64| result.elapsed.as_secs_f64() >= over + CALM_SECONDS as f64;
    if let Some(disturbed) = disturbed(config).filter(|(_, over)| long_enough(*over)) {
        let found = recovery(intervals, config, disturbed);
        let never = found.is_some_and(|s| s + disturbed.1 >= config.run_time.as_secs_f64());
        let complete = result.elapsed >= config.run_time;
        measures.tell("recovery_s", found.filter(|_| complete || !never));
    }
    if let Some(cut) = cut(config) {
        measures.tell("reconnect_95_s", reconnect(intervals, cut));
    }
    measures
}

/// Whether the schedule covers the interval; what comes after its end only waits for answers.
fn whole(interval: &Interval, config: &RunConfig) -> bool {
    u64::from(interval.at + interval.width) <= config.run_time.as_secs()
}

fn judged(interval: &Interval, config: &RunConfig) -> bool {
    f64::from(interval.at) >= config.warm_up.as_secs_f64()
}

/// When the disturbance begins and when it is over, in seconds.
fn disturbed(config: &RunConfig) -> Option<(f64, f64)> {
    let phase = |name: &str| config.phases.iter().find(|phase| phase.name == name);
    let over = phase("recovery").map(|phase| phase.from.as_secs_f64());
    let first = config.actions.iter().map(|action| action.at.as_secs_f64()).reduce(f64::min);
    let begins = first.or_else(|| phase("ramp").map(|phase| phase.from.as_secs_f64())).or(over)?;
    Some((begins, over.unwrap_or(begins)))
}

/// How long a run goes on after its disturbance; none without one.
pub(crate) fn left_to_recover(config: &RunConfig) -> Option<Duration> {
    let (_, over) = disturbed(config)?;
    Duration::try_from_secs_f64(config.run_time.as_secs_f64() - over).ok()
}

/// From the end of the disturbance to the first of several calm seconds; as long as the run went on if there are none.
fn recovery(intervals: &[Interval], config: &RunConfig, (begins, over): (f64, f64)) -> Option<f64> {
    let p99 = |one: &Interval| one.ack.quantile(0.99).as_micros() as f64;
    let before = |one: &&Interval| judged(one, config) && f64::from(one.at + one.width) <= begins;
    let mut ordinary: Vec<f64> = intervals.iter().filter(before).map(p99).collect();
    if ordinary.is_empty() {
        return None;
    }
    ordinary.sort_by(f64::total_cmp);
    let limit = ordinary[ordinary.len() / 2] * CALM + CALM_SLACK_US;
    let after: Vec<_> =
        intervals.iter().filter(|one| f64::from(one.at) >= over.floor() && whole(one, config)).collect();
    let calm = |one: &Interval| p99(one) <= limit && one.failed == 0 && one.overflow == 0;
    let end = config.run_time.as_secs_f64();
    let found = after.windows(CALM_SECONDS.min(after.len()).max(1)).find(|window| window.iter().all(|one| calm(one)));
    Some((found.map_or(end, |window| f64::from(window[0].at)) - over).max(0.0))
}

fn cut(config: &RunConfig) -> Option<Duration> {
    let cuts = config.actions.iter().filter(|action| matches!(action.deed, Deed::DropConnections { .. }));
    cuts.map(|action| action.at).min()
}

/// From the cut to the end of the second by which so many connections are open again as were before.
fn reconnect(intervals: &[Interval], cut: Duration) -> Option<f64> {
    let at = cut.as_secs_f64();
    let before = intervals.iter().rfind(|one| f64::from(one.at + one.width) <= at)?.connections;
    let mut after = intervals.iter().filter(|one| f64::from(one.at + one.width) > at);
    let mut again = 0;
    let back = after.find(|one| {
        again += one.reconnects;
        again as f64 >= BACK * before as f64 && one.connections as f64 >= BACK * before as f64
    });
    back.map(|one| f64::from(one.at + one.width) - at)
}
