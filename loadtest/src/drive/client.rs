//! `headgate-client`: a game server's events go through the client that game servers use. It decides itself when a batch
//! leaves, and sends again by itself.
//!
//! What is handed over together is followed as one batch, which has its answer once each of its events has its end. So
//! latency is what a game would see: from the instant at which events were due until the last of them was stored.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use headgate_client::{BuildError, Cause, Client, Counters, Event, EventError, Failure, SendError, Stored, Uuid};
use headgate_proto::v1::{self, BatchVerdict, EventVerdict, Reason, StreamEventsRequest, VerdictCode};
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::conn::Connector;
use super::seat::{Common, Seat};
use super::{Answer, Incoming};
use crate::engine::Batch;
use crate::record::{OpenConnection, Recorder};

/// How often the client's counters are read.
const LOOK: Duration = Duration::from_millis(100);
/// The client's own bound is not to be met before the load tester's, [`Common::max_in_flight`].
const MEMORY: usize = 64 << 30;
const MEMORY_EVENTS: u64 = 1_000_000_000;

pub(super) struct ClientLink {
    /// None if it could not be made.
    client: Option<Client>,
    said: mpsc::UnboundedReceiver<Said>,
    follow: Follow,
    troubles: VecDeque<String>,
    watch: Watch,
}

/// What the client says of events.
enum Said {
    Stored(Stored),
    Failed(Failure),
}

/// How an event ends that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Stored,
    Rejected(Reason),
    /// The client has it no more, and it is not stored. In a verdict it is one of those to be sent again, which nobody
    /// does: [`Transport::sends_again`](crate::config::Transport::sends_again).
    GivenUp,
}

impl ClientLink {
    pub(super) fn new(common: &Common, seat: &Seat) -> Self {
        let (tell, said) = mpsc::unbounded_channel();
        let (client, troubles) = match build(common, &seat.connector, tell) {
            Ok(client) => (Some(client), VecDeque::new()),
            Err(error) => (None, VecDeque::from([format!("no client: {error}")])),
        };
        let watch = Watch {
            recorder: common.recorder.clone(),
            class: seat.class,
            server: seat.server as usize,
            before: Counters::default(),
            open: None,
            at: Instant::now(),
        };
        Self { client, said, follow: Follow::default(), troubles, watch }
    }

    /// Hands a batch's events over; false if there is no client.
    pub(super) fn send(&mut self, sequence: u64, batch: &Batch) -> bool {
        let Some(client) = &self.client else { return false };
        // The engine wrote it; what it wrote it can read.
        let events = StreamEventsRequest::decode(batch.events_bytes()).unwrap_or_default().events;
        self.follow.begin(sequence, events.len());
        for (place, event) in (0..).zip(&events) {
            let end = match give(client, event) {
                Ok(id) => {
                    self.follow.given(id, sequence, place);
                    continue;
                }
                Err(Refused::Rule(reason)) => Some(reason),
                Err(Refused::Client(error)) => {
                    self.troubles.push_back(format!("the client takes nothing: {error}"));
                    None
                }
            };
            self.follow.end(sequence, place, end.map_or(End::GivenUp, End::Rejected));
        }
        true
    }

    /// What comes in next. Nothing is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> Incoming {
        loop {
            if let Some((sequence, verdict)) = self.follow.ended.pop_front() {
                return Incoming::Answered { sequence, answer: Answer::Verdict(verdict) };
            }
            if let Some(trouble) = self.troubles.pop_front() {
                return Incoming::Trouble(trouble);
            }
            tokio::select! {
                Some(said) = self.said.recv() => match said {
                    Said::Stored(stored) => {
                        self.watch.stored();
                        stored.ids().for_each(|id| self.follow.event(id, End::Stored));
                    }
                    Said::Failed(failure) => self.failed(&failure),
                },
                () = sleep_until(self.watch.at) => {
                    self.watch.at = Instant::now() + LOOK;
                    if let Some(client) = &self.client {
                        self.troubles.extend(self.watch.look(client.counters()));
                    }
                }
            }
        }
    }

    /// Ends the client. Whatever it still has was given up before.
    pub(super) async fn close(&mut self) {
        if let Some(client) = self.client.take() {
            let _given_up = client.close_async(Duration::ZERO).await;
            let _ = self.watch.look(client.counters());
        }
        self.watch.open = None;
    }

    /// Ends the client without waiting for it, which may take as long as the gateway owes answers.
    pub(super) fn cut(&mut self) {
        self.watch.open = None;
        if let Some(client) = self.client.take() {
            // Without a thread it ends here.
            let _ending = std::thread::Builder::new().name("client's end".to_owned()).spawn(move || drop(client));
        }
    }

    fn failed(&mut self, failure: &Failure) {
        let end = match failure.cause() {
            Cause::Rejected { reason, .. } => End::Rejected(*reason),
            other => {
                self.troubles.push_back(format!("given up by the client: {other:?}"));
                End::GivenUp
            }
        };
        if let Some(id) = failure.id() {
            self.follow.event(id, end);
        }
    }
}

impl Drop for ClientLink {
    fn drop(&mut self) {
        self.cut();
    }
}

fn build(common: &Common, connector: &Connector, tell: mpsc::UnboundedSender<Said>) -> Result<Client, BuildError> {
    let told = tell.clone();
    // Nobody listens any more once the server has come to its end.
    let builder = connector
        .client()
        .linger(common.client_linger)
        .batch_events(common.max_batch as u32)
        .memory_bytes(MEMORY)
        .memory_events(MEMORY_EVENTS)
        .on_stored(move |stored| drop(tell.send(Said::Stored(stored))))
        .on_failure(move |failure| drop(told.send(Said::Failed(failure))));
    builder.build()
}

/// Why the client did not take an event.
enum Refused {
    Rule(Reason),
    Client(SendError),
}

/// Gives an event to the client, under the id that it has.
fn give(client: &Client, event: &v1::Event) -> Result<Uuid, Refused> {
    // The client's interface can't say an id that is none.
    let id = Uuid::parse_str(&event.event_id).map_err(|_| Refused::Rule(Reason::NotAUuid))?;
    let at = event.event_timestamp.and_then(|at| SystemTime::try_from(at).ok());
    let given = Event::new(&event.event_type, &event.event_name)
        .id(id)
        .at(at.ok_or(Refused::Rule(Reason::TimestampRange))?)
        .event_version(&event.event_version)
        .app_version(&event.app_version)
        .data(&event.event_data)
        .partition_key(&event.partition_key);
    match client.send(given) {
        Ok(_) => Ok(id),
        Err(SendError::Event(error)) => Err(Refused::Rule(rule(&error))),
        Err(error) => Err(Refused::Client(error)),
    }
}

/// The gateway's word for what the client refuses itself.
fn rule(error: &EventError) -> Reason {
    match error {
        EventError::Required { .. } => Reason::Required,
        EventError::Charset { .. } => Reason::Charset,
        EventError::TooLong { .. } => Reason::TooLong,
        EventError::TimestampRange => Reason::TimestampRange,
        EventError::TooLarge { .. } => Reason::EventTooLarge,
        _ => Reason::Unspecified,
    }
}

/// Batches whose events do not all have their end.
#[derive(Default)]
struct Follow {
    batches: HashMap<u64, Unanswered>,
    /// Whose an id is: of events that are sent twice on purpose there are two.
    events: HashMap<Uuid, VecDeque<(u64, u32)>>,
    /// In the order in which their last events had their end.
    ended: VecDeque<(u64, BatchVerdict)>,
}

struct Unanswered {
    events: u32,
    without_end: u32,
    not_accepted: BTreeMap<u32, End>,
}

impl Follow {
    fn begin(&mut self, sequence: u64, events: usize) {
        let events = events as u32;
        self.batches.insert(sequence, Unanswered { events, without_end: events, not_accepted: BTreeMap::new() });
    }

    fn given(&mut self, id: Uuid, sequence: u64, place: u32) {
        self.events.entry(id).or_default().push_back((sequence, place));
    }

    /// An event of this id has its end.
    fn event(&mut self, id: Uuid, end: End) {
        let Some(places) = self.events.get_mut(&id) else { return };
        let first = places.pop_front();
        if places.is_empty() {
            self.events.remove(&id);
        }
        if let Some((sequence, place)) = first {
            self.end(sequence, place, end);
        }
    }

    fn end(&mut self, sequence: u64, place: u32, end: End) {
        let Some(batch) = self.batches.get_mut(&sequence) else { return };
        batch.without_end -= 1;
        if end != End::Stored {
            batch.not_accepted.insert(place, end);
        }
        if batch.without_end == 0
            && let Some(batch) = self.batches.remove(&sequence)
        {
            self.ended.push_back((sequence, batch.verdict()));
        }
    }
}

impl Unanswered {
    fn verdict(self) -> BatchVerdict {
        let mut verdict = BatchVerdict::default();
        for (index, end) in self.not_accepted {
            let (code, reason) = match end {
                End::Stored => continue,
                End::Rejected(reason) => {
                    verdict.rejected += 1;
                    (VerdictCode::Rejected, reason)
                }
                End::GivenUp => {
                    verdict.retry += 1;
                    (VerdictCode::Retry, Reason::Unspecified)
                }
            };
            let (code, reason) = (code.into(), reason.into());
            verdict.not_accepted.push(EventVerdict { index, code, reason, ..EventVerdict::default() });
        }
        verdict.accepted = self.events - verdict.rejected - verdict.retry;
        verdict
    }
}

/// Records what the client counts.
struct Watch {
    recorder: Arc<Recorder>,
    class: usize,
    server: usize,
    before: Counters,
    /// Held while the client is connected.
    open: Option<OpenConnection>,
    /// When to look next.
    at: Instant,
}

impl Watch {
    /// A batch of the client's own was answered.
    fn stored(&self) {
        let at = self.recorder.second_of(Instant::now());
        self.recorder.shard(self.class, self.server).second(at).batches += 1;
    }

    /// What is new; returns what went wrong.
    fn look(&mut self, now: Counters) -> Option<String> {
        let before = std::mem::replace(&mut self.before, now.clone());
        let more = |count: fn(&Counters) -> u64| count(&now).saturating_sub(count(&before));
        if !now.connected {
            self.open = None;
        } else if self.open.is_none() {
            self.open = Some(Recorder::connection_opened(&self.recorder, false));
        }
        let (reconnects, resent) = (more(|counters| counters.reconnects), more(|counters| counters.resent));
        let refused = more(|counters| counters.batches_refused);
        self.recorder.reconnected(reconnects);
        if resent > 0 || reconnects > 0 {
            let at = self.recorder.second_of(Instant::now());
            let mut shard = self.recorder.shard(self.class, self.server);
            shard.ledger.resent += resent;
            let second = shard.second(at);
            second.resent += resent;
            second.reconnects += reconnects;
        }
        // A break is told when it happens, and not once more when the client is connected again; unless it was by now.
        let broke_between = before.connected && reconnects > 0;
        let failed = more(|counters| counters.connects_failed) > 0 || refused > 0;
        let news = failed || broke_between || now.last_error != before.last_error;
        now.last_error.filter(|_| news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_answered_once_its_last_event_has_its_end_and_copies_each_have_one() {
        let [one, two, bad] = [1, 2, 3].map(Uuid::from_u128);
        let mut follow = Follow::default();
        follow.begin(1, 2);
        follow.given(one, 1, 0);
        follow.given(two, 1, 1);
        follow.begin(2, 3);
        follow.given(one, 2, 0);
        follow.given(bad, 2, 1);
        follow.end(2, 2, End::Rejected(Reason::Charset));
        follow.event(one, End::Stored);
        follow.event(bad, End::GivenUp);
        assert!(follow.ended.is_empty());
        follow.event(one, End::Stored);
        let (sequence, verdict) = follow.ended.pop_front().expect("the second has all its ends");
        let listed: Vec<_> = verdict.not_accepted.iter().map(|one| (one.index, one.code())).collect();
        assert_eq!((sequence, verdict.accepted, verdict.rejected, verdict.retry), (2, 1, 1, 1));
        assert_eq!(listed, [(1, VerdictCode::Retry), (2, VerdictCode::Rejected)]);
        // An id that nobody waits for: another client's.
        follow.event(bad, End::Stored);
        assert!(follow.ended.is_empty());
        follow.event(two, End::Stored);
        assert_eq!(follow.ended.pop_front().map(|(sequence, verdict)| (sequence, verdict.accepted)), Some((1, 2)));
        assert!(follow.batches.is_empty() && follow.events.is_empty());
    }

    #[test]
    fn each_reconnect_is_counted_and_each_trouble_told_once() {
        let recorder = Arc::new(Recorder::new([("good".to_owned(), true)]));
        recorder.begin(Instant::now());
        let (class, server, at) = (0, 0, Instant::now());
        let mut watch =
            Watch { recorder: recorder.clone(), class, server, before: Counters::default(), open: None, at };
        let mut counters = Counters::default();
        let mut look = |change: &dyn Fn(&mut Counters)| {
            change(&mut counters);
            watch.look(counters.clone())
        };
        assert_eq!(look(&|now| now.connected = true), None);
        let broke = look(&|now| (now.connected, now.last_error) = (false, Some("broke".to_owned())));
        assert_eq!(broke.as_deref(), Some("broke"));
        assert_eq!(look(&|now| (now.connected, now.reconnects) = (true, 1)), None, "that it is back is no trouble");
        // Twice between two looks, for the same reason, and then not to be reached.
        assert!(look(&|now| (now.reconnects, now.resent) = (3, 40)).is_some());
        assert!(look(&|now| (now.connected, now.connects_failed) = (false, 2)).is_some());
        assert_eq!(look(&|_| ()), None);
        let collected = recorder.collect();
        assert_eq!((collected.reconnects, collected.connections, collected.ledger.resent), (3, 0, 40));
        assert_eq!(collected.intervals.iter().map(|interval| interval.reconnects).sum::<u64>(), 3);
    }
}
