use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::*;
use crate::aws::testing::{Answer, Request, Server, refusal, reply, settings};

fn stream(url: &str, delivery_stream: &str) -> FirehoseStream {
    let delivery_stream = delivery_stream.to_owned();
    FirehoseStream::new(&settings(url), &FirehoseSettings { delivery_stream, ..FirehoseSettings::default() })
}

/// Stores everything that is put.
fn store(request: &Request) -> Answer {
    let sent = request.json()["Records"].as_array().map_or(0, Vec::len);
    let responses: Vec<_> = (0..sent).map(|_| json!({"RecordId": "1"})).collect();
    reply(200, &json!({"FailedPutCount": 0, "RequestResponses": responses}).to_string())
}

fn described(status: &str, source: &str) -> Answer {
    let description = json!({
        "DeliveryStreamName": "events", "DeliveryStreamStatus": status, "DeliveryStreamType": source,
        "DeliveryStreamARN": "arn:aws:firehose:eu-west-1:123456789012:deliverystream/events",
        "VersionId": "1", "Destinations": [], "HasMoreDestinations": false,
    });
    reply(200, &json!({"DeliveryStreamDescription": description}).to_string())
}

#[tokio::test]
async fn a_put_has_the_shape_that_the_service_expects() {
    let server = Server::start(|_, request| store(request)).await;
    let stream = stream(&server.url(), "arn:aws:firehose:eu-west-1:123456789012:deliverystream/events");
    let entries = ["{\"a\":1}\n{\"a\":2}\n", "{\"a\":3}\n"].map(|data| Entry::plain(data, None));
    let results = stream.put(entries.to_vec(), Duration::from_secs(5)).await.expect("answers");
    assert_eq!(results, [EntryResult::Stored { shard: None }, EntryResult::Stored { shard: None }]);
    let request = &server.requests()[0];
    assert_eq!(request.line, "POST / HTTP/1.1");
    assert_eq!(request.header("x-amz-target"), Some("Firehose_20150804.PutRecordBatch"));
    assert_eq!(request.header("content-type"), Some("application/x-amz-json-1.1"));
    let authorization = request.header("authorization").expect("is signed");
    assert!(authorization.contains("/eu-west-1/firehose/aws4_request"), "{authorization}");
    let data = |text: &str| json!({"Data": BASE64_STANDARD.encode(text)});
    let records = [data("{\"a\":1}\n{\"a\":2}\n"), data("{\"a\":3}\n")];
    assert_eq!(request.json(), json!({"DeliveryStreamName": "events", "Records": records}));
}

#[tokio::test]
async fn a_call_of_two_mebibytes_arrives_whole() {
    let server = Server::start(|_, request| store(request)).await;
    let bodies: Vec<Vec<u8>> = (0..5_u8).map(|n| vec![n; 512_000]).collect();
    let entries = bodies.iter().map(|body| Entry::plain(body.clone(), None)).collect();
    let results = stream(&server.url(), "events").put(entries, Duration::from_secs(20)).await.expect("answers");
    assert_eq!(results.len(), 5);
    let request = server.requests()[0].json();
    for (record, body) in request["Records"].as_array().expect("records").iter().zip(&bodies) {
        let data = record["Data"].as_str().expect("data");
        assert_eq!(&BASE64_STANDARD.decode(data).expect("is base64"), body);
    }
}

#[tokio::test]
async fn a_delivery_stream_that_takes_no_records_is_found_out_at_the_start() {
    for (status, source, expected) in [
        ("ACTIVE", "DirectPut", None),
        ("CREATING", "DirectPut", Some((CallFailure::Throttled, "is being created"))),
        ("DELETING", "DirectPut", Some((CallFailure::Permanent, "is not active"))),
        ("ACTIVE", "KinesisStreamAsSource", Some((CallFailure::Permanent, "Direct PUT as its source"))),
    ] {
        let server = Server::start(move |_, _| described(status, source)).await;
        let found = stream(&server.url(), "events").check().await;
        match expected {
            None => found.expect("takes records"),
            Some((failure, words)) => {
                let error = found.expect_err("takes no records");
                assert_eq!(error.failure, failure, "{error}");
                assert!(error.message.contains(words) && error.message.contains("events"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_missing_delivery_stream_or_permission_is_named_with_what_to_do() {
    for (code, words) in [
        ("ResourceNotFoundException", "firehose.delivery_stream"),
        ("AccessDeniedException", "allow firehose:DescribeDeliveryStream"),
    ] {
        let server = Server::start(move |_, _| refusal(400, code, "in words")).await;
        let error = stream(&server.url(), "events").check().await.expect_err("is not there");
        assert_eq!(error.failure, CallFailure::Permanent);
        assert!(error.message.contains(words) && error.message.contains("events"), "{error}");
    }
}
