//! Counts of what events of a batch have in common, in a small table on the stack.

use arrayvec::ArrayVec;

const SLOTS: usize = 128;
/// So many are taken at most: the search always ends, and soon.
const MAX_CELLS: usize = 96;
/// An event counts in two cells, of which the first may be the last one that is taken.
const ROOM: usize = MAX_CELLS + 1;

/// Counts by key.
pub(super) struct Cells {
    // 0: free; otherwise a cell's place, from 1.
    slots: [u8; SLOTS],
    cells: ArrayVec<(u64, u32), ROOM>,
}

impl Cells {
    pub(super) fn new() -> Self {
        Self { slots: [0; SLOTS], cells: ArrayVec::new() }
    }

    /// Counts one more. Whether there is room for another new key afterwards.
    #[inline]
    pub(super) fn count(&mut self, key: u64) -> bool {
        #[allow(clippy::cast_possible_truncation, reason = "seven bits")]
        let mut slot = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57) as usize;
        loop {
            match self.slots[slot] {
                0 => break,
                place => {
                    let cell = &mut self.cells[usize::from(place - 1)];
                    if cell.0 == key {
                        cell.1 += 1;
                        return self.cells.len() < MAX_CELLS;
                    }
                    slot = (slot + 1) % SLOTS;
                }
            }
        }
        self.cells.push((key, 1));
        #[allow(clippy::cast_possible_truncation, reason = "at most 97")]
        let place = self.cells.len() as u8;
        self.slots[slot] = place;
        self.cells.len() < MAX_CELLS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Every key with its count, in the order in which they came.
    pub(super) fn to_vec(&self) -> Vec<(u64, u32)> {
        self.cells.to_vec()
    }

    pub(super) fn clear(&mut self) {
        self.slots = [0; SLOTS];
        self.cells.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_comes_out_under_its_key() {
        let mut cells = Cells::new();
        let mut room = true;
        let mut keys = 0;
        while room {
            for _ in 0..=keys {
                room = cells.count(keys << 32);
            }
            keys += 1;
        }
        assert_eq!(keys, MAX_CELLS as u64);
        let mut counts = cells.to_vec();
        counts.sort_unstable();
        assert_eq!(counts, (0..keys).map(|key| (key << 32, key as u32 + 1)).collect::<Vec<_>>());
        cells.clear();
        assert!(cells.is_empty() && cells.to_vec().is_empty());
    }
}
