//! What became of batches, one by one: quantiles are exact.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How a batch was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With a verdict.
    Verdict {
        /// Events accepted.
        accepted: u32,
        /// Events of another verdict.
        others: u32,
    },
    /// It was refused.
    Refused {
        /// Whether the refusal says when to try again.
        hint: bool,
    },
}

/// A batch and its answer.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When it was to leave.
    pub due: Instant,
    /// When its answer was there.
    pub answered: Instant,
    /// The answer.
    pub answer: Answer,
}

impl Sample {
    /// From when it was to leave to its answer.
    #[must_use]
    pub fn latency(&self) -> Duration {
        self.answered.saturating_duration_since(self.due)
    }

    /// Whether it was refused.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.answer, Answer::Refused { .. })
    }

    /// Events of it that were accepted.
    #[must_use]
    pub fn accepted(&self) -> u32 {
        match self.answer {
            Answer::Verdict { accepted, .. } => accepted,
            Answer::Refused { .. } => 0,
        }
    }
}

/// What a fleet has seen.
#[derive(Debug, Default)]
pub struct Samples(Mutex<Vec<Sample>>);

impl Samples {
    pub(super) fn push(&self, sample: Sample) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
    }

    /// Everything so far.
    #[must_use]
    pub fn all(&self) -> Vec<Sample> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Events accepted a second, by when their answers came.
    #[must_use]
    pub fn goodput(&self, from: Instant, to: Instant) -> f64 {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let within = samples.iter().filter(|sample| (from..to).contains(&sample.answered));
        let events: u64 = within.map(|sample| u64::from(sample.accepted())).sum();
        events as f64 / (to - from).as_secs_f64()
    }
}

/// The smallest of these latencies that `share` of them do not exceed; zero where there are none.
#[must_use]
pub fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_definition() {
        let sorted: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(quantile(&sorted, 0.99), Duration::from_millis(198));
        assert_eq!(quantile(&sorted, 1.0), Duration::from_millis(200));
        assert_eq!(quantile(&sorted, 0.0), Duration::from_millis(1));
        assert_eq!(quantile(&[], 0.99), Duration::ZERO);
    }

    #[test]
    fn goodput_counts_what_was_accepted_by_the_time_of_its_answer() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let samples = Samples::default();
        let accepted = Answer::Verdict { accepted: 10, others: 2 };
        samples.push(Sample { due: start, answered: at(500), answer: accepted });
        samples.push(Sample { due: start, answered: at(2_500), answer: accepted });
        samples.push(Sample { due: start, answered: at(600), answer: Answer::Refused { hint: true } });
        assert_eq!(samples.goodput(start, at(2_000)), 5.0);
    }
}
