//! This gateway as one of those that an application sends to: what it reports, and what portion it takes from the answer.
//!
//! Pure: time, counts and answers come in, reports and portions go out. Between two answers the portion stays as it is,
//! however long that takes.

use std::time::{Duration, Instant};

use super::allot;
use super::meter::Meter;
use super::peers::Peers;
use crate::admission::rate::{Offered, Portion, Rates};
use crate::registry::demand::{Demand, MemberId, Report};

/// After so long without a batch a gateway leaves its share to the others.
const IDLE: Duration = Duration::from_secs(10);
/// From joining to the second exchange: by then whoever joined at the same time has been seen, and demand measured.
const SETTLE: Duration = Duration::from_millis(200);
/// Below this part of its rate nobody needs news of an application as often as its limit asks for.
const RELAXED_BELOW: f64 = 0.5;

/// How often, and after what silence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
}

/// What is to be done now.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Write this and remove those.
    Exchange(Report, Vec<MemberId>),
    /// Nothing has come for a while: withdraw.
    Leave,
    /// Nothing.
    Wait,
}

#[derive(Debug)]
pub(super) struct Member {
    id: MemberId,
    sequence: u64,
    meter: Meter,
    peers: Peers,
    offered_at: Instant,
    due: Instant,
}

impl Member {
    /// Joins: the application's first batch has just come.
    pub(super) fn new(id: MemberId, offered: Offered, now: Instant) -> Self {
        Self { id, sequence: 0, meter: Meter::new(offered, now), peers: Peers::default(), offered_at: now, due: now }
    }

    /// When it wants to be asked for its next step.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Its next step, at the time it is due; `portion` is what it has of `rates`. `spread`, from -1 to 1, keeps the
    /// gateways from speaking all at once.
    pub(super) fn step(
        &mut self,
        offered: Offered,
        rates: Rates,
        portion: Portion,
        rules: Rules,
        spread: f64,
        now: Instant,
    ) -> Step {
        self.due = now + rules.interval.mul_f64(1.0 + 0.1 * spread);
        if self.meter.count(offered, now) {
            self.offered_at = now;
        } else if now.saturating_duration_since(self.offered_at) >= IDLE {
            return Step::Leave;
        }
        if self.is_relaxed(rates, portion, rules, now) {
            return Step::Wait;
        }
        self.sequence += 1;
        let report = Report { member: self.id, sequence: self.sequence, demand: self.meter.demand() };
        Step::Exchange(report, self.peers.gone(rules.timeout))
    }

    /// The portion after the board's answer.
    pub(super) fn hear(&mut self, reports: &[Report], rates: Rates, rules: Rules, now: Instant) -> Portion {
        self.peers.hear(reports, now, rules.timeout);
        let others: Vec<Demand> = self.peers.demands(rules.timeout).collect();
        if !self.meter.has_measured() {
            self.due = self.due.min(now + SETTLE);
            return Portion::of_both(1.0 / (others.len() as f64 + 1.0));
        }
        let mine = self.meter.demand();
        let part = |demand: fn(&Demand) -> u64, rate: f64| {
            let others: Vec<f64> = others.iter().map(|other| demand(other) as f64).collect();
            allot::part(demand(&mine) as f64, &others, rate)
        };
        Portion {
            events: part(|demand| demand.events, f64::from(rates.events_per_second)),
            bytes: part(|demand| demand.bytes, rates.bytes_per_second as f64),
        }
    }

    /// Whether there is so much room for everyone that this exchange can be left out. Half of the timeout is then the
    /// longest pause.
    fn is_relaxed(&self, rates: Rates, portion: Portion, rules: Rules, now: Instant) -> bool {
        let Some(heard_at) = self.peers.heard_at() else { return false };
        if now.saturating_duration_since(heard_at) + rules.interval > rules.timeout / 2 || self.sequence < 2 {
            return false;
        }
        let mine = self.meter.demand();
        let others = self
            .peers
            .demands(rules.timeout)
            .fold([0.0, 0.0], |sum, demand| [sum[0] + demand.events as f64, sum[1] + demand.bytes as f64]);
        let is_small = |mine: u64, others: f64, rate: f64, part: f64| {
            let mine = mine as f64;
            mine + others < RELAXED_BELOW * rate && mine < RELAXED_BELOW * rate * part
        };
        is_small(mine.events, others[0], f64::from(rates.events_per_second), portion.events)
            && is_small(mine.bytes, others[1], rates.bytes_per_second as f64, portion.bytes)
    }
}
