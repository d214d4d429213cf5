//! `headgate replay`: sends bad rows, repaired or not, or a range of the lake again. Events keep their ids, so that what
//! was stored before is not stored twice within the gateway's dedupe window, and queries that count distinct ids count
//! right in any case.

mod lines;
mod send;
mod source;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use self::send::{Counts, Sender};
use self::source::{Selected, Source};
use super::progress::ProgressLine;
use super::report::{Report, properties, table};
use super::{CliError, Context};
use crate::clock::Clock;
use crate::delivery::lake::day::Day;

/// What to send again, and where to.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Files of bad rows, or folders of them (DATA_DIR/bad_rows). The event of a row is sent as it was, or, if its
    /// `event` object was changed, as it is now
    #[arg(long, value_name = "PATH", num_args = 1.., required_unless_present = "lake", conflicts_with = "lake")]
    pub bad_rows: Vec<PathBuf>,
    /// Send what the local lake holds. Times are sent to the millisecond: the lake keeps nothing finer
    #[arg(long, requires = "from", requires = "to")]
    pub lake: bool,
    /// The first day of the lake's partitions, YYYY-MM-DD
    #[arg(long, value_name = "DATE", requires = "lake", value_parser = date)]
    pub from: Option<Day>,
    /// The last day of the lake's partitions, YYYY-MM-DD
    #[arg(long, value_name = "DATE", requires = "lake", value_parser = date)]
    pub to: Option<Day>,
    /// Only events of this application; needed where there are several, because the key is one application's
    #[arg(long, value_name = "ID")]
    pub app: Option<String>,
    /// The gateway
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:50051")]
    pub to_endpoint: String,
    /// PEM file with the authority of the gateway's certificate, for an https URL
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// File that holds the application's API key
    #[arg(long, value_name = "FILE", required_unless_present = "dry_run")]
    pub api_key_file: Option<PathBuf>,
    /// Events in one call, as far as they fit into 3 MiB
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch: u32,
    /// How long to go on trying while nothing gets through
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = humantime::parse_duration)]
    pub patience: Duration,
    /// Count what would be sent, and send nothing
    #[arg(long)]
    pub dry_run: bool,
}

fn date(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "not a date, write it as 2024-12-31".to_owned())
}

/// What became of the events.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Outcome {
    /// Events that were selected.
    events: u64,
    /// Rows that can't be sent: the line is damaged, or the event's bytes are no event, and it was not repaired.
    unreadable: u64,
    accepted: u64,
    rejected: u64,
    /// Not stored, and may be sent again.
    retry: u64,
    /// Nobody knows whether they are stored.
    unknown: u64,
    /// Never sent, because something stopped the replay before.
    not_sent: u64,
    calls: u64,
    /// Calls that were made again.
    calls_repeated: u64,
    reasons: Vec<ReasonCount>,
    /// What stopped the replay before its end.
    stopped: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct ReasonCount {
    verdict: &'static str,
    reason: String,
    events: u64,
}

impl Outcome {
    /// Events that are not known to be stored.
    fn refused(&self) -> u64 {
        self.rejected + self.retry + self.unknown + self.not_sent
    }

    /// Why the command fails, if it does.
    fn failure(&self) -> Option<String> {
        let refused = (self.refused() > 0).then(|| format!("{} events were not accepted", self.refused()));
        let unreadable = (self.unreadable > 0).then(|| format!("{} rows can't be read", self.unreadable));
        let mut failure = refused.into_iter().chain(unreadable).collect::<Vec<_>>().join("; ");
        if let Some(why) = &self.stopped {
            let separator = if failure.is_empty() { "stopped: " } else { ": " };
            failure.push_str(separator);
            failure.push_str(why);
        }
        (!failure.is_empty()).then_some(failure)
    }
}

/// Runs the command and shows its result.
///
/// # Errors
/// If something can't be read, several applications are mixed, or an event was not accepted.
pub async fn run(args: ReplayArgs, context: &Context) -> Result<(), CliError> {
    let outcome = replay(&args, context).await?;
    shown(&outcome, args.dry_run)?.show(context.output)?;
    outcome.failure().map_or(Ok(()), |why| Err(CliError::failed(why)))
}

async fn replay(args: &ReplayArgs, context: &Context) -> Result<Outcome, CliError> {
    let clock = Clock::system();
    let source = match (args.from, args.to) {
        (Some(from), Some(to)) if args.lake => {
            if to < from {
                return Err(CliError::usage(format!("--from {from} is after --to {to}")));
            }
            Source::lake(&context.settings.data_dir, from, to)?
        }
        _ => Source::bad_rows(&args.bad_rows)?,
    };
    if source.waiting_segments > 0 {
        eprintln!(
            "headgate: {} log segments are not in Parquet yet and not read; `headgate lake compact` turns them into it",
            source.waiting_segments
        );
    }
    let mut line = ProgressLine::new(clock.clone());
    let selected = source.survey(args.app.as_deref(), |read| line.show(|| format!("{read} events read")))?;
    drop(line);
    for problem in &selected.problems {
        eprintln!("headgate: left out: {problem}");
    }
    if selected.unreadable > selected.problems.len() as u64 {
        eprintln!("headgate: left out: {} rows in all", selected.unreadable);
    }
    if args.dry_run {
        return Ok(Outcome { events: selected.events, unreadable: selected.unreadable, ..Outcome::default() });
    }
    let mut sender = Sender::connect(args, clock.clone()).await?;
    let stopped = send_all(&source, args, &selected, &mut sender, &mut ProgressLine::new(clock)).await;
    Ok(outcome(&selected, sender.counts, stopped))
}

/// Returns why it stopped before the end, if it did.
async fn send_all(
    source: &Source,
    args: &ReplayArgs,
    selected: &Selected,
    sender: &mut Sender,
    line: &mut ProgressLine,
) -> Option<String> {
    for batch in source.batches(args.app.as_deref(), args.batch as usize) {
        let sent = match batch {
            Ok(batch) => sender.send(batch).await.map_err(|why| why.to_string()),
            // What was sent before has to be reported all the same.
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = sent {
            return Some(why);
        }
        line.show(|| format!("{} of {} events sent", sender.counts.settled(), selected.events));
    }
    None
}

fn outcome(selected: &Selected, counts: Counts, stopped: Option<String>) -> Outcome {
    // Somebody may have added rows to a file between the two times that it was read.
    let events = selected.events.max(counts.settled());
    Outcome {
        events,
        unreadable: selected.unreadable,
        not_sent: events - counts.settled(),
        accepted: counts.accepted,
        rejected: counts.rejected,
        retry: counts.retry,
        unknown: counts.unknown,
        calls: counts.calls,
        calls_repeated: counts.calls_repeated,
        reasons: reasons(counts.reasons),
        stopped,
    }
}

fn reasons(counted: BTreeMap<(&'static str, String), u64>) -> Vec<ReasonCount> {
    counted.into_iter().map(|((verdict, reason), events)| ReasonCount { verdict, reason, events }).collect()
}

fn shown(outcome: &Outcome, dry_run: bool) -> Result<Report, CliError> {
    let number = |n: u64| n.to_string();
    let mut text = if dry_run {
        properties([("would be sent", number(outcome.events)), ("unreadable", number(outcome.unreadable))])
    } else {
        properties([
            ("events", number(outcome.events)),
            ("accepted", number(outcome.accepted)),
            ("rejected", number(outcome.rejected)),
            ("retry", number(outcome.retry)),
            ("unknown", number(outcome.unknown)),
            ("not sent", number(outcome.not_sent)),
            ("unreadable", number(outcome.unreadable)),
            ("calls", number(outcome.calls)),
            ("calls repeated", number(outcome.calls_repeated)),
        ])
    };
    if !outcome.reasons.is_empty() {
        let rows = outcome.reasons.iter().map(|row| [row.verdict.to_owned(), row.reason.clone(), number(row.events)]);
        text.push_str(&format!("\n{}", table(["VERDICT", "REASON", "EVENTS"], rows)));
    }
    Report::new(text, outcome)
}

#[cfg(test)]
mod tests;
