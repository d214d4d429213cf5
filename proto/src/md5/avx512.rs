//! Sixteen lanes.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_rol_epi32, _mm512_set1_epi32, _mm512_shuffle_i32x4,
    _mm512_storeu_si512, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::steps::{PARTS, SINES, steps};
use super::{BLOCK, Blocks, States};

type V = __m512i;

const LANES: usize = 16;

/// Takes each lane over its blocks.
#[target_feature(enable = "avx512f")]
pub(super) fn compress(states: &mut States<LANES>, blocks: &Blocks<'_, LANES>) {
    let mut state = [load(&states[0]), load(&states[1]), load(&states[2]), load(&states[3])];
    let count = blocks[0].len();
    let mut words = [constant(0); 16];
    for part in 0..PARTS {
        transpose(&mut words, part, blocks, 0);
    }
    for index in 0..count {
        // Behind the last one it is for nothing.
        let (mut following, next) = ([constant(0); 16], (index + 1).min(count - 1));
        state = steps!(state, words, |part| transpose(&mut following, part, blocks, next));
        words = following;
    }
    for (words, state) in states.iter_mut().zip(state) {
        // SAFETY: it is 64 bytes long; no alignment is asked for.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), state) };
    }
}

/// Makes `words` the i-th word of each lane's block, for each i: the transpose of a matrix of 16 by 16 words. In its parts, in
/// their order. Loops and no closures: a function that takes a closure lacks the instructions that the closure has, so that
/// it is called and not inlined.
#[target_feature(enable = "avx512f")]
#[inline]
fn transpose(words: &mut [V; 16], part: usize, blocks: &Blocks<'_, LANES>, index: usize) {
    if part < 4 {
        // Within four rows, and each 128 bits of them, a transpose of 4 by 4.
        let mut rows = [constant(0); 4];
        for (row, blocks) in rows.iter_mut().zip(&blocks[4 * part..]) {
            let block: &[u8; BLOCK] = &blocks[index];
            // SAFETY: a block is 64 bytes long; no alignment is asked for.
            *row = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
        }
        let [r0, r1, r2, r3] = rows;
        let (low, high) = (_mm512_unpacklo_epi32(r0, r1), _mm512_unpackhi_epi32(r0, r1));
        let (low2, high2) = (_mm512_unpacklo_epi32(r2, r3), _mm512_unpackhi_epi32(r2, r3));
        words[4 * part] = _mm512_unpacklo_epi64(low, low2);
        words[4 * part + 1] = _mm512_unpackhi_epi64(low, low2);
        words[4 * part + 2] = _mm512_unpacklo_epi64(high, high2);
        words[4 * part + 3] = _mm512_unpackhi_epi64(high, high2);
    } else {
        // Then the same with 128 bits for a word.
        let column = part - 4;
        let [q0, q1, q2, q3] = [words[column], words[4 + column], words[8 + column], words[12 + column]];
        let (even, odd) = (_mm512_shuffle_i32x4::<0x88>(q0, q1), _mm512_shuffle_i32x4::<0xdd>(q0, q1));
        let (even2, odd2) = (_mm512_shuffle_i32x4::<0x88>(q2, q3), _mm512_shuffle_i32x4::<0xdd>(q2, q3));
        words[column] = _mm512_shuffle_i32x4::<0x88>(even, even2);
        words[4 + column] = _mm512_shuffle_i32x4::<0x88>(odd, odd2);
        words[8 + column] = _mm512_shuffle_i32x4::<0xdd>(even, even2);
        words[12 + column] = _mm512_shuffle_i32x4::<0xdd>(odd, odd2);
    }
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

/// What it is given, without the compiler knowing.
#[target_feature(enable = "avx512f")]
#[inline]
fn opaque(mut word: V) -> V {
    // SAFETY: it does nothing.
    unsafe { std::arch::asm!("/* {0} */", inout(zmm_reg) word, options(pure, nomem, nostack, preserves_flags)) };
    word
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
