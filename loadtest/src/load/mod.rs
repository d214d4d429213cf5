//! A run: game servers started together, watched, and brought to an end.

mod fleet;
mod plan;

use std::sync::Arc;
use std::time::Duration;

#[cfg(not(feature = "cli"))]
use fleet::Begin;
#[cfg(feature = "cli")]
pub(crate) use fleet::{Begin, Live};
pub(crate) use fleet::{Fleet, epoch_now};
pub use plan::Secrets;
#[cfg(feature = "cli")]
pub(crate) use plan::{BAD, CLOSED_LOOP, Plan};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config::{LoadError, RunConfig};
use crate::record::{Ids, Recent, Report, Snapshot};

/// A running load on plain tasks of the tokio runtime. Dropping it stops it at once, with batches unanswered.
pub struct Load {
    fleet: Arc<Fleet>,
    servers: JoinSet<()>,
    speed: f64,
    run_time: Duration,
    trace: bool,
    window: Option<(Instant, u64)>,
    panicked: Option<LoadError>,
}

impl Load {
    /// Starts the game servers on the current tokio runtime; with `trace`, [`Report::ids`] tells every id and its end.
    /// Reaching the gateway is not waited for: while it can't be reached, events are due all the same, and
    /// [`Report::problems`] says why they did not get through.
    ///
    /// # Errors
    /// A setting is out of its range, or the endpoint or a key can't be used.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(config: &RunConfig, secrets: &Secrets, trace: bool) -> Result<Self, LoadError> {
        let fleet = Fleet::new(config, secrets, Begin::Together, trace, false)?;
        let mut servers = JoinSet::new();
        while let Some(seat) = fleet.claim() {
            servers.spawn(fleet.clone().drive(seat));
        }
        let (speed, run_time) = (config.speed, config.run_time);
        Ok(Self { fleet, servers, speed, run_time, trace, window: None, panicked: None })
    }

    /// How many times faster than in real life the game's time passes.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// The figures by now; the recent ones are since the previous snapshot.
    #[must_use]
    pub fn snapshot(&mut self) -> Snapshot {
        let now = Instant::now();
        let start = self.fleet.start().map_or(now, |start| start.at);
        let mut collected = self.fleet.common.recorder.collect();
        let accepted = collected.ledger.accepted;
        let (since, before) = self.window.replace((now, accepted)).unwrap_or((start, 0));
        let span = now.saturating_duration_since(since);
        let recent = accepted - before;
        let events_per_second = if span.is_zero() { 0.0 } else { recent as f64 / span.as_secs_f64() };
        let ack = std::mem::take(&mut collected.window).percentiles();
        Snapshot {
            elapsed: now.saturating_duration_since(start),
            ledger: collected.ledger.clone(),
            ack: collected.latencies.ack.percentiles(),
            recent: Recent { span, accepted: recent, events_per_second, ack },
            lag: collected.latencies.lag.percentiles(),
            connections: collected.connections,
            reconnects: collected.reconnects,
        }
    }

    /// Lets no further event become due; [`Self::finished`] then waits for what is in flight.
    pub fn stop(&self) {
        self.fleet.stop();
    }

    /// Waits until every event has its end. Nothing is lost if the future is dropped: call it again.
    ///
    /// # Errors
    /// A game server's task panicked; what the others did is not reported.
    pub async fn finished(&mut self) -> Result<Report, LoadError> {
        while let Some(ended) = self.servers.join_next().await {
            if let Err(error) = ended {
                self.panicked.get_or_insert(LoadError::Panicked(error.to_string()));
            }
        }
        if let Some(panicked) = self.panicked.take() {
            return Err(panicked);
        }
        let start = self.fleet.start().map_or_else(Instant::now, |start| start.at);
        let stopped = self.fleet.stopped().map(|stop| stop.saturating_duration_since(start));
        let ids = if self.trace { Ids::of(&self.fleet.trace()) } else { Ids::default() };
        let collected = self.fleet.common.recorder.collect();
        Ok(Report {
            elapsed: stopped.map_or(self.run_time, |stopped| stopped.min(self.run_time)),
            ledger: collected.ledger.clone(),
            ack: collected.latencies.ack.clone(),
            service: collected.latencies.service.clone(),
            lag: collected.latencies.lag.clone(),
            ids,
            problems: collected.problems.clone(),
            reconnects: collected.reconnects,
        })
    }
}
