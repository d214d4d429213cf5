//! MD5 of several messages at once.
//!
//! MD5 is a chain in which each step waits for the one before: a core that works on one message idles most of the time.
//! So each lane of a vector register takes a message of its own: 16 with AVX-512, for a twelfth of what each costs by
//! itself, 8 with AVX2, for a sixth; and where there are more messages, a second register beside the first, for two
//! thirds of that. Which there are is found out at run time; where there are none (ARM, so far), and for a message by
//! itself, the `md-5` crate does it.

// Only the vectors of x86-64 have lanes.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod steps;

#[cfg(test)]
mod tests;

use md5::{Digest as _, Md5};

/// A digest.
pub type Digest = [u8; 16];

const BLOCK: usize = 64;
const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// A message in two pieces, of which the first is shorter than a block: what stands before bytes that lie elsewhere.
pub type Message<'a> = (&'a [u8], &'a [u8]);

/// The digest of a message.
#[must_use]
pub fn digest((head, rest): Message<'_>) -> Digest {
    Md5::new().chain_update(head).chain_update(rest).finalize().into()
}

/// The digest of each message, in their order.
///
/// # Panics
/// If a message's first piece is a block or longer.
#[must_use]
pub fn digests(messages: &[Message<'_>]) -> Vec<Digest> {
    assert!(messages.iter().all(|(head, _)| head.len() < BLOCK), "what stands before is shorter than a block");
    #[cfg(target_arch = "x86_64")]
    if messages.len() > 1 {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the machine has AVX-512.
            return in_lanes(messages, |states, blocks, busy| unsafe { avx512::compress(states, blocks, busy) });
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the machine has AVX2.
            return in_lanes(messages, |states, blocks, busy| unsafe { avx2::compress(states, blocks, busy) });
        }
    }
    one_by_one(messages)
}

fn one_by_one(messages: &[Message<'_>]) -> Vec<Digest> {
    messages.iter().map(|message| digest(*message)).collect()
}

/// The four words of each lane's state.
type States<const LANES: usize> = [[u32; LANES]; 4];

/// Whole blocks for each lane, the same number for all.
type Blocks<'a, const LANES: usize> = [&'a [[u8; BLOCK]]; LANES];

fn in_lanes<const LANES: usize>(
    messages: &[Message<'_>],
    compress: impl Fn(&mut States<LANES>, &Blocks<'_, LANES>, usize),
) -> Vec<Digest> {
    let mut digests = vec![[0; 16]; messages.len()];
    let pieces: Vec<Pieces<'_>> = messages.iter().map(|message| Pieces::of(*message)).collect();
    // The longest first: so the last ones end at about the same time.
    let mut waiting: Vec<usize> = (0..messages.len()).collect();
    waiting.sort_unstable_by_key(|index| messages[*index].1.len());
    let mut states: States<LANES> = INITIAL.map(|word| [word; LANES]);
    let mut lanes: [Option<Lane<'_>>; LANES] = std::array::from_fn(|_| None);
    loop {
        for (place, lane) in lanes.iter_mut().enumerate() {
            if lane.is_none()
                && let Some(index) = waiting.pop()
            {
                *lane = Some(Lane { index, left: pieces[index].blocks() });
                for (words, initial) in states.iter_mut().zip(INITIAL) {
                    words[place] = initial;
                }
            }
        }
        // As far as all of them go.
        let Some(shortest) = lanes.iter().flatten().map(|lane| lane.next()).min_by_key(|blocks| blocks.len()) else {
            return digests;
        };
        let count = shortest.len();
        // A lane without a message does some other one's work and nobody looks at it.
        let blocks: Blocks<'_, LANES> = std::array::from_fn(|place| match &lanes[place] {
            Some(lane) => &lane.next()[..count],
            None => shortest,
        });
        let busy = lanes.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        compress(&mut states, &blocks, busy);
        for (place, lane) in lanes.iter_mut().enumerate() {
            if let Some(busy) = lane
                && busy.advance(count)
            {
                for (bytes, words) in digests[busy.index].chunks_exact_mut(4).zip(&states) {
                    bytes.copy_from_slice(&words[place].to_le_bytes());
                }
                *lane = None;
            }
        }
    }
}

/// A message on its way.
struct Lane<'a> {
    index: usize,
    // The first block, those that lie where the message does, and the last ones.
    left: [&'a [[u8; BLOCK]]; 3],
}

impl<'a> Lane<'a> {
    /// What comes next; never none.
    fn next(&self) -> &'a [[u8; BLOCK]] {
        self.left.iter().find(|blocks| !blocks.is_empty()).copied().unwrap_or_default()
    }

    /// `count` of them are done; whether that was all.
    fn advance(&mut self, count: usize) -> bool {
        if let Some(next) = self.left.iter_mut().find(|blocks| !blocks.is_empty()) {
            *next = &next[count..];
        }
        self.left.iter().all(|blocks| blocks.is_empty())
    }
}

/// A message in blocks. Those of its middle stay where they lie.
struct Pieces<'a> {
    // The message's first piece and what fills the block up; not there where all of the message fills no block.
    first: Option<[u8; BLOCK]>,
    middle: &'a [[u8; BLOCK]],
    last: Tail,
}

impl<'a> Pieces<'a> {
    fn of((head, rest): Message<'a>) -> Self {
        let len = head.len() + rest.len();
        let Some((filling, rest)) = rest.split_at_checked(BLOCK - head.len()) else {
            return Self { first: None, middle: &[], last: Tail::of(&[head, rest], len) };
        };
        let mut first = [0; BLOCK];
        first[..head.len()].copy_from_slice(head);
        first[head.len()..].copy_from_slice(filling);
        let (middle, rest) = rest.as_chunks();
        Self { first: Some(first), middle, last: Tail::of(&[rest], len) }
    }

    fn blocks(&self) -> [&[[u8; BLOCK]]; 3] {
        [self.first.as_slice(), self.middle, self.last.blocks()]
    }
}

/// What follows a message's whole blocks: its last bytes, a bit, zeros, and its length in bits.
struct Tail {
    bytes: [[u8; BLOCK]; 2],
    count: usize,
}

impl Tail {
    /// `rest`, less than a block, is the end of a message of `len` bytes.
    fn of(rest: &[&[u8]], len: usize) -> Self {
        let mut tail = Self { bytes: [[0; BLOCK]; 2], count: 1 };
        let bytes = tail.bytes.as_flattened_mut();
        let mut end = 0;
        for piece in rest {
            bytes[end..end + piece.len()].copy_from_slice(piece);
            end += piece.len();
        }
        bytes[end] = 0x80;
        tail.count = if end < BLOCK - 8 { 1 } else { 2 };
        let bits = (len as u64).wrapping_mul(8);
        bytes[tail.count * BLOCK - 8..tail.count * BLOCK].copy_from_slice(&bits.to_le_bytes());
        tail
    }

    fn blocks(&self) -> &[[u8; BLOCK]] {
        &self.bytes[..self.count]
    }
}
