use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{
    RecordDistributionStrategy, ShardFilter, ShardFilterType, ShardIteratorType, StreamMode, StreamModeDetails,
};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::super::hash;
use super::super::tally::Tally;
use super::super::tls::Tls;
use super::*;

#[tokio::test]
async fn records_are_stored_in_the_shard_of_their_hash_key_and_read_back_whole() {
    let house = House::of(4).await;
    let mut records = entries(100);
    records.push(entry("ключ-€", vec![0, 255, 10]));
    records.push(entry_at(u128::MAX, "last"));
    let output = house.put(records).await.expect("it is taken");
    assert_eq!((output.failed_record_count(), output.records().len()), (Some(0), 102));

    let shards = house.stand_in.stream("s").shards();
    for shard in &shards {
        for record in &shard.records {
            let own = || hash::of_partition_key(record.partition_key().as_bytes());
            assert!((shard.first..=shard.last).contains(&record.explicit_hash_key.unwrap_or_else(own)));
        }
    }
    let place = output.records()[100].sequence_number().expect("it was stored");
    let record = shards.iter().flat_map(|shard| &shard.records).find(|record| record.sequence_number() == place);
    let record = record.expect("it is there");
    assert_eq!((record.partition_key(), record.data.as_ref()), ("ключ-€", [0, 255, 10].as_slice()));
    assert_eq!(output.records()[101].shard_id(), Some("shardId-000000000003"));

    let mut read = 0;
    for shard in &shards {
        let iterator = house.kinesis.get_shard_iterator().stream_name("s").shard_id(shard.id());
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.expect("it is there");
        let output = house.kinesis.get_records().set_shard_iterator(iterator.shard_iterator).send().await;
        let records = output.expect("it reads").records;
        assert!(records.iter().map(|record| record.data().as_ref()).eq(shard.records.iter().map(|r| &r.data[..])));
        assert!(records.windows(2).all(|pair| pair[0].sequence_number() < pair[1].sequence_number()));
        read += records.len();
    }
    assert_eq!(read, 102);
}

#[tokio::test]
async fn a_stream_is_found_by_its_arn_too_and_described_as_it_is() {
    let house = House::of(3).await;
    let summary = house.kinesis.describe_stream_summary().stream_name("s").send().await.expect("it is there");
    let summary = summary.stream_description_summary.expect("a summary");
    assert_eq!(summary.open_shard_count, 3);
    assert_eq!(summary.max_record_size_in_kib, Some(1_024));
    assert_eq!(summary.stream_mode_details.expect("a mode").stream_mode, StreamMode::Provisioned);
    assert_eq!(summary.record_distribution_strategy, Some(RecordDistributionStrategy::UserPartitionKey));
    let put = house.kinesis.put_records().stream_arn(&summary.stream_arn).set_records(Some(entries(2)));
    put.send().await.expect("it is taken");
    let put = house.kinesis.put_record().stream_arn(&summary.stream_arn).partition_key("k").data(Blob::new("single"));
    assert!(put.send().await.expect("it is taken").shard_id.starts_with("shardId-"));
    assert_eq!(house.stored().len(), 3);
}

#[tokio::test]
async fn a_stream_that_distributes_by_itself_ignores_all_keys_and_says_so() {
    let house = House::of(1).await;
    let mode = StreamModeDetails::builder().stream_mode(StreamMode::OnDemand).build().expect("a mode");
    let create = house.kinesis.create_stream().stream_name("auto").stream_mode_details(mode);
    let create = create.record_distribution_strategy(RecordDistributionStrategy::Auto);
    create.max_record_size_in_kib(2_048).send().await.expect("it is created");
    let summary = house.kinesis.describe_stream_summary().stream_name("auto").send().await.expect("it is there");
    let summary = summary.stream_description_summary.expect("a summary");
    assert_eq!(summary.record_distribution_strategy, Some(RecordDistributionStrategy::Auto));
    assert_eq!(summary.stream_mode_details.expect("a mode").stream_mode, StreamMode::OnDemand);
    assert_eq!(summary.max_record_size_in_kib, Some(2_048));

    let records = (0..40).map(|n| entry_at(0, format!("data {n}"))).collect();
    let put = house.kinesis.put_records().stream_name("auto").set_records(Some(records));
    put.send().await.expect("it is taken");
    let shards = house.stand_in.stream("auto").shards();
    assert!(shards.iter().all(|shard| shard.records.len() == 10), "each shard has had its turn");
}

#[tokio::test]
async fn shards_are_listed_in_pages_and_only_open_ones_on_request() {
    let house = House::of(5).await;
    house.stand_in.stream("s").split(0);
    house.stand_in.stream("s").merge(3, 4);
    let filter = ShardFilter::builder().r#type(ShardFilterType::AtLatest).build().expect("a filter");
    let mut ids = Vec::new();
    let mut token = None;
    loop {
        let list = house.kinesis.list_shards().max_results(2);
        let list = match token {
            None => list.stream_name("s").shard_filter(filter.clone()),
            Some(token) => list.next_token(token),
        };
        let output = list.send().await.expect("it lists");
        assert!(output.shards().len() <= 2);
        ids.extend(output.shards().iter().map(|shard| shard.shard_id().to_owned()));
        token = output.next_token;
        if token.is_none() {
            break;
        }
    }
    let expected: Vec<String> = [1, 2, 5, 6, 7].iter().map(|number| format!("shardId-{number:012}")).collect();
    assert_eq!(ids, expected);
    let all = house.kinesis.list_shards().stream_name("s").send().await.expect("it lists");
    assert_eq!(all.shards().len(), 8);
    let range = all.shards()[0].sequence_number_range().expect("a range");
    assert!(range.ending_sequence_number().is_some(), "it is closed");
    assert_eq!(all.shards()[7].adjacent_parent_shard_id(), Some("shardId-000000000004"));
}

#[tokio::test]
async fn billed_units_round_each_record_up_by_data_and_partition_key() {
    let house = House::of(1).await;
    let at_the_edge = entry("k", vec![b'x'; 25_599]);
    let over_the_edge = entry("kk", vec![b'x'; 25_599]);
    house.put(vec![at_the_edge, over_the_edge, entry("k", "tiny")]).await.expect("it is taken");
    let tally = house.stand_in.tally();
    assert_eq!(tally.kinesis.units.put_payload, 1 + 2 + 1);
    assert_eq!(tally.kinesis.units.on_demand_kib, 25 + 26 + 1);
    assert_eq!((tally.kinesis.records, tally.kinesis.stored_records), (3, 3));
    assert_eq!((tally.kinesis.stored_data_bytes, tally.kinesis.stored_key_bytes), (51_202, 4));
    assert_eq!(tally.kinesis.calls["PutRecords"], 1);
    assert!(tally.wire_bytes_in > tally.kinesis.put_body_bytes && tally.kinesis.put_body_bytes > 51_202 * 4 / 3);
    assert_eq!((tally.kinesis.ambiguous_calls, tally.kinesis.ambiguous_records), (0, 0));
}

#[tokio::test]
async fn a_stand_in_that_only_counts_counts_the_same_and_keeps_nothing() {
    let stream = StreamSettings::new("s", 2);
    let house = House::with(Settings { keep: false, ..Settings::default() }, stream, PATIENCE).await;
    house.put(entries(50)).await.expect("it is taken");
    let keeping = House::of(2).await;
    keeping.put(entries(50)).await.expect("it is taken");
    assert_eq!(house.stand_in.tally().kinesis, keeping.stand_in.tally().kinesis);
    assert!(house.stored().is_empty());
    let counts = |house: &House| -> Vec<u64> {
        house.stand_in.stream("s").shards().iter().map(|shard| shard.stored_records).collect()
    };
    assert_eq!(counts(&house), counts(&keeping));
}

#[tokio::test]
async fn the_tally_can_be_had_over_http() {
    let house = House::of(1).await;
    house.put(entries(7)).await.expect("it is taken");
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let address = format!("{}/tally", house.stand_in.endpoint()).parse().expect("an address");
    let body = client.get(address).await.expect("it answers").into_body().collect().await.expect("a body").to_bytes();
    let tally: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(tally["kinesis"]["stored_records"], 7);
}

fn throttled(tally: &Tally) -> u64 {
    tally.kinesis.failed_records.values().sum()
}

#[tokio::test]
async fn calls_over_tls_share_one_http2_connection() {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let tls = Tls { certificates: key.cert.pem(), key: key.signing_key.serialize_pem() };
    let stand_in = StandIn::start(Settings { tls: Some(tls.clone()), ..Settings::default() }).await;
    stand_in.create_stream(StreamSettings::new("s", 1));
    let store = aws_smithy_http_client::tls::TrustStore::empty().with_pem_certificate(tls.certificates.as_bytes());
    let context = aws_smithy_http_client::tls::TlsContext::builder().with_trust_store(store).build();
    let client = aws_smithy_http_client::Builder::new()
        .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(
            aws_smithy_http_client::tls::rustls_provider::CryptoMode::AwsLc,
        ))
        .tls_context(context.expect("a context"))
        .build_https();
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials())
        .http_client(client)
        .endpoint_url(stand_in.endpoint())
        .build();
    let client = aws_sdk_kinesis::Client::from_conf(config);
    // The first call's connection shows that the server speaks HTTP/2; until then a client opens one for each call.
    client.put_records().stream_name("s").set_records(Some(entries(1))).send().await.expect("it is taken");
    let calls = (0..8).map(|_| client.put_records().stream_name("s").set_records(Some(entries(500))).send());
    for outcome in futures_util::future::join_all(calls).await {
        outcome.expect("it is taken");
    }
    let tally = stand_in.tally();
    assert_eq!((tally.connections, tally.kinesis.stored_records + throttled(&tally)), (1, 4_001));
}
