//! Clients that flood, dawdle, lie or vanish on the gRPC port: each costs its connection at most, is counted, holds no
//! byte of the budget, and a neighbour beside it notices nothing. REST's are in `rest/hostile.rs`.

use std::net::SocketAddr;
use std::time::Duration;

use headgate::config::Settings;
use headgate::config::units::Size;
use headgate::delivery::lake::OsFiles;
use headgate::metrics::{Counter, Gauge};
use headgate_proto::v1::{Event, PublishEventsRequest, Reason, VerdictCode};
use headgate_tests::client::{Connection, Target};
use headgate_tests::events::login;
use headgate_tests::frames::{self, CONTINUATION, END_HEADERS, Frames, HEADERS, PING, RST_STREAM, SETTINGS, frame};
use headgate_tests::inproc::InProcess;
use headgate_tests::poll;
use headgate_tests::raw::{self, RawConnection, framed};
use http::Method;
use prost::Message;
use prost_types::Timestamp;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

use crate::{PATIENCE, no_rate_limit};

/// HTTP/2's error codes: RFC 9113, 7.
const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// Opens a connection, which is closed at once.
async fn refused(address: SocketAddr) {
    let mut socket = TcpStream::connect(address).await.expect("the system connects it");
    let read = tokio::time::timeout(PATIENCE, socket.read(&mut [0; 16])).await;
    assert!(matches!(read.expect("it is closed"), Ok(0) | Err(_)), "it is not served");
}

struct House {
    gateway: InProcess,
    target: Target,
    neighbour: Connection,
    _data: TempDir,
}

impl House {
    /// Short of patience, so that a test need not be long of it.
    async fn with(adjust: impl FnOnce(&mut Settings)) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let gateway = InProcess::start(data.path(), Arc::new(OsFiles), |settings| {
            no_rate_limit(settings);
            settings.grpc.handshake_timeout = Duration::from_millis(500);
            settings.grpc.message_timeout = Duration::from_millis(500);
            settings.grpc.slow_reader_timeout = Duration::from_millis(500);
            settings.rest.handshake_timeout = Duration::from_millis(500);
            adjust(settings);
        })
        .await;
        let (_, target) = gateway.demo();
        let neighbour = Connection::open(&target).await.expect("it listens");
        Self { gateway, target, neighbour, _data: data }
    }

    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    fn refused(&self, cause: &'static str) -> u64 {
        self.gateway.metrics().counter(Counter::ConnectionsRefused, &[cause]).get()
    }

    async fn counted(&self, cause: &'static str, times: u64) {
        poll::until("it is counted", PATIENCE, async || (self.refused(cause) >= times).then_some(())).await;
    }

    /// The neighbour's call goes through, nothing is held any more, and nothing has panicked.
    async fn is_well(&mut self) {
        assert_eq!(self.neighbour.publish(vec![login()]).await.expect("the neighbour is served").accepted, 1);
        let metrics = self.gateway.metrics();
        poll::until("all bytes of the budget are given back", PATIENCE, async || {
            (metrics.gauge(Gauge::BytesInFlight, &[]).get() == 0).then_some(())
        })
        .await;
        for task in ["call", "stream", "http2", "connection"] {
            assert_eq!(metrics.counter(Counter::Panics, &[task]).get(), 0, "{task}");
        }
    }

    async fn frames(&self) -> Frames {
        Frames::open(self.target.address, &[]).await.expect("it listens")
    }

    /// Sends this again and again until the gateway closes.
    async fn flood(&self, mut next: impl FnMut(&mut Frames) -> Vec<u8>) -> (usize, frames::Heard) {
        let mut connection = self.frames().await;
        let mut sent = 0;
        let flooding = async {
            loop {
                let bytes = next(&mut connection);
                if connection.send(&bytes).await.is_err() {
                    return;
                }
                sent += 1;
            }
        };
        tokio::time::timeout(PATIENCE, flooding).await.expect("the gateway closes the connection");
        (sent, connection.hear(Duration::from_secs(2)).await)
    }
}

/// CVE-2023-44487: a client that resets every stream as soon as it has opened it is under no limit of open streams.
#[tokio::test(flavor = "multi_thread")]
async fn rapid_reset_ends_the_connection() {
    let mut house = House::with(|settings| settings.grpc.max_control_frames = 1_000).await;
    let headers = frames::call("PublishEvents", &house.target.key);
    let (sent, _) = house
        .flood(|connection| {
            let stream = connection.next_stream();
            let open = frame(HEADERS, END_HEADERS, stream, &headers);
            [open, frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
        })
        .await;
    println!("{sent} streams were opened and reset");
    // Its limit, or the one that the library has for streams that nobody has looked at yet.
    poll::until("it is counted", PATIENCE, async || {
        (house.refused("flood") + house.refused("protocol") >= 1).then_some(())
    })
    .await;
    house.is_well().await;
}

/// A list of headers that never ends (CVE-2024-27316 and its kin).
#[tokio::test(flavor = "multi_thread")]
async fn a_continuation_flood_ends_the_connection() {
    let mut house = House::new().await;
    let piece: Vec<u8> = std::iter::repeat_n(frames::literal("x", "y"), 100).flatten().collect();
    let mut first = true;
    let (_, heard) = house
        .flood(|_| {
            let kind = if std::mem::take(&mut first) { HEADERS } else { CONTINUATION };
            frame(kind, 0, 3, &piece)
        })
        .await;
    println!("{heard:?}");
    assert!(heard.goaway.is_none_or(|code| [PROTOCOL_ERROR, ENHANCE_YOUR_CALM].contains(&code)), "{heard:?}");
    house.counted("protocol", 1).await;
    house.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_pings_settings_or_empty_frames_ends_the_connection() {
    let mut house = House::with(|settings| settings.grpc.max_control_frames = 1_000).await;
    let open = frame(HEADERS, END_HEADERS, 3, &frames::call("StreamEvents", &house.target.key));
    let floods = [
        vec![frame(PING, 0, 0, &[7; 8])],
        vec![frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])],
        // PRIORITY, which HTTP/2 has given up, and a type that nobody knows.
        vec![frame(2, 0, 3, &[0, 0, 0, 0, 1])],
        vec![frame(0xbe, 0, 0, b"")],
        vec![open, frame(frames::DATA, 0, 3, b"")],
    ];
    for (flood, times) in floods.into_iter().zip(1..) {
        let mut frames = flood.iter().chain(std::iter::repeat(flood.last().expect("one")));
        let (sent, _) = house.flood(|_| frames.next().expect("endless").clone()).await;
        println!("{sent} frames of type {}", flood.last().expect("one")[3]);
        // Empty DATA has a limit of the library's, too, which may come first.
        poll::until("it is counted", PATIENCE, async || {
            (house.refused("flood") + house.refused("protocol") >= times).then_some(())
        })
        .await;
        house.is_well().await;
    }
}

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

/// Unknown keys are remembered, but only so many; and none of them slows a good one.
#[tokio::test(flavor = "multi_thread")]
async fn random_keys_take_no_memory_without_bound() {
    let mut house = House::with(|settings| settings.admission.unknown_key_entries = 1_000).await;
    let mut raw = RawConnection::open(house.target.address).await;
    for number in 0..5_000_u32 {
        let key = format!("nobody-has-{:08x}", number.wrapping_mul(0x9e37_79b9));
        let (code, _) = raw.publish(&key, &[], Vec::new()).await;
        assert_eq!(code, Code::Unauthenticated);
    }
    house.is_well().await;
    let entries = house.gateway.metrics().encode().expect("text");
    let unknown =
        entries.lines().find(|line| line.starts_with("headgate_key_cache_entries") && line.contains("unknown"));
    println!("{unknown:?}");
}

/// Each bad event has its own reason; the good ones around it are stored.
#[tokio::test(flavor = "multi_thread")]
async fn every_bad_event_is_rejected_by_itself_with_its_reason() {
    let mut house = House::with(|settings| settings.ingest.max_event = Size::kib(64)).await;
    let with_data = |data: &[u8]| Event { event_data: data.to_vec().into(), ..login() };
    let nested = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
    let at = |seconds, nanos| Event { event_timestamp: Some(Timestamp { seconds, nanos }), ..login() };
    let bad = [
        ("invalid UTF-8", with_data(b"{\"a\":\"\xff\xfe\"}"), Reason::Charset),
        ("a NUL", with_data(b"{\"a\":\"\0\"}"), Reason::NotAJsonObject),
        ("a control character", with_data(b"{\"a\":\"\x1b\"}"), Reason::NotAJsonObject),
        ("a control character in a name", Event { event_name: "a\0b".to_owned(), ..login() }, Reason::Charset),
        ("10,000 levels", with_data(nested(10_000).as_bytes()), Reason::TooDeep),
        ("NaN", with_data(b"{\"a\":NaN}"), Reason::NotAJsonObject),
        ("Infinity", with_data(b"{\"a\":-Infinity}"), Reason::NotAJsonObject),
        ("no object", with_data(b"[1]"), Reason::NotAJsonObject),
        ("a time before year 1", at(-62_135_596_801, 0), Reason::TimestampRange),
        ("a time after year 9999", at(253_402_300_800, 0), Reason::TimestampRange),
        ("the last of all times", at(i64::MAX, i32::MAX), Reason::TimestampRange),
        ("nanoseconds before zero", at(0, -1), Reason::TimestampRange),
        ("no time", Event { event_timestamp: None, ..login() }, Reason::Required),
        ("a name of a megabyte", Event { event_type: "x".repeat(1 << 20), ..login() }, Reason::TooLong),
        (
            "an oversize event",
            with_data(format!("{{\"a\":\"{}\"}}", "x".repeat(65 << 10)).as_bytes()),
            Reason::EventTooLarge,
        ),
    ];
    let good = [
        with_data(b"{\"a\":1,\"a\":2}"),
        with_data(format!("{{\"a\":{}}}", "9".repeat(1_000)).as_bytes()),
        with_data(b"{\"a\":1e999999999}"),
        with_data(nested(60).as_bytes()),
        at(-62_135_596_800, 0),
        at(253_402_300_799, 999_999_999),
    ];
    let mut events: Vec<Event> = Vec::new();
    for (_, event, _) in &bad {
        events.extend([login(), event.clone()]);
    }
    let rejected = bad.len() as u32;
    let accepted = rejected + good.len() as u32;
    events.extend(good);
    let verdict = house.neighbour.publish(events).await.expect("the batch is taken");
    assert_eq!((verdict.accepted, verdict.rejected), (accepted, rejected), "{verdict:?}");
    for (((name, _, reason), verdict), index) in bad.iter().zip(&verdict.not_accepted).zip((1..).step_by(2)) {
        assert_eq!((verdict.index, verdict.code()), (index, VerdictCode::Rejected), "{name}");
        assert_eq!(verdict.reason(), *reason, "{name}: {verdict:?}");
    }
    // One id twice in a batch, and again in the next one: told as accepted, stored once, counted.
    let twice = login();
    let duplicates = house.gateway.metrics().counter(Counter::EventsDuplicate, &[&house.gateway.demo().0.to_string()]);
    let before = duplicates.get();
    for events in [vec![twice.clone(), twice.clone()], vec![twice]] {
        let count = events.len() as u32;
        assert_eq!(house.neighbour.publish(events).await.expect("taken").accepted, count);
    }
    assert_eq!(duplicates.get() - before, 2);
    house.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_nobody_knows_are_passed_over() {
    let mut house = House::new().await;
    let mut raw = RawConnection::open(house.target.address).await;
    let event = [&login().encode_to_vec()[..], b"\xfa\x07\x03abc\xf8\x07\x01"].concat();
    let message = [&[0x0a, u8::try_from(event.len()).expect("short")][..], &event, b"\xfa\x07\x00"].concat();
    let (code, status) = raw.publish(&house.target.key, &[], vec![framed(false, &message)]).await;
    assert_eq!(code, Code::Ok, "{status:?}");
    house.is_well().await;
}
