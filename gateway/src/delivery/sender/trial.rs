//! Whether sending less helps, and how much less. A shard that throttles takes no more than its limit, so a lower rate costs
//! nothing of what is stored as long as it is no lower than that: the rate falls by the part that was throttled, with a bound.
//! Where records are throttled however few are sent, each cut costs as much of it as was cut, and is taken back.
//!
//! Each shard is cut by what it throttled itself. Whether cuts help is judged by all shards on trial together: of one shard
//! that takes a few large records a second, it would take long to tell.

use std::time::{Duration, Instant};

/// Answers are counted over at least this long.
const LEAST: Duration = Duration::from_millis(500);
/// ... and over at least so many.
const LEAST_RECORDS: u32 = 16;
/// With a smaller part of records throttled than this, nothing is to be done.
const TOLERATED: f64 = 0.05;
/// A rate is cut to this part of what it was, or less far: few answers may be all of a kind.
pub(super) const LARGEST_CUT: f64 = 0.7;
/// Cuts are taken back if they leave less than this part of what was stored before them. Of the largest one that helps
/// nothing seven tenths are left, of two half.
const KEPT: f64 = 0.85;
/// That is judged by at least so many records.
const ENOUGH: u32 = 32;
/// How long nothing is tried after cuts that were taken back.
const REST: Duration = Duration::from_secs(10);
/// How old what is compared may be: longer than the slowest shard takes for its answers, shorter than demand stays the same.
const STALE: Duration = Duration::from_secs(60);

/// What the rate should do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Advice {
    /// Go on.
    Keep,
    /// This part of what was sent; the first cut, or one that follows another which helped.
    Cut { part: f64, first: bool },
    /// What it was before the first cut: they were of no use.
    TakeBack,
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
    /// They are counted from a throttled one on. What came before one was stored at the rate of another time: a cut would
    /// be blamed for the difference.
    from_throttled: bool,
    /// While cuts are on trial.
    cuts: Option<Cuts>,
}

#[derive(Clone, Copy, Debug)]
struct Cuts {
    /// When the last of them was.
    at: Instant,
    /// Bytes a second that were stored before the first of them.
    before: f64,
    /// How often cuts had been of no use by then.
    refuted: u32,
}

/// What the shards on trial say together.
#[derive(Debug)]
pub(super) struct Evidence {
    records: u32,
    /// Bytes that would have been stored without cuts.
    expected: f64,
    stored: f64,
    at: Instant,
    /// When there was last nothing to send: until then no shard's rate was what bounded what is stored.
    idle_at: Instant,
    /// When the service was last out of reach: no answers of before are compared with those that come after.
    away_at: Instant,
    /// How often cuts were of no use.
    refuted: u32,
    rests_until: Instant,
}

impl Evidence {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            records: 0,
            expected: 0.0,
            stored: 0.0,
            at: now,
            idle_at: now,
            away_at: now,
            refuted: 0,
            rests_until: now,
        }
    }

    /// There is nothing to send.
    pub(super) fn idle(&mut self, now: Instant) {
        self.idle_at = now;
    }

    /// The service was out of reach until now.
    pub(super) fn back(&mut self, now: Instant) {
        self.away_at = now;
        self.forget();
    }

    fn add(&mut self, records: u32, expected: f64, stored: f64, now: Instant) {
        if now.saturating_duration_since(self.at) > STALE {
            self.forget();
        }
        self.at = now;
        self.records += records;
        self.expected += expected;
        self.stored += stored;
        if self.records < ENOUGH {
            return;
        }
        if self.stored < KEPT * self.expected {
            self.refuted += 1;
            self.rests_until = now + REST;
        }
        self.forget();
    }

    fn forget(&mut self) {
        (self.records, self.expected, self.stored) = (0, 0.0, 0.0);
    }
}

impl Trial {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, began: None, records: 0, throttled: 0, stored: 0.0, from_throttled: false, cuts: None }
    }

    /// Counts anew what is sent from `now` on.
    fn begin_anew(&mut self, now: Instant) {
        (self.since, self.began, self.records, self.throttled, self.stored) = (now, None, 0, 0, 0.0);
        self.from_throttled = false;
    }

    /// A record that was sent at `sent_at` was stored with its bytes, or throttled.
    pub(super) fn answered(
        &mut self,
        stored: Option<usize>,
        sent_at: Instant,
        now: Instant,
        evidence: &mut Evidence,
    ) -> Advice {
        if self.cuts.is_some_and(|cuts| cuts.refuted != evidence.refuted) {
            self.cuts = None;
            self.begin_anew(now);
            return Advice::TakeBack;
        }
        if self.cuts.is_some_and(|cuts| now.saturating_duration_since(cuts.at) > STALE) {
            self.cuts = None;
            self.begin_anew(now);
        }
        let counts_from = if self.cuts.is_some() { evidence.idle_at.max(evidence.away_at) } else { evidence.away_at };
        if self.since < counts_from {
            self.begin_anew(counts_from);
        }
        if sent_at < self.since {
            return Advice::Keep;
        }
        if stored.is_none() && !self.from_throttled && self.cuts.is_none() {
            (self.began, self.records, self.throttled, self.stored) = (Some(now), 0, 0, 0.0);
            self.from_throttled = true;
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
        let advice = self.judge(elapsed.as_secs_f64(), now, evidence);
        self.begin_anew(now);
        advice
    }

    fn judge(&mut self, seconds: f64, now: Instant, evidence: &mut Evidence) -> Advice {
        let throttled = f64::from(self.throttled) / f64::from(self.records);
        let cuts = self.cuts.take();
        if let Some(cuts) = cuts {
            // Cuts that end it are of use, whatever was stored before.
            let expected = if throttled < TOLERATED { self.stored } else { cuts.before * seconds };
            evidence.add(self.records, expected, self.stored, now);
        }
        if throttled < TOLERATED {
            return Advice::Keep;
        }
        if cuts.is_some_and(|cuts| cuts.refuted != evidence.refuted) {
            return Advice::TakeBack;
        }
        if now < evidence.rests_until {
            return Advice::Keep;
        }
        let first = Cuts { at: now, before: self.stored / seconds, refuted: evidence.refuted };
        self.cuts = Some(Cuts { at: now, ..cuts.unwrap_or(first) });
        Advice::Cut { part: (1.0 - throttled).max(LARGEST_CUT), first: cuts.is_none() }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any instant to count from")]
mod tests {
    use super::*;

    const FIRST: Advice = Advice::Cut { part: LARGEST_CUT, first: true };
    const ANOTHER: Advice = Advice::Cut { part: LARGEST_CUT, first: false };

    /// One record of 25 kB every `every`, of which each `nth` is stored, for so long; the advices that were given.
    fn over(
        (trial, evidence): &mut (Trial, Evidence),
        now: &mut Instant,
        time: Duration,
        every: Duration,
        nth: u32,
    ) -> Vec<Advice> {
        let until = *now + time;
        let mut advices = Vec::new();
        let mut number = 0;
        while *now < until {
            *now += every;
            number += 1;
            let stored = (number % nth == 0).then_some(25_000);
            advices.push(trial.answered(stored, *now, *now, evidence));
        }
        advices.retain(|advice| *advice != Advice::Keep);
        advices
    }

    #[test]
    fn a_cut_that_costs_nothing_stays_and_is_followed_by_another_while_records_are_throttled() {
        let mut now = Instant::now();
        let mut trial = (Trial::new(now), Evidence::new(now));
        let (second, period) = (Duration::from_secs(1), Duration::from_millis(10));
        // The same is stored each time: half of what is sent, two of three, everything.
        assert_eq!(over(&mut trial, &mut now, second * 51 / 100, period, 2), [FIRST]);
        assert_eq!(over(&mut trial, &mut now, second * 51 / 100, period, 2), [ANOTHER]);
        assert_eq!(over(&mut trial, &mut now, second * 3, period * 2, 1), []);
    }

    #[test]
    fn a_cut_that_costs_as_much_as_it_cuts_is_taken_back_and_not_tried_again_soon() {
        let mut now = Instant::now();
        let mut trial = (Trial::new(now), Evidence::new(now));
        let (second, period) = (Duration::from_secs(1), Duration::from_millis(10));
        assert_eq!(over(&mut trial, &mut now, second * 11 / 20, period, 2), [FIRST]);
        assert_eq!(over(&mut trial, &mut now, second * 11 / 20, period * 10 / 7, 2), [Advice::TakeBack]);
        assert_eq!(over(&mut trial, &mut now, second * 9, period, 2), []);
        assert_eq!(over(&mut trial, &mut now, second * 2, period, 2)[0], FIRST);
    }

    #[test]
    fn a_rate_falls_by_the_part_that_was_throttled() {
        let mut now = Instant::now();
        let (mut trial, mut evidence) = (Trial::new(now), Evidence::new(now));
        let mut advice = Advice::Keep;
        for number in 0..52 {
            now += Duration::from_millis(10);
            advice = trial.answered((number % 10 != 0).then_some(25_000), now, now, &mut evidence);
            if advice != Advice::Keep {
                break;
            }
        }
        let Advice::Cut { part, first: true } = advice else { panic!("{advice:?}") };
        assert!((part - 0.9).abs() < 0.02, "{part}");
    }

    #[test]
    fn a_cut_that_was_misjudged_is_taken_back_once_there_are_answers_enough() {
        let mut now = Instant::now();
        let mut trial = (Trial::new(now), Evidence::new(now));
        let (second, period) = (Duration::from_secs(1), Duration::from_millis(10));
        assert_eq!(over(&mut trial, &mut now, second * 11 / 20, period, 2), [FIRST]);
        assert_eq!(over(&mut trial, &mut now, second * 11 / 20, period, 2), [ANOTHER]);
        assert_eq!(over(&mut trial, &mut now, second * 11 / 10, period * 2, 2), [ANOTHER, Advice::TakeBack]);
    }

    #[test]
    fn shards_that_take_few_records_are_judged_together() {
        let mut now = Instant::now();
        let mut evidence = Evidence::new(now);
        let mut trials: Vec<Trial> = (0..4).map(|_| Trial::new(now)).collect();
        // Nine records a second each, of which every second one is stored; after the cuts seven tenths of that.
        let (mut cuts, mut taken_back) = (0, 0);
        for number in 0..60_u32 {
            now += Duration::from_millis(if cuts < 4 { 110 } else { 157 });
            for trial in &mut trials {
                match trial.answered((number % 2 == 0).then_some(42_000), now, now, &mut evidence) {
                    Advice::Keep => {}
                    Advice::Cut { .. } => cuts += 1,
                    Advice::TakeBack => taken_back += 1,
                }
            }
            if taken_back == 4 {
                break;
            }
        }
        // The second shard's answers are enough: the third and the fourth have their rates back in the same round, the first
        // in the next.
        assert_eq!((cuts, taken_back), (5, 4));
    }

    #[test]
    fn cuts_are_not_blamed_for_a_lack_of_records() {
        let mut now = Instant::now();
        let mut trial = (Trial::new(now), Evidence::new(now));
        let (second, period) = (Duration::from_secs(1), Duration::from_millis(10));
        assert_eq!(over(&mut trial, &mut now, second * 11 / 20, period, 2), [FIRST]);
        for _ in 0..5 {
            assert_eq!(over(&mut trial, &mut now, second * 2 / 5, period * 2, 2), []);
            trial.1.idle(now);
        }
        assert_eq!(over(&mut trial, &mut now, second * 11 / 20, period, 2), [ANOTHER]);
    }

    #[test]
    fn what_was_stored_before_an_outage_or_long_ago_is_compared_with_nothing() {
        let (second, period) = (Duration::from_secs(1), Duration::from_millis(10));
        for outage in [true, false] {
            let mut now = Instant::now();
            let mut trial = (Trial::new(now), Evidence::new(now));
            assert_eq!(over(&mut trial, &mut now, second * 11 / 20, period, 2), [FIRST]);
            if outage {
                now += second * 5;
                trial.1.back(now);
                assert_eq!(over(&mut trial, &mut now, second * 11 / 20, period, 2), [ANOTHER]);
            } else {
                now += second * 61;
                assert_eq!(over(&mut trial, &mut now, second * 11 / 20, period * 2, 2), [FIRST]);
            }
        }
    }

    #[test]
    fn what_was_sent_before_and_a_few_throttled_records_say_nothing() {
        let mut now = Instant::now();
        let (mut trial, mut evidence) = (Trial::new(now), Evidence::new(now));
        let long_ago = now.checked_sub(Duration::from_secs(1)).expect("the machine runs for longer");
        for _ in 0..1_000 {
            now += Duration::from_millis(5);
            assert_eq!(trial.answered(None, long_ago, now, &mut evidence), Advice::Keep);
        }
        for number in 0..10_000 {
            now += Duration::from_millis(5);
            let stored = (number % 40 != 0).then_some(1_000);
            assert_eq!(trial.answered(stored, now, now, &mut evidence), Advice::Keep);
        }
    }
}
