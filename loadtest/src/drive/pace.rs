//! How fast a throttled game server sends: cubic rate control, as TCP CUBIC (RFC 9438) and the adaptive retry mode of the
//! AWS SDKs have it, in events a second out of a token bucket.
//!
//! A refusal cuts the rate. It climbs back along a cubic curve: fast at first, hardly at all about the rate that was
//! refused, and past that ever faster, since by then more is allowed than before.

use std::time::Duration;

use tokio::time::Instant;

/// What a refusal leaves of the rate, in TCP CUBIC and in the AWS SDKs.
const BETA: f64 = 0.7;
/// The climb back takes at least as long as so many batches of the refused one's size: finding out costs a batch each time.
const CLIMB_BATCHES: f64 = 20.0;
const LEAST_CLIMB_S: f64 = 5.0;
const LONGEST_CLIMB_S: f64 = 60.0;
/// The rate is measured over about so long.
const MEASURED_OVER_S: f64 = 2.0;
/// What may leave at once after a lull, in seconds of the rate.
const BURST_S: f64 = 0.1;
/// Events a second, however often they are refused: below that a server would not find out when it may send again.
const LEAST_RATE: f64 = 1.0;

/// The pace of one game server, from the first refusal on.
pub(super) struct Pace {
    /// The rate right after the latest cut, and the one about which the climb is slow: what was refused, or less.
    low: f64,
    plateau: f64,
    cut_at: Instant,
    /// From the cut until the rate is at the plateau.
    climb_s: f64,
    /// Events that may leave; below 0 one that left is still being paid for.
    tokens: f64,
    filled_at: Instant,
    /// The rate at which events left lately, as of `measured_at`.
    measured: f64,
    measured_at: Instant,
    /// The gateway wants nothing before.
    not_before: Instant,
}

impl Pace {
    /// The pace after a batch of so many events was refused, sent at this rate.
    pub(super) fn new(rate: f64, events: usize, now: Instant) -> Self {
        let mut pace = Self {
            low: 0.0,
            plateau: 0.0,
            cut_at: now,
            climb_s: LEAST_CLIMB_S,
            tokens: -(events as f64),
            filled_at: now,
            measured: rate,
            measured_at: now,
            not_before: now,
        };
        pace.cut(rate, events, now);
        pace
    }

    /// A batch of so many events, sent at this instant, was refused. What was sent before the latest cut says nothing of
    /// the rate since.
    pub(super) fn refused(&mut self, events: usize, sent: Instant, now: Instant) {
        if sent > self.cut_at {
            self.fill(now);
            self.cut(self.rate(now).min(self.measured(now)), events, now);
        }
    }

    /// Nothing leaves before this instant.
    pub(super) fn pause_until(&mut self, instant: Instant) {
        self.not_before = self.not_before.max(instant);
    }

    /// Whether a batch may leave, of any size: it is paid for before the next one.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.tokens >= 0.0 && self.not_before <= now
    }

    /// When the next batch may leave, as far as is known.
    pub(super) fn next(&self) -> Instant {
        let paid = Duration::from_secs_f64((-self.tokens).max(0.0) / self.rate(self.filled_at));
        self.not_before.max(self.filled_at + paid)
    }

    /// A batch of so many events has left.
    pub(super) fn sent(&mut self, events: usize, now: Instant) {
        self.fill(now);
        self.tokens -= events as f64;
        self.measured = self.measured(now) + events as f64 / MEASURED_OVER_S;
        self.measured_at = now;
    }

    fn cut(&mut self, rate: f64, events: usize, now: Instant) {
        let rate = rate.max(LEAST_RATE / BETA);
        // Refused below the plateau: there is less for each than before, so it leaves room (RFC 9438, 4.7).
        self.plateau = if rate < self.plateau { rate * (1.0 + BETA) / 2.0 } else { rate };
        self.low = BETA * rate;
        self.cut_at = now;
        self.climb_s = (CLIMB_BATCHES * events as f64 / rate).clamp(LEAST_CLIMB_S, LONGEST_CLIMB_S);
    }

    /// Events a second that may leave.
    fn rate(&self, now: Instant) -> f64 {
        let from_plateau = now.saturating_duration_since(self.cut_at).as_secs_f64() / self.climb_s - 1.0;
        self.plateau + (self.plateau - self.low) * from_plateau.powi(3)
    }

    /// Events a second that left lately; most weight is on the latest.
    fn measured(&self, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.measured_at).as_secs_f64();
        self.measured * (-since / MEASURED_OVER_S).exp()
    }

    fn fill(&mut self, now: Instant) {
        let rate = self.rate(now);
        let since = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + rate * since).min(rate * BURST_S);
        self.filled_at = self.filled_at.max(now);
    }
}

#[cfg(test)]
mod tests;
