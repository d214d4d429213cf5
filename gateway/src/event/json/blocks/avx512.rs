//! A block in one register.

use std::arch::x86_64::{
    __m512i, _mm_setr_epi8, _mm512_broadcast_i32x4, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask, _mm512_loadu_si512,
    _mm512_mask_loadu_epi8, _mm512_movepi8_mask, _mm512_or_si512, _mm512_set1_epi8, _mm512_shuffle_epi8,
    _mm512_sub_epi8, _mm512_test_epi8_mask,
};

use super::{Accepted, BLOCK, Classes, accept_by, parity};

#[target_feature(enable = "avx512f,avx512bw,pclmulqdq,bmi1,bmi2")]
pub(super) fn accept(input: &[u8], max_depth: u32) -> Option<Accepted> {
    accept_by(input, max_depth, |block| classes(whole(block)), |rest| classes(part(rest)), |bits| parity(bits))
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn whole(block: &[u8; BLOCK]) -> __m512i {
    // SAFETY: a block is 64 bytes long; no alignment is asked for.
    unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
}

/// Fewer bytes than a block has, and spaces behind them.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn part(bytes: &[u8]) -> __m512i {
    let there = !(u64::MAX << bytes.len());
    // SAFETY: only the bytes of the slice are read.
    unsafe { _mm512_mask_loadu_epi8(repeat(b' '), there, bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn repeat(byte: u8) -> __m512i {
    _mm512_set1_epi8(byte.cast_signed())
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn classes(bytes: __m512i) -> Classes {
    let is = |byte| _mm512_cmpeq_epi8_mask(bytes, repeat(byte));
    // Both brackets of a kind differ in this bit only.
    let folded = _mm512_or_si512(bytes, repeat(0x20));
    // The white space of which a byte has the lower half, if any: it is itself white space if it is the same.
    let whites = _mm512_broadcast_i32x4(_mm_setr_epi8(0x20, 0, 0, 0, 0, 0, 0, 0, 0, 9, 10, 0, 0, 13, 0, 0));
    Classes {
        quote: is(b'"'),
        backslash: is(b'\\'),
        open: _mm512_cmpeq_epi8_mask(folded, repeat(b'{')),
        close: _mm512_cmpeq_epi8_mask(folded, repeat(b'}')),
        brace: _mm512_test_epi8_mask(bytes, repeat(0x20)),
        colon: is(b':'),
        comma: is(b','),
        white: _mm512_cmpeq_epi8_mask(_mm512_shuffle_epi8(whites, bytes), bytes),
        control: _mm512_cmplt_epu8_mask(bytes, repeat(0x20)),
        high: _mm512_movepi8_mask(bytes),
        digit: _mm512_cmplt_epu8_mask(_mm512_sub_epi8(bytes, repeat(b'0')), repeat(10)),
        zero: is(b'0'),
        dot: is(b'.'),
        minus: is(b'-'),
    }
}
