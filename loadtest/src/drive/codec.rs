//! Sends batches that are already encoded: the codec writes what stands before the events and copies the rest.

use std::marker::PhantomData;

use bytes::{BufMut, Bytes};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// A request whose events are encoded already.
pub(super) struct Request {
    /// The sequence of a stream's request; none for a unary one.
    pub(super) sequence: Option<u64>,
    pub(super) events: Bytes,
}

/// Writes [`Request`]s, reads `T`s.
pub(super) struct EncodedCodec<T>(PhantomData<T>);

impl<T> Default for EncodedCodec<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + Default + Send + 'static> Codec for EncodedCodec<T> {
    type Encode = Request;
    type Decode = T;
    type Encoder = RequestEncoder;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        RequestEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        Self::default()
    }
}

pub(super) struct RequestEncoder;

impl Encoder for RequestEncoder {
    type Item = Request;
    type Error = Status;

    fn encode(&mut self, request: Request, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(request.events.len() + 11);
        if let Some(sequence) = request.sequence {
            encode_key(1, WireType::Varint, out);
            encode_varint(sequence, out);
        }
        out.put(request.events);
        Ok(())
    }
}

impl<T: Message + Default> Decoder for EncodedCodec<T> {
    type Item = T;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<T>, Status> {
        T::decode(from).map(Some).map_err(|error| Status::internal(format!("answer can't be decoded: {error}")))
    }
}
