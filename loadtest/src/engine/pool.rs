//! The players of a server who are offline: a bit each, no timers.

use super::Draw;

/// Tries at random places before the search goes on in order.
const TRIES: u32 = 64;

pub(super) struct Pool {
    words: Box<[u64]>,
    players: u32,
    len: u32,
}

impl Pool {
    /// An empty pool for so many players.
    pub(super) fn new(players: u32) -> Self {
        Self { words: vec![0; players.div_ceil(64) as usize].into_boxed_slice(), players, len: 0 }
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn put(&mut self, index: u32) {
        let word = &mut self.words[index as usize / 64];
        debug_assert!(*word >> (index % 64) & 1 == 0);
        *word |= 1 << (index % 64);
        self.len += 1;
    }

    /// Takes a player at random; none if nobody is there.
    ///
    /// Random places are tried until one is found who is in the pool, which is exactly uniform. Where that fails 64
    /// times, fewer than one in ten or so are left; then it is the next one after a random place.
    pub(super) fn draw(&mut self, draw: &mut Draw) -> Option<u32> {
        if self.len == 0 {
            return None;
        }
        for _ in 0..TRIES {
            let index = draw.below(self.players);
            if self.words[index as usize / 64] >> (index % 64) & 1 == 1 {
                return Some(self.remove(index));
            }
        }
        let start = draw.below(self.words.len() as u32) as usize;
        let (before, after) = self.words.split_at(start);
        let place = after.iter().chain(before).position(|word| *word != 0)?;
        let word = (start + place) % self.words.len();
        Some(self.remove(word as u32 * 64 + self.words[word].trailing_zeros()))
    }

    fn remove(&mut self, index: u32) -> u32 {
        self.words[index as usize / 64] &= !(1 << (index % 64));
        self.len -= 1;
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Purpose;

    #[test]
    fn everybody_is_drawn_once_and_the_first_one_at_random() {
        let mut draw = Draw::new(1, 0, 0, Purpose::Arrival);
        let mut first = [0_u32; 100];
        for _ in 0..20_000 {
            let mut pool = Pool::new(100);
            for index in 0..100 {
                pool.put(index);
            }
            let mut drawn: Vec<u32> = std::iter::from_fn(|| pool.draw(&mut draw)).collect();
            assert_eq!(pool.len(), 0);
            first[drawn[0] as usize] += 1;
            drawn.sort_unstable();
            assert!(drawn.into_iter().eq(0..100));
        }
        // 200 expected, with a standard deviation of 14.
        assert!(first.iter().all(|times| (130..270).contains(times)), "{first:?}");
    }
}
