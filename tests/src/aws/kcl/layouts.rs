//! Aggregates in the layouts that producers use, for the tests here and those that put them through the socket.

use super::*;

fn seal(message: &AggregatedRecord) -> Bytes {
    let message = message.encode_to_vec();
    let digest = Md5::digest(&message);
    [MAGIC.as_slice(), &message, digest.as_slice()].concat().into()
}

fn record(partition_key: u64, explicit: Option<u64>, data: String) -> Record {
    Record {
        partition_key_index: Some(partition_key),
        explicit_hash_key_index: explicit,
        data: Some(data.into_bytes().into()),
    }
}

/// As KPL does: each record with a partition key of its own, and no explicit hash keys.
pub(crate) fn with_own_keys(keys: &[String]) -> Bytes {
    seal(&AggregatedRecord {
        partition_key_table: keys.to_vec(),
        explicit_hash_key_table: Vec::new(),
        records: (0..keys.len()).map(|place| record(place as u64, None, format!("event {place}"))).collect(),
    })
}

/// One partition key and one explicit hash key for all.
pub(crate) fn with_shared_key(records: usize, hash_key: u128) -> Bytes {
    seal(&AggregatedRecord {
        partition_key_table: vec!["a".to_owned()],
        explicit_hash_key_table: vec![hash_key.to_string()],
        records: (0..records).map(|place| record(0, Some(0), format!("event {place}"))).collect(),
    })
}

/// One whose only record points at a partition key that is not there.
pub(crate) fn pointing_nowhere() -> Bytes {
    seal(&AggregatedRecord { records: vec![record(3, None, "event".to_owned())], ..AggregatedRecord::default() })
}

/// One whose only record lacks its data.
pub(crate) fn without_data() -> Bytes {
    let record = Record { partition_key_index: Some(0), ..Record::default() };
    let partition_key_table = vec!["a".to_owned()];
    seal(&AggregatedRecord { partition_key_table, records: vec![record], ..AggregatedRecord::default() })
}
