//! Calendar days in UTC, as the lake's partitions and texts need them (proleptic Gregorian calendar, no leap seconds).

use std::fmt;
use std::path::PathBuf;

/// Milliseconds in a day.
pub const DAY_MS: i64 = 86_400_000;

/// A day, counted from 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(pub i64);

impl Day {
    /// The day that holds this moment.
    #[must_use]
    pub fn of_ms(epoch_ms: i64) -> Self {
        Self(epoch_ms.div_euclid(DAY_MS))
    }

    /// A day of the calendar; `None` if there is none such.
    #[must_use]
    pub fn of_calendar(year: i64, month: u32, day: u32) -> Option<Self> {
        let month_length = match month {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        if !(1..=month_length).contains(&day) || !(-9_999..=9_999).contains(&year) {
            return None;
        }
        // Years that begin in March have the leap day at their end; 400 of them have 146,097 days.
        let (march_year, march_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let era = march_year.div_euclid(400);
        let year_of_era = march_year.rem_euclid(400);
        let day_of_year = i64::from((153 * march_month + 2) / 5 + day - 1);
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Some(Self(era * 146_097 + day_of_era - 719_468))
    }

    /// Reads `YYYY-MM-DD`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        let digits = |part: &str, len: usize| part.len() == len && part.bytes().all(|byte| byte.is_ascii_digit());
        if !(digits(year, 4) && digits(month, 2) && digits(day, 2)) {
            return None;
        }
        Self::of_calendar(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
    }

    /// Year, month and day.
    #[must_use]
    pub fn calendar(self) -> (i64, i64, i64) {
        let shifted = self.0 + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        (year_of_era + era * 400 + i64::from(month <= 2), month, day)
    }

    /// Its partition: `year=YYYY/month=MM/day=DD`.
    #[must_use]
    pub fn partition(self) -> PathBuf {
        let (year, month, day) = self.calendar();
        [format!("year={year:04}"), format!("month={month:02}"), format!("day={day:02}")].iter().collect()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.calendar();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// A moment in ISO 8601, `YYYY-MM-DDTHH:MM:SS.mmmZ`.
#[must_use]
pub fn iso_ms(epoch_ms: i64) -> String {
    let of_day = epoch_ms.rem_euclid(DAY_MS);
    let (seconds, millis) = (of_day / 1_000, of_day % 1_000);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{}T{hours:02}:{minutes:02}:{:02}.{millis:03}Z", Day::of_ms(epoch_ms), seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_have_their_dates() {
        assert_eq!(iso_ms(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso_ms(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(iso_ms(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert_eq!(iso_ms(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(iso_ms(-62_135_596_800_000), "0001-01-01T00:00:00.000Z");
        assert_eq!(Day::of_ms(253_402_300_799_999).to_string(), "9999-12-31");
        assert_eq!(Day::of_ms(1_700_000_000_123).partition(), PathBuf::from("year=2023/month=11/day=14"));
    }

    #[test]
    fn every_day_of_two_thousand_years_comes_back_from_its_text() {
        let first = Day::of_calendar(1000, 1, 1).expect("is a day").0;
        let last = Day::of_calendar(3000, 12, 31).expect("is a day").0;
        for day in (first..=last).map(Day) {
            assert_eq!(Day::parse(&day.to_string()), Some(day));
        }
        assert_eq!(last - first + 1, 365 * 2001 + 485);
    }

    #[test]
    fn what_is_no_day_is_not_taken_for_one() {
        for text in ["2023-02-29", "2023-13-01", "2023-00-10", "2023-04-31", "23-04-01", "2023-4-1", "2023-04-01x", ""]
        {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }
}
