//! Clients of gRPC-Web's text that do not read: over HTTP/2 they lose the call, over HTTP/1.1 the connection.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use headgate::delivery::lake::OsFiles;
use headgate::metrics::{Counter, Gauge};
use headgate_proto::v1::{Event, PublishEventsRequest};
use headgate_tests::events::login;
use headgate_tests::inproc::InProcess;
use headgate_tests::poll;
use headgate_tests::rest::RestClient;
use http::{Method, Request};
use prost::Message;
use prost_types::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::{PATIENCE, PUBLISH, TEXT, frame, one_event, publish};
use crate::no_rate_limit;

/// As many as a batch may ever have.
const MANY: usize = 30_000;

async fn gateway(data: &std::path::Path) -> InProcess {
    InProcess::start(data, Arc::new(OsFiles), |settings| {
        no_rate_limit(settings);
        settings.ingest.max_batch = u32::try_from(MANY).expect("small");
        settings.rest.slow_reader_timeout = Duration::from_millis(500);
    })
    .await
}

/// A batch in gRPC-Web's text, each of whose events is answered with a reason of a hundred bytes.
fn rejected(events: usize) -> String {
    let event_timestamp = Some(Timestamp { seconds: i64::MAX, nanos: 0 });
    let events = vec![Event { event_timestamp, event_id: String::new(), ..login() }; events];
    STANDARD.encode(frame(0, &PublishEventsRequest { events }.encode_to_vec()))
}

/// Nothing is held for who did not read, nothing has panicked, and others are served.
async fn assert_well(gateway: &InProcess) {
    let metrics = gateway.metrics();
    let held = metrics.gauge(Gauge::BytesInFlight, &[]);
    poll::until("every byte is given back", PATIENCE, async || (held.get() == 0).then_some(())).await;
    assert_eq!(metrics.counter(Counter::Panics, &["REST call"]).get(), 0);
    let (_, target) = gateway.demo();
    let answer = publish(&RestClient::new(gateway.rest_address()), &target.key, &[], one_event()).await;
    assert_eq!(answer.status, 200);
}

/// A window of the client's own of no bytes: it can be sent nothing, ever.
#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_who_does_not_read_an_answer_loses_its_call_and_not_the_connection() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = gateway(data.path()).await;
    let socket = tokio::net::TcpStream::connect(gateway.rest_address()).await.expect("it listens");
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(0);
    let (sender, connection) = builder.handshake::<_, Bytes>(socket).await.expect("it speaks HTTP/2");
    let driver = tokio::spawn(connection);
    let mut sender = sender.ready().await.expect("the connection is open");
    for _ in 0..2 {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{}{PUBLISH}", gateway.rest_address()))
            .header("content-type", TEXT)
            .header("x-api-key", &gateway.demo().1.key)
            .body(())
            .expect("good headers");
        let (response, mut body) = sender.send_request(request, false).expect("the call begins");
        body.send_data(rejected(200).into(), true).expect("within the window");
        let response = tokio::time::timeout(PATIENCE, response).await.expect("it is taken").expect("and answered");
        let mut answer = response.into_body();
        let ended = tokio::time::timeout(PATIENCE, answer.data()).await.expect("it is given up").expect("not well");
        let reason = ended.map(|bytes| bytes.len()).expect_err("it can be sent nothing").reason();
        assert_eq!(reason, Some(h2::Reason::CANCEL));
        sender = sender.ready().await.expect("the connection goes on");
    }
    assert_well(&gateway).await;
    driver.abort();
}

/// More than what systems take from a gateway that sends, and a client that leaves it there.
#[tokio::test(flavor = "multi_thread")]
async fn over_http_1_who_does_not_read_an_answer_loses_the_connection() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = gateway(data.path()).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4 << 10).expect("it is an option");
    let mut socket = socket.connect(gateway.rest_address()).await.expect("it listens");
    let body = rejected(MANY);
    let head = format!(
        "POST {PUBLISH} HTTP/1.1\r\nhost: gateway\r\ncontent-type: {TEXT}\r\nx-api-key: {}\r\ncontent-length: {}\r\n\r\n",
        gateway.demo().1.key,
        body.len()
    );
    socket.write_all(head.as_bytes()).await.expect("it is sent");
    socket.write_all(body.as_bytes()).await.expect("it is sent");
    // The first bytes of an answer: from here on it reads nothing.
    let mut answer = vec![0; 16];
    socket.read_exact(&mut answer).await.expect("it is answered");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    assert_well(&gateway).await;
    let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("it is closed");
    assert!(read.is_err() || !answer.ends_with(b"0\r\n\r\n"), "an answer of {} bytes came whole", answer.len());
}
