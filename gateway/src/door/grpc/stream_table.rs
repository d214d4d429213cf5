//! What is being sent to clients, for whoever has to look at all of it.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Something that waits for its client to read.
pub(super) trait SlowReader: Send + Sync {
    /// Gives it up if nothing of it has left for longer than `patience`. Says whether it did so now.
    fn give_up_after(&self, patience: Duration) -> bool;
}

/// Every open stream's answers. A stream leaves by being dropped.
#[derive(Default)]
pub(super) struct StreamTable {
    streams: Mutex<Vec<Weak<dyn SlowReader>>>,
}

impl StreamTable {
    pub(super) fn add(&self, answers: Weak<dyn SlowReader>) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        // Places of streams that are gone are cleared before the list would grow: it stays within twice what is open.
        if streams.len() == streams.capacity() {
            streams.retain(|stream| stream.strong_count() > 0);
        }
        streams.push(answers);
    }

    /// Gives up each whose client does not read, and says how many.
    pub(super) fn give_up_after(&self, patience: Duration) -> usize {
        let open: Vec<Arc<dyn SlowReader>> = {
            let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            streams.retain(|stream| stream.strong_count() > 0);
            streams.iter().filter_map(Weak::upgrade).collect()
        };
        open.iter().filter(|reader| reader.give_up_after(patience)).count()
    }
}
