//! One game server: an open loop that neither a slow answer nor a lost connection slows down.

mod answers;
mod held;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::Code;

use super::client::ClientLink;
use super::conn::Backoff;
use super::flight::{Flight, Flights};
use super::outcome::Outcome;
use super::pace::Pace;
use super::seat::{Common, Seat};
use super::stream::StreamLink;
use super::trace::{End, ServerTrace};
use super::unary::UnaryLink;
use super::{Incoming, Link, Schedule};
use crate::config::{Retry, Transport};
use crate::engine::{Batch, Encoder, Engine, Framing};

/// The gateway takes messages of 4 MiB.
const MOST_BYTES: usize = 2 << 20;
/// A batch that could not be delivered for so long is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);
/// A careless client's pause before it sends a refused batch again.
const CARELESS_PAUSE: Duration = Duration::from_millis(100);

/// Whether a game server goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Running {
    Yes,
    /// Nothing more is due, and every batch has its end.
    No,
}

/// A game server with its players.
pub(crate) struct GameServer {
    common: Arc<Common>,
    seat: Seat,
    schedule: Schedule,
    engine: Engine,
    encoder: Encoder,
    link: Link,
    flights: Flights,
    backoff: Backoff,
    /// None until the gateway refuses a batch because the application sends too much.
    pace: Option<Pace>,
    /// Events that the latest tick made due.
    due_lately: usize,
    /// Events held back, as the recorder knows them.
    held: u64,
    stop: watch::Receiver<Option<Instant>>,
    online: u32,
    trace: ServerTrace,
    outcomes: Vec<Outcome>,
    /// Events that were never sent, by the second in which they were to leave.
    overflowed: Vec<(u32, u64)>,
}

impl GameServer {
    /// A server whose engine stands and whose connection is being opened.
    pub(crate) fn new(
        common: Arc<Common>,
        seat: Seat,
        engine: Engine,
        schedule: Schedule,
        stop: watch::Receiver<Option<Instant>>,
    ) -> Self {
        let backoff = || Backoff::new(common.seed, seat.server, common.retry != Retry::Careless);
        let (connector, recorder) = (seat.connector.clone(), common.recorder.clone());
        let (link, framing) = match common.transport {
            Transport::Stream => {
                (Link::Stream(Box::new(StreamLink::new(connector, backoff(), recorder))), Framing::Stream)
            }
            Transport::Unary => (Link::Unary(Box::new(UnaryLink::new(connector, recorder))), Framing::Unary),
            Transport::Client => (Link::Client(Box::new(ClientLink::new(&common, &seat))), Framing::Stream),
        };
        let begins = schedule.since_start(schedule.begins());
        Self {
            encoder: Encoder::new(common.world.clone(), framing),
            backoff: backoff(),
            pace: None,
            due_lately: 0,
            held: 0,
            trace: ServerTrace::new(seat.clone(), begins),
            common,
            seat,
            schedule,
            engine,
            link,
            flights: Flights::default(),
            stop,
            online: 0,
            outcomes: Vec::new(),
            overflowed: Vec::new(),
        }
    }

    /// Goes on until this instant, or to the end: of the schedule, or what `stop` says, and of every batch.
    pub(crate) async fn drive(&mut self, until: Instant) -> Running {
        let mut stop_heard = self.hear_stop();
        let mut wake_at = self.wake_at(until);
        let mut timer = std::pin::pin!(sleep_until(wake_at));
        loop {
            tokio::select! {
                incoming = self.link.next() => self.take_in(incoming),
                () = &mut timer => self.on_time(),
                changed = self.stop.changed(), if !stop_heard => stop_heard = changed.is_err() || self.hear_stop(),
            }
            if let Some(ended) = self.schedule.ended() {
                if ended + self.common.drain <= Instant::now() {
                    for flight in self.flights.take_all() {
                        self.give_up(flight, Code::DeadlineExceeded, "no answer before the end of the run");
                    }
                }
                if self.flights.len() == 0 {
                    return Running::No;
                }
            }
            if until <= Instant::now() {
                return Running::Yes;
            }
            let next = self.wake_at(until);
            if wake_at != next {
                wake_at = next;
                timer.as_mut().reset(wake_at);
            }
        }
    }

    /// Lets nothing be due from now on; says whether something would have been.
    pub(crate) fn stop(&mut self) -> bool {
        let early = self.schedule.ended().is_none();
        self.schedule.end_by(Instant::now());
        early
    }

    /// Its number among the servers of all shards.
    pub(crate) fn number(&self) -> u32 {
        self.seat.server
    }

    /// Whatever its driver was at when it panicked: its batches have failed. Tells what became of each event.
    pub(crate) fn abandon(&mut self) -> ServerTrace {
        for flight in self.flights.take_all() {
            self.give_up(flight, Code::Internal, "the game server's driver panicked");
        }
        self.link.cut();
        self.time_overflow();
        self.set_online(0);
        std::mem::take(&mut self.trace)
    }

    /// Hangs up, and tells what became of each event if that is kept.
    pub(crate) async fn close(&mut self) -> ServerTrace {
        self.link.close().await;
        self.time_overflow();
        self.set_online(0);
        std::mem::take(&mut self.trace)
    }

    /// The batches answered since the last call; empty unless outcomes are kept.
    pub(crate) fn take_outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.outcomes)
    }

    /// Whether it was told to stop; if so, nothing is due past that instant.
    fn hear_stop(&mut self) -> bool {
        let end = *self.stop.borrow_and_update();
        if let Some(end) = end {
            self.schedule.end_by(end);
        }
        end.is_some()
    }

    /// When there is something to do even if nothing comes in.
    fn wake_at(&self, until: Instant) -> Instant {
        let drained = self.schedule.ended().map(|ended| ended + self.common.drain);
        let next = [self.schedule.next(), self.flights.next_rested(), self.next_release(), drained, Some(until)];
        next.into_iter().flatten().min().unwrap_or(until)
    }

    /// Sends what is due, tick by tick, each with its own intended instant however late it is.
    fn on_time(&mut self) {
        let mut now = Instant::now();
        while let Some(intended) = self.schedule.next().filter(|next| *next <= now) {
            self.suffer(intended);
            let batches = self.happenings_until(intended);
            self.due_lately = batches.iter().map(Batch::events).sum();
            for batch in batches {
                self.depart(batch, intended);
            }
            self.schedule.advance();
            now = Instant::now();
            let at = self.common.recorder.second_of(intended);
            let lag = now.saturating_duration_since(intended);
            let mut shard = self.common.recorder.shard(self.seat.class, self.seat.server as usize);
            shard.second(at).lag.record(lag, 1);
        }
        while let Some(flight) = self.flights.take_rested(now) {
            self.launch(flight);
        }
        if self.pace.is_some() {
            self.release();
        }
        self.set_online(self.engine.online());
    }

    fn set_online(&mut self, online: u32) {
        if self.online != online {
            self.common.recorder.online_changed(i64::from(online) - i64::from(self.online));
            self.online = online;
        }
    }

    /// What the scenario does to this server by this instant.
    fn suffer(&mut self, by: Instant) {
        let by = self.schedule.since_start(by);
        if self.seat.panic_at.is_some_and(|at| at <= by) {
            panic!("the scenario has this game server's driver panic");
        }
        let cuts = self.seat.cuts.iter().take_while(|at| **at <= by).count();
        if cuts == 0 {
            return;
        }
        self.seat.cuts.drain(..cuts);
        for carrier in self.link.cut() {
            let lost = self.flights.lost(carrier);
            self.lost(lost);
        }
    }

    /// What happened since the latest tick, in batches that the gateway takes.
    fn happenings_until(&mut self, instant: Instant) -> Vec<Batch> {
        let mut batches = Vec::new();
        let Self { engine, encoder, schedule, common, .. } = self;
        let intended = schedule.since_start(instant);
        let game_ms = schedule.game_ms(instant);
        // Within a tick game time passes evenly: one factor instead of a look at the clock for each event.
        let (epoch_ns, ns_per_game_ms) = (schedule.epoch_ns(intended), 1e6 / schedule.speed_at(intended));
        engine.advance(game_ms, |number, player, happening| {
            let lead_ns = (game_ms.saturating_sub(happening.due) as f64 * ns_per_game_ms) as u64;
            encoder.push(number, player, happening, epoch_ns - lead_ns, (lead_ns / 1_000) as u32);
            if encoder.events() >= common.max_batch || encoder.bytes() >= MOST_BYTES {
                batches.push(encoder.take());
            }
        });
        self.trace.lived_until(game_ms);
        if encoder.events() > 0 {
            batches.push(encoder.take());
        }
        batches
    }

    /// A batch leaves for the first time, unless too many are on the way.
    fn depart(&mut self, batch: Batch, intended: Instant) {
        let events = batch.events() as u64;
        let recorder = &self.common.recorder;
        let overflow = self.flights.len() >= self.common.max_in_flight;
        let now = recorder.second_of(Instant::now());
        let mut shard = recorder.shard(self.seat.class, self.seat.server as usize);
        shard.ledger.due += events;
        shard.ledger.duplicates += batch.marks.iter().filter(|mark| mark.is_duplicate()).count() as u64;
        shard.second(now).due += events;
        if overflow {
            shard.ledger.overflow += events;
            shard.second(now).overflow += events;
            drop(shard);
            match self.overflowed.last_mut() {
                Some((second, overflowed)) if *second == recorder.second_of(intended) => *overflowed += events,
                _ => self.overflowed.push((recorder.second_of(intended), events)),
            }
            if self.common.trace {
                self.trace.all(&batch, End::Unsent);
            }
            return;
        }
        shard.ledger.in_flight += events;
        drop(shard);
        self.launch(Flight { batch, intended, sent: None, not_before: None, attempts: 0 });
    }

    /// Events that were never sent are as late as the end of the run: without them latencies would look the better the
    /// longer the gateway stalls.
    fn time_overflow(&mut self) {
        let recorder = &self.common.recorder;
        let now = self.schedule.since_start(Instant::now());
        for (second, events) in std::mem::take(&mut self.overflowed) {
            let mut shard = recorder.shard(self.seat.class, self.seat.server as usize);
            shard.second(second).ack.record(now.saturating_sub(Duration::from_secs(second.into())), events);
        }
    }

    /// Sends a batch, or holds it back if there is a pace to keep.
    fn launch(&mut self, flight: Flight) {
        if self.pace.is_none() {
            return self.send(flight);
        }
        self.flights.hold(flight);
        self.release();
    }

    /// Sends a batch, or lets it wait for a connection.
    fn send(&mut self, mut flight: Flight) {
        if flight.attempts > 0 && flight.intended.elapsed() > GIVE_UP_AFTER {
            return self.give_up(flight, Code::DeadlineExceeded, "not delivered in 60 s");
        }
        let sequence = self.flights.next_sequence();
        let Some(carrier) = self.link.send(sequence, &mut flight.batch) else {
            return self.flights.wait(flight);
        };
        let events = flight.batch.events() as u64;
        let sent = Instant::now();
        let again = flight.sent.replace(sent).is_some();
        if flight.not_before.take().is_some_and(|not_before| sent < not_before) {
            self.common.recorder.retried_early();
        }
        if let Some(pace) = &mut self.pace {
            pace.sent(flight.batch.events(), sent);
        }
        self.flights.depart(sequence, carrier, flight);
        let recorder = &self.common.recorder;
        let at = recorder.second_of(sent);
        let mut shard = recorder.shard(self.seat.class, self.seat.server as usize);
        if again {
            shard.ledger.resent += events;
            shard.second(at).resent += events;
        } else {
            shard.ledger.sent += events;
            shard.second(at).sent += events;
        }
    }

    fn take_in(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Opened { after, again } => {
                let recorder = &self.common.recorder;
                let at = recorder.second_of(Instant::now());
                let mut shard = recorder.shard(self.seat.class, self.seat.server as usize);
                shard.connect.record(after, 1);
                shard.second(at).reconnects += u64::from(again);
                drop(shard);
                for flight in self.flights.take_waiting() {
                    self.launch(flight);
                }
            }
            Incoming::Answered { sequence, answer } => match self.flights.land(sequence) {
                Some(flight) => self.settle(flight, answer),
                None => self.problem("an answer to no batch in flight".to_owned(), 1),
            },
            Incoming::Lost { carrier, why, asked } => {
                let lost = self.flights.lost(carrier);
                if let Some(why) = why.filter(|_| !asked || !lost.is_empty()) {
                    self.problem(why, 1);
                }
                self.lost(lost);
            }
            Incoming::Trouble(what) => self.problem(what, 1),
        }
    }

    /// Batches whose connection is gone are sent again, as soon as there is another.
    fn lost(&mut self, lost: Vec<Flight>) {
        for mut flight in lost {
            flight.attempts += 1;
            if self.common.retry == Retry::None {
                self.give_up(flight, Code::Unavailable, "the connection broke before the answer");
            } else {
                self.launch(flight);
            }
        }
    }
}

impl Drop for GameServer {
    fn drop(&mut self) {
        self.set_online(0);
        self.set_held(0);
    }
}
