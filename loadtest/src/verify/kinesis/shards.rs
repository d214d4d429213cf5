//! One shard's way from the start of the run to the present, call by call.

use std::time::{Duration, SystemTime};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::ShardIteratorType;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::super::destination::VerifyError;
use super::records::read_ids;

/// The service allows five reads of a shard a second, for all consumers together.
const READ_EVERY: Duration = Duration::from_millis(250);
const WAIT_FIRST: Duration = Duration::from_millis(500);
const WAIT_MOST: Duration = Duration::from_secs(8);
/// A record that arrived so long after the verification began is none of the run, whatever the clocks.
const MARGIN_S: i64 = 60;

/// Where the next read begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// At the start of the run.
    Start,
    /// After this record.
    After(String),
    /// The shard is closed and was read to its end.
    End,
}

/// A shard being read.
pub(super) struct Shard {
    pub(super) id: String,
    pub(super) position: Position,
    iterator: Option<String>,
    /// Reads in a row that found nothing more.
    caught_up: u32,
    /// Reads in a row that had to be put off.
    put_off: u32,
    next: Instant,
}

/// What one read has brought.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) ids: Vec<u128>,
    /// Kinesis records.
    pub(super) records: u64,
    /// User records that are no stream records.
    pub(super) unreadable: u64,
    /// Whether the shard was read up to the present.
    pub(super) present: bool,
}

impl Shard {
    pub(super) fn new(id: String) -> Self {
        Self { id, position: Position::Start, iterator: None, caught_up: 0, put_off: 0, next: Instant::now() }
    }

    /// Waits for its turn.
    pub(super) async fn wait(&self) {
        sleep_until(self.next).await;
    }

    fn rest(&mut self, wait: Duration) {
        self.next = Instant::now() + wait;
    }
}

/// The stream.
pub(super) struct Stream {
    client: Client,
    name: String,
    since: SystemTime,
    /// Unix time past which records are none of the run.
    until_s: i64,
}

impl Stream {
    pub(super) fn new(client: Client, name: &str, since: SystemTime) -> Self {
        #[expect(clippy::disallowed_methods, reason = "records carry the service's wall-clock time")]
        let now = SystemTime::now();
        Self { client, name: name.to_owned(), since, until_s: DateTime::from(now).secs() + MARGIN_S }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn failed(&self, error: String) -> VerifyError {
        VerifyError::Kinesis { stream: self.name.clone(), error }
    }

    /// All shards that it keeps, closed ones too.
    pub(super) async fn list(&self) -> Result<Vec<String>, VerifyError> {
        let mut ids = Vec::new();
        let mut pages = Some(self.client.list_shards().stream_name(&self.name));
        while let Some(page) = pages.take() {
            let page = page.send().await.map_err(|error| self.failed(DisplayErrorContext(error).to_string()))?;
            ids.extend(page.shards().iter().map(|shard| shard.shard_id().to_owned()));
            pages = page.next_token().map(|token| self.client.list_shards().next_token(token));
        }
        Ok(ids)
    }

    /// Reads what comes next in a shard. The inner error, in words, is one that passes: read again.
    pub(super) async fn read(&self, shard: &mut Shard) -> Result<Result<Read, String>, VerifyError> {
        shard.rest(READ_EVERY);
        match self.try_read(shard).await {
            Ok(read) => {
                shard.put_off = 0;
                Ok(Ok(read))
            }
            Err(Trouble::Passing(why)) => {
                shard.rest(WAIT_FIRST.saturating_mul(1 << shard.put_off.min(8)).min(WAIT_MOST));
                shard.put_off += 1;
                Ok(Err(why))
            }
            Err(Trouble::Lasting(why)) => Err(self.failed(why)),
        }
    }

    async fn try_read(&self, shard: &mut Shard) -> Result<Read, Trouble> {
        let iterator = match shard.iterator.clone() {
            Some(iterator) => iterator,
            None => shard.iterator.insert(self.iterator(shard).await?).clone(),
        };
        let asked = self.client.get_records().shard_iterator(iterator).send().await;
        let batch = asked.map_err(|error| {
            if error.code() == Some("ExpiredIteratorException") {
                shard.iterator = None;
            }
            Trouble::of(error)
        })?;
        if let Some(last) = batch.records().last() {
            shard.position = Position::After(last.sequence_number().to_owned());
        }
        let last_arrival = batch.records().last().and_then(|record| record.approximate_arrival_timestamp());
        let later = last_arrival.is_some_and(|arrival| arrival.secs() > self.until_s);
        shard.caught_up = if batch.millis_behind_latest() == Some(0) { shard.caught_up + 1 } else { 0 };
        shard.iterator = batch.next_shard_iterator().map(str::to_owned);
        if shard.iterator.is_none() {
            shard.position = Position::End;
        }
        let mut read =
            Read { records: batch.records().len() as u64, present: later || shard.caught_up >= 2, ..Read::default() };
        let taken_apart = spawn_blocking(move || {
            for record in batch.records() {
                read.unreadable += read_ids(record.data().as_ref(), &mut read.ids);
            }
            read
        });
        taken_apart.await.map_err(|panicked| Trouble::Lasting(panicked.to_string()))
    }

    async fn iterator(&self, shard: &Shard) -> Result<String, Trouble> {
        let asked = self.client.get_shard_iterator().stream_name(&self.name).shard_id(&shard.id);
        let asked = match &shard.position {
            Position::After(number) => {
                asked.shard_iterator_type(ShardIteratorType::AfterSequenceNumber).starting_sequence_number(number)
            }
            Position::Start | Position::End => {
                asked.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(DateTime::from(self.since))
            }
        };
        let answer = asked.send().await.map_err(Trouble::of)?;
        let missing = || Trouble::Lasting(format!("no iterator for {}", shard.id));
        answer.shard_iterator().map(str::to_owned).ok_or_else(missing)
    }
}

/// Why a call has failed.
enum Trouble {
    /// It may work later.
    Passing(String),
    /// It will not.
    Lasting(String),
}

impl Trouble {
    fn of<E>(error: SdkError<E>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let passing = match &error {
            SdkError::ServiceError(service) => {
                let passes = matches!(
                    error.code(),
                    Some(
                        "ProvisionedThroughputExceededException"
                            | "LimitExceededException"
                            | "KMSThrottlingException"
                            | "ThrottlingException"
                            | "ExpiredIteratorException"
                            | "InternalFailureException"
                    )
                );
                passes || service.raw().status().is_server_error()
            }
            SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
            _ => false,
        };
        let why = DisplayErrorContext(error).to_string();
        if passing { Self::Passing(why) } else { Self::Lasting(why) }
    }
}
