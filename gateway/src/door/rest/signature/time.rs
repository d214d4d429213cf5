//! The time in `x-amz-date`: ISO 8601's basic form, in UTC, to the second.

use crate::delivery::lake::day::{DAY_MS, Day};

/// Reads `YYYYMMDDTHHMMSSZ`, as milliseconds since 1970-01-01 UTC.
pub(super) fn parse(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digits = &bytes[from..to];
        let all = digits.iter().all(u8::is_ascii_digit);
        all.then(|| digits.iter().fold(0_i64, |number, digit| number * 10 + i64::from(digit - b'0')))
    };
    let (month, day) = (u32::try_from(number(4, 6)?).ok()?, u32::try_from(number(6, 8)?).ok()?);
    let day = Day::of_calendar(number(0, 4)?, month, day)?;
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    // 60 is a leap second.
    let fits = hour < 24 && minute < 60 && second <= 60;
    fits.then(|| day.0 * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1_000)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn times_are_read_to_the_second_and_nothing_else_is() {
        assert_eq!(parse("19700101T000000Z"), Some(0));
        assert_eq!(parse("20150830T123600Z"), Some(1_440_938_160_000));
        assert_eq!(parse("20240229T235959Z"), Some(1_709_251_199_000));
        for wrong in [
            "",
            "20150830",
            "20150830T123600",
            "20150830T123600+",
            "20150830 123600Z",
            "20150830T243600Z",
            "20150830T126000Z",
            "20151330T123600Z",
            "20230229T000000Z",
            "2015083oT123600Z",
            "+2015083T123600Z",
            "ééééééééé",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
