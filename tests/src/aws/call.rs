//! One call, from its head to its answer, with the faults that are set for it in between.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};

use super::answer::{Answer, AnswerBody};
use super::error::{Refusal, Service};
use super::faults::Ending;
use super::link::Link;
use super::parse::{Body, Encoding, Target};
use super::state::State;
use super::tally::Doubt;
use super::{firehose, forward, kinesis};

/// A full call of 10 MiB is 14 MiB in base64; with the longest keys, escaped, it stays below this.
const BODY_MAX: usize = 32 << 20;

/// A call that has run.
pub(super) struct Done {
    pub(super) answer: Answer,
    /// There if something was stored.
    pub(super) doubt: Option<Doubt>,
}

impl From<Answer> for Done {
    fn from(answer: Answer) -> Self {
        Self { answer, doubt: None }
    }
}

/// Answers a request, or does not, as the faults will have it.
pub(super) async fn answer(
    state: Arc<State>,
    link: Arc<Link>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    let busy = link.begin();
    link.set_last_commit(None);
    let id = state.next_request();
    if request.method() == Method::GET && request.uri().path() == "/tally" {
        return Ok(Answer::json(&state.tally()).whole(busy, None, id));
    }
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let Some((service, operation)) = Service::of_target(target) else {
        return Ok(Refusal::unknown_operation(target).answer().whole(busy, None, id));
    };
    let operation = operation.to_owned();
    let target = target.to_owned();
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let encoding = Encoding::of(content_type);
    state.books.call(service, &operation);
    if state.faults.before_reading(service, &operation, link.reused()) {
        link.reset();
        return pending().await;
    }
    let Some(bytes) = read(request.into_body()).await else {
        return Ok(Refusal::too_large().answer().encoded(encoding).whole(busy, None, id));
    };
    let body = Body { bytes, encoding };
    let plan = state.faults.for_call(service, &operation, || Target::of(&body));
    if plan.hang {
        return pending().await;
    }
    if let Some(error) = plan.error {
        let refusal = error.refusal(service);
        state.books.refused(service, refusal.kind);
        return Ok(refusal.answer().encoded(encoding).whole(busy, None, id));
    }
    if let Some(emulator) = state.settings.dynamodb.filter(|_| service == Service::DynamoDb) {
        return Ok(forward::forward(emulator, &target, body.bytes).await.whole(busy, None, id));
    }
    let withheld = plan.withheld;
    let done = match plan.late {
        None => run(&state, service, &operation, body, withheld),
        // On its own, because what a service has accepted it commits, whether or not the client is still there.
        Some(delay) => {
            let state = Arc::clone(&state);
            let late = tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                run(&state, service, &operation, body, withheld)
            });
            late.await.expect("a call does not panic")
        }
    };
    let answer = done.answer.encoded(encoding);
    // A client sends its next call on this connection once it has the answer to this one.
    link.set_last_commit(done.doubt.as_ref().and_then(Doubt::commit));
    if let Some(delay) = plan.slow {
        tokio::time::sleep(delay).await;
    }
    Ok(match plan.ending {
        // Whoever gets an answer of the wrong length cannot tell which of the records it speaks of.
        Ending::Whole if withheld > 0 => answer.whole(busy, None, id),
        Ending::Whole => answer.whole(busy, done.doubt, id),
        Ending::Cut => answer.cut(busy, link, id),
        Ending::Never => {
            drop(done.doubt);
            return pending().await;
        }
        Ending::Reset => {
            drop(done.doubt);
            link.reset();
            return pending().await;
        }
    })
}

/// The whole body in one piece; none if it is too large. One that breaks off never returns: its client has gone.
async fn read(mut body: Incoming) -> Option<Bytes> {
    let announced = hyper::body::Body::size_hint(&body).exact().unwrap_or_default();
    let mut whole = Vec::with_capacity(usize::try_from(announced).ok().filter(|bytes| *bytes <= BODY_MAX)?);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return pending().await };
        if let Some(data) = frame.data_ref() {
            whole.extend_from_slice(data);
        }
        if whole.len() > BODY_MAX {
            return None;
        }
    }
    Some(whole.into())
}

fn run(state: &State, service: Service, operation: &str, body: Body, withheld: usize) -> Done {
    let puts = matches!(operation, "PutRecords" | "PutRecord");
    let done = match service {
        Service::Kinesis if body.encoding == Encoding::Cbor && !puts => Err(Refusal::only_puts_in_cbor(operation)),
        Service::Firehose if body.encoding == Encoding::Cbor => Err(Refusal::only_puts_in_cbor(operation)),
        Service::Kinesis => kinesis::run(state, operation, &body, withheld),
        Service::Firehose => firehose::run(state, operation, &body, withheld),
        Service::DynamoDb => Err(Refusal::unknown_operation(operation)),
    };
    done.unwrap_or_else(|refusal| {
        state.books.refused(service, refusal.kind);
        refusal.answer().into()
    })
}
