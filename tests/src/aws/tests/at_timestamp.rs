//! Reading a shard from an instant on.

use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::ShardIteratorType;

use super::*;

#[tokio::test]
async fn an_iterator_at_a_timestamp_begins_with_the_first_record_that_is_not_earlier() {
    let house = House::of(1).await;
    house.put(entries(3)).await.expect("it is taken");
    // Records that arrive in the same millisecond could not be told apart by the SDK's timestamps.
    tokio::time::sleep(Duration::from_millis(20)).await;
    house.put(vec![entry("later", "later")]).await.expect("it is taken");
    let from = async |iterator: ShardIteratorType, at: Option<DateTime>| {
        let asked = house.kinesis.get_shard_iterator().stream_name("s").shard_id("shardId-000000000000");
        let asked = asked.shard_iterator_type(iterator).set_timestamp(at).send().await.expect("it is there");
        let read = house.kinesis.get_records().set_shard_iterator(asked.shard_iterator).send().await;
        read.expect("it reads").records
    };
    let all = from(ShardIteratorType::TrimHorizon, None).await;
    let arrived = |place: usize| {
        let at = all[place].approximate_arrival_timestamp().expect("an arrival").as_secs_f64();
        DateTime::from_secs_f64(at - 0.005)
    };
    let read = async |at| from(ShardIteratorType::AtTimestamp, Some(at)).await.len();
    assert_eq!(all.len(), 4);
    assert_eq!(read(arrived(0)).await, 4);
    assert_eq!(read(arrived(3)).await, 1);
    assert_eq!(read(DateTime::from_secs_f64(arrived(3).as_secs_f64() + 60.0)).await, 0);
}
