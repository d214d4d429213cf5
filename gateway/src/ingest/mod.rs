//! Bytes to validated events without copying them: one pass over an admitted batch finds, checks and dedupes its events
//! and writes the good ones, once, as stream records into an open bucket. What is not good gets its verdict here, what
//! is gets it when its bucket arrives.

pub mod dedupe;
pub mod json;
pub mod member;
mod request_id;
pub mod scan;
pub mod validate;
pub mod verdict;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use headgate_proto::record::{EventFields, RecordTail, record_len, write_record};
use headgate_proto::v1::Reason;
use uuid::{ContextV7, Timestamp, Uuid};

use self::dedupe::Dedupe;
use self::request_id::RequestIds;
use self::scan::{Envelope, Head, RawEvent};
use self::validate::{Checked, Field, Flaw, Invalid, Limits, Problem, validate};
use self::verdict::{Batch, BatchMetrics, BatchParts, Reading, Reply};
use crate::admission::app::App;
use crate::admission::budget::Permit;
use crate::admission::refusal::Refusal;
use crate::clock::Clock;
use crate::config::IngestSettings;
use crate::delivery::rejects::{BadRow, Rejects};
use crate::delivery::route::Routes;
use crate::gather::{EventRange, Fate, InFlight, LaneWriter, Waiter, hash_key};
use crate::live::{Live, Tally};
use crate::metrics::{Counter, CounterHandle, Metrics};

/// How often, in batches, the table of failed buckets is trimmed to what the dedupe window still refers to.
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
    /// The bytes it holds of the budget.
    pub permit: Permit,
    /// When it arrived.
    pub arrived: Instant,
    /// Where its outcome goes.
    pub reply: Arc<dyn Reply>,
    /// Which batch of the reply's it is.
    pub token: u64,
    /// Batches with the same number tend to share a lane.
    pub affinity: usize,
}

/// Reads batches.
pub struct Ingest {
    limits: Limits,
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
    /// Writes where `routes` say; rejected events are kept by `rejects`, if there is one, and `live` shows what passes.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub fn new(
        settings: &IngestSettings,
        routes: Arc<Routes>,
        rejects: Option<Arc<Rejects>>,
        live: &Arc<Live>,
        clock: &Clock,
        metrics: &Metrics,
    ) -> Result<Self, getrandom::Error> {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret)?;
        let rejected = REJECT_REASONS
            .iter()
            .map(|reason| (*reason, metrics.counter(Counter::EventsRejected, &[reason.label()])))
            .collect();
        Ok(Self {
            limits: Limits::from(settings),
            in_flight: Arc::clone(routes.in_flight()),
            routes,
            dedupe: Dedupe::new(settings.dedupe_window, u128::from_ne_bytes(secret)),
            request_ids: RequestIds::new()?,
            event_ids: Mutex::new(ContextV7::new()),
            rejects,
            live: Arc::clone(live),
            clock: clock.clone(),
            metrics: BatchMetrics::new(metrics),
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

    /// Takes a batch: each of its events gets its verdict, and then the batch its reply. Does not wait for anything.
    pub fn take(&self, incoming: Incoming) {
        let Incoming { app, message, envelope, head, flaws, permit, arrived, reply, token, affinity } = incoming;
        app.counters().bytes.inc_by(message.len() as u64);
        let live = self.live.app(app.id());
        let wall_ms = self.clock.wall_ms();
        let tally = live.tally(wall_ms, head.events);
        let parts = BatchParts { app: Arc::clone(&app), live, received: head.events, permit, arrived, reply, token };
        let reading = Batch::open(parts, &self.clock, &self.metrics);
        let (request_number, request_id) = self.request_ids.next();
        let mut reader = BatchReader {
            ingest: self,
            waiter: reading.waiter(),
            reading,
            salt: self.dedupe.salt(app.id()),
            tail: RecordTail::new(&request_id, wall_ms, app.id_text()),
            request_id,
            wall_ms,
            app: &app,
            flaws: &flaws,
            run: None,
            resends: None,
            tally,
        };
        self.routes.of(app.route()).lanes.write(affinity, |lane| {
            let mut events = (0_u32..).zip(scan::events(&message, envelope));
            let mut ahead = [const { None }; LOOK_AHEAD];
            loop {
                // The dedupe window lies in memory, not in a cache: its loads for the next events run side by side.
                for slot in &mut ahead {
                    *slot = events.next().map(|(index, event)| (index, event, reader.peek(event)));
                }
                for (index, event, peeked) in ahead.iter().flatten() {
                    reader.read(lane, *index, event, *peeked);
                }
                if ahead[LOOK_AHEAD - 1].is_none() {
                    break;
                }
            }
            reader.end_run(lane);
        });
        // Before the batch can answer: who is told that an event is stored finds it counted.
        reader.tally.close();
        if request_number.is_multiple_of(TRIM_EVERY) {
            self.in_flight.trim_failures(|| self.dedupe.oldest());
        }
    }

    /// Holds a batch to every rule without taking any of it, for a door that takes a batch whole or not at all. What
    /// passes is not rejected by [`Ingest::take`].
    ///
    /// # Errors
    /// The first event that breaks a rule, by its position from 0, and how.
    pub fn check(&self, app: &App, message: &[u8], envelope: Envelope, flaws: &[Flaw]) -> Result<(), (u32, Invalid)> {
        // Its length is that of every request's.
        let request_id = Uuid::nil().hyphenated().to_string();
        let tail = RecordTail::new(&request_id, self.clock.wall_ms(), app.id_text());
        for (index, bytes) in (0_u32..).zip(scan::events(message, envelope)) {
            let checked = scanned(index, bytes, flaws).and_then(|event| {
                let checked = validate(&event, None, &self.limits)?;
                let id = id_text(checked.event_id.unwrap_or_default());
                self.size(&fields(&event, &checked, &id), &tail)
            });
            let _size = checked.map_err(|invalid| (index, invalid))?;
        }
        Ok(())
    }

    /// An event's size as stream record.
    fn size(&self, fields: &EventFields<'_>, tail: &RecordTail) -> Result<usize, Invalid> {
        let (size, limit) = (record_len(fields, tail), self.limits.max_event);
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

/// Events whose ids are looked at before the first of them is read.
const LOOK_AHEAD: usize = 16;

/// What a look at an event's id told.
#[derive(Clone, Copy)]
struct Peeked {
    event_id: Uuid,
    key: dedupe::Key,
}

/// A batch while it is read into one lane.
struct BatchReader<'a, 'm> {
    ingest: &'a Ingest,
    reading: Reading,
    waiter: Arc<dyn Waiter>,
    salt: u128,
    tail: RecordTail,
    request_id: String,
    wall_ms: i64,
    app: &'a App,
    flaws: &'a [Flaw],
    // Events written to the open bucket one after the other and not yet attached to it.
    run: Option<EventRange>,
    // Told in the batch's place of events that are in flight by another batch.
    resends: Option<Arc<dyn Waiter>>,
    tally: Tally<'m>,
}

impl<'m> BatchReader<'_, 'm> {
    /// Looks at an event's id, where it is the first field, as every standard serializer writes it.
    #[inline]
    fn peek(&self, bytes: &[u8]) -> Option<Peeked> {
        let event_id = Uuid::try_parse_ascii(scan::leading_id(bytes)?).ok()?;
        let key = Dedupe::key(self.salt, event_id);
        self.ingest.dedupe.touch(key);
        Some(Peeked { event_id, key })
    }

    #[inline]
    fn read(&mut self, lane: &mut LaneWriter<'_>, index: u32, bytes: &'m [u8], peeked: Option<Peeked>) {
        let checked = scanned(index, bytes, self.flaws).and_then(|event| {
            // Of a field that is sent twice the last counts: then another id than the one that was looked at.
            let first = scan::leading_id(bytes).is_some_and(|id| std::ptr::eq(id, event.event_id));
            let peeked = peeked.filter(|_| first);
            let known_id = peeked.map(|peeked| peeked.event_id);
            validate(&event, known_id, &self.ingest.limits).map(|checked| (event, checked, peeked))
        });
        match checked {
            Ok((event, checked, peeked)) => {
                if let Err(invalid) = self.write(lane, index, &event, &checked, peeked) {
                    self.reject(index, bytes, &invalid);
                }
            }
            Err(invalid) => self.reject(index, bytes, &invalid),
        }
    }

    fn write(
        &mut self,
        lane: &mut LaneWriter<'_>,
        index: u32,
        event: &RawEvent<'m>,
        checked: &Checked,
        peeked: Option<Peeked>,
    ) -> Result<(), Invalid> {
        let event_id = checked.event_id.unwrap_or_else(|| self.ingest.assign_id(self.wall_ms));
        let id_text = id_text(event_id);
        let fields = fields(event, checked, &id_text);
        let size = self.ingest.size(&fields, &self.tail)?;
        if lane.is_keyed() && !event.partition_key.is_empty() {
            let key = hash_key(event.partition_key);
            if lane.must_move_to(key) {
                self.end_run(lane);
                lane.move_to(key);
            }
        }
        if lane.must_turn_for(size) {
            self.end_run(lane);
            lane.turn(size);
        }
        let bucket = lane.bucket_id();
        if let Some((witness, part)) = self.tally.enter(bucket) {
            lane.witness(witness, part);
        }
        if checked.event_id.is_some() {
            let key = peeked.map_or_else(|| Dedupe::key(self.salt, event_id), |peeked| peeked.key);
            let mut seen = self.ingest.dedupe.claim(key, bucket);
            while let Some(seen_in) = seen {
                let range = EventRange { start: index, end: index + 1 };
                let waiter = self.resends.get_or_insert_with(|| self.reading.resends());
                match self.ingest.in_flight.share(seen_in, waiter, range) {
                    Fate::Stored => {
                        self.app.counters().duplicates.inc();
                        self.reading.duplicate();
                        return Ok(());
                    }
                    Fate::Shared => {
                        self.app.counters().duplicates.inc();
                        return Ok(());
                    }
                    Fate::Failed => seen = self.ingest.dedupe.reclaim(key, seen_in, bucket),
                }
            }
        } else {
            self.reading.assign(index, event_id);
        }
        write_record(lane.append(size), &fields, &self.tail);
        self.tally.written(index, event, fields.event_id, checked.seconds);
        match &mut self.run {
            Some(run) if run.end == index => run.end += 1,
            _ => {
                self.end_run(lane);
                self.run = Some(EventRange { start: index, end: index + 1 });
            }
        }
        Ok(())
    }

    fn end_run(&mut self, lane: &mut LaneWriter<'_>) {
        if let Some(run) = self.run.take() {
            lane.attach(&self.waiter, run);
        }
    }

    #[cold]
    fn reject(&mut self, index: u32, bytes: &'m [u8], invalid: &Invalid) {
        self.tally.rejected(scan::event(bytes).ok().as_ref(), invalid);
        self.reading.reject(index, invalid);
        let reason = invalid.problem.reason();
        if let Some((_, counter)) = self.ingest.rejected.iter().find(|(known, _)| *known == reason) {
            counter.inc();
        }
        if let Some(rejects) = &self.ingest.rejects {
            rejects.submit(BadRow {
                application_id: self.app.id(),
                request_id: self.request_id.clone(),
                index,
                reason: reason.label(),
                field: invalid.field.name(),
                message: invalid.to_string(),
                received_at_ms: self.wall_ms,
                event: bytes.to_vec(),
            });
        }
    }
}

/// An event's fields, unless the door has found it wrong.
#[inline]
fn scanned<'a>(index: u32, bytes: &'a [u8], flaws: &[Flaw]) -> Result<RawEvent<'a>, Invalid> {
    if let Ok(place) = flaws.binary_search_by_key(&index, |flaw| flaw.index) {
        return Err(flaws[place].invalid);
    }
    scan::event(bytes).map_err(|malformed| Invalid { field: Field::Event, problem: Problem::Malformed(malformed) })
}

#[inline]
fn fields<'a>(event: &RawEvent<'a>, checked: &Checked, event_id: &'a IdText) -> EventFields<'a> {
    EventFields {
        event_id,
        event_type: event.event_type,
        event_name: event.event_name,
        seconds: checked.seconds,
        nanos: checked.nanos,
        event_version: event.event_version,
        app_version: event.app_version,
        event_data: event.event_data,
        data_has_line_breaks: checked.data_has_line_breaks,
    }
}

/// An event's id as records carry it: hyphenated, in lower case.
type IdText = [u8; uuid::fmt::Hyphenated::LENGTH];

#[inline]
fn id_text(id: Uuid) -> IdText {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    id.hyphenated().encode_lower(&mut text);
    text
}

const REJECT_REASONS: [Reason; 9] = [
    Reason::Malformed,
    Reason::Required,
    Reason::Charset,
    Reason::TooLong,
    Reason::NotAUuid,
    Reason::TimestampRange,
    Reason::NotAJsonObject,
    Reason::TooDeep,
    Reason::EventTooLarge,
];
