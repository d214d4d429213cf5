//! Clients that say nothing, or say or read it too slowly.

use std::sync::Arc;
use std::time::Duration;

use headgate::delivery::lake::OsFiles;
use headgate::metrics::{Counter, Gauge};
use headgate_proto::v1::PublishEventsRequest;
use headgate_tests::events::login;
use headgate_tests::frames::{self, END_HEADERS, Frames, HEADERS, frame};
use headgate_tests::inproc::InProcess;
use headgate_tests::poll;
use headgate_tests::raw::{self, RawConnection, framed};
use http::Method;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

use super::House;
use crate::PATIENCE;

/// HTTP/2's error code: RFC 9113, 7.
const REFUSED_STREAM: u32 = 7;

/// Answers that can't be sent wait for a while, then their calls end; the connection may go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_of_zero_holds_nothing_for_long() {
    let mut house = House::new().await;
    const INITIAL_WINDOW_SIZE: u16 = 4;
    let mut connection = Frames::open(house.target.address, &[(INITIAL_WINDOW_SIZE, 0)]).await.expect("it listens");
    let headers = frames::call("PublishEvents", &house.target.key);
    let body = framed(false, &PublishEventsRequest { events: vec![login()] }.encode_to_vec());
    for _ in 0..100 {
        let stream = connection.next_stream();
        let call = [frame(HEADERS, END_HEADERS, stream, &headers), frame(frames::DATA, 1, stream, &body)].concat();
        connection.send(&call).await.expect("the connection is open");
    }
    house.is_well().await;
    let _ = connection.hear(Duration::from_millis(100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_or_says_it_slowly_is_let_go() {
    let mut house = House::new().await;
    let address = house.target.address;
    for (opening, times) in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM"].iter().zip(1..) {
        let mut socket = TcpStream::connect(address).await.expect("it listens");
        socket.write_all(opening.as_bytes()).await.expect("it is sent");
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
        let _ = read.expect("the gateway closes the connection");
        house.counted("timeout", times).await;
    }
    // A message that does not arrive whole.
    let mut raw = RawConnection::open(address).await;
    let headers = [("content-type", "application/grpc"), ("te", "trailers"), ("x-api-key", house.target.key.as_str())];
    let pieces = vec![framed(false, &[0; 1_000]).slice(..500)];
    let slow = raw.call(Method::POST, raw::PUBLISH, &headers, pieces, true).await.expect("answered");
    assert_eq!(slow.status.map(|status| status.code()), Some(Code::DeadlineExceeded));
    house.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tls_handshake_that_never_ends_is_let_go_on_both_ports() {
    let data = tempfile::tempdir().expect("a folder");
    crate::tls::Authority::new().write(data.path());
    let tls = crate::tls::settings(data.path());
    let gateway = InProcess::start(data.path(), Arc::new(OsFiles), |settings| {
        settings.grpc.handshake_timeout = Duration::from_millis(300);
        settings.rest.handshake_timeout = Duration::from_millis(300);
        (settings.grpc.tls, settings.rest.tls) = (Some(tls.clone()), Some(tls));
    })
    .await;
    let refused = gateway.metrics().counter(Counter::ConnectionsRefused, &["timeout"]);
    let mut times = 0;
    for address in [gateway.demo().1.address, gateway.rest_address()] {
        for opening in [&b""[..], b"\x16\x03\x01\x02\x00", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
            let mut socket = TcpStream::connect(address).await.expect("it listens");
            socket.write_all(opening).await.expect("it is sent");
            let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut Vec::new())).await;
            let _ = read.expect("the gateway closes the connection");
            times += 1;
            poll::until("it is counted", PATIENCE, async || (refused.get() >= times).then_some(())).await;
        }
    }
}

/// A stream that is opened and left silent holds no byte, and no more of them fit on a connection than may.
#[tokio::test(flavor = "multi_thread")]
async fn silent_streams_hold_nothing_and_too_many_are_refused() {
    let mut house = House::with(|settings| settings.grpc.max_concurrent_streams = 20).await;
    let mut connection = house.frames().await;
    let headers = frames::call("StreamEvents", &house.target.key);
    // What the gateway allows is known once its settings are heard.
    let _ = connection.hear(Duration::from_millis(200)).await;
    for _ in 0..50 {
        let stream = connection.next_stream();
        connection.send(&frame(HEADERS, END_HEADERS, stream, &headers)).await.expect("the connection is open");
    }
    let heard = connection.hear(Duration::from_millis(500)).await;
    assert_eq!(heard.resets, vec![REFUSED_STREAM; 30], "{heard:?}");
    let streams = house.gateway.metrics().gauge(Gauge::Streams, &[]);
    assert_eq!((streams.get(), heard.closed), (20, false));
    house.is_well().await;
    drop(connection);
    poll::until("they are gone", PATIENCE, async || (streams.get() == 0).then_some(())).await;
}
