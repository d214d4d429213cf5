//! One HTTP/2 connection, and the head of a call on it.

use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::net::TcpStream;

use super::answers::check_status;
use super::{Call, Protocol, Target};
use crate::Result;

const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

/// A connection and the handle that sends calls on it. The connection has to be polled for anything to happen.
pub(super) struct Open {
    pub(super) connection: Connection<TcpStream, Bytes>,
    pub(super) calls: SendRequest<Bytes>,
}

pub(super) async fn open(target: &Target) -> Result<Open> {
    let socket = TcpStream::connect(target.address).await?;
    socket.set_nodelay(true)?;
    let (calls, connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        // Only until the server's own limit arrives.
        .initial_max_send_streams(1_000)
        .handshake(socket)
        .await?;
    Ok(Open { connection, calls })
}

/// Runs `work` on the connection; its end is the connection's.
pub(super) async fn drive(
    mut connection: Connection<TcpStream, Bytes>,
    work: impl Future<Output = Result<()>>,
) -> Result<()> {
    let mut work = std::pin::pin!(work);
    poll_fn(|cx| {
        // The work first, so that what it sends leaves in the same turn.
        if let Poll::Ready(result) = work.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        match std::pin::Pin::new(&mut connection).poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Err("the server closed the connection".into())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// The head of a call.
pub(super) fn head(target: &Target, call: Call) -> Result<Request<()>> {
    let method = match (target.protocol, call) {
        (Protocol::Otlp, _) => "opentelemetry.proto.collector.logs.v1.LogsService/Export",
        (_, Call::Stream) => "headgate.v1.IngestService/StreamEvents",
        (_, Call::Unary) => "headgate.v1.IngestService/PublishEvents",
    };
    let request = Request::post(format!("http://{}/{method}", target.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-api-key", target.key.clone())
        .body(())?;
    Ok(request)
}

/// The body of a response that goes on; a status in the headers is the end of a call that was refused.
pub(super) fn body(response: Response<RecvStream>) -> Result<RecvStream> {
    if response.status() != StatusCode::OK {
        return Err(format!("a call was answered with HTTP status {}", response.status()).into());
    }
    if response.headers().contains_key("grpc-status") {
        check_status(response.headers())?;
    }
    Ok(response.into_body())
}

/// The next piece of a body; its window is given back.
pub(super) async fn next_chunk(body: &mut RecvStream) -> Result<Option<Bytes>> {
    let Some(chunk) = body.data().await else { return Ok(None) };
    let chunk = chunk?;
    body.flow_control().release_capacity(chunk.len())?;
    Ok(Some(chunk))
}

/// The end of a call, after its last piece.
pub(super) async fn end(body: &mut RecvStream) -> Result<()> {
    match body.trailers().await {
        Ok(trailers) => check_status(&trailers.unwrap_or_else(HeaderMap::new)),
        // A server may stop reading once it has answered everything (RFC 9113, 8.1).
        Err(error) if error.reason() == Some(Reason::NO_ERROR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
