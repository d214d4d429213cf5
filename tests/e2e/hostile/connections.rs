//! Too many connections, what is no call, and calls that are given up.

use std::net::SocketAddr;
use std::time::Duration;

use headgate_proto::v1::PublishEventsRequest;
use headgate_tests::client::Connection;
use headgate_tests::events::login;
use headgate_tests::frames::{self, END_HEADERS, HEADERS, RST_STREAM, frame};
use headgate_tests::poll;
use headgate_tests::raw::{self, RawConnection, framed};
use http::Method;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::House;
use crate::PATIENCE;

/// Opens a connection, which is closed at once.
async fn refused(address: SocketAddr) {
    let mut socket = TcpStream::connect(address).await.expect("the system connects it");
    let read = tokio::time::timeout(PATIENCE, socket.read(&mut [0; 16])).await;
    assert!(matches!(read.expect("it is closed"), Ok(0) | Err(_)), "it is not served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_megabyte_of_metadata_is_refused_and_the_connection_goes_on() {
    let mut house = House::new().await;
    let mut raw = RawConnection::open(house.target.address).await;
    let large = "x".repeat(1_000);
    let names: Vec<String> = (0..1_000).map(|number| format!("x-{number}")).collect();
    let mut headers = vec![("content-type", "application/grpc"), ("te", "trailers"), ("x-api-key", &*house.target.key)];
    headers.extend(names.iter().map(|name| (name.as_str(), large.as_str())));
    match raw.call(Method::POST, raw::PUBLISH, &headers, Vec::new(), false).await {
        Ok(response) => assert_eq!(response.http, 431, "{response:?}"),
        Err(error) => println!("the connection ended: {error:?}"),
    }
    house.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_has_its_share_of_the_connections_and_no_more() {
    let house = House::with(|settings| {
        settings.grpc.max_connections_per_peer = 3;
        settings.grpc.handshake_timeout = Duration::from_secs(60);
        settings.rest.max_connections_per_peer = 1;
        settings.rest.handshake_timeout = Duration::from_secs(60);
    })
    .await;
    // The neighbour has one of the three.
    let held = [TcpStream::connect(house.target.address).await, TcpStream::connect(house.target.address).await];
    let held_rest = TcpStream::connect(house.gateway.rest_address()).await;
    for (address, times) in [(house.target.address, 1), (house.gateway.rest_address(), 2)] {
        refused(address).await;
        house.counted("peer", times).await;
    }
    drop((held, held_rest));
    poll::until("a place is free again", PATIENCE, async || {
        Connection::open(&house.target).await.ok()?.publish(vec![login()]).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_past_the_limit_are_closed_at_once() {
    let mut house = House::with(|settings| {
        settings.grpc.max_connections = 2;
        settings.grpc.handshake_timeout = Duration::from_secs(60);
    })
    .await;
    let held = TcpStream::connect(house.target.address).await.expect("it listens");
    refused(house.target.address).await;
    house.counted("limit", 1).await;
    house.is_well().await;
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_http2_on_the_grpc_port_costs_its_connection_only() {
    let mut house = House::new().await;
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(50);
    let openings = [
        &b"GET / HTTP/1.1\r\nhost: gateway\r\n\r\n"[..],
        b"POST /x HTTP/1.0\r\n\r\n",
        &hello,
        &[0; 4_096],
        &[0xff; 4_096],
    ];
    for (opening, times) in openings.into_iter().zip(1..) {
        let mut socket = TcpStream::connect(house.target.address).await.expect("it listens");
        // The gateway may close before everything is sent.
        let _ = socket.write_all(opening).await;
        let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut Vec::new())).await;
        let _ = read.expect("the gateway closes the connection");
        house.counted("protocol", times).await;
    }
    house.is_well().await;
}

/// Before its headers are whole, before its message, in the middle of it, before its answer, and on a stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cancelled_at_any_stage_gives_everything_back() {
    let mut house = House::with(|settings| settings.gather.linger = Some(Duration::from_millis(200))).await;
    let headers = frames::call("PublishEvents", &house.target.key);
    let stream_headers = frames::call("StreamEvents", &house.target.key);
    let body = framed(false, &PublishEventsRequest { events: vec![login()] }.encode_to_vec());
    let reset = |stream| frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
    let data = |stream, bytes: &[u8]| frame(frames::DATA, 0, stream, bytes);
    let mut connection = house.frames().await;
    for _ in 0..5 {
        let stages: [Vec<Vec<u8>>; 5] = [
            vec![],
            vec![data(0, &body[..3])],
            vec![data(0, &body[..20])],
            vec![data(0, &body)],
            vec![data(0, &body), data(0, b"")],
        ];
        for (stage, pieces) in stages.into_iter().enumerate() {
            for headers in [&headers, &stream_headers] {
                let stream = connection.next_stream();
                connection.send(&frame(HEADERS, END_HEADERS, stream, headers)).await.expect("it is open");
                for mut piece in pieces.clone() {
                    piece[5..9].copy_from_slice(&stream.to_be_bytes());
                    connection.send(&piece).await.expect("it is open");
                }
                if stage % 2 == 0 {
                    tokio::task::yield_now().await;
                }
                connection.send(&reset(stream)).await.expect("it is open");
                // Faster than they are looked at, they would be a rapid reset.
                let _ = connection.hear(Duration::from_millis(10)).await;
            }
        }
    }
    // And whole connections, with the same open on them.
    for pieces in [vec![], vec![&body[..20]], vec![&body[..]]] {
        let mut connection = house.frames().await;
        let stream = connection.next_stream();
        connection.send(&frame(HEADERS, END_HEADERS, stream, &headers)).await.expect("it is open");
        for piece in pieces {
            connection.send(&data(stream, piece)).await.expect("it is open");
        }
    }
    let heard = connection.hear(Duration::from_millis(300)).await;
    assert!(!heard.closed, "{heard:?}");
    house.is_well().await;
}
