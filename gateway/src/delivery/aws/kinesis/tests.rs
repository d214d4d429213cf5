use std::sync::Mutex;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::aws::testing::{Answer, Server, reply, reply_in_cbor, settings};

const ARN: &str = "arn:aws:kinesis:eu-west-1:123456789012:stream/events";

fn stream(url: &str, stream: &str) -> KinesisStream {
    KinesisStream::new(&settings(url), &KinesisSettings { stream: stream.to_owned(), ..KinesisSettings::default() })
}

/// Stores everything that is put.
fn store(request: &crate::aws::testing::Request) -> Answer {
    let sent = request.json()["Records"].as_array().map_or(0, Vec::len);
    let records: Vec<_> =
        (0..sent).map(|_| json!({"SequenceNumber": "1", "ShardId": "shardId-000000000000"})).collect();
    reply(200, &json!({"FailedRecordCount": 0, "Records": records}).to_string())
}

fn summary(extra: Value) -> Value {
    let mut summary = json!({
        "StreamName": "events", "StreamARN": ARN, "StreamStatus": "ACTIVE", "RetentionPeriodHours": 24,
        "StreamCreationTimestamp": 1.7e9, "EnhancedMonitoring": [], "OpenShardCount": 2,
    });
    for (key, value) in extra.as_object().expect("an object") {
        summary[key] = value.clone();
    }
    json!({"StreamDescriptionSummary": summary})
}

fn shard(id: u32, start: u128, end: u128, closed: bool) -> Value {
    let mut shard = json!({
        "ShardId": format!("shardId-{id:012}"),
        "HashKeyRange": {"StartingHashKey": start.to_string(), "EndingHashKey": end.to_string()},
        "SequenceNumberRange": {"StartingSequenceNumber": "1"},
    });
    if closed {
        shard["SequenceNumberRange"]["EndingSequenceNumber"] = json!("2");
    }
    shard
}

#[tokio::test]
async fn a_put_has_the_shape_that_the_service_expects() {
    let server = Server::start(|_, request| store(request)).await;
    let stream = stream(&server.url(), "events");
    let keyed = Entry::plain(b"\xf3\x89\x9a\xc2...".as_slice(), Some(u128::MAX));
    let unkeyed = Entry::plain("plain", None);
    let results = stream.put(vec![keyed, unkeyed], Duration::from_secs(5)).await.expect("answers");
    assert_eq!(results.len(), 2);
    let request = &server.requests()[0];
    assert_eq!(request.line, "POST / HTTP/1.1");
    assert_eq!(request.header("x-amz-target"), Some("Kinesis_20131202.PutRecords"));
    assert_eq!(request.header("content-type"), Some("application/x-amz-json-1.1"));
    assert_eq!(request.header("x-amz-security-token"), Some("session"));
    let authorization = request.header("authorization").expect("is signed");
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{authorization}");
    assert!(authorization.contains("/eu-west-1/kinesis/aws4_request"), "{authorization}");
    let data = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
    let expected = json!({
        "StreamName": "events",
        "Records": [
            {
                "Data": data(b"\xf3\x89\x9a\xc2..."),
                "PartitionKey": "a",
                "ExplicitHashKey": "340282366920938463463374607431768211455",
            },
            {"Data": data(b"plain")},
        ],
    });
    assert_eq!(request.json(), expected);
}

fn stream_in_cbor(url: &str) -> KinesisStream {
    let settings_of_it =
        KinesisSettings { stream: ARN.to_owned(), encoding: Encoding::Cbor, ..KinesisSettings::default() };
    KinesisStream::new(&settings(url), &settings_of_it)
}

fn two() -> Vec<Entry> {
    vec![Entry::plain(b"\xf3\x89\x9a\xc2...".as_slice(), Some(7)), Entry::plain("plain", None)]
}

#[tokio::test]
async fn a_put_in_cbor_has_its_data_as_it_is_and_its_answer_is_read() {
    let server = Server::start(|_, _| {
        let stored = json!({"SequenceNumber": "1", "ShardId": "shardId-000000000000"});
        let refused = json!({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded."});
        reply_in_cbor(200, &json!({"FailedRecordCount": 1, "Records": [stored, refused], "EncryptionType": "KMS"}))
    })
    .await;
    let results = stream_in_cbor(&server.url()).put(two(), Duration::from_secs(5)).await.expect("answers");
    assert_eq!(results, [EntryResult::Stored { shard: Some("shardId-000000000000".into()) }, EntryResult::Throttled]);
    let request = &server.requests()[0];
    assert_eq!(request.header("x-amz-target"), Some("Kinesis_20131202.PutRecords"));
    assert_eq!(request.header("content-type"), Some("application/x-amz-cbor-1.1"));
    let signed = request.header("authorization").expect("is signed");
    assert!(signed.contains("content-type"), "{signed}");
    let record = b"\x64Data\x47\xf3\x89\x9a\xc2...\x6cPartitionKey\x61a\x6fExplicitHashKey\x617";
    assert!(request.body.windows(record.len()).any(|part| part == record), "{:?}", request.body);
}

#[tokio::test]
async fn a_refusal_in_cbor_means_what_it_means_in_json() {
    for (status, code, failure) in [
        (400, "ExpiredTokenException", CallFailure::Credentials),
        (400, "ResourceNotFoundException", CallFailure::Permanent),
        (400, "ProvisionedThroughputExceededException", CallFailure::Throttled),
        (500, "InternalFailure", CallFailure::Ambiguous),
    ] {
        let server =
            Server::start(move |_, _| reply_in_cbor(status, &json!({"__type": code, "message": "so it is"}))).await;
        let error = stream_in_cbor(&server.url()).put(two(), Duration::from_secs(5)).await.expect_err("is refused");
        assert_eq!((error.failure, &*error.code), (failure, code), "{error}");
        // Of credentials it speaks in words of its own.
        assert!(failure == CallFailure::Credentials || error.message.contains("so it is"), "{error}");
    }
}

// What was stored can't be told from an answer that can't be read.
#[tokio::test]
async fn an_answer_in_cbor_that_cannot_be_read_is_ambiguous() {
    let server = Server::start(|_, _| reply_in_cbor(200, &json!({"Records": "none"}))).await;
    let error = stream_in_cbor(&server.url()).put(two(), Duration::from_secs(5)).await.expect_err("makes no sense");
    assert_eq!(error.failure, CallFailure::Ambiguous, "{error}");
}

/// What a call was, and the answers in turn; the last one again and again.
#[derive(Clone, Debug)]
struct Wiretap {
    calls: Arc<Mutex<Vec<(String, String)>>>,
    answers: Arc<[&'static [u8]]>,
}

impl Wiretap {
    fn stream(answers: &[&'static [u8]]) -> (Self, KinesisStream) {
        let this = Self { calls: Arc::default(), answers: answers.into() };
        let connector = SharedHttpConnector::new(this.clone());
        // Without an endpoint: the SDK finds AWS's by itself.
        let mut config =
            settings("http://127.0.0.1:1").to_builder().http_client(http_client_fn(move |_, _| connector.clone()));
        config.set_endpoint_url(None);
        let config = config.build();
        let settings = KinesisSettings { stream: ARN.to_owned(), ..KinesisSettings::default() };
        (this, KinesisStream::new(&config, &settings))
    }

    fn calls(&self) -> Vec<(String, String)> {
        self.calls.lock().expect("no test panics with it").clone()
    }
}

impl HttpConnector for Wiretap {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut calls = self.calls.lock().expect("no test panics with it");
        let answer = self.answers[calls.len().min(self.answers.len() - 1)];
        let content_type = request.headers().get("content-type").unwrap_or_default().to_owned();
        calls.push((request.uri().to_owned(), content_type));
        let status = 200_u16.try_into().expect("a status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(answer))))
    }
}

const STORED_IN_CBOR: &[u8] =
    b"\xbf\x67Records\x9f\xbf\x6eSequenceNumber\x611\x67ShardId\x61s\xff\xbf\x6eSequenceNumber\x612\x67ShardId\x61s\xff\xff\xff";
const STORED_IN_JSON: &[u8] =
    br#"{"Records":[{"SequenceNumber":"1","ShardId":"s"},{"SequenceNumber":"2","ShardId":"s"}]}"#;

#[tokio::test]
async fn calls_to_an_endpoint_of_aws_are_in_cbor() {
    let (tap, stream) = Wiretap::stream(&[STORED_IN_CBOR]);
    let results = stream.put(two(), Duration::from_secs(5)).await.expect("is stored");
    assert_eq!(results.len(), 2);
    let (uri, content_type) = tap.calls()[0].clone();
    assert!(uri.contains("kinesis.eu-west-1.amazonaws.com"), "{uri}");
    assert_eq!(content_type, "application/x-amz-cbor-1.1");
}

// Where CBOR was not asked for, a stream that it does not work with goes on in JSON; what says nothing about CBOR changes
// nothing.
#[tokio::test]
async fn what_is_not_understood_is_not_tried_again() {
    let (tap, stream) = Wiretap::stream(&[b"<html></html>", b"\xbf\x67Records", STORED_IN_JSON]);
    for code in ["answer", "cbor"] {
        let error = stream.put(two(), Duration::from_secs(5)).await.expect_err("makes no sense");
        assert_eq!((error.failure, &*error.code), (CallFailure::Ambiguous, code), "{error}");
    }
    stream.put(two(), Duration::from_secs(5)).await.expect("is stored");
    let kinds: Vec<_> = tap.calls().into_iter().map(|(_, content_type)| content_type).collect();
    let (cbor, json) = ("application/x-amz-cbor-1.1", "application/x-amz-json-1.1");
    assert_eq!(kinds, [cbor, cbor, json]);
}

// A proxy or an emulator that reads CBOR and answers in JSON is understood.
#[tokio::test]
async fn an_answer_in_json_to_a_call_in_cbor_is_read_as_well() {
    let server = Server::start(|_, _| {
        let stored = json!({"SequenceNumber": "1", "ShardId": "shardId-000000000000"});
        reply(200, &json!({"FailedRecordCount": 0, "Records": [stored, stored]}).to_string())
    })
    .await;
    let results = stream_in_cbor(&server.url()).put(two(), Duration::from_secs(5)).await.expect("answers");
    assert_eq!(results.len(), 2);
}

#[test]
fn endpoints_of_aws_are_told_from_others() {
    for uri in [
        "https://kinesis.eu-west-1.amazonaws.com/",
        "https://kinesis-fips.us-east-1.amazonaws.com",
        "https://kinesis.cn-north-1.amazonaws.com.cn/",
        "https://kinesis.eu-west-1.api.aws/",
        "https://123456789012.control-kinesis.eu-west-1.amazonaws.com/",
        "https://vpce-0a1b2c-3d4e5f.kinesis.eu-west-1.vpce.amazonaws.com",
    ] {
        assert!(is_of_aws(uri), "{uri}");
    }
    for uri in [
        "http://127.0.0.1:4566/",
        "http://localhost:4566",
        "https://kinesis.eu-west-1.amazonaws.com.example.net/",
        "https://notamazonaws.com/",
        "/",
        "",
    ] {
        assert!(!is_of_aws(uri), "{uri}");
    }
}

#[tokio::test]
async fn a_call_of_two_mebibytes_arrives_whole() {
    let server = Server::start(|_, request| store(request)).await;
    let stream = stream(&server.url(), ARN);
    let bodies: Vec<Vec<u8>> = (0..82_u8).map(|n| vec![n; 25_599]).collect();
    let entries = bodies.iter().map(|body| Entry::plain(body.clone(), Some(1 << 64))).collect::<Vec<_>>();
    assert!(bodies.iter().map(Vec::len).sum::<usize>() > 2 << 20);
    let results = stream.put(entries, Duration::from_secs(20)).await.expect("answers");
    assert_eq!(results.len(), 82);
    let request = server.requests()[0].json();
    assert_eq!((&request["StreamARN"], &request["StreamName"]), (&json!(ARN), &Value::Null));
    let records = request["Records"].as_array().expect("records");
    for (record, body) in records.iter().zip(&bodies) {
        let data = record["Data"].as_str().expect("data");
        assert_eq!(&BASE64_STANDARD.decode(data).expect("is base64"), body);
    }
}

#[tokio::test]
async fn the_open_shards_of_all_pages_are_found_in_order_and_the_arn_is_kept() {
    let half = 1 << 127;
    let server = Server::start(move |_, request| match request.operation() {
        "DescribeStreamSummary" => reply(200, &summary(json!({})).to_string()),
        "ListShards" if request.json()["NextToken"].is_null() => {
            let page = [shard(0, 0, u128::MAX, true), shard(2, half, u128::MAX, false)];
            reply(200, &json!({"Shards": page, "NextToken": "more"}).to_string())
        }
        "ListShards" => reply(200, &json!({"Shards": [shard(1, 0, half - 1, false)]}).to_string()),
        _ => store(request),
    })
    .await;
    let stream = stream(&server.url(), "events");
    let description = stream.describe().await.expect("answers");
    let range = |id: &str, start, end| ShardRange { id: id.into(), start, end };
    let expected = StreamDescription {
        mode: StreamMode::Provisioned,
        auto_distribution: false,
        max_record: 1 << 20,
        shards: vec![range("shardId-000000000001", 0, half - 1), range("shardId-000000000002", half, u128::MAX)],
    };
    assert_eq!(description, expected);
    stream.put(vec![Entry::plain("x", Some(0))], Duration::from_secs(5)).await.expect("answers");
    let bodies: Vec<_> = server.requests().iter().map(crate::aws::testing::Request::json).collect();
    assert_eq!(bodies[0], json!({"StreamName": "events"}));
    assert_eq!(bodies[1], json!({"StreamARN": ARN, "ShardFilter": {"Type": "AT_LATEST"}}));
    assert_eq!(bodies[2], json!({"NextToken": "more"}), "a token names the stream and the filter by itself");
    assert_eq!((&bodies[3]["StreamARN"], &bodies[3]["StreamName"]), (&json!(ARN), &Value::Null));
}

#[tokio::test]
async fn a_stream_that_distributes_records_itself_is_recognised() {
    let server = Server::start(|_, request| match request.operation() {
        "DescribeStreamSummary" => {
            let extra = json!({
                "StreamModeDetails": {"StreamMode": "ON_DEMAND"},
                "RecordDistributionStrategy": "AUTO",
                "MaxRecordSizeInKiB": 4_096,
            });
            reply(200, &summary(extra).to_string())
        }
        _ => reply(200, &json!({"Shards": [shard(0, 0, u128::MAX, false)]}).to_string()),
    })
    .await;
    let description = stream(&server.url(), ARN).describe().await.expect("answers");
    assert_eq!((description.mode, description.auto_distribution), (StreamMode::OnDemand, true));
    assert_eq!(description.max_record, 4 << 20);
}

#[tokio::test]
async fn a_stream_that_cannot_be_written_to_says_why() {
    for (status, failure) in [("CREATING", CallFailure::Throttled), ("DELETING", CallFailure::Permanent)] {
        let server = Server::start(move |_, _| reply(200, &summary(json!({"StreamStatus": status})).to_string())).await;
        let error = stream(&server.url(), "events").describe().await.expect_err("can't be written to");
        assert_eq!((error.failure, &*error.code), (failure, status));
        assert!(error.message.contains("events"), "{error}");
    }
    let server = Server::start(|_, request| match request.operation() {
        "DescribeStreamSummary" => reply(200, &summary(json!({})).to_string()),
        _ => reply(200, r#"{"Shards":[{"ShardId":"shardId-1","HashKeyRange":{"StartingHashKey":"9","EndingHashKey":"x"},"SequenceNumberRange":{"StartingSequenceNumber":"1"}}]}"#),
    })
    .await;
    let error = stream(&server.url(), "events").describe().await.expect_err("no range");
    assert_eq!(error.failure, CallFailure::Ambiguous, "{error}");
}
