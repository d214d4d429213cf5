//! Gathers accepted events into buckets, each of which travels to its destination as one piece.
//!
//! A lane holds one open bucket. A bucket closes when the next event would not fit or when its linger is over; closed,
//! it is handed to a [`BucketSink`] with its [`Ticket`], through which the destination says what became of it. Nothing
//! waits here without bound: what is gathered is held by the byte budget that admission took for it.

mod bucket;
mod in_flight;
mod lane;
mod lanes;
mod order;
mod pace;
mod packing;
mod shard_map;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod ticket;
mod writer;

pub use bucket::{BucketId, BucketSink, ClosedBucket};
pub use in_flight::{Fate, InFlight};
pub use lanes::{Lanes, LanesParts};
pub use order::{LaneHold, LaneOrder};
pub use packing::{Format, Packing, Spread};
pub use shard_map::{ShardRange, hash_key};
pub use ticket::{EventRange, FailureReason, Outcome, Ticket, Waiter, Witness};
pub use writer::LaneWriter;
