//! `smoke`: whether a gateway that was just deployed works, for release pipelines.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgGroup, Args};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::run_args::duration;
use super::{Failure, authorities};
use crate::smoke::{self, Case, Counter, Expected, Lake, News, Outcome, Plan, Report, Token};
use crate::target::check_address;
use crate::terminal::{Line, Look, Screen};
use crate::words;

/// More would be a load, for which there is `run`.
const MOST_EVENTS: u64 = 100_000;
/// Under the name of a step.
const MARGIN: &str = "        ";

/// Flags of `smoke`. Nobody has to say that the target is their own: the administrator's token says it.
#[derive(Args)]
#[command(group = ArgGroup::new("counter").args(["metrics_namespace", "metrics"]))]
pub(super) struct SmokeArgs {
    /// The gateway's gRPC address: https://HOST:PORT, or http://HOST:PORT.
    #[arg(long, value_name = "URL")]
    host: String,
    /// A file with the gateway's administrator token, with which an application and a key are made, and deleted at the end.
    #[arg(long, value_name = "FILE")]
    admin_token_file: PathBuf,
    /// The certificate authority of an https target, in PEM. Default: those that this machine trusts.
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// The version that has to answer.
    #[arg(long, value_name = "VERSION")]
    expect_version: Option<String>,
    /// The commit that has to answer; 7 of its digits will do.
    #[arg(long, value_name = "SHA", value_parser = commit)]
    expect_commit: Option<String>,
    /// Where events end: s3://BUCKET/raw_events/, or a gateway's own lake:PATH. Without it nobody looks.
    #[arg(long, value_name = "LAKE")]
    lake: Option<String>,
    /// The operators' listener of the gateway with a lake of its own. Default: what is written in that lake's lock file.
    #[arg(long, value_name = "HOST:PORT")]
    operate: Option<String>,
    /// The CloudWatch namespace of the metrics function, such as headgate-prod/AWSGameAnalytics.
    #[arg(long, value_name = "NAMESPACE")]
    metrics_namespace: Option<String>,
    /// The metrics of a gateway's operators' listener, in the place of CloudWatch: http://HOST:PORT/metrics.
    #[arg(long, value_name = "URL")]
    metrics: Option<String>,
    /// Valid events to send.
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=MOST_EVENTS))]
    events: u64,
    /// In what time they are sent, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    seconds_of_load: u64,
    /// How long the events may take into the lake and the metrics, once they are acknowledged.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = duration)]
    timeout: Duration,
    /// Write the report here as JUnit XML.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Asks, tells, writes the report, and says the exit status.
pub(super) fn smoke(args: SmokeArgs) -> Result<u8, Failure> {
    let plan = plan(&args)?;
    // Before anything is asked: a pipeline without a report has no result.
    let file = match &args.report {
        Some(path) => Some((path, File::create(path).map_err(|error| unwritable(path, &error))?)),
        None => None,
    };
    let screen = Screen::new();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(Failure::internal)?;
    let report = runtime.block_on(async {
        let (stop, stopped) = watch::channel(false);
        let mut tell = |news: News<'_>| match news {
            News::Progress(step, text) => screen.line(&Line::dim(format!("{MARGIN}{step:<12} {text}"))),
            News::Over(case) => lines(case).iter().for_each(|line| screen.line(line)),
        };
        tokio::select! {
            report = smoke::run(&plan, stopped, &mut tell) => report.map_err(Failure::usage),
            told = signals(&stop) => Err(told),
        }
    })?;
    if let Some((path, file)) = file {
        smoke::write_junit(&report, file).map_err(|error| Failure::internal(unwritable(path, &error).what))?;
    }
    screen.line(&verdict(&report));
    Ok(report.exit_code())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("--report {}: {error}: give a file that can be written", path.display()))
}

/// The first signal breaks off what is asked, and the application is deleted; with the second one nothing more is waited for.
async fn signals(stop: &watch::Sender<bool>) -> Failure {
    let both = signal(SignalKind::interrupt()).and_then(|one| Ok((one, signal(SignalKind::terminate())?)));
    let Ok((mut interrupt, mut terminate)) = both else { return std::future::pending().await };
    for is_first in [true, false] {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if is_first {
            eprintln!("interrupted: deletes what it has made (once more: leaves it)");
            stop.send_replace(true);
        }
    }
    Failure {
        status: 130,
        what: "interrupted twice: an application smoke-… may be left, delete it yourself".to_owned(),
    }
}

fn plan(args: &SmokeArgs) -> Result<Plan, Failure> {
    check_address(&args.host).map_err(Failure::usage)?;
    let read = |flag: &str, path: &Path| {
        fs::read(path).map_err(|error| Failure::usage(format!("{flag} {}: {error}", path.display())))
    };
    let token = read("--admin-token-file", &args.admin_token_file)?;
    let token = Token::new(&String::from_utf8_lossy(&token));
    let empty = || Failure::usage(format!("--admin-token-file {}: the file is empty", args.admin_token_file.display()));
    let tls_ca = match &args.tls_ca {
        Some(path) => Some(read("--tls-ca", path)?),
        None if args.host.starts_with("https://") => Some(authorities::of_this_machine()?),
        None => None,
    };
    let lake = args.lake.as_deref().map(lake).transpose()?;
    let counter = match (&args.metrics_namespace, &args.metrics) {
        (Some(namespace), _) => Some(Counter::CloudWatch(namespace.clone())),
        (None, Some(metrics)) => Some(Counter::gateway(metrics).ok_or_else(|| {
            Failure::usage(format!(
                "--metrics {metrics}: give the address of a gateway's metrics, http://HOST:PORT/metrics"
            ))
        })?),
        (None, None) => None,
    };
    Ok(Plan {
        endpoint: args.host.clone(),
        tls_ca,
        token: token.ok_or_else(empty)?,
        expected: Expected { version: args.expect_version.clone(), commit: args.expect_commit.clone() },
        lake,
        operate: args.operate.clone(),
        counter,
        events: args.events as usize,
        over: Duration::from_secs(args.seconds_of_load),
        timeout: args.timeout,
    })
}

fn lake(text: &str) -> Result<Lake, Failure> {
    let lake = Lake::parse(text).map_err(Failure::usage)?;
    lake.ok_or_else(|| Failure::usage(format!("--lake {text}: give s3://BUCKET/raw_events/ or lake:PATH")))
}

/// A commit, or its first digits.
fn commit(text: &str) -> Result<String, String> {
    let digits = text.strip_suffix("-dirty").unwrap_or(text);
    let is_one = (7..=40).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_one { Ok(text.to_ascii_lowercase()) } else { Err("give 7 to 40 hexadecimal digits".to_owned()) }
}

/// A step that is over.
fn lines(case: &Case) -> Vec<Line> {
    let (look, word) = match case.outcome {
        Outcome::Passed => (Look::Good, "ok"),
        Outcome::Failed(_) => (Look::Bad, "FAILED"),
        Outcome::Skipped(_) => (Look::Dim, "skipped"),
    };
    let head = Line::default().then(look, format!("{word:<7}")).then_plain(format!(" {:<12} ", case.step));
    if let Outcome::Skipped(why) = &case.outcome {
        return vec![head.then(Look::Dim, why.as_str())];
    }
    let mut lines = vec![head.then(Look::Dim, words::latency(case.took))];
    lines.extend(case.figures.iter().map(|figure| Line::dim(format!("{MARGIN}{figure}"))));
    if let Outcome::Failed(problem) = &case.outcome {
        lines.push(Line::plain(format!("{MARGIN}{problem}")));
    }
    lines
}

/// The last line.
fn verdict(report: &Report) -> Line {
    let [passed, failed, skipped] = report.counts();
    let counts = format!("{passed} passed, {failed} failed, {skipped} skipped");
    match (report.interrupted, report.failure()) {
        (true, _) => Line::default().then(Look::Warn, "INTERRUPTED").then_plain(format!("  {counts}")),
        (false, None) => Line::default().then(Look::Good, "PASS").then_plain(format!("  {counts}")),
        (false, Some((step, problem))) => {
            Line::default().then(Look::Bad, "FAILED").then_plain(format!("  {step}: {problem} ({counts})"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smoke::{Problem, Step};

    #[test]
    fn a_commit_is_seven_to_forty_digits() {
        assert_eq!(commit("ABCDEF0"), Ok("abcdef0".to_owned()));
        assert_eq!(commit("abcdef0-dirty"), Ok("abcdef0-dirty".to_owned()));
        for wrong in ["abcdef", "main", "", &"a".repeat(41)] {
            assert!(commit(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_last_line_says_which_step_failed_and_what_to_do() {
        let case = |step, outcome| Case { step, outcome, took: Duration::ZERO, figures: Vec::new() };
        let problem = Problem::OtherBuild { served: "0.1.0".to_owned(), expected: "9.9.9".to_owned() };
        let mut report = Report {
            target: String::new(),
            began: 0.0,
            cases: vec![
                case(Step::Version, Outcome::Failed(problem)),
                case(Step::Application, Outcome::Passed),
                case(Step::Lake, Outcome::Skipped("no lake is given".to_owned())),
            ],
            interrupted: false,
        };
        let text = verdict(&report).render(usize::MAX, false);
        assert!(text.starts_with("FAILED  version: 0.1.0 is served, and 9.9.9 is expected: "), "{text}");
        assert!(text.ends_with("(1 passed, 1 failed, 1 skipped)"), "{text}");
        assert_eq!(report.exit_code(), 3);
        report.cases.remove(0);
        assert_eq!(verdict(&report).render(usize::MAX, false), "PASS  1 passed, 0 failed, 1 skipped");
        assert_eq!(report.exit_code(), 0);
    }
}
