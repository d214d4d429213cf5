//! Reads one batch: each event is checked, held to its application's policy, deduped and written.

use std::sync::Arc;

use headgate_proto::record::{EventFields, MeasuredRecord, RecordTail, TimestampText};

use super::Ingest;
use super::ahead::LookedAt;
use super::dedupe;
use super::policy::{Policy, Standing};
use super::verdict::Reading;
use crate::admission::app::App;
use crate::delivery::rejects::BadRow;
use crate::event::id::{self, IdText};
use crate::event::scan::{self, RawEvent};
use crate::event::validate::{Checked, Flaw, Invalid, validate_known};
use crate::gather::{BucketId, EventRange, Fate, Format, LaneWriter, Waiter, hash_key};
use crate::live::Tally;
use crate::registry::Violation;

/// A batch while it is read into one lane.
pub(super) struct BatchReader<'a, 'm> {
    pub(super) ingest: &'a Ingest,
    pub(super) reading: Reading,
    pub(super) waiter: Arc<dyn Waiter>,
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
        if let Err(invalid) = self.take(lane, looked_at) {
            self.reject(looked_at.index, looked_at.bytes, &invalid);
        }
    }

    fn take(&mut self, lane: &mut LaneWriter<'_>, looked_at: &LookedAt<'m>) -> Result<(), Invalid> {
        let LookedAt { index, ref event, scanned, ref known, key, .. } = *looked_at;
        unflawed(index, self.flaws)?;
        scanned?;
        let checked = validate_known(event, known, &self.ingest.limits)?;
        if self.policy.is_some_and(|policy| policy.is_suppressed(event.event_data)) {
            self.suppress(index, &checked);
            return Ok(());
        }
        let warning = match self.misfit(index) {
            Some(Standing::Unfit(violation)) => return Err(Invalid::unfit(violation.clone())),
            Some(Standing::Warned(violation)) => Some(violation),
            _ => None,
        };
        self.write(lane, index, event, &checked, key)?;
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
        key: Option<dedupe::Key>,
    ) -> Result<(), Invalid> {
        let event_id = checked.event_id.unwrap_or_else(|| self.ingest.assign_id(self.wall_ms));
        // Mostly it comes as it goes.
        let written;
        let id_text = match checked.event_id.and_then(|_| id::same_text(event.event_id)) {
            Some(text) => text,
            None => {
                written = id::text(event_id);
                &written
            }
        };
        let fields = fields(event, checked, id_text);
        let mut timestamp = TimestampText::default();
        let record = MeasuredRecord::new(&fields, self.tail, &mut timestamp);
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
        if let Some(key) = key {
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

/// What the door has found wrong with an event.
#[inline]
pub(super) fn unflawed(index: u32, flaws: &[Flaw]) -> Result<(), Invalid> {
    match flaws.binary_search_by_key(&index, |flaw| flaw.index) {
        Ok(place) => Err(flaws[place].invalid.clone()),
        Err(_) => Ok(()),
    }
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
