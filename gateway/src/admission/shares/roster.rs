//! The gateways that run, whether applications send to them or not: among so many is an application divided that nothing
//! is known of yet.

use std::time::{Duration, Instant};

use super::exchange::Call;
use super::member::Rules;
use super::peers::Peers;
use crate::registry::demand::{Demand, MemberId, Page, Report};

/// Gateways come and go seldom: they are told in half the timeout's pace.
const PACE: u32 = 2;
/// Those that start together see each other this long after the first time.
const SETTLE: Duration = Duration::from_millis(500);

pub(super) struct Roster {
    id: MemberId,
    sequence: u64,
    peers: Peers,
    due: Instant,
}

impl Roster {
    pub(super) fn new(id: MemberId, now: Instant) -> Self {
        Self { id, sequence: 0, peers: Peers::default(), due: now }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// What is to be asked, at the time it is due.
    pub(super) fn call(&mut self, rules: Rules, spread: f64, now: Instant) -> Call {
        self.due = now + (rules.timeout / PACE).mul_f64(1.0 + 0.1 * spread);
        self.sequence += 1;
        let mine = Report { member: self.id, sequence: self.sequence, demand: Demand::default() };
        (Page::Gateways, mine, self.peers.gone(rules.timeout))
    }

    /// Takes in the board's answer, and says how many gateways there are.
    pub(super) fn hear(&mut self, reports: &[Report], rules: Rules, now: Instant) -> usize {
        if self.peers.heard_at().is_none() {
            self.due = self.due.min(now + SETTLE);
        }
        self.peers.hear(reports, now, rules.timeout);
        self.gateways(rules)
    }

    /// How many gateways there are, this one included.
    pub(super) fn gateways(&self, rules: Rules) -> usize {
        self.peers.demands(rules.timeout).count() + 1
    }
}
