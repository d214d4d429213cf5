//! The ledger: where every event that was due has gone.
//!
//! `in_flight` is counted up and down with the batches and not computed from the other figures, so that
//! [`Ledger::balances`] can fail.

use std::borrow::Cow;
use std::collections::BTreeMap;

use headgate_proto::v1::Reason;
use serde::{Deserialize, Serialize};

/// Counts of events. Each event that was due is in exactly one of `accepted`, `rejected`, `unknown`, `failed`,
/// `overflow` and `in_flight`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Events that the players' clock made due, duplicates included.
    pub due: u64,
    /// Events among them that are sent a second time on purpose.
    pub duplicates: u64,
    /// Events sent at least once.
    pub sent: u64,
    /// Events sent again: refused batches, `retry` verdicts, and batches whose stream broke before their answer.
    pub resent: u64,
    /// Events answered as stored.
    pub accepted: u64,
    /// Events answered as breaking a rule, by reason.
    pub rejected: BTreeMap<Cow<'static, str>, u64>,
    /// `retry` verdicts and events of refused batches; each is sent again, so these are not ends.
    pub retry: u64,
    /// Events of which the gateway could not say whether they are stored.
    pub unknown: u64,
    /// Events given up: refused for good, or without an answer when the run ended.
    pub failed: u64,
    /// Events never sent because too many batches were unanswered.
    pub overflow: u64,
    /// Events sent or waiting to be sent, without an end yet.
    pub in_flight: u64,
}

impl Ledger {
    /// All rejected events, whatever the reason.
    #[must_use]
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Whether every event that was due is accounted for exactly once.
    #[must_use]
    pub fn balances(&self) -> bool {
        let ends = self.accepted + self.rejected_total() + self.unknown + self.failed + self.overflow;
        self.due == ends + self.in_flight
    }

    pub(crate) fn reject(&mut self, reason: Reason) {
        *self.rejected.entry(Cow::Borrowed(reason.label())).or_default() += 1;
    }

    /// Adds what another one holds.
    pub fn add(&mut self, other: &Self) {
        self.due += other.due;
        self.duplicates += other.duplicates;
        self.sent += other.sent;
        self.resent += other.resent;
        self.accepted += other.accepted;
        for (reason, events) in &other.rejected {
            *self.rejected.entry(reason.clone()).or_default() += events;
        }
        self.retry += other.retry;
        self.unknown += other.unknown;
        self.failed += other.failed;
        self.overflow += other.overflow;
        self.in_flight += other.in_flight;
    }
}
