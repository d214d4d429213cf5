//! Streams, delivery streams and tables: on an emulator where all is right, where something is missing, and on a stand-in
//! that refuses.

use std::convert::Infallible;
use std::net::SocketAddr;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeDefinition, ScalarAttributeType};
use aws_sdk_dynamodb::types::{BillingMode, KeySchemaElement, KeyType};
use headgate_tests::aws::faults::{Fault, Operations, Rule};
use headgate_tests::aws::kinesis::StreamSettings;
use headgate_tests::aws::{CallError, Settings, StandIn, kcl};
use headgate_tests::fault_proxy::{Fault as Broken, FaultProxy};
use headgate_tests::ministack::{self, MiniStack, TABLES};
use http::StatusCode;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::doctor;

const STREAMING: [&str; 6] = [
    "registry.kind=dynamodb",
    "delivery.destination=kinesis-with-firehose-fallback",
    "delivery.spill=0",
    "kinesis.stream=events",
    "firehose.delivery_stream=events-to-s3",
    "firehose.max_events_per_record=500",
];

async fn items(client: &Client, table: &str) -> usize {
    let scanned = client.scan().table_name(table).send().await.expect("it is scanned");
    scanned.items().len()
}

/// Everything that the stacks make is there. Nothing is written where nothing was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_up_as_it_should_be_is_found_so() {
    let (emulator, client) = MiniStack::with_tables().await;
    ministack::create_shares(&client).await;
    emulator.create_stream("events", 2).await;
    emulator.create_bucket("lake").await;
    emulator.create_delivery_stream("events-to-s3", "lake").await;
    let data = tempfile::tempdir().expect("a folder");
    let environment = ministack::environment(emulator.address());
    let found = doctor(data.path(), &STREAMING, &[], &environment).await;
    assert_eq!(found.code, Some(0), "{}", found.report);
    assert!(found.named("fail").is_empty(), "{}", found.report);
    found.assert("credentials", "ok", &["EnvironmentVariable", "key ****", "eu-west-1"]);
    found.assert("clock", "ok", &["AWS"]);
    for table in ["Applications", "Authorizations", "headgate-books", "HeadgateShares"] {
        found.assert(&format!("table {table}"), "ok", &["ACTIVE"]);
        found.assert(&format!("access to {table}"), "ok", &["allowed, nothing written"]);
        assert_eq!(items(&client, table).await, 0, "{table} is as empty as it was");
    }
    found.assert("table Authorizations", "ok", &["3 indexes as needed"]);
    found.assert("table HeadgateShares", "ok", &["time to live on expires_at"]);
    // The emulator's stream is kept for a day and not encrypted.
    found.assert("stream events", "warn", &["2 open shards", "encrypt"]);
    found.assert("delivery stream events-to-s3", "ok", &["DirectPut"]);
    found.assert("put to stream events", "skip", &["--write"]);
    found.assert("put to delivery stream events-to-s3", "skip", &["--write"]);
    found.assert("applications", "ok", &["0 registered"]);
    let secret = environment.iter().find(|(name, _)| name == "AWS_SECRET_ACCESS_KEY").expect("is set").1.clone();
    let credentials = found.of("credentials").1;
    assert!(!credentials.contains(&format!("\"{secret}\"")), "{credentials}");

    let found = doctor(data.path(), &STREAMING, &["--write"], &environment).await;
    found.assert("put to stream events", "ok", &["without an event", "shardId-"]);
    found.assert("put to delivery stream events-to-s3", "ok", &["empty line"]);
}

/// A table and a stream that are not there, a table without an index, one with another key, and no table for the books,
/// without which events flow.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_with_its_mend() {
    let emulator = MiniStack::start().await;
    let client = emulator.dynamodb().await;
    let text = |attribute: &str| {
        let definition = AttributeDefinition::builder().attribute_name(attribute);
        definition.attribute_type(ScalarAttributeType::S).build().expect("an attribute")
    };
    let key = |attribute: &str, kind| {
        KeySchemaElement::builder().attribute_name(attribute).key_type(kind).build().expect("a key")
    };
    let keys = client.create_table().table_name(TABLES.authorizations).billing_mode(BillingMode::PayPerRequest);
    keys.set_attribute_definitions(Some(["api_key_id", "application_id"].map(text).to_vec()))
        .key_schema(key("api_key_id", KeyType::Hash))
        .key_schema(key("application_id", KeyType::Range))
        .send()
        .await
        .expect("it is created");
    let shares = client.create_table().table_name("HeadgateShares").billing_mode(BillingMode::PayPerRequest);
    shares
        .attribute_definitions(text("app"))
        .key_schema(key("app", KeyType::Hash))
        .send()
        .await
        .expect("it is created");
    let data = tempfile::tempdir().expect("a folder");
    let found = doctor(data.path(), &STREAMING, &["--write"], &ministack::environment(emulator.address())).await;
    assert_eq!(found.code, Some(1), "{}", found.report);
    found.assert(
        "table Applications",
        "fail",
        &["there is no table Applications", "registry.dynamodb.applications_table"],
    );
    found.assert("access to Applications", "fail", &["there is no table"]);
    found.assert("table Authorizations", "fail", &["ApplicationAuthorizations", "there is none", "create the index"]);
    found.assert("table headgate-books", "warn", &["there is no table", "the sort key entry"]);
    found.assert("table HeadgateShares", "warn", &["its key is app", "application_id"]);
    found.assert("stream events", "fail", &["there is no stream events", "kinesis.stream"]);
    found.assert("put to stream events", "fail", &["there is no stream"]);
    found.assert("delivery stream events-to-s3", "fail", &["there is no delivery stream", "firehose.delivery_stream"]);
}

/// Answers whatever DynamoDB is asked with a refusal.
async fn refusing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let answer = service_fn(|_: Request<Incoming>| async {
                let body = r#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"not authorized"}"#;
                let response = Response::builder().status(StatusCode::BAD_REQUEST);
                Ok::<_, Infallible>(response.body(Full::new(Bytes::from(body))).expect("a response"))
            });
            let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), answer);
            tokio::spawn(serving);
        }
    });
    address
}

/// The services are there and refuse: each refusal names the action that the role lacks.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_role_lacks_is_named() {
    let stand_in = StandIn::start(Settings::default()).await;
    let stream = stand_in.create_stream(StreamSettings::new("events", 2));
    stand_in.create_delivery_stream("events-to-s3");
    let mut environment = ministack::environment(stand_in.address());
    environment.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), format!("http://{}", refusing().await)));
    let denied =
        |operation| Rule::new(Fault::CallFails(CallError::AccessDenied)).operations(Operations::Named(operation));
    let data = tempfile::tempdir().expect("a folder");
    for operation in ["ListShards", "PutRecords", "DescribeDeliveryStream", "PutRecordBatch"] {
        stand_in.faults().set(denied(operation));
    }
    let found = doctor(data.path(), &STREAMING, &["--write"], &environment).await;
    assert_eq!(found.code, Some(1), "{}", found.report);
    found.assert("stream events", "fail", &["allow kinesis:ListShards on the stream events"]);
    found.assert("put to stream events", "fail", &["allow kinesis:PutRecords on the stream events"]);
    let delivery = "delivery stream events-to-s3";
    found.assert(delivery, "fail", &["allow firehose:DescribeDeliveryStream on the delivery stream"]);
    found.assert(&format!("put to {delivery}"), "fail", &["allow firehose:PutRecordBatch"]);
    // The gateway itself describes no table.
    found.assert("table Applications", "warn", &["allow dynamodb:DescribeTable"]);
    found.assert("access to Applications", "fail", &["allow dynamodb:GetItem on the table Applications"]);
    found.assert("access to HeadgateShares", "warn", &["allow dynamodb:UpdateItem"]);
    found.assert("applications", "fail", &["access to table Applications is denied"]);

    stand_in.faults().clear();
    let found = doctor(data.path(), &STREAMING, &["--write"], &environment).await;
    found.assert("put to stream events", "ok", &["without an event"]);
    // A consumer that takes aggregates apart finds nothing in it.
    let shards = stream.shards();
    let reading = kcl::read(&shards);
    assert_eq!((reading.records().count(), reading.broken_aggregates, reading.discarded_aggregates), (0, 0, 0));
    assert_eq!(stand_in.delivered("events-to-s3").len(), 1);
}

/// A clock that is off by ten minutes, credentials that are over, and an endpoint that nobody reaches: each is said as what
/// it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_expired_credentials_and_a_closed_way_are_told_apart() {
    let stand_in = StandIn::start(Settings::default()).await;
    stand_in.create_stream(StreamSettings::new("events", 2));
    let settings = ["delivery.destination=kinesis", "kinesis.stream=events", "delivery.spill=0"];
    let data = tempfile::tempdir().expect("a folder");
    let environment = ministack::environment(stand_in.address());
    stand_in.set_clock_ahead(600);
    let found = doctor(data.path(), &settings, &[], &environment).await;
    assert_eq!(found.code, Some(1), "{}", found.report);
    found.assert("clock", "fail", &["behind AWS", "5 minutes", "chrony"]);
    stand_in.set_clock_ahead(-20);
    let found = doctor(data.path(), &settings, &[], &environment).await;
    assert_eq!(found.code, Some(0), "{}", found.report);
    found.assert("clock", "warn", &["ahead of AWS"]);
    stand_in.set_clock_ahead(0);

    let expired = Rule::new(Fault::CallFails(CallError::ExpiredToken)).operations(Operations::All);
    stand_in.faults().set(expired);
    let found = doctor(data.path(), &settings, &[], &environment).await;
    found.assert("stream events", "fail", &["renew the credentials"]);
    found.assert("clock", "ok", &[]);

    let proxy = FaultProxy::start(stand_in.address()).await;
    proxy.set(Broken::Refuse);
    let found = doctor(data.path(), &settings, &[], &ministack::environment(proxy.address())).await;
    found.assert("stream events", "fail", &["port 443", "AWS_ENDPOINT_URL"]);
    found.assert("clock", "skip", &[]);
    proxy.set(Broken::Hang);
    let found = doctor(data.path(), &settings, &["--limit", "1s"], &ministack::environment(proxy.address())).await;
    found.assert("stream events", "fail", &["no answer within 1s", "--limit"]);

    let mut nobody = ministack::environment(stand_in.address());
    nobody.retain(|(name, _)| !name.starts_with("AWS_ACCESS_KEY") && !name.starts_with("AWS_SECRET"));
    let found = doctor(data.path(), &settings, &[], &nobody).await;
    found.assert("credentials", "fail", &["AWS_ACCESS_KEY_ID"]);
    assert!(!found.report.to_string().contains("stream events"), "who can't sign asks nobody: {}", found.report);
}
