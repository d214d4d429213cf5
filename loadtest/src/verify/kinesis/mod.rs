//! Asks a Kinesis stream.
//!
//! Every shard is read from a minute before the run on, those too that a reshard closes or opens meanwhile, until it is
//! read up to the present; what was acknowledged before is then on the stream or lost. Throttled reads wait and go on.

mod records;
mod shards;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_kinesis::Client;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, interval};

use self::shards::{Position, Shard, Stream};
use super::compare::{acknowledged, compare_pile};
use super::destination::{Options, Progress, Verified, VerifyError};
use super::pile::Pile;
use super::{AT_ONCE, Expectation};

/// Calls at a time; each may bring 10 MiB.
const CALLS: usize = 8;
const TELL_EVERY: Duration = Duration::from_millis(250);
/// Between two comparisons while events are waited for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Asks until every acknowledged event is there or the time is over.
pub(super) async fn verify(
    stream: &str,
    expectation: Arc<dyn Expectation>,
    options: &Options,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Verified, VerifyError> {
    // Pinned, as the gateway has it.
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12()).load().await;
    verify_with(Client::new(&config), stream, expectation, options, progress).await
}

async fn verify_with(
    client: Client,
    stream: &str,
    expectation: Arc<dyn Expectation>,
    options: &Options,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Verified, VerifyError> {
    let expected = expectation.clone();
    let acknowledged = spawn_blocking(move || acknowledged(&*expected)).await?;
    let stream = Arc::new(Stream::new(client, stream, options.horizon()));
    let mut reading = Reading::begin(stream).await?;
    let mut pile = Pile::new(AT_ONCE);
    let mut told = Progress { acknowledged, ..Progress::default() };
    let mut figures = interval(TELL_EVERY);
    // Without a successful read for so long, the stream counts as unreadable.
    let mut patient_until = Instant::now() + options.timeout.max(Duration::from_secs(30));
    let mut deadline = None;
    let mut compared_at: Option<(u64, Instant)> = None;
    loop {
        tokio::select! {
            step = reading.steps.next() => match step {
                Some(step) => {
                    if reading.take_in(step, &mut pile).await? {
                        patient_until = Instant::now() + options.timeout.max(Duration::from_secs(30));
                    }
                }
                // Every shard is closed and read.
                None => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            _ = figures.tick() => {
                told.read = pile.len();
                progress(told);
            }
        }
        if reading.behind() > 0 {
            if patient_until <= Instant::now() {
                return Err(reading.stream.failed(format!(
                    "{} of {} shards are not read to the end and nothing more comes{}: try again with a longer timeout",
                    reading.behind(),
                    reading.known.len(),
                    reading.trouble.as_deref().map(|why| format!(" ({why})")).unwrap_or_default()
                )));
            }
            continue;
        }
        let now = Instant::now();
        let deadline = *deadline.get_or_insert(now + options.timeout);
        let news = compared_at.is_none_or(|(len, at)| len != pile.len() && at + LOOK_EVERY <= now);
        let over = deadline <= now;
        if !(news || over) {
            continue;
        }
        let expected = expectation.clone();
        let (kept, verification) = spawn_blocking(move || {
            let verification = compare_pile(&mut pile, &*expected);
            (pile, verification)
        })
        .await?;
        pile = kept;
        let verification = verification?;
        compared_at = Some((pile.len(), Instant::now()));
        told = Progress { read: pile.len(), found: verification.stored, ..told };
        progress(told);
        if verification.missing == 0 || over {
            let notes = reading.notes(verification.missing);
            return Ok(Verified { verification, conclusive: true, notes });
        }
    }
}

type Step = (Shard, Result<shards::Read, String>);

/// The shards on their way.
struct Reading {
    stream: Arc<Stream>,
    calls: Arc<Semaphore>,
    steps: FuturesUnordered<BoxFuture<'static, Result<Step, VerifyError>>>,
    known: HashSet<String>,
    /// Shards that were read up to the present or to their end.
    present: HashSet<String>,
    records: u64,
    unreadable: u64,
    /// Why a read had to wait.
    trouble: Option<String>,
}

impl Reading {
    async fn begin(stream: Arc<Stream>) -> Result<Self, VerifyError> {
        let mut reading = Self {
            stream,
            calls: Arc::new(Semaphore::new(CALLS)),
            steps: FuturesUnordered::new(),
            known: HashSet::new(),
            present: HashSet::new(),
            records: 0,
            unreadable: 0,
            trouble: None,
        };
        reading.find_shards().await?;
        Ok(reading)
    }

    /// Begins with the shards that were not known so far.
    async fn find_shards(&mut self) -> Result<(), VerifyError> {
        for id in self.stream.list().await? {
            if self.known.insert(id.clone()) {
                self.go_on(Shard::new(id));
            }
        }
        Ok(())
    }

    /// Has the next records of a shard read when its turn comes.
    fn go_on(&mut self, mut shard: Shard) {
        let (stream, calls) = (self.stream.clone(), self.calls.clone());
        self.steps.push(Box::pin(async move {
            shard.wait().await;
            let _permit = calls.acquire_owned().await;
            let read = stream.read(&mut shard).await?;
            Ok((shard, read))
        }));
    }

    /// Keeps what a read has brought; whether it was one.
    async fn take_in(&mut self, step: Result<Step, VerifyError>, pile: &mut Pile) -> Result<bool, VerifyError> {
        let (shard, read) = step?;
        let read = match read {
            Ok(read) => read,
            Err(why) => {
                self.trouble = Some(why);
                self.go_on(shard);
                return Ok(false);
            }
        };
        self.records += read.records;
        self.unreadable += read.unreadable;
        for id in read.ids {
            pile.push(id)?;
        }
        if read.present || shard.position == Position::End {
            self.present.insert(shard.id.clone());
        }
        if shard.position == Position::End {
            self.find_shards().await?;
        } else {
            self.go_on(shard);
        }
        Ok(true)
    }

    /// Shards that are not read up to the present.
    fn behind(&self) -> usize {
        self.known.len() - self.present.len()
    }

    fn notes(&self, missing: u64) -> Vec<String> {
        let mut notes = Vec::new();
        if self.unreadable > 0 {
            notes.push(format!(
                "{} records of the stream are no stream records of Headgate and belong to somebody else, or are damaged",
                self.unreadable
            ));
        }
        if missing > 0 {
            notes.push(format!(
                "all {} shards of {} were read up to the present, {} Kinesis records from a minute before the run on, and \
                 {missing} acknowledged events are not in them: they are lost, unless the application's route leads to \
                 another stream or the stream keeps records for less time than the run took",
                self.known.len(),
                self.stream.name(),
                self.records
            ));
        }
        notes
    }
}
