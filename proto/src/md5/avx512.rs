//! Sixteen lanes.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_rol_epi32, _mm512_set1_epi32, _mm512_shuffle_i32x4,
    _mm512_storeu_si512, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::steps::{SINES, steps};
use super::{BLOCK, Blocks, States};

type V = __m512i;

const LANES: usize = 16;

/// Takes each lane over its blocks.
#[target_feature(enable = "avx512f")]
pub(super) fn compress(states: &mut States<LANES>, blocks: &Blocks<'_, LANES>) {
    let mut state = [load(&states[0]), load(&states[1]), load(&states[2]), load(&states[3])];
    for index in 0..blocks[0].len() {
        state = steps!(state, words(blocks, index));
    }
    for (words, state) in states.iter_mut().zip(state) {
        // SAFETY: it is 64 bytes long; no alignment is asked for.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), state) };
    }
}

/// The i-th word of each lane's block, for each i: the transpose of a matrix of 16 by 16 words. Loops and no closures: a
/// function that takes a closure lacks the instructions that the closure has, so that it is called and not inlined.
#[target_feature(enable = "avx512f")]
#[inline]
fn words(blocks: &Blocks<'_, LANES>, index: usize) -> [V; 16] {
    let mut rows = [constant(0); LANES];
    for (row, blocks) in rows.iter_mut().zip(blocks) {
        let block: &[u8; BLOCK] = &blocks[index];
        // SAFETY: a block is 64 bytes long; no alignment is asked for.
        *row = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
    }
    let mut words = rows;
    // Within each four rows, and each 128 bits of them, a transpose of 4 by 4.
    for four in 0..4 {
        let [r0, r1, r2, r3] = [rows[4 * four], rows[4 * four + 1], rows[4 * four + 2], rows[4 * four + 3]];
        let (low, high) = (_mm512_unpacklo_epi32(r0, r1), _mm512_unpackhi_epi32(r0, r1));
        let (low2, high2) = (_mm512_unpacklo_epi32(r2, r3), _mm512_unpackhi_epi32(r2, r3));
        words[4 * four] = _mm512_unpacklo_epi64(low, low2);
        words[4 * four + 1] = _mm512_unpackhi_epi64(low, low2);
        words[4 * four + 2] = _mm512_unpacklo_epi64(high, high2);
        words[4 * four + 3] = _mm512_unpackhi_epi64(high, high2);
    }
    // Then the same with 128 bits for a word.
    let quarters = words;
    for column in 0..4 {
        let [q0, q1, q2, q3] = [quarters[column], quarters[4 + column], quarters[8 + column], quarters[12 + column]];
        let (even, odd) = (_mm512_shuffle_i32x4::<0x88>(q0, q1), _mm512_shuffle_i32x4::<0xdd>(q0, q1));
        let (even2, odd2) = (_mm512_shuffle_i32x4::<0x88>(q2, q3), _mm512_shuffle_i32x4::<0xdd>(q2, q3));
        words[column] = _mm512_shuffle_i32x4::<0x88>(even, even2);
        words[4 + column] = _mm512_shuffle_i32x4::<0x88>(odd, odd2);
        words[8 + column] = _mm512_shuffle_i32x4::<0xdd>(even, even2);
        words[12 + column] = _mm512_shuffle_i32x4::<0xdd>(odd, odd2);
    }
    words
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load(words: &[u32; LANES]) -> V {
    // SAFETY: it is 64 bytes long; no alignment is asked for.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn constant(word: u32) -> V {
    _mm512_set1_epi32(word.cast_signed())
}

#[target_feature(enable = "avx512f")]
#[inline]
fn add(one: V, other: V) -> V {
    _mm512_add_epi32(one, other)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn rotate<const LEFT: i32, const RIGHT: i32>(word: V) -> V {
    _mm512_rol_epi32::<LEFT>(word)
}

// In one instruction each: the constant is the function's table of values.

#[target_feature(enable = "avx512f")]
#[inline]
fn f(b: V, c: V, d: V) -> V {
    _mm512_ternarylogic_epi32::<0xca>(b, c, d)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn g(b: V, c: V, d: V) -> V {
    f(d, b, c)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn h(b: V, c: V, d: V) -> V {
    _mm512_ternarylogic_epi32::<0x96>(b, c, d)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn i(b: V, c: V, d: V) -> V {
    _mm512_ternarylogic_epi32::<0x39>(b, c, d)
}
