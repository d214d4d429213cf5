//! Kinesis Data Streams and Firehose as a sender sees them: one call, one answer, nothing repeated.
//!
//! What was written when a call fails is the one thing that matters here (`errors`): a sender that takes "unknown" for
//! "not written" makes duplicates nobody counts, and the reverse loses events.

mod answer;
mod body;
pub(crate) mod errors;
mod firehose;
mod kinesis;
mod put;

pub use firehose::FirehoseStream;
pub use kinesis::KinesisStream;

#[cfg(test)]
mod tests;
