//! Event ids: UUIDs of version 7 (RFC 9562, 5.7), so that they sort by time where they are stored.
//!
//! Their 74 random bits are the system's. It is asked for many at once: a system call for each id would cost more than all
//! the rest of an event.

use uuid::{Builder, Uuid};

const RANDOM_LEN: usize = 10;
const IDS_AT_ONCE: usize = 256;

pub(crate) struct Ids {
    random: [[u8; RANDOM_LEN]; IDS_AT_ONCE],
    left: usize,
}

impl Ids {
    /// # Errors
    /// If the system has no random numbers.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut ids = Self { random: [[0; RANDOM_LEN]; IDS_AT_ONCE], left: 0 };
        ids.refill()?;
        Ok(ids)
    }

    /// An id for an event that is taken at this wall time, in milliseconds since 1970-01-01 UTC.
    pub(crate) fn next(&mut self, wall_ms: u64) -> Result<Uuid, getrandom::Error> {
        if self.left == 0 {
            self.refill()?;
        }
        self.left -= 1;
        Ok(Builder::from_unix_timestamp_millis(wall_ms, &self.random[self.left]).into_uuid())
    }

    fn refill(&mut self) -> Result<(), getrandom::Error> {
        getrandom::fill(self.random.as_flattened_mut())?;
        self.left = IDS_AT_ONCE;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_version_7_carry_their_time_and_never_repeat() {
        let mut ids = Ids::new().expect("random numbers");
        let mut seen = HashSet::new();
        for n in 0..(3 * IDS_AT_ONCE as u64) {
            let wall_ms = 1_700_000_000_000 + n / 10;
            let id = ids.next(wall_ms).expect("random numbers");
            assert_eq!(id.get_version_num(), 7);
            let (seconds, nanos) = id.get_timestamp().expect("a time").to_unix();
            assert_eq!(seconds * 1_000 + u64::from(nanos) / 1_000_000, wall_ms);
            assert!(seen.insert(id), "{id} twice");
        }
    }
}
