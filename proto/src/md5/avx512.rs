//! Two sets of sixteen lanes.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_rol_epi32, _mm512_set1_epi32, _mm512_setzero_si512,
    _mm512_shuffle_i32x4, _mm512_storeu_si512, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::steps::{PARTS, SINES, steps};
use super::{BLOCK, Blocks, States};

/// A word of each lane: a vector for each set. What is done with one set does not wait for the other.
type V<const SETS: usize> = [__m512i; SETS];

/// The lanes of a set.
const SET: usize = 16;

/// The lanes of both sets.
pub(super) const LANES: usize = 2 * SET;

/// Takes each lane over its blocks, of which the first `busy` ones matter.
#[target_feature(enable = "avx512f")]
pub(super) fn compress(states: &mut States<LANES>, blocks: &Blocks<'_, LANES>, busy: usize) {
    if busy <= SET { compress_sets::<1>(states, blocks) } else { compress_sets::<2>(states, blocks) }
}

/// Takes the lanes of the first sets over their blocks.
#[target_feature(enable = "avx512f")]
fn compress_sets<const SETS: usize>(states: &mut States<LANES>, blocks: &Blocks<'_, LANES>) {
    let mut state = [constant::<SETS>(0); 4];
    for (state, words) in state.iter_mut().zip(&*states) {
        for (set, words) in state.iter_mut().zip(words.as_chunks::<SET>().0) {
            // SAFETY: it is 64 bytes long; no alignment is asked for.
            *set = unsafe { _mm512_loadu_si512(words.as_ptr().cast()) };
        }
    }
    let count = blocks[0].len();
    let mut buffers = [[constant::<SETS>(0); 16]; 2];
    let [words, following] = &mut buffers;
    let (mut words, mut following) = (words, following);
    for part in 0..PARTS {
        transpose(words, part, blocks, 0);
    }
    for index in 0..count {
        // Behind the last one it is for nothing.
        let next = (index + 1).min(count - 1);
        state = steps!(state, words, |part| transpose(following, part, blocks, next));
        std::mem::swap(&mut words, &mut following);
    }
    for (words, state) in states.iter_mut().zip(state) {
        for (words, set) in words.as_chunks_mut::<SET>().0.iter_mut().zip(state) {
            // SAFETY: it is 64 bytes long; no alignment is asked for.
            unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), set) };
        }
    }
}

/// Makes `words` the i-th word of each lane's block, for each i: of each set the transpose of a matrix of 16 by 16 words. In
/// its parts, in their order. Loops and no closures: a function that takes a closure lacks the instructions that the closure
/// has, so that it is called and not inlined.
#[target_feature(enable = "avx512f")]
#[inline]
fn transpose<const SETS: usize>(words: &mut [V<SETS>; 16], part: usize, blocks: &Blocks<'_, LANES>, index: usize) {
    for set in 0..SETS {
        if part < 4 {
            // Within four rows, and each 128 bits of them, a transpose of 4 by 4.
            let mut rows = [_mm512_setzero_si512(); 4];
            for (row, blocks) in rows.iter_mut().zip(&blocks[SET * set + 4 * part..]) {
                let block: &[u8; BLOCK] = &blocks[index];
                // SAFETY: a block is 64 bytes long; no alignment is asked for.
                *row = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
            }
            let [r0, r1, r2, r3] = rows;
            let (low, high) = (_mm512_unpacklo_epi32(r0, r1), _mm512_unpackhi_epi32(r0, r1));
            let (low2, high2) = (_mm512_unpacklo_epi32(r2, r3), _mm512_unpackhi_epi32(r2, r3));
            words[4 * part][set] = _mm512_unpacklo_epi64(low, low2);
            words[4 * part + 1][set] = _mm512_unpackhi_epi64(low, low2);
            words[4 * part + 2][set] = _mm512_unpacklo_epi64(high, high2);
            words[4 * part + 3][set] = _mm512_unpackhi_epi64(high, high2);
        } else {
            // Then the same with 128 bits for a word.
            let column = part - 4;
            let [q0, q1, q2, q3] =
                [words[column][set], words[4 + column][set], words[8 + column][set], words[12 + column][set]];
            let (even, odd) = (_mm512_shuffle_i32x4::<0x88>(q0, q1), _mm512_shuffle_i32x4::<0xdd>(q0, q1));
            let (even2, odd2) = (_mm512_shuffle_i32x4::<0x88>(q2, q3), _mm512_shuffle_i32x4::<0xdd>(q2, q3));
            words[column][set] = _mm512_shuffle_i32x4::<0x88>(even, even2);
            words[4 + column][set] = _mm512_shuffle_i32x4::<0x88>(odd, odd2);
            words[8 + column][set] = _mm512_shuffle_i32x4::<0xdd>(even, even2);
            words[12 + column][set] = _mm512_shuffle_i32x4::<0xdd>(odd, odd2);
        }
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn constant<const SETS: usize>(word: u32) -> V<SETS> {
    [_mm512_set1_epi32(word.cast_signed()); SETS]
}

#[target_feature(enable = "avx512f")]
#[inline]
fn add<const SETS: usize>(mut one: V<SETS>, other: V<SETS>) -> V<SETS> {
    for (one, other) in one.iter_mut().zip(other) {
        *one = _mm512_add_epi32(*one, other);
    }
    one
}

/// What it is given, without the compiler knowing.
#[target_feature(enable = "avx512f")]
#[inline]
fn opaque<const SETS: usize>(mut words: V<SETS>) -> V<SETS> {
    for word in &mut words {
        // SAFETY: it does nothing.
        unsafe { std::arch::asm!("/* {0} */", inout(zmm_reg) * word, options(pure, nomem, nostack, preserves_flags)) };
    }
    words
}

#[target_feature(enable = "avx512f")]
#[inline]
fn rotate<const LEFT: i32, const RIGHT: i32, const SETS: usize>(mut words: V<SETS>) -> V<SETS> {
    for word in &mut words {
        *word = _mm512_rol_epi32::<LEFT>(*word);
    }
    words
}

// In one instruction each: the constant is the function's table of values.

#[target_feature(enable = "avx512f")]
#[inline]
fn table<const VALUES: i32, const SETS: usize>(mut b: V<SETS>, c: V<SETS>, d: V<SETS>) -> V<SETS> {
    for (b, (c, d)) in b.iter_mut().zip(c.into_iter().zip(d)) {
        *b = _mm512_ternarylogic_epi32::<VALUES>(*b, c, d);
    }
    b
}

#[target_feature(enable = "avx512f")]
#[inline]
fn f<const SETS: usize>(b: V<SETS>, c: V<SETS>, d: V<SETS>) -> V<SETS> {
    table::<0xca, SETS>(b, c, d)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn g<const SETS: usize>(b: V<SETS>, c: V<SETS>, d: V<SETS>) -> V<SETS> {
    f(d, b, c)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn h<const SETS: usize>(b: V<SETS>, c: V<SETS>, d: V<SETS>) -> V<SETS> {
    table::<0x96, SETS>(b, c, d)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn i<const SETS: usize>(b: V<SETS>, c: V<SETS>, d: V<SETS>) -> V<SETS> {
    table::<0x39, SETS>(b, c, d)
}
