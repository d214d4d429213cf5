//! When sessions begin on a server: a Poisson process whose rate follows the inflow.
//!
//! The instants come from inverting the cumulative rate at unit-exponential distances, so each is exact and none
//! depends on when it is asked for.

use std::sync::Arc;

use super::{Draw, Purpose};
use crate::workload::{Inflow, World};

pub(super) struct Arrivals {
    inflow: Arc<Inflow>,
    server: u32,
    players: f64,
    /// The instant of the next arrival in seconds of game time; none if no more follow.
    next_s: Option<f64>,
    /// Arrivals so far.
    serial: u32,
}

impl Arrivals {
    pub(super) fn new(world: &World, inflow: Arc<Inflow>, server: u32, players: u32, start_ms: u64) -> Self {
        let start_s = start_ms as f64 / 1e3;
        let mut arrivals = Self { inflow, server, players: f64::from(players), next_s: Some(start_s), serial: 0 };
        arrivals.set_out(world);
        arrivals
    }

    /// The next arrival's instant in milliseconds, rounded up so that none is early, if it is before `end_ms`; with the
    /// draws that choose who it is. Each call gives the one after.
    #[inline]
    pub(super) fn next_before(&mut self, world: &World, end_ms: u64) -> Option<(u64, Draw)> {
        let at = (self.next_s? * 1e3).ceil() as u64;
        if at >= end_ms {
            return None;
        }
        let draw = self.draw(world);
        self.serial = self.serial.wrapping_add(1);
        self.set_out(world);
        Some((at, draw))
    }

    /// Moves on to the next instant.
    fn set_out(&mut self, world: &World) {
        let distance = self.draw(world).exponential(1.0) / self.players;
        self.next_s = self.next_s.and_then(|from_s| self.inflow.rate.reach(from_s, distance));
    }

    /// The draws of the current serial: the first is the distance to it.
    fn draw(&self, world: &World) -> Draw {
        world.dice().draw(self.server, self.serial, Purpose::Arrival)
    }
}
