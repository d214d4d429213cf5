//! A token bucket whose rate and depth can be changed while it is in use: what is in it stays in it.
//!
//! It may go into debt: a large amount passes once the bucket holds `enough`, and is paid back before anything else
//! passes, so that the long run's rate holds whatever the sizes.

use std::time::{Duration, Instant};

/// What rounding may have taken from a bucket that holds just enough.
const TOLERANCE: f64 = 1e-12;
/// Nobody is told to wait longer: by then the rate is another one.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Tokens, as `f64`: a bucket of 2^40 still counts in 1/8,000 of a token, and one of a share less than 1 works.
#[derive(Debug)]
pub(super) struct Bucket {
    level: f64,
    per_second: f64,
    depth: f64,
    enough: f64,
    filled_at: Instant,
}

/// How a bucket fills.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    /// Tokens a second.
    pub(super) per_second: f64,
    /// Tokens at most.
    pub(super) depth: f64,
    /// With so many any amount can be taken.
    pub(super) enough: f64,
}

impl Bucket {
    /// A full one.
    pub(super) fn full(flow: Flow, now: Instant) -> Self {
        let Flow { per_second, depth, enough } = flow;
        Self { level: depth, per_second, depth, enough, filled_at: now }
    }

    /// Adds what has flowed in by `now`. A time before the last one adds nothing.
    pub(super) fn fill(&mut self, now: Instant) {
        if let Some(passed) = now.checked_duration_since(self.filled_at) {
            self.level = (self.level + self.per_second * passed.as_secs_f64()).min(self.depth);
            self.filled_at = now;
        }
    }

    /// How long until so many can be taken; `None`: they can be taken now.
    pub(super) fn wait(&self, tokens: f64) -> Option<Duration> {
        let needed = tokens.min(self.enough);
        if self.level >= needed * (1.0 - TOLERANCE) {
            return None;
        }
        let wait = Duration::try_from_secs_f64((needed - self.level) / self.per_second).unwrap_or(LONGEST_WAIT);
        // Rounded up: whoever comes back then must not be a nanosecond early.
        let wait = wait.saturating_add(Duration::from_nanos(1));
        Some(wait.clamp(SHORTEST_WAIT, LONGEST_WAIT))
    }

    /// Takes so many, whether they are there or not.
    pub(super) fn take(&mut self, tokens: f64) {
        self.level -= tokens;
    }

    /// Goes on with another flow, with what it holds and `added`, as far as there is room.
    pub(super) fn change(&mut self, flow: Flow, added: f64, now: Instant) {
        self.fill(now);
        (self.per_second, self.depth, self.enough) = (flow.per_second, flow.depth, flow.enough);
        self.level = (self.level + added).min(self.depth);
    }
}
