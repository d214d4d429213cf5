//! Counts of what events of a batch have in common, in a small table on the stack.

const SLOTS: usize = 128;
/// So many are taken at most: the search always ends, and soon.
const MAX_CELLS: usize = 96;
/// Keys of cells leave this bit free; it marks those that are taken.
const TAKEN: u64 = 1 << 63;

/// Counts by key.
pub(super) struct Cells {
    keys: [u64; SLOTS],
    counts: [u32; SLOTS],
    len: usize,
}

impl Cells {
    pub(super) fn new() -> Self {
        Self { keys: [0; SLOTS], counts: [0; SLOTS], len: 0 }
    }

    /// Counts one more. Whether there is room for another new key afterwards.
    #[inline]
    pub(super) fn count(&mut self, key: u64) -> bool {
        let key = key | TAKEN;
        #[allow(clippy::cast_possible_truncation, reason = "seven bits")]
        let mut slot = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57) as usize;
        while self.keys[slot] != key {
            if self.keys[slot] == 0 {
                self.keys[slot] = key;
                self.len += 1;
                break;
            }
            slot = (slot + 1) % SLOTS;
        }
        self.counts[slot] += 1;
        self.len < MAX_CELLS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Every key with its count, in no order.
    pub(super) fn to_vec(&self) -> Vec<(u64, u32)> {
        let taken = self.keys.iter().zip(&self.counts).filter(|(key, _)| **key != 0);
        let mut counts = Vec::with_capacity(self.len);
        counts.extend(taken.map(|(key, count)| (key & !TAKEN, *count)));
        counts
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
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
