//! Where the rows of known keys are, so that keys in use are read again by their primary keys.
//!
//! What is asked for is kept, however much it is: a readable key of the AWS solution can't be found by its hash, so
//! forgetting its place would end it. Only rows that exist have a place, so nobody can fill the memory with guesses.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::clock::Clock;
use crate::registry::KeyHash;

/// Keys in use are asked for every few seconds (`admission.key_refresh` is at most 4 s); what nobody asked for so long
/// may go, once there are many.
const IN_USE: Duration = Duration::from_secs(60);

/// The primary key of a row of authorizations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) api_key: Uuid,
    pub(super) application: Uuid,
}

pub(super) struct Places {
    known: Mutex<Known>,
    // So many may be known before those out of use go.
    many: usize,
    clock: Clock,
}

struct Known {
    places: HashMap<KeyHash, (Place, Instant)>,
    sweep_at: usize,
}

impl Places {
    pub(super) fn new(keys_cached: u64, clock: Clock) -> Self {
        let many = usize::try_from(keys_cached.saturating_mul(2)).unwrap_or(usize::MAX).max(1_024);
        Self { known: Mutex::new(Known { places: HashMap::new(), sweep_at: many }), many, clock }
    }

    /// Where a key's row was seen.
    pub(super) fn get(&self, hash: &KeyHash) -> Option<Place> {
        let now = self.clock.now();
        let mut known = self.lock();
        let (place, asked_at) = known.places.get_mut(hash)?;
        *asked_at = now;
        Some(*place)
    }

    pub(super) fn put(&self, hash: KeyHash, place: Place) {
        let now = self.clock.now();
        let mut known = self.lock();
        known.places.insert(hash, (place, now));
        if known.places.len() > known.sweep_at {
            known.places.retain(|_, (_, asked_at)| now.saturating_duration_since(*asked_at) < IN_USE);
            // Twice what is in use, so that a sweep is paid for by as many insertions.
            known.sweep_at = self.many.max(known.places.len().saturating_mul(2));
        }
    }

    /// A key's row is gone, or is another key's now.
    pub(super) fn forget(&self, hash: &KeyHash) {
        self.lock().places.remove(hash);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_lately_is_never_forgotten() {
        let places = Places::new(10, Clock::system());
        let place = |number| Place { api_key: Uuid::from_u128(number), application: Uuid::nil() };
        for number in 0..5_000 {
            places.put(KeyHash::of(&number.to_string()), place(number));
        }
        assert!((0..5_000).all(|number| places.get(&KeyHash::of(&number.to_string())) == Some(place(number))));
        places.forget(&KeyHash::of("7"));
        assert_eq!(places.get(&KeyHash::of("7")), None);
    }
}
