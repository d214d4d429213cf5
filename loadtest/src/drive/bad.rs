//! Clients that misbehave: each in one way, and each knows the answer that it ought to get.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use headgate_proto::v1::{BatchVerdict, PublishEventsResponse, StreamEventsResponse};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Code, Status, Streaming};

use super::conn::Connector;
use super::outcome::{Outcome, code_name};
use super::seat::Common;
use super::{stream, unary};
use crate::config::BadKind;
use crate::engine::{Batch, Encoder, Engine, Framing, Seat};
use crate::load::epoch_now;
use crate::workload::{Curve, World};

/// The message is larger than any gateway takes by default.
const OVERSIZED: usize = 6 << 20;
const PLAYERS: u32 = 200;
const GAME_MS_PER_STEP: u64 = 2_000;
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Batches that a client which does not listen keeps trying to send on one stream.
const UNREAD: usize = 64;
/// A stream that is not listened to is dropped and opened again after so many batches.
const STREAM_LIFE: u64 = 600;

/// A client that misbehaves.
pub(crate) struct BadClient {
    kind: BadKind,
    connector: Connector,
    common: Arc<Common>,
    engine: Engine,
    encoder: Encoder,
    class: usize,
    number: u32,
    game_ms: u64,
    steps: u64,
    /// From the start of the schedule.
    from: Duration,
    next: Instant,
    stream: Option<Unread>,
}

/// A stream whose answers are read late or never.
struct Unread {
    requests: mpsc::Sender<Bytes>,
    answers: Streaming<StreamEventsResponse>,
}

/// What came of one step.
struct Deed {
    code: Code,
    right: bool,
    events: u64,
    accepted: u64,
    rejected: u64,
    what: String,
}

impl BadClient {
    /// The client of this number; `world` is one of its own, so that its events have ids that nobody else's have.
    pub(crate) fn new(
        kind: BadKind,
        common: Arc<Common>,
        world: Arc<World>,
        connector: Connector,
        class: usize,
        number: u32,
        from: Duration,
    ) -> Self {
        let framing = match kind {
            BadKind::SlowReader | BadKind::NeverAcks => Framing::Stream,
            _ => Framing::Unary,
        };
        // The players of the first game servers, by their names: whoever steals them has only the names.
        let first = number * PLAYERS;
        let seat = Seat {
            server: u32::MAX / 2 - number,
            numbers: first..first + PLAYERS,
            online: common.online,
            curve: Curve::flat(1.0),
            start_ms: 0,
        };
        Self {
            kind,
            connector,
            engine: Engine::new(world.clone(), seat),
            encoder: Encoder::new(world, framing),
            common,
            class,
            number,
            game_ms: 0,
            steps: 0,
            from,
            next: Instant::now(),
            stream: None,
        }
    }

    /// The name of what it does.
    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            BadKind::Malformed => "bad/malformed",
            BadKind::Oversized => "bad/oversized",
            BadKind::WrongKey => "bad/wrong-key",
            BadKind::OldSchema => "bad/old-schema",
            BadKind::SlowReader => "bad/slow-reader",
            BadKind::NeverAcks => "bad/never-acks",
            BadKind::StolenPlayers => "bad/stolen-players",
        }
    }

    /// Waits for its next turn. Nothing is lost if the future is dropped.
    pub(crate) async fn turn(&self) {
        sleep_until(self.next.max(self.common.recorder.start() + self.from)).await;
    }

    /// Misbehaves once, and books what came of it.
    pub(crate) async fn step(&mut self) -> Outcome {
        let pause = match self.kind {
            BadKind::Oversized => Duration::from_secs(1),
            BadKind::SlowReader | BadKind::NeverAcks => Duration::from_millis(50),
            _ => Duration::from_millis(200),
        };
        self.next = Instant::now() + pause;
        self.steps += 1;
        let begun = Instant::now();
        let batch = self.happenings();
        let events = batch.events() as u64;
        let deed = match self.kind {
            BadKind::Malformed => self.refused(malformed(), events, &[Code::InvalidArgument]).await,
            BadKind::Oversized => {
                let right = [Code::InvalidArgument, Code::OutOfRange, Code::ResourceExhausted];
                self.refused(oversized(batch.events_bytes()), events, &right).await
            }
            BadKind::WrongKey => match self.connector.with_key("hg_a_key_that_nobody_has_00000000") {
                Ok(connector) => {
                    self.connector = connector;
                    self.refused(Bytes::copy_from_slice(batch.events_bytes()), events, &[Code::Unauthenticated]).await
                }
                Err(error) => nothing(events, error.to_string()),
            },
            BadKind::OldSchema => self.old_schema(1).await,
            BadKind::StolenPlayers => self.stolen(&batch).await,
            BadKind::SlowReader | BadKind::NeverAcks => self.unread(batch).await,
        };
        self.book(&deed, begun);
        let error = (!deed.right).then_some(deed.what);
        Outcome { ack: begun.elapsed(), code: deed.code, error }
    }

    fn happenings(&mut self) -> Batch {
        let epoch_ns = (epoch_now() * 1e9) as u64;
        let Self { engine, encoder, .. } = self;
        while encoder.events() == 0 {
            self.game_ms += GAME_MS_PER_STEP;
            engine.advance(self.game_ms, |number, player, happening| {
                encoder.push(number, player, happening, epoch_ns, 0);
            });
        }
        encoder.take()
    }

    async fn call(&self, message: &[u8]) -> Result<PublishEventsResponse, Status> {
        let frame = Batch::of(message, Vec::new()).frame(None);
        let call = unary::call(self.connector.connect_lazy(), self.connector.request(()), frame);
        timeout(CALL_TIMEOUT, call).await.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in 30 s")))
    }

    /// A call that has to be refused as a whole, with one of these codes.
    async fn refused(&self, body: Bytes, events: u64, right: &[Code]) -> Deed {
        match self.call(&body).await {
            Ok(_) => nothing(events, "a call that ought to be refused was answered".to_owned()),
            Err(status) => Deed {
                code: status.code(),
                right: right.contains(&status.code()),
                events,
                accepted: 0,
                rejected: 0,
                what: format!("{:?}: {}", status.code(), status.message()),
            },
        }
    }

    /// Fields of other types than the schema's: refused as a whole, or every event rejected.
    async fn old_schema(&self, events: u64) -> Deed {
        // An event whose fields 1 to 3 are numbers.
        let body = Bytes::from_static(&[0x0a, 0x06, 0x08, 0x01, 0x10, 0x02, 0x18, 0x03]);
        match self.call(&body).await {
            Ok(PublishEventsResponse { verdict: Some(BatchVerdict { accepted: 0, rejected: 1.., .. }) }) => {
                Deed { code: Code::Ok, right: true, events, accepted: 0, rejected: 0, what: String::new() }
            }
            Ok(_) => nothing(events, "events of another schema were accepted".to_owned()),
            Err(status) => Deed {
                right: status.code() == Code::InvalidArgument,
                ..nothing_with(status.code(), events, format!("{:?}: {}", status.code(), status.message()))
            },
        }
    }

    /// Other people's players: nobody can tell, so they are accepted.
    async fn stolen(&self, batch: &Batch) -> Deed {
        let events = batch.events() as u64;
        match self.call(batch.events_bytes()).await {
            Ok(PublishEventsResponse { verdict: Some(verdict) }) => Deed {
                code: Code::Ok,
                right: u64::from(verdict.accepted) + u64::from(verdict.rejected) == events,
                events,
                accepted: verdict.accepted.into(),
                rejected: verdict.rejected.into(),
                what: "not every event was answered".to_owned(),
            },
            Ok(_) => nothing(events, "an answer without a verdict".to_owned()),
            Err(status) => nothing_with(status.code(), events, format!("{:?}: {}", status.code(), status.message())),
        }
    }

    /// Sends on a stream, and reads one answer in ten steps, or none. Whatever the gateway does about it is right, as long
    /// as the others do not notice; this client lets go of what it can't send.
    async fn unread(&mut self, mut batch: Batch) -> Deed {
        let events = batch.events() as u64;
        if self.stream.is_none() || self.steps.is_multiple_of(STREAM_LIFE) {
            let opened = timeout(CALL_TIMEOUT, stream::open_bounded(self.connector.clone(), UNREAD)).await;
            self.stream = match opened {
                Ok(Ok((requests, answers))) => Some(Unread { requests, answers }),
                Ok(Err(status)) => {
                    return nothing_with(status.code(), events, format!("can't open a stream: {}", status.message()));
                }
                Err(_) => return nothing_with(Code::DeadlineExceeded, events, "can't open a stream".to_owned()),
            };
        }
        let Some(unread) = &mut self.stream else { return nothing(events, "no stream".to_owned()) };
        let _full_or_over = unread.requests.try_send(batch.frame(Some(self.steps)));
        if self.kind == BadKind::SlowReader && self.steps.is_multiple_of(10) {
            match timeout(CALL_TIMEOUT, unread.answers.next()).await {
                Ok(Some(Ok(_))) => {}
                _ => self.stream = None,
            }
        }
        Deed { code: Code::Ok, right: true, events, accepted: 0, rejected: 0, what: String::new() }
    }

    /// What was refused has failed; what it did not hear of is of unknown fate.
    fn book(&self, deed: &Deed, begun: Instant) {
        let recorder = &self.common.recorder;
        let at = recorder.second_of(begun);
        recorder.answered(deed.right);
        let rest = deed.events.saturating_sub(deed.accepted + deed.rejected);
        let mut shard = recorder.shard(self.class, self.number as usize);
        shard.ledger.due += deed.events;
        shard.ledger.sent += deed.events;
        shard.ledger.accepted += deed.accepted;
        if deed.rejected > 0 {
            *shard.ledger.rejected.entry("of_bad_clients".into()).or_default() += deed.rejected;
        }
        match self.kind {
            BadKind::SlowReader | BadKind::NeverAcks => shard.ledger.unknown += rest,
            _ => shard.ledger.failed += rest,
        }
        if !deed.right {
            shard.problem(format!("{}: {}", self.name(), deed.what), 1);
        }
        let second = shard.second(at);
        *second.codes.entry(code_name(deed.code)).or_default() += 1;
        second.ack.record(begun.elapsed(), deed.events);
    }
}

fn nothing(events: u64, what: String) -> Deed {
    nothing_with(Code::Ok, events, what)
}

fn nothing_with(code: Code, events: u64, what: String) -> Deed {
    Deed { code, right: false, events, accepted: 0, rejected: 0, what }
}

/// A field whose length runs past the end of the message.
fn malformed() -> Bytes {
    let mut body = BytesMut::from(&[0x0a, 0xff, 0xff, 0xff, 0x7f][..]);
    body.resize(200, 0xa5);
    body.freeze()
}

/// A message above every gateway's limit, of events that are fine.
fn oversized(events: &[u8]) -> Bytes {
    let mut body = BytesMut::with_capacity(OVERSIZED + events.len());
    while body.len() < OVERSIZED {
        body.extend_from_slice(events);
    }
    body.freeze()
}
