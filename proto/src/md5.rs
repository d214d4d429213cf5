//! MD5 of several messages at once.
//!
//! MD5 is a chain in which each step waits for the one before: a core that works on one message idles most of the time.
//! So each lane of a vector register takes a message of its own: 16 with AVX-512, for a twelfth of what each costs by
//! itself, 8 with AVX2, for a sixth. Which there are is found out at run time; where there are none (ARM, so far), and for a
//! message by itself, the `md-5` crate does it.

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

/// The digest of a message.
#[must_use]
pub fn digest(message: &[u8]) -> Digest {
    Md5::digest(message).into()
}

/// The digest of each message, in their order.
#[must_use]
pub fn digests(messages: &[&[u8]]) -> Vec<Digest> {
    #[cfg(target_arch = "x86_64")]
    if messages.len() > 1 {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the machine has AVX-512.
            return in_lanes(messages, |states, blocks| unsafe { avx512::compress(states, blocks) });
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the machine has AVX2.
            return in_lanes(messages, |states, blocks| unsafe { avx2::compress(states, blocks) });
        }
    }
    one_by_one(messages)
}

fn one_by_one(messages: &[&[u8]]) -> Vec<Digest> {
    messages.iter().map(|message| digest(message)).collect()
}

/// The four words of each lane's state.
type States<const LANES: usize> = [[u32; LANES]; 4];

/// Whole blocks for each lane, the same number for all.
type Blocks<'a, const LANES: usize> = [&'a [[u8; BLOCK]]; LANES];

fn in_lanes<const LANES: usize>(
    messages: &[&[u8]],
    compress: impl Fn(&mut States<LANES>, &Blocks<'_, LANES>),
) -> Vec<Digest> {
    let mut digests = vec![[0; 16]; messages.len()];
    // The longest first: so the last ones end at about the same time.
    let mut waiting: Vec<(usize, &[u8])> = messages.iter().copied().enumerate().collect();
    waiting.sort_unstable_by_key(|(_, message)| message.len());
    let tails: Vec<Tail> = messages.iter().map(|message| Tail::of(message)).collect();
    let mut states: States<LANES> = INITIAL.map(|word| [word; LANES]);
    let mut lanes: [Option<Lane<'_>>; LANES] = std::array::from_fn(|_| None);
    loop {
        for (place, lane) in lanes.iter_mut().enumerate() {
            if lane.is_none()
                && let Some((index, message)) = waiting.pop()
            {
                *lane = Some(Lane { index, blocks: message.as_chunks().0, tail: tails[index].blocks() });
                for (words, initial) in states.iter_mut().zip(INITIAL) {
                    words[place] = initial;
                }
            }
        }
        // As far as all of them go.
        let Some(shortest) = lanes.iter().flatten().map(|lane| lane.blocks()).min_by_key(|blocks| blocks.len()) else {
            return digests;
        };
        let count = shortest.len();
        // A lane without a message does some other one's work and nobody looks at it.
        let blocks: Blocks<'_, LANES> = std::array::from_fn(|place| match &lanes[place] {
            Some(lane) => &lane.blocks()[..count],
            None => shortest,
        });
        compress(&mut states, &blocks);
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
    blocks: &'a [[u8; BLOCK]],
    tail: &'a [[u8; BLOCK]],
}

impl<'a> Lane<'a> {
    /// What comes next; never none.
    fn blocks(&self) -> &'a [[u8; BLOCK]] {
        if self.blocks.is_empty() { self.tail } else { self.blocks }
    }

    /// `count` of them are done; whether that was all.
    fn advance(&mut self, count: usize) -> bool {
        let next = if self.blocks.is_empty() { &mut self.tail } else { &mut self.blocks };
        *next = &next[count..];
        self.blocks.is_empty() && self.tail.is_empty()
    }
}

/// What follows a message's whole blocks: its last bytes, a bit, zeros, and its length in bits.
struct Tail {
    bytes: [[u8; BLOCK]; 2],
    count: usize,
}

impl Tail {
    fn of(message: &[u8]) -> Self {
        let rest = message.as_chunks::<BLOCK>().1;
        let count = if rest.len() < BLOCK - 8 { 1 } else { 2 };
        let mut tail = Self { bytes: [[0; BLOCK]; 2], count };
        let bytes = tail.bytes.as_flattened_mut();
        bytes[..rest.len()].copy_from_slice(rest);
        bytes[rest.len()] = 0x80;
        let bits = (message.len() as u64).wrapping_mul(8);
        bytes[count * BLOCK - 8..count * BLOCK].copy_from_slice(&bits.to_le_bytes());
        tail
    }

    fn blocks(&self) -> &[[u8; BLOCK]] {
        &self.bytes[..self.count]
    }
}
