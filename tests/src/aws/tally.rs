//! What happened, counted by the stand-in itself: calls, records, failures, wire bytes, the units that AWS would bill,
//! and the ambiguous: what was stored although the client was not told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde::Serialize;

use super::error::{RecordError, Service};

/// A counter for each name.
pub type Counts = BTreeMap<&'static str, u64>;

/// Everything that a stand-in has counted since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Data streams.
    pub kinesis: ServiceTally,
    /// Delivery streams.
    pub firehose: ServiceTally,
    /// Faults that happened: calls, or for faults of single records, records.
    pub faults: Counts,
    /// Connections accepted.
    pub connections: u64,
    /// Bytes read from sockets: with HTTP's heads, and with TLS where it is on.
    pub wire_bytes_in: u64,
    /// Bytes written to sockets.
    pub wire_bytes_out: u64,
}

/// One service's part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServiceTally {
    /// Calls whose head was read, by operation, whatever became of them.
    pub calls: BTreeMap<String, u64>,
    /// Calls refused as a whole, by error type.
    pub call_errors: Counts,
    /// Bodies of put calls, in bytes.
    pub put_body_bytes: u64,
    /// Records in put calls that were well-formed.
    pub records: u64,
    /// Those of them that were stored: each time they were, so resent ones count again.
    pub stored_records: u64,
    /// Data of the stored records, decoded.
    pub stored_data_bytes: u64,
    /// Partition keys of the stored records.
    pub stored_key_bytes: u64,
    /// Records refused inside calls that went well, by error code.
    pub failed_records: Counts,
    /// Stored records whose hash key the client gave itself.
    pub explicit_hash_keys: u64,
    /// Calls that stored something without their client having been told all of it.
    pub ambiguous_calls: u64,
    /// Records stored by such calls.
    pub ambiguous_records: u64,
    /// What AWS would bill for the stored records.
    pub units: Units,
}

/// Billed units: each stored record rounded up by itself. A Kinesis record's size is taken as data and partition key;
/// AWS's texts do not say whether the key counts, so this is the higher bill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Units {
    /// Provisioned streams: PUT payload units of 25,600 bytes.
    pub put_payload: u64,
    /// On-demand streams: units of 1,024 bytes. Counted for provisioned streams too, for comparison.
    pub on_demand_kib: u64,
    /// Firehose: units of 5,120 bytes.
    pub firehose_5_kib: u64,
}

/// What one put call did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Put {
    pub(super) records: u64,
    pub(super) stored: u64,
    pub(super) data_bytes: u64,
    pub(super) key_bytes: u64,
    pub(super) explicit_hash_keys: u64,
    pub(super) internal_failures: u64,
    pub(super) throttled: u64,
    pub(super) units: Units,
}

impl Put {
    pub(super) fn stored_in_kinesis(&mut self, data: usize, key: usize, explicit: bool) {
        let size = (data + key) as u64;
        self.stored += 1;
        self.data_bytes += data as u64;
        self.key_bytes += key as u64;
        self.explicit_hash_keys += u64::from(explicit);
        self.units.put_payload += size.div_ceil(25_600);
        self.units.on_demand_kib += size.div_ceil(1_024);
    }

    pub(super) fn stored_in_firehose(&mut self, data: usize) {
        self.stored += 1;
        self.data_bytes += data as u64;
        self.units.firehose_5_kib += (data as u64).div_ceil(5_120);
    }

    pub(super) fn failed(&mut self, error: RecordError) {
        match error {
            RecordError::InternalFailure => self.internal_failures += 1,
            RecordError::Throttled => self.throttled += 1,
        }
    }
}

/// The counters behind a tally.
#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    tallies: Arc<Mutex<(ServiceTally, ServiceTally, ServiceTally)>>,
    commits: Arc<Mutex<Vec<Commit>>>,
}

/// What one call has stored, and whether its client was told.
#[derive(Debug)]
struct Commit {
    service: Service,
    told: bool,
    data: Vec<Bytes>,
}

impl Books {
    fn with<T>(&self, service: Service, entry: impl FnOnce(&mut ServiceTally) -> T) -> T {
        let mut books = self.tallies.lock().expect("no entry panics");
        entry(match service {
            Service::Kinesis => &mut books.0,
            Service::Firehose => &mut books.1,
            Service::DynamoDb => &mut books.2,
        })
    }

    /// The data of every record of which it is not sure that its client was told that it is stored.
    pub(super) fn in_doubt(&self) -> Vec<(Service, Bytes)> {
        let commits = self.commits.lock().expect("no entry panics");
        let doubtful = commits.iter().filter(|commit| !commit.told);
        doubtful.flat_map(|commit| commit.data.iter().map(|data| (commit.service, data.clone()))).collect()
    }

    fn commit(&self, service: Service, data: Vec<Bytes>) -> usize {
        let mut commits = self.commits.lock().expect("no entry panics");
        commits.push(Commit { service, told: false, data });
        commits.len() - 1
    }

    /// Whether a call's client was told. An answer that was sent may still not have been waited for.
    pub(super) fn told(&self, commit: usize, told: bool) {
        self.commits.lock().expect("no entry panics")[commit].told = told;
    }

    pub(super) fn of(&self, service: Service) -> ServiceTally {
        self.with(service, |tally| tally.clone())
    }

    pub(super) fn call(&self, service: Service, operation: &str) {
        self.with(service, |tally| match tally.calls.get_mut(operation) {
            Some(calls) => *calls += 1,
            None => _ = tally.calls.insert(operation.to_owned(), 1),
        });
    }

    pub(super) fn refused(&self, service: Service, kind: &'static str) {
        self.with(service, |tally| *tally.call_errors.entry(kind).or_default() += 1);
    }

    pub(super) fn put(&self, service: Service, body_bytes: usize, put: &Put) {
        self.with(service, |tally| {
            tally.put_body_bytes += body_bytes as u64;
            tally.records += put.records;
            tally.stored_records += put.stored;
            tally.stored_data_bytes += put.data_bytes;
            tally.stored_key_bytes += put.key_bytes;
            tally.explicit_hash_keys += put.explicit_hash_keys;
            tally.units.put_payload += put.units.put_payload;
            tally.units.on_demand_kib += put.units.on_demand_kib;
            tally.units.firehose_5_kib += put.units.firehose_5_kib;
            let failed =
                [(RecordError::InternalFailure, put.internal_failures), (RecordError::Throttled, put.throttled)];
            for (error, records) in failed.into_iter().filter(|(_, records)| *records > 0) {
                *tally.failed_records.entry(error.code(service)).or_default() += records;
            }
        });
    }
}

/// Records that are stored while their client does not know it yet. Dropped unsettled, because the answer was withheld
/// or the client had gone by then, they count as ambiguous.
pub(super) struct Doubt {
    books: Books,
    service: Service,
    records: u64,
    commit: Option<usize>,
}

impl Doubt {
    /// `data`: of the records that were stored, where the stand-in keeps them.
    pub(super) fn about(books: &Books, service: Service, records: u64, data: Vec<Bytes>) -> Option<Self> {
        let commit = (!data.is_empty()).then(|| books.commit(service, data));
        (records > 0).then(|| Self { books: books.clone(), service, records, commit })
    }

    /// The client is told.
    pub(super) fn settle(mut self) {
        self.records = 0;
        if let Some(commit) = self.commit {
            self.books.told(commit, true);
        }
    }

    /// What its call has stored, where that is kept.
    pub(super) fn commit(&self) -> Option<usize> {
        self.commit
    }
}

impl Drop for Doubt {
    fn drop(&mut self) {
        if self.records > 0 {
            self.books.with(self.service, |tally| {
                tally.ambiguous_calls += 1;
                tally.ambiguous_records += self.records;
            });
        }
    }
}
