//! What the log has on disk, and what of it is needed.

use std::collections::{BTreeMap, HashMap};

use super::frame::HEADER_LEN;
use super::segment::Number;

/// Where events of a batch are: in a run of frames, one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) segment: Number,
    /// Of the first frame.
    pub(super) start: u64,
    /// Of the last one.
    pub(super) end: u64,
    pub(super) events: u32,
    /// Without the headers.
    pub(super) bytes: usize,
}

impl Piece {
    pub(super) fn of_frame(segment: Number, start: u64, data: usize, events: u32) -> Self {
        Self { segment, start, end: start + (HEADER_LEN + data) as u64, events, bytes: data }
    }

    /// Adds it to a batch's pieces. Durable events come one by one; a piece for each would take more memory than they do.
    pub(super) fn add_to(self, pieces: &mut Vec<Self>) {
        match pieces.last_mut() {
            Some(last) if last.segment == self.segment && last.end == self.start => {
                last.end = self.end;
                last.events += self.events;
                last.bytes += self.bytes;
            }
            _ => pieces.push(self),
        }
    }
}

/// What is on disk, and what of it is needed.
pub(super) struct Space {
    /// With the bytes that each takes, and how many unsettled batches have a piece in it.
    segments: BTreeMap<Number, (u64, usize)>,
    /// Of unsettled batches.
    pieces: HashMap<u64, Vec<Piece>>,
    total: u64,
}

impl Space {
    pub(super) fn new(segments: BTreeMap<Number, u64>, pieces: BTreeMap<u64, Vec<Piece>>) -> Self {
        let total = segments.values().sum();
        let segments = segments.into_iter().map(|(number, bytes)| (number, (bytes, 0))).collect();
        let mut space = Self { segments, pieces: HashMap::new(), total };
        for (batch, pieces) in pieces {
            for piece in pieces {
                space.add(batch, piece);
            }
        }
        space
    }

    /// Something of a batch is written.
    pub(super) fn add(&mut self, batch: u64, piece: Piece) {
        let pieces = self.pieces.entry(batch).or_default();
        if pieces.iter().all(|other| other.segment != piece.segment) {
            self.segments.entry(piece.segment).or_default().1 += 1;
        }
        piece.add_to(pieces);
    }

    /// Bytes of all segments.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Where a batch is that is not settled.
    pub(super) fn pieces(&self, batch: u64) -> Option<&[Piece]> {
        self.pieces.get(&batch).map(Vec::as_slice)
    }

    /// Whether nothing of it is needed.
    pub(super) fn is_settled(&self) -> bool {
        self.pieces.is_empty()
    }

    /// A batch need not be kept. Whether the log had something of it.
    pub(super) fn settle(&mut self, batch: u64) -> bool {
        let Some(pieces) = self.pieces.remove(&batch) else { return false };
        let mut segments: Vec<Number> = pieces.iter().map(|piece| piece.segment).collect();
        segments.dedup();
        for number in segments {
            if let Some((_, needed)) = self.segments.get_mut(&number) {
                *needed -= 1;
            }
        }
        true
    }

    /// So much is written.
    pub(super) fn grow(&mut self, segment: Number, bytes: u64) {
        self.segments.entry(segment).or_default().0 += bytes;
        self.total += bytes;
    }

    /// The oldest segment, if nobody needs it and it is not the one that is written. In this order only: a newer one may
    /// hold the marks of what the older ones still have.
    pub(super) fn removable(&self, active: Option<Number>) -> Option<Number> {
        let (number, (_, needed)) = self.segments.first_key_value()?;
        (*needed == 0 && active != Some(*number)).then_some(*number)
    }

    /// A segment is gone.
    pub(super) fn removed(&mut self, segment: Number) {
        if let Some((bytes, _)) = self.segments.remove(&segment) {
            self.total -= bytes;
        }
    }
}
