//! What a request's id says beside which request it is: how far its client's clock was off.
//!
//! The stream record has no place for more than AWS's consumers know, and they refuse what they don't know. So the
//! difference of the clocks travels within the id, a version 8 UUID, whose bits are its maker's: behind version and variant
//! are 60 bits of the process, 24 of the difference and 38 of a count. To whoever does not ask, it is a UUID like any other.

/// The largest difference that an id can say, in milliseconds either way: 2 hours, 19 minutes and 48 seconds. A larger
/// one is not said: as if it were this one it would be taken for measured.
pub const MAX_CLOCK_SKEW_MS: i64 = (1 << (SKEW_BITS - 1)) - 1;

const SKEW_BITS: u32 = 24;
const COUNT_BITS: u32 = 38;
/// What stands for no difference at all; 0 stands for a difference that nobody knows.
const NO_DIFFERENCE: i64 = 1 << (SKEW_BITS - 1);

/// The lower half of an id: its count, and by how many milliseconds the client's clock is ahead of the gateway's, where
/// that is known and within [`MAX_CLOCK_SKEW_MS`]. The two highest bits are the variant's.
#[must_use]
pub fn lower_half(count: u64, clock_skew_ms: Option<i64>) -> u64 {
    let said = clock_skew_ms.filter(|ms| (-MAX_CLOCK_SKEW_MS..=MAX_CLOCK_SKEW_MS).contains(ms));
    let skew = said.map_or(0, |ms| ms + NO_DIFFERENCE);
    skew.cast_unsigned() << COUNT_BITS | count & ((1 << COUNT_BITS) - 1)
}

/// By how many milliseconds the client's clock was ahead of the gateway's when it sent the request; negative: behind.
/// `None` where that is not known, or the id is not of a gateway.
#[must_use]
pub fn clock_skew_ms(request_id: &str) -> Option<i64> {
    // 8-4-4-4-12 digits: the version leads the third group, the lower half are the last two.
    let is_ours = request_id.len() == 36 && request_id.as_bytes().get(14) == Some(&b'8');
    let (fourth, fifth) = (request_id.get(19..23)?, request_id.get(24..36)?);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_ours || !digits(fourth) || !digits(fifth) {
        return None;
    }
    let lower = u64::from_str_radix(fourth, 16).ok()? << 48 | u64::from_str_radix(fifth, 16).ok()?;
    let skew = lower >> COUNT_BITS & ((1 << SKEW_BITS) - 1);
    (skew != 0).then(|| skew.cast_signed() - NO_DIFFERENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a version 8 UUID of these bits.
    fn id(lower: u64) -> String {
        let lower = lower & !(3 << 62) | 2 << 62;
        format!("01234567-89ab-8def-{:04x}-{:012x}", lower >> 48, lower & 0xffff_ffff_ffff)
    }

    #[test]
    fn an_id_says_how_far_the_clock_was_off() {
        for count in [0, 1, (1 << COUNT_BITS) - 1, u64::MAX] {
            for skew in [-MAX_CLOCK_SKEW_MS, -3_600_000, -1, 0, 1, 250, MAX_CLOCK_SKEW_MS] {
                assert_eq!(clock_skew_ms(&id(lower_half(count, Some(skew)))), Some(skew), "{count} {skew}");
            }
            assert_eq!(clock_skew_ms(&id(lower_half(count, None))), None, "{count}");
        }
        for beyond in [i64::MIN, -MAX_CLOCK_SKEW_MS - 1, MAX_CLOCK_SKEW_MS + 1, i64::MAX] {
            assert_eq!(clock_skew_ms(&id(lower_half(7, Some(beyond)))), None, "{beyond}");
        }
    }

    #[test]
    fn ids_of_one_clock_differ_by_their_count() {
        assert_ne!(id(lower_half(1, Some(5))), id(lower_half(2, Some(5))));
        assert_ne!(id(lower_half(1, None)), id(lower_half(2, None)));
    }

    #[test]
    fn ids_of_others_say_nothing() {
        for other in [
            "",
            "request-0",
            // Of another version, too short, no digits, no ASCII.
            "01234567-89ab-4def-a000-000000000001",
            "01234567-89ab-8def-a000-00000000000",
            "01234567-89ab-8def-a000-00000000000x",
            "01234567-89ab-8def-+000-000000000001",
            "01234567-89ab-8def-a00é-00000000001",
        ] {
            assert_eq!(clock_skew_ms(other), None, "{other}");
        }
    }
}
