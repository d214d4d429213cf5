//! The few names that a batch holds, told apart without copying one: a table on the stack, asked once for each event.

use arrayvec::ArrayVec;

/// Names that one table tells apart. A batch with more is taken in several pieces.
pub(super) const MAX_NAMES: usize = 32;
const SLOTS: usize = 64;

/// Names in the order in which they came.
pub(super) struct Names<'m> {
    // 0: free; otherwise a name's place, from 1.
    slots: [u8; SLOTS],
    names: ArrayVec<&'m [u8], MAX_NAMES>,
}

impl<'m> Names<'m> {
    pub(super) fn new() -> Self {
        Self { slots: [0; SLOTS], names: ArrayVec::new() }
    }

    /// A name's place, a new one where it was not seen; `None` where there is none left.
    #[inline]
    pub(super) fn place(&mut self, name: &'m [u8]) -> Option<u8> {
        let mut slot = hash(name);
        loop {
            match usize::from(self.slots[slot]) {
                0 => break,
                place if same(self.names[place - 1], name) => {
                    return Some(byte(place - 1));
                }
                _ => slot = (slot + 1) % SLOTS,
            }
        }
        if self.names.is_full() {
            return None;
        }
        let place = self.names.len();
        self.names.push(name);
        // At most half of the slots are taken: the search above always ends.
        self.slots[slot] = byte(place + 1);
        Some(byte(place))
    }

    pub(super) fn as_slice(&self) -> &[&'m [u8]] {
        &self.names
    }

    pub(super) fn clear(&mut self) {
        self.slots = [0; SLOTS];
        self.names.clear();
    }
}

#[allow(clippy::cast_possible_truncation, reason = "at most 32")]
const fn byte(place: usize) -> u8 {
    place as u8
}

/// Names of 4 to 32 bytes are compared by words that may overlap: how many and where, no branch has to wait for.
#[inline]
fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    match one.len() {
        len @ 8..=32 => {
            let last = len - 8;
            let differ = |at| word(&one[at..at + 8]) ^ word(&other[at..at + 8]);
            differ(0) | differ(last.min(8)) | differ(last.saturating_sub(8)) | differ(last) == 0
        }
        len @ 4..=7 => {
            let differ = |at| half(&one[at..at + 4]) ^ half(&other[at..at + 4]);
            differ(0) | differ(len - 4) == 0
        }
        _ => one == other,
    }
}

/// By length and both ends: names that differ only in between share a slot, which costs a comparison.
#[inline]
fn hash(name: &[u8]) -> usize {
    let ends = match name.len() {
        8.. => word(&name[..8]) ^ word(&name[name.len() - 8..]).rotate_left(23),
        4..=7 => half(&name[..4]) ^ half(&name[name.len() - 4..]).rotate_left(23),
        _ => name.iter().fold(0, |folded, byte| folded << 8 | u64::from(*byte)),
    };
    let mixed = (ends ^ (name.len() as u64) << 56).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    #[allow(clippy::cast_possible_truncation, reason = "six bits")]
    let slot = (mixed >> 58) as usize;
    slot
}

/// Eight bytes.
#[inline(always)]
fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

/// Four bytes.
#[inline(always)]
fn half(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |half| u64::from(u32::from_le_bytes(*half)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_one_place_until_there_are_too_many() {
        let owned: Vec<String> = (0..40).map(|n| format!("type_{n}_of_this_test")).collect();
        let mut names = Names::new();
        for _ in 0..3 {
            for (place, name) in owned.iter().enumerate() {
                let expected = u8::try_from(place).ok().filter(|place| usize::from(*place) < MAX_NAMES);
                assert_eq!(names.place(name.as_bytes()), expected, "{name}");
            }
        }
        assert_eq!(names.as_slice().len(), MAX_NAMES);
        names.clear();
        assert_eq!((names.place(b""), names.place(b"a"), names.place(b"")), (Some(0), Some(1), Some(0)));
    }

    #[test]
    fn names_that_share_a_slot_are_still_told_apart() {
        let alike: Vec<String> = (0..20).map(|n| format!("12345678{n:02}12345678")).collect();
        assert!(alike.iter().all(|name| name.len() == 18));
        let mut names = Names::new();
        let places: Vec<_> = alike.iter().map(|name| names.place(name.as_bytes())).collect();
        assert_eq!(places, (0..20).map(Some).collect::<Vec<_>>());
    }

    #[test]
    fn names_are_compared_byte_by_byte() {
        for len in 0..40 {
            let name: Vec<u8> = (0..len).map(|n| b'a' + n).collect();
            assert!(same(&name, &name.clone()));
            assert!(!same(&name, &[&name[..], b"x"].concat()));
            for place in 0..name.len() {
                let mut other = name.clone();
                other[place] = b'_';
                assert!(!same(&name, &other), "{len} bytes, another one at {place}");
            }
        }
    }
}
