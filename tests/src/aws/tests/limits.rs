use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;

use super::*;

#[tokio::test]
async fn a_call_holds_1_to_500_records() {
    let house = House::of(1).await;
    assert_eq!(house.put(Vec::new()).await.expect_err("none"), "ValidationException");
    assert_eq!(house.put(entries(501)).await.expect_err("too many"), "ValidationException");
    house.put(entries(500)).await.expect("exactly as many as allowed");
    assert_eq!(house.stored().len(), 500);
}

#[tokio::test]
async fn a_call_holds_10_mebibytes_with_its_keys() {
    let house = House::of(1).await;
    let full = vec![b'x'; (1 << 20) - 1];
    let records = |last: usize| {
        let mut records: Vec<_> = (0..9).map(|_| entry("k", full.clone())).collect();
        records.push(entry("k", vec![b'x'; last]));
        records
    };
    house.put(records((1 << 20) - 1)).await.expect("exactly as much as allowed");
    let mut over = records((1 << 20) - 2);
    over.push(entry("k", "x"));
    assert_eq!(house.put(over).await.expect_err("a byte too many"), "InvalidArgumentException");
}

#[tokio::test]
async fn a_record_holds_what_its_stream_allows_data_and_key_together() {
    let house = House::of(1).await;
    house.put(vec![entry("k", vec![b'x'; (1 << 20) - 1])]).await.expect("exactly as much as allowed");
    let over = house.put(vec![entry("kk", vec![b'x'; (1 << 20) - 1])]).await;
    assert_eq!(over.expect_err("a byte too many"), "InvalidArgumentException");
    let arn = house.stand_in.stream("s").arn();
    let update = house.kinesis.update_max_record_size().stream_arn(arn).max_record_size_in_kib(5_120);
    update.send().await.expect("it is updated");
    let large = house.put(vec![entry("kk", vec![b'x'; 5 << 20])]).await;
    assert_eq!(large.expect_err("keys count"), "InvalidArgumentException");
    let wide = StreamSettings { max_record_kib: 10_240, ..StreamSettings::new("s", 1) };
    let house = House::with(Settings::default(), wide, PATIENCE).await;
    house.put(vec![entry("k", vec![b'x'; (10 << 20) - 1])]).await.expect("the largest record of all");
}

#[tokio::test]
async fn keys_are_1_to_256_characters_and_hash_keys_decimal() {
    let house = House::of(1).await;
    let error = async |entry| house.put(vec![entry]).await.expect_err("it is refused");
    assert_eq!(error(entry("", "x")).await, "ValidationException");
    assert_eq!(error(entry(&"ü".repeat(257), "x")).await, "ValidationException");
    house.put(vec![entry(&"ü".repeat(256), "x")]).await.expect("characters count, not bytes");
    let at = |hash_key: &str| {
        let entry = PutRecordsRequestEntry::builder().partition_key("k").explicit_hash_key(hash_key);
        entry.data(Blob::new("x")).build().expect("all is there")
    };
    assert_eq!(error(at("007")).await, "ValidationException");
    assert_eq!(error(at("340282366920938463463374607431768211456")).await, "InvalidArgumentException");
    house.put(vec![at("340282366920938463463374607431768211455")]).await.expect("the last hash key");
    assert_eq!(house.stand_in.tally().kinesis.call_errors["ValidationException"], 3);
}

#[tokio::test]
async fn an_unknown_stream_is_not_found() {
    let house = House::of(1).await;
    let put = house.kinesis.put_records().stream_name("other").set_records(Some(entries(1))).send().await;
    assert_eq!(code(&put.expect_err("there is none")), "ResourceNotFoundException");
    let listed = house.kinesis.list_shards().stream_name("other").send().await;
    assert_eq!(code(&listed.expect_err("there is none")), "ResourceNotFoundException");
}

#[tokio::test]
async fn a_shard_at_its_limit_throttles_records_and_the_others_go_on() {
    let house = House::of(2).await;
    // 200 records a second: far less than comes, on however slow a machine.
    house.stand_in.stream("s").limit_shard(0, Some(0.2));
    let mut throttled = 0;
    for _ in 0..4 {
        let mut records: Vec<_> = (0..499).map(|_| entry_at(0, "busy shard")).collect();
        records.push(entry_at(u128::MAX, "idle shard"));
        let output = house.put(records).await.expect("the call goes well");
        assert_eq!(output.failed_record_count(), Some(failed(&output).len() as i32));
        assert!(!failed(&output).contains(&499));
        let code = output.records().iter().find_map(|entry| entry.error_code());
        assert!(code.is_none_or(|code| code == "ProvisionedThroughputExceededException"));
        throttled += failed(&output).len() as u64;
    }
    let shards = house.stand_in.stream("s").shards();
    assert!(throttled > 0 && shards[0].throttled_records == throttled);
    assert_eq!(shards[0].stored_records + throttled, 4 * 499);
    assert_eq!((shards[1].stored_records, shards[1].throttled_records), (4, 0));
    let tally = house.stand_in.tally();
    assert_eq!(tally.kinesis.failed_records["ProvisionedThroughputExceededException"], throttled);
}
