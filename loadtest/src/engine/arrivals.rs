//! When sessions begin on a server.
//!
//! Each player offline comes back at the same rate, which is the one that makes the number online follow its curve on
//! average, on servers of one player as on those of thousands. The instants come from inverting the cumulative rate at
//! unit-exponential distances, so each is exact and none depends on when it is asked for.

use std::sync::Arc;

use super::{Draw, Purpose};
use crate::workload::{Inflow, World};

/// Where everybody is to be online, who leaves has to come back at once, and this share of the players is about to.
const LEAST_AWAY: f64 = 1e-3;

pub(super) struct Arrivals {
    inflow: Arc<Inflow>,
    server: u32,
    start_ms: u64,
    /// How far the next arrival is: arrivals expected from here to there.
    ahead: f64,
    /// Chooses whose it is.
    who: Draw,
    /// Arrivals so far.
    serial: u32,
}

impl Arrivals {
    pub(super) fn new(world: &World, inflow: Arc<Inflow>, server: u32, start_ms: u64) -> Self {
        let mut who = world.dice().draw(server, 0, Purpose::Arrival);
        Self { inflow, server, start_ms, ahead: who.exponential(1.0), who, serial: 0 }
    }

    /// The arrivals from one instant to the next, which ends the one call's span and begins the following one's, in
    /// milliseconds, where so many players are offline at its beginning. `arrive` is given each one's instant, rounded up
    /// so that none is early, and the draws that choose who it is.
    #[inline]
    pub(super) fn between(
        &mut self,
        world: &World,
        begin_ms: u64,
        end_ms: u64,
        offline: u32,
        mut arrive: impl FnMut(u64, Draw),
    ) {
        if offline == 0 {
            return;
        }
        let begin_s = begin_ms.max(self.start_ms) as f64 / 1e3;
        let Inflow { rate, share, .. } = &*self.inflow;
        // For each player of the server; so many of those offline have to make up for all.
        let inflow = rate.integral(begin_s, end_ms as f64 / 1e3);
        let expected = inflow * f64::from(offline) / (1.0 - share.level(begin_s)).max(LEAST_AWAY);
        while self.ahead < expected {
            let at_s = rate.reach(begin_s, inflow * self.ahead / expected).unwrap_or(begin_s);
            self.serial = self.serial.wrapping_add(1);
            let mut next = world.dice().draw(self.server, self.serial, Purpose::Arrival);
            self.ahead += next.exponential(1.0);
            let who = std::mem::replace(&mut self.who, next);
            arrive(((at_s * 1e3).ceil() as u64).min(end_ms - 1), who);
        }
        self.ahead -= expected;
    }
}
