//! Event ids: UUIDs as hyphenated text, read and written sixteen digits at a time where the machine can (SSSE3).

use uuid::Uuid;

/// Of a hyphenated UUID.
pub const LENGTH: usize = uuid::fmt::Hyphenated::LENGTH;

/// An event's id as records carry it: hyphenated, in lower case.
pub type IdText = [u8; LENGTH];

/// Reads a hyphenated UUID of any version and case. `None`: it is not one.
#[inline]
#[must_use]
pub fn parse(text: &[u8]) -> Option<Uuid> {
    let text = text.as_array::<LENGTH>()?;
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("ssse3") {
        // SAFETY: the machine has SSSE3.
        return unsafe { ssse3::parse(text) };
    }
    // Of the forms that it takes, only the hyphenated one has this length.
    Uuid::try_parse_ascii(text).ok()
}

/// Writes one.
#[inline]
#[must_use]
pub fn text(id: Uuid) -> IdText {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("ssse3") {
        // SAFETY: the machine has SSSE3.
        return unsafe { ssse3::text(id) };
    }
    let mut text = [0; LENGTH];
    id.hyphenated().encode_lower(&mut text);
    text
}

/// Of what [`parse`] takes, and of nothing else: itself, where it is as records carry it already. `None`: it has letters in
/// upper case.
#[inline]
#[must_use]
pub(crate) fn same_text(id: &[u8]) -> Option<&IdText> {
    // Of the bytes that are read, upper-case letters alone are without this bit.
    const NOT_UPPER: u8 = 0x20;
    let text = id.as_array::<LENGTH>()?;
    (text.iter().fold(NOT_UPPER, |all, byte| all & byte) != 0).then_some(text)
}

/// The text as a string.
#[must_use]
pub fn as_str(text: &IdText) -> &str {
    // It is ASCII.
    std::str::from_utf8(text).unwrap_or_default()
}

#[cfg(target_arch = "x86_64")]
mod ssse3 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi8, _mm_and_si128, _mm_andnot_si128, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_maddubs_epi16,
        _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_packus_epi16, _mm_set1_epi8, _mm_set1_epi16, _mm_setr_epi8,
        _mm_shuffle_epi8, _mm_srli_epi16, _mm_storeu_si128, _mm_sub_epi8, _mm_unpackhi_epi8, _mm_unpacklo_epi8,
    };

    use uuid::Uuid;

    use super::{IdText, LENGTH};

    /// No byte, in a shuffle.
    const NONE: i8 = -1;
    const HYPHEN: i8 = b'-'.cast_signed();

    #[target_feature(enable = "ssse3")]
    #[inline]
    pub(super) fn parse(text: &[u8; LENGTH]) -> Option<Uuid> {
        let hyphens = [text[8], text[13], text[18], text[23]];
        if hyphens != [b'-'; 4] {
            return None;
        }
        // Each half of the digits lies in two places that overlap.
        let first = _mm_or_si128(
            _mm_shuffle_epi8(
                load(&text[0..16]),
                _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE),
            ),
            _mm_shuffle_epi8(
                load(&text[2..18]),
                _mm_setr_epi8(NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 7, 8, 9, 10, 12, 13, 14, 15),
            ),
        );
        let second = _mm_or_si128(
            _mm_shuffle_epi8(
                load(&text[16..32]),
                _mm_setr_epi8(3, 4, 5, 6, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE),
            ),
            _mm_shuffle_epi8(
                load(&text[20..36]),
                _mm_setr_epi8(NONE, NONE, NONE, NONE, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
            ),
        );
        let ((first, first_fine), (second, second_fine)) = (digits(first), digits(second));
        if _mm_movemask_epi8(_mm_and_si128(first_fine, second_fine)) != 0xffff {
            return None;
        }
        let sixteens = _mm_set1_epi16(0x0110);
        let bytes = _mm_packus_epi16(_mm_maddubs_epi16(first, sixteens), _mm_maddubs_epi16(second, sixteens));
        let mut id = [0; 16];
        store(&mut id, bytes);
        Some(Uuid::from_bytes(id))
    }

    /// What hexadecimal digits are worth, and all bits of those that are digits.
    #[target_feature(enable = "ssse3")]
    #[inline]
    fn digits(text: __m128i) -> (__m128i, __m128i) {
        let decimal = _mm_sub_epi8(text, repeat(b'0'));
        let is_decimal = at_most(decimal, 9);
        let letter = _mm_sub_epi8(_mm_or_si128(text, repeat(0x20)), repeat(b'a'));
        let is_letter = at_most(letter, 5);
        let worth = _mm_or_si128(
            _mm_and_si128(is_decimal, decimal),
            _mm_andnot_si128(is_decimal, _mm_add_epi8(letter, repeat(10))),
        );
        (worth, _mm_or_si128(is_decimal, is_letter))
    }

    #[target_feature(enable = "ssse3")]
    #[inline]
    pub(super) fn text(id: Uuid) -> IdText {
        let bytes = load(id.as_bytes());
        let low = repeat(0x0f);
        let (upper, lower) = (_mm_and_si128(_mm_srli_epi16::<4>(bytes), low), _mm_and_si128(bytes, low));
        let digits = load(b"0123456789abcdef");
        let first = _mm_shuffle_epi8(digits, _mm_unpacklo_epi8(upper, lower));
        let second = _mm_shuffle_epi8(digits, _mm_unpackhi_epi8(upper, lower));
        let mut text = [b'-'; LENGTH];
        let until_14 = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, NONE, 8, 9, 10, 11, NONE, 12, 13);
        let hyphens = _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, HYPHEN, 0, 0, 0, 0, HYPHEN, 0, 0);
        store(&mut text[0..16], _mm_or_si128(_mm_shuffle_epi8(first, until_14), hyphens));
        let from_20 = _mm_setr_epi8(1, 2, 3, NONE, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let hyphen = _mm_setr_epi8(0, 0, 0, HYPHEN, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        store(&mut text[20..36], _mm_or_si128(_mm_shuffle_epi8(second, from_20), hyphen));
        // What is between the two.
        let mut digits = [0; 32];
        store(&mut digits[0..16], first);
        store(&mut digits[16..32], second);
        text[16..18].copy_from_slice(&digits[14..16]);
        text[19] = digits[16];
        text
    }

    #[target_feature(enable = "ssse3")]
    #[inline]
    fn repeat(byte: u8) -> __m128i {
        _mm_set1_epi8(byte.cast_signed())
    }

    #[target_feature(enable = "ssse3")]
    #[inline]
    fn at_most(bytes: __m128i, most: u8) -> __m128i {
        _mm_cmpeq_epi8(_mm_min_epu8(bytes, repeat(most)), bytes)
    }

    #[target_feature(enable = "ssse3")]
    #[inline]
    fn load(bytes: &[u8]) -> __m128i {
        assert!(bytes.len() == 16, "a register's bytes");
        // SAFETY: 16 bytes are there; no alignment is asked for.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    }

    #[target_feature(enable = "ssse3")]
    #[inline]
    fn store(bytes: &mut [u8], value: __m128i) {
        assert!(bytes.len() == 16, "a register's bytes");
        // SAFETY: there is room for 16 bytes; no alignment is asked for.
        unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the crate says of the same text.
    fn by_uuid(text: &[u8]) -> Option<Uuid> {
        if text.len() == LENGTH { Uuid::try_parse_ascii(text).ok() } else { None }
    }

    #[test]
    fn ids_are_read_and_written_as_by_the_uuid_crate() {
        let mut number = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128;
        for _ in 0..1_000 {
            number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).wrapping_add(1);
            let id = Uuid::from_u128(number);
            let expected = id.hyphenated().to_string();
            assert_eq!(text(id), expected.as_bytes(), "{id}");
            assert_eq!(parse(expected.as_bytes()), Some(id));
            assert_eq!(same_text(expected.as_bytes()), Some(&text(id)));
            let upper = expected.to_uppercase();
            assert_eq!(parse(upper.as_bytes()), Some(id));
            assert_eq!(same_text(upper.as_bytes()).is_some(), upper == expected);
        }
    }

    #[test]
    fn every_other_byte_at_every_place_is_told_as_by_the_uuid_crate() {
        let id = b"0198f2a0-bCdE-7000-8000-00a000F00001";
        assert!(parse(id).is_some());
        for at in 0..LENGTH {
            for byte in 0..=u8::MAX {
                let mut changed = *id;
                changed[at] = byte;
                assert_eq!(parse(&changed), by_uuid(&changed), "{byte:#x} at {at}");
            }
            assert_eq!(parse(&id[..at]), None);
        }
        assert_eq!(parse(b"0198f2a0-bCdE-7000-8000-00a000F000012"), None);
    }
}
