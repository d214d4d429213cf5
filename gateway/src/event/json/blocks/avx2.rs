//! A block in two registers.

use std::arch::x86_64::{
    __m256i, _mm_setr_epi8, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8,
    _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_sub_epi8,
};

use super::{Accepted, BLOCK, Classes, accept_by, parity};

#[target_feature(enable = "avx2,pclmulqdq,bmi1,bmi2")]
pub(super) fn accept(input: &[u8], max_depth: u32) -> Option<Accepted> {
    accept_by(
        input,
        max_depth,
        |block| classes(block),
        |rest| {
            let mut block = [b' '; BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            classes(&block)
        },
        |bits| parity(bits),
    )
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(block: &[u8; BLOCK]) -> [__m256i; 2] {
    // SAFETY: each half of a block is 32 bytes long; no alignment is asked for.
    [0, 32].map(|half| unsafe { _mm256_loadu_si256(block[half..].as_ptr().cast()) })
}

#[target_feature(enable = "avx2")]
#[inline]
fn repeat(byte: u8) -> __m256i {
    _mm256_set1_epi8(byte.cast_signed())
}

/// The highest bit of each byte.
#[target_feature(enable = "avx2")]
#[inline]
fn bits(halves: [__m256i; 2]) -> u64 {
    let [low, high] = halves.map(|half| u64::from(_mm256_movemask_epi8(half).cast_unsigned()));
    low | high << 32
}

#[target_feature(enable = "avx2")]
#[inline]
fn classes(block: &[u8; BLOCK]) -> Classes {
    let halves = load(block);
    let is = |byte| bits(halves.map(|half| _mm256_cmpeq_epi8(half, repeat(byte))));
    // Both brackets of a kind differ in this bit only.
    let folded = halves.map(|half| _mm256_or_si256(half, repeat(0x20)));
    let is_folded = |byte| bits(folded.map(|half| _mm256_cmpeq_epi8(half, repeat(byte))));
    // The white space of which a byte has the lower half, if any: it is itself white space if it is the same.
    let whites = _mm256_broadcastsi128_si256(_mm_setr_epi8(0x20, 0, 0, 0, 0, 0, 0, 0, 0, 9, 10, 0, 0, 13, 0, 0));
    let white = halves.map(|half| _mm256_cmpeq_epi8(_mm256_shuffle_epi8(whites, half), half));
    // What is the lesser of it and 0x1f is at most that.
    let control = halves.map(|half| _mm256_cmpeq_epi8(_mm256_min_epu8(half, repeat(0x1f)), half));
    let digit = halves.map(|half| {
        let beyond_zero = _mm256_sub_epi8(half, repeat(b'0'));
        _mm256_cmpeq_epi8(_mm256_min_epu8(beyond_zero, repeat(9)), beyond_zero)
    });
    Classes {
        quote: is(b'"'),
        backslash: is(b'\\'),
        open: is_folded(b'{'),
        close: is_folded(b'}'),
        // Moved to where the sign of a byte is looked for.
        brace: bits(halves.map(|half| _mm256_slli_epi16::<2>(half))),
        colon: is(b':'),
        comma: is(b','),
        white: bits(white),
        control: bits(control),
        high: bits(halves),
        digit: bits(digit),
        zero: is(b'0'),
        dot: is(b'.'),
        minus: is(b'-'),
    }
}
