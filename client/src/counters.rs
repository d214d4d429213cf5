//! What a client has done so far.

use headgate_proto::v1::Reason;

/// Counts since the client was built, and how things stand. Every event that was taken has one end or is pending:
///
/// `accepted + recovered = acknowledged + rejected() + refused + dropped + unreadable + pending`
///
/// An event that the gateway had already is acknowledged like any other: it does not tell which they are. Of `resent`
/// events some were stored before; no more than `resent` can be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Events taken from the caller, those included that were dropped.
    pub accepted: u64,
    /// Events that an earlier process left on the log.
    pub recovered: u64,
    /// Events put on a stream, each time.
    pub sent: u64,
    /// Of those, the ones that had been put on a stream before.
    pub resent: u64,
    /// Events stored.
    pub acknowledged: u64,
    /// Events that break a rule, by rule; those that were never broken are not listed.
    pub rejected: Vec<(Reason, u64)>,
    /// Events in batches that the gateway refused for good.
    pub refused: u64,
    /// Events dropped because memory was full.
    pub dropped: u64,
    /// Events of batches that the log could not give back.
    pub unreadable: u64,
    /// Of the acknowledged events, those that do not fit a schema in mode `warn`.
    pub warned: u64,
    /// How often an event's outcome was unknown, and it was sent again.
    pub unknown: u64,
    /// How often a batch was refused for now: over the rate, out of room, draining.
    pub batches_refused: u64,
    /// Answers that made no sense, so that their batch was sent again. Anything but 0 is a bug, here or in the gateway.
    pub answers_not_understood: u64,
    /// How often a stream was opened after one that broke.
    pub reconnects: u64,
    /// How often a stream was opened because the gateway asked for it, or the key was changed, while the old one went on.
    pub moves: u64,
    /// How often no stream could be opened.
    pub connects_failed: u64,
    /// Whether there is a stream now.
    pub connected: bool,
    /// Events taken and without an end.
    pub pending: u64,
    /// Of those, the events in memory.
    pub events_in_memory: u64,
    /// Memory that they take, bytes.
    pub bytes_in_memory: u64,
    /// What the log takes on disk, bytes.
    pub bytes_in_log: u64,
    /// How often the disk refused the log something.
    pub log_problems: u64,
    /// What went wrong last, for people: why no stream could be opened, why one broke, why a batch was refused.
    pub last_error: Option<String>,
}

impl Counters {
    /// Events that break a rule, all rules together.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected.iter().map(|(_, count)| count).sum()
    }

    pub(crate) fn reject(&mut self, reason: Reason) {
        match self.rejected.iter_mut().find(|(listed, _)| *listed == reason) {
            Some((_, count)) => *count += 1,
            None => self.rejected.push((reason, 1)),
        }
    }
}
