use std::cell::Cell;

use aws_sdk_kinesis::types::ShardIteratorType;

use super::super::hash;
use super::super::kcl;
use super::super::kcl::layouts::{with_own_keys, with_shared_key};
use super::*;
use crate::poll::until;

#[tokio::test]
async fn after_a_split_records_go_to_the_children_and_consumers_get_both_generations_in_order() {
    let house = House::of(1).await;
    house.put(vec![entry_at(0, "before")]).await.expect("it is taken");
    let middle = 1_u128 << 127;
    let split = house.kinesis.split_shard().stream_name("s").shard_to_split("shardId-000000000000");
    split.new_starting_hash_key(middle.to_string()).send().await.expect("it splits");
    let output = house.put(vec![entry_at(0, "lower"), entry_at(u128::MAX, "upper")]).await.expect("it is taken");
    assert_eq!(output.records()[0].shard_id(), Some("shardId-000000000001"));
    assert_eq!(output.records()[1].shard_id(), Some("shardId-000000000002"));
    let merge = house.kinesis.merge_shards().stream_name("s").shard_to_merge("shardId-000000000001");
    merge.adjacent_shard_to_merge("shardId-000000000002").send().await.expect("it merges");
    house.put(vec![entry_at(middle, "after")]).await.expect("it is taken");

    let shards = house.stand_in.stream("s").shards();
    assert_eq!(shards.iter().map(|shard| shard.closed).collect::<Vec<_>>(), [true, true, true, false]);
    let reading = kcl::read(&shards);
    let data: Vec<_> = reading.records().map(|record| record.data.clone()).collect();
    assert_eq!(data, ["before", "lower", "upper", "after"]);

    let iterator = house.kinesis.get_shard_iterator().stream_name("s").shard_id("shardId-000000000000");
    let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.expect("it is there");
    let read = house.kinesis.get_records().set_shard_iterator(iterator.shard_iterator).send().await.expect("it reads");
    assert!(read.next_shard_iterator().is_none(), "a closed shard ends");
    assert_eq!(read.child_shards().len(), 2);
}

#[tokio::test]
async fn shards_that_cannot_be_split_or_merged_are_not() {
    let house = House::of(3).await;
    let split = |shard: &str, at: &str| {
        house.kinesis.split_shard().stream_name("s").shard_to_split(shard).new_starting_hash_key(at).send()
    };
    let refused = split("shardId-000000000000", "0").await.expect_err("nothing would be left below");
    assert_eq!(code(&refused), "InvalidArgumentException");
    let refused = split("shardId-000000000009", "5").await.expect_err("there is none");
    assert_eq!(code(&refused), "ResourceNotFoundException");
    let merge = house.kinesis.merge_shards().stream_name("s").shard_to_merge("shardId-000000000000");
    let refused = merge.adjacent_shard_to_merge("shardId-000000000002").send().await.expect_err("one lies between");
    assert_eq!(code(&refused), "InvalidArgumentException");
    assert_eq!(house.stand_in.stream("s").shards().len(), 3);
}

// An aggregate made for a shard that has been split meanwhile. With keys of their own, some records belong to the other
// child and KCL drops them all; one explicit hash key for all of them keeps them together.
#[tokio::test]
async fn after_an_unnoticed_split_consumers_lose_aggregates_with_own_keys_and_keep_those_with_one() {
    let house = House::of(1).await;
    house.stand_in.stream("s").split(0);
    let keys: Vec<String> = (0..100).map(|player| format!("player-{player}")).collect();
    let target = 1_u128 << 100;
    house.put(vec![entry_at(target, with_own_keys(&keys))]).await.expect("it is taken");
    house.put(vec![entry_at(target, with_shared_key(100, target))]).await.expect("it is taken");
    let reading = kcl::read(&house.stand_in.stream("s").shards());
    assert_eq!((reading.aggregates, reading.discarded_aggregates, reading.discarded_records), (2, 1, 100));
    assert_eq!(reading.records().count(), 100);
    assert!(reading.records().all(|record| record.explicit_hash_key == Some(target)));
}

#[tokio::test]
async fn resharding_under_load_loses_and_misplaces_nothing() {
    let stream = StreamSettings::new("s", 2);
    let house = House::with(Settings { throttle: None, ..Settings::default() }, stream, PATIENCE).await;
    let done = Cell::new(false);
    let load = async {
        let mut stored = 0;
        while !done.get() {
            stored += house.put(entries(50)).await.expect("it is taken").records().len();
        }
        stored
    };
    let reshard = async {
        let stream = house.stand_in.stream("s");
        let calls = || house.stand_in.tally().kinesis.stored_records / 50;
        let more_calls = async || {
            let before = calls();
            until("the load goes on", PATIENCE, async || (calls() > before).then_some(())).await;
        };
        let mut open = 0;
        for _ in 0..5 {
            more_calls().await;
            let (lower, upper) = stream.split(open);
            more_calls().await;
            open = stream.merge(lower, upper);
        }
        done.set(true);
    };
    let (stored, ()) = tokio::join!(load, reshard);
    let shards = house.stand_in.stream("s").shards();
    assert!(shards.iter().filter(|shard| shard.closed).all(|shard| shard.stored_records > 0));
    let reading = kcl::read(&shards);
    assert_eq!((shards.len(), reading.records().count()), (2 + 5 * 3, stored));
    for (shard, read) in shards.iter().flat_map(|shard| shard.records.iter().map(move |record| (shard, record))) {
        let hash_key = hash::of_partition_key(read.partition_key().as_bytes());
        assert!((shard.first..=shard.last).contains(&hash_key));
    }
}
