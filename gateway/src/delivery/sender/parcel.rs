//! A bucket on its way: its bytes, the records that it is sent as, and what is known of them.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use headgate_proto::aggregate;

use crate::gather::{ClosedBucket, FailureReason, Format, Outcome};

/// A bucket's number within a sender.
pub(super) type ParcelId = u64;

/// A bucket on its way.
pub(super) struct Parcel {
    /// Everything but its payload.
    pub(super) bucket: ClosedBucket,
    pub(super) payload: Bytes,
    /// Bytes of its stream records, without any envelope.
    pub(super) record_bytes: usize,
    /// Bytes of its payload that are not stored.
    pub(super) missing_bytes: usize,
    /// Records that it is sent as and that are not stored.
    pub(super) open: usize,
    /// Where the records begin that were stored.
    stored: BTreeSet<usize>,
    /// Records that are in a call.
    pub(super) in_flight: usize,
    /// A record of it may be stored without our knowing.
    pub(super) ambiguous: bool,
}

/// One record of a bucket, as long as it is not stored.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) parcel: ParcelId,
    /// Where it lies in the payload.
    pub(super) range: Range<usize>,
    /// Whether it is put in an envelope, which makes it an aggregated record.
    pub(super) sealed: bool,
    /// How often it was sent.
    pub(super) tries: u32,
}

impl Piece {
    /// What it takes on the wire, at most.
    pub(super) fn wire_len(&self) -> usize {
        self.range.len() + if self.sealed { aggregate::ENVELOPE_MAX } else { 0 } + aggregate::PARTITION_KEY.len()
    }
}

impl Piece {
    /// What it takes on the wire where it is sent to this hash key.
    pub(super) fn wire_len_for(&self, hash_key: Option<u128>) -> usize {
        match hash_key {
            // A service without hash keys takes no partition key either.
            None => self.range.len(),
            Some(key) => {
                let envelope = if self.sealed { aggregate::envelope_len(key) } else { 0 };
                self.range.len() + envelope + aggregate::PARTITION_KEY.len()
            }
        }
    }
}

impl Parcel {
    /// Takes a bucket apart: into one aggregated record, or, where `aggregates` is false, into the records that it holds.
    /// `lines_together`: lines are one record as they are.
    pub(super) fn open(
        bucket: ClosedBucket,
        id: ParcelId,
        aggregates: bool,
        lines_together: bool,
    ) -> (Self, Vec<Piece>) {
        let mut bucket = match bucket.format {
            Format::Lines | Format::Aggregate => bucket,
            Format::Packed => bucket.into_lines(),
        };
        let payload = Bytes::from(std::mem::take(&mut bucket.payload));
        let ranges = ranges_of(&payload, bucket.format);
        let record_bytes = ranges.iter().map(ExactSizeIterator::len).sum();
        let whole = match bucket.format {
            // One event needs no envelope; a line begins with a brace and so is never taken for an aggregate.
            Format::Aggregate => aggregates && ranges.len() > 1,
            Format::Lines | Format::Packed => lines_together,
        };
        let piece = |range, sealed| Piece { parcel: id, range, sealed, tries: 0 };
        let pieces: Vec<Piece> = if whole {
            vec![piece(0..payload.len(), bucket.format == Format::Aggregate)]
        } else {
            ranges.into_iter().map(|range| piece(range, false)).collect()
        };
        let open = pieces.len();
        let (ambiguous, missing_bytes, stored) = (bucket.maybe_stored, payload.len(), BTreeSet::new());
        (Self { bucket, payload, record_bytes, missing_bytes, open, stored, in_flight: 0, ambiguous }, pieces)
    }

    /// A record of it was stored; whether that was the last one.
    pub(super) fn piece_stored(&mut self, piece: &Piece) -> bool {
        self.stored.insert(piece.range.start);
        self.missing_bytes -= piece.range.len();
        self.open -= 1;
        self.open == 0
    }

    /// It has all its time before it again.
    pub(super) fn begin_anew(&mut self, now: Instant) {
        let time = self.bucket.deadline.saturating_duration_since(self.bucket.opened_at);
        self.bucket.opened_at = now;
        self.bucket.deadline = now + time;
    }

    /// The bucket with what is not known to be stored of it, for someone else to deliver.
    pub(super) fn into_bucket(self) -> ClosedBucket {
        let maybe_stored = self.maybe_stored();
        let (payload, events) = match self.stored.is_empty() {
            true => (self.payload.into(), self.bucket.events),
            false => self.rest(),
        };
        ClosedBucket { payload, events, maybe_stored, ..self.bucket }
    }

    fn rest(&self) -> (Vec<u8>, u32) {
        let (mut rest, mut events) = (Vec::with_capacity(self.payload.len()), 0);
        for range in ranges_of(&self.payload, self.bucket.format) {
            if self.stored.contains(&range.start) {
                continue;
            }
            if self.bucket.format == Format::Aggregate {
                aggregate::begin_user_record(&mut rest, range.len());
            }
            rest.extend_from_slice(&self.payload[range]);
            events += 1;
        }
        (rest, events)
    }

    /// What can be said of it when it is given up.
    pub(super) fn given_up(&self, reason: FailureReason, retry_after: Duration) -> Outcome {
        if self.maybe_stored() { Outcome::Unknown { reason } } else { Outcome::NotStored { reason, retry_after } }
    }

    fn maybe_stored(&self) -> bool {
        self.ambiguous || !self.stored.is_empty() || self.in_flight > 0
    }

    /// The records that an aggregated record of it would have held.
    pub(super) fn unpacked(&self, piece: &Piece) -> Vec<Piece> {
        let ranges = ranges_of(&self.payload, self.bucket.format);
        ranges.into_iter().map(|range| Piece { range, sealed: false, ..piece.clone() }).collect()
    }

    pub(super) fn deadline(&self) -> Instant {
        self.bucket.deadline
    }

    /// From then on nothing of it is sent: the last eighth of its time is for answers.
    pub(super) fn last_start(&self) -> Instant {
        let (opened, deadline) = (self.bucket.opened_at, self.bucket.deadline);
        opened + deadline.saturating_duration_since(opened) * 7 / 8
    }

    /// Whether it goes on when its time is over: nobody waits for the verdict of a kept bucket, and given back, what is
    /// stored of it would be sent again with the rest. At the end it is left where it is kept.
    pub(super) fn goes_on(&self, closing: bool) -> bool {
        self.bucket.kept && self.bucket.overflow.is_none() && !closing
    }

    /// Whether nothing of it is sent any more. An answer that comes after the deadline is for nobody, and under overload,
    /// where everything waits for almost as long as it may, each would come then: every call a waste, and what it has
    /// stored sent again.
    pub(super) fn is_too_late(&self, now: Instant, closing: bool) -> bool {
        !self.goes_on(closing) && self.last_start() <= now
    }
}

fn ranges_of(payload: &[u8], format: Format) -> Vec<Range<usize>> {
    let start_of = |part: &[u8]| part.as_ptr() as usize - payload.as_ptr() as usize;
    let range = |part: &[u8]| start_of(part)..start_of(part) + part.len();
    match format {
        Format::Lines | Format::Packed => payload.split_inclusive(|byte| *byte == b'\n').map(range).collect(),
        Format::Aggregate => aggregate::framed_data(payload).map(range).collect(),
    }
}
