//! `POST /applications/{application_id}/events`: one batch, one answer.
//!
//! A batch is taken whole or not at all: one event that breaks a rule, and nothing is stored. With `?partial=true` the
//! good events are taken and the others answered as errors.

use std::sync::{Arc, Weak};

use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use headgate_proto::v1::{BatchVerdict, VerdictCode};
use http::{HeaderMap, StatusCode, header};
use uuid::Uuid;

use super::Shared;
use super::answer::of_json;
use super::batch::{self, Batch};
use super::body::Reading;
use super::failure::Failure;
use super::shapes::OfApplication;
use crate::admission::budget::Permit;
use crate::admission::key_cache::Grant;
use crate::admission::refusal::Refusal;
use crate::door::client_clock;
use crate::door::connection::LeaveSignal;
use crate::door::intake::Admitted;
use crate::door::kill::KillSwitch;
use crate::door::reply::OneReply;
use crate::door::unsent::Unsent;
use crate::event::scan::Envelope;
use crate::event::validate::Invalid;
use crate::ingest::Incoming;
use crate::ingest::verdict::{BatchOutcome, Reply};
use crate::registry::Purpose;

/// The error of an event that breaks a rule.
const REJECTED: &str = "BadRequest";
/// The error of an event that is not stored and may be sent again: Kinesis's own, as the AWS solution passes it on.
const RETRY: &str = "ProvisionedThroughputExceededException";
/// The error of an event of which nobody knows: Kinesis's own.
const UNKNOWN: &str = "InternalFailure";

/// Why a batch has no verdicts.
enum Refused {
    /// One of the reasons of every door.
    By(Refusal),
    /// The body is no batch; says where it stops being one.
    NoBatch(String),
}

/// The application, where it is known, and why its batch is refused.
type RefusedOf = (Option<Uuid>, Refused);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::By(refusal)
    }
}

/// Reads the batch, takes it in and waits for its verdicts.
pub(super) async fn publish(
    State(shared): State<Arc<Shared>>,
    path: OfApplication,
    request: Request,
) -> Result<Response, Failure> {
    match admit(&shared, &path, request).await {
        Ok((answer, permit)) => Ok(of_json(StatusCode::OK, sent(&shared, answer, Some(permit)))),
        Err((application, Refused::By(refusal))) => Err(shared.refused(application, &refusal)),
        Err((application, Refused::NoBatch(why))) => {
            let refusal = Refusal::Undecodable { why: "the body is no batch of events in JSON" };
            shared.intake.refused(application, &refusal);
            Err(Failure::bad_request(why))
        }
    }
}

/// The key first: whoever has none learns nothing else and costs nothing else.
async fn admit(shared: &Shared, path: &OfApplication, request: Request) -> Result<(Vec<u8>, Permit), RefusedOf> {
    let key = presented_key(request.headers()).map_err(|refusal| (None, refusal.into()))?;
    let admitted = shared.intake.authenticate(key).await;
    let grant = admitted.map_err(|(application, refusal)| (application, refusal.into()))?;
    let application = grant.app().id();
    take(shared, path, &grant, request).await.map_err(|refused| (Some(application), refused))
}

async fn take(
    shared: &Shared,
    path: &OfApplication,
    grant: &Grant,
    request: Request,
) -> Result<(Vec<u8>, Permit), Refused> {
    let app = grant.app();
    if path.id() != Some(app.id()) {
        return Err(Refusal::OtherApplication.into());
    }
    grant.check(Purpose::SendBatch)?;
    let (parts, body) = request.into_parts();
    let leave = parts.extensions.get::<Arc<LeaveSignal>>().map(Arc::clone).ok_or(Refusal::Internal)?;
    let arrived = shared.clock.now();
    let clock_skew_ms = client_clock::skew_ms(&parts.headers, &shared.clock);
    let reading = Reading { limit: shared.max_body, timeout: shared.body_timeout, leave };
    let (body, mut permit) = reading.batch(&parts.headers, body, app).await?;
    let batch = read(&body, shared.max_batch)?;
    drop(body);
    // The body may have taken its time.
    grant.check(Purpose::SendBatch)?;
    let message = Bytes::from(batch.message);
    let admitted = shared.intake.admit(app, &message, &mut permit, Envelope::Publish);
    let Admitted { head, policy } = admitted.map_err(|(_, refusal)| refusal)?;
    if !is_partial(parts.uri.query()) {
        let checked = shared.intake.check(app, policy.as_deref(), &message, &batch.flaws);
        checked.map_err(|(index, invalid)| invalid_event(index, &invalid, batch.unknown_field.as_ref()))?;
    }
    let reply = Arc::new(OneReply::new());
    shared.intake.take(Incoming {
        app: Arc::clone(app),
        message,
        envelope: Envelope::Publish,
        head,
        flaws: batch.flaws,
        policy,
        permit,
        arrived,
        clock_skew_ms,
        reply: Arc::clone(&reply) as Arc<dyn Reply>,
        token: 0,
        affinity: shared.intake.next_affinity(),
    });
    let (outcome, permit) = reply.wait().await;
    match outcome {
        BatchOutcome::Settled(verdict) => Ok((answer(head.events, &verdict), permit)),
        BatchOutcome::Refused(refusal) => Err(refusal.into()),
    }
}

/// The key in a request: bare in `Authorization`, as the AWS solution has it, or in `x-api-key`. A scheme word is passed
/// over: a key holds no blank.
pub(super) fn presented_key(headers: &HeaderMap) -> Result<&str, Refusal> {
    let value = headers.get(header::AUTHORIZATION).or_else(|| headers.get("x-api-key")).ok_or(Refusal::KeyMissing)?;
    let text = value.to_str().map_err(|_| Refusal::KeyMalformed)?.trim();
    match text.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => Ok(key.trim()),
        _ => Ok(text),
    }
}

fn read(body: &[u8], max_batch: u32) -> Result<Batch, Refused> {
    let text = simdutf8::basic::from_utf8(body).map_err(|_| Refused::NoBatch("the body is not UTF-8".to_owned()))?;
    let batch = batch::read(text, max_batch).map_err(|error| Refused::NoBatch(error.to_string()))?;
    if batch.events > max_batch {
        return Err(Refusal::BatchTooLarge { events: batch.events, limit: max_batch }.into());
    }
    Ok(batch)
}

fn is_partial(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair == "partial=true"))
}

/// Says which event, which field and what is wrong.
fn invalid_event(index: u32, invalid: &Invalid, unknown_field: Option<&(u32, String)>) -> Refusal {
    let problem = match unknown_field {
        Some((of, name)) if *of == index => format!("{name:?} is no field of an event"),
        _ => invalid.to_string(),
    };
    Refusal::InvalidEvent { index, problem }
}

/// `{"Total", "FailedRecordCount", "Events"}`, one result for each event in the batch's order.
fn answer(total: u32, verdict: &BatchVerdict) -> Vec<u8> {
    const OK: &str = r#"{"Result":"Ok"}"#;
    let failed = verdict.not_accepted.len();
    let mut answer = format!(r#"{{"Total":{total},"FailedRecordCount":{failed},"Events":["#);
    answer.reserve(total as usize * (OK.len() + 1) + failed * 64);
    let mut not_accepted = verdict.not_accepted.iter().peekable();
    for index in 0..total {
        if index > 0 {
            answer.push(',');
        }
        match not_accepted.next_if(|event| event.index == index) {
            None => answer.push_str(OK),
            Some(event) => {
                let code = match event.code() {
                    VerdictCode::Rejected => REJECTED,
                    VerdictCode::Retry => RETRY,
                    VerdictCode::Unknown | VerdictCode::Accepted | VerdictCode::Unspecified => UNKNOWN,
                };
                answer.push_str(r#"{"Result":"Error","ErrorCode":""#);
                answer.push_str(code);
                answer.push_str(r#""}"#);
            }
        }
    }
    answer.push_str("]}");
    answer.into_bytes()
}

/// An answer that holds its batch's bytes of the budget until it has left.
pub(super) fn sent(shared: &Shared, answer: Vec<u8>, permit: Option<Permit>) -> Bytes {
    let (bytes, unsent) = Unsent::new(answer, permit, KillSwitch::of_this_call(), &shared.clock);
    let unsent: Weak<Unsent> = Arc::downgrade(&unsent);
    shared.slow_readers.add(unsent);
    bytes
}

#[cfg(test)]
mod tests {
    use headgate_proto::v1::EventVerdict;
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_key_comes_bare_or_in_its_own_header() {
        let presented = |headers: &[(&'static str, &'static str)]| {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            presented_key(&headers).map(str::to_owned)
        };
        assert_eq!(presented(&[("authorization", "KEY==")]).as_deref(), Ok("KEY=="));
        assert_eq!(presented(&[("authorization", " KEY ")]).as_deref(), Ok("KEY"));
        assert_eq!(presented(&[("authorization", "Bearer KEY")]).as_deref(), Ok("KEY"));
        assert_eq!(presented(&[("x-api-key", "KEY")]).as_deref(), Ok("KEY"));
        assert_eq!(presented(&[("x-api-key", "OTHER"), ("authorization", "KEY")]).as_deref(), Ok("KEY"));
        assert_eq!(presented(&[]), Err(Refusal::KeyMissing));
    }

    #[test]
    fn every_event_has_its_result_in_the_order_of_the_request() {
        let verdict = |index, code: VerdictCode| EventVerdict { index, code: code.into(), ..EventVerdict::default() };
        let verdict = BatchVerdict {
            accepted: 2,
            not_accepted: vec![
                verdict(0, VerdictCode::Retry),
                verdict(2, VerdictCode::Unknown),
                verdict(3, VerdictCode::Rejected),
            ],
            ..BatchVerdict::default()
        };
        let error = |code: &str| format!(r#"{{"Result":"Error","ErrorCode":"{code}"}}"#);
        let expected = format!(
            r#"{{"Total":5,"FailedRecordCount":3,"Events":[{},{{"Result":"Ok"}},{},{},{{"Result":"Ok"}}]}}"#,
            error("ProvisionedThroughputExceededException"),
            error("InternalFailure"),
            error("BadRequest")
        );
        assert_eq!(String::from_utf8_lossy(&answer(5, &verdict)), expected);
    }

    #[test]
    fn only_who_asks_for_it_gets_a_part() {
        assert!(is_partial(Some("partial=true")) && is_partial(Some("a=b&partial=true")));
        for query in [None, Some(""), Some("partial=false"), Some("partial"), Some("xpartial=true")] {
            assert!(!is_partial(query), "{query:?}");
        }
    }
}
