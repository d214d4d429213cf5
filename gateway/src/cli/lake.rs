//! `headgate lake`: looks after the local lake. A gateway that runs is asked; otherwise the command does the work itself,
//! holding the data folder's lock so that no gateway starts meanwhile.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Subcommand;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::lock::Lock;
use super::progress::ProgressLine;
use super::report::{Report, properties, table};
use super::{CliError, Context};
use crate::clock::Clock;
use crate::delivery::lake::{
    ApplicationNames, CompactReport, LakeParts, OsFiles, VerifyReport, compact_offline, verify,
};
use crate::metrics::Metrics;
use crate::registry::{self, Registry};

/// What to do with the lake.
#[derive(Debug, Subcommand)]
pub enum LakeCommand {
    /// Turn the log into Parquet now, with the gateway running or stopped
    Compact,
    /// Check every file against its manifest; exit 1 if one is not as it was written
    Verify,
}

/// Runs one of the commands and shows its result.
///
/// # Errors
/// If the work can't be done, a segment can't be turned into Parquet, or a file is not as it was written.
pub async fn run(command: LakeCommand, context: &Context) -> Result<(), CliError> {
    match command {
        LakeCommand::Compact => compact(context).await,
        LakeCommand::Verify => check(context),
    }
}

async fn compact(context: &Context) -> Result<(), CliError> {
    let report = match Lock::take(&context.settings.data_dir)? {
        Lock::Ours(_lock) => compact_here(context).await?,
        Lock::Gateway(running) => ask(running.operate).await?,
    };
    compact_shown(&report)?.show(context.output)?;
    match report.failed.len() {
        0 => Ok(()),
        failed => Err(CliError::failed(format!("{failed} segments could not be turned into Parquet; they are kept"))),
    }
}

async fn compact_here(context: &Context) -> Result<CompactReport, CliError> {
    let clock = Clock::system();
    let registry = registry::open(&context.settings, &clock).await.map_err(CliError::failed)?.registry;
    let parts = lake_parts(&*registry, &clock).await?;
    let mut line = ProgressLine::new(clock);
    compact_offline(&context.settings.data_dir, &context.settings.lake, &parts, |progress| {
        line.show(|| {
            let (done, all) = (ByteSize(progress.bytes_done).display(), ByteSize(progress.bytes).display());
            format!("{} of {} segments, {done} of {all}", progress.done, progress.segments)
        });
    })
    .map_err(CliError::failed)
}

/// What working on the lake takes where no gateway does.
pub(super) async fn lake_parts(registry: &dyn Registry, clock: &Clock) -> Result<LakeParts, CliError> {
    let applications = registry.list_applications().await.map_err(CliError::failed)?;
    let names = applications.into_iter().map(|app| (app.application_id.to_string(), app.name)).collect();
    Ok(LakeParts {
        files: Arc::new(OsFiles),
        names: Arc::new(Names(names)),
        metrics: Metrics::new(),
        clock: clock.clone(),
    })
}

struct Names(HashMap<String, String>);

impl ApplicationNames for Names {
    fn name(&self, application_id: &str) -> Option<String> {
        self.0.get(application_id).cloned()
    }
}

/// Asks the gateway that listens there.
async fn ask(operate: SocketAddr) -> Result<CompactReport, CliError> {
    let mut line = ProgressLine::new(Clock::system());
    line.show(|| format!("the gateway at {operate} is compacting"));
    let failed = |problem: &dyn std::fmt::Display| {
        CliError::failed(format!("the gateway that holds the data folder can't be asked at {operate}: {problem}"))
    };
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(Duration::from_secs(5)));
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://{operate}/lake/compact"))
        .body(Empty::new())
        .map_err(|error| failed(&error))?;
    let answer = client.request(request).await.map_err(|error| failed(&error))?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(|error| failed(&error))?.to_bytes();
    if status != StatusCode::OK {
        return Err(failed(&format!("it answered {status}: {}", String::from_utf8_lossy(&body).trim_end())));
    }
    serde_json::from_slice(&body).map_err(|error| failed(&error))
}

fn compact_shown(report: &CompactReport) -> Result<Report, CliError> {
    let mut text = properties([
        ("segments", report.segments.to_string()),
        ("files", report.files.to_string()),
        ("rows", report.rows.to_string()),
        ("bytes", ByteSize(report.bytes).display().to_string()),
    ]);
    if report.set_aside_lines > 0 {
        text.push_str(&format!("{} lines are no stream records; see lake/damaged\n", report.set_aside_lines));
    }
    if !report.failed.is_empty() {
        let rows = report.failed.iter().map(|failed| [failed.segment.to_string(), failed.error.clone()]);
        text.push_str(&format!("\n{}", table(["FAILED SEGMENT", "WHY"], rows)));
    }
    Report::new(text, report)
}

fn check(context: &Context) -> Result<(), CliError> {
    let mut line = ProgressLine::new(Clock::system());
    let report = verify(&context.settings.data_dir, |done, all| line.show(|| format!("{done} of {all} segments")));
    drop(line);
    let report = report.map_err(CliError::failed)?;
    verify_shown(&report)?.show(context.output)?;
    if report.is_good() {
        return Ok(());
    }
    let (problems, strays) = (report.problems.len(), report.strays.len());
    Err(CliError::failed(format!("{problems} files are not as they were written, {strays} belong to no segment")))
}

fn verify_shown(report: &VerifyReport) -> Result<Report, CliError> {
    let waiting_events: u64 = report.waiting.iter().map(|waiting| waiting.events).sum();
    let mut text = properties([
        ("segments", report.segments.to_string()),
        ("files", report.files.to_string()),
        ("rows", report.rows.to_string()),
        ("bytes", ByteSize(report.bytes).display().to_string()),
        ("waiting segments", report.waiting.len().to_string()),
        ("waiting events", waiting_events.to_string()),
        ("set aside", report.set_aside.len().to_string()),
    ]);
    let stray = "belongs to no segment, and queries count its rows".to_owned();
    let problems = report.problems.iter().map(|found| [found.path.display().to_string(), found.problem.clone()]);
    let strays = report.strays.iter().map(|path| [path.display().to_string(), stray.clone()]);
    if report.is_good() {
        text.push_str("every file is as it was written\n");
    } else {
        text.push_str(&format!("\n{}", table(["FILE", "PROBLEM"], problems.chain(strays))));
    }
    Report::new(text, report)
}

#[cfg(test)]
pub(super) mod tests;
