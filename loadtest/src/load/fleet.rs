//! The game servers of a run: their seats, the gate at which they wait for one another, and what they leave behind.

use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::plan::{GOOD, HOT, Plan, Secrets, Stint};
use crate::config::{LoadError, RunConfig};
use crate::drive::{Common, GameServer, Running, Schedule, Seat, ServerTrace, Start, Trace};
use crate::engine::Engine;
use crate::record::{Recorder, lock};

/// The schedule begins this long after the last server is ready, and so much later for each server, so that connections
/// are open by then.
const SETTLE_IN: Duration = Duration::from_millis(300);
const SETTLE_IN_A_SERVER: Duration = Duration::from_millis(1);

/// How long servers wait for one that is not ready yet while no other gets ready.
const LATECOMERS: Duration = Duration::from_secs(20);

/// When the schedule begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Begin {
    /// Once every server of this process is ready.
    Together,
    /// With the first server; the others' players come up with their servers.
    WithTheFirst,
    /// At this instant of Unix time, in seconds; servers that are not ready by then start late.
    At(f64),
}

/// The game servers of a run.
pub(crate) struct Fleet {
    pub(crate) common: Arc<Common>,
    pub(crate) plan: Plan,
    seats: Mutex<VecDeque<Seat>>,
    servers: usize,
    begin: Begin,
    start: watch::Sender<Option<Start>>,
    ready: AtomicUsize,
    /// Servers whose driver runs.
    live: AtomicUsize,
    /// Servers that came to their end.
    ended: AtomicUsize,
    stop: watch::Sender<Option<Instant>>,
    /// When the latest server was told to stop before its schedule's end.
    cut_short: Mutex<Option<Instant>>,
    /// By the server's number: since when and until when its players live.
    stints: Mutex<BTreeMap<u32, Stint>>,
    traces: Mutex<Vec<ServerTrace>>,
}

/// A running driver, counted as live until it is dropped.
pub(crate) struct Live(Arc<Fleet>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Fleet {
    pub(crate) fn new(
        config: &RunConfig,
        secrets: &Secrets,
        begin: Begin,
        trace: bool,
        outcomes: bool,
    ) -> Result<Arc<Self>, LoadError> {
        let plan = Plan::new(config)?;
        let recorder = Arc::new(Recorder::new(
            plan.classes.iter().map(|class| (class.clone(), [GOOD, HOT].contains(&class.as_str()))),
        ));
        let seats = plan.seats(config, secrets)?;
        let common = plan.common(config, recorder, trace, outcomes)?;
        Ok(Arc::new(Self {
            common: Arc::new(common),
            plan,
            servers: seats.len(),
            seats: Mutex::new(seats.into()),
            begin,
            start: watch::channel(None).0,
            ready: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            stop: watch::channel(None).0,
            cut_short: Mutex::default(),
            stints: Mutex::default(),
            traces: Mutex::default(),
        }))
    }

    /// A seat that nobody has; none if all are taken.
    pub(crate) fn claim(&self) -> Option<Seat> {
        lock(&self.seats).pop_front()
    }

    /// Builds the players of a seat, waits until the schedule begins, and opens the connection.
    pub(crate) async fn man(self: &Arc<Self>, seat: Seat) -> (GameServer, Live) {
        self.live.fetch_add(1, Ordering::Relaxed);
        let live = Live(self.clone());
        let early = match self.begin {
            // Building takes milliseconds for each thousand players: it is done before the clock starts.
            Begin::Together | Begin::At(_) => {
                Some(Engine::new(self.common.world.clone(), self.common.engine_seat(&seat, Duration::ZERO)))
            }
            Begin::WithTheFirst => None,
        };
        let start = self.started().await;
        let Common { run_time, linger, .. } = *self.common;
        let schedule = Schedule::new(start, run_time, linger, seat.phase, seat.clock.clone());
        let begins = schedule.since_start(schedule.begins());
        let stint = Stint {
            clock: seat.clock.clone(),
            players: seat.players.end - seat.players.start,
            from_s: begins.as_secs_f64(),
            to_s: run_time.as_secs_f64(),
        };
        lock(&self.stints).insert(seat.server, stint);
        let engine = match early {
            Some(engine) if begins.is_zero() => engine,
            _ => Engine::new(self.common.world.clone(), self.common.engine_seat(&seat, begins)),
        };
        (GameServer::new(self.common.clone(), seat, engine, schedule, self.stop.subscribe()), live)
    }

    /// This server is ready: waits until the schedule's start is known.
    async fn started(&self) -> Start {
        let ready = self.ready.fetch_add(1, Ordering::Relaxed) + 1;
        let known = match self.begin {
            Begin::Together => ready >= self.servers,
            Begin::WithTheFirst | Begin::At(_) => true,
        };
        if known {
            self.set_start();
        }
        let mut start = self.start.subscribe();
        loop {
            let ready = self.ready.load(Ordering::Relaxed);
            if let Ok(known) = timeout(LATECOMERS, start.wait_for(Option::is_some)).await {
                return known.ok().and_then(|start| *start).unwrap_or_else(|| start_in(self.settle_in()));
            }
            // Nobody else got ready in all that time: whoever launches the others was stopped, or one of them panicked.
            if ready == self.ready.load(Ordering::Relaxed) {
                self.set_start();
            }
        }
    }

    fn settle_in(&self) -> Duration {
        SETTLE_IN + SETTLE_IN_A_SERVER * self.servers as u32
    }

    fn set_start(&self) {
        self.start.send_if_modified(|start| {
            if start.is_some() {
                return false;
            }
            let known = match self.begin {
                Begin::At(epoch_s) => start_in(Duration::from_secs_f64((epoch_s - epoch_now()).max(0.0))),
                Begin::Together => start_in(self.settle_in()),
                Begin::WithTheFirst => start_in(SETTLE_IN),
            };
            self.common.recorder.begin(known.at);
            *start = Some(known);
            true
        });
    }

    /// When the schedule began; none while servers are still getting ready.
    pub(crate) fn start(&self) -> Option<Start> {
        *self.start.borrow()
    }

    /// Drives a server to its end.
    pub(crate) async fn drive(self: Arc<Self>, seat: Seat) {
        let (mut server, _live) = self.man(seat).await;
        loop {
            match self.slice(&mut server, Instant::now() + Duration::from_secs(1)).await {
                Some(Running::Yes) => {}
                Some(Running::No) => return self.leave(server.close().await),
                None => return,
            }
        }
    }

    /// Drives a server for a while. None if its driver panicked: then its batches have failed, it is not to be driven any
    /// more, and [`Self::roll_call`] misses it.
    pub(crate) async fn slice(&self, server: &mut GameServer, until: Instant) -> Option<Running> {
        let panic = match AssertUnwindSafe(server.drive(until)).catch_unwind().await {
            Ok(running) => return Some(running),
            Err(panic) => panic,
        };
        let what = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let what = what.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        self.panicked(&what);
        self.ends(server.number());
        lock(&self.traces).push(server.abandon());
        None
    }

    /// A server's players live no longer than until now.
    pub(crate) fn ends(&self, server: u32) {
        let now_s = self.start().map_or(0.0, |start| Instant::now().saturating_duration_since(start.at).as_secs_f64());
        if let Some(stint) = lock(&self.stints).get_mut(&server) {
            stint.to_s = stint.to_s.min(now_s);
        }
    }

    /// The servers that came up so far.
    pub(crate) fn stints(&self) -> Vec<Stint> {
        lock(&self.stints).values().cloned().collect()
    }

    /// A driver panicked, with these words.
    pub(crate) fn panicked(&self, what: &str) {
        self.common.recorder.shard(0, 0).problem(format!("a game server's driver panicked: {what}"), 1);
    }

    /// A server has come to its end.
    pub(crate) fn leave(&self, trace: ServerTrace) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        lock(&self.traces).push(trace);
    }

    /// Lets no further event become due from now on.
    pub(crate) fn stop(&self) {
        self.stop.send_if_modified(|end| {
            let first = end.is_none();
            end.get_or_insert_with(Instant::now);
            first
        });
        let servers: Vec<u32> = lock(&self.stints).keys().copied().collect();
        for server in servers {
            self.ends(server);
        }
    }

    /// When it was told to stop, if it was.
    pub(crate) fn stopped(&self) -> Option<Instant> {
        *self.stop.borrow()
    }

    /// A server was told to stop before its schedule's end.
    pub(crate) fn cut_short(&self, server: u32) {
        *lock(&self.cut_short) = Some(Instant::now());
        self.ends(server);
    }

    /// When the last events were due, if that was before the schedule's end.
    pub(crate) fn ended_early(&self) -> Option<Instant> {
        self.stopped().or(*lock(&self.cut_short))
    }

    /// Servers, live drivers, and drivers that came to their end; what is missing panicked.
    pub(crate) fn roll_call(&self) -> RollCall {
        RollCall {
            servers: self.servers,
            manned: self.ready.load(Ordering::Relaxed),
            live: self.live.load(Ordering::Relaxed),
            ended: self.ended.load(Ordering::Relaxed),
        }
    }

    /// What became of the events of all servers that came to their end.
    pub(crate) fn trace(&self) -> Trace {
        Trace::new(self.common.clone(), std::mem::take(&mut *lock(&self.traces)))
    }
}

/// How many game servers are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RollCall {
    pub(crate) servers: usize,
    /// That began, whatever became of them.
    pub(crate) manned: usize,
    pub(crate) live: usize,
    pub(crate) ended: usize,
}

impl RollCall {
    /// Drivers that are neither live nor came to their end: they panicked.
    pub(crate) fn missing(self) -> usize {
        self.manned.saturating_sub(self.live + self.ended)
    }
}

fn start_in(wait: Duration) -> Start {
    Start { at: Instant::now() + wait, epoch_ns: ((epoch_now() + wait.as_secs_f64()) * 1e9) as u64 }
}

/// Unix time in seconds.
#[expect(clippy::disallowed_methods, reason = "the one look at the wall clock: every event's time follows from it")]
pub(crate) fn epoch_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
