//! The stream record: the JSON line in which one event travels to its destination, the shape of AWS's Game Analytics
//! Pipeline.
//!
//! [`MeasuredRecord`] is made for every event and neither allocates nor checks: what it is given was validated before.
//! [`read_record`] is as strict as AWS's own consumers: a key that is not in the shape is an error, and so is a missing
//! one. What one writes the other reads back without loss, to the nanosecond. [`split_record`] is for lines whose origin
//! is known. Where many are kept together and read by nobody else, as in the lake's own log, they are packed
//! ([`MeasuredRecord::pack`], [`Unpacker`]).

mod packed;
mod read;
mod split;
mod timestamp;
mod write;

pub use packed::{UnpackError, Unpacked, Unpacker, unpack_lines};
pub use read::{Record, RecordError, RecordEvent, read_record};
pub use split::{SplitRecord, Splitter, split_record};
pub use timestamp::{TimestampError, TimestampText, parse_timestamp};
pub use write::{EventFields, MeasuredRecord, RecordTail, record_len, write_record};

#[cfg(test)]
mod tests;
