//! The kinds of hostile clients.

use std::io::Write;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use headgate_proto::v1::{Event, PublishEventsRequest};
use headgate_tests::events::login;
use headgate_tests::frames::{
    self, CONTINUATION, DATA, END_HEADERS, Frames, HEADERS, PING, RST_STREAM, SETTINGS, frame,
};
use headgate_tests::raw::{RawConnection, framed};
use prost::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// What attackers know.
pub(super) struct Ground {
    pub(super) grpc: SocketAddr,
    pub(super) rest: SocketAddr,
    pub(super) key: String,
    pub(super) path: String,
}

type Attacking = Pin<Box<dyn Future<Output = u64> + Send>>;

/// A kind of hostile client.
pub(super) struct Attack {
    pub(super) name: &'static str,
    /// Goes on until then; says how many requests it made: calls, frames of a flood, or connections.
    pub(super) run: fn(Arc<Ground>, Instant) -> Attacking,
}

macro_rules! attacks {
    ($($name:literal => $run:expr;)*) => {
        pub(super) const ATTACKS: &[Attack] = &[$(Attack { name: $name, run: |ground, until| Box::pin($run(ground, until)) }),*];
    };
}

attacks! {
    "rapid reset" => rapid_reset;
    "CONTINUATION flood" => continuation_flood;
    "PING flood" => |ground, until| flood(ground, until, frame(PING, 0, 0, &[7; 8]));
    "SETTINGS flood" => |ground, until| flood(ground, until, frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]));
    "WINDOW_UPDATE flood" => |ground, until| flood(ground, until, frame(8, 0, 0, &[0, 0, 0, 1]));
    "empty DATA flood" => empty_data;
    "window of zero, calls open" => zero_window;
    "silent connections" => silent_connections;
    "silent streams" => silent_streams;
    "message a byte at a time" => slow_message;
    "REST body a byte at a time" => slow_body;
    "1 MB of metadata" => large_metadata;
    "HTTP/1 on the gRPC port" => |ground: Arc<Ground>, until| garbage(ground.grpc, until, b"GET / HTTP/1.1\r\n\r\n");
    "TLS on the gRPC port" => |ground: Arc<Ground>, until| garbage(ground.grpc, until, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    "unknown keys" => unknown_keys;
    "wrong content type" => |ground, until| calls(ground, until, &[("content-type", "application/json")], Vec::new());
    "gzip bomb" => |ground, until| calls(ground, until, &[("grpc-encoding", "gzip")], framed(true, &gzip_bomb()).to_vec());
    "zstd bomb" => |ground, until| calls(ground, until, &[("grpc-encoding", "zstd")], framed(true, &zstd_bomb()).to_vec());
    "bad compression flag" => |ground, until| calls(ground, until, &[], vec![7, 0, 0, 0, 0]);
    "truncated frame" => |ground, until| calls(ground, until, &[], vec![0, 0, 0, 1, 0, 8]);
    "length of 4 GiB" => |ground, until| calls(ground, until, &[], vec![0, 0xff, 0xff, 0xff, 0xff]);
    "no protobuf, 4 MiB" => |ground, until| calls(ground, until, &[], framed(false, &vec![0xff; 4 << 20]).to_vec());
    "2 million empty events" => |ground, until| calls(ground, until, &[], framed(false, &[0x0a, 0].repeat(2 << 20)[..4 << 20]).to_vec());
    "10,000 bad events" => |ground, until| calls(ground, until, &[], batch(&vec![Event::default(); 10_000]));
    "10,000 levels of JSON" => |ground, until| calls(ground, until, &[], batch(&[with_data("[".repeat(10_000))]));
    "a megabyte of an event" => |ground, until| calls(ground, until, &[], batch(&[with_data(format!("\"{}\"", "x".repeat(1 << 20)))]));
}

fn with_data(value: String) -> Event {
    Event { event_data: format!("{{\"a\":{value}").into_bytes().into(), ..login() }
}

fn batch(events: &[Event]) -> Vec<u8> {
    framed(false, &PublishEventsRequest { events: events.to_vec() }.encode_to_vec()).to_vec()
}

fn gzip_bomb() -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![0; 100 << 20]).and_then(|()| gzip.finish()).expect("a vector takes it")
}

fn zstd_bomb() -> Vec<u8> {
    zstd::encode_all(vec![0; 100 << 20].as_slice(), 3).expect("a vector takes it")
}

/// The same call, one after the other, on one connection for as long as that lasts.
async fn calls(ground: Arc<Ground>, until: Instant, more: &[(&'static str, &'static str)], body: Vec<u8>) -> u64 {
    let mut headers = vec![("te", "trailers"), ("x-api-key", ground.key.as_str())];
    headers.extend(more);
    if !more.iter().any(|(name, _)| *name == "content-type") {
        headers.push(("content-type", "application/grpc"));
    }
    let body = Bytes::from(body);
    let mut connection = RawConnection::open(ground.grpc).await;
    let mut sent = 0;
    while Instant::now() < until {
        let pieces = vec![body.clone()];
        let method = http::Method::POST;
        if connection.call(method, headgate_tests::raw::PUBLISH, &headers, pieces, false).await.is_err() {
            connection = RawConnection::open(ground.grpc).await;
        }
        sent += 1;
    }
    sent
}

async fn unknown_keys(ground: Arc<Ground>, until: Instant) -> u64 {
    let mut connection = RawConnection::open(ground.grpc).await;
    let mut sent = 0;
    let who = getrandom::u32().expect("randomness");
    while Instant::now() < until {
        let key = format!("nobody-has-this-one-{who:08x}-{sent:08x}");
        let headers = [("te", "trailers"), ("x-api-key", key.as_str()), ("content-type", "application/grpc")];
        let _ = connection.call(http::Method::POST, headgate_tests::raw::PUBLISH, &headers, Vec::new(), false).await;
        sent += 1;
    }
    sent
}

async fn large_metadata(ground: Arc<Ground>, until: Instant) -> u64 {
    let headers = frames::call("PublishEvents", &ground.key);
    let more: Vec<u8> = std::iter::repeat_n(frames::literal("x-filler", &"y".repeat(120)), 8_000).flatten().collect();
    let block = [headers, more].concat();
    let mut sent = 0;
    while Instant::now() < until {
        let Ok(mut connection) = Frames::open(ground.grpc, &[]).await else { continue };
        let mut pieces = block.chunks(16_000).peekable();
        let mut kind = HEADERS;
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() { END_HEADERS } else { 0 };
            if connection.send(&frame(kind, flags, 3, piece)).await.is_err() {
                break;
            }
            kind = CONTINUATION;
        }
        let _ = connection.hear(Duration::from_millis(20)).await;
        sent += 1;
    }
    sent
}

/// The same frame, again and again, on a new connection whenever the one before is closed.
async fn flood(ground: Arc<Ground>, until: Instant, one: Vec<u8>) -> u64 {
    // As many at once as a socket takes.
    const AT_ONCE: usize = 500;
    let many = one.repeat(AT_ONCE);
    let mut sent = 0;
    while Instant::now() < until {
        let Ok(mut connection) = Frames::open(ground.grpc, &[]).await else { continue };
        while Instant::now() < until && connection.send(&many).await.is_ok() {
            sent += AT_ONCE as u64;
            let _ = connection.hear(Duration::ZERO).await;
        }
    }
    sent
}

async fn rapid_reset(ground: Arc<Ground>, until: Instant) -> u64 {
    let headers = frames::call("PublishEvents", &ground.key);
    let mut sent = 0;
    while Instant::now() < until {
        let Ok(mut connection) = Frames::open(ground.grpc, &[]).await else { continue };
        loop {
            let stream = connection.next_stream();
            let open = frame(HEADERS, END_HEADERS, stream, &headers);
            let both = [open, frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat();
            if Instant::now() >= until || connection.send(&both).await.is_err() {
                break;
            }
            sent += 1;
            if sent % 100 == 0 {
                let _ = connection.hear(Duration::ZERO).await;
            }
        }
    }
    sent
}

async fn continuation_flood(ground: Arc<Ground>, until: Instant) -> u64 {
    let piece: Vec<u8> = std::iter::repeat_n(frames::literal("x", "y"), 1_000).flatten().collect();
    let mut sent = 0;
    while Instant::now() < until {
        let Ok(mut connection) = Frames::open(ground.grpc, &[]).await else { continue };
        let mut kind = HEADERS;
        while Instant::now() < until && connection.send(&frame(kind, 0, 3, &piece)).await.is_ok() {
            kind = CONTINUATION;
            sent += 1;
        }
    }
    sent
}

async fn empty_data(ground: Arc<Ground>, until: Instant) -> u64 {
    let headers = frames::call("StreamEvents", &ground.key);
    let many = frame(DATA, 0, 3, b"").repeat(500);
    let mut sent = 0;
    while Instant::now() < until {
        let Ok(mut connection) = Frames::open(ground.grpc, &[]).await else { continue };
        if connection.send(&frame(HEADERS, END_HEADERS, 3, &headers)).await.is_err() {
            continue;
        }
        while Instant::now() < until && connection.send(&many).await.is_ok() {
            sent += 500;
        }
    }
    sent
}

async fn zero_window(ground: Arc<Ground>, until: Instant) -> u64 {
    const INITIAL_WINDOW_SIZE: u16 = 4;
    let headers = frames::call("PublishEvents", &ground.key);
    let body = batch(&[login()]);
    let mut sent = 0;
    let Ok(mut connection) = Frames::open(ground.grpc, &[(INITIAL_WINDOW_SIZE, 0)]).await else { return 0 };
    while Instant::now() < until && sent < 900 {
        let stream = connection.next_stream();
        let call = [frame(HEADERS, END_HEADERS, stream, &headers), frame(DATA, 1, stream, &body)].concat();
        if connection.send(&call).await.is_err() {
            break;
        }
        sent += 1;
    }
    tokio::time::sleep_until(until.into()).await;
    sent
}

async fn silent_streams(ground: Arc<Ground>, until: Instant) -> u64 {
    let headers = frames::call("StreamEvents", &ground.key);
    let Ok(mut connection) = Frames::open(ground.grpc, &[]).await else { return 0 };
    for _ in 0..900 {
        let stream = connection.next_stream();
        let _ = connection.send(&frame(HEADERS, END_HEADERS, stream, &headers)).await;
    }
    tokio::time::sleep_until(until.into()).await;
    900
}

async fn silent_connections(ground: Arc<Ground>, until: Instant) -> u64 {
    let mut held = Vec::new();
    while Instant::now() < until && held.len() < 1_000 {
        if let Ok(socket) = TcpStream::connect(ground.grpc).await {
            held.push(socket);
        }
    }
    tokio::time::sleep_until(until.into()).await;
    held.len() as u64
}

async fn slow_message(ground: Arc<Ground>, until: Instant) -> u64 {
    let headers = frames::call("PublishEvents", &ground.key);
    let body = batch(&[login()]);
    let Ok(mut connection) = Frames::open(ground.grpc, &[]).await else { return 0 };
    let streams: Vec<u32> = (0..100).map(|_| connection.next_stream()).collect();
    for stream in &streams {
        let _ = connection.send(&frame(HEADERS, END_HEADERS, *stream, &headers)).await;
    }
    let mut sent = 0;
    for byte in body.iter().cycle() {
        for stream in &streams {
            let _ = connection.send(&frame(DATA, 0, *stream, &[*byte])).await;
            sent += 1;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        if Instant::now() >= until {
            break;
        }
    }
    sent
}

async fn slow_body(ground: Arc<Ground>, until: Instant) -> u64 {
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: g\r\nauthorization: {}\r\ncontent-length: 100000\r\n\r\n",
        ground.path, ground.key
    );
    let mut sockets = Vec::new();
    for _ in 0..100 {
        if let Ok(mut socket) = TcpStream::connect(ground.rest).await {
            let _ = socket.write_all(head.as_bytes()).await;
            sockets.push(socket);
        }
    }
    let mut sent = 0;
    while Instant::now() < until {
        for socket in &mut sockets {
            let _ = socket.write_all(b"{").await;
            sent += 1;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    sent
}

async fn garbage(address: SocketAddr, until: Instant, bytes: &'static [u8]) -> u64 {
    let mut sent = 0;
    while Instant::now() < until {
        if let Ok(mut socket) = TcpStream::connect(address).await {
            let _ = socket.write_all(bytes).await;
            let _ = tokio::io::copy(&mut socket, &mut tokio::io::sink()).await;
        }
        sent += 1;
    }
    sent
}
