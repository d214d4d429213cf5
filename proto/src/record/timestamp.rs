//! Epoch seconds as a JSON number, exactly: no float stands between the text and the nanoseconds.

const NANOS_IN_SECOND: u32 = 1_000_000_000;

/// A sign, the digits of 64 bits, a point and nine digits.
const LONGEST: usize = 1 + 20 + 1 + DIGITS;
/// Digits of nanoseconds.
const DIGITS: usize = 9;

/// A timestamp as it is printed. Printed where it stays: it is made of small pieces, and a copy right behind the writing
/// would wait for them.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimestampText {
    text: [u8; LONGEST],
    len: usize,
}

impl TimestampText {
    /// Prints one in the place of whatever was there. `nanos` count forward in time, as in `google.protobuf.Timestamp`, also before
    /// 1970.
    #[inline]
    pub(super) fn print(&mut self, seconds: i64, nanos: u32) {
        self.len = 0;
        if seconds >= 0 {
            self.push_whole(seconds.unsigned_abs());
            self.push_fraction(nanos);
        } else {
            self.push(b"-");
            // -1 s and 750,000,000 ns is -0.25.
            let back = if nanos > 0 { 1 } else { 0 };
            self.push_whole((seconds + back).unsigned_abs());
            self.push_fraction(if nanos > 0 { NANOS_IN_SECOND - nanos } else { 0 });
        }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        self.text[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    #[inline]
    fn push_whole(&mut self, whole: u64) {
        // From 2001 to 2286.
        if self.len == 0 && (TEN_DIGITS..10 * TEN_DIGITS).contains(&whole) {
            let (high, low) = ((whole / 100_000_000) as u8, (whole % 100_000_000) as u32);
            [self.text[0], self.text[1]] = [b'0' + high / 10, b'0' + high % 10];
            self.text[2..10].copy_from_slice(&eight_digits(low).to_le_bytes());
            self.len = 10;
        } else {
            self.push(itoa::Buffer::new().format(whole).as_bytes());
        }
    }

    /// Without its trailing zeros.
    #[inline]
    fn push_fraction(&mut self, nanos: u32) {
        if nanos == 0 {
            return;
        }
        let (first, rest) = ((nanos / 100_000_000) as u8, eight_digits(nanos % 100_000_000));
        let mut text = [b'.'; 1 + DIGITS];
        text[1] = b'0' + first;
        text[2..].copy_from_slice(&rest.to_le_bytes());
        // The last digits are the highest bytes.
        let zeros = (rest ^ ZEROS).leading_zeros() as usize / 8;
        self.text[self.len..self.len + text.len()].copy_from_slice(&text);
        self.len += text.len() - zeros;
    }
}

/// The least number of ten digits.
const TEN_DIGITS: u64 = 1_000_000_000;
/// Eight zeros, as characters.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The digits of a number below 100,000,000, as characters, the first in the lowest byte. Halves, quarters and eighths of
/// the number side by side.
#[inline]
fn eight_digits(number: u32) -> u64 {
    let fours = u64::from(number / 10_000) | u64::from(number % 10_000) << 32;
    // 10,486 / 2^20 and 103 / 2^10 are close enough to a hundredth and a tenth.
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | (fours - 100 * hundreds) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    (tens | (twos - 10 * tens) << 8) + ZEROS
}

/// Why a text is no timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// It is not a JSON number.
    #[error("must be a JSON number of epoch seconds")]
    NotANumber,
    /// Its whole seconds do not fit 64 bits.
    #[error("is out of range")]
    OutOfRange,
}

/// Reads a JSON number of epoch seconds, exponents included, as seconds and nanoseconds that count forward in time.
/// What is finer than a nanosecond is rounded down.
///
/// # Errors
/// If the text is no JSON number, or its seconds do not fit an `i64`.
pub fn parse_timestamp(text: &str) -> Result<(i64, u32), TimestampError> {
    if let Some(timestamp) = of_this_age(text.as_bytes()) {
        return Ok(timestamp);
    }
    let number = Number::split(text.as_bytes()).ok_or(TimestampError::NotANumber)?;

    // The value is 0.d1d2d3… times ten to the power of `point`, d1 being the first significant digit.
    let digits = number.integer.iter().chain(number.fraction);
    let leading_zeros = digits.clone().take_while(|digit| **digit == b'0').count();
    let significant = number.integer.len() + number.fraction.len() - leading_zeros;
    if significant == 0 {
        return Ok((0, 0));
    }
    let point = as_i64(number.integer.len()) - as_i64(leading_zeros);
    let point = point.saturating_add(number.exponent);
    if point > 19 {
        return Err(TimestampError::OutOfRange);
    }

    let mut whole: u64 = 0;
    let mut nanos: u32 = 0;
    let mut finer = false;
    for (position, digit) in (0_i64..).zip(digits.skip(leading_zeros)) {
        let place = point.saturating_sub(position); // 1: the units, 0: tenths, -8: nanoseconds
        let value = digit - b'0';
        if place >= 1 {
            let larger = whole.checked_mul(10).and_then(|tens| tens.checked_add(u64::from(value)));
            whole = larger.ok_or(TimestampError::OutOfRange)?;
        } else if place > -9 {
            // 10^8 down to 10^0.
            nanos += u32::from(value) * 10_u32.pow((8 + place) as u32);
        } else if value != 0 {
            finer = true;
            break;
        }
    }
    // Zeros that the text leaves to the exponent, as in 17e8.
    for _ in as_i64(significant)..point {
        whole = whole.checked_mul(10).ok_or(TimestampError::OutOfRange)?;
    }
    if number.negative { before_1970(whole, nanos, finer) } else { after_1970(whole, nanos) }
}

/// Ten digits (2001 to 2286) and at most nine more behind a point: what nearly every timestamp is.
#[inline]
fn of_this_age(text: &[u8]) -> Option<(i64, u32)> {
    let (&[tens, ones], rest) = text.split_first_chunk::<2>()?;
    let (eight, rest) = rest.split_first_chunk::<8>()?;
    if !(b'1'..=b'9').contains(&tens) || !ones.is_ascii_digit() {
        return None;
    }
    let high = u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
    let seconds = i64::from(high) * 100_000_000 + i64::from(number_of(u64::from_le_bytes(*eight))?);
    let nanos = match rest {
        [] => 0,
        [b'.', first, more @ ..] if first.is_ascii_digit() && more.len() < DIGITS => {
            let mut digits = [b'0'; DIGITS - 1];
            digits[..more.len()].copy_from_slice(more);
            u32::from(first - b'0') * 100_000_000 + number_of(u64::from_le_bytes(digits))?
        }
        _ => return None,
    };
    Some((seconds, nanos))
}

/// The number whose eight digits these are, as characters, the first in the lowest byte; none if they are not all digits.
#[inline]
fn number_of(digits: u64) -> Option<u32> {
    const SIXES: u64 = 0x0606_0606_0606_0606;
    const HIGH: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    if digits & HIGH != ZEROS || digits.wrapping_add(SIXES) & HIGH != ZEROS {
        return None;
    }
    // Two, four and then eight digits at once: each is ten, a hundred, ten thousand times the one that follows it.
    let ones = digits & !HIGH;
    let twos = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (twos * 100 + (twos >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) as u32)
}

fn after_1970(whole: u64, nanos: u32) -> Result<(i64, u32), TimestampError> {
    let seconds = i64::try_from(whole).map_err(|_| TimestampError::OutOfRange)?;
    Ok((seconds, nanos))
}

fn before_1970(whole: u64, nanos: u32, finer: bool) -> Result<(i64, u32), TimestampError> {
    let seconds = 0_i64.checked_sub_unsigned(whole).ok_or(TimestampError::OutOfRange)?;
    let back = nanos + u32::from(finer);
    if back == 0 {
        return Ok((seconds, 0));
    }
    let seconds = seconds.checked_sub(1).ok_or(TimestampError::OutOfRange)?;
    Ok((seconds, NANOS_IN_SECOND - back))
}

fn as_i64(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

/// A JSON number's parts (RFC 8259, section 6).
struct Number<'a> {
    negative: bool,
    integer: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Number<'a> {
    fn split(text: &'a [u8]) -> Option<Self> {
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let (integer, rest) = take_digits(rest);
        if integer.is_empty() || (integer[0] == b'0' && integer.len() > 1) {
            return None;
        }
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => {
                let (fraction, rest) = take_digits(rest);
                if fraction.is_empty() {
                    return None;
                }
                (fraction, rest)
            }
            rest => (&[][..], rest),
        };
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => exponent(rest)?,
            _ => return None,
        };
        Some(Self { negative, integer, fraction, exponent })
    }
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Far past every range, saturated is as good as exact.
    let magnitude =
        digits.iter().fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    Some(if negative { -magnitude } else { magnitude })
}

fn take_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.split_at(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(seconds: i64, nanos: u32) -> TimestampText {
        let mut text = TimestampText::default();
        text.print(seconds, nanos);
        text
    }

    // Whatever is read at once is read as it is digit by digit: the same text with an exponent goes the long way.
    #[test]
    fn the_short_way_comes_to_the_same_as_the_long_one() {
        let mut nanos = 1_u32;
        for whole in ["1000000000", "1700000000", "9999999999", "0999999999", "2147483648", "1234567890"] {
            for length in 0..=11 {
                nanos = nanos.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let fraction: String = format!("{nanos:010}0").chars().take(length).collect();
                let text = if length == 0 { whole.to_owned() } else { format!("{whole}.{fraction}") };
                assert_eq!(parse_timestamp(&text), parse_timestamp(&format!("{text}e0")), "{text}");
                let is_short = length <= 9 && !whole.starts_with('0');
                assert_eq!(of_this_age(text.as_bytes()).is_some(), is_short, "{text}");
            }
        }
        for (at, byte) in (0..20).flat_map(|at| [b'/', b':', b'-', b'p', 0xb0].map(|byte| (at, byte))) {
            let mut text = *b"1700000000.123456789";
            text[at] = byte;
            assert_eq!(of_this_age(&text), None, "{at}: {byte}");
        }
    }

    #[test]
    fn json_numbers_are_read_to_the_nanosecond() {
        let cases = [
            ("0", (0, 0)),
            ("-0", (0, 0)),
            ("-0.0", (0, 0)),
            ("0e999999999999999999999", (0, 0)),
            ("1700000000", (1_700_000_000, 0)),
            ("1700000000.25", (1_700_000_000, 250_000_000)),
            ("1700000000.123456789", (1_700_000_000, 123_456_789)),
            ("1700000000.1234567899", (1_700_000_000, 123_456_789)),
            ("1.7e9", (1_700_000_000, 0)),
            ("17E+8", (1_700_000_000, 0)),
            ("1700000000250e-3", (1_700_000_000, 250_000_000)),
            ("0.0000000017e18", (1_700_000_000, 0)),
            ("5e-9", (0, 5)),
            ("5e-10", (0, 0)),
            ("1e-400", (0, 0)),
            ("-1", (-1, 0)),
            ("-0.25", (-1, 750_000_000)),
            ("-1.5", (-2, 500_000_000)),
            ("-1e-400", (-1, 999_999_999)),
            ("-62135596800", (-62_135_596_800, 0)),
            ("9223372036854775807", (i64::MAX, 0)),
            ("-9223372036854775808", (i64::MIN, 0)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_timestamp(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_or_does_not_fit_is_an_error() {
        let not_numbers =
            ["", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x10", "NaN", "Infinity", "\"1\"", "1 ", "1_0"];
        for text in not_numbers {
            assert_eq!(parse_timestamp(text), Err(TimestampError::NotANumber), "{text}");
        }
        for text in ["9223372036854775808", "-9223372036854775808.1", "1e19", "1e400", "99999999999999999999"] {
            assert_eq!(parse_timestamp(text), Err(TimestampError::OutOfRange), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same_and_has_no_trailing_zeros() {
        for seconds in [i64::MIN, -62_135_596_800, -10, -1, 0, 1, 9, 10, 99, 1_700_000_000, i64::MAX] {
            for nanos in [0, 1, 10, 1_000, 20_000, 1_001_000, 3_000_000, 100_000_000, 250_000_000, 999_999_999] {
                let text = printed(seconds, nanos);
                let text = std::str::from_utf8(text.as_bytes()).expect("is ASCII");
                assert_eq!(parse_timestamp(text), Ok((seconds, nanos)), "{text}");
                assert_eq!(text.contains('.'), nanos != 0, "{text}");
                assert!(nanos == 0 || !text.ends_with('0'), "{text}");
            }
        }
        assert_eq!(printed(-1, 750_000_000).as_bytes(), b"-0.25");
        assert_eq!(printed(1_790_000_000, 120_000_000).as_bytes(), b"1790000000.12");
        for number in (0..100_000_000).step_by(997).chain([1, 9_999, 10_000, 99_999_999]) {
            assert_eq!(eight_digits(number).to_le_bytes(), *format!("{number:08}").as_bytes());
        }
    }
}
