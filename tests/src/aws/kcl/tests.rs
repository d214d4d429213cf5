use tokio::time::Instant;

use super::layouts::{pointing_nowhere, with_own_keys, with_shared_key, without_data};
use super::*;

fn shard(number: u32, range: (u128, u128), parents: &[u32], data: &[Bytes]) -> ShardView {
    let stored = |(sequence, data): (u64, &Bytes)| Stored {
        data: data.clone(),
        partition_key: Bytes::from_static(b"outer"),
        explicit_hash_key: None,
        sequence,
        shard: number,
        arrived: Instant::now(),
    };
    ShardView {
        number,
        first: range.0,
        last: range.1,
        parents: parents.to_vec(),
        closed: false,
        records: (0..).zip(data).map(stored).collect(),
        stored_records: 0,
        stored_bytes: 0,
        throttled_records: 0,
    }
}

fn whole(data: &[Bytes]) -> Reading {
    read(&[shard(0, (0, u128::MAX), &[], data)])
}

#[test]
fn an_aggregate_gives_its_records_in_order_with_their_own_keys() {
    let keys: Vec<String> = (0..100).map(|player| format!("player-{player}")).collect();
    let reading = whole(&[with_own_keys(&keys), with_shared_key(3, 7)]);
    let records: Vec<_> = reading.records().collect();
    assert_eq!((reading.aggregates, records.len()), (2, 103));
    assert!((0..100).all(|place| records[place].partition_key == keys[place]));
    assert!((0..100).all(|place| records[place].data == format!("event {place}")));
    assert!(records[100..].iter().all(|record| record.explicit_hash_key == Some(7)));
}

#[test]
fn what_is_no_whole_aggregate_passes_as_one_record() {
    let sealed = with_shared_key(3, 7);
    let mut damaged = sealed.to_vec();
    damaged[10] ^= 1;
    let passing = [Bytes::from_static(b"plain"), Bytes::new(), sealed.slice(..20), damaged.into(), without_data()];
    let reading = whole(&passing);
    assert_eq!(reading.aggregates, 0);
    assert!(reading.records().map(|record| &record.data).eq(&passing));
    assert!(reading.records().all(|record| record.partition_key == "outer" && record.place.is_none()));
}

#[test]
fn an_aggregate_that_points_outside_its_tables_is_reported_and_gives_nothing() {
    let reading = whole(&[pointing_nowhere()]);
    assert_eq!((reading.aggregates, reading.broken_aggregates, reading.records().count()), (1, 1, 0));
}

#[test]
fn one_record_of_another_shard_discards_its_aggregate_and_no_other() {
    let middle = 1_u128 << 127;
    let at = |hash_key| with_shared_key(5, hash_key);
    let reading = read(&[shard(0, (0, middle - 1), &[], &[at(middle - 1), at(middle), at(0)])]);
    assert_eq!((reading.aggregates, reading.discarded_aggregates, reading.discarded_records), (3, 1, 5));
    assert_eq!(reading.records().count(), 10);
}

#[test]
fn parents_are_read_before_their_children() {
    let all = (0, u128::MAX);
    let plain = |text: &'static str| [Bytes::from_static(text.as_bytes())];
    let shards = [
        shard(3, all, &[1, 2], &plain("merged")),
        shard(2, all, &[0], &plain("upper")),
        shard(1, all, &[0], &plain("lower")),
        shard(0, all, &[], &plain("first")),
    ];
    let order: Vec<u32> = read(&shards).shards.iter().map(|reading| reading.shard).collect();
    assert_eq!(order.first(), Some(&0));
    assert_eq!(order.last(), Some(&3));
}

// What the PyPI package aws-kinesis-agg 1.2.3 made of three records.
#[test]
fn an_aggregate_of_another_implementation_is_understood() {
    let sealed = "f3899ac20a08706c617965722d310a08706c617965722d321201371a09080010001a036f6e651a0808011a0474776f0a\
                  1a0b080010001a05746872656539594930cd0e0608e70d8f6154c65384";
    let byte = |place: usize| u8::from_str_radix(&sealed[place..place + 2], 16).expect("hexadecimal");
    let sealed: Vec<u8> = (0..sealed.len()).step_by(2).map(byte).collect();
    let reading = whole(&[sealed.into()]);
    let records = reading.records();
    let records: Vec<_> = records.map(|r| (r.partition_key.as_str(), r.explicit_hash_key, &r.data[..])).collect();
    let expected: [(&str, Option<u128>, &[u8]); 3] =
        [("player-1", Some(7), b"one"), ("player-2", None, b"two\n"), ("player-1", Some(7), b"three")];
    assert_eq!(records, expected);
}
