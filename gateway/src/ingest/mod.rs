//! Bytes to validated events without copying them: one pass over an admitted batch finds, checks and dedupes its events
//! and writes the good ones, once, as stream records into an open bucket. What is not good gets its verdict here, what
//! is gets it when its bucket arrives.

mod ahead;
pub mod dedupe;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod identity;
pub mod policy;
mod reader;
mod request_id;
pub mod verdict;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use headgate_proto::record::{MeasuredRecord, RecordTail, TimestampText};
use headgate_proto::v1::Reason;
use uuid::{ContextV7, Timestamp, Uuid};

use self::ahead::Ahead;
use self::dedupe::Dedupe;
use self::identity::Hashed;
use self::policy::{Policies, Policy, Standing};
use self::reader::{BatchReader, fields, unflawed};
use self::request_id::RequestIds;
use self::verdict::{Batch, BatchMetrics, BatchParts, Reply};
use crate::admission::app::App;
use crate::admission::budget::Permit;
use crate::admission::refusal::Refusal;
use crate::clock::Clock;
use crate::config::IngestSettings;
use crate::delivery::rejects::Rejects;
use crate::delivery::route::Routes;
use crate::event::id;
use crate::event::scan::{self, Envelope, Head};
use crate::event::validate::{Field, Flaw, Invalid, Limits, Problem, validate};
use crate::gather::InFlight;
use crate::live::Live;
use crate::metrics::{Counter, CounterHandle, Metrics};

/// How often, in batches, the table of failed buckets is trimmed to what the dedupe window still refers to. No batch opens
/// more buckets than it has events, so this is often enough for [`Dedupe::age`], too.
const TRIM_EVERY: u64 = 4_096;

/// A batch that was admitted.
pub struct Incoming {
    /// Whose it is.
    pub app: Arc<App>,
    /// The message.
    pub message: Bytes,
    /// Which message it is.
    pub envelope: Envelope,
    /// What its top level says.
    pub head: Head,
    /// Events that the door has found wrong already, by ascending index, at most one entry each. They are rejected.
    pub flaws: Vec<Flaw>,
    /// What its application asks, see [`Ingest::policy`].
    pub policy: Option<Arc<Policy>>,
    /// The bytes it holds of the budget.
    pub permit: Permit,
    /// When it arrived.
    pub arrived: Instant,
    /// By how many milliseconds its client's clock is ahead, where the client told what time it was.
    pub clock_skew_ms: Option<i64>,
    /// Where its outcome goes.
    pub reply: Arc<dyn Reply>,
    /// Which batch of the reply's it is.
    pub token: u64,
    /// Batches with the same number tend to share a lane.
    pub affinity: usize,
}

/// What batches are read with.
pub struct Parts {
    /// Where events are written.
    pub routes: Arc<Routes>,
    /// Keeps rejected events, if there is one.
    pub rejects: Option<Arc<Rejects>>,
    /// What applications ask beyond the rules of all.
    pub policies: Arc<Policies>,
    /// Shows what passes.
    pub live: Arc<Live>,
    /// The clock.
    pub clock: Clock,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
}

/// Reads batches.
pub struct Ingest {
    limits: Limits,
    policies: Arc<Policies>,
    routes: Arc<Routes>,
    in_flight: Arc<InFlight>,
    dedupe: Dedupe,
    request_ids: RequestIds,
    event_ids: Mutex<ContextV7>,
    rejects: Option<Arc<Rejects>>,
    live: Arc<Live>,
    clock: Clock,
    metrics: Arc<BatchMetrics>,
    rejected: Vec<(Reason, CounterHandle)>,
}

impl Ingest {
    /// Puts it together.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub fn new(settings: &IngestSettings, parts: Parts) -> Result<Self, getrandom::Error> {
        let Parts { routes, rejects, policies, live, clock, metrics } = parts;
        let mut secret = [0; 16];
        getrandom::fill(&mut secret)?;
        let rejected = REJECT_REASONS
            .iter()
            .map(|reason| (*reason, metrics.counter(Counter::EventsRejected, &[reason.label()])))
            .collect();
        Ok(Self {
            limits: Limits::from(settings),
            policies,
            in_flight: Arc::clone(routes.in_flight()),
            routes,
            dedupe: Dedupe::new(settings.dedupe_window, u128::from_ne_bytes(secret)),
            request_ids: RequestIds::new()?,
            event_ids: Mutex::new(ContextV7::new()),
            rejects,
            live,
            clock,
            metrics: BatchMetrics::new(&metrics),
            rejected,
        })
    }

    /// Reads a message's top level and holds the batch's size to the limit.
    ///
    /// # Errors
    /// [`Refusal::Undecodable`], [`Refusal::EmptyBatch`] or [`Refusal::BatchTooLarge`], with the sequence as far as it
    /// could be read.
    pub fn head(&self, message: &[u8], envelope: Envelope) -> Result<Head, (Option<u64>, Refusal)> {
        let head = scan::head(message, envelope)
            .map_err(|malformed| (scan::leading_sequence(message), Refusal::Undecodable { why: malformed.as_str() }))?;
        if head.events == 0 {
            return Err((Some(head.sequence), Refusal::EmptyBatch));
        }
        if head.events > self.limits.max_batch {
            let refusal = Refusal::BatchTooLarge { events: head.events, limit: self.limits.max_batch };
            return Err((Some(head.sequence), refusal));
        }
        Ok(head)
    }

    /// What an event and a batch may be.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What an application asks of its events now. A batch is held to one policy from its first check to its last.
    #[must_use]
    pub fn policy(&self, app: &App) -> Option<Arc<Policy>> {
        self.policies.of(app.id())
    }

    /// Takes a batch: each of its events gets its verdict, and then the batch its reply. Does not wait for anything.
    pub fn take(&self, incoming: Incoming) {
        let Incoming { app, message, envelope, head, flaws, policy, permit, reply, token, affinity, .. } = incoming;
        let Incoming { arrived, clock_skew_ms, .. } = incoming;
        app.counters().bytes.inc_by(message.len() as u64);
        let hashed = policy.as_ref().and_then(|policy| policy.hashed(&message, envelope, &flaws, &self.limits));
        let Hashed { message, flaws } = hashed.unwrap_or(Hashed { message, flaws });
        let live = self.live.app(app.id());
        let wall_ms = self.clock.wall_ms();
        let mut tally = live.tally(wall_ms, head.events);
        let parts = BatchParts { app: Arc::clone(&app), live, received: head.events, permit, arrived, reply, token };
        let reading = Batch::open(parts, &self.clock, &self.metrics);
        let (request_number, request_id) = self.request_ids.next(clock_skew_ms);
        let tail = RecordTail::new(id::as_str(&request_id), wall_ms, app.id_text());
        let salt = self.dedupe.salt(app.id());
        let mut reader = BatchReader {
            ingest: self,
            waiter: reading.waiter(),
            reading,
            tail: &tail,
            request_id,
            wall_ms,
            app: &app,
            flaws: &flaws,
            policy: policy.as_deref(),
            misfits: &[],
            tail_in: None,
            run: None,
            resends: None,
            tally: &mut tally,
        };
        let misfits = self.misfits(policy.as_deref(), &message, envelope);
        reader.misfits = &misfits;
        self.routes.of(app.route()).lanes.write(affinity, |lane| {
            let events = (0_u32..).zip(scan::events(&message, envelope));
            let mut ahead = Ahead::new(events, &self.dedupe, salt, self.limits);
            while let Some(looked_at) = ahead.next() {
                reader.read(lane, looked_at);
            }
            reader.end_run(lane);
        });
        // Before the batch can answer: who is told that an event is stored finds it counted.
        tally.close();
        if request_number.is_multiple_of(TRIM_EVERY) {
            let now = self.in_flight.next_id();
            self.dedupe.age(now);
            self.in_flight.trim_failures(|| self.dedupe.oldest(now));
        }
    }

    /// The events that do not fit their schemas, by ascending index. Looked for before the batch has its lane, which others
    /// want, too: to hold an event to a schema takes far longer than to write it.
    fn misfits(&self, policy: Option<&Policy>, message: &[u8], envelope: Envelope) -> Vec<(u32, Standing)> {
        let Some(policy) = policy.filter(|policy| policy.has_schemas()) else { return Vec::new() };
        let events = (0_u32..).zip(scan::events(message, envelope));
        let readable = events.filter_map(|(index, bytes)| Some((index, scan::event(bytes).ok()?)));
        // A larger one is rejected for its size.
        let small = readable.filter(|(_, event)| event.event_data.len() <= self.limits.max_event);
        small
            .map(|(index, event)| (index, policy.fitness(&event)))
            .filter(|(_, standing)| *standing != Standing::Good)
            .collect()
    }

    /// Holds a batch to every rule without taking any of it, for a door that takes a batch whole or not at all. What
    /// passes is not rejected by [`Ingest::take`].
    ///
    /// # Errors
    /// The first event that breaks a rule, by its position from 0, and how.
    pub fn check(
        &self,
        app: &App,
        policy: Option<&Policy>,
        message: &[u8],
        envelope: Envelope,
        flaws: &[Flaw],
    ) -> Result<(), (u32, Invalid)> {
        let hashed = policy.and_then(|policy| policy.hashed(message, envelope, flaws, &self.limits));
        let (message, flaws) = hashed.as_ref().map_or((message, flaws), |hashed| (&*hashed.message, &*hashed.flaws));
        // Its length is that of every request's.
        let request_id = id::text(Uuid::nil());
        let tail = RecordTail::new(id::as_str(&request_id), self.clock.wall_ms(), app.id_text());
        for (index, bytes) in (0_u32..).zip(scan::events(message, envelope)) {
            let checked = unflawed(index, flaws).and_then(|()| {
                let event = scan::event(bytes)?;
                let checked = validate(&event, &self.limits)?;
                match policy.map_or(Standing::Good, |policy| policy.standing(&event)) {
                    Standing::Good | Standing::Warned(_) => {}
                    Standing::Suppressed => return Ok(()),
                    Standing::Unfit(violation) => return Err(Invalid::unfit(violation)),
                }
                let id = id::text(checked.event_id.unwrap_or_default());
                let fields = fields(&event, &checked, &id);
                self.size(&MeasuredRecord::new(&fields, &tail, &mut TimestampText::default())).map(drop)
            });
            checked.map_err(|invalid| (index, invalid))?;
        }
        Ok(())
    }

    /// An event's size as stream record.
    fn size(&self, record: &MeasuredRecord<'_>) -> Result<usize, Invalid> {
        let (size, limit) = (record.len(), self.limits.max_event);
        if size > limit {
            return Err(Invalid { field: Field::Event, problem: Problem::EventTooLarge { size, limit } });
        }
        Ok(size)
    }

    fn assign_id(&self, wall_ms: i64) -> Uuid {
        let ms = u64::try_from(wall_ms).unwrap_or(0);
        #[allow(clippy::cast_possible_truncation, reason = "below a billion")]
        let nanos = (ms % 1_000 * 1_000_000) as u32;
        let context = self.event_ids.lock().unwrap_or_else(PoisonError::into_inner);
        Uuid::new_v7(Timestamp::from_unix(&*context, ms / 1_000, nanos))
    }
}

const REJECT_REASONS: [Reason; 10] = [
    Reason::Malformed,
    Reason::Required,
    Reason::Charset,
    Reason::TooLong,
    Reason::NotAUuid,
    Reason::TimestampRange,
    Reason::NotAJsonObject,
    Reason::TooDeep,
    Reason::EventTooLarge,
    Reason::Schema,
];
