//! Reads answers and holds the server to them: every event accepted, nothing else.

use bytes::{Buf, Bytes, BytesMut};
use headgate_proto::v1::stream_events_response::Answer;
use headgate_proto::v1::{BatchVerdict, PublishEventsResponse, StreamEventsResponse};
use http::HeaderMap;
use prost::Message;

use super::otlp::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use crate::Result;

const PREFIX: usize = 5;

/// gRPC messages out of pieces of a body.
#[derive(Default)]
pub(super) struct Messages {
    rest: BytesMut,
    chunk: Bytes,
}

impl Messages {
    /// Adds a piece. The messages of the piece before must all have been taken.
    pub(super) fn push(&mut self, chunk: Bytes) {
        if self.rest.is_empty() {
            self.chunk = chunk;
        } else {
            self.rest.extend_from_slice(&chunk);
            self.chunk = self.rest.split().freeze();
        }
    }

    /// The next whole message.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        let whole = self.chunk.get(1..PREFIX).and_then(|length| {
            let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            (self.chunk.len() >= PREFIX + length).then_some(length)
        });
        let Some(length) = whole else {
            self.rest.extend_from_slice(&std::mem::take(&mut self.chunk));
            return None;
        };
        self.chunk.advance(PREFIX);
        Some(self.chunk.split_to(length))
    }
}

/// Checks an answer on a stream; notices are no answers and count nothing.
pub(super) fn check_stream(message: Bytes, batch: u32) -> Result<u32> {
    Ok(accepted_sequence(message, batch)?.map_or(0, |_| batch))
}

/// The sequence of the batch that an answer on a stream accepts; `None`: it is a notice.
pub(super) fn accepted_sequence(message: Bytes, batch: u32) -> Result<Option<u64>> {
    let StreamEventsResponse { sequence, answer } = StreamEventsResponse::decode(message)?;
    match answer {
        Some(Answer::Verdict(verdict)) => check(&verdict, batch).map(|_| Some(sequence)),
        Some(Answer::Notice(_)) => Ok(None),
        Some(Answer::Refusal(status)) => {
            Err(format!("a batch was refused: {} ({})", status.message, status.code).into())
        }
        None => Err("an answer says nothing".into()),
    }
}

/// Checks the answer of a call.
pub(super) fn check_unary(message: Bytes, batch: u32) -> Result<u32> {
    let verdict = PublishEventsResponse::decode(message)?.verdict.ok_or("an answer holds no verdict")?;
    check(&verdict, batch)
}

/// Checks the answer of an OTLP export.
pub(super) fn check_otlp(message: Bytes, batch: u32) -> Result<u32> {
    match ExportLogsServiceResponse::decode(message)?.partial_success {
        Some(ExportLogsPartialSuccess { rejected_log_records, error_message })
            if rejected_log_records > 0 || !error_message.is_empty() =>
        {
            Err(format!("{rejected_log_records} of {batch} log records were rejected: {error_message}").into())
        }
        _ => Ok(batch),
    }
}

fn check(verdict: &BatchVerdict, batch: u32) -> Result<u32> {
    if verdict.accepted == batch {
        return Ok(batch);
    }
    Err(format!("{} of {batch} events were accepted: {:?}", verdict.accepted, verdict.not_accepted.first()).into())
}

/// Checks a call's status, in headers or trailers.
pub(super) fn check_status(headers: &HeaderMap) -> Result<()> {
    match headers.get("grpc-status").map(http::HeaderValue::as_bytes) {
        Some(b"0") => Ok(()),
        None => Err("a call ended without a status".into()),
        Some(status) => {
            let message = headers.get("grpc-message").map_or(&b""[..], http::HeaderValue::as_bytes);
            let [status, message] = [status, message].map(String::from_utf8_lossy);
            Err(format!("a call ended with status {status}: {message}").into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(message: &impl Message) -> Vec<u8> {
        let body = message.encode_to_vec();
        let mut framed = vec![0];
        framed.extend_from_slice(&u32::try_from(body.len()).expect("fits").to_be_bytes());
        framed.extend_from_slice(&body);
        framed
    }

    fn answer(sequence: u64, accepted: u32) -> StreamEventsResponse {
        let verdict = BatchVerdict { accepted, ..BatchVerdict::default() };
        StreamEventsResponse { sequence, answer: Some(Answer::Verdict(verdict)) }
    }

    #[test]
    fn messages_come_whole_however_they_are_cut() {
        let bytes: Vec<u8> = (1..=20).flat_map(|sequence| framed(&answer(sequence << 40, 7))).collect();
        for piece in [1, 3, 5, 17, 64, bytes.len()] {
            let mut messages = Messages::default();
            let mut accepted = 0;
            for chunk in bytes.chunks(piece) {
                messages.push(Bytes::copy_from_slice(chunk));
                while let Some(message) = messages.take() {
                    accepted += check_stream(message, 7).expect("accepted");
                }
            }
            assert_eq!(accepted, 140, "in pieces of {piece}");
        }
    }

    #[test]
    fn anything_but_acceptance_is_an_error() {
        assert!(check_stream(answer(1, 6).encode_to_vec().into(), 7).is_err());
        let refusal = headgate_proto::v1::Status { code: 8, ..headgate_proto::v1::Status::default() };
        let refused = StreamEventsResponse { sequence: 1, answer: Some(Answer::Refusal(refusal)) };
        assert!(check_stream(refused.encode_to_vec().into(), 7).is_err());
        assert!(check_unary(Bytes::new(), 7).is_err());
        assert!(check_status(&HeaderMap::new()).is_err());
    }
}
