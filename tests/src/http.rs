//! Asks the operators' listener of a gateway.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// The answer's status and text.
///
/// # Errors
/// No answer within `patience`, in words.
pub async fn ask(
    method: Method,
    address: SocketAddr,
    path: &str,
    patience: Duration,
) -> Result<(StatusCode, String), String> {
    let asking = async {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request =
            Request::builder().method(method).uri(format!("http://{address}{path}")).body(Empty::<Bytes>::new());
        let request = request.map_err(|error| error.to_string())?;
        let response = client.request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::time::timeout(patience, asking).await.unwrap_or_else(|_| Err(format!("{path}: no answer in {patience:?}")))
}
