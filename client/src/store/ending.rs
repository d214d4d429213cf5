//! Flushing and closing: what is waited for, and what is left.

use super::Store;
use super::books::Entry;
use crate::batch::Batch;
use crate::failure::Undelivered;
use crate::wire;

impl Store {
    /// Closes the open batch and gives the number below which everything has to be settled.
    pub(crate) fn begin_flush(&mut self) -> u64 {
        self.seal();
        self.next_number
    }

    /// Whether everything below this number has come to its end.
    pub(crate) fn is_settled_below(&self, number: u64) -> bool {
        self.books.oldest().is_none_or(|oldest| oldest >= number)
    }

    /// What below this number has not come to its end.
    pub(crate) fn undelivered_below(&self, number: u64) -> Undelivered {
        let flying = self.flights.values().map(|flight| &flight.batch);
        let waiting = self.queue.values().chain(self.resting.values()).chain(&self.loading);
        let mut batches: Vec<&Batch> = flying.chain(waiting).filter(|batch| batch.id.number < number).collect();
        batches.sort_unstable_by_key(|batch| batch.id);
        let mut undelivered = Undelivered::default();
        for batch in batches {
            let entry = self.books.get(batch.id.number);
            match &batch.body {
                Some(body) if !entry.is_some_and(Entry::is_on_log) => {
                    // Of a batch that the log has in part, its first events are on it. Of a part of a batch nobody knows.
                    let promised = entry.filter(|_| batch.whole).map_or(0, |entry| entry.promised);
                    let bytes: usize = wire::events(body).take(promised as usize).map(|one| one.whole.len()).sum();
                    undelivered.on_log += u64::from(promised);
                    undelivered.events += u64::from(batch.events - promised);
                    undelivered.batches.push(body.slice(bytes..));
                }
                _ => undelivered.on_log += u64::from(batch.events),
            }
        }
        undelivered
    }
}
