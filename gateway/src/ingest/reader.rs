//! Reads one batch: each event is found, checked, held to its application's policy, deduped and written.

use std::sync::Arc;

use headgate_proto::record::{EventFields, MeasuredRecord, RecordTail};
use uuid::Uuid;

use super::Ingest;
use super::dedupe::{self, Dedupe};
use super::policy::{Policy, Standing};
use super::verdict::Reading;
use crate::admission::app::App;
use crate::delivery::rejects::BadRow;
use crate::event::id::{self, IdText};
use crate::event::scan::{self, RawEvent};
use crate::event::validate::{Checked, Field, Flaw, Invalid, Problem, validate};
use crate::gather::{BucketId, EventRange, Fate, Format, LaneWriter, Waiter, hash_key};
use crate::live::Tally;
use crate::registry::Violation;

/// So many events are looked at and not read through: an event's id is looked at one less before it is read.
const LOOK_AHEAD: usize = 16;

/// What a look at an event's id told.
#[derive(Clone, Copy)]
pub(super) struct Peeked {
    event_id: Uuid,
    key: dedupe::Key,
}

/// An event of a batch that was looked at.
#[derive(Clone, Copy)]
pub(super) struct LookedAt<'m> {
    index: u32,
    bytes: &'m [u8],
    peeked: Option<Peeked>,
}

/// A batch's events with their positions, and with what a look at each id told; each is looked at almost [`LOOK_AHEAD`]
/// events before it is read. The dedupe window lies in memory, not in a cache: its loads go on while other events are read.
///
/// What was looked at is written where it stays, and read there: a copy right behind the writing would wait for it.
pub(super) struct Ahead<'m, I> {
    events: I,
    dedupe: &'m Dedupe,
    salt: u128,
    looked_at: [LookedAt<'m>; LOOK_AHEAD],
    // Events that were looked at, and how many of them were read.
    end: usize,
    read: usize,
}

impl<'m, I: Iterator<Item = (u32, &'m [u8])>> Ahead<'m, I> {
    pub(super) fn new(events: I, dedupe: &'m Dedupe, salt: u128) -> Self {
        let none = LookedAt { index: 0, bytes: &[], peeked: None };
        let mut this = Self { events, dedupe, salt, looked_at: [none; LOOK_AHEAD], end: 0, read: 0 };
        (1..LOOK_AHEAD).for_each(|_| this.look());
        this
    }

    /// The next event.
    #[inline]
    pub(super) fn next(&mut self) -> Option<&LookedAt<'m>> {
        // Into the place of the one that was read last.
        self.look();
        if self.read == self.end {
            return None;
        }
        let place = self.read % LOOK_AHEAD;
        self.read += 1;
        Some(&self.looked_at[place])
    }

    #[inline(always)]
    fn look(&mut self) {
        if let Some((index, bytes)) = self.events.next() {
            let peeked = self.peek(bytes);
            let looked_at = &mut self.looked_at[self.end % LOOK_AHEAD];
            (looked_at.index, looked_at.bytes, looked_at.peeked) = (index, bytes, peeked);
            self.end += 1;
        }
    }

    /// Looks at an event's id, where it is the first field, as every standard serializer writes it.
    #[inline(always)]
    fn peek(&self, bytes: &[u8]) -> Option<Peeked> {
        let event_id = id::parse(scan::leading_id(bytes)?)?;
        let key = Dedupe::key(self.salt, event_id);
        self.dedupe.touch(key);
        Some(Peeked { event_id, key })
    }
}

/// A batch while it is read into one lane.
pub(super) struct BatchReader<'a, 'm> {
    pub(super) ingest: &'a Ingest,
    pub(super) reading: Reading,
    pub(super) waiter: Arc<dyn Waiter>,
    pub(super) salt: u128,
    pub(super) tail: &'a RecordTail,
    pub(super) request_id: IdText,
    pub(super) wall_ms: i64,
    pub(super) app: &'a App,
    pub(super) flaws: &'a [Flaw],
    pub(super) policy: Option<&'a Policy>,
    /// See [`Ingest::misfits`].
    pub(super) misfits: &'a [(u32, Standing)],
    // The bucket in which the batch's tail was packed last, if no other batch can have packed its own behind it.
    pub(super) tail_in: Option<BucketId>,
    // Events written to the open bucket one after the other and not yet attached to it.
    pub(super) run: Option<EventRange>,
    // Told in the batch's place of events that are in flight by another batch.
    pub(super) resends: Option<Arc<dyn Waiter>>,
    pub(super) tally: &'a mut Tally<'m>,
}

impl<'a, 'm> BatchReader<'a, 'm> {
    #[inline]
    pub(super) fn read(&mut self, lane: &mut LaneWriter<'_>, looked_at: &LookedAt<'m>) {
        let mut event = RawEvent::default();
        if let Err(invalid) = self.take(lane, looked_at, &mut event) {
            self.reject(looked_at.index, looked_at.bytes, &invalid);
        }
    }

    fn take(
        &mut self,
        lane: &mut LaneWriter<'_>,
        looked_at: &LookedAt<'m>,
        event: &mut RawEvent<'m>,
    ) -> Result<(), Invalid> {
        let LookedAt { index, bytes, ref peeked } = *looked_at;
        scanned(index, bytes, self.flaws, event)?;
        // Of a field that is sent twice the last counts: then another id than the one that was looked at.
        let first = scan::leading_id(bytes).is_some_and(|id| std::ptr::eq(id, event.event_id));
        let peeked = peeked.as_ref().filter(|_| first);
        let checked = validate(event, peeked.map(|peeked| peeked.event_id), &self.ingest.limits)?;
        if self.policy.is_some_and(|policy| policy.is_suppressed(event.event_data)) {
            self.suppress(index, &checked);
            return Ok(());
        }
        let warning = match self.misfit(index) {
            Some(Standing::Unfit(violation)) => return Err(Invalid::unfit(violation.clone())),
            Some(Standing::Warned(violation)) => Some(violation),
            _ => None,
        };
        self.write(lane, index, event, &checked, peeked)?;
        if let Some(violation) = warning {
            self.warn(index, event, violation);
        }
        Ok(())
    }

    fn write(
        &mut self,
        lane: &mut LaneWriter<'_>,
        index: u32,
        event: &RawEvent<'m>,
        checked: &Checked,
        peeked: Option<&Peeked>,
    ) -> Result<(), Invalid> {
        let event_id = checked.event_id.unwrap_or_else(|| self.ingest.assign_id(self.wall_ms));
        let id_text = id::text(event_id);
        let fields = fields(event, checked, &id_text);
        let record = MeasuredRecord::new(&fields, self.tail);
        let size = self.ingest.size(&record)?;
        if lane.is_keyed() && !event.partition_key.is_empty() {
            let key = hash_key(event.partition_key);
            if lane.must_move_to(key) {
                self.end_run(lane);
                lane.move_to(key);
                self.tail_in = None;
            }
        }
        let packed = lane.format() == Format::Packed;
        // With its tail, whether or not that is there: what is given away is its 200 bytes, once a bucket.
        let room = if packed { record.packed_len() + self.tail.packed_len() } else { size };
        if lane.must_turn_for(room) {
            self.end_run(lane);
            lane.turn(room);
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
        if packed {
            if self.tail_in != Some(bucket) {
                self.tail_in = Some(bucket);
                self.tail.pack(lane.append_shared());
            }
            record.pack(lane.append(record.packed_len()));
        } else {
            record.write(lane.append(size));
        }
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

    pub(super) fn end_run(&mut self, lane: &mut LaneWriter<'_>) {
        if let Some(run) = self.run.take() {
            lane.attach(&self.waiter, run);
        }
    }

    #[inline]
    fn misfit(&self, index: u32) -> Option<&'a Standing> {
        let misfits = self.misfits;
        misfits.binary_search_by_key(&index, |(misfit, _)| *misfit).ok().map(|place| &misfits[place].1)
    }

    /// Answers as for an event that was stored, and forgets it.
    #[cold]
    fn suppress(&mut self, index: u32, checked: &Checked) {
        if checked.event_id.is_none() {
            self.reading.assign(index, self.ingest.assign_id(self.wall_ms));
        }
        self.reading.suppressed();
    }

    #[cold]
    fn warn(&mut self, index: u32, event: &RawEvent<'m>, violation: &Violation) {
        self.app.counters().warned.inc();
        self.reading.warn(index, violation);
        self.tally.warned(event, violation);
    }

    /// Whether an event that breaks a rule is, as far as it can be read, of a player whose events are not to be kept.
    fn is_suppressed(&self, event: Option<&RawEvent<'_>>) -> bool {
        let (Some(policy), Some(event)) = (self.policy, event) else { return false };
        policy.is_suppressed_as_far_as_readable(event.event_data)
    }

    #[cold]
    fn reject(&mut self, index: u32, bytes: &'m [u8], invalid: &Invalid) {
        let event = scan::event(bytes).ok();
        let is_suppressed = self.is_suppressed(event.as_ref());
        self.tally.rejected(event.as_ref().filter(|_| !is_suppressed), invalid);
        self.reading.reject(index, invalid);
        let reason = invalid.problem.reason();
        if let Some((_, counter)) = self.ingest.rejected.iter().find(|(known, _)| *known == reason) {
            counter.inc();
        }
        if let Some(rejects) = &self.ingest.rejects
            && !is_suppressed
        {
            rejects.submit(BadRow {
                application_id: self.app.id(),
                request_id: id::as_str(&self.request_id).to_owned(),
                index,
                reason: reason.label(),
                field: invalid.place().to_owned(),
                message: invalid.to_string(),
                received_at_ms: self.wall_ms,
                event: bytes.to_vec(),
            });
        }
    }
}

/// An event's fields, unless the door has found it wrong.
#[inline]
pub(super) fn scanned<'a>(
    index: u32,
    bytes: &'a [u8],
    flaws: &[Flaw],
    event: &mut RawEvent<'a>,
) -> Result<(), Invalid> {
    if let Ok(place) = flaws.binary_search_by_key(&index, |flaw| flaw.index) {
        return Err(flaws[place].invalid.clone());
    }
    scan::event_into(bytes, event)
        .map_err(|malformed| Invalid { field: Field::Event, problem: Problem::Malformed(malformed) })
}

#[inline]
pub(super) fn fields<'a>(event: &RawEvent<'a>, checked: &Checked, event_id: &'a IdText) -> EventFields<'a> {
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

#[cfg(test)]
mod tests {
    use headgate_proto::v1::Event;
    use prost::Message;

    use super::*;

    #[test]
    fn events_come_in_their_order_with_what_their_own_ids_told() {
        let dedupe = Dedupe::new(100, 42);
        let salt = dedupe.salt(Uuid::from_u128(1));
        for count in (0..=2 * LOOK_AHEAD).chain([100]) {
            let events: Vec<Vec<u8>> = (0..count as u128)
                .map(|number| {
                    // Every seventh has none.
                    let id = if number % 7 == 6 { String::new() } else { Uuid::from_u128(number).to_string() };
                    Event { event_id: id, event_type: number.to_string(), ..Event::default() }.encode_to_vec()
                })
                .collect();
            let mut ahead = Ahead::new((0_u32..).zip(events.iter().map(Vec::as_slice)), &dedupe, salt);
            for (number, bytes) in (0_u32..).zip(&events) {
                let LookedAt { index, bytes: found, peeked } = *ahead.next().expect("one more");
                assert_eq!((index, found), (number, bytes.as_slice()), "of {count}");
                let id = (number % 7 != 6).then(|| Uuid::from_u128(number.into()));
                assert_eq!(peeked.map(|peeked| peeked.event_id), id);
                assert_eq!(peeked.map(|peeked| peeked.key), id.map(|id| Dedupe::key(salt, id)));
            }
            assert!(ahead.next().is_none() && ahead.next().is_none(), "of {count}");
        }
    }
}
