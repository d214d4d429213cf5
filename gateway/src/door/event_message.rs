//! Writes a `PublishEventsRequest` field by field, for doors whose wire is another one: what they were sent is turned into
//! the message that every batch travels in from there on.

use prost::encoding::{encode_varint, encoded_len_varint};

/// `PublishEventsRequest.events`, of a length.
const EVENTS_TAG: u8 = 1 << 3 | 2;

/// Begins an event of `len` bytes; its fields follow.
pub(super) fn begin_event(len: usize, out: &mut Vec<u8>) {
    out.push(EVENTS_TAG);
    encode_varint(len as u64, out);
}

/// Writes a field of bytes, whose number is below 16. One without bytes is not written.
pub(super) fn put_bytes(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.is_empty() {
        out.push(number << 3 | 2);
        encode_varint(bytes.len() as u64, out);
        out.extend_from_slice(bytes);
    }
}

/// The length of such a field, with its tag and its length.
pub(super) fn bytes_len(bytes: &[u8]) -> usize {
    if bytes.is_empty() { 0 } else { 1 + encoded_len_varint(bytes.len() as u64) + bytes.len() }
}

/// Writes `Event.event_timestamp`.
pub(super) fn put_timestamp(timestamp: (i64, u32), out: &mut Vec<u8>) {
    let (seconds, nanos) = timestamp;
    out.push(4 << 3 | 2);
    encode_varint(inner_len(timestamp) as u64, out);
    out.push(1 << 3);
    encode_varint(seconds.cast_unsigned(), out);
    out.push(2 << 3);
    encode_varint(u64::from(nanos), out);
}

/// The length of that field. A timestamp takes less than 128 bytes: its length is one of them.
pub(super) fn timestamp_len(timestamp: (i64, u32)) -> usize {
    2 + inner_len(timestamp)
}

fn inner_len((seconds, nanos): (i64, u32)) -> usize {
    2 + encoded_len_varint(seconds.cast_unsigned()) + encoded_len_varint(u64::from(nanos))
}
