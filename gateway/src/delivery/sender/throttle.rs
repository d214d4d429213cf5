//! What a shard may be sent: a token bucket for bytes and one for records, whose rate falls while the service throttles, as
//! long as that helps (`trial`), and rises by a twentieth of its limit a second once it does not (additive increase,
//! multiplicative decrease).
//!
//! Kinesis takes 1 MiB and 1,000 records a second a shard. Firehose says no limit that could be read from it: there the
//! rate is unbounded until it throttles, and then begins from what was sent in the second before.

use std::time::{Duration, Instant};

use super::flow::Flow;
use super::trial::{Advice, Evidence, LARGEST_CUT, Trial};

/// Of a shard of Kinesis, a second.
const SHARD_BYTES: f64 = 1_048_576.0;
const SHARD_RECORDS: f64 = 1_000.0;

const INCREASE_PER_SECOND: f64 = 0.05;
const FLOOR: f64 = 0.05;
/// The rate rises when nothing was throttled for so long.
const RISES_AFTER: Duration = Duration::from_secs(1);
/// A delivery stream that did not throttle for this long has no limit again.
const UNBOUNDED_AFTER: Duration = Duration::from_secs(60);
/// What was sent is told over about this time.
const SENT_OVER: Duration = Duration::from_secs(1);
const LEAST_UNBOUNDED_RATE: f64 = 256.0 * 1_024.0;

/// One shard's rate.
#[derive(Debug)]
pub(super) struct Throttle {
    // The limit itself; `None` for a service that does not say one.
    limit: Option<Limit>,
    fraction: f64,
    bytes: f64,
    records: f64,
    at: Instant,
    throttled_at: Option<Instant>,
    trial: Trial,
    // The fraction before the cuts that are on trial.
    before_cuts: f64,
    sent: Flow,
}

#[derive(Clone, Copy, Debug)]
struct Limit {
    bytes: f64,
    records: f64,
    // Found out from throttling rather than stated.
    estimated: bool,
}

impl Throttle {
    /// Of a shard of Kinesis.
    pub(super) fn shard(now: Instant) -> Self {
        Self::new(Some(Limit { bytes: SHARD_BYTES, records: SHARD_RECORDS, estimated: false }), now)
    }

    /// Of a service without a stated limit.
    pub(super) fn unbounded(now: Instant) -> Self {
        Self::new(None, now)
    }

    fn new(limit: Option<Limit>, now: Instant) -> Self {
        let (bytes, records) = limit.map_or((0.0, 0.0), |limit| (limit.bytes, limit.records));
        Self {
            limit,
            fraction: 1.0,
            bytes,
            records,
            at: now,
            throttled_at: None,
            trial: Trial::new(now),
            before_cuts: 1.0,
            sent: Flow::new(now, SENT_OVER),
        }
    }

    /// The part of its limit that it may be sent at.
    pub(super) fn fraction(&self) -> f64 {
        self.fraction
    }

    /// When something may be sent; `now` or before: at once. What is sent may overdraw the buckets, since a record can be
    /// larger than what a slow bucket ever holds.
    pub(super) fn ready_at(&mut self, now: Instant) -> Instant {
        self.refill(now);
        let Some(limit) = self.limit else { return now };
        let wait = |tokens: f64, rate: f64| if tokens > 0.0 { 0.0 } else { (1.0 - tokens) / (rate * self.fraction) };
        now + Duration::from_secs_f64(wait(self.bytes, limit.bytes).max(wait(self.records, limit.records)).min(60.0))
    }

    /// One record goes out.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.sent.add(bytes, self.at);
        if self.limit.is_some() {
            #[allow(clippy::cast_precision_loss)]
            {
                self.bytes -= bytes as f64;
            }
            self.records -= 1.0;
        }
    }

    /// The service throttled a record that was sent at `sent_at`.
    pub(super) fn throttled(&mut self, sent_at: Instant, now: Instant, evidence: &mut Evidence) {
        self.refill(now);
        self.throttled_at = Some(now);
        if self.limit.is_some() {
            let advice = self.trial.answered(None, sent_at, now, evidence);
            self.follow(advice);
        } else {
            let bytes = self.sent.per_second(now).max(LEAST_UNBOUNDED_RATE);
            self.limit = Some(Limit { bytes, records: f64::INFINITY, estimated: true });
            self.records = f64::INFINITY;
            self.fraction = 1.0;
            self.trial = Trial::new(now);
            self.follow(Advice::Cut { part: LARGEST_CUT, first: true });
        }
    }

    /// The service stored a record of so many bytes that was sent at `sent_at`.
    pub(super) fn stored(&mut self, bytes: usize, sent_at: Instant, now: Instant, evidence: &mut Evidence) {
        if self.limit.is_some() {
            self.refill(now);
            let advice = self.trial.answered(Some(bytes), sent_at, now, evidence);
            self.follow(advice);
        }
    }

    fn follow(&mut self, advice: Advice) {
        match advice {
            Advice::Keep => {}
            Advice::Cut { part, first } => {
                if first {
                    self.before_cuts = self.fraction;
                }
                // Less than it might be sent is no less than it was sent.
                let was_sent = self.limit.map_or(1.0, |limit| self.sent.per_second(self.at) / limit.bytes);
                self.fraction = (self.fraction.min(was_sent) * part).max(FLOOR);
                self.bytes = self.bytes.min(0.0);
            }
            // It may have risen by itself meanwhile.
            Advice::TakeBack => self.fraction = self.fraction.max(self.before_cuts),
        }
    }

    /// An estimate may be too low by far: it may rise without end.
    fn ceiling(&self) -> f64 {
        if self.limit.is_some_and(|limit| limit.estimated) { f64::INFINITY } else { 1.0 }
    }

    /// Whether it was throttled within the last `window`.
    pub(super) fn was_throttled(&self, now: Instant, window: Duration) -> bool {
        self.throttled_at.is_some_and(|last| now.saturating_duration_since(last) < window)
    }

    /// Whether nothing may be sent at the moment.
    pub(super) fn is_spent(&self, now: Instant) -> bool {
        let Some(limit) = self.limit else { return false };
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64() * self.fraction;
        self.bytes + limit.bytes * elapsed <= 0.0 || self.records + limit.records * elapsed <= 0.0
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        let Some(limit) = self.limit else { return };
        let calm = self.throttled_at.is_none_or(|last| now.saturating_duration_since(last) >= UNBOUNDED_AFTER);
        if limit.estimated && calm {
            self.limit = None;
            return;
        }
        if !self.was_throttled(now, RISES_AFTER) {
            self.fraction = (self.fraction + INCREASE_PER_SECOND * elapsed).min(self.ceiling());
        }
        let fill =
            |tokens: f64, rate: f64| (tokens + rate * self.fraction * elapsed).min(rate * self.fraction.max(FLOOR));
        self.bytes = fill(self.bytes, limit.bytes);
        self.records = fill(self.records, limit.records);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any instant to count from")]
mod tests {
    use super::*;

    const RECORD: usize = 25_600;
    const ROUND_TRIP: Duration = Duration::from_millis(20);

    fn sent_in(throttle: &mut Throttle, from: Instant, seconds: u32) -> usize {
        let mut now = from;
        let mut bytes = 0;
        while now < from + Duration::from_secs(seconds.into()) {
            let ready = throttle.ready_at(now);
            if ready <= now {
                throttle.spend(RECORD);
                bytes += RECORD;
            } else {
                now = ready;
            }
        }
        bytes
    }

    #[test]
    fn a_shard_is_sent_a_mebibyte_a_second() {
        let start = Instant::now();
        let mut throttle = Throttle::shard(start);
        let first = sent_in(&mut throttle, start, 1);
        assert!(first <= 2 * (1 << 20) + 2 * RECORD, "a full bucket and a second: {first}");
        let bytes = sent_in(&mut throttle, start + Duration::from_secs(1), 10);
        assert!((bytes as f64 / 10.0 / SHARD_BYTES - 1.0).abs() < 0.03, "{bytes}");
    }

    /// Sends as much as it may for so long to a service that answers 20 ms later, by this rule; bytes stored a second.
    fn answered_in(
        (throttle, evidence): (&mut Throttle, &mut Evidence),
        now: &mut Instant,
        seconds: u32,
        mut takes: impl FnMut(Instant) -> bool,
    ) -> f64 {
        let until = *now + Duration::from_secs(seconds.into());
        let (mut stored, mut out) = (0, std::collections::VecDeque::new());
        while *now < until {
            while let Some((sent_at, taken)) = out.pop_front_if(|(sent_at, _)| *sent_at + ROUND_TRIP <= *now) {
                if taken {
                    stored += RECORD;
                    throttle.stored(RECORD, sent_at, *now, evidence);
                } else {
                    throttle.throttled(sent_at, *now, evidence);
                }
            }
            if throttle.ready_at(*now) <= *now {
                throttle.spend(RECORD);
                out.push_back((*now, takes(*now)));
            } else {
                *now += Duration::from_millis(1);
            }
        }
        stored as f64 / f64::from(seconds)
    }

    #[test]
    fn a_shard_that_takes_half_of_its_limit_is_sent_about_that() {
        let mut now = Instant::now();
        let (mut throttle, mut evidence) = (Throttle::shard(now), Evidence::new(now));
        let mut half = Throttle::shard(now);
        half.fraction = 0.5;
        half.bytes = 0.0;
        let mut sent = 0_u32;
        let mut takes = |now: Instant| {
            sent += 1;
            half.fraction = 0.5;
            let ready = half.ready_at(now) <= now;
            if ready {
                half.spend(RECORD);
            }
            ready
        };
        let _ = answered_in((&mut throttle, &mut evidence), &mut now, 3, &mut takes);
        let stored = answered_in((&mut throttle, &mut evidence), &mut now, 60, &mut takes);
        let used = stored / (SHARD_BYTES / 2.0);
        assert!(used > 0.97, "{used} of what it takes");
        let wasted = f64::from(sent) * RECORD as f64 / 63.0 / (SHARD_BYTES / 2.0) - used;
        assert!(wasted < 0.2, "{wasted} of what it takes was sent in vain");
    }

    #[test]
    fn whenever_a_shard_begins_to_take_half_it_is_sent_about_that_soon() {
        for onset in (0..20).map(|n| Duration::from_millis(1_000 + 40 * n)) {
            let mut now = Instant::now();
            let began = now;
            let (mut throttle, mut evidence) = (Throttle::shard(now), Evidence::new(now));
            let mut half = Throttle::shard(now);
            half.bytes = 0.0;
            let mut takes = |now: Instant| {
                half.fraction = if now < began + onset { 1.0 } else { 0.5 };
                let ready = half.ready_at(now) <= now;
                if ready {
                    half.spend(RECORD);
                }
                ready
            };
            let _ = answered_in((&mut throttle, &mut evidence), &mut now, 5, &mut takes);
            let fraction = throttle.fraction();
            assert!((0.4..0.7).contains(&fraction), "{onset:?}: sent at {fraction} of what it says");
            let stored = answered_in((&mut throttle, &mut evidence), &mut now, 12, &mut takes);
            assert!(stored > SHARD_BYTES / 2.0 * 0.97, "{onset:?}: {stored} bytes a second");
        }
    }

    #[test]
    fn a_shard_that_is_sent_half_of_its_limit_is_cut_from_that() {
        let mut now = Instant::now();
        let (mut throttle, mut evidence) = (Throttle::shard(now), Evidence::new(now));
        for number in 0..90 {
            now += Duration::from_millis(50);
            let _ = throttle.ready_at(now);
            throttle.spend(RECORD);
            if number < 64 || number % 2 == 0 {
                throttle.stored(RECORD, now, now, &mut evidence);
            } else {
                throttle.throttled(now, now, &mut evidence);
            }
        }
        let fraction = throttle.fraction();
        assert!((0.25..0.45).contains(&fraction), "{fraction}");
    }

    #[test]
    fn where_records_are_throttled_however_few_are_sent_it_sends_on() {
        let mut now = Instant::now();
        let (mut throttle, mut evidence) = (Throttle::shard(now), Evidence::new(now));
        let mut coin = 0x9e37_79b9_7f4a_7c15_u64;
        let mut toss = |_: Instant| {
            coin ^= coin << 13;
            coin ^= coin >> 7;
            coin ^= coin << 17;
            coin >> 63 == 0
        };
        let stored = answered_in((&mut throttle, &mut evidence), &mut now, 60, &mut toss);
        assert!(stored > SHARD_BYTES * 0.45, "{stored} bytes a second");
        // It is well again, and the rate with it.
        let stored = answered_in((&mut throttle, &mut evidence), &mut now, 10, |_| true);
        assert!(stored > SHARD_BYTES * 0.9, "{stored} bytes a second");
    }

    #[test]
    fn it_never_falls_below_its_floor() {
        let mut now = Instant::now();
        let (mut throttle, mut evidence) = (Throttle::shard(now), Evidence::new(now));
        let stored = answered_in((&mut throttle, &mut evidence), &mut now, 60, |_| false);
        assert!(stored.abs() < 1.0);
        assert!((throttle.fraction() - FLOOR).abs() < 1e-9);
        assert!(throttle.ready_at(now) < now + Duration::from_secs(1));
    }

    #[test]
    fn a_service_without_a_limit_gets_one_by_throttling_and_loses_it_again() {
        let start = Instant::now();
        let mut throttle = Throttle::unbounded(start);
        for _ in 0..400 {
            assert!(throttle.ready_at(start) <= start);
            throttle.spend(RECORD);
        }
        throttle.throttled(start, start, &mut Evidence::new(start));
        assert!(throttle.ready_at(start) > start);
        let calm = start + UNBOUNDED_AFTER;
        for _ in 0..4_000 {
            assert!(throttle.ready_at(calm) <= calm);
            throttle.spend(RECORD);
        }
    }
}
