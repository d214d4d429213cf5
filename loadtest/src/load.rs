//! A run: game servers started together, watched, and brought to an end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config::{LoadConfig, LoadError};
use crate::drive::{Connector, GameServer, Schedule};
use crate::record::{Recorder, Report, Snapshot};
use crate::workload::World;

/// The schedule begins this long after the start, so that connections are open by then.
const SETTLE_IN: Duration = Duration::from_millis(200);

/// A running load. Dropping it stops it at once, with batches unanswered.
pub struct Load {
    servers: JoinSet<()>,
    recorder: Arc<Recorder>,
    start: Instant,
    duration: Option<Duration>,
    stop: watch::Sender<Option<Instant>>,
    speed: f64,
    panicked: Option<LoadError>,
}

impl Load {
    /// Starts the game servers on the current tokio runtime. Reaching the gateway is not waited for: while it can't be
    /// reached, events are due all the same, and [`Report::problems`] says why they did not get through.
    ///
    /// # Errors
    /// A setting is out of its range, or the endpoint or the key can't be used.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(config: &LoadConfig) -> Result<Self, LoadError> {
        config.check()?;
        let connector = Connector::new(config)?;
        let world = Arc::new(World::new(config.seed, config.bad_share));
        let natural_rate = world.events_per_player_second() * f64::from(config.players);
        let speed = config.events_per_second / natural_rate;

        let start = Instant::now() + SETTLE_IN;
        let recorder = Arc::new(Recorder::new(start));
        let schedule = Schedule::new(start, config.duration, config.linger, speed);
        let (stop, stopped) = watch::channel(None);
        let mut servers = JoinSet::new();
        for index in 0..config.servers {
            let bound =
                |server: u32| (u64::from(config.players) * u64::from(server) / u64::from(config.servers)) as u32;
            let server = GameServer::new(
                index as usize,
                config,
                world.clone(),
                bound(index)..bound(index + 1),
                schedule.shifted(f64::from(index) / f64::from(config.servers)),
                connector.clone(),
                recorder.clone(),
            );
            servers.spawn(server.run(stopped.clone()));
        }
        Ok(Self { servers, recorder, start, duration: config.duration, stop, speed, panicked: None })
    }

    /// How many times faster than in real life the game's time passes, so that the rate comes out.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// The figures by now; the recent ones are since the previous snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.recorder.snapshot(self.start, Instant::now())
    }

    /// Lets no further event become due; [`Self::finished`] then waits for what is in flight.
    pub fn stop(&self) {
        self.stop.send_if_modified(|end| {
            let first = end.is_none();
            end.get_or_insert_with(Instant::now);
            first
        });
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
        let stopped = self.stop.borrow().map(|stop| stop.saturating_duration_since(self.start));
        let elapsed = [self.duration, stopped].into_iter().flatten().min().unwrap_or_else(|| self.start.elapsed());
        Ok(self.recorder.report(elapsed))
    }
}
