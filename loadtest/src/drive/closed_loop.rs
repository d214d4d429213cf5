//! A client that waits for each answer before it sends again, as most load tests do: for contrast, not for load.
//!
//! While the gateway stalls it sends nothing, so its latencies miss the stall (coordinated omission).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::Code;

use super::conn::Connector;
use super::outcome::{Outcome, code_name};
use super::seat::Common;
use super::settle::Settled;
use super::unary::UnaryLink;
use super::{Answer, Incoming};
use crate::engine::{Encoder, Engine, Framing, Seat};
use crate::load::epoch_now;
use crate::workload::Curve;

/// Players of each such client, and how much of their time a call carries.
const PLAYERS: u32 = 200;
const GAME_MS_PER_CALL: u64 = 2_000;

/// One such client.
pub(crate) struct ClosedLoopClient {
    common: Arc<Common>,
    engine: Engine,
    encoder: Encoder,
    link: UnaryLink,
    class: usize,
    server: usize,
    game_ms: u64,
    calls: u64,
}

impl ClosedLoopClient {
    /// The client of this number, from 0; its players have numbers from `first_player` on.
    pub(crate) fn new(common: Arc<Common>, connector: Connector, class: usize, number: u32, first_player: u32) -> Self {
        let first = first_player + number * PLAYERS;
        let seat = Seat {
            server: u32::MAX - number,
            numbers: first..first + PLAYERS,
            online: common.online,
            curve: Curve::flat(1.0),
            start_ms: 0,
        };
        Self {
            engine: Engine::new(common.world.clone(), seat),
            encoder: Encoder::new(common.world.clone(), Framing::Unary),
            link: UnaryLink::new(connector, common.recorder.clone()),
            common,
            class,
            server: number as usize,
            game_ms: 0,
            calls: 0,
        }
    }

    /// Sends what happened since the last call, and waits for the answer; none if nothing happened, or outside the
    /// schedule.
    pub(crate) async fn call(&mut self) -> Option<Outcome> {
        let recorder = &self.common.recorder;
        if !recorder.begun() || recorder.start() + self.common.run_time <= Instant::now() {
            sleep(Self::PAUSE.1).await;
            return None;
        }
        self.game_ms += GAME_MS_PER_CALL;
        let epoch_ns = (epoch_now() * 1e9) as u64;
        let Self { engine, encoder, .. } = self;
        engine.advance(self.game_ms, |number, player, happening| {
            encoder.push(number, player, happening, epoch_ns, 0);
        });
        let mut batch = encoder.take();
        if batch.events() == 0 {
            return None;
        }
        self.calls += 1;
        let events = batch.events() as u64;
        let sent = Instant::now();
        self.link.send(self.calls, batch.frame(None));
        let answer = match self.link.next().await {
            Incoming::Answered { answer, .. } => answer,
            _ => Answer::Unanswered("no answer".to_owned()),
        };
        let ack = sent.elapsed();
        let recorder = &self.common.recorder;
        let (left_at, at) = (recorder.second_of(sent), recorder.second_of(Instant::now()));
        let mut shard = recorder.shard(self.class, self.server);
        shard.ledger.due += events;
        shard.ledger.sent += events;
        shard.ledger.in_flight += events;
        shard.second(left_at).ack.record(ack, events);
        let (code, error) = match &answer {
            Answer::Verdict(verdict) => match Settled::read(verdict, batch.events()) {
                Ok(settled) => {
                    settled.book(&mut shard.ledger, events);
                    let again = settled.retry.len() as u64;
                    shard.ledger.failed += again;
                    shard.ledger.in_flight -= again;
                    shard.second(at).accepted += settled.accepted;
                    (Code::Ok, None)
                }
                Err(what) => (Code::Internal, Some(what.to_owned())),
            },
            Answer::Refused { code, message, .. } => (*code, Some(message.clone())),
            Answer::Unanswered(why) => (Code::Unknown, Some(why.clone())),
        };
        if error.is_some() {
            shard.ledger.failed += events;
            shard.ledger.in_flight -= events;
            shard.second(at).failed += events;
        }
        *shard.second(at).codes.entry(code_name(code)).or_default() += 1;
        Some(Outcome { ack, code, error })
    }

    /// How long such a client pauses between two calls, at least and at most.
    pub(crate) const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(30));
}
