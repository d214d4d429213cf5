//! The open streams, for whoever has to look at all of them.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::answers::Answers;

/// Every open stream's answers. A stream leaves by being dropped.
#[derive(Default)]
pub(super) struct StreamTable {
    streams: Mutex<Vec<Weak<Answers>>>,
}

impl StreamTable {
    pub(super) fn add(&self, answers: &Arc<Answers>) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        // Places of streams that are gone are cleared before the list would grow: it stays within twice what is open.
        if streams.len() == streams.capacity() {
            streams.retain(|stream| stream.strong_count() > 0);
        }
        streams.push(Arc::downgrade(answers));
    }

    /// Gives up each stream whose answers have waited for longer than `patience`.
    pub(super) fn give_up_after(&self, patience: Duration) {
        let open: Vec<_> = {
            let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            streams.retain(|stream| stream.strong_count() > 0);
            streams.iter().filter_map(Weak::upgrade).collect()
        };
        for answers in open {
            if answers.give_up_after(patience) {
                tracing::debug!("gave up a stream whose client reads no answers");
            }
        }
    }
}
