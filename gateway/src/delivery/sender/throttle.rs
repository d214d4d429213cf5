//! What a shard may be sent: a token bucket for bytes and one for records, whose rate falls by three tenths when the
//! service throttles and rises again by a twentieth of its limit a second (additive increase, multiplicative decrease).
//!
//! Kinesis takes 1 MiB and 1,000 records a second a shard. Firehose says no limit that could be read from it: there the
//! rate is unbounded until it throttles, and then begins from what was sent in the second before.

use std::time::{Duration, Instant};

/// Of a shard of Kinesis, a second.
const SHARD_BYTES: f64 = 1_048_576.0;
const SHARD_RECORDS: f64 = 1_000.0;

const DECREASE: f64 = 0.7;
const INCREASE_PER_SECOND: f64 = 0.05;
const FLOOR: f64 = 0.05;
/// A delivery stream that did not throttle for this long has no limit again.
const UNBOUNDED_AFTER: Duration = Duration::from_secs(60);
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
    // Bytes sent in the last second, decaying.
    sent: f64,
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
        Self { limit, fraction: 1.0, bytes, records, at: now, throttled_at: None, sent: 0.0 }
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
        #[allow(clippy::cast_precision_loss)]
        let bytes = bytes as f64;
        self.sent += bytes;
        if self.limit.is_some() {
            self.bytes -= bytes;
            self.records -= 1.0;
        }
    }

    /// The service throttled something that was sent at `sent_at`. What was sent before the last decrease says nothing
    /// new.
    pub(super) fn throttled(&mut self, sent_at: Instant, now: Instant) {
        self.refill(now);
        if self.throttled_at.is_some_and(|last| sent_at < last) {
            return;
        }
        self.throttled_at = Some(now);
        if self.limit.is_none() {
            let bytes = self.sent.max(LEAST_UNBOUNDED_RATE);
            self.limit = Some(Limit { bytes, records: f64::INFINITY, estimated: true });
            self.records = f64::INFINITY;
            self.fraction = 1.0;
        }
        self.fraction = (self.fraction * DECREASE).max(FLOOR);
        self.bytes = self.bytes.min(0.0);
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
        self.sent *= (-elapsed).exp();
        let Some(limit) = self.limit else { return };
        let calm = self.throttled_at.is_none_or(|last| now.saturating_duration_since(last) >= UNBOUNDED_AFTER);
        if limit.estimated && calm {
            self.limit = None;
            return;
        }
        // An estimate may be too low by far: it may rise without end.
        let ceiling = if limit.estimated { f64::INFINITY } else { 1.0 };
        self.fraction = (self.fraction + INCREASE_PER_SECOND * elapsed).min(ceiling);
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

    #[test]
    fn throttling_takes_three_tenths_once_a_round_trip_and_comes_back() {
        let start = Instant::now();
        let mut throttle = Throttle::shard(start);
        throttle.throttled(start, start);
        assert!((throttle.fraction() - 0.7).abs() < 1e-9);
        let later = start + Duration::from_millis(10);
        throttle.throttled(start - Duration::from_millis(1), later);
        assert!(throttle.fraction() < 0.71, "what was sent before the decrease does not count");
        assert!(throttle.fraction() > 0.7);
        let _ = throttle.ready_at(start + Duration::from_secs(7));
        assert!((throttle.fraction() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn it_never_falls_below_its_floor() {
        let mut now = Instant::now();
        let mut throttle = Throttle::shard(now);
        for _ in 0..100 {
            now += Duration::from_millis(1);
            throttle.throttled(now, now);
        }
        assert!(throttle.fraction() >= FLOOR);
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
        throttle.throttled(start, start);
        assert!(throttle.ready_at(start) > start);
        let calm = start + UNBOUNDED_AFTER;
        for _ in 0..4_000 {
            assert!(throttle.ready_at(calm) <= calm);
            throttle.spend(RECORD);
        }
    }
}
