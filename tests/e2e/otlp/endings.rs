//! What OTLP's doors answer when the gateway drains and when it breaks: over gRPC, and over HTTP as JSON.

use std::time::Duration;

use bytes::Bytes;
use headgate::delivery::Health;
use headgate::metrics::{Counter, Gauge};
use headgate::serve::Stopped;
use headgate_tests::frames::{self, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, frame};
use headgate_tests::poll;
use headgate_tests::raw::{RawConnection, framed};
use tokio::net::TcpStream;
use tonic::Code;

use super::answers::{EXPORT, House, assert_refused, export, named, record, request};
use crate::PATIENCE;

async fn send(connection: &mut Frames, headers: &[u8], body: &[u8]) {
    let stream = connection.next_stream();
    let call = [frame(HEADERS, END_HEADERS, stream, headers), frame(DATA, END_STREAM, stream, body)].concat();
    connection.send(&call).await.expect("the connection is open");
}

/// What was taken before a drain is answered as ever. A request that comes after it, on a connection that is still open
/// since its client has not heard of the drain, is refused with a hint.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_answers_what_was_taken_and_refuses_what_comes_after_it() {
    let House { gateway, destination, target, _data, .. } = House::with(|_| {}).await;
    let metrics = gateway.metrics();
    let taken = metrics.counter(Counter::BatchesReceived, &[&gateway.demo().0.to_string()]);
    let draining = metrics.counter(Counter::Refusals, &["draining"]);
    let doors =
        [(target.address, EXPORT, "application/grpc"), (gateway.rest_address(), "/v1/logs", "application/json")];
    let bodies: [Bytes; 2] = [framed(false, &named("a")), request(&[record("a")]).into()];
    let headers = doors.map(|(_, path, content_type)| frames::post(path, content_type, &target.key));
    destination.hold();
    let mut connections = Vec::new();
    for ((address, ..), (headers, body)) in doors.iter().zip(headers.iter().zip(&bodies)) {
        let mut connection = Frames::open(*address, &[]).await.expect("it listens");
        send(&mut connection, headers, body).await;
        connections.push(connection);
    }
    poll::until("both are taken", PATIENCE, async || (taken.get() == 2).then_some(())).await;
    let stopping = tokio::spawn(gateway.stop());
    for (address, ..) in doors {
        let refused = async || TcpStream::connect(address).await.is_err().then_some(());
        poll::until("nobody is let in any more", PATIENCE, refused).await;
    }

    let mut refusals = Vec::new();
    for (connection, (headers, body)) in connections.iter_mut().zip(headers.iter().zip(&bodies)) {
        send(connection, headers, body).await;
        let refusal = poll::until("it is answered", PATIENCE, async || {
            let heard = connection.hear(Duration::from_millis(100)).await;
            (heard.headers > 0).then_some(heard)
        });
        refusals.push(String::from_utf8_lossy(&refusal.await.data).into_owned());
    }
    assert_eq!(draining.get(), 2);
    assert_eq!(refusals[0], "", "a status alone is in gRPC's headers");
    assert!(refusals[1].contains(r#""code":14"#) && refusals[1].contains("draining"), "{refusals:?}");

    destination.release();
    let expected = [framed(false, &[]), Bytes::from_static(b"{}")];
    for (connection, expected) in connections.iter_mut().zip(expected) {
        let heard = poll::until("what was taken is answered", PATIENCE, async || {
            let heard = connection.hear(Duration::from_millis(100)).await;
            (heard.headers > 0).then_some(heard)
        });
        assert_eq!(heard.await.data, expected);
    }
    assert_eq!(stopping.await.expect("it stops"), Stopped::Clean);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_internal_counted_and_nobody_elses_trouble() {
    let house = House::with(|_| {}).await;
    let mut connection = RawConnection::open(house.target.address).await;
    let key = Some(house.target.key.as_str());
    house.destination.panic_when_asked();
    let status = export(&mut connection, key, &named("a")).await.status.expect("a status");
    assert_eq!(status.code(), Code::Internal);
    assert_refused(&house.post(&[record("a")]).await, 500, Code::Internal, false);

    house.destination.set_health(Health::Up);
    let stored = export(&mut connection, key, &named("a")).await.status.expect("a status");
    assert_eq!(stored.code(), Code::Ok, "the same connection goes on");
    assert_eq!(house.post(&[record("a")]).await.text, "{}");
    let metrics = house.gateway.metrics();
    for task in ["call", "REST call"] {
        assert_eq!(metrics.counter(Counter::Panics, &[task]).get(), 1, "{task}");
    }
    let held = metrics.gauge(Gauge::BytesInFlight, &[]);
    poll::until("every byte is given back", PATIENCE, async || (held.get() == 0).then_some(())).await;
}
