//! What came of a smoke test: a case for each step, in their order.

use std::fmt;
use std::time::Duration;

use super::Problem;

/// What is asked, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The gateways are of the version and commit that were deployed.
    Version,
    /// An application and a key can be made.
    Application,
    /// The key lets in, and another one does not.
    Key,
    /// Events are acknowledged, and bad ones are rejected.
    Events,
    /// What was acknowledged is in the lake, and nothing else.
    Lake,
    /// What was acknowledged was counted.
    Metrics,
    /// The application is deleted, and its key lets nobody in any more.
    CleanUp,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Version, Self::Application, Self::Key, Self::Events, Self::Lake, Self::Metrics, Self::CleanUp];

    /// As reports have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Application => "application",
            Self::Key => "key",
            Self::Events => "events",
            Self::Lake => "lake",
            Self::Metrics => "metrics",
            Self::CleanUp => "clean-up",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a step ended.
#[derive(Debug)]
pub enum Outcome {
    /// All is as it should be.
    Passed,
    /// It is not.
    Failed(Problem),
    /// It was not tried, for this reason.
    Skipped(String),
}

/// A step that is over.
#[derive(Debug)]
pub struct Case {
    /// Which.
    pub step: Step,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// What it found, a line each.
    pub figures: Vec<String>,
}

/// The whole.
#[derive(Debug)]
pub struct Report {
    /// The gateway's address.
    pub target: String,
    /// When it began, in seconds of Unix time.
    pub began: f64,
    /// One for each step, in their order.
    pub cases: Vec<Case>,
    /// Whether a signal ended it.
    pub interrupted: bool,
}

impl Report {
    /// The step that failed first, and why.
    #[must_use]
    pub fn failure(&self) -> Option<(Step, &Problem)> {
        self.cases.iter().find_map(|case| match &case.outcome {
            Outcome::Failed(problem) => Some((case.step, problem)),
            Outcome::Passed | Outcome::Skipped(_) => None,
        })
    }

    /// How many steps passed, failed and were skipped.
    #[must_use]
    pub fn counts(&self) -> [usize; 3] {
        let count = |is: fn(&Outcome) -> bool| self.cases.iter().filter(|case| is(&case.outcome)).count();
        [
            count(|outcome| matches!(outcome, Outcome::Passed)),
            count(|outcome| matches!(outcome, Outcome::Failed(_))),
            count(|outcome| matches!(outcome, Outcome::Skipped(_))),
        ]
    }

    /// The process's exit status.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match (self.interrupted, self.failure()) {
            (true, _) => 130,
            (false, Some(_)) => 3,
            (false, None) => 0,
        }
    }
}
