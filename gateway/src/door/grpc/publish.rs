//! `PublishEvents`: one batch, one answer.

use std::sync::Arc;

use headgate_proto::v1::PublishEventsResponse;
use hyper::body::Incoming as RequestBody;

use super::Shared;
use super::answers::OneReply;
use super::body::GrpcBody;
use super::message::{MessageReader, Next, ReadError};
use crate::admission::key_cache::Grant;
use crate::admission::refusal::Refusal;
use crate::ingest::Incoming;
use crate::ingest::scan::Envelope;
use crate::ingest::verdict::{BatchOutcome, Reply};

/// Reads the call's one message, takes it in and waits for its verdicts.
pub(super) async fn publish(
    shared: &Arc<Shared>,
    grant: &Grant,
    mut reader: MessageReader<RequestBody>,
    affinity: usize,
) -> Result<GrpcBody, Refusal> {
    let arrived = shared.clock.now();
    let app = grant.app();
    let due = arrived + shared.message_timeout;
    let read = async {
        let first = std::future::poll_fn(|cx| reader.poll_next(cx, app)).await;
        let (bytes, permit) = match first.map_err(refusal)? {
            Next::Message { bytes, permit } => (bytes, permit),
            Next::Refused { refusal, .. } => return Err(refusal),
            Next::End => return Err(Refusal::Undecodable { why: "the call holds no message" }),
        };
        match std::future::poll_fn(|cx| reader.poll_next(cx, app)).await.map_err(refusal)? {
            Next::End => Ok((bytes, permit)),
            Next::Message { .. } | Next::Refused { .. } => {
                Err(Refusal::Undecodable { why: "the call holds more than one message" })
            }
        }
    };
    let (message, permit) = tokio::time::timeout_at(due.into(), read)
        .await
        .unwrap_or(Err(Refusal::MessageTimeout { limit: shared.message_timeout }))?;
    let head = shared.admit(app, &message, Envelope::Publish).map_err(|(_, refusal)| refusal)?;
    let reply = Arc::new(OneReply::new());
    shared.ingest.take(Incoming {
        app: Arc::clone(app),
        message,
        envelope: Envelope::Publish,
        head,
        permit,
        arrived,
        reply: Arc::clone(&reply) as Arc<dyn Reply>,
        token: 0,
        affinity,
    });
    let (outcome, _permit) = reply.wait().await;
    match outcome {
        BatchOutcome::Settled(verdict) => Ok(GrpcBody::message(&PublishEventsResponse { verdict: Some(verdict) })),
        BatchOutcome::Refused(refusal) => Err(refusal),
    }
}

fn refusal(error: ReadError) -> Refusal {
    match error {
        ReadError::Protocol(refusal) => refusal,
        // Nobody will read this.
        ReadError::Gone => Refusal::Undecodable { why: "the call was cancelled" },
    }
}
