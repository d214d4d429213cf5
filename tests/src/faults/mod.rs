//! The fault table of `docs/reliability.md`, measured: each fault is let loose on a gateway of its own, under load that the
//! conservation oracle judges, and what is found is put beside the bar that it has to keep.
//!
//! A row that breaks its bar says so and is no reason to stop; neither is one that panics. The gateway is a process where
//! the fault allows it, and in this process where only its ground can have the fault: clock, credentials, disk, handlers.

mod access;
mod clock;
mod disk;
mod figures;
mod outage;
mod readers;
mod records;
mod routes;
mod service;
mod shards;
mod stage;
mod stopping;
mod throttling;
mod wall;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::time::Duration;

pub use self::figures::Figures;
use crate::torture::run::words;

/// For what a row that was broken off leaves behind.
const SHUTDOWN: Duration = Duration::from_secs(10);
/// A row that takes so many times what its fault lasts, and some minutes more, hangs.
const LONGEST: u32 = 60;
const LONGEST_OTHERWISE: Duration = Duration::from_secs(300);

/// How a row is measured.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Everything that is left to chance follows from it, but for the machine's timing.
    pub seed: u64,
    /// How long each fault lasts, and each stretch without one that it is compared with.
    pub time: Duration,
}

impl Run {
    /// Says on standard error how far it is.
    fn say(text: &str) {
        eprintln!("  {text}");
    }
}

type Measuring = Pin<Box<dyn Future<Output = Figures>>>;

/// How the figures of a row are come by.
#[derive(Clone, Copy)]
pub enum How {
    /// They are measured here.
    Measured(fn(Run) -> Measuring),
    /// Another tool measures them: this one.
    Elsewhere(&'static str),
}

/// A row of the table.
#[derive(Clone, Copy)]
pub struct Row {
    /// Its number.
    pub number: u32,
    /// What goes wrong.
    pub fault: &'static str,
    /// What must hold.
    pub bar: &'static str,
    /// How it is measured.
    pub how: How,
}

macro_rules! table {
    ($($number:literal $fault:literal $bar:literal $how:expr;)*) => {
        /// Every row, in order.
        pub const TABLE: &[Row] = &[$(Row { number: $number, fault: $fault, bar: $bar, how: $how }),*];
    };
}

macro_rules! measured {
    ($measure:path) => {
        How::Measured(|run| Box::pin($measure(run)))
    };
}

table! {
    1 "k of 500 records fail, k from 1 to 500" "only those are sent again; no duplicates" measured!(records::some_fail);
    2 "half of all records throttled for long" "memory within budget; goodput at least 45 %; refusals with a hint; recovers within 10 s" measured!(throttling::half);
    3 "destination refuses or answers 5xx" "UNAVAILABLE with a hint; heals within 30 s; at most 1.2 times the requests" measured!(service::down);
    4 "destination accepts and never answers" "a verdict by the deadline; nothing held afterwards" measured!(service::never_answers);
    5 "answer lost after the commit" "counted as ambiguous; no duplicate that a lost answer or a resend does not explain" measured!(records::answers_lost);
    6 "connections reset, half-open, stale" "as 3" measured!(service::connections);
    7 "credentials expire, or their source is away" "serves to expiry, then refuses with a hint; heals within 5 s" measured!(access::credentials);
    8 "key store down" "known keys go on working; unknown ones UNAVAILABLE, none denied; heals within 30 s" measured!(access::key_store);
    9 "SIGTERM at full load, again and again" "nothing lost; no call without an answer; out within 25 s" measured!(stopping::terminate);
    10 "SIGKILL at full load, again and again" "nothing lost; torn tails are recovered" measured!(stopping::kill);
    11 "disk full or failing under the lake" "refusals with a hint; nothing acknowledged that is not there; heals within 30 s" measured!(disk::full_and_failing);
    12 "slow readers on 1,000 streams" "memory within budget; nothing held afterwards; the neighbour's goodput at least 95 %" measured!(readers::slow);
    13 "a noisy application at 100 times its limit" "neighbour's p99 at most 10 % worse, goodput at most 5 % lower" How::Elsewhere("`--bin overload -- neighbour`");
    14 "one shard throttled" "the other shards at most 5 % slower" measured!(shards::one_throttled);
    15 "Kinesis up and Firehose down, and the reverse" "goodput of the one that is up at least 95 %; a fallback refuses nothing" measured!(routes::one_down);
    16 "split and merge under load" "nothing lost; no duplicates; the shard map follows" measured!(shards::resharding);
    17 "the clock jumps an hour, both ways" "a limited rate stays within 10 % of what it was" measured!(clock::jumps);
    18 "a panic in a handler" "no other call suffers; counted; nothing held afterwards" measured!(wall::panics);
    19 "soak" "resident memory, descriptors and tasks flat; conservation exact" How::Elsewhere("`headgate-loadtest run --workload soak`");
}

impl Row {
    /// Whether it is asked for by this text: its number, or a part of what goes wrong.
    #[must_use]
    pub fn is_like(&self, text: &str) -> bool {
        self.number.to_string() == text || (text.parse::<u32>().is_err() && self.fault.contains(text))
    }

    /// Measures it, on a runtime of its own. `None`: another tool does.
    ///
    /// # Panics
    /// If a runtime can't be had.
    #[must_use]
    pub fn measure(&self, run: Run) -> Option<Figures> {
        let How::Measured(measure) = self.how else { return None };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime can be had");
        let longest = run.time * LONGEST + LONGEST_OTHERWISE;
        // The rig speaks by panics where something can't go on.
        let measuring = async { tokio::time::timeout(longest, measure(run)).await };
        let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(measuring)));
        runtime.shutdown_timeout(SHUTDOWN);
        Some(match ended {
            Ok(Ok(figures)) => figures,
            Ok(Err(_)) => Figures::broken_off(&format!("no end within {longest:?}")),
            Err(panic) => Figures::broken_off(&words(&*panic)),
        })
    }

    /// It as a line of Markdown, with what was measured.
    #[must_use]
    pub fn line(&self, figures: Option<&Figures>) -> String {
        let (measured, verdict) = match (figures, self.how) {
            (Some(figures), _) => (figures.words(), figures.verdict()),
            (None, How::Elsewhere(tool)) => (format!("by {tool}"), "–".to_owned()),
            (None, How::Measured(_)) => ("–".to_owned(), "–".to_owned()),
        };
        format!("| {} | {} | {measured} | {} | {verdict} |", self.number, self.fault, self.bar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_row_of_the_docs_once_and_in_order() {
        let docs =
            std::fs::read_to_string(crate::binary::workspace().join("docs/reliability.md")).expect("it is there");
        let section = docs.split("## Faults, and the test of each").nth(1).expect("it has the section");
        let numbers: Vec<u32> =
            section.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok()).collect();
        assert_eq!(TABLE.iter().map(|row| row.number).collect::<Vec<_>>(), numbers);
        assert_eq!(numbers, (1..=19).collect::<Vec<_>>());
    }

    #[test]
    fn a_number_names_one_row_and_words_those_that_hold_them() {
        let like = |text: &str| TABLE.iter().filter(|row| row.is_like(text)).map(|row| row.number).collect::<Vec<_>>();
        assert_eq!(like("1"), [1]);
        assert_eq!(like("SIG"), [9, 10]);
        assert!(like("500").is_empty());
        assert_eq!(like("").len(), 19);
    }

    #[test]
    fn a_panic_is_a_row_that_is_broken() {
        let how = How::Measured(|_| Box::pin(async { panic!("the plan has this row panic") }));
        let row = Row { number: 0, fault: "f", bar: "b", how };
        let figures = row.measure(Run { seed: 0, time: Duration::ZERO }).expect("measured");
        assert!(!figures.held());
        assert!(row.line(Some(&figures)).contains("BROKEN: the plan has this row panic"));
    }
}
