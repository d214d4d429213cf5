//! A register as a number of 512 bits, or as many yes and no.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_alignr_epi64, _mm512_and_si512, _mm512_andnot_si512, _mm512_clmulepi64_epi128,
    _mm512_cmpeq_epi64_mask, _mm512_cmplt_epu64_mask, _mm512_mask_sub_epi64, _mm512_mask_xor_epi64, _mm512_max_epi64,
    _mm512_movepi64_mask, _mm512_or_si512, _mm512_set1_epi64, _mm512_setr_epi64, _mm512_setzero_si512,
    _mm512_shldi_epi64, _mm512_srlv_epi64, _mm512_storeu_si512, _mm512_sub_epi64, _mm512_test_epi64_mask,
    _mm512_unpacklo_epi64, _mm512_xor_si512,
};

use super::BLOCKS;

/// A bit for each byte.
pub(super) type Bits = __m512i;

/// Where the tokens behind some others begin.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi2")]
#[inline]
pub(super) fn after(tokens: Bits, white: Bits, has_white: bool) -> Bits {
    let behind = behind(tokens);
    if !has_white {
        return behind;
    }
    // The carry of an addition runs through white space to the byte behind it.
    without(or(behind, add(and(behind, white), white)), white)
}

/// The places one further.
#[target_feature(enable = "avx512f,avx512vbmi2")]
#[inline]
pub(super) fn behind(places: Bits) -> Bits {
    let before = _mm512_alignr_epi64::<7>(places, _mm512_setzero_si512());
    _mm512_shldi_epi64::<1>(places, before)
}

/// The sum of two numbers of 512 bits.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
pub(super) fn add(one: Bits, other: Bits) -> Bits {
    let ones = _mm512_set1_epi64(-1);
    let sum = _mm512_add_epi64(one, other);
    // What a lane carries over goes into the next one, and through those that are full.
    let carried = lanes(_mm512_cmplt_epu64_mask(sum, one)) << 1;
    let full = lanes(_mm512_cmpeq_epi64_mask(sum, ones));
    #[allow(clippy::cast_possible_truncation, reason = "nothing is behind the last lane")]
    let carries = ((carried + full) ^ full) as u8;
    _mm512_mask_sub_epi64(sum, carries, sum, ones)
}

/// Each bit is the parity of those up to it; and the last one's.
#[target_feature(enable = "avx512f,avx512dq,vpclmulqdq")]
#[inline]
pub(super) fn parity(bits: Bits) -> (Bits, bool) {
    let ones = _mm512_set1_epi64(-1);
    let even = _mm512_clmulepi64_epi128::<0x00>(bits, ones);
    let odd = _mm512_clmulepi64_epi128::<0x01>(bits, ones);
    let in_lane = _mm512_unpacklo_epi64(even, odd);
    // The same of the lanes.
    let mut odd = lanes(_mm512_movepi64_mask(in_lane));
    odd ^= odd << 1;
    odd ^= odd << 2;
    odd ^= odd << 4;
    #[allow(clippy::cast_possible_truncation, reason = "a bit for each lane")]
    let before = (odd << 1) as u8;
    (_mm512_mask_xor_epi64(in_lane, before, in_lane, ones), odd >> 7 & 1 == 1)
}

/// A bit for each lane, where the processor computes with such fastest: left to itself, the compiler takes its mask
/// registers, in which each operation takes four cycles.
#[target_feature(enable = "avx512f")]
#[inline]
fn lanes(mask: u8) -> u32 {
    let mut bits = u32::from(mask);
    // SAFETY: it does nothing.
    unsafe { std::arch::asm!("/* {0:e} */", inout(reg) bits, options(pure, nomem, nostack, preserves_flags)) };
    bits
}

/// The first places.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn first(count: usize) -> Bits {
    let begins = _mm512_setr_epi64(0, 64, 128, 192, 256, 320, 384, 448);
    #[allow(clippy::cast_possible_wrap, reason = "at most 512")]
    let left = _mm512_sub_epi64(_mm512_set1_epi64(count as i64), begins);
    let missing = _mm512_max_epi64(_mm512_sub_epi64(_mm512_set1_epi64(64), left), _mm512_setzero_si512());
    _mm512_srlv_epi64(_mm512_set1_epi64(-1), missing)
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn words(bits: Bits) -> [u64; BLOCKS] {
    let mut words = [0; BLOCKS];
    // SAFETY: they are 64 bytes; no alignment is asked for.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), bits) };
    words
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn any(bits: Bits) -> bool {
    _mm512_test_epi64_mask(bits, bits) != 0
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn and(one: Bits, other: Bits) -> Bits {
    _mm512_and_si512(one, other)
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn or(one: Bits, other: Bits) -> Bits {
    _mm512_or_si512(one, other)
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn xor(one: Bits, other: Bits) -> Bits {
    _mm512_xor_si512(one, other)
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn not(bits: Bits) -> Bits {
    xor(bits, _mm512_set1_epi64(-1))
}

/// Those of one that are not in the other.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn without(one: Bits, other: Bits) -> Bits {
    _mm512_andnot_si512(other, one)
}
