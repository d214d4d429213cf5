//! A client that sends any bytes in any pieces, for what a well-behaved client would not.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::{Code, Status};

/// The path of the unary call.
pub const PUBLISH: &str = "/headgate.v1.IngestService/PublishEvents";
/// The path of the streaming call.
pub const STREAM: &str = "/headgate.v1.IngestService/StreamEvents";

type Body = StreamBody<std::pin::Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, std::convert::Infallible>> + Send>>>;

/// One HTTP/2 connection.
pub struct RawConnection {
    address: SocketAddr,
    sender: SendRequest<Body>,
}

/// What came back.
#[derive(Debug)]
pub struct RawResponse {
    /// The HTTP status.
    pub http: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The gRPC status, from the headers or the trailers.
    pub status: Option<Status>,
}

impl RawConnection {
    /// Connects.
    ///
    /// # Panics
    /// If that fails.
    pub async fn open(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.expect("the gateway listens");
        socket.set_nodelay(true).expect("a socket has the option");
        let (sender, connection) =
            handshake(TokioExecutor::new(), TokioIo::new(socket)).await.expect("it speaks HTTP/2");
        drop(tokio::spawn(connection));
        Self { address, sender }
    }

    /// A gRPC call with these further headers and these pieces of a body; `open` keeps the body open after them.
    ///
    /// # Errors
    /// If the call or the connection is reset.
    ///
    /// # Panics
    /// If a header is none.
    pub async fn call(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        pieces: Vec<Bytes>,
        open: bool,
    ) -> Result<RawResponse, hyper::Error> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let pieces = stream::iter(pieces).map(|piece| Ok(Frame::data(piece)));
        let body: Body = if open {
            StreamBody::new(Box::pin(pieces.chain(stream::pending())))
        } else {
            StreamBody::new(Box::pin(pieces))
        };
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(body).expect("good headers")).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        let status = Status::from_header_map(&trailers).or_else(|| Status::from_header_map(&head.headers));
        Ok(RawResponse { http: head.status, headers: head.headers, body: body.to_bytes(), status })
    }

    /// A `PublishEvents` call with this body.
    ///
    /// # Panics
    /// If it does not end with a gRPC status.
    pub async fn publish(&mut self, key: &str, headers: &[(&str, &str)], pieces: Vec<Bytes>) -> (Code, Status) {
        let mut all = vec![("content-type", "application/grpc"), ("te", "trailers"), ("x-api-key", key)];
        all.extend_from_slice(headers);
        let response = self.call(Method::POST, PUBLISH, &all, pieces, false).await.expect("the call is answered");
        let status = response.status.expect("a gRPC status");
        (status.code(), status)
    }
}

/// A gRPC message with its prefix.
#[must_use]
pub fn framed(compressed: bool, message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("a test's message is small");
    let mut bytes = vec![u8::from(compressed)];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(message);
    bytes.into()
}
