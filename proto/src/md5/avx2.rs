//! Two sets of eight lanes.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_andnot_si256, _mm256_loadu_si256, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_slli_epi32, _mm256_srli_epi32,
    _mm256_storeu_si256, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
    _mm256_xor_si256,
};

use super::steps::{SINES, steps};
use super::{BLOCK, Blocks, States};

/// A word of each lane: a vector for each set. What is done with one set does not wait for the other.
type V<const SETS: usize> = [__m256i; SETS];

/// The lanes of a set.
const SET: usize = 8;

/// The lanes of both sets.
pub(super) const LANES: usize = 2 * SET;

/// Takes each lane over its blocks, of which the first `busy` ones matter.
#[target_feature(enable = "avx2")]
pub(super) fn compress(states: &mut States<LANES>, blocks: &Blocks<'_, LANES>, busy: usize) {
    if busy <= SET { compress_sets::<1>(states, blocks) } else { compress_sets::<2>(states, blocks) }
}

/// Takes the lanes of the first sets over their blocks.
#[target_feature(enable = "avx2")]
fn compress_sets<const SETS: usize>(states: &mut States<LANES>, blocks: &Blocks<'_, LANES>) {
    let mut state = [constant::<SETS>(0); 4];
    for (state, words) in state.iter_mut().zip(&*states) {
        for (set, words) in state.iter_mut().zip(words.as_chunks::<SET>().0) {
            // SAFETY: it is 32 bytes long; no alignment is asked for.
            *set = unsafe { _mm256_loadu_si256(words.as_ptr().cast()) };
        }
    }
    let mut words = [constant::<SETS>(0); 16];
    for index in 0..blocks[0].len() {
        transpose(&mut words, blocks, index);
        state = steps!(state, words, |_part| ());
    }
    for (words, state) in states.iter_mut().zip(state) {
        for (words, set) in words.as_chunks_mut::<SET>().0.iter_mut().zip(state) {
            // SAFETY: it is 32 bytes long; no alignment is asked for.
            unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), set) };
        }
    }
}

/// Makes `words` the i-th word of each lane's block, for each i: of each set the transpose of two matrices of 8 by 8 words.
/// Loops and no closures, as with sixteen lanes.
#[target_feature(enable = "avx2")]
#[inline]
fn transpose<const SETS: usize>(words: &mut [V<SETS>; 16], blocks: &Blocks<'_, LANES>, index: usize) {
    for set in 0..SETS {
        for half in 0..2 {
            let mut rows = [_mm256_setzero_si256(); SET];
            for (row, blocks) in rows.iter_mut().zip(&blocks[SET * set..]) {
                let block: &[u8; BLOCK] = &blocks[index];
                // SAFETY: the half of a block is 32 bytes long; no alignment is asked for.
                *row = unsafe { _mm256_loadu_si256(block[32 * half..].as_ptr().cast()) };
            }
            // Within each four rows, and each 128 bits of them, a transpose of 4 by 4.
            let mut quarters = rows;
            for four in 0..2 {
                let [r0, r1, r2, r3] = [rows[4 * four], rows[4 * four + 1], rows[4 * four + 2], rows[4 * four + 3]];
                let (low, high) = (_mm256_unpacklo_epi32(r0, r1), _mm256_unpackhi_epi32(r0, r1));
                let (low2, high2) = (_mm256_unpacklo_epi32(r2, r3), _mm256_unpackhi_epi32(r2, r3));
                quarters[4 * four] = _mm256_unpacklo_epi64(low, low2);
                quarters[4 * four + 1] = _mm256_unpackhi_epi64(low, low2);
                quarters[4 * four + 2] = _mm256_unpacklo_epi64(high, high2);
                quarters[4 * four + 3] = _mm256_unpackhi_epi64(high, high2);
            }
            // Then the same with 128 bits for a word.
            for column in 0..4 {
                let (upper, lower) = (quarters[column], quarters[4 + column]);
                words[8 * half + column][set] = _mm256_permute2x128_si256::<0x20>(upper, lower);
                words[8 * half + 4 + column][set] = _mm256_permute2x128_si256::<0x31>(upper, lower);
            }
        }
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn constant<const SETS: usize>(word: u32) -> V<SETS> {
    [_mm256_set1_epi32(word.cast_signed()); SETS]
}

#[target_feature(enable = "avx2")]
#[inline]
fn add<const SETS: usize>(mut one: V<SETS>, other: V<SETS>) -> V<SETS> {
    for (one, other) in one.iter_mut().zip(other) {
        *one = _mm256_add_epi32(*one, other);
    }
    one
}

/// What it is given, without the compiler knowing.
#[target_feature(enable = "avx2")]
#[inline]
fn opaque<const SETS: usize>(mut words: V<SETS>) -> V<SETS> {
    for word in &mut words {
        // SAFETY: it does nothing.
        unsafe { std::arch::asm!("/* {0} */", inout(ymm_reg) * word, options(pure, nomem, nostack, preserves_flags)) };
    }
    words
}

#[target_feature(enable = "avx2")]
#[inline]
fn rotate<const LEFT: i32, const RIGHT: i32, const SETS: usize>(mut words: V<SETS>) -> V<SETS> {
    for word in &mut words {
        *word = _mm256_or_si256(_mm256_slli_epi32::<LEFT>(*word), _mm256_srli_epi32::<RIGHT>(*word));
    }
    words
}

#[target_feature(enable = "avx2")]
#[inline]
fn f<const SETS: usize>(mut b: V<SETS>, c: V<SETS>, d: V<SETS>) -> V<SETS> {
    for (b, (c, d)) in b.iter_mut().zip(c.into_iter().zip(d)) {
        *b = _mm256_xor_si256(d, _mm256_and_si256(*b, _mm256_xor_si256(c, d)));
    }
    b
}

// Two halves that have no bit in common: their sum, unlike f(d, b, c), waits for `b` with one instruction only.
#[target_feature(enable = "avx2")]
#[inline]
fn g<const SETS: usize>(mut b: V<SETS>, c: V<SETS>, d: V<SETS>) -> V<SETS> {
    for (b, (c, d)) in b.iter_mut().zip(c.into_iter().zip(d)) {
        *b = _mm256_add_epi32(_mm256_and_si256(d, *b), _mm256_andnot_si256(d, c));
    }
    b
}

#[target_feature(enable = "avx2")]
#[inline]
fn h<const SETS: usize>(mut b: V<SETS>, c: V<SETS>, d: V<SETS>) -> V<SETS> {
    for (b, (c, d)) in b.iter_mut().zip(c.into_iter().zip(d)) {
        *b = _mm256_xor_si256(*b, _mm256_xor_si256(c, d));
    }
    b
}

#[target_feature(enable = "avx2")]
#[inline]
fn i<const SETS: usize>(mut b: V<SETS>, c: V<SETS>, d: V<SETS>) -> V<SETS> {
    let ones = _mm256_set1_epi32(-1);
    for (b, (c, d)) in b.iter_mut().zip(c.into_iter().zip(d)) {
        *b = _mm256_xor_si256(c, _mm256_or_si256(*b, _mm256_xor_si256(d, ones)));
    }
    b
}
