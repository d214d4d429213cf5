//! What a run is told: where to, how much, for how long.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How batches travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// `StreamEvents`: one long-lived stream for each game server.
    #[default]
    Stream,
    /// `PublishEvents`: one call for each batch.
    Unary,
}

/// A run's settings.
#[derive(Clone)]
pub struct LoadConfig {
    /// The gateway, such as `http://127.0.0.1:50051`; `https://` for TLS.
    pub endpoint: String,
    /// The application's API key.
    pub api_key: String,
    /// Game servers, each with a connection of its own. Default 8.
    pub servers: u32,
    /// Players of all servers together. Default 100,000.
    pub players: u32,
    /// Events that are due in a second, on average; the game's time passes as fast as that needs. Default 20,000.
    pub events_per_second: f64,
    /// How long events are due; none: until [`crate::Load::stop`].
    pub duration: Option<Duration>,
    /// How often a server sends a batch of what happened. 1 ms to 10 s, default 50 ms.
    pub linger: Duration,
    /// The share of events that break a rule on purpose, 0 to 1. Default 0.001.
    pub bad_share: f64,
    /// Everything random follows from it. Default 1.
    pub seed: u64,
    /// Whether ids are kept by verdict, 16 bytes each, for [`crate::Report::ids`]. Default false.
    pub keep_ids: bool,
    /// PEM certificates of the authority that signed the gateway's certificate, with `https://`.
    pub tls_ca: Option<Vec<u8>>,
    /// How batches travel. Default stream.
    pub transport: Transport,
    /// Batches without an end that a server may have; what is due past it is counted as overflow. Default 512, half of
    /// what the gateway reads ahead on one stream.
    pub max_in_flight: usize,
    /// How long to wait for answers after the last batch has left. Default 30 s.
    pub drain: Duration,
}

/// Why a run can't be started or did not end well.
#[derive(Debug, Error)]
pub enum LoadError {
    /// A setting is out of its range.
    #[error("{0}")]
    Setting(String),
    /// The endpoint can't be used.
    #[error("endpoint `{0}` can't be used: {1}; give it as http://HOST:PORT or https://HOST:PORT")]
    Endpoint(String, Box<dyn std::error::Error + Send + Sync>),
    /// The key can't be sent.
    #[error("the API key holds a character that a header can't carry")]
    ApiKey,
    /// A game server's task panicked.
    #[error("a game server stopped: {0}")]
    Panicked(String),
}

/// Events a second of one player past which game time would pass absurdly fast.
const MOST_FOR_A_PLAYER: f64 = 50.0;

impl LoadConfig {
    /// The defaults, for this gateway and key.
    #[must_use]
    pub fn new(endpoint: impl Into<String>, api_key: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            api_key: api_key.into(),
            servers: 8,
            players: 100_000,
            events_per_second: 20_000.0,
            duration: None,
            linger: Duration::from_millis(50),
            bad_share: 0.001,
            seed: 1,
            keep_ids: false,
            tls_ca: None,
            transport: Transport::Stream,
            max_in_flight: 512,
            drain: Duration::from_secs(30),
        }
    }

    /// Checks every range, as [`crate::Load::start`] does.
    ///
    /// # Errors
    /// What is out of its range, and what to give instead.
    pub fn check(&self) -> Result<(), LoadError> {
        let fail = |message: String| Err(LoadError::Setting(message));
        if self.servers == 0 || self.players < self.servers {
            return fail(format!("{} players on {} servers: give each server a player", self.players, self.servers));
        }
        if !(self.events_per_second.is_finite() && self.events_per_second > 0.0) {
            return fail(format!("{} events a second: give a rate above 0", self.events_per_second));
        }
        let least_players = (self.events_per_second / MOST_FOR_A_PLAYER).ceil();
        if f64::from(self.players) < least_players {
            let rate = self.events_per_second;
            return fail(format!("{} players can't make {rate} events a second: give {least_players}", self.players));
        }
        if !(Duration::from_millis(1)..=Duration::from_secs(10)).contains(&self.linger) {
            return fail(format!("a linger of {:?}: give 1 ms to 10 s", self.linger));
        }
        if !(0.0..=1.0).contains(&self.bad_share) {
            return fail(format!("{} of the events bad: give a share from 0 to 1", self.bad_share));
        }
        if self.max_in_flight == 0 {
            return fail("no batch may be in flight: allow at least 1".to_owned());
        }
        Ok(())
    }
}
