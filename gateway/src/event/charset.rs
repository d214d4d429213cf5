//! The characters of names and versions, `[A-Za-z0-9-_.]`, checked sixteen at a time where the machine can (SSSE3).

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

#[cfg(target_arch = "x86_64")]
mod ssse3 {
    use std::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8,
        _mm_setr_epi8, _mm_setzero_si128, _mm_shuffle_epi8, _mm_srli_epi16,
    };

    // Classes of bytes that have an upper half in common; a byte is fine if both of its halves are in one.
    /// `-.` of 0x2_
    const SIGNS: i8 = 1;
    /// `0` to `9` of 0x3_
    const DIGITS: i8 = 2;
    /// `A` to `O` of 0x4_, `a` to `o` of 0x6_
    const TO_O: i8 = 4;
    /// `P` to `Z` and `_` of 0x5_
    const UPPER_FROM_P: i8 = 8;
    /// `p` to `z` of 0x7_
    const LOWER_FROM_P: i8 = 16;

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
        let by_upper =
            _mm_setr_epi8(0, 0, SIGNS, DIGITS, TO_O, UPPER_FROM_P, TO_O, LOWER_FROM_P, 0, 0, 0, 0, 0, 0, 0, 0);
        const ZERO: i8 = DIGITS | UPPER_FROM_P | LOWER_FROM_P;
        const TO_NINE: i8 = ZERO | TO_O;
        const TEN: i8 = TO_O | UPPER_FROM_P | LOWER_FROM_P;
        const SIGN: i8 = TO_O | SIGNS;
        let by_lower = _mm_setr_epi8(
            ZERO,
            TO_NINE,
            TO_NINE,
            TO_NINE,
            TO_NINE,
            TO_NINE,
            TO_NINE,
            TO_NINE,
            TO_NINE,
            TO_NINE,
            TEN,
            TO_O,
            TO_O,
            SIGN,
            SIGN,
            TO_O | UPPER_FROM_P,
        );
        let classes = _mm_and_si128(_mm_shuffle_epi8(by_upper, upper), _mm_shuffle_epi8(by_lower, lower));
        _mm_movemask_epi8(_mm_cmpeq_epi8(classes, _mm_setzero_si128())) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_of_names_of_every_length() {
        for length in 0..40 {
            let name = &b"azAZ09-_.PponOBby5az_AZ09-.PponOBby5az_A"[..length];
            assert!(is_name(name));
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut changed = name.to_vec();
                    changed[at] = byte;
                    let fine = byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
                    assert_eq!(is_name(&changed), fine, "{byte:#x} at {at} of {length}");
                }
            }
        }
    }
}
