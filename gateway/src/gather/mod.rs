//! Gathers accepted events into buckets, each of which travels to its destination as one piece.
//!
//! A lane holds one open bucket. A bucket closes when the next event would not fit or when its linger is over; closed,
//! it is handed to a [`BucketSink`] with its [`Ticket`], through which the destination says what became of it. Nothing
//! waits here without bound: what is gathered is held by the byte budget that admission took for it.

mod bucket;
mod in_flight;
mod lane;
#[cfg(test)]
pub(crate) mod testing;
mod ticket;

pub use bucket::{BucketId, BucketSink, ClosedBucket, Packing};
pub use in_flight::{Fate, InFlight};
pub use lane::{Lanes, OpenLane};
pub use ticket::{EventRange, FailureReason, Outcome, Ticket, Waiter};
