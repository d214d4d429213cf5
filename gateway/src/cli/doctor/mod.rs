//! `headgate doctor`: is everything there that the gateway needs, and may it be used? With the same settings and the same
//! environment as the gateway, before it runs or beside it.
//!
//! Nothing is left behind: files that it writes to try a disk are removed, writes that it tries on tables carry a
//! condition that can't hold, and a record goes into a stream only where `--write` asks for it. Checks run side by side,
//! each within its time; what fails comes with its mend.

mod ask;
#[cfg(feature = "aws")]
mod aws;
mod certificate;
mod check;
mod disk;
mod file_system;
mod gateway;
mod limits;
mod listeners;
mod show;
mod sqlite;
mod sync;
mod validity;

use std::time::Duration;

use clap::Args;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use self::check::{Check, Finding, Level, Verdict};
use self::show::Show;
use super::{CliError, Output};
use crate::clock::Clock;
use crate::config::{Loaded, RegistryKind, Settings, Source};

/// How long one check may take where nothing else is said.
const DEFAULT_LIMIT: Duration = Duration::from_secs(10);

/// What to check beyond what is always checked.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// Also put a record that holds no event into each stream and delivery stream: proves the way in, costs a record each
    #[arg(long)]
    pub write: bool,
    /// How long one check may take [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub limit: Option<Duration>,
}

/// Checks, and shows each finding as it comes.
///
/// # Errors
/// If a check fails, or the findings can't be printed.
pub async fn run(args: &DoctorArgs, loaded: &Loaded, output: Output) -> Result<(), CliError> {
    let clock = Clock::system();
    let settings = &loaded.settings;
    let mut doctor = Doctor {
        limit: args.limit.unwrap_or(DEFAULT_LIMIT),
        show: Show::new(output),
        findings: Vec::new(),
        clock: clock.clone(),
    };
    let mut checks = vec![Check::done("settings", sources(&loaded.sources))];
    checks.extend(listeners::checks(settings));
    checks.extend(certificate::checks(settings, &clock));
    checks.extend(disk::checks(settings, &clock));
    checks.extend(limits::checks(settings));
    match settings.registry.kind {
        RegistryKind::Sqlite => checks.push(sqlite::check(settings)),
        RegistryKind::Dynamodb => {}
    }
    doctor.run(checks).await?;
    doctor.aws(args, settings).await?;
    doctor.end()
}

/// The round.
struct Doctor {
    limit: Duration,
    show: Show,
    findings: Vec<Finding>,
    clock: Clock,
}

impl Doctor {
    /// Runs checks side by side and shows each as it ends; says whether none of them failed.
    async fn run(&mut self, checks: Vec<Check>) -> Result<bool, CliError> {
        let mut running: FuturesUnordered<_> =
            checks.into_iter().map(|check| check.within(self.limit, self.clock.clone())).collect();
        let mut passed = true;
        while let Some(finding) = running.next().await {
            passed &= finding.level != Level::Fail;
            self.show.finding(&finding)?;
            self.findings.push(finding);
        }
        Ok(passed)
    }

    /// What AWS is asked for: first whether there is anybody to ask as, at the end what time they had there.
    #[cfg(feature = "aws")]
    async fn aws(&mut self, args: &DoctorArgs, settings: &Settings) -> Result<(), CliError> {
        let Some(round) = aws::Round::of(settings, args.write, &self.clock) else {
            return self.run(vec![sync::check()]).await.map(|_| ());
        };
        let (identity, found) = aws::identity::check(settings);
        self.run(vec![identity]).await?;
        // Without credentials every check below would say so once more.
        if let Ok(shared) = found.await {
            self.run(round.checks(&shared)).await?;
        }
        self.run(vec![round.clock()]).await.map(|_| ())
    }

    #[cfg(not(feature = "aws"))]
    async fn aws(&mut self, _: &DoctorArgs, _: &Settings) -> Result<(), CliError> {
        self.run(vec![sync::check()]).await.map(|_| ())
    }

    fn end(self) -> Result<(), CliError> {
        let count = |level| self.findings.iter().filter(|finding| finding.level == level).count();
        let (failed, warned) = (count(Level::Fail), count(Level::Warn));
        self.show.end(&self.findings, failed, warned)?;
        match failed {
            0 => Ok(()),
            1 => Err(CliError::failed("a check failed")),
            failed => Err(CliError::failed(format!("{failed} checks failed"))),
        }
    }
}

/// How many settings came from where.
fn sources(sources: &[Source]) -> Verdict {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for source in sources {
        // `environment NAME` and `file PATH`: the first word is enough here, `check-config` has the rest.
        let kind = source.source.split(' ').next().unwrap_or_default();
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((kind, 1)),
        }
    }
    let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    Verdict::ok(format!("good; from: {} (`headgate check-config` lists them)", kinds.join(", ")))
}
