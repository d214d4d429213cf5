//! Batches as they are: what is written to the stream is a sequence and the bytes that the events were encoded to when
//! they came.

use bytes::BufMut;
use headgate_proto::v1::StreamEventsResponse;
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::store::Outgoing;
use crate::wire::sequence_field;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BatchCodec;

impl Codec for BatchCodec {
    type Encode = Outgoing;
    type Decode = StreamEventsResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        Self
    }

    fn decoder(&mut self) -> Self::Decoder {
        Self
    }
}

impl Encoder for BatchCodec {
    type Item = Outgoing;
    type Error = Status;

    fn encode(&mut self, batch: Outgoing, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let (sequence, len) = sequence_field(batch.sequence);
        out.reserve(len + batch.events.len());
        out.put_slice(&sequence[..len]);
        out.put_slice(&batch.events);
        Ok(())
    }
}

impl Decoder for BatchCodec {
    type Item = StreamEventsResponse;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<StreamEventsResponse>, Status> {
        let answer = StreamEventsResponse::decode(from);
        answer.map(Some).map_err(|error| Status::internal(format!("an answer can't be decoded: {error}")))
    }
}
