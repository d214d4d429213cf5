//! Ids of the destination, more than memory holds: sorted runs in temporary files, merged when they are looked at.
//!
//! The files are nameless, so that nothing is left behind however the process ends; they take 16 bytes an id in the
//! system's temporary folder (`TMPDIR`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::ops::RangeInclusive;

const ID_BYTES: usize = 16;
const BUFFER: usize = 256 << 10;

/// A pile of ids, the same one possibly several times.
pub(super) struct Pile {
    /// In no order.
    ids: Vec<u128>,
    runs: Vec<File>,
    len: u64,
    at_once: usize,
}

impl Pile {
    /// Keeps at most so many ids in memory.
    pub(super) fn new(at_once: usize) -> Self {
        Self { ids: Vec::new(), runs: Vec::new(), len: 0, at_once: at_once.max(1) }
    }

    /// How many ids it holds.
    #[cfg(any(test, feature = "aws"))]
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.at_once);
    }

    pub(super) fn push(&mut self, id: u128) -> io::Result<()> {
        if self.ids.len() >= self.at_once {
            self.set_down()?;
        }
        self.ids.push(id);
        self.len += 1;
        Ok(())
    }

    /// Writes what is in memory as a sorted run.
    fn set_down(&mut self) -> io::Result<()> {
        self.ids.sort_unstable();
        let mut out = BufWriter::with_capacity(BUFFER, tempfile::tempfile()?);
        for id in &self.ids {
            out.write_all(&id.to_le_bytes())?;
        }
        self.runs.push(out.into_inner().map_err(|error| error.into_error())?);
        self.ids.clear();
        Ok(())
    }

    /// Calls `each` with ranges that together hold every possible id once, ascending, and the sorted ids in each.
    pub(super) fn ranges(&mut self, mut each: impl FnMut(RangeInclusive<u128>, &[u128])) -> io::Result<()> {
        if self.runs.is_empty() {
            self.ids.sort_unstable();
            each(0..=u128::MAX, &self.ids);
            return Ok(());
        }
        if !self.ids.is_empty() {
            self.set_down()?;
        }
        let mut merge = Merge::new(&mut self.runs)?;
        let range = &mut self.ids;
        let mut from = 0;
        let mut upcoming = merge.next()?;
        while let Some(id) = upcoming {
            range.push(id);
            upcoming = merge.next()?;
            // One id's copies stay together, so that they can be counted.
            if range.len() >= self.at_once && upcoming.is_some_and(|next| next != id) {
                each(from..=id, range);
                range.clear();
                from = id + 1;
            }
        }
        each(from..=u128::MAX, range);
        range.clear();
        Ok(())
    }
}

/// Sorted runs as one.
struct Merge<'a> {
    runs: Vec<BufReader<&'a mut File>>,
    /// The first id of each run, with the run's place.
    firsts: BinaryHeap<Reverse<(u128, usize)>>,
}

impl<'a> Merge<'a> {
    fn new(runs: &'a mut [File]) -> io::Result<Self> {
        let mut merge = Self { runs: Vec::with_capacity(runs.len()), firsts: BinaryHeap::new() };
        for (place, run) in runs.iter_mut().enumerate() {
            run.rewind()?;
            merge.runs.push(BufReader::with_capacity(BUFFER, run));
            merge.refill(place)?;
        }
        Ok(merge)
    }

    fn next(&mut self) -> io::Result<Option<u128>> {
        let Some(Reverse((id, place))) = self.firsts.pop() else { return Ok(None) };
        self.refill(place)?;
        Ok(Some(id))
    }

    fn refill(&mut self, place: usize) -> io::Result<()> {
        let mut bytes = [0; ID_BYTES];
        match self.runs[place].read_exact(&mut bytes) {
            Ok(()) => self.firsts.push(Reverse((u128::from_le_bytes(bytes), place))),
            // Only whole ids are written.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pile(at_once: usize, ids: &[u128]) -> Pile {
        let mut pile = Pile::new(at_once);
        for id in ids {
            pile.push(*id).expect("a temporary file");
        }
        pile
    }

    #[test]
    fn ranges_cover_every_id_once_and_are_no_longer_than_memory_allows() {
        let mut ids: Vec<u128> =
            (0..1_000_u128).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)).collect();
        ids.push(u128::MAX);
        let mut pile = pile(64, &ids);
        ids.sort_unstable();
        // Twice, since the destination is looked at again while events are waited for.
        for _ in 0..2 {
            let (mut next, mut all) = (Some(0), Vec::new());
            pile.ranges(|range, ids| {
                assert_eq!(Some(*range.start()), next, "no gap, no overlap");
                next = range.end().checked_add(1);
                assert!(ids.len() <= 64 && ids.is_sorted() && ids.iter().all(|id| range.contains(id)));
                all.extend_from_slice(ids);
            })
            .expect("readable");
            assert_eq!(next, None, "up to the last possible id");
            assert_eq!(all, ids);
        }
        assert_eq!(pile.len(), 1_001);
    }

    #[test]
    fn copies_of_an_id_are_seen_together() {
        let mut pile = pile(4, &[5, 1, 5, 2, 5, 3, 5, 9, 5, 5, 8]);
        let mut runs = Vec::new();
        pile.ranges(|_, ids| runs.extend(ids.chunk_by(|one, other| one == other).map(|same| (same[0], same.len()))))
            .expect("readable");
        assert_eq!(runs, [(1, 1), (2, 1), (3, 1), (5, 6), (8, 1), (9, 1)]);
    }
}
