//! A client of the REST API that shows everything of an answer, and the oracle's events as REST clients send them.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use headgate_proto::v1::{BatchVerdict, Event, EventVerdict, VerdictCode};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// An answer that does not come within this time does not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of one gateway.
#[derive(Clone, Debug)]
pub struct RestClient {
    address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct RestAnswer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl RestAnswer {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header's text; empty where it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The status and the code of an error.
    #[must_use]
    pub fn error(&self) -> (u16, String) {
        (self.status.as_u16(), self.json()["error"].as_str().unwrap_or_default().to_owned())
    }
}

impl RestClient {
    /// Of HTTP/1.1.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Of HTTP/2, by prior knowledge.
    #[must_use]
    pub fn http2(address: SocketAddr) -> Self {
        Self { address, client: Client::builder(TokioExecutor::new()).http2_only(true).build_http() }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// No answer, in words.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<RestAnswer, String> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).map_err(|error| error.to_string())?;
        let asking = async {
            let response = self.client.request(request).await.map_err(|error| format!("{error:?}"))?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok(RestAnswer {
                status: head.status,
                headers: head.headers,
                text: String::from_utf8_lossy(&body).into_owned(),
            })
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| Err(format!("{path}: no answer")))
    }

    /// Sends a request that must be answered.
    ///
    /// # Panics
    /// If it is not.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> RestAnswer {
        match self.try_send(method.clone(), path, headers, body).await {
            Ok(answer) => answer,
            Err(problem) => panic!("{method} {path}: {problem}"),
        }
    }

    /// Posts a batch with a key.
    pub async fn post(&self, path: &str, key: &str, body: impl Into<Bytes>) -> RestAnswer {
        self.send(Method::POST, path, &[("authorization", key), ("content-type", "application/json")], body).await
    }
}

/// Events as a REST client sends them.
#[must_use]
pub fn body(events: &[Event]) -> String {
    let events: Vec<String> = events.iter().map(event).collect();
    format!(r#"{{"events":[{}]}}"#, events.join(","))
}

/// An event as a REST client sends it: `event_data` as it is, everything else where there is something.
#[must_use]
pub fn event(event: &Event) -> String {
    let mut fields = vec![
        format!(r#""event_id":"{}""#, event.event_id),
        format!(r#""event_type":"{}""#, event.event_type),
        format!(r#""event_name":"{}""#, event.event_name),
    ];
    if let Some(timestamp) = &event.event_timestamp {
        let fraction = if timestamp.nanos == 0 { String::new() } else { format!(".{:09}", timestamp.nanos) };
        fields.push(format!(r#""event_timestamp":{}{fraction}"#, timestamp.seconds));
    }
    for (name, text) in [("event_version", &event.event_version), ("app_version", &event.app_version)] {
        if !text.is_empty() {
            fields.push(format!(r#""{name}":"{text}""#));
        }
    }
    if !event.event_data.is_empty() {
        fields.push(format!(r#""event_data":{}"#, String::from_utf8_lossy(&event.event_data)));
    }
    format!("{{{}}}", fields.join(","))
}

/// An answer's results as the verdict that the oracle takes.
///
/// # Panics
/// If it is not of the API's shape, or its counts do not add up.
#[must_use]
pub fn verdict(answer: &RestAnswer) -> BatchVerdict {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let json = answer.json();
    let results = json["Events"].as_array().unwrap_or_else(|| panic!("no Events in {json}"));
    let mut verdict = BatchVerdict::default();
    for (index, result) in (0_u32..).zip(results) {
        let code = match (result["Result"].as_str(), result["ErrorCode"].as_str()) {
            (Some("Ok"), None) => {
                verdict.accepted += 1;
                continue;
            }
            (Some("Error"), Some("BadRequest")) => {
                verdict.rejected += 1;
                VerdictCode::Rejected
            }
            (Some("Error"), Some("ProvisionedThroughputExceededException")) => {
                verdict.retry += 1;
                VerdictCode::Retry
            }
            (Some("Error"), Some("InternalFailure")) => {
                verdict.unknown += 1;
                VerdictCode::Unknown
            }
            _ => panic!("event {index} is answered by {result}"),
        };
        verdict.not_accepted.push(EventVerdict { index, code: code.into(), ..EventVerdict::default() });
    }
    assert_eq!(json["Total"].as_u64(), Some(results.len() as u64), "{json}");
    assert_eq!(json["FailedRecordCount"].as_u64(), Some(verdict.not_accepted.len() as u64), "{json}");
    verdict
}
