//! Asks a gateway's operators' listener to turn the lake's log into Parquet.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use tokio::time::timeout;

use super::super::destination::VerifyError;

/// A report names every segment that failed; no answer of use is longer.
const ANSWER_MAX: usize = 1 << 20;

/// The operators' listener of a gateway.
#[derive(Clone, Debug)]
pub(super) struct Operators(Uri);

/// What a running gateway says of itself in its data folder.
#[derive(Deserialize)]
struct LockFile {
    operate: SocketAddr,
}

/// What the gateway says of a compaction.
#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    failed: Vec<serde_json::Value>,
}

impl fmt::Display for Operators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.authority().map_or("", |authority| authority.as_str()))
    }
}

impl Operators {
    /// The given address, or the one that the gateway of the data folder has written down.
    pub(super) fn find(given: Option<&str>, data: &Path) -> Result<Option<Self>, VerifyError> {
        if let Some(given) = given {
            return Self::parse(given).map(Some);
        }
        let lock = std::fs::read_to_string(data.join("lock")).ok();
        let lock: Option<LockFile> = lock.and_then(|text| serde_json::from_str(&text).ok());
        lock.map(|lock| Self::parse(&lock.operate.to_string())).transpose()
    }

    fn parse(given: &str) -> Result<Self, VerifyError> {
        let refused = |_| VerifyError::Operate(given.to_owned());
        let authority = given.strip_prefix("http://").unwrap_or(given).trim_end_matches('/');
        let uri = Uri::builder().scheme("http").authority(authority).path_and_query("/lake/compact");
        uri.build().map(Self).map_err(refused)
    }

    /// Has everything that was acknowledged by now turned into Parquet.
    ///
    /// # Errors
    /// Why it is not, in words.
    pub(super) async fn compact(&self, within: Duration) -> Result<(), String> {
        let asking = async {
            let client = Client::builder(TokioExecutor::new()).build_http();
            let request = Request::builder().method(Method::POST).uri(self.0.clone()).body(Empty::<Bytes>::new());
            let response = client.request(request.map_err(|error| error.to_string())?).await;
            let response = response.map_err(|error| innermost(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
            let body = body.map_err(|error| error.to_string())?.to_bytes();
            let text = String::from_utf8_lossy(&body);
            if !status.is_success() {
                return Err(format!("it says {status}: {}", text.trim()));
            }
            match serde_json::from_slice(&body) {
                Ok(Report { failed }) if failed.is_empty() => Ok(()),
                Ok(Report { failed }) => Err(format!("{} segments of its log failed: {}", failed.len(), text.trim())),
                Err(error) => Err(format!("its answer can't be read: {error}")),
            }
        };
        timeout(within, asking).await.unwrap_or_else(|_| Err(format!("no answer in {} s", within.as_secs_f64())))
    }
}

/// The cause that says most: "connection refused" rather than "client error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
