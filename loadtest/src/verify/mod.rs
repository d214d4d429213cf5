//! Asks the destination whether every acknowledged event is there.
//!
//! The answer is exact, and its memory is bounded however many events there are: ids are collected in sorted runs, past
//! [`AT_ONCE`] of them in temporary files, and held against what the run expects range by range. An acknowledged event
//! counts as missing only after everything that the destination had was read; [`Verified::notes`] say where it may still
//! be.

#[cfg(feature = "verify-lake")]
mod compare;
#[cfg(feature = "verify-lake")]
mod destination;
#[cfg(feature = "aws")]
mod kinesis;
#[cfg(feature = "verify-lake")]
pub mod lake;
#[cfg(feature = "verify-lake")]
mod pile;

#[cfg(feature = "verify-lake")]
pub use compare::compare;
#[cfg(feature = "verify-lake")]
pub use destination::{Destination, Options, Progress, Verified, VerifyError, verify};

use crate::record::Ids;

/// Ids in memory at a time, 16 bytes each: 128 MiB.
#[cfg(feature = "verify-lake")]
pub const AT_ONCE: usize = 8 << 20;

/// What the gateway said of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is stored: it has to be at the destination.
    Acknowledged,
    /// It breaks a rule: it may not be at the destination.
    Rejected,
    /// Nothing for certain: it may be at the destination.
    Undecided,
}

/// What a run expects of its destination.
pub trait Expectation: Send + Sync {
    /// Calls `each` with the id of every event that was sent and how it ended, in any order but each id once. May be
    /// called several times, and says the same each time.
    fn visit(&self, each: &mut dyn FnMut(u128, End));
}

impl Expectation for Ids {
    fn visit(&self, each: &mut dyn FnMut(u128, End)) {
        let ends = [
            (&self.acknowledged, End::Acknowledged),
            (&self.rejected, End::Rejected),
            (&self.undecided, End::Undecided),
        ];
        for (ids, end) in ends {
            for id in ids {
                each(*id, end);
            }
        }
    }
}
