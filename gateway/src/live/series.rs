//! Verdicts by second and by minute, in a fixed number of steps.

use super::hour::{MINUTES, ring_slot};
use super::view::{Series, Verdicts};

/// How many seconds are shown.
pub(super) const SECONDS: usize = 300;

/// The rings of an application; about 9 KB.
pub(super) struct Curves {
    newest_second: i64,
    seconds: [Counts; SECONDS + 1],
    newest_minute: i64,
    minutes: [Counts; MINUTES + 1],
    last_event_at_ms: Option<i64>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    accepted: u32,
    rejected: u32,
    retry: u32,
    unknown: u32,
    duplicates: u32,
    warned: u32,
    suppressed: u32,
}

impl Curves {
    pub(super) fn new() -> Self {
        Self {
            newest_second: 0,
            seconds: [Counts::default(); SECONDS + 1],
            newest_minute: 0,
            minutes: [Counts::default(); MINUTES + 1],
            last_event_at_ms: None,
        }
    }

    /// A batch was settled.
    pub(super) fn add(&mut self, wall_ms: i64, verdicts: &Verdicts) {
        let second = wall_ms.div_euclid(1_000);
        if let Some(slot) = ring_slot(&mut self.newest_second, second, &mut self.seconds) {
            self.seconds[slot].add(verdicts);
        }
        if let Some(slot) = ring_slot(&mut self.newest_minute, second.div_euclid(60), &mut self.minutes) {
            self.minutes[slot].add(verdicts);
        }
        self.last_event_at_ms = self.last_event_at_ms.max(Some(wall_ms));
    }

    pub(super) fn last_event_at_ms(&self) -> Option<i64> {
        self.last_event_at_ms
    }

    /// Adds the steps before the running one to `series`, whose length says how many are wanted.
    pub(super) fn show(&mut self, series: &mut Series) {
        let step = i64::from(series.step_s.max(1));
        let running = series.from_s.div_euclid(step) + i64::try_from(series.steps.len()).unwrap_or(0);
        let (newest, ring) = if series.step_s == 1 {
            (&mut self.newest_second, &mut self.seconds[..])
        } else {
            (&mut self.newest_minute, &mut self.minutes[..])
        };
        // Brings the ring up to now.
        let _ = ring_slot(newest, running, ring);
        for (shown, at) in series.steps.iter_mut().zip(series.from_s.div_euclid(step)..) {
            if let Some(slot) = ring_slot(newest, at, ring) {
                ring[slot].show(shown);
            }
        }
    }

    /// Adds everything of the last hour, the running minute included.
    pub(super) fn show_hour(&mut self, minute: i64, shown: &mut Verdicts) {
        let _ = ring_slot(&mut self.newest_minute, minute, &mut self.minutes);
        self.minutes.iter().for_each(|counts| counts.show(shown));
    }
}

impl Counts {
    fn add(&mut self, verdicts: &Verdicts) {
        let add = |count: &mut u32, more: u64| *count = count.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        add(&mut self.accepted, verdicts.accepted);
        add(&mut self.rejected, verdicts.rejected);
        add(&mut self.retry, verdicts.retry);
        add(&mut self.unknown, verdicts.unknown);
        add(&mut self.duplicates, verdicts.duplicates);
        add(&mut self.warned, verdicts.warned);
        add(&mut self.suppressed, verdicts.suppressed);
    }

    fn show(&self, shown: &mut Verdicts) {
        shown.accepted += u64::from(self.accepted);
        shown.rejected += u64::from(self.rejected);
        shown.retry += u64::from(self.retry);
        shown.unknown += u64::from(self.unknown);
        shown.duplicates += u64::from(self.duplicates);
        shown.warned += u64::from(self.warned);
        shown.suppressed += u64::from(self.suppressed);
    }
}

/// An empty curve that ends with the step before the running one.
pub(super) fn empty(wall_ms: i64, step_s: u32, steps: usize) -> Series {
    let step = i64::from(step_s);
    let running = wall_ms.div_euclid(1_000).div_euclid(step);
    let from_s = (running - i64::try_from(steps).unwrap_or(0)) * step;
    Series { from_s, step_s, steps: vec![Verdicts::default(); steps] }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_790_000_000_000;

    fn accepted(count: u64) -> Verdicts {
        Verdicts { accepted: count, ..Verdicts::default() }
    }

    #[test]
    fn a_curve_shows_each_step_but_the_running_one() {
        let mut curves = Curves::new();
        curves.add(NOW_MS - 300_000, &accepted(1));
        curves.add(NOW_MS - 1_000, &accepted(2));
        curves.add(NOW_MS - 1, &accepted(4));
        curves.add(NOW_MS, &accepted(8));
        let mut series = empty(NOW_MS, 1, SECONDS);
        curves.show(&mut series);
        assert_eq!((series.from_s, series.steps.len()), (NOW_MS / 1_000 - 300, 300));
        assert_eq!((series.steps[0].accepted, series.steps[299].accepted), (1, 6));
        assert_eq!(series.steps.iter().map(|step| step.accepted).sum::<u64>(), 7);
        let mut later = empty(NOW_MS + 100_000, 1, SECONDS);
        curves.show(&mut later);
        assert_eq!(later.steps.iter().map(|step| step.accepted).sum::<u64>(), 14, "the first has left");
    }

    #[test]
    fn minutes_reach_back_an_hour() {
        let mut curves = Curves::new();
        for minute in 0..90 {
            curves.add(NOW_MS - minute * 60_000, &accepted(1));
        }
        let mut series = empty(NOW_MS, 60, MINUTES);
        curves.show(&mut series);
        assert!(series.steps.iter().all(|step| step.accepted == 1), "{series:?}");
        let mut hour = Verdicts::default();
        curves.show_hour(NOW_MS / 60_000, &mut hour);
        assert_eq!(hour.accepted, 61);
        assert_eq!(curves.last_event_at_ms(), Some(NOW_MS));
    }
}
