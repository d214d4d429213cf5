//! `PublishEvents`: one batch, one answer.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use headgate_proto::v1::PublishEventsResponse;
use http_body::Body;

use super::Shared;
use super::body::{GrpcBody, framed};
use super::message::{MessageReader, Next, ReadError};
use crate::admission::app::App;
use crate::admission::budget::Permit;
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
use crate::metrics::CounterHandle;
use crate::registry::Purpose;

/// The largest answer that is not watched.
const SMALL_ANSWER: usize = 4 << 10;

/// A batch's answer, framed, with the bytes of the budget that the batch holds.
pub(super) struct Answer {
    pub(super) framed: Vec<u8>,
    pub(super) permit: Permit,
}

impl Answer {
    /// Whether it fits into any client's window. One that does not is watched until it has left.
    pub(super) fn is_small(&self) -> bool {
        self.framed.len() <= SMALL_ANSWER
    }

    /// As the body of a call of gRPC.
    pub(super) fn into_body(self, shared: &Shared, call: OpenCall) -> GrpcBody {
        if self.is_small() {
            return GrpcBody::message(self.framed.into(), call);
        }
        let (answer, unsent) = Unsent::new(self.framed, Some(self.permit), KillSwitch::of_this_call(), &shared.clock);
        let unsent: Weak<Unsent> = Arc::downgrade(&unsent);
        shared.slow_readers.add(unsent);
        GrpcBody::message(answer, call)
    }
}

/// Reads the call's one message, takes it in and waits for its verdicts. `batches` counts it where it is admitted.
pub(super) async fn publish<B>(
    shared: &Arc<Shared>,
    grant: &Grant,
    mut reader: MessageReader<B>,
    affinity: usize,
    clock_skew_ms: Option<i64>,
    batches: Option<&CounterHandle>,
) -> Result<Answer, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let arrived = shared.clock.now();
    let app = grant.app();
    let due = arrived + shared.message_timeout;
    // Of many calls at once most wait for a place in their connection's window, and cost memory meanwhile.
    let charged = app.take_call()?;
    let read = read_one(&mut reader, app, charged);
    let (message, mut permit) = tokio::time::timeout_at(due.into(), read)
        .await
        .unwrap_or(Err(Refusal::MessageTimeout { limit: shared.message_timeout }))?;
    // The message may have taken its time.
    grant.check(Purpose::SendBatch)?;
    let Admitted { head, policy } =
        shared.admit(app, &message, &mut permit, Envelope::Publish).map_err(|(_, refusal)| refusal)?;
    if let Some(batches) = batches {
        batches.inc();
    }
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
    Ok(Answer { framed: framed(&PublishEventsResponse { verdict: Some(verdict) }), permit })
}

/// Reads the one message of a call, which was charged for before it came.
pub(super) async fn read_one<B>(
    reader: &mut MessageReader<B>,
    app: &App,
    charged: Permit,
) -> Result<(Bytes, Permit), Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
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
}

fn refusal(error: ReadError) -> Refusal {
    match error {
        ReadError::Protocol(refusal) => refusal,
        // Nobody will read this, but for senders of gRPC-Web's text that is no Base64.
        ReadError::Gone => Refusal::Undecodable { why: "its body breaks off" },
    }
}
