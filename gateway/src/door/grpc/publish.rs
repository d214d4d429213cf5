//! `PublishEvents`: one batch, one answer.

use std::sync::{Arc, Weak};

use headgate_proto::v1::PublishEventsResponse;
use hyper::body::Incoming as RequestBody;

use super::Shared;
use super::body::{GrpcBody, framed};
use super::message::{MessageReader, Next, ReadError};
use crate::admission::key_cache::Grant;
use crate::admission::refusal::Refusal;
use crate::door::intake::Admitted;
use crate::door::kill::KillSwitch;
use crate::door::open_calls::OpenCall;
use crate::door::reply::OneReply;
use crate::door::unsent::Unsent;
use crate::event::scan::Envelope;
use crate::ingest::Incoming;
use crate::ingest::verdict::{BatchOutcome, Reply};
use crate::registry::Purpose;

/// The largest answer that is not watched.
const SMALL_ANSWER: usize = 4 << 10;

/// Reads the call's one message, takes it in and waits for its verdicts.
pub(super) async fn publish(
    shared: &Arc<Shared>,
    grant: &Grant,
    mut reader: MessageReader<RequestBody>,
    affinity: usize,
    call: OpenCall,
    clock_skew_ms: Option<i64>,
) -> Result<GrpcBody, Refusal> {
    let arrived = shared.clock.now();
    let app = grant.app();
    let due = arrived + shared.message_timeout;
    // Of many calls at once most wait for a place in their connection's window, and cost memory meanwhile.
    let charged = app.take_call()?;
    let read = async {
        let first = std::future::poll_fn(|cx| reader.poll_next(cx, app)).await;
        let (bytes, permit) = match first.map_err(refusal)? {
            Next::Message { bytes, mut permit } => {
                permit.join_call(charged)?;
                (bytes, permit)
            }
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
    let (message, mut permit) = tokio::time::timeout_at(due.into(), read)
        .await
        .unwrap_or(Err(Refusal::MessageTimeout { limit: shared.message_timeout }))?;
    // The message may have taken its time.
    grant.check(Purpose::SendBatch)?;
    let Admitted { head, policy } =
        shared.admit(app, &message, &mut permit, Envelope::Publish).map_err(|(_, refusal)| refusal)?;
    let reply = Arc::new(OneReply::new());
    shared.intake.take(Incoming {
        app: Arc::clone(app),
        message,
        envelope: Envelope::Publish,
        head,
        flaws: Vec::new(),
        policy,
        permit,
        arrived,
        clock_skew_ms,
        reply: Arc::clone(&reply) as Arc<dyn Reply>,
        token: 0,
        affinity,
    });
    let (outcome, permit) = reply.wait().await;
    let verdict = match outcome {
        BatchOutcome::Settled(verdict) => verdict,
        BatchOutcome::Refused(refusal) => return Err(refusal),
    };
    let answer = framed(&PublishEventsResponse { verdict: Some(verdict) });
    // A small answer fits into any client's window; a large one is watched until it has left.
    let kill = if answer.len() > SMALL_ANSWER { KillSwitch::of_this_call() } else { None };
    let answer = match kill {
        None => answer.into(),
        Some(kill) => {
            let (answer, unsent) = Unsent::new(answer, Some(permit), Some(kill), &shared.clock);
            let unsent: Weak<Unsent> = Arc::downgrade(&unsent);
            shared.slow_readers.add(unsent);
            answer
        }
    };
    Ok(GrpcBody::message(answer, call))
}

fn refusal(error: ReadError) -> Refusal {
    match error {
        ReadError::Protocol(refusal) => refusal,
        // Nobody will read this.
        ReadError::Gone => Refusal::Undecodable { why: "the call was cancelled" },
    }
}
