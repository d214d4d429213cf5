//! Whole doors: a gateway in this process, on sockets of its own, and whatever a client may send it.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::Input;
use crate::config::{DestinationKind, Settings};
use crate::metrics::Metrics;
use crate::serve::{Gateway, Ground};

/// A connection whose client says no more ends at once; this is for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(1);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// HTTP/2 frame types (RFC 9113, 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Whatever an HTTP/2 client sends: the gateway goes on, gives every byte of the budget back and miscounts nothing.
pub fn grpc_door(data: &[u8]) {
    HOUSE.with(|house| house.send(house.grpc, &http2(&mut Input::new(data), &house.key)));
}

/// Whatever a client of REST sends. `$KEY` and `$APP` stand for a good key and its application.
pub fn rest_door(data: &[u8]) {
    HOUSE.with(|house| {
        let bytes = replaced(&replaced(data, b"$KEY", house.key.as_bytes()), b"$APP", house.application.as_bytes());
        house.send(house.rest, &bytes);
    });
}

/// A connection of calls, messages, resets and rubbish, as the input says.
fn http2(input: &mut Input<'_>, key: &str) -> Vec<u8> {
    let mut out = PREFACE.to_vec();
    frame(&mut out, SETTINGS, 0, 0, b"");
    let mut stream = 1;
    while !input.is_empty() {
        match input.byte() % 8 {
            operation @ (0 | 1) => {
                let method = if operation == 0 { "PublishEvents" } else { "StreamEvents" };
                let encoding = ["identity", "gzip", "zstd", "br"][input.below(4)];
                stream += 2;
                frame(&mut out, HEADERS, END_HEADERS, stream, &header_block(method, key, encoding));
            }
            2 => {
                let message = input.piece();
                let prefix = [&[0][..], &u32::try_from(message.len()).expect("short").to_be_bytes()].concat();
                frame(&mut out, DATA, 0, stream, &[&prefix, message].concat());
            }
            3 => frame(&mut out, DATA, 0, stream, input.piece()),
            4 => frame(&mut out, DATA, END_STREAM, stream, b""),
            5 => frame(&mut out, RST_STREAM, 0, stream, &[0, 0, 0, 8]),
            6 => {
                let (kind, flags, stream) = (input.byte(), input.byte(), u32::from(input.byte()));
                frame(&mut out, kind, flags, stream, input.piece());
            }
            _ => out.extend_from_slice(input.piece()),
        }
    }
    out
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// HPACK (RFC 7541) without its tables: POST and http by their numbers, the rest as literals.
fn header_block(method: &str, key: &str, encoding: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    let path = format!("/headgate.v1.IngestService/{method}");
    let headers = [
        (":path", path.as_str()),
        (":authority", "gateway"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("x-api-key", key),
        ("grpc-encoding", encoding),
    ];
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).ok().filter(|len| *len < 0x7f).expect("short"));
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

fn replaced(data: &[u8], name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut rest = data;
    while let Some(at) = memchr::memmem::find(rest, name) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(value);
        rest = &rest[at + name.len()..];
    }
    out.extend_from_slice(rest);
    out
}

thread_local! {
    static HOUSE: House = House::new();
}

struct House {
    grpc: SocketAddr,
    rest: SocketAddr,
    key: String,
    application: String,
    metrics: Arc<Metrics>,
    gateway: Option<(Gateway, Runtime)>,
    _folder: TempDir,
}

impl House {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut settings = Settings { data_dir: folder.path().to_owned(), ..Settings::default() };
        settings.grpc.listen.set_port(0);
        settings.rest.listen.set_port(0);
        settings.operate.listen.set_port(0);
        settings.delivery.destination = DestinationKind::Discard;
        settings.gather.linger = Some(Duration::from_millis(1));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let started = runtime.block_on(Gateway::start(settings, Ground::default()));
        let gateway = started.expect("it starts");
        let applications = runtime.block_on(gateway.registry().list_applications()).expect("the registry answers");
        let key = fs::read_to_string(folder.path().join("demo-api-key")).expect("the first start makes one");
        Self {
            grpc: gateway.grpc_address(),
            rest: gateway.rest_address().expect("it is on"),
            key: key.trim().to_owned(),
            application: applications.first().expect("the demo application").application_id.to_string(),
            metrics: Arc::clone(gateway.metrics()),
            gateway: Some((gateway, runtime)),
            _folder: folder,
        }
    }

    /// Sends, says no more, and reads until the gateway closes, too.
    fn send(&self, address: SocketAddr, bytes: &[u8]) {
        let mut socket = TcpStream::connect(address).expect("the gateway listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket has the option");
        socket.set_write_timeout(Some(PATIENCE)).expect("a socket has the option");
        // The gateway may close before everything is sent.
        let _ = socket.write_all(bytes).and_then(|()| socket.shutdown(Shutdown::Write));
        match socket.read_to_end(&mut Vec::new()) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                panic!("the gateway does not let go of a connection whose client says no more")
            }
            _ => {}
        }
        drop(socket);
        self.hold_to_promises();
    }

    fn hold_to_promises(&self) {
        for _ in 0..PATIENCE.as_millis() {
            let text = self.metrics.encode().expect("a string takes it");
            let sum = |name: &str| {
                let series = text.lines().filter(|line| line.starts_with(name));
                series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>()
            };
            assert_eq!(sum("headgate_panics_total"), 0.0, "a panic");
            assert_eq!(sum("headgate_accounting_violations_total"), 0.0, "an event without its one verdict");
            if sum("headgate_in_flight_bytes") == 0.0 {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        panic!("bytes of the budget are not given back");
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some((gateway, runtime)) = self.gateway.take() {
            drop(gateway);
            runtime.shutdown_background();
        }
    }
}
