//! Response bodies of the gRPC door.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use http_body::{Body, SizeHint};
use prost::Message;
use tonic::Status;

use super::stream::StreamBody;
use crate::door::open_calls::OpenCall;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// A response's body.
pub enum GrpcBody {
    /// Nothing: the status is in the headers.
    Empty,
    /// One message and the status.
    Unary(Option<Bytes>, Option<HeaderMap>, OpenCall),
    /// A stream's answers.
    Stream(Box<StreamBody>),
    /// Whatever a service of tonic's answers.
    Tonic(tonic::body::Body),
}

impl GrpcBody {
    /// One framed message and an OK.
    pub fn message(framed: Bytes, call: OpenCall) -> Self {
        // The status alone: an OK has no message and no details.
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
        Self::Unary(Some(framed), Some(trailers), call)
    }
}

/// A message with gRPC's prefix: not compressed, and its length.
pub fn framed(message: &impl Message) -> Vec<u8> {
    let length = message.encoded_len();
    let mut framed = Vec::with_capacity(5 + length);
    framed.push(0);
    framed.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    // A vector grows: encoding into it can't run out of room.
    let _ = message.encode(&mut framed);
    framed
}

/// A status as trailers.
pub fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(3);
    // Fails only for a message that can't be a header, which tonic percent-encodes.
    let _ = status.add_header(&mut trailers);
    trailers
}

impl Body for GrpcBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Unary(message, trailers, _) => {
                let frame = match message.take() {
                    Some(message) => Some(Frame::data(message)),
                    None => trailers.take().map(Frame::trailers),
                };
                Poll::Ready(frame.map(Ok))
            }
            Self::Stream(stream) => stream.poll_frame(cx),
            Self::Tonic(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Unary(message, trailers, _) => message.is_none() && trailers.is_none(),
            Self::Stream(_) => false,
            Self::Tonic(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Tonic(body) => body.size_hint(),
            Self::Unary(..) | Self::Stream(_) => SizeHint::default(),
        }
    }
}
