//! Which buckets are on their way, and which did not arrive. The dedupe window stores only a bucket's number for an
//! event; what that means for a resend is asked here.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;

use super::bucket::BucketId;
use super::ticket::{EventRange, Outcome, Ticket, Waiter, Waiters};

/// What became of a bucket, for a resend of one of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Stored: the resend is a duplicate.
    Stored,
    /// Not stored, or nobody knows: the resend is a new event.
    Failed,
    /// Still on its way: the resend was attached and shares the outcome.
    Shared,
}

/// Buckets that are open or sent and have no outcome yet, and those that failed.
#[derive(Default)]
pub struct InFlight {
    next: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    pending: HashMap<BucketId, Arc<Waiters>>,
    failed: BTreeSet<BucketId>,
}

impl InFlight {
    /// A table with nothing in flight.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Opens a bucket: its number, the list to attach to and the ticket to settle.
    pub(super) fn open(self: &Arc<Self>) -> (BucketId, Arc<Waiters>, Ticket) {
        let waiters = Arc::new(Waiters::new());
        let id = {
            // Under the lock: a number is never out of the table and yet taken.
            let mut table = self.lock();
            let id = BucketId(self.next.fetch_add(1, Ordering::Relaxed));
            table.pending.insert(id, Arc::clone(&waiters));
            id
        };
        let ticket = Ticket::new(id, Arc::clone(&waiters), Arc::clone(self));
        (id, waiters, ticket)
    }

    /// The number that the next bucket has.
    pub fn next_id(&self) -> BucketId {
        BucketId(self.next.load(Ordering::Relaxed))
    }

    /// Asks for a bucket's fate; if it is still on its way, `waiter` is told when it is known.
    pub fn share(&self, id: BucketId, waiter: &Arc<dyn Waiter>, range: EventRange) -> Fate {
        let waiters = {
            let table = self.lock();
            match table.pending.get(&id) {
                Some(waiters) => Arc::clone(waiters),
                None if table.failed.contains(&id) => return Fate::Failed,
                None => return Fate::Stored,
            }
        };
        waiters.attach(Arc::clone(waiter), range);
        Fate::Shared
    }

    /// How many buckets have no outcome yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().pending.len()
    }

    /// Whether nothing is on its way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets the failures of buckets that nobody refers to any more. `oldest_referred` looks through the dedupe window.
    ///
    /// An id may be put down for an open bucket while the window is looked through, so the buckets that are open now, and
    /// those still to come, count as referred to, too.
    pub fn trim_failures(&self, oldest_referred: impl FnOnce() -> Option<BucketId>) {
        let floor = {
            let table = self.lock();
            if table.failed.is_empty() {
                return;
            }
            let next = self.next_id();
            table.pending.keys().copied().min().map_or(next, |open| open.min(next))
        };
        let oldest = oldest_referred().map_or(floor, |referred| referred.min(floor));
        let mut table = self.lock();
        table.failed = table.failed.split_off(&oldest);
    }

    /// How many failed buckets are remembered.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.lock().failed.len()
    }

    pub(super) fn remove(&self, id: BucketId, outcome: &Outcome) {
        let mut table = self.lock();
        match outcome {
            Outcome::Stored => {}
            Outcome::NotStored { .. } | Outcome::Unknown { .. } => {
                table.failed.insert(id);
            }
        }
        table.pending.remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
