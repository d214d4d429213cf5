//! What the gateway does, done the usual way: prost's messages, serde_json's values, a record built for each event.
//!
//! It checks the same rules, makes the same records and takes the MD5 of what it made of a batch; it has no dedupe, no keys,
//! no rates and no budget.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use headgate_proto::v1::ingest_service_server::IngestService;
use headgate_proto::v1::stream_events_response::Answer;
use headgate_proto::v1::{
    BatchVerdict, Event, EventVerdict, PublishEventsRequest, PublishEventsResponse, Reason, StreamEventsRequest,
    StreamEventsResponse, VerdictCode,
};
use md5::{Digest, Md5};
use serde::Serialize;
use serde_json::Value;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use crate::Result;

/// Checks events and makes records of them, which it drops.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usual {
    application_id: Uuid,
}

impl Default for Usual {
    fn default() -> Self {
        Self { application_id: Uuid::new_v4() }
    }
}

/// The stream record's shape.
#[derive(Serialize)]
struct Record<'a> {
    event: RecordEvent<'a>,
    aws_ga_api_validated_flag: bool,
    #[serde(rename = "aws_ga_api_requestId")]
    request_id: &'a str,
    #[serde(rename = "aws_ga_api_requestTimeEpoch")]
    request_time: u64,
    application_id: Uuid,
}

#[derive(Serialize)]
struct RecordEvent<'a> {
    event_id: Uuid,
    event_type: &'a str,
    event_name: &'a str,
    event_timestamp: f64,
    #[serde(skip_serializing_if = "str::is_empty")]
    event_version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    app_version: &'a str,
    event_data: Value,
}

impl Usual {
    fn take(&self, events: &[Event]) -> BatchVerdict {
        let request_id = Uuid::new_v4().to_string();
        let mut verdict = BatchVerdict::default();
        let mut records = Vec::new();
        for (index, event) in (0..).zip(events) {
            match self.record(event, &request_id) {
                Ok(record) => {
                    records.extend_from_slice(&record);
                    records.push(b'\n');
                    verdict.accepted += 1;
                }
                Err(error) => {
                    verdict.rejected += 1;
                    verdict.not_accepted.push(EventVerdict {
                        index,
                        code: VerdictCode::Rejected.into(),
                        reason: Reason::Malformed.into(),
                        message: error.to_string(),
                        ..EventVerdict::default()
                    });
                }
            }
        }
        std::hint::black_box(Md5::digest(&records));
        verdict
    }

    #[allow(clippy::cast_precision_loss, reason = "the usual way: a timestamp as a JSON number")]
    fn record(&self, event: &Event, request_id: &str) -> Result<Vec<u8>> {
        let names = [&event.event_type, &event.event_name, &event.event_version, &event.app_version];
        let fine = |name: &String| {
            name.len() <= 256 && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        if event.event_type.is_empty() || event.event_name.is_empty() || !names.into_iter().all(fine) {
            return Err("a name breaks a rule".into());
        }
        let timestamp = event.event_timestamp.ok_or("event_timestamp is required")?;
        let event_data: Value = serde_json::from_slice(&event.event_data)?;
        if !event_data.is_object() {
            return Err("event_data is not a JSON object".into());
        }
        let record = Record {
            event: RecordEvent {
                event_id: Uuid::try_parse(&event.event_id)?,
                event_type: &event.event_type,
                event_name: &event.event_name,
                event_timestamp: timestamp.seconds as f64 + f64::from(timestamp.nanos) / 1e9,
                event_version: &event.event_version,
                app_version: &event.app_version,
                event_data,
            },
            aws_ga_api_validated_flag: true,
            request_id,
            request_time: 1_790_000_000_000,
            application_id: self.application_id,
        };
        Ok(serde_json::to_vec(&record)?)
    }
}

#[tonic::async_trait]
impl IngestService for Usual {
    async fn publish_events(
        &self,
        request: Request<PublishEventsRequest>,
    ) -> std::result::Result<Response<PublishEventsResponse>, Status> {
        let verdict = self.take(&request.into_inner().events);
        Ok(Response::new(PublishEventsResponse { verdict: Some(verdict) }))
    }

    type StreamEventsStream = BoxStream<'static, std::result::Result<StreamEventsResponse, Status>>;

    async fn stream_events(
        &self,
        request: Request<Streaming<StreamEventsRequest>>,
    ) -> std::result::Result<Response<Self::StreamEventsStream>, Status> {
        let this = *self;
        let answers = request.into_inner().map(move |request| {
            let StreamEventsRequest { sequence, events } = request?;
            Ok(StreamEventsResponse { sequence, answer: Some(Answer::Verdict(this.take(&events))) })
        });
        Ok(Response::new(answers.boxed()))
    }
}
