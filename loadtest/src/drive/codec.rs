//! Sends frames that are complete already: tonic makes the calls and reads the answers, and what it would encode is
//! replaced by the frames as they are, so that no event is copied on the way to the socket.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http_body::Frame;
use http_body_util::StreamBody;
use prost::Message;
use tonic::Status;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tower_service::Service;

/// A channel for one call, whose body these frames are.
pub(super) struct Framed {
    channel: Channel,
    body: Option<Body>,
}

impl Framed {
    pub(super) fn new(channel: Channel, frames: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        let body = Body::new(StreamBody::new(frames.map(|frame| Ok::<_, Infallible>(Frame::data(frame)))));
        Self { channel, body: Some(body) }
    }
}

impl Service<http::Request<Body>> for Framed {
    type Response = <Channel as Service<http::Request<Body>>>::Response;
    type Error = <Channel as Service<http::Request<Body>>>::Error;
    type Future = <Channel as Service<http::Request<Body>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let body = self.body.take();
        self.channel.call(request.map(|encoded| body.unwrap_or(encoded)))
    }
}

/// Reads `T`s; there is nothing left to write.
pub(super) struct FramedCodec<T>(PhantomData<T>);

impl<T> Default for FramedCodec<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + Default + Send + 'static> Codec for FramedCodec<T> {
    type Encode = ();
    type Decode = T;
    type Encoder = Nothing;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        Nothing
    }

    fn decoder(&mut self) -> Self::Decoder {
        Self::default()
    }
}

pub(super) struct Nothing;

impl Encoder for Nothing {
    type Item = ();
    type Error = Status;

    fn encode(&mut self, (): (), _: &mut EncodeBuf<'_>) -> Result<(), Status> {
        Ok(())
    }
}

impl<T: Message + Default> Decoder for FramedCodec<T> {
    type Item = T;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<T>, Status> {
        T::decode(from).map(Some).map_err(|error| Status::internal(format!("answer can't be decoded: {error}")))
    }
}
