//! Whether the metrics count what was acknowledged.

#[cfg(feature = "aws")]
mod cloudwatch;
mod scrape;

use std::fmt;
use std::time::Duration;

use http::Uri;
use tokio::time::{Instant, sleep};

use super::Problem;
use super::course::Notes;
use crate::words;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Looks in a row that may fail.
const FAILURES: u32 = 3;

/// Who counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counter {
    /// CloudWatch, in the namespace that the metrics function publishes to.
    CloudWatch(String),
    /// A gateway's operators' listener, by the address of its `/metrics`. It counts what this one gateway has taken.
    Gateway(Uri),
}

impl Counter {
    /// Reads `http://HOST:PORT/metrics`; none if it can't be one.
    #[must_use]
    pub fn gateway(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let is_one = uri.scheme_str() == Some("http") && uri.authority().is_some() && uri.path() != "/";
        is_one.then_some(Self::Gateway(uri))
    }
}

/// `TotalEvents` and `TotalLogins` of an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) events: u64,
    pub(super) logins: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} events, {} logins", words::count(self.events), words::count(self.logins))
    }
}

/// What is to be counted, and until when it is waited for.
pub(super) struct Tally<'a> {
    pub(super) application_id: &'a str,
    pub(super) sent: Counts,
    /// Events that may have been counted twice: metrics tell events apart only within a shard and a minute.
    pub(super) twice: u64,
    /// Unix time.
    #[cfg_attr(not(feature = "aws"), allow(dead_code, reason = "CloudWatch alone is asked from when on"))]
    pub(super) began: f64,
    pub(super) until: Instant,
}

pub(super) async fn check(counter: &Counter, tally: &Tally<'_>, notes: &mut Notes<'_>) -> Result<(), Problem> {
    let since = Instant::now();
    let source = Source::open(counter).await?;
    let mut failed = 0;
    loop {
        let counted = match source.counts(tally).await {
            Ok(counted) => counted,
            Err(why) if failed < FAILURES && Instant::now() < tally.until => {
                failed += 1;
                notes.progress(|| why);
                sleep(LOOK_EVERY).await;
                continue;
            }
            Err(why) => return Err(Problem::Metrics(why)),
        };
        failed = 0;
        let over = tally.over(counted);
        if over.is_some() || tally.has(counted) || Instant::now() >= tally.until {
            notes.figure(format!("{counted} counted after {}", words::duration(since.elapsed())));
            return over.or_else(|| tally.under(counted)).map_or(Ok(()), Err);
        }
        notes.progress(|| format!("{counted} of {} are counted", tally.sent));
        sleep(LOOK_EVERY.min(tally.until.saturating_duration_since(Instant::now()))).await;
    }
}

impl Tally<'_> {
    fn has(&self, counted: Counts) -> bool {
        counted.events >= self.sent.events && counted.logins >= self.sent.logins
    }

    /// More than there can be.
    fn over(&self, counted: Counts) -> Option<Problem> {
        let advice = "are events delivered twice, and are the metrics told apart by event_id?";
        let is_over = |counted: u64, sent: u64| counted > sent + self.twice;
        self.first(counted, is_over, advice)
    }

    fn under(&self, counted: Counts) -> Option<Problem> {
        let advice = "look at the metrics function's errors and iterator age, and at live.window_grace of a gateway; or give a \
                      longer --timeout";
        self.first(counted, |counted, sent| counted < sent, advice)
    }

    fn first(&self, counted: Counts, is_wrong: impl Fn(u64, u64) -> bool, advice: &'static str) -> Option<Problem> {
        let pairs =
            [("TotalEvents", counted.events, self.sent.events), ("TotalLogins", counted.logins, self.sent.logins)];
        let wrong = pairs.into_iter().find(|(_, counted, sent)| is_wrong(*counted, *sent));
        wrong.map(|(what, counted, sent)| Problem::Counted { what, counted, sent, advice })
    }
}

/// Who is asked.
enum Source<'a> {
    #[cfg(feature = "aws")]
    CloudWatch(cloudwatch::CloudWatch<'a>),
    Gateway(&'a Uri),
}

impl<'a> Source<'a> {
    async fn open(counter: &'a Counter) -> Result<Self, Problem> {
        match counter {
            #[cfg(feature = "aws")]
            Counter::CloudWatch(namespace) => {
                let opened = cloudwatch::CloudWatch::open(namespace).await;
                opened.map(Self::CloudWatch).map_err(Problem::Metrics)
            }
            #[cfg(not(feature = "aws"))]
            Counter::CloudWatch(_) => {
                Err(Problem::Metrics("this build knows no CloudWatch; use one with feature `aws`".to_owned()))
            }
            Counter::Gateway(uri) => Ok(Self::Gateway(uri)),
        }
    }

    async fn counts(&self, tally: &Tally<'_>) -> Result<Counts, String> {
        match self {
            #[cfg(feature = "aws")]
            Self::CloudWatch(cloudwatch) => cloudwatch.counts(tally).await,
            Self::Gateway(uri) => scrape::counts(uri, tally.application_id).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_are_waited_for_and_too_many_are_not() {
        let sent = Counts { events: 100, logins: 10 };
        let tally = Tally { application_id: "a", sent, twice: 2, began: 0.0, until: Instant::now() };
        let counts = |events, logins| Counts { events, logins };
        assert!(!tally.has(counts(100, 9)) && !tally.has(counts(99, 10)) && tally.has(sent));
        assert!(tally.over(counts(102, 12)).is_none(), "two were sent again");
        let over = tally.over(counts(103, 10)).expect("too many").to_string();
        assert!(over.starts_with("TotalEvents: 103 were counted, and 100 acknowledged; "), "{over}");
        let under = tally.under(counts(100, 3)).expect("too few").to_string();
        assert!(under.starts_with("TotalLogins: 3 were counted, and 10 acknowledged; "), "{under}");
        assert!(tally.under(sent).is_none());
    }

    #[test]
    fn a_gateway_is_named_by_the_address_of_its_metrics() {
        assert!(Counter::gateway("http://127.0.0.1:9090/metrics").is_some());
        for other in ["127.0.0.1:9090", "https://127.0.0.1:9090/metrics", "http://127.0.0.1:9090", "/metrics", ""] {
            assert_eq!(Counter::gateway(other), None, "{other}");
        }
    }
}
