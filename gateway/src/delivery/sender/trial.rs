//! Whether sending less helps. A shard that throttles takes no more than its limit, so a lower rate costs nothing of what is
//! stored. Where records are throttled however few are sent, each cut costs as much of it as was cut, and is taken back.

use std::time::{Duration, Instant};

/// Answers are counted over at least this long.
const LEAST: Duration = Duration::from_millis(500);
/// ... and over at least so many.
const LEAST_RECORDS: u32 = 16;
/// With a smaller part of records throttled than this, nothing is to be done.
const TOLERATED: f64 = 0.05;
/// Cuts are taken back if they leave less than this part of what was stored before them. Of one by three tenths that helps
/// nothing seven tenths are left, of two half.
const KEPT: f64 = 0.85;
/// How long nothing is tried after a cut that was taken back.
const REST: Duration = Duration::from_secs(10);

/// What the rate should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advice {
    /// Go on.
    Keep,
    /// Less.
    Cut,
    /// So many cuts were of no use.
    TakeBack(i32),
}

/// The answers of one shard over a while.
#[derive(Debug)]
pub(super) struct Trial {
    /// What was sent before says nothing.
    since: Instant,
    /// When the first of the answers came that are counted here.
    began: Option<Instant>,
    records: u32,
    throttled: u32,
    stored: f64,
    /// Bytes a second that were stored before the first of the latest cuts, and how many there were: few answers say
    /// little, and one that was misjudged shows with the next.
    cuts: Option<(f64, i32)>,
    rests_until: Instant,
}

impl Trial {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, began: None, records: 0, throttled: 0, stored: 0.0, cuts: None, rests_until: now }
    }

    /// A record that was sent at `sent_at` was stored with its bytes, or throttled.
    pub(super) fn answered(&mut self, stored: Option<usize>, sent_at: Instant, now: Instant) -> Advice {
        if sent_at < self.since {
            return Advice::Keep;
        }
        self.records += 1;
        #[allow(clippy::cast_precision_loss)]
        match stored {
            Some(bytes) => self.stored += bytes as f64,
            None => self.throttled += 1,
        }
        let elapsed = now.saturating_duration_since(*self.began.get_or_insert(now));
        if elapsed < LEAST || self.records < LEAST_RECORDS {
            return Advice::Keep;
        }
        let rate = self.stored / elapsed.as_secs_f64();
        let throttled = f64::from(self.throttled) / f64::from(self.records);
        let advice = self.judge(rate, throttled, now);
        (self.since, self.began, self.records, self.throttled, self.stored) = (now, None, 0, 0, 0.0);
        advice
    }

    fn judge(&mut self, rate: f64, throttled: f64, now: Instant) -> Advice {
        let cuts = self.cuts.take();
        if throttled < TOLERATED {
            return Advice::Keep;
        }
        if let Some((_, count)) = cuts.filter(|(before, _)| rate < KEPT * before) {
            self.rests_until = now + REST;
            return Advice::TakeBack(count);
        }
        if now < self.rests_until {
            return Advice::Keep;
        }
        let (before, count) = cuts.unwrap_or((rate, 0));
        self.cuts = Some((before, count + 1));
        Advice::Cut
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any instant to count from")]
mod tests {
    use super::*;

    /// One record of 25 kB every `every`, of which each `nth` is stored, for so long; the advices that were given.
    fn over(trial: &mut Trial, now: &mut Instant, time: Duration, every: Duration, nth: u32) -> Vec<Advice> {
        let until = *now + time;
        let mut advices = Vec::new();
        let mut number = 0;
        while *now < until {
            *now += every;
            number += 1;
            let stored = (number % nth == 0).then_some(25_000);
            advices.push(trial.answered(stored, *now, *now));
        }
        advices.retain(|advice| *advice != Advice::Keep);
        advices
    }

    #[test]
    fn a_cut_that_costs_nothing_stays_and_is_followed_by_another_while_records_are_throttled() {
        let mut now = Instant::now();
        let mut trial = Trial::new(now);
        let (second, period) = (Duration::from_secs(1), Duration::from_millis(10));
        // The same is stored each time: half of what is sent, two of three, everything.
        assert_eq!(over(&mut trial, &mut now, second * 51 / 100, period, 2), [Advice::Cut]);
        assert_eq!(over(&mut trial, &mut now, second * 51 / 100, period, 2), [Advice::Cut]);
        assert_eq!(over(&mut trial, &mut now, second * 3, period * 2, 1), []);
    }

    #[test]
    fn a_cut_that_costs_as_much_as_it_cuts_is_taken_back_and_not_tried_again_soon() {
        let mut now = Instant::now();
        let mut trial = Trial::new(now);
        let (second, period) = (Duration::from_secs(1), Duration::from_millis(10));
        assert_eq!(over(&mut trial, &mut now, second * 11 / 20, period, 2), [Advice::Cut]);
        assert_eq!(over(&mut trial, &mut now, second * 11 / 20, period * 10 / 7, 2), [Advice::TakeBack(1)]);
        assert_eq!(over(&mut trial, &mut now, second * 9, period, 2), []);
        assert_eq!(over(&mut trial, &mut now, second * 2, period, 2)[0], Advice::Cut);
    }

    #[test]
    fn a_cut_that_was_misjudged_is_taken_back_with_the_next() {
        let mut now = Instant::now();
        let mut trial = Trial::new(now);
        let (second, period) = (Duration::from_secs(1), Duration::from_millis(10));
        assert_eq!(over(&mut trial, &mut now, second * 11 / 20, period, 2), [Advice::Cut]);
        assert_eq!(over(&mut trial, &mut now, second * 11 / 20, period, 2), [Advice::Cut]);
        assert_eq!(over(&mut trial, &mut now, second * 11 / 20, period * 2, 2), [Advice::TakeBack(2)]);
    }

    #[test]
    fn what_was_sent_before_and_a_few_throttled_records_say_nothing() {
        let mut now = Instant::now();
        let mut trial = Trial::new(now);
        let long_ago = now.checked_sub(Duration::from_secs(1)).expect("the machine runs for longer");
        for _ in 0..1_000 {
            now += Duration::from_millis(5);
            assert_eq!(trial.answered(None, long_ago, now), Advice::Keep);
        }
        for number in 0..10_000 {
            now += Duration::from_millis(5);
            let stored = (number % 40 != 0).then_some(1_000);
            assert_eq!(trial.answered(stored, now, now), Advice::Keep);
        }
    }
}
