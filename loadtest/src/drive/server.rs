//! One game server: an open loop that neither a slow answer nor a lost connection slows down.

use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::Code;

use super::conn::Backoff;
use super::flight::{Flight, Flights};
use super::settle::Settled;
use super::stream::StreamLink;
use super::unary::UnaryLink;
use super::{Answer, Connector, Incoming, Link, Schedule};
use crate::config::{LoadConfig, Transport};
use crate::engine::{Batch, Encoder, Engine, Framing};
use crate::record::Recorder;
use crate::workload::World;

/// The gateway takes 10,000 events and 4 MiB in one message.
const MOST_EVENTS: usize = 5_000;
const MOST_BYTES: usize = 2 << 20;
/// A batch that could not be delivered for so long is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// What bounds a game server.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_in_flight: usize,
    pub(crate) drain: Duration,
    pub(crate) keep_ids: bool,
}

/// A game server with its players.
pub(crate) struct GameServer {
    index: usize,
    schedule: Schedule,
    limits: Limits,
    engine: Engine,
    encoder: Encoder,
    link: Link,
    flights: Flights,
    backoff: Backoff,
    recorder: Arc<Recorder>,
    seed: u64,
}

impl GameServer {
    pub(crate) fn new(
        index: usize,
        config: &LoadConfig,
        world: Arc<World>,
        numbers: Range<u32>,
        schedule: Schedule,
        connector: Connector,
        recorder: Arc<Recorder>,
    ) -> Self {
        let backoff = || Backoff::new(config.seed, index);
        let (link, framing) = match config.transport {
            Transport::Stream => {
                let link = StreamLink::new(connector, backoff(), recorder.clone());
                (Link::Stream(Box::new(link)), Framing::Stream)
            }
            Transport::Unary => {
                let link = UnaryLink::new(connector, recorder.clone());
                (Link::Unary(Box::new(link)), Framing::Unary)
            }
        };
        let limits = Limits { max_in_flight: config.max_in_flight, drain: config.drain, keep_ids: config.keep_ids };
        Self {
            index,
            schedule,
            limits,
            engine: Engine::new(world.clone(), numbers, 0),
            encoder: Encoder::new(world, framing),
            link,
            flights: Flights::default(),
            backoff: backoff(),
            recorder,
            seed: config.seed,
        }
    }

    /// Runs to the end of the schedule, or to the instant that `stop` says, and until every batch has its end.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<Option<Instant>>) {
        let mut stopping = false;
        let mut wake_at = self.wake_at();
        let mut timer = pin!(sleep_until(wake_at));
        loop {
            tokio::select! {
                incoming = self.link.next() => self.take_in(incoming),
                () = &mut timer => self.on_time(),
                changed = stop.changed(), if !stopping => {
                    let end = *stop.borrow_and_update();
                    if changed.is_err() || end.is_some() {
                        stopping = true;
                        self.schedule.end_by(end.unwrap_or_else(Instant::now));
                    }
                }
            }
            if let Some(ended) = self.schedule.ended() {
                if ended + self.limits.drain <= Instant::now() {
                    for flight in self.flights.take_all() {
                        self.give_up(flight, "no answer before the end of the run");
                    }
                }
                if self.flights.len() == 0 {
                    break;
                }
            }
            if wake_at != self.wake_at() {
                wake_at = self.wake_at();
                timer.as_mut().reset(wake_at);
            }
        }
        self.link.close().await;
    }

    /// When there is something to do even if nothing comes in.
    fn wake_at(&self) -> Instant {
        let drained = self.schedule.ended().map(|ended| ended + self.limits.drain);
        let far_away = Instant::now() + Duration::from_secs(3_600);
        [self.schedule.next(), self.flights.next_rested(), drained].into_iter().flatten().min().unwrap_or(far_away)
    }

    /// Sends what is due, tick by tick, each with its own intended instant however late it is.
    fn on_time(&mut self) {
        while let Some(intended) = self.schedule.next().filter(|next| *next <= Instant::now()) {
            for batch in self.happenings_until(intended) {
                self.depart(batch, intended);
            }
            self.schedule.advance();
            self.recorder.shard(self.index).lag.record(intended.elapsed(), 1);
        }
        let now = Instant::now();
        while let Some(flight) = self.flights.take_rested(now) {
            self.launch(flight);
        }
    }

    /// What happened since the latest tick, in batches that the gateway takes.
    fn happenings_until(&mut self, instant: Instant) -> Vec<Batch> {
        let mut batches = Vec::new();
        let Self { engine, encoder, schedule, .. } = self;
        engine.advance(schedule.game_ms(instant), |number, player, happening| {
            encoder.push(number, player, happening, schedule.epoch_ns(happening.due));
            if encoder.events() >= MOST_EVENTS || encoder.bytes() >= MOST_BYTES {
                batches.push(encoder.take());
            }
        });
        if encoder.events() > 0 {
            batches.push(encoder.take());
        }
        batches
    }

    /// A batch leaves for the first time, unless too many are on the way.
    fn depart(&mut self, batch: Batch, intended: Instant) {
        let events = batch.events() as u64;
        let overflow = self.flights.len() >= self.limits.max_in_flight;
        let mut shard = self.recorder.shard(self.index);
        shard.ledger.due += events;
        if overflow {
            shard.ledger.overflow += events;
            return;
        }
        shard.ledger.in_flight += events;
        drop(shard);
        self.launch(Flight { batch, intended, sent: None, attempts: 0 });
    }

    /// Sends a batch, or lets it wait for a connection.
    fn launch(&mut self, mut flight: Flight) {
        if flight.attempts > 0 && flight.intended.elapsed() > GIVE_UP_AFTER {
            return self.give_up(flight, "not delivered in 60 s");
        }
        let sequence = self.flights.next_sequence();
        let Some(carrier) = self.link.send(sequence, flight.batch.body.clone()) else {
            return self.flights.wait(flight);
        };
        let events = flight.batch.events() as u64;
        let again = flight.sent.replace(Instant::now()).is_some();
        self.flights.depart(sequence, carrier, flight);
        let mut shard = self.recorder.shard(self.index);
        *(if again { &mut shard.ledger.resent } else { &mut shard.ledger.sent }) += events;
    }

    fn take_in(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Opened => {
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
                for mut flight in lost {
                    flight.attempts += 1;
                    self.launch(flight);
                }
            }
            Incoming::Trouble(what) => self.problem(what, 1),
        }
    }

    fn settle(&mut self, mut flight: Flight, answer: Answer) {
        let now = Instant::now();
        let events = flight.batch.events() as u64;
        flight.attempts += 1;
        match answer {
            Answer::Verdict(verdict) => match Settled::read(&verdict, flight.batch.events()) {
                Ok(settled) => self.book(flight, &settled, now),
                Err(what) => self.give_up(flight, what),
            },
            Answer::Refused { code: Code::Unavailable | Code::ResourceExhausted, message, retry_after } => {
                let mut shard = self.recorder.shard(self.index);
                shard.ledger.retry += events;
                shard.problem(format!("batch refused for now: {message}"), events);
                drop(shard);
                self.rest(flight, retry_after, now);
            }
            Answer::Refused { code, message, .. } => {
                self.give_up(flight, &format!("batch refused: {code:?}: {message}"))
            }
            Answer::Unanswered(why) => {
                self.problem(why, 1);
                self.rest(flight, None, now);
            }
        }
    }

    /// Books a verdict, and has those events rest that are to be sent again.
    fn book(&mut self, flight: Flight, settled: &Settled, now: Instant) {
        let ends = flight.batch.events() - settled.retry.len();
        let mut shard = self.recorder.shard(self.index);
        let ack = now.saturating_duration_since(flight.intended);
        let service = flight.sent.map_or(ack, |sent| now.saturating_duration_since(sent));
        shard.ack.record(ack, ends as u64);
        shard.ack_window.record(ack, ends as u64);
        shard.service.record(service, ends as u64);
        settled.book(&mut shard, &flight.batch, self.limits.keep_ids.then_some(self.seed));
        drop(shard);
        if !settled.retry.is_empty() {
            let batch = flight.batch.select(&settled.retry);
            self.rest(Flight { batch, ..flight }, settled.retry_after, now);
        }
    }

    /// Has a batch rest until its hint says, or for a backoff if there is none.
    fn rest(&mut self, flight: Flight, hint: Option<Duration>, now: Instant) {
        let pause = match hint {
            Some(hint) => self.backoff.after_hint(hint),
            None => self.backoff.full_jitter(flight.attempts),
        };
        self.flights.rest(now + pause, flight);
    }

    /// A batch that will not be delivered: its events have failed, and count as slow as they are by now.
    fn give_up(&mut self, flight: Flight, why: &str) {
        let events = flight.batch.events() as u64;
        let mut shard = self.recorder.shard(self.index);
        let elapsed = flight.intended.elapsed();
        shard.ack.record(elapsed, events);
        shard.ack_window.record(elapsed, events);
        shard.ledger.failed += events;
        shard.ledger.in_flight -= events;
        shard.problem(why.to_owned(), events);
        if self.limits.keep_ids && flight.sent.is_some() {
            let ids = flight.batch.marks.iter().map(|mark| mark.event_id(self.seed));
            shard.ids.undecided.extend(ids);
        }
    }

    fn problem(&self, what: String, times: u64) {
        self.recorder.shard(self.index).problem(what, times);
    }
}
