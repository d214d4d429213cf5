//! One check: a name, work that ends in a verdict, and a bound on how long it may take.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Clock;

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Not tried, with the reason.
    Skip,
    /// The gateway runs with it; somebody should look.
    Warn,
    /// The gateway does not run with it, or loses what it promises.
    Fail,
}

impl Level {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skip => "skip",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) level: Level,
    /// In words.
    pub(super) says: String,
    /// What to do about it.
    pub(super) mend: Option<String>,
}

impl Verdict {
    pub(super) fn ok(says: impl Into<String>) -> Self {
        Self { level: Level::Ok, says: says.into(), mend: None }
    }

    pub(super) fn skip(says: impl Into<String>) -> Self {
        Self { level: Level::Skip, says: says.into(), mend: None }
    }

    pub(super) fn warn(says: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Warn, says: says.into(), mend: Some(mend.into()) }
    }

    pub(super) fn fail(says: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Fail, says: says.into(), mend: Some(mend.into()) }
    }
}

type Work = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// A check that has not run yet.
pub(super) struct Check {
    name: String,
    work: Work,
}

impl Check {
    pub(super) fn new(name: impl Into<String>, work: impl Future<Output = Verdict> + Send + 'static) -> Self {
        Self { name: name.into(), work: Box::pin(work) }
    }

    /// One that needed no work.
    pub(super) fn done(name: impl Into<String>, verdict: Verdict) -> Self {
        Self::new(name, std::future::ready(verdict))
    }

    /// One that may hang in the kernel: on a thread of its own, left behind when its time is over.
    pub(super) fn blocking(name: impl Into<String>, work: impl FnOnce() -> Verdict + Send + 'static) -> Self {
        Self::new(name, async {
            let done = tokio::task::spawn_blocking(work).await;
            done.unwrap_or_else(|error| {
                Verdict::fail(format!("the check broke off: {error}"), "report it: this is a bug")
            })
        })
    }

    /// Runs it for `limit` at most.
    pub(super) async fn within(self, limit: Duration, clock: Clock) -> Finding {
        let began = clock.now();
        let verdict = tokio::time::timeout(limit, self.work).await.unwrap_or_else(|_| {
            let mend =
                "what it asks does not answer: the network, a name server or the disk; --limit gives it more time";
            Verdict::fail(format!("no answer within {limit:?}"), mend)
        });
        let took = clock.now().saturating_duration_since(began);
        Finding {
            check: self.name,
            level: verdict.level,
            says: verdict.says,
            mend: verdict.mend,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// A check that has run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    /// What was checked.
    pub(super) check: String,
    /// How it went.
    pub(super) level: Level,
    /// In words.
    pub(super) says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mend: Option<String>,
    /// How long it took, milliseconds.
    pub(super) took_ms: u64,
}
