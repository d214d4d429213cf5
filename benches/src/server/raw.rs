//! tonic with messages that nobody decodes: what its HTTP/2 and its framing cost.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::Map;
use headgate_proto::v1::ingest_service_server::SERVICE_NAME;
use headgate_proto::v1::{PublishEventsResponse, StreamEventsResponse};
use prost::Message;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, StreamingService, UnaryService};
use tonic::{Request, Response, Status, Streaming};
use tower_service::Service;

use super::bare::accepted;

/// Drops every message unread and answers each with the same bytes.
#[derive(Clone)]
pub(super) struct Raw {
    stream: Bytes,
    unary: Bytes,
}

impl Default for Raw {
    fn default() -> Self {
        let verdict = accepted(1);
        let answer = headgate_proto::v1::stream_events_response::Answer::Verdict(verdict.clone());
        let stream = StreamEventsResponse { sequence: 1 << 28, answer: Some(answer) };
        let unary = PublishEventsResponse { verdict: Some(verdict) };
        Self { stream: stream.encode_to_vec().into(), unary: unary.encode_to_vec().into() }
    }
}

impl NamedService for Raw {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<http::Request<Body>> for Raw {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let is_stream = request.uri().path().ends_with("/StreamEvents");
        let Self { stream, unary } = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(Frames);
            Ok(if is_stream {
                grpc.streaming(Answers(stream), request).await
            } else {
                grpc.unary(Answer(unary), request).await
            })
        })
    }
}

struct Answer(Bytes);

impl UnaryService<Unread> for Answer {
    type Response = Bytes;
    type Future = std::future::Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, _request: Request<Unread>) -> Self::Future {
        std::future::ready(Ok(Response::new(self.0.clone())))
    }
}

struct Answers(Bytes);

type Answering = Box<dyn FnMut(Result<Unread, Status>) -> Result<Bytes, Status> + Send>;
type Answered = Map<Streaming<Unread>, Answering>;

impl StreamingService<Unread> for Answers {
    type Response = Bytes;
    type ResponseStream = Answered;
    type Future = std::future::Ready<Result<Response<Answered>, Status>>;

    fn call(&mut self, request: Request<Streaming<Unread>>) -> Self::Future {
        let answer = self.0.clone();
        let answers: Answering = Box::new(move |message| message.map(|Unread| answer.clone()));
        std::future::ready(Ok(Response::new(request.into_inner().map(answers))))
    }
}

/// A message that came whole.
struct Unread;

/// Messages as bytes.
#[derive(Clone, Copy)]
struct Frames;

impl Codec for Frames {
    type Encode = Bytes;
    type Decode = Unread;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Frames {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Frames {
    type Item = Unread;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Unread>, Status> {
        buffer.advance(buffer.remaining());
        Ok(Some(Unread))
    }
}
