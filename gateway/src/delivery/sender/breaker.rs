//! Stops calling a service that fails, and finds out with single calls when it is well again.
//!
//! Closed, calls go out. After some failures in a row, or one that can't pass by itself, it opens: nothing goes out but
//! one probe after a pause that grows with each that fails. A service in trouble so gets fewer calls than a well one, and
//! new batches are refused at the door instead of waiting here.

use std::time::{Duration, Instant};

use super::backoff::full_jitter;

/// So many failed calls in a row open it.
const FAILURES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Bounds how long after a service has recovered it goes unused.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug)]
enum State {
    Closed { failures: u32 },
    Open { probe_at: Instant, opened: u32, probing: bool, reason: String },
}

/// One service's breaker.
#[derive(Debug)]
pub(super) struct Breaker(State);

/// Whether calls may go out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// As many as there are.
    Free,
    /// One.
    Probe,
    /// None before this.
    Wait(Instant),
    /// None before the probe that is out is answered.
    WaitForProbe,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self(State::Closed { failures: 0 })
    }

    pub(super) fn leave(&self, now: Instant) -> Leave {
        match &self.0 {
            State::Closed { .. } => Leave::Free,
            State::Open { probing: true, .. } => Leave::WaitForProbe,
            State::Open { probe_at, .. } if *probe_at <= now => Leave::Probe,
            State::Open { probe_at, .. } => Leave::Wait(*probe_at),
        }
    }

    /// A call goes out.
    pub(super) fn called(&mut self) {
        if let State::Open { probing, .. } = &mut self.0 {
            *probing = true;
        }
    }

    /// A call was answered. Whether that closed it.
    pub(super) fn succeeded(&mut self) -> bool {
        let was_open = self.is_open();
        self.0 = State::Closed { failures: 0 };
        was_open
    }

    /// A call failed; `permanent`: trying again by itself can't help. Whether that opened it.
    pub(super) fn failed(&mut self, permanent: bool, reason: &dyn std::fmt::Display, now: Instant) -> bool {
        let pause = |opened: u32| {
            let longest = FIRST_PAUSE.saturating_mul(1 << opened.min(8)).min(LONGEST_PAUSE);
            // Half of it for sure: a probe at once would be one more failure.
            longest / 2 + full_jitter(longest / 2, 0, longest)
        };
        match &mut self.0 {
            State::Closed { failures } => {
                *failures += 1;
                if permanent || *failures >= FAILURES {
                    let probe_at = now + pause(0);
                    self.0 = State::Open { probe_at, opened: 0, probing: false, reason: reason.to_string() };
                    return true;
                }
            }
            State::Open { probe_at, opened, probing, reason: last } => {
                // The answers of calls that were out when it opened say nothing that the opening did not.
                if *probing {
                    *opened += 1;
                    *probe_at = now + pause(*opened);
                    *probing = false;
                }
                *last = reason.to_string();
            }
        }
        false
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.0, State::Open { .. })
    }

    /// Why it is open.
    pub(super) fn reason(&self) -> Option<&str> {
        match &self.0 {
            State::Open { reason, .. } => Some(reason),
            State::Closed { .. } => None,
        }
    }

    /// Why it is open and how long nothing goes out; `None` while something may.
    pub(super) fn down(&self, now: Instant) -> Option<(&str, Duration)> {
        match &self.0 {
            State::Open { probe_at, probing, reason, .. } if *probing || *probe_at > now => {
                Some((reason, probe_at.saturating_duration_since(now).max(FIRST_PAUSE)))
            }
            State::Closed { .. } | State::Open { .. } => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any instant to count from")]
mod tests {
    use super::*;

    #[test]
    fn a_few_failures_in_a_row_open_it_and_a_success_closes_it() {
        let now = Instant::now();
        let mut breaker = Breaker::new();
        for _ in 1..FAILURES {
            assert!(!breaker.failed(false, &"500", now));
        }
        assert!(!breaker.succeeded());
        for _ in 1..FAILURES {
            assert!(!breaker.failed(false, &"500", now));
        }
        assert_eq!(breaker.leave(now), Leave::Free);
        assert!(breaker.failed(false, &"500", now));
        assert!(matches!(breaker.leave(now), Leave::Wait(_)));
        assert_eq!(breaker.down(now).expect("down").0, "500");
        let later = now + LONGEST_PAUSE;
        assert_eq!(breaker.down(later), None, "someone has to be let in to try");
        assert_eq!(breaker.reason(), Some("500"), "which does not make it well");
        assert_eq!(breaker.leave(later), Leave::Probe);
        breaker.called();
        assert_eq!(breaker.leave(later), Leave::WaitForProbe);
        assert!(breaker.succeeded());
        assert_eq!(breaker.leave(later), Leave::Free);
    }

    #[test]
    fn what_cannot_pass_opens_it_at_once() {
        let now = Instant::now();
        let mut breaker = Breaker::new();
        assert!(breaker.failed(true, &"no such stream", now));
    }

    #[test]
    fn probes_come_ever_more_rarely_and_at_least_every_two_seconds() {
        let mut now = Instant::now();
        let mut breaker = Breaker::new();
        breaker.failed(true, &"down", now);
        let mut pauses = Vec::new();
        for _ in 0..20 {
            let Leave::Wait(until) = breaker.leave(now) else { panic!("it waits") };
            pauses.push(until - now);
            now = until;
            breaker.called();
            breaker.failed(false, &"down", now);
        }
        assert!(pauses[0] <= FIRST_PAUSE);
        assert!(pauses[10..].iter().all(|pause| *pause >= LONGEST_PAUSE / 2 && *pause <= LONGEST_PAUSE));
    }
}
