//! Ids of requests: unique, cheap, and meaningless outside the process that gave them.

use std::sync::atomic::{AtomicU64, Ordering};

use headgate_proto::request_id::lower_half;
use uuid::Uuid;

use crate::event::id::{self, IdText};

/// Gives out ids: random bits of this process and a count, as version 8 UUIDs. A random UUID a batch would cost a system
/// call.
pub(super) struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        Ok(Self { process: getrandom::u64()?, next: AtomicU64::new(0) })
    }

    /// The next id, and its count. The id says by how many milliseconds the client's clock is ahead, where that is known.
    pub(super) fn next(&self, clock_skew_ms: Option<i64>) -> (u64, IdText) {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let bits = u128::from(self.process) << 64 | u128::from(lower_half(count, clock_skew_ms));
        (count, id::text(Uuid::new_v8(bits.to_be_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_within_and_between_processes() {
        let (one, other) = (RequestIds::new().expect("randomness"), RequestIds::new().expect("randomness"));
        let ids = [one.next(None).1, one.next(Some(0)).1, one.next(None).1, other.next(None).1, other.next(Some(0)).1];
        for (position, id) in ids.iter().enumerate() {
            assert!(!ids[..position].contains(id), "{ids:?}");
        }
    }

    #[test]
    fn an_id_says_how_far_the_clients_clock_is_off() {
        let ids = RequestIds::new().expect("randomness");
        for skew in [None, Some(-1_500), Some(0), Some(1_500)] {
            let (_, text) = ids.next(skew);
            assert_eq!(headgate_proto::request_id::clock_skew_ms(id::as_str(&text)), skew);
        }
    }
}
