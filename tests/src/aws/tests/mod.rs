//! The stand-in over its socket, with the stock SDK for Rust, whose own retries are off.

mod at_timestamp;
mod faults;
mod firehose;
mod kinesis;
mod limits;
mod resharding;

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, Region};
use aws_sdk_kinesis::operation::put_records::PutRecordsOutput;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;

use super::kinesis::StreamSettings;
use super::{Settings, StandIn};

/// Far beyond what any call here takes: to run into it is to have hung.
const PATIENCE: Duration = Duration::from_secs(20);
/// Soon enough for tests that wait for it, late enough for a busy machine.
const IMPATIENCE: Duration = Duration::from_millis(1_500);

/// A stand-in with one stream `s`, and a client of it.
struct House {
    stand_in: StandIn,
    kinesis: aws_sdk_kinesis::Client,
    firehose: aws_sdk_firehose::Client,
}

impl House {
    async fn of(shards: u32) -> Self {
        Self::with(Settings::default(), StreamSettings::new("s", shards), PATIENCE).await
    }

    /// One whose client gives up early.
    async fn with_impatient_client(shards: u32) -> Self {
        Self::with(Settings::default(), StreamSettings::new("s", shards), IMPATIENCE).await
    }

    async fn with(settings: Settings, stream: StreamSettings, attempt: Duration) -> Self {
        let stand_in = StandIn::start(settings).await;
        stand_in.create_stream(stream);
        stand_in.create_delivery_stream("d");
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(attempt).build();
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.clone())
            .endpoint_url(stand_in.endpoint())
            .build();
        let firehose = aws_sdk_firehose::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .endpoint_url(stand_in.endpoint())
            .build();
        Self {
            stand_in,
            kinesis: aws_sdk_kinesis::Client::from_conf(config),
            firehose: aws_sdk_firehose::Client::from_conf(firehose),
        }
    }

    /// Puts records; gives the answer, or the error's code (`none` if there was no answer that had one).
    async fn put(&self, records: Vec<PutRecordsRequestEntry>) -> Result<PutRecordsOutput, String> {
        let call = self.kinesis.put_records().stream_name("s").set_records(Some(records));
        call.send().await.map_err(|error| code(&error))
    }

    /// The data of everything stored, in the order of the shards.
    fn stored(&self) -> Vec<Vec<u8>> {
        self.stand_in.stream("s").shards().iter().flat_map(|shard| &shard.records).map(|r| r.data.to_vec()).collect()
    }
}

fn credentials() -> Credentials {
    Credentials::new("key", "secret", None, None, "tests")
}

fn code<E>(error: &aws_sdk_kinesis::error::SdkError<E>) -> String
where
    E: aws_sdk_kinesis::error::ProvideErrorMetadata,
{
    error.as_service_error().and_then(|error| error.code()).unwrap_or("none").to_owned()
}

fn entry(key: &str, data: impl Into<Vec<u8>>) -> PutRecordsRequestEntry {
    PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data)).build().expect("all is there")
}

fn entry_at(hash_key: u128, data: impl Into<Vec<u8>>) -> PutRecordsRequestEntry {
    let entry = PutRecordsRequestEntry::builder().partition_key("a").explicit_hash_key(hash_key.to_string());
    entry.data(Blob::new(data)).build().expect("all is there")
}

fn entries(count: usize) -> Vec<PutRecordsRequestEntry> {
    (0..count).map(|n| entry(&format!("key-{n}"), format!("data {n}"))).collect()
}

fn failed(output: &PutRecordsOutput) -> Vec<usize> {
    let failed = output.records().iter().enumerate().filter(|(_, entry)| entry.error_code().is_some());
    failed.map(|(place, _)| place).collect()
}
