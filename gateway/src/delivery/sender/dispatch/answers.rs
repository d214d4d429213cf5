//! What calls were answered: what is stored is settled, what failed is sent again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{
    CallError, CallFailure, DRAIN_BASE, Dispatcher, EntryResult, Note, OutCall, RETRY_BASE, RETRY_CAP, Sent, Step,
    THROTTLED_BASE, full_jitter,
};
use crate::gather::Outcome;

impl Dispatcher {
    /// A call was answered, or failed. `results` is in the order of its records.
    pub(in crate::delivery::sender) fn answered(
        &mut self,
        id: u64,
        results: Result<Vec<EntryResult>, CallError>,
        now: Instant,
    ) -> Step {
        let mut step = Step::default();
        let Some(OutCall { sent, sent_at }) = self.calls.remove(&id) else { return step };
        for record in &sent {
            if let Some(shard) = self.current_shard(record).and_then(|shard| self.shards.get_mut(shard)) {
                shard.answered();
            }
            if let Some(parcel) = self.parcels.get_mut(&record.piece.parcel) {
                parcel.in_flight -= 1;
            }
            if let Some(lane) = record.lane.and_then(|lane| self.lanes.get_mut(&lane)) {
                lane.in_flight = false;
            }
        }
        match results {
            Ok(results) if results.len() == sent.len() => self.take_results(sent, results, sent_at, now, &mut step),
            Ok(results) => {
                let message = format!("{} results for {} records", results.len(), sent.len());
                let error = CallError { failure: CallFailure::Ambiguous, code: "length_mismatch".into(), message };
                self.take_failure(sent, &error, sent_at, now, &mut step);
            }
            Err(error) => self.take_failure(sent, &error, sent_at, now, &mut step),
        }
        step
    }

    // A shard that was split or merged since has its successor in its place, or nothing.
    fn current_shard(&self, record: &Sent) -> Option<usize> {
        match &record.shard_id {
            Some(id) => self.shards.index_of(id),
            None => Some(record.shard),
        }
    }

    fn take_results(
        &mut self,
        sent: Vec<Sent>,
        results: Vec<EntryResult>,
        sent_at: Instant,
        now: Instant,
        step: &mut Step,
    ) {
        // Records that fail in a call that is answered say nothing of the service as a whole.
        if self.breaker.succeeded() {
            step.notes.push(Note::Closed);
            self.shards.back(now);
            // Pauses were for a service that failed.
            self.stop_waiting(now);
        }
        let mut look_again = false;
        // From the back, so that what has to go to the front of a lane comes to lie there in order.
        for (record, result) in sent.into_iter().zip(results).rev() {
            match result {
                EntryResult::Stored { shard } => {
                    if let (Some(expected), Some(actual)) = (&record.shard_id, &shard)
                        && expected != actual
                    {
                        step.notes.push(Note::WrongShard);
                        look_again |= self.shards.index_of(actual).is_none();
                    }
                    if let Some(shard) = self.current_shard(&record) {
                        self.shards.stored(shard, record.wire, sent_at, now);
                    }
                    self.stored(&record, now, step);
                }
                EntryResult::Throttled => {
                    look_again |=
                        self.current_shard(&record).is_some_and(|shard| self.shards.throttled(shard, sent_at, now));
                    step.notes.push(Note::Failed { code: "throttled".into() });
                    // Another shard may well have room: its first other try is at once.
                    let base = if self.shards.len() > 1 && record.piece.tries == 1 && !self.keyed {
                        Duration::ZERO
                    } else {
                        THROTTLED_BASE
                    };
                    self.again(record, base, now, step);
                }
                EntryResult::Failed { code } => {
                    step.notes.push(Note::Failed { code });
                    self.again(record, RETRY_BASE, now, step);
                }
            }
        }
        if look_again {
            step.notes.push(Note::LookAgain);
        }
    }

    fn take_failure(&mut self, sent: Vec<Sent>, error: &CallError, sent_at: Instant, now: Instant, step: &mut Step) {
        let permanent = error.failure == CallFailure::Permanent;
        if self.breaker.failed(permanent, error, now) {
            step.notes.push(Note::Opened(error.to_string()));
        }
        // Where there is one place, the call's throttling is that place's.
        if error.failure == CallFailure::Throttled && self.shards.is_one() {
            for _ in &sent {
                let _ = self.shards.throttled(0, sent_at, now);
            }
        }
        for record in sent.into_iter().rev() {
            step.notes.push(Note::Failed { code: Arc::clone(&error.code) });
            let base = match error.failure {
                CallFailure::Throttled => THROTTLED_BASE,
                CallFailure::Unreachable | CallFailure::Credentials => RETRY_BASE,
                CallFailure::Ambiguous => {
                    step.notes.push(Note::Ambiguous);
                    if let Some(parcel) = self.parcels.get_mut(&record.piece.parcel) {
                        parcel.ambiguous = true;
                    }
                    RETRY_BASE
                }
                CallFailure::Permanent => {
                    self.give_up(record.piece.parcel, now, step);
                    continue;
                }
            };
            self.again(record, base, now, step);
        }
    }

    fn stored(&mut self, record: &Sent, now: Instant, step: &mut Step) {
        let id = record.piece.parcel;
        let Some(parcel) = self.parcels.get_mut(&id) else { return };
        self.stored.add(record.piece.range.len(), now);
        self.queued_bytes -= record.piece.range.len();
        let all_stored = parcel.piece_stored(&record.piece);
        let whole = record.piece.range.len() == parcel.payload.len();
        step.notes.push(Note::Stored {
            wire: record.wire,
            record_bytes: if whole { parcel.record_bytes } else { record.piece.range.len() },
            events: if whole { parcel.bucket.events } else { 1 },
            waited: now.saturating_duration_since(parcel.bucket.opened_at),
        });
        if let Some(lane) = record.lane.and_then(|lane| self.lanes.get_mut(&lane)) {
            lane.not_before = None;
        }
        if all_stored && let Some(parcel) = self.remove(id) {
            step.settled.push((parcel.bucket.ticket, Outcome::Stored));
        }
    }

    /// Sends a record once more, after a pause.
    fn again(&mut self, record: Sent, base: Duration, now: Instant, step: &mut Step) {
        if !self.parcels.contains_key(&record.piece.parcel) {
            return;
        }
        step.notes.push(Note::Retried);
        let base = if self.closing { base.min(DRAIN_BASE) } else { base };
        let at = now + full_jitter(base, record.piece.tries - 1, RETRY_CAP);
        match record.lane.filter(|_| self.keyed) {
            Some(number) => {
                if let Some(lane) = self.lanes.get_mut(&number) {
                    lane.waiting.push_front(record.piece);
                    lane.not_before = Some(at);
                }
            }
            None => {
                self.delayed.insert((at, self.next_delayed), record.piece);
                self.next_delayed += 1;
            }
        }
    }
}
