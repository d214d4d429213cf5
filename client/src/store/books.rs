//! The books: which batches have no end yet, by number, and what the log has of them.

use std::collections::BTreeMap;

use crate::error::LogProblem;

#[derive(Default)]
pub(super) struct Books {
    entries: BTreeMap<u64, Entry>,
    events: u64,
}

/// A number that is not settled.
#[derive(Debug)]
pub(super) struct Entry {
    /// Batches of this number: 1, or more once it was halved.
    parts: u32,
    next_part: u32,
    /// Whether it takes no more events.
    pub(super) sealed: bool,
    /// Whether some of it is still to be handed to the log.
    pub(super) unlogged: bool,
    /// Chunks handed to the log of which it has not been heard.
    pub(super) unheard: u32,
    /// Whether the log has any of it.
    pub(super) written: bool,
    /// Its first events, so many, are on the log for certain.
    pub(super) promised: u32,
    /// Why the log does not have all of it.
    pub(super) problem: Option<LogProblem>,
}

impl Entry {
    fn new(sealed: bool, written: bool) -> Self {
        Self { parts: 1, next_part: 1, sealed, unlogged: false, unheard: 0, written, promised: 0, problem: None }
    }

    /// Whether the log has all of it.
    pub(super) fn is_on_log(&self) -> bool {
        self.sealed && self.written && !self.unlogged && self.unheard == 0 && self.problem.is_none()
    }

    /// Whether nobody was told that it is durable, nor will be.
    pub(super) fn may_be_dropped(&self) -> bool {
        !self.written && !self.unlogged && self.unheard == 0
    }

    /// Whether the log was ever given something of it.
    pub(super) fn was_handed(&self) -> bool {
        self.written || self.unheard > 0 || self.problem.is_some()
    }
}

impl Books {
    /// Events without an end.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// A batch is opened.
    pub(super) fn open(&mut self, number: u64) {
        self.entries.insert(number, Entry::new(false, false));
    }

    /// A batch is found on the log.
    pub(super) fn recover(&mut self, number: u64, events: u64) {
        self.entries.insert(number, Entry::new(true, true));
        self.events += events;
    }

    /// An event is added to a batch.
    pub(super) fn event(&mut self) {
        self.events += 1;
    }

    pub(super) fn get(&self, number: u64) -> Option<&Entry> {
        self.entries.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Entry> {
        self.entries.get_mut(&number)
    }

    /// Another part of a number, beside those that it has.
    pub(super) fn split(&mut self, number: u64) -> u32 {
        let entry = self.entries.entry(number).or_insert_with(|| Entry::new(true, false));
        entry.parts += 1;
        entry.next_part += 1;
        entry.next_part - 1
    }

    /// Some events of a batch have come to their end, but not all.
    pub(super) fn settle_some(&mut self, events: u64) {
        self.events -= events;
    }

    /// The last events of a batch have. The entry, if it was the last batch of its number.
    pub(super) fn settle(&mut self, number: u64, events: u64) -> Option<Entry> {
        self.events -= events;
        let entry = self.entries.get_mut(&number)?;
        entry.parts -= 1;
        if entry.parts > 0 {
            return None;
        }
        self.entries.remove(&number)
    }

    /// The oldest number that is not settled.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.entries.first_key_value().map(|(number, _)| *number)
    }

    /// Why the log lacks something of numbers below this one.
    pub(super) fn problem_below(&self, number: u64) -> Option<LogProblem> {
        self.entries.range(..number).find_map(|(_, entry)| entry.problem)
    }
}
