//! Eight lanes.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_andnot_si256, _mm256_loadu_si256, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_set1_epi32, _mm256_slli_epi32, _mm256_srli_epi32, _mm256_storeu_si256,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::steps::{SINES, steps};
use super::{BLOCK, Blocks, States};

type V = __m256i;

const LANES: usize = 8;

/// Takes each lane over its blocks.
#[target_feature(enable = "avx2")]
pub(super) fn compress(states: &mut States<LANES>, blocks: &Blocks<'_, LANES>) {
    let mut state = [load(&states[0]), load(&states[1]), load(&states[2]), load(&states[3])];
    for index in 0..blocks[0].len() {
        state = steps!(state, words(blocks, index), |_part| ());
    }
    for (words, state) in states.iter_mut().zip(state) {
        // SAFETY: it is 32 bytes long; no alignment is asked for.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), state) };
    }
}

/// The i-th word of each lane's block, for each i: the transpose of two matrices of 8 by 8 words. Loops and no closures, as
/// with sixteen lanes.
#[target_feature(enable = "avx2")]
#[inline]
fn words(blocks: &Blocks<'_, LANES>, index: usize) -> [V; 16] {
    let mut words = [constant(0); 16];
    for half in 0..2 {
        let mut rows = [constant(0); LANES];
        for (row, blocks) in rows.iter_mut().zip(blocks) {
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
            words[8 * half + column] = _mm256_permute2x128_si256::<0x20>(upper, lower);
            words[8 * half + 4 + column] = _mm256_permute2x128_si256::<0x31>(upper, lower);
        }
    }
    words
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(words: &[u32; LANES]) -> V {
    // SAFETY: it is 32 bytes long; no alignment is asked for.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn constant(word: u32) -> V {
    _mm256_set1_epi32(word.cast_signed())
}

#[target_feature(enable = "avx2")]
#[inline]
fn add(one: V, other: V) -> V {
    _mm256_add_epi32(one, other)
}

/// What it is given, without the compiler knowing.
#[target_feature(enable = "avx2")]
#[inline]
fn opaque(mut word: V) -> V {
    // SAFETY: it does nothing.
    unsafe { std::arch::asm!("/* {0} */", inout(ymm_reg) word, options(pure, nomem, nostack, preserves_flags)) };
    word
}

#[target_feature(enable = "avx2")]
#[inline]
fn rotate<const LEFT: i32, const RIGHT: i32>(word: V) -> V {
    _mm256_or_si256(_mm256_slli_epi32::<LEFT>(word), _mm256_srli_epi32::<RIGHT>(word))
}

#[target_feature(enable = "avx2")]
#[inline]
fn f(b: V, c: V, d: V) -> V {
    _mm256_xor_si256(d, _mm256_and_si256(b, _mm256_xor_si256(c, d)))
}

// Two halves that have no bit in common: their sum, unlike f(d, b, c), waits for `b` with one instruction only.
#[target_feature(enable = "avx2")]
#[inline]
fn g(b: V, c: V, d: V) -> V {
    add(_mm256_and_si256(d, b), _mm256_andnot_si256(d, c))
}

#[target_feature(enable = "avx2")]
#[inline]
fn h(b: V, c: V, d: V) -> V {
    _mm256_xor_si256(b, _mm256_xor_si256(c, d))
}

#[target_feature(enable = "avx2")]
#[inline]
fn i(b: V, c: V, d: V) -> V {
    _mm256_xor_si256(c, _mm256_or_si256(b, _mm256_xor_si256(d, constant(u32::MAX))))
}
