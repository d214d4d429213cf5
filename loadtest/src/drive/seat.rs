//! What one game server is to be: which players, which application, how fast they live, and what is done to it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::clock::GameClock;
use super::conn::Connector;
use crate::config::{Retry, Transport};
use crate::engine;
use crate::record::Recorder;
use crate::workload::{Curve, World};

/// What all game servers of a run have in common.
pub(crate) struct Common {
    pub(crate) seed: u64,
    pub(crate) world: Arc<World>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) transport: Transport,
    pub(crate) retry: Retry,
    /// How often a server hands over what happened.
    pub(crate) linger: Duration,
    /// How long a client of [`Transport::Client`] waits for more.
    pub(crate) client_linger: Duration,
    pub(crate) run_time: Duration,
    pub(crate) drain: Duration,
    pub(crate) max_batch: usize,
    pub(crate) max_in_flight: usize,
    /// The share of the players that is online where the curve is at 1.
    pub(crate) online: f64,
    /// Over real time, in seconds from the start of the schedule.
    pub(crate) curve: Curve,
    /// Whether ends are kept by event, so that ids can be told afterwards.
    pub(crate) trace: bool,
    /// Whether outcomes are kept by batch until somebody takes them.
    pub(crate) outcomes: bool,
}

/// One game server's place in a run.
#[derive(Clone)]
pub(crate) struct Seat {
    /// Its number among the servers of all shards.
    pub(crate) server: u32,
    pub(crate) players: Range<u32>,
    /// The index of its class.
    pub(crate) class: usize,
    pub(crate) connector: Connector,
    pub(crate) clock: GameClock,
    /// Where in the linger its instants lie, 0 to 1.
    pub(crate) phase: f64,
    /// When its connection is cut, from the start of the schedule; ascending.
    pub(crate) cuts: Vec<Duration>,
    /// When its driver panics, for tests of the load tester itself.
    pub(crate) panic_at: Option<Duration>,
}

impl Common {
    /// The engine's place for a server whose players come up so long after the start of the schedule.
    pub(crate) fn engine_seat(&self, seat: &Seat, begins: Duration) -> engine::Seat {
        let start_s = begins.as_secs_f64();
        engine::Seat {
            server: seat.server,
            numbers: seat.players.clone(),
            online: self.online,
            curve: self.curve.map_time(|real_s| seat.clock.game_s(real_s)),
            start_ms: (seat.clock.game_s(start_s) * 1e3) as u64,
        }
    }
}
