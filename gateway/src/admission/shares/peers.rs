//! The other gateways on a page of the board, and which of them are still there.
//!
//! A gateway is there as long as its reports go on changing. Time counts only while this gateway itself hears from the
//! board: after an outage of the board everyone is still there and has the usual time to speak up.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::registry::demand::{Demand, MemberId, Report};

#[derive(Debug, Default)]
pub(super) struct Peers {
    known: HashMap<MemberId, Peer>,
    heard_at: Option<Instant>,
}

#[derive(Debug)]
struct Peer {
    sequence: u64,
    demand: Demand,
    silent: Duration,
}

impl Peers {
    /// Takes in the board's answer. `timeout`: after so much silence a gateway is gone.
    pub(super) fn hear(&mut self, reports: &[Report], now: Instant, timeout: Duration) {
        let passed = self.heard_at.map_or(Duration::ZERO, |heard_at| now.saturating_duration_since(heard_at));
        self.heard_at = Some(now);
        // Not longer than a healthy pause between two answers.
        let silence = passed.min(timeout / 2);
        let before = std::mem::take(&mut self.known);
        for Report { member, sequence, demand } in reports {
            let silent = match before.get(member) {
                Some(peer) if peer.sequence == *sequence => peer.silent + silence,
                _ => Duration::ZERO,
            };
            self.known.insert(*member, Peer { sequence: *sequence, demand: *demand, silent });
        }
    }

    /// What the others that are there are asked for.
    pub(super) fn demands(&self, timeout: Duration) -> impl Iterator<Item = Demand> {
        self.known.values().filter(move |peer| peer.silent < timeout).map(|peer| peer.demand)
    }

    /// Those that are not there any more, though their reports still are.
    pub(super) fn gone(&self, timeout: Duration) -> Vec<MemberId> {
        self.known.iter().filter(|(_, peer)| peer.silent >= timeout).map(|(member, _)| *member).collect()
    }

    /// When the board last answered.
    pub(super) fn heard_at(&self) -> Option<Instant> {
        self.heard_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const TIMEOUT: Duration = Duration::from_secs(5);
    const SECOND: Duration = Duration::from_secs(1);

    fn report(member: u64, sequence: u64) -> Report {
        Report { member: MemberId::from(member), sequence, demand: Demand { events: member, bytes: 0 } }
    }

    #[test]
    fn one_that_falls_silent_is_gone_after_the_timeout() {
        let mut now = Clock::system().now();
        let mut peers = Peers::default();
        for second in 0..10 {
            peers.hear(&[report(1, 3), report(2, second)], now, TIMEOUT);
            let gone = if second < 5 { vec![] } else { vec![MemberId::from(1)] };
            assert_eq!(peers.gone(TIMEOUT), gone, "after {second} s");
            assert_eq!(peers.demands(TIMEOUT).count(), 2 - gone.len());
            now += SECOND;
        }
        peers.hear(&[report(2, 10)], now, TIMEOUT);
        assert_eq!(peers.gone(TIMEOUT), vec![], "once its report is removed there is nothing left of it");
    }

    #[test]
    fn nobody_is_gone_for_an_outage_of_the_board() {
        let mut now = Clock::system().now();
        let mut peers = Peers::default();
        peers.hear(&[report(1, 1)], now, TIMEOUT);
        now += SECOND * 600;
        peers.hear(&[report(1, 1)], now, TIMEOUT);
        assert_eq!(peers.demands(TIMEOUT).count(), 1);
        now += SECOND * 3;
        peers.hear(&[report(1, 1)], now, TIMEOUT);
        assert_eq!(peers.gone(TIMEOUT).len(), 1, "but whoever does not come back with it is");
    }

    #[test]
    fn one_that_was_away_counts_again_with_its_first_report() {
        let mut now = Clock::system().now();
        let mut peers = Peers::default();
        for _ in 0..10 {
            peers.hear(&[report(1, 1)], now, TIMEOUT);
            now += SECOND;
        }
        assert_eq!(peers.demands(TIMEOUT).count(), 0);
        peers.hear(&[report(1, 2)], now, TIMEOUT);
        assert_eq!(peers.demands(TIMEOUT).map(|demand| demand.events).sum::<u64>(), 1);
    }
}
