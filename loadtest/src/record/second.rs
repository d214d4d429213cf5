//! What is recorded of one second, by one group of servers.

use std::collections::BTreeMap;

use crate::record::Latencies;
use crate::result::Interval;

/// Counts of events by the second in which something happened to them; latencies by the second in which the batch was to
/// leave.
pub(crate) struct Second {
    pub(crate) at: u32,
    pub(crate) due: u64,
    pub(crate) sent: u64,
    pub(crate) resent: u64,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) retry: u64,
    pub(crate) failed: u64,
    pub(crate) overflow: u64,
    pub(crate) reconnects: u64,
    pub(crate) batches: u64,
    pub(crate) codes: BTreeMap<&'static str, u64>,
    pub(crate) ack: Latencies,
    pub(crate) service: Latencies,
    pub(crate) event_age: Latencies,
    pub(crate) lag: Latencies,
}

impl Second {
    pub(super) fn new(at: u32) -> Self {
        Self {
            at,
            due: 0,
            sent: 0,
            resent: 0,
            accepted: 0,
            rejected: 0,
            retry: 0,
            failed: 0,
            overflow: 0,
            reconnects: 0,
            batches: 0,
            codes: BTreeMap::new(),
            ack: Latencies::roomy(),
            service: Latencies::roomy(),
            event_age: Latencies::roomy(),
            lag: Latencies::roomy(),
        }
    }

    /// Adds this second of these servers to the interval that it lies in.
    pub(super) fn add_to(&self, interval: &mut Interval, class: Option<&str>) {
        interval.due += self.due;
        interval.sent += self.sent;
        interval.resent += self.resent;
        interval.accepted += self.accepted;
        interval.rejected += self.rejected;
        interval.retry += self.retry;
        interval.failed += self.failed;
        interval.overflow += self.overflow;
        interval.reconnects += self.reconnects;
        interval.ack.add(&self.ack);
        interval.service.add(&self.service);
        interval.lag.add(&self.lag);
        for (code, batches) in self.codes.iter().filter(|(code, _)| **code != "OK") {
            *interval.codes.entry((*code).to_owned()).or_default() += batches;
        }
        self.add_to_class(interval, class);
    }

    /// Adds it to what the interval tells of the class alone, if there are several.
    pub(super) fn add_to_class(&self, interval: &mut Interval, class: Option<&str>) {
        if let Some(class) = class {
            interval.ack_of.entry(class.to_owned()).or_default().add(&self.ack);
            *interval.accepted_of.entry(class.to_owned()).or_default() += self.accepted;
        }
    }
}
