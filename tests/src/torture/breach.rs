//! A promise that a run found broken.

use std::fmt;

use serde::Serialize;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// What kind: of the oracle's violations `missing`, `alien`, `altered`, `not-to-be-there`, `doubled` and `bad-answer`;
    /// beside them `not-well` (not well again in time), `unsettled` (an event never got its verdict), `held` (a gauge is
    /// not back at zero), `books` (counts do not add up), `status` (an answer that nothing explains), `drain`, `lake` (files
    /// are not as their manifests say), `dropped` (consumers drop records), `vacuous` and `panicked`.
    pub kind: &'static str,
    /// What was found.
    pub what: String,
    /// The event's history, where it is about one: what was sent and answered, and where its rows are.
    pub history: Vec<String>,
}

impl Breach {
    pub(crate) fn new(kind: &'static str, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), history: Vec::new() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.what)?;
        self.history.iter().try_for_each(|line| write!(f, "\n      {line}"))
    }
}
