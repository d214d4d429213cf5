//! For tests: a raw HTTP/1.1 server that answers as it is told, and settings that lead to it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What the server does with a request.
pub(crate) enum Answer {
    /// Answers and keeps the connection.
    Reply(Vec<u8>),
    /// Answers and closes the connection.
    ReplyAndClose(String),
    /// Closes the connection.
    Close,
    /// Resets the connection.
    Reset,
    /// Says nothing.
    Hang,
}

/// An answer of the service.
pub(crate) fn reply(status: u16, body: &str) -> Answer {
    Answer::Reply(http(status, "application/x-amz-json-1.1", body.as_bytes()))
}

/// The same in CBOR.
pub(crate) fn reply_in_cbor(status: u16, body: &serde_json::Value) -> Answer {
    let body = minicbor_serde::to_vec(body).expect("CBOR has all that JSON has");
    Answer::Reply(http(status, "application/x-amz-cbor-1.1", &body))
}

/// An error as the service sends it.
pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Answer {
    reply(status, &serde_json::json!({ "__type": code, "message": message }).to_string())
}

fn http(status: u16, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value.trim()))
    }

    /// The body.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The operation's name.
    pub(crate) fn operation(&self) -> &str {
        self.header("x-amz-target").and_then(|target| target.split_once('.')).map_or("", |(_, operation)| operation)
    }
}

type Behaviour = dyn Fn(usize, &Request) -> Answer + Send + Sync;

/// The server. It ends when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    connections: Arc<Mutex<usize>>,
    _accepting: JoinSet<()>,
}

impl Server {
    /// Answers as `behaviour` says; it is told how many requests there were before.
    pub(crate) async fn start(behaviour: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::run(Some(Arc::new(behaviour))).await
    }

    /// Resets every connection as soon as it is there.
    pub(crate) async fn resetting() -> Self {
        Self::run(None).await
    }

    async fn run(behaviour: Option<Arc<Behaviour>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("binds");
        let address = listener.local_addr().expect("is bound");
        let (seen, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
        let mut accepting = JoinSet::new();
        let (seen_there, connections_there) = (Arc::clone(&seen), Arc::clone(&connections));
        accepting.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                *connections_there.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                match &behaviour {
                    Some(behaviour) => {
                        let (behaviour, seen) = (Arc::clone(behaviour), Arc::clone(&seen_there));
                        open.spawn(async move { drop(serve(stream, &*behaviour, &seen).await) });
                    }
                    None => reset(&stream),
                }
            }
        });
        Self { address, seen, connections, _accepting: accepting }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections there were so far.
    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(mut stream: TcpStream, behaviour: &Behaviour, seen: &Mutex<Vec<Request>>) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some(request) = read(&mut stream, &mut buffer).await? else { return Ok(()) };
        let before = {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(request.clone());
            seen.len() - 1
        };
        match behaviour(before, &request) {
            Answer::Reply(answer) => stream.write_all(&answer).await?,
            Answer::ReplyAndClose(answer) => return stream.write_all(answer.as_bytes()).await,
            Answer::Close => return Ok(()),
            Answer::Reset => {
                reset(&stream);
                return Ok(());
            }
            // Until the client goes.
            Answer::Hang => while stream.read(&mut [0; 64]).await? > 0 {},
        }
    }
}

fn reset(stream: &TcpStream) {
    stream.set_zero_linger().expect("is a socket");
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    let line = head.lines().next().unwrap_or_default().to_owned();
    let mut request = Request { line, head, body: Vec::new() };
    let length: usize = request.header("content-length").map_or(0, |length| length.parse().expect("a number"));
    while buffer.len() < head_end + length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    request.body = buffer[head_end..head_end + length].to_vec();
    buffer.drain(..head_end + length);
    Ok(Some(request))
}

/// Settings that lead to `url`, with credentials that never change.
pub(crate) fn settings(url: &str) -> SdkConfig {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("session".to_owned()), None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-west-1"))
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}
