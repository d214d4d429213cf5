//! Which partition a row belongs to: the day of its event time, unless that is absurd or there are too many of them.
//!
//! The answer depends on nothing but the rows of the segment, in their order, and the window in its header: compaction
//! that is done again after a crash comes to the same files.

use super::day::Day;
use crate::config::LakeSettings;

/// Partitions of one segment at most, each of which is a file open at once.
pub(super) const MAX_PARTITIONS: usize = 64;
/// Of these, how many are kept for receive times: a segment is short, but may stretch over midnight.
const FOR_RECEIVE_TIMES: usize = 2;

/// Which event times are taken at their word, relative to the receive time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EventWindow {
    pub(super) past_ms: u64,
    pub(super) future_ms: u64,
}

impl EventWindow {
    pub(super) fn new(settings: &LakeSettings) -> Self {
        let ms = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self { past_ms: ms(settings.event_time_past), future_ms: ms(settings.event_time_future) }
    }

    fn holds(self, event_ms: i64, received_ms: i64) -> bool {
        let earliest = received_ms.saturating_sub_unsigned(self.past_ms);
        let latest = received_ms.saturating_add_unsigned(self.future_ms);
        (earliest..=latest).contains(&event_ms)
    }
}

/// The partitions of one segment, in the order in which its rows open them.
pub(super) struct Partitions {
    window: EventWindow,
    days: Vec<Day>,
    last: usize,
}

impl Partitions {
    pub(super) fn new(window: EventWindow) -> Self {
        Self { window, days: Vec::new(), last: 0 }
    }

    /// The position, in [`Self::days`], of the partition for a row.
    pub(super) fn place(&mut self, event_ms: i64, received_ms: i64) -> usize {
        if self.window.holds(event_ms, received_ms)
            && let Some(position) = self.find_or_open(Day::of_ms(event_ms), MAX_PARTITIONS - FOR_RECEIVE_TIMES)
        {
            return position;
        }
        // With every partition used up, which takes a receive clock that jumps over days, the last one has to do.
        self.find_or_open(Day::of_ms(received_ms), MAX_PARTITIONS).unwrap_or(MAX_PARTITIONS - 1)
    }

    /// The days opened so far.
    pub(super) fn days(&self) -> &[Day] {
        &self.days
    }

    fn find_or_open(&mut self, day: Day, limit: usize) -> Option<usize> {
        // Rows that follow each other are mostly of the same day.
        if self.days.get(self.last) == Some(&day) {
            return Some(self.last);
        }
        let position = self.days.iter().position(|open| *open == day).or_else(|| {
            (self.days.len() < limit).then(|| {
                self.days.push(day);
                self.days.len() - 1
            })
        })?;
        self.last = position;
        Some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::super::day::DAY_MS;
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn partitions() -> Partitions {
        Partitions::new(EventWindow::new(&LakeSettings::default()))
    }

    fn day_of(event_ms: i64) -> Day {
        let mut partitions = partitions();
        let position = partitions.place(event_ms, NOW);
        partitions.days()[position]
    }

    #[test]
    fn event_times_within_the_window_have_their_own_day_and_others_the_day_of_receipt() {
        assert_eq!(day_of(NOW), Day::of_ms(NOW));
        assert_eq!(day_of(NOW - 400 * DAY_MS), Day::of_ms(NOW - 400 * DAY_MS));
        assert_eq!(day_of(NOW - 400 * DAY_MS - 1), Day::of_ms(NOW));
        assert_eq!(day_of(NOW + DAY_MS), Day::of_ms(NOW + DAY_MS));
        assert_eq!(day_of(NOW + DAY_MS + 1), Day::of_ms(NOW));
        assert_eq!(day_of(i64::MIN), Day::of_ms(NOW));
        assert_eq!(day_of(i64::MAX), Day::of_ms(NOW));
    }

    #[test]
    fn no_segment_opens_more_than_sixty_four_partitions() {
        let mut partitions = partitions();
        for days_ago in 0..300 {
            partitions.place(NOW - days_ago * DAY_MS, NOW);
        }
        assert_eq!(partitions.days().len(), 62);
        let today = partitions.place(NOW, NOW);
        assert_eq!(partitions.place(NOW - 299 * DAY_MS, NOW), today, "a late day goes to the day of receipt");
        assert_eq!(partitions.place(NOW - 61 * DAY_MS, NOW), 61, "an open one stays open");
        for days_later in 0..1_000 {
            assert!(partitions.place(i64::MIN, NOW + days_later * DAY_MS) < MAX_PARTITIONS);
        }
        assert_eq!(partitions.days().len(), MAX_PARTITIONS);
    }
}
