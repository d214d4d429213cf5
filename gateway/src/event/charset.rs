//! The characters of names and versions, `[A-Za-z0-9-_.]`, checked sixteen at a time where the machine can (SSSE3), or all
//! names of an event at once (AVX-512).

// Only the vectors of x86-64 make it.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

/// Names that [`are_names`] looks at are no longer than that.
pub(super) const SHORT: usize = 32;

/// Whether every byte is one of them.
#[inline]
#[must_use]
pub(super) fn is_name(bytes: &[u8]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= 4 && is_x86_feature_detected!("ssse3") {
        // SAFETY: the machine has SSSE3.
        return unsafe { ssse3::is_name(bytes) };
    }
    is_name_bytewise(bytes)
}

/// Whether all of these surely are names, or empty. `false`: one may be none or is longer than [`SHORT`], or the machine
/// can't look at four at once; [`is_name`] tells.
#[inline]
pub(super) fn are_names(one: &[u8], two: &[u8], three: &[u8], four: &[u8]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("bmi2")
    {
        // SAFETY: the machine has all of it.
        return unsafe { avx512::are_names(one, two, three, four) };
    }
    let _ = (one, two, three, four);
    false
}

/// Folded, not short-circuited: names are short, and without a branch a byte it is a few cycles.
#[inline]
fn is_name_bytewise(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |fine, byte| fine & NAME_BYTES[*byte as usize])
}

static NAME_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation)]
        let character = byte as u8;
        table[byte] = character.is_ascii_alphanumeric() || matches!(character, b'-' | b'_' | b'.');
        byte += 1;
    }
    table
};

// Classes of bytes that have an upper half in common; a byte is fine if both of its halves are in one.
/// `-.` of 0x2_
const SIGNS: u8 = 1;
/// `0` to `9` of 0x3_
const DIGITS: u8 = 2;
/// `A` to `O` of 0x4_, `a` to `o` of 0x6_
const TO_O: u8 = 4;
/// `P` to `Z` and `_` of 0x5_
const UPPER_FROM_P: u8 = 8;
/// `p` to `z` of 0x7_
const LOWER_FROM_P: u8 = 16;

static BY_UPPER: [u8; 16] = [0, 0, SIGNS, DIGITS, TO_O, UPPER_FROM_P, TO_O, LOWER_FROM_P, 0, 0, 0, 0, 0, 0, 0, 0];
static BY_LOWER: [u8; 16] = {
    let zero = DIGITS | UPPER_FROM_P | LOWER_FROM_P;
    let to_nine = zero | TO_O;
    let ten = TO_O | UPPER_FROM_P | LOWER_FROM_P;
    let sign = TO_O | SIGNS;
    let last = TO_O | UPPER_FROM_P;
    [
        zero, to_nine, to_nine, to_nine, to_nine, to_nine, to_nine, to_nine, to_nine, to_nine, ten, TO_O, TO_O, sign,
        sign, last,
    ]
};

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{
        __m256i, __m512i, _bzhi_u32, _mm_loadu_si128, _mm256_maskz_loadu_epi8, _mm512_and_si512,
        _mm512_broadcast_i32x4, _mm512_castsi256_si512, _mm512_inserti64x4, _mm512_mask_testn_epi8_mask,
        _mm512_set1_epi8, _mm512_shuffle_epi8, _mm512_srli_epi16,
    };

    use super::{BY_LOWER, BY_UPPER, SHORT};

    /// Names of up to 32 bytes, two to a register. `false`: one may be none.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi2")]
    pub(super) fn are_names(one: &[u8], two: &[u8], three: &[u8], four: &[u8]) -> bool {
        if one.len().max(two.len()).max(three.len()).max(four.len()) > SHORT {
            return false;
        }
        (bad_of(one, two) | bad_of(three, four)) == 0
    }

    /// A bit for each byte that may not stand in a name.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi2")]
    #[inline]
    fn bad_of(one: &[u8], other: &[u8]) -> u64 {
        let (one, other, there) = {
            let ((one, there), (other, there_too)) = (load(one), load(other));
            (one, other, u64::from(there) | u64::from(there_too) << 32)
        };
        let bytes = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(one), other);
        let nibble = _mm512_set1_epi8(0x0f);
        let upper = _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), nibble);
        let lower = _mm512_and_si512(bytes, nibble);
        let by_upper = _mm512_shuffle_epi8(table(&BY_UPPER), upper);
        let by_lower = _mm512_shuffle_epi8(table(&BY_LOWER), lower);
        _mm512_mask_testn_epi8_mask(there, by_upper, by_lower)
    }

    /// At most 32 bytes, and a bit for each.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi2")]
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "at most 32")]
    fn load(bytes: &[u8]) -> (__m256i, u32) {
        let there = _bzhi_u32(u32::MAX, bytes.len() as u32);
        // An empty slice may lie where there is no memory. Nothing is read there, but to find that out takes the processor
        // eighty nanoseconds.
        let from = if bytes.is_empty() { BY_UPPER.as_ptr() } else { bytes.as_ptr() };
        // SAFETY: only the bytes of the slice are read.
        (unsafe { _mm256_maskz_loadu_epi8(there, from.cast()) }, there)
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn table(bytes: &[u8; 16]) -> __m512i {
        // SAFETY: 16 bytes are there; no alignment is asked for.
        _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
    }
}

#[cfg(target_arch = "x86_64")]
mod ssse3 {
    use std::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8,
        _mm_setzero_si128, _mm_shuffle_epi8, _mm_srli_epi16,
    };

    use super::{BY_LOWER, BY_UPPER};

    /// At least four bytes.
    #[target_feature(enable = "ssse3")]
    #[inline]
    pub(super) fn is_name(bytes: &[u8]) -> bool {
        let word = |at: usize| bytes[at..].first_chunk::<8>().map_or(0, |word| i64::from_le_bytes(*word));
        let half = |at: usize| bytes[at..].first_chunk::<4>().map_or(0, |half| u64::from(u32::from_le_bytes(*half)));
        match bytes.len() {
            // Four words that may overlap: how many there are, no branch has to wait for.
            len @ 8..=32 => {
                let last = len - 8;
                let (first, second) = (
                    _mm_set_epi64x(word(last.min(8)), word(0)),
                    _mm_set_epi64x(word(last), word(last.saturating_sub(8))),
                );
                all_fine(first) & all_fine(second)
            }
            len @ 4..=7 => {
                let both = (half(0) | half(len - 4) << 32).cast_signed();
                all_fine(_mm_set_epi64x(both, both))
            }
            // The last bytes are loaded together with some that were looked at before.
            _ => {
                let Some(last) = bytes.last_chunk::<16>() else { return super::is_name_bytewise(bytes) };
                bytes.as_chunks::<16>().0.iter().chain([last]).all(|chunk| all_fine(load(chunk)))
            }
        }
    }

    #[target_feature(enable = "ssse3")]
    #[inline]
    fn load(chunk: &[u8; 16]) -> __m128i {
        // SAFETY: 16 bytes are there; no alignment is asked for.
        unsafe { _mm_loadu_si128(chunk.as_ptr().cast()) }
    }

    #[target_feature(enable = "ssse3")]
    #[inline]
    fn all_fine(bytes: __m128i) -> bool {
        let nibble = _mm_set1_epi8(0x0f);
        let upper = _mm_and_si128(_mm_srli_epi16::<4>(bytes), nibble);
        // Beyond ASCII there is no class, so it does not matter what is found for a lower half.
        let lower = _mm_and_si128(bytes, nibble);
        let (by_upper, by_lower) = (load(&BY_UPPER), load(&BY_LOWER));
        let classes = _mm_and_si128(_mm_shuffle_epi8(by_upper, upper), _mm_shuffle_epi8(by_lower, lower));
        _mm_movemask_epi8(_mm_cmpeq_epi8(classes, _mm_setzero_si128())) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_of_names_of_every_length() {
        let can = are_names(b"a", b"", b"", b"");
        for length in 0..40 {
            let name = &b"azAZ09-_.PponOBby5az_AZ09-.PponOBby5az_A"[..length];
            assert!(is_name(name));
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut changed = name.to_vec();
                    changed[at] = byte;
                    let fine = byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
                    assert_eq!(is_name(&changed), fine, "{byte:#x} at {at} of {length}");
                    for place in 0..4 {
                        let mut four: [&[u8]; 4] = [b"login", b"", b"other.one", b"2.0"];
                        four[place] = &changed;
                        let [one, two, three, four] = four;
                        let expected = can && fine && length <= SHORT;
                        assert_eq!(are_names(one, two, three, four), expected, "{byte:#x} at {at} of {length}");
                    }
                }
            }
        }
    }
}
