//! Passes DynamoDB's calls on to an emulator of it, so that one endpoint has every service that a gateway calls, and faults
//! can be set for all of them alike.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::answer::Answer;

/// The emulator's answer; 503 where it has none.
pub(super) async fn forward(emulator: SocketAddr, target: &str, body: Bytes) -> Answer {
    match ask(emulator, target, body).await {
        Ok((status, body)) => Answer::bytes(body.to_vec()).with_status(status),
        Err(_) => Answer::bytes(Vec::new()).with_status(StatusCode::SERVICE_UNAVAILABLE),
    }
}

async fn ask(
    emulator: SocketAddr,
    target: &str,
    body: Bytes,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://{emulator}/"))
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", target)
        // The emulator takes any; it wants to see that there is one.
        .header("authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/dynamodb/aws4_request")
        .body(Full::new(body))?;
    let response = client.request(request).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}
