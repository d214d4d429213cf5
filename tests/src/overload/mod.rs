//! What happens when more comes than can be taken: capacity is found by offering ever more, then twice as much is offered,
//! and what is still stored, how fast the rest is refused, and how much memory it takes are measured against the bars.

mod batch;
mod calls;
pub mod case;
pub mod charge;
pub mod fleet;
pub mod house;
pub mod neighbour;
pub mod samples;
mod streams;

/// Bytes that a process may grow by beyond its budget.
pub const SLACK: u64 = 64 << 20;
