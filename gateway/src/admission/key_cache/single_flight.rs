//! One look-up for any number of askers of one key.
//!
//! The look-up belongs to all who wait for it: when the one who started it goes away, the others carry it on, and it is
//! dropped when the last of them is gone. (moka's own `try_get_with` starts anew each time, and panics after 200 times:
//! anybody who opens calls and cancels them could have that.)

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, FutureExt, Shared, WeakShared};

type Flight<T> = Shared<BoxFuture<'static, T>>;

/// The look-ups under way.
pub(super) struct SingleFlight<K, T: Clone> {
    flights: Arc<Flights<K, T>>,
    next: AtomicU64,
}

struct Flights<K, T: Clone>(Mutex<HashMap<K, Numbered<T>>>);

struct Numbered<T: Clone> {
    number: u64,
    // Weak: the askers own the flight, not the table.
    flight: WeakShared<BoxFuture<'static, T>>,
}

/// Takes a flight off the table when it has ended or was dropped.
struct Landing<K: Eq + Hash, T: Clone> {
    flights: Arc<Flights<K, T>>,
    key: K,
    number: u64,
}

impl<K, T> SingleFlight<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    pub(super) fn new() -> Self {
        Self { flights: Arc::new(Flights(Mutex::new(HashMap::new()))), next: AtomicU64::new(0) }
    }

    /// Joins the look-up of this key that is under way, or starts one. A look-up leaves the table after it has ended:
    /// whatever it wrote down is there for whoever does not find it.
    pub(super) async fn run(&self, key: K, start: impl FnOnce() -> BoxFuture<'static, T>) -> T {
        let flight = self.join_or_start(key, start);
        flight.await
    }

    /// How many are under way.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.flights.lock().len()
    }

    fn join_or_start(&self, key: K, start: impl FnOnce() -> BoxFuture<'static, T>) -> Flight<T> {
        let mut flights = self.flights.lock();
        if let Some(flight) = flights.get(&key).and_then(|numbered| numbered.flight.upgrade()) {
            return flight;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let landing = Landing { flights: Arc::clone(&self.flights), key: key.clone(), number };
        let future = start();
        let flight = async move {
            let _landing = landing;
            future.await
        }
        .boxed()
        .shared();
        if let Some(weak) = flight.downgrade() {
            flights.insert(key, Numbered { number, flight: weak });
        }
        flight
    }
}

impl<K: Eq + Hash, T: Clone> Flights<K, T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Numbered<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, T: Clone> Drop for Landing<K, T> {
    fn drop(&mut self) {
        let landed = {
            let mut flights = self.flights.lock();
            // A dropped flight may have been followed by another one.
            let is_own = flights.get(&self.key).is_some_and(|numbered| numbered.number == self.number);
            if is_own { flights.remove(&self.key) } else { None }
        };
        drop(landed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::Semaphore;

    use super::*;

    struct Counted {
        started: AtomicUsize,
        gate: Semaphore,
    }

    fn counted() -> Arc<Counted> {
        Arc::new(Counted { started: AtomicUsize::new(0), gate: Semaphore::new(0) })
    }

    impl Counted {
        fn look_up(self: &Arc<Self>) -> BoxFuture<'static, usize> {
            let counted = Arc::clone(self);
            async move {
                let number = counted.started.fetch_add(1, Ordering::Relaxed);
                let _passed = counted.gate.acquire().await.expect("the gate stays");
                number
            }
            .boxed()
        }
    }

    #[tokio::test]
    async fn a_cancelled_asker_neither_ends_nor_restarts_what_others_wait_for() {
        let counted = counted();
        let flights = SingleFlight::new();
        let mut askers: Vec<_> = (0..300).map(|_| Box::pin(flights.run("key", || counted.look_up()))).collect();
        for asker in &mut askers {
            assert!(futures_util::poll!(asker.as_mut()).is_pending());
        }
        let last = askers.pop().expect("300 askers");
        drop(askers);
        counted.gate.add_permits(1);
        assert_eq!(last.await, 0);
        assert_eq!(counted.started.load(Ordering::Relaxed), 1);
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn a_look_up_that_nobody_waits_for_leaves_nothing_behind() {
        let counted = counted();
        let flights = SingleFlight::new();
        for key in 0..1_000 {
            let mut asker = Box::pin(flights.run(key, || counted.look_up()));
            assert!(futures_util::poll!(asker.as_mut()).is_pending());
        }
        assert_eq!(flights.len(), 0);
        counted.gate.add_permits(1);
        assert_eq!(flights.run(0, || counted.look_up()).await, 1_000, "the next asker starts a look-up of its own");
    }
}
