//! Which day a row belongs to: that of its event time, unless that is absurd or there are too many of them; then that of its
//! receipt. The rule of the lake that the gateway writes itself.
//!
//! Firehose holds 500 partitions open at once, and sends what does not fit to the error prefix. With event times from 400
//! days back to a day ahead, all functions that run at one time name at most 402 days.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

const DAY_MS: i64 = 86_400_000;
/// Days of one invocation at most.
const MAX_DAYS: usize = 64;
/// Of these, how many are kept for days of receipt: a buffer is short, but may stretch over midnight.
const FOR_RECEIPT: usize = 2;

/// Which times are taken at their word, relative to a later one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    past_ms: u64,
    future_ms: u64,
}

impl Window {
    pub(super) fn new(past: Duration, future: Duration) -> Self {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self { past_ms: ms(past), future_ms: ms(future) }
    }

    pub(super) fn holds(self, ms: i64, reference_ms: i64) -> bool {
        let earliest = reference_ms.saturating_sub_unsigned(self.past_ms);
        let latest = reference_ms.saturating_add_unsigned(self.future_ms);
        (earliest..=latest).contains(&ms)
    }
}

/// The days of an invocation so far, counted from 1970-01-01.
#[derive(Debug, Default)]
pub(super) struct Partitions(Vec<i64>);

impl Partitions {
    /// The day for a row.
    pub(super) fn place(&mut self, window: Window, event_ms: Option<i64>, received_ms: i64) -> i64 {
        if let Some(event_ms) = event_ms
            && window.holds(event_ms, received_ms)
            && let Some(day) = self.find_or_open(event_ms, MAX_DAYS - FOR_RECEIPT)
        {
            return day;
        }
        // With every day used up, which takes receive times that jump over days, the last one has to do.
        self.find_or_open(received_ms, MAX_DAYS).unwrap_or_else(|| self.0[MAX_DAYS - 1])
    }

    fn find_or_open(&mut self, ms: i64, limit: usize) -> Option<i64> {
        let day = ms.div_euclid(DAY_MS);
        if self.0.contains(&day) {
            return Some(day);
        }
        (self.0.len() < limit).then(|| {
            self.0.push(day);
            day
        })
    }
}

/// A day as the prefix of the delivery stream wants it: `year=YYYY/month=MM/day=DD`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct PartitionKeys {
    year: String,
    month: String,
    day: String,
}

impl PartitionKeys {
    /// Days before 1970 come out as 1970-01-01: clocks are held to the function's own, so that there are none.
    pub(super) fn of_day(day: i64) -> Self {
        let since_epoch = Duration::from_millis(u64::try_from(day.saturating_mul(DAY_MS)).unwrap_or(0));
        let time: SystemTime = UNIX_EPOCH + since_epoch.min(Duration::from_secs(253_402_300_799));
        let text = humantime::format_rfc3339_seconds(time).to_string();
        let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default().to_owned();
        Self { year: part(0..4), month: part(5..7), day: part(8..10) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn window() -> Window {
        Window::new(Duration::from_secs(400 * 86_400), Duration::from_secs(86_400))
    }

    #[test]
    fn event_times_within_the_window_have_their_own_day_and_others_the_day_of_receipt() {
        let day_of = |event_ms| Partitions::default().place(window(), event_ms, NOW);
        let today = NOW.div_euclid(DAY_MS);
        assert_eq!(day_of(Some(NOW)), today);
        assert_eq!(day_of(Some(NOW - 400 * DAY_MS)), today - 400);
        assert_eq!(day_of(Some(NOW - 400 * DAY_MS - 1)), today);
        assert_eq!(day_of(Some(NOW + DAY_MS)), today + 1);
        assert_eq!(day_of(Some(NOW + DAY_MS + 1)), today);
        for absurd in [None, Some(i64::MIN), Some(i64::MAX)] {
            assert_eq!(day_of(absurd), today);
        }
    }

    #[test]
    fn an_invocation_names_at_most_sixty_four_days() {
        let mut partitions = Partitions::default();
        let days: std::collections::BTreeSet<_> =
            (0..300).map(|ago| partitions.place(window(), Some(NOW - ago * DAY_MS), NOW)).collect();
        assert_eq!(days.len(), 62);
        assert_eq!(partitions.place(window(), Some(NOW - 299 * DAY_MS), NOW), NOW.div_euclid(DAY_MS));
        for later in 0..1_000 {
            partitions.place(window(), None, NOW + later * DAY_MS);
        }
        assert_eq!(partitions.0.len(), MAX_DAYS);
    }

    #[test]
    fn days_are_written_as_the_lake_writes_them() {
        let keys = |ms: i64| {
            let PartitionKeys { year, month, day } = PartitionKeys::of_day(ms.div_euclid(DAY_MS));
            format!("{year}-{month}-{day}")
        };
        assert_eq!(keys(0), "1970-01-01");
        assert_eq!(keys(951_782_400_000), "2000-02-29");
        assert_eq!(keys(NOW), "2023-11-14");
        assert_eq!(keys(NOW - NOW % DAY_MS + DAY_MS - 1), "2023-11-14");
        assert_eq!(keys(253_402_300_799_999), "9999-12-31");
    }
}
