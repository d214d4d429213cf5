//! A Kinesis data stream: PutRecords, and the stream's mode and open shards.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::Config;
use aws_sdk_kinesis::operation::put_records::PutRecordsOutput;
use aws_sdk_kinesis::types::{
    RecordDistributionStrategy, Shard, ShardFilter, ShardFilterType, StreamDescriptionSummary,
    StreamMode as AwsStreamMode, StreamStatus,
};

use super::answer::ReadCbor;
use super::body::{Bodies, PutBody};
use super::{errors, put};
use crate::aws::{DropSilentConnections, Signer};
use crate::config::{Encoding, KinesisSettings};
use crate::delivery::sender::wire::{
    CallError, CallFailure, Describe, Entry, EntryResult, StreamDescription, StreamMode, Wire,
};
use crate::gather::ShardRange;

/// A record's largest size where the stream does not say.
const DEFAULT_MAX_RECORD: usize = 1 << 20;
/// A record's largest size that the service can be set to.
const LARGEST_MAX_RECORD: usize = 10 << 20;
/// How long one call that describes the stream may take.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages of 1,000 shards read at most: fifty times the largest stream that AWS lets an account have without asking.
const MOST_PAGES: usize = 1_000;

/// What the hosts of AWS's endpoints end in: those of its public partitions, and their dual-stack ones.
const AWS: [&str; 6] = [
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".amazonaws.eu",
    ".api.aws",
    ".api.amazonwebservices.com.cn",
    ".api.amazonwebservices.eu",
];

/// The stream.
#[derive(Clone, Debug)]
pub struct KinesisStream {
    client: Client,
    signer: Signer,
    bodies: Bodies,
    encoding: Encoding,
    /// Set once an endpoint of AWS's did not understand CBOR, or was not understood, where that was not asked for.
    only_json: Arc<AtomicBool>,
    name: Option<Arc<str>>,
    /// Known from the start where the setting is an ARN, else since the first description. Calls that carry it need no
    /// look-up of the account, and can't hit another account's stream of the same name.
    arn: Arc<OnceLock<String>>,
}

impl KinesisStream {
    /// The stream of these settings.
    #[must_use]
    pub fn new(shared: &SdkConfig, settings: &KinesisSettings) -> Self {
        let config = Config::from(&put::config(shared))
            .to_builder()
            .interceptor(DropSilentConnections)
            .interceptor(ReadCbor)
            .build();
        let arn = OnceLock::new();
        let name = if settings.stream.starts_with("arn:") {
            arn.get_or_init(|| settings.stream.clone());
            None
        } else {
            Some(settings.stream.as_str().into())
        };
        Self {
            client: Client::from_conf(config),
            signer: Signer::new(shared),
            bodies: Bodies::default(),
            encoding: settings.encoding,
            only_json: Arc::default(),
            name,
            arn: Arc::new(arn),
        }
    }

    /// The stream's ARN, or its name where that is all that is known.
    fn target(&self) -> (Option<String>, Option<String>) {
        match self.arn.get() {
            Some(arn) => (Some(arn.clone()), None),
            None => (None, self.name.as_deref().map(str::to_owned)),
        }
    }

    fn encoding(&self) -> Encoding {
        if self.only_json.load(Ordering::Relaxed) { Encoding::Json } else { self.encoding }
    }

    /// What can't be read on one side or the other is not tried again: later calls are in JSON, which everybody speaks.
    fn learn(&self, error: &CallError) {
        let unread = matches!(&*error.code, "cbor" | "SerializationException");
        if unread && self.encoding == Encoding::Auto && !self.only_json.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "calls to Kinesis are in JSON from now on, until the next start");
        }
    }

    async fn summary(&self) -> Result<StreamDescriptionSummary, CallError> {
        let (arn, name) = self.target();
        let output = put::signed(&self.signer, DESCRIBE_TIMEOUT, |timeout| {
            self.client
                .describe_stream_summary()
                .set_stream_arn(arn)
                .set_stream_name(name)
                .customize()
                .config_override(Config::builder().timeout_config(put::limits(timeout)))
                .send()
        })
        .await?;
        output
            .stream_description_summary
            .ok_or_else(|| errors::unreadable("answer", "DescribeStreamSummary answered without a summary".to_owned()))
    }

    async fn open_shards(&self) -> Result<Vec<ShardRange>, CallError> {
        let mut shards = Vec::new();
        let mut next_token = None;
        for _ in 0..MOST_PAGES {
            // A token names the stream and the filter; beside it the service takes neither.
            let first = next_token.is_none();
            let (arn, name) = if first { self.target() } else { (None, None) };
            let filter = first.then(|| ShardFilter::builder().r#type(ShardFilterType::AtLatest).build()).transpose();
            let filter = filter.map_err(errors::unbuildable)?;
            let page = put::signed(&self.signer, DESCRIBE_TIMEOUT, |timeout| {
                self.client
                    .list_shards()
                    .set_stream_arn(arn)
                    .set_stream_name(name)
                    .set_shard_filter(filter)
                    .set_next_token(next_token.take())
                    .customize()
                    .config_override(Config::builder().timeout_config(put::limits(timeout)))
                    .send()
            })
            .await?;
            for shard in page.shards.unwrap_or_default() {
                shards.extend(open_range(&shard)?);
            }
            next_token = page.next_token;
            if next_token.is_none() {
                break;
            }
        }
        shards.sort_by_key(|shard| shard.start);
        if shards.is_empty() {
            return Err(errors::unreadable("no_shards", "the stream has no open shard".to_owned()));
        }
        Ok(shards)
    }
}

/// The range of a shard that is open. (Some emulators list closed ones too.)
fn open_range(shard: &Shard) -> Result<Option<ShardRange>, CallError> {
    if shard.sequence_number_range.as_ref().is_some_and(|range| range.ending_sequence_number.is_some()) {
        return Ok(None);
    }
    let range = shard.hash_key_range.as_ref().and_then(|range| {
        Some((range.starting_hash_key.parse::<u128>().ok()?, range.ending_hash_key.parse::<u128>().ok()?))
    });
    match range {
        Some((start, end)) if start <= end => Ok(Some(ShardRange { id: shard.shard_id.as_str().into(), start, end })),
        _ => Err(errors::unreadable("answer", format!("ListShards gave {} no hash key range", shard.shard_id))),
    }
}

#[async_trait]
impl Wire for KinesisStream {
    async fn put(&self, entries: Vec<Entry>, timeout: Duration) -> Result<Vec<EntryResult>, CallError> {
        let sent = entries.len();
        let (arn, name) = self.target();
        let (member, stream) = if arn.is_some() { ("StreamARN", &arn) } else { ("StreamName", &name) };
        let stream = stream.clone().unwrap_or_default();
        let (bodies, encoding) = (self.bodies.clone(), self.encoding());
        // Written when it is known where the call goes; from then on it stands for the records.
        let (entries, written) = (Mutex::new(entries), Arc::new(OnceLock::new()));
        let body = Arc::clone(&written);
        let output = put::signed(&self.signer, timeout, |timeout| {
            self.client
                .put_records()
                .set_stream_arn(arn)
                .set_stream_name(name)
                .set_records(Some(Vec::new()))
                .customize()
                .mutate_request(move |request| {
                    let write = || {
                        let entries = std::mem::take(&mut *entries.lock().unwrap_or_else(PoisonError::into_inner));
                        write(&bodies, encoding, request.uri(), (member, &stream), &entries)
                    };
                    body.get_or_init(write).replace(request);
                })
                .config_override(Config::builder().timeout_config(put::limits(timeout)))
                .send()
        })
        .await;
        let results = output.and_then(|output| results(&output, sent));
        if let Err(error) = &results
            && written.get().is_some_and(PutBody::is_cbor)
        {
            self.learn(error);
        }
        results
    }
}

/// The body of a call to `uri`.
fn write(bodies: &Bodies, encoding: Encoding, uri: &str, (member, stream): (&str, &str), entries: &[Entry]) -> PutBody {
    let cbor = match encoding {
        Encoding::Cbor => true,
        Encoding::Json => false,
        Encoding::Auto => is_of_aws(uri),
    };
    if cbor { bodies.cbor(member, stream, entries) } else { bodies.json(member, stream, entries) }
}

/// Whether a call goes to AWS itself, through whichever of its endpoints: public, dual-stack, FIPS, or an interface
/// endpoint of a VPC. Emulators don't all read CBOR.
fn is_of_aws(uri: &str) -> bool {
    let Ok(uri) = uri.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    AWS.iter().any(|suffix| host.ends_with(suffix))
}

/// One result for each record sent, by index. A record counts as stored only if the service gave it a sequence number.
fn results(output: &PutRecordsOutput, sent: usize) -> Result<Vec<EntryResult>, CallError> {
    let answered = output.records();
    if answered.len() != sent {
        let message = format!("PutRecords answered {} results for {sent} records", answered.len());
        return Err(errors::unreadable("length_mismatch", message));
    }
    answered
        .iter()
        .map(|record| match (record.error_code(), record.sequence_number(), record.shard_id()) {
            (Some(code), _, _) => Ok(errors::entry_failure(code)),
            (None, Some(_), shard) => Ok(EntryResult::Stored { shard: shard.map(Arc::from) }),
            (None, None, _) => {
                Err(errors::unreadable("answer", "PutRecords gave a record neither a number nor an error".to_owned()))
            }
        })
        .collect()
}

#[async_trait]
impl Describe for KinesisStream {
    async fn describe(&self) -> Result<StreamDescription, CallError> {
        let summary = self.summary().await?;
        let unusable = |failure, message: &str| {
            let message = format!("stream {} {message}", summary.stream_name);
            Err(CallError { failure, code: summary.stream_status.as_str().into(), message })
        };
        match &summary.stream_status {
            StreamStatus::Creating => return unusable(CallFailure::Throttled, "is being created"),
            StreamStatus::Deleting => return unusable(CallFailure::Permanent, "is being deleted"),
            _ => {}
        }
        self.arn.get_or_init(|| summary.stream_arn.clone());
        let on_demand =
            summary.stream_mode_details.as_ref().is_some_and(|mode| mode.stream_mode == AwsStreamMode::OnDemand);
        let max_record = summary.max_record_size_in_kib.and_then(|kib| usize::try_from(kib).ok()).map(|kib| kib << 10);
        Ok(StreamDescription {
            mode: if on_demand { StreamMode::OnDemand } else { StreamMode::Provisioned },
            auto_distribution: summary.record_distribution_strategy == Some(RecordDistributionStrategy::Auto),
            max_record: max_record.filter(|&size| size > 0).unwrap_or(DEFAULT_MAX_RECORD).min(LARGEST_MAX_RECORD),
            shards: self.open_shards().await?,
        })
    }
}

#[cfg(test)]
mod tests;
