//! Over real sockets: what the SDK makes of a fault is not written down anywhere.

use std::time::Duration;

use tokio::net::TcpListener;

use super::*;
use crate::aws::testing::{Answer, Server, refusal, reply, settings};
use crate::config::{FirehoseSettings, KinesisSettings};
use crate::delivery::aws::{FirehoseStream, KinesisStream};
use crate::delivery::sender::wire::{Entry, Wire};

const STORED: &str = r#"{"FailedRecordCount":0,"Records":[{"SequenceNumber":"1","ShardId":"shardId-000000000000"}]}"#;

fn kinesis(url: &str) -> KinesisStream {
    KinesisStream::new(&settings(url), &KinesisSettings { stream: "events".to_owned(), ..KinesisSettings::default() })
}

fn firehose(url: &str) -> FirehoseStream {
    let delivery_stream = "events".to_owned();
    FirehoseStream::new(&settings(url), &FirehoseSettings { delivery_stream, ..FirehoseSettings::default() })
}

async fn put(wire: &dyn Wire) -> Result<Vec<EntryResult>, CallError> {
    let entry = Entry::plain("{}\n", Some(7));
    wire.put(vec![entry], Duration::from_millis(700)).await
}

/// How a put against a server of this behaviour fails, for both services; each makes one request.
async fn failure(
    behaviour: impl Fn(usize, &crate::aws::testing::Request) -> Answer + Send + Sync + 'static,
) -> CallError {
    let server = Server::start(behaviour).await;
    let error = put(&kinesis(&server.url())).await.expect_err("fails");
    assert_eq!(server.requests().len(), 1, "the SDK repeats nothing");
    let other = put(&firehose(&server.url())).await.expect_err("fails");
    assert_eq!(server.requests().len(), 2, "the SDK repeats nothing");
    assert_eq!((error.failure, &error.code), (other.failure, &other.code));
    error
}

#[tokio::test]
async fn nothing_was_written_where_nobody_listens() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("binds");
    let url = format!("http://{}", listener.local_addr().expect("is bound"));
    drop(listener);
    let error = put(&kinesis(&url)).await.expect_err("refused");
    assert_eq!((error.failure, &*error.code), (CallFailure::Unreachable, "connect"), "{error}");
    let error = put(&firehose(&url)).await.expect_err("refused");
    assert_eq!((error.failure, &*error.code), (CallFailure::Unreachable, "connect"), "{error}");
}

#[tokio::test]
async fn nothing_was_written_where_tls_fails() {
    let server = Server::resetting().await;
    let error = put(&kinesis(&server.url().replace("http:", "https:"))).await.expect_err("no TLS there");
    assert_eq!((error.failure, &*error.code), (CallFailure::Unreachable, "connect"), "{error}");
}

#[tokio::test]
async fn nothing_was_written_where_a_connection_does_not_come_about_in_time() {
    let server = Server::start(|_, _| Answer::Hang).await;
    let stream = kinesis(&server.url().replace("http:", "https:"));
    let entry = Entry::plain("{}\n", Some(7));
    // The connect timeout, which is the shorter one, holds for TLS too.
    let error = stream.put(vec![entry], Duration::from_secs(20)).await.expect_err("no TLS there");
    assert_eq!((error.failure, &*error.code), (CallFailure::Unreachable, "connect"), "{error}");
}

#[tokio::test]
async fn a_broken_connection_leaves_it_open_what_was_written() {
    let server = Server::resetting().await;
    let error = put(&kinesis(&server.url())).await.expect_err("reset before the request");
    assert_eq!((error.failure, &*error.code), (CallFailure::Ambiguous, "connection"), "{error}");
    let error = failure(|_, _| Answer::Reset).await;
    assert_eq!((error.failure, &*error.code), (CallFailure::Ambiguous, "connection"), "{error}");
    let error = failure(|_, _| Answer::Close).await;
    assert_eq!((error.failure, &*error.code), (CallFailure::Ambiguous, "connection"), "{error}");
}

#[tokio::test]
async fn silence_leaves_it_open_what_was_written_and_ends_in_time() {
    let began = crate::clock::Clock::system();
    let start = began.now();
    let error = failure(|_, _| Answer::Hang).await;
    assert_eq!((error.failure, &*error.code), (CallFailure::Ambiguous, "timeout"), "{error}");
    let took = began.now() - start;
    assert!(
        (Duration::from_millis(1_400)..Duration::from_secs(4)).contains(&took),
        "two calls of 700 ms took {took:?}"
    );
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_leaves_it_open_what_was_written() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"Records\"",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nnot JSON!",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 29\r\n\r\n{\"Records\":[{},{}],\"x\":\"pad\"}",
        "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 6\r\n\r\n<html>",
        "HTTP/1.1 408 X\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 400 X\r\ncontent-length: 100\r\n\r\n{\"__type\":",
        "SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        let error = failure(move |_, _| Answer::ReplyAndClose(answer.to_owned())).await;
        assert_eq!(error.failure, CallFailure::Ambiguous, "{answer:?}: {error}");
    }
}

#[tokio::test]
async fn each_error_of_the_services_says_what_was_written() {
    use CallFailure::{Ambiguous, Credentials, Permanent, Throttled};
    for (status, code, expected) in [
        (400, "ProvisionedThroughputExceededException", Throttled),
        (400, "LimitExceededException", Throttled),
        (400, "ThrottlingException", Throttled),
        (400, "KMSThrottlingException", Throttled),
        (503, "ServiceUnavailableException", Throttled),
        (503, "SlowDown", Throttled),
        (429, "WhoKnows", Throttled),
        (500, "InternalFailure", Ambiguous),
        (500, "InternalFailureException", Ambiguous),
        (503, "ServiceUnavailable", Ambiguous),
        (504, "WhoKnows", Ambiguous),
        (400, "RequestTimeout", Ambiguous),
        (400, "ExpiredTokenException", Credentials),
        (403, "ExpiredToken", Credentials),
        (400, "UnrecognizedClientException", Credentials),
        (403, "InvalidClientTokenId", Credentials),
        (403, "InvalidSignatureException", Credentials),
        (403, "SignatureDoesNotMatch", Credentials),
        (400, "RequestExpired", Credentials),
        (400, "ResourceNotFoundException", Permanent),
        (400, "AccessDeniedException", Permanent),
        (400, "InvalidArgumentException", Permanent),
        (400, "ValidationException", Permanent),
        (400, "SerializationException", Permanent),
        (400, "InvalidSourceException", Permanent),
        (400, "InvalidKMSResourceException", Permanent),
        (400, "KMSDisabledException", Permanent),
        (400, "KMSInvalidStateException", Permanent),
        (400, "KMSAccessDeniedException", Permanent),
        (400, "KMSNotFoundException", Permanent),
        (400, "KMSOptInRequired", Permanent),
        (413, "RequestEntityTooLarge", Permanent),
    ] {
        let error = failure(move |_, _| refusal(status, code, "in words")).await;
        assert_eq!((error.failure, &*error.code), (expected, code), "{status}: {error}");
    }
    let error = failure(|_, _| reply(404, r#"{"reason":"a proxy's"}"#)).await;
    assert_eq!((error.failure, &*error.code), (CallFailure::Ambiguous, "answer"), "{error}");
    let error = failure(|_, _| reply(429, "")).await;
    assert_eq!((error.failure, &*error.code), (CallFailure::Throttled, "status_429"), "{error}");
}

#[tokio::test]
async fn an_error_carries_no_key_material() {
    let error = failure(|_, request| {
        let message = format!("The Canonical String should have been {}", request.head);
        refusal(403, "InvalidSignatureException", &message)
    })
    .await;
    assert!(!error.to_string().contains("session"), "{error}");
    let error = failure(|_, _| refusal(400, "InvalidArgumentException", &"é".repeat(10_000))).await;
    assert!(error.message.len() <= LONGEST_MESSAGE + 4, "{}", error.message.len());
}

#[tokio::test]
async fn each_record_has_its_own_result() {
    let server = Server::start(|_, request| match request.operation() {
        "PutRecords" => reply(
            200,
            r#"{"FailedRecordCount":2,"Records":[
                {"SequenceNumber":"1","ShardId":"shardId-000000000003"},
                {"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":"Rate exceeded"},
                {"ErrorCode":"InternalFailure","ErrorMessage":"Internal Service Failure"}]}"#,
        ),
        _ => reply(
            200,
            r#"{"FailedPutCount":2,"RequestResponses":[{"RecordId":"1"},
                {"ErrorCode":"ServiceUnavailableException","ErrorMessage":"Slow down."},
                {"ErrorCode":"InternalFailure","ErrorMessage":"Internal Service Failure"}]}"#,
        ),
    })
    .await;
    let entries = || (0..3).map(|_| Entry::plain("{}\n", Some(0))).collect::<Vec<_>>();
    let failed = EntryResult::Failed { code: "InternalFailure".into() };
    let stored = |shard: Option<&str>| EntryResult::Stored { shard: shard.map(Arc::from) };
    let results = kinesis(&server.url()).put(entries(), Duration::from_secs(5)).await.expect("answers");
    assert_eq!(results, [stored(Some("shardId-000000000003")), EntryResult::Throttled, failed.clone()]);
    let results = firehose(&server.url()).put(entries(), Duration::from_secs(5)).await.expect("answers");
    assert_eq!(results, [stored(None), EntryResult::Throttled, failed]);
    // A short answer is no success for those it names: which of them it means is not known.
    let error = put(&kinesis(&server.url())).await.expect_err("three results for one record");
    assert_eq!((error.failure, &*error.code), (CallFailure::Ambiguous, "length_mismatch"));
}

#[tokio::test]
async fn a_pooled_connection_that_the_service_closed_costs_nothing() {
    let server = Server::start(|_, _| {
        Answer::ReplyAndClose(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{STORED}", STORED.len()))
    })
    .await;
    let stream = kinesis(&server.url());
    for call in 1..=20 {
        put(&stream).await.expect("a closed connection is noticed before it is used");
        assert_eq!(server.connections(), call);
    }
}

#[tokio::test]
async fn connections_are_kept_and_one_that_fell_silent_is_given_up() {
    let server = Server::start(|before, _| if before == 5 { Answer::Hang } else { reply(200, STORED) }).await;
    let stream = kinesis(&server.url());
    for _ in 0..5 {
        put(&stream).await.expect("answers");
    }
    assert_eq!(server.connections(), 1);
    put(&stream).await.expect_err("silence");
    put(&stream).await.expect("a new connection");
    assert_eq!(server.connections(), 2);
}
