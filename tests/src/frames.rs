//! A connection of HTTP/2, frame by frame, for what no library of clients would send.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Frame types: RFC 9113, 6.
pub const DATA: u8 = 0;
/// Opens a stream.
pub const HEADERS: u8 = 1;
/// Ends one at once.
pub const RST_STREAM: u8 = 3;
/// The connection's settings.
pub const SETTINGS: u8 = 4;
/// Asks for an answer.
pub const PING: u8 = 6;
/// The end of a connection.
pub const GOAWAY: u8 = 7;
/// More of a list of headers.
pub const CONTINUATION: u8 = 9;

/// Of DATA and HEADERS: nothing follows on the stream.
pub const END_STREAM: u8 = 1;
/// Of HEADERS and CONTINUATION: the list of headers is whole.
pub const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection.
pub struct Frames {
    write: OwnedWriteHalf,
    read: OwnedReadHalf,
    stream: u32,
}

/// What the gateway has sent until it closed, or until nothing came for a while.
#[derive(Debug, Default)]
pub struct Heard {
    /// The code of its GOAWAY (RFC 9113, 7), if it sent one that is no leave-taking.
    pub goaway: Option<u32>,
    /// The codes of the streams that it reset.
    pub resets: Vec<u32>,
    /// How many lists of headers.
    pub headers: usize,
    /// What its bodies hold, of all streams.
    pub data: Vec<u8>,
    /// Whether it closed.
    pub closed: bool,
}

impl Frames {
    /// Connects and sends the preface and these settings, each an identifier and a value.
    ///
    /// # Errors
    /// If nobody listens, or the gateway closes at once.
    pub async fn open(address: SocketAddr, settings: &[(u16, u32)]) -> io::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let (read, write) = socket.into_split();
        let mut connection = Self { write, read, stream: 1 };
        let payload: Vec<u8> =
            settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        connection.send(&[PREFACE, &frame(SETTINGS, 0, 0, &payload)].concat()).await?;
        Ok(connection)
    }

    /// Sends any bytes.
    ///
    /// # Errors
    /// If the gateway has closed.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write.write_all(bytes).await
    }

    /// The number of the next stream.
    pub fn next_stream(&mut self) -> u32 {
        self.stream += 2;
        self.stream
    }

    /// Reads until the gateway closes or says nothing for `patience`.
    pub async fn hear(&mut self, patience: Duration) -> Heard {
        let mut heard = Heard::default();
        loop {
            let next = tokio::time::timeout(patience, self.next()).await;
            let Ok(next) = next else { return heard };
            let Ok((kind, payload)) = next else {
                heard.closed = true;
                return heard;
            };
            let code =
                |at: usize| payload.get(at..at + 4).map_or(0, |code| u32::from_be_bytes(code.try_into().expect("4")));
            match kind {
                GOAWAY if code(4) != 0 => heard.goaway = Some(code(4)),
                RST_STREAM => heard.resets.push(code(0)),
                HEADERS => heard.headers += 1,
                DATA => heard.data.extend(payload),
                _ => {}
            }
        }
    }

    async fn next(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 9];
        self.read.read_exact(&mut head).await?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.read.read_exact(&mut payload).await?;
        Ok((head[3], payload))
    }
}

/// A frame.
///
/// # Panics
/// If the payload is 16 MiB or longer.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).ok().filter(|length| *length < 1 << 24).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The headers of a gRPC call of this method, in HPACK (RFC 7541) without its tables.
#[must_use]
pub fn call(method: &str, key: &str) -> Vec<u8> {
    post(&format!("/headgate.v1.IngestService/{method}"), "application/grpc", key)
}

/// The same of any request that sends a body of this type.
#[must_use]
pub fn post(path: &str, content_type: &str, key: &str) -> Vec<u8> {
    let headers = [
        (":path", path),
        (":authority", "gateway"),
        ("content-type", content_type),
        ("te", "trailers"),
        ("x-api-key", key),
    ];
    // POST and http, by their numbers.
    let mut block = vec![0x83, 0x86];
    for (name, value) in headers {
        block.extend(literal(name, value));
    }
    block
}

/// One header that is kept in no table.
///
/// # Panics
/// If either is 127 bytes or longer.
#[must_use]
pub fn literal(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("short");
        [&[length][..], text.as_bytes()].concat()
    };
    [vec![0], text(name), text(value)].concat()
}
