//! A Firehose delivery stream with Direct PUT as its source: PutRecordBatch.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_firehose::Client;
use aws_sdk_firehose::config::Config;
use aws_sdk_firehose::operation::put_record_batch::PutRecordBatchOutput;
use aws_sdk_firehose::types::{DeliveryStreamStatus, DeliveryStreamType};

use super::body::Bodies;
use super::{errors, put};
use crate::aws::{DropSilentConnections, Signer};
use crate::config::FirehoseSettings;
use crate::delivery::sender::wire::{CallError, CallFailure, Entry, EntryResult, Wire};

/// How long one call that describes the delivery stream may take.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The delivery stream.
#[derive(Clone, Debug)]
pub struct FirehoseStream {
    client: Client,
    signer: Signer,
    bodies: Bodies,
    name: Arc<str>,
}

impl FirehoseStream {
    /// The delivery stream of these settings.
    #[must_use]
    pub fn new(shared: &SdkConfig, settings: &FirehoseSettings) -> Self {
        let config = Config::from(&put::config(shared)).to_builder().interceptor(DropSilentConnections).build();
        // The API takes names only; an ARN ends in one.
        let name = settings.delivery_stream.rsplit('/').next().unwrap_or_default().into();
        Self { client: Client::from_conf(config), signer: Signer::new(shared), bodies: Bodies::default(), name }
    }

    /// Checks that records can be put: the delivery stream is there, is active, and takes them from us.
    ///
    /// # Errors
    /// [`CallError`], in words for an operator.
    pub async fn check(&self) -> Result<(), CallError> {
        let output = put::signed(&self.signer, DESCRIBE_TIMEOUT, |timeout| {
            self.client
                .describe_delivery_stream()
                .delivery_stream_name(&*self.name)
                .limit(1)
                .customize()
                .config_override(Config::builder().timeout_config(put::limits(timeout)))
                .send()
        })
        .await
        .map_err(|error| self.in_words(error))?;
        let Some(stream) = output.delivery_stream_description else {
            return Err(errors::unreadable(
                "answer",
                "DescribeDeliveryStream answered without a description".to_owned(),
            ));
        };
        let unusable = |failure, code: &str, message: &str| {
            Err(CallError { failure, code: code.into(), message: format!("delivery stream {} {message}", self.name) })
        };
        let (status, source) = (&stream.delivery_stream_status, &stream.delivery_stream_type);
        match (status, source) {
            (DeliveryStreamStatus::Creating, _) => {
                unusable(CallFailure::Throttled, status.as_str(), "is being created")
            }
            (DeliveryStreamStatus::Active, DeliveryStreamType::DirectPut) => Ok(()),
            (DeliveryStreamStatus::Active, _) => {
                let message = "does not take records put to it: create one with Direct PUT as its source";
                unusable(CallFailure::Permanent, source.as_str(), message)
            }
            _ => unusable(CallFailure::Permanent, status.as_str(), "is not active"),
        }
    }

    fn in_words(&self, mut error: CallError) -> CallError {
        let name = &self.name;
        match &*error.code {
            "ResourceNotFoundException" => {
                error.message = format!(
                    "there is no delivery stream {name} in this region: create it or change firehose.delivery_stream"
                );
            }
            "AccessDeniedException" => {
                error.message = format!(
                    "allow firehose:DescribeDeliveryStream and firehose:PutRecordBatch on {name}: {}",
                    error.message
                );
            }
            _ => {}
        }
        error
    }
}

#[async_trait]
impl Wire for FirehoseStream {
    async fn put(&self, entries: Vec<Entry>, timeout: Duration) -> Result<Vec<EntryResult>, CallError> {
        let sent = entries.len();
        let body = self.bodies.json("DeliveryStreamName", &self.name, &entries);
        drop(entries);
        let output = put::signed(&self.signer, timeout, |timeout| {
            self.client
                .put_record_batch()
                .delivery_stream_name(&*self.name)
                .set_records(Some(Vec::new()))
                .customize()
                .mutate_request(move |request| body.replace(request))
                .config_override(Config::builder().timeout_config(put::limits(timeout)))
                .send()
        })
        .await?;
        results(&output, sent)
    }
}

/// One result for each record sent, by index. A record counts as stored only if the service gave it an id.
fn results(output: &PutRecordBatchOutput, sent: usize) -> Result<Vec<EntryResult>, CallError> {
    let answered = output.request_responses();
    if answered.len() != sent {
        let message = format!("PutRecordBatch answered {} results for {sent} records", answered.len());
        return Err(errors::unreadable("length_mismatch", message));
    }
    answered
        .iter()
        .map(|record| match (record.error_code(), record.record_id()) {
            (Some(code), _) => Ok(errors::entry_failure(code)),
            (None, Some(_)) => Ok(EntryResult::Stored { shard: None }),
            (None, None) => {
                Err(errors::unreadable("answer", "PutRecordBatch gave a record neither an id nor an error".to_owned()))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
