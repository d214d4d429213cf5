//! Counts of the last hour, by minute.

/// How many minutes are shown.
pub(super) const MINUTES: usize = 60;

/// A count that forgets what is older than an hour.
#[derive(Clone, Debug)]
pub(super) struct LastHour {
    newest: i64,
    // By minute modulo its length: the running one and those shown.
    minutes: [u32; MINUTES + 1],
}

impl LastHour {
    pub(super) fn new(minute: i64) -> Self {
        Self { newest: minute, minutes: [0; MINUTES + 1] }
    }

    pub(super) fn add(&mut self, minute: i64, count: u32) {
        if let Some(slot) = self.slot(minute) {
            self.minutes[slot] = self.minutes[slot].saturating_add(count);
        }
    }

    /// Everything since the beginning of the minute an hour ago.
    pub(super) fn sum(&mut self, minute: i64) -> u64 {
        let _ = self.slot(minute);
        self.minutes.iter().map(|count| u64::from(*count)).sum()
    }

    /// A minute's place, with everything forgotten that is too old beside it. `None`: it is too old itself.
    fn slot(&mut self, minute: i64) -> Option<usize> {
        ring_slot(&mut self.newest, minute, &mut self.minutes)
    }
}

/// A step's place in a ring of steps of which `newest` is known, with the steps in between emptied. `None`: the step is
/// older than the ring. A clock that was set back by more than the ring's length starts it afresh.
pub(super) fn ring_slot<T: Default>(newest: &mut i64, step: i64, ring: &mut [T]) -> Option<usize> {
    let len = i64::try_from(ring.len()).unwrap_or(i64::MAX);
    let place = |step: i64| usize::try_from(step.rem_euclid(len)).unwrap_or(0);
    if step > *newest || step < newest.saturating_sub(2 * len) {
        let emptied = if step > *newest { step.saturating_sub(*newest).min(len) } else { len };
        for passed in 0..emptied {
            ring[place(step - passed)] = T::default();
        }
        *newest = step;
    }
    (step > newest.saturating_sub(len)).then(|| place(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_an_hour_is_forgotten() {
        let mut hour = LastHour::new(1_000);
        hour.add(1_000, 5);
        hour.add(1_001, 7);
        assert_eq!(hour.sum(1_060), 12);
        assert_eq!(hour.sum(1_061), 7);
        hour.add(1_000, 9);
        assert_eq!(hour.sum(1_061), 7, "too late to count");
        assert_eq!(hour.sum(9_000), 0);
        hour.add(9_000, 1);
        assert_eq!(hour.sum(9_030), 1);
    }

    #[test]
    fn a_clock_that_is_set_back_by_days_does_not_stop_the_count() {
        let mut hour = LastHour::new(100_000);
        hour.add(100_000, 5);
        hour.add(99_990, 1);
        assert_eq!(hour.sum(100_000), 6, "a few minutes are still within the hour");
        hour.add(50_000, 2);
        assert_eq!(hour.sum(50_001), 2);
    }
}
