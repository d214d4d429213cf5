//! What is being sent to clients, for whoever has to look at all of it.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Something that waits for its client to read.
pub(super) trait SlowReader: Send + Sync {
    /// Gives it up if nothing of it has left for longer than `patience`. Says whether it did so now.
    fn give_up_after(&self, patience: Duration) -> bool;
}

/// Everything that is being sent. What has left is dropped, and leaves the table by that.
#[derive(Default)]
pub(super) struct SlowReaders {
    readers: Mutex<Vec<Weak<dyn SlowReader>>>,
}

impl SlowReaders {
    pub(super) fn add(&self, reader: Weak<dyn SlowReader>) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        // Places of those that are gone are cleared before the list would grow: it stays within twice what is open.
        if readers.len() == readers.capacity() {
            readers.retain(|reader| reader.strong_count() > 0);
        }
        readers.push(reader);
    }

    /// Gives up each whose client does not read, and says how many.
    pub(super) fn give_up_after(&self, patience: Duration) -> usize {
        let open: Vec<Arc<dyn SlowReader>> = {
            let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
            readers.retain(|reader| reader.strong_count() > 0);
            readers.iter().filter_map(Weak::upgrade).collect()
        };
        open.iter().filter(|reader| reader.give_up_after(patience)).count()
    }
}
