//! A TCP proxy before a real server, which stops passing things on when a test says so: the server is well, and cannot
//! be reached.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

const REBIND_PAUSE: Duration = Duration::from_millis(10);
const REBIND_ATTEMPTS: u32 = 500;
/// Enough for a status line and no answer.
const CUT_AFTER: usize = 20;
const ERROR_BODY: &str = r#"{"__type":"InternalServerError","message":"the test asked for it"}"#;

/// What happens to connections, the open ones and new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Everything passes.
    None,
    /// Nobody listens.
    Refuse,
    /// Connections are taken, and nothing ever comes back.
    Hang,
    /// Requests are answered with status 500.
    ServerError,
    /// Requests reach the server; their answers break off with a reset.
    ResetMidAnswer,
}

/// A proxy that runs.
pub struct FaultProxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    task: JoinHandle<()>,
}

impl FaultProxy {
    /// Starts one before `server`; everything passes.
    ///
    /// # Panics
    /// If no port can be had.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (fault, watched) = watch::channel(Fault::None);
        Self { address, fault, task: tokio::spawn(run(listener, address, server, watched)) }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(mut listener: TcpListener, address: SocketAddr, server: SocketAddr, mut fault: watch::Receiver<Fault>) {
    let mut connections = JoinSet::new();
    loop {
        let now = *fault.borrow_and_update();
        if now == Fault::Refuse {
            drop(listener);
            connections.shutdown().await;
            if fault.wait_for(|fault| *fault != Fault::Refuse).await.is_err() {
                return;
            }
            listener = bind_again(address).await;
            continue;
        }
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    connections.spawn(serve(client, server, fault.clone()));
                }
            }
            changed = fault.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn bind_again(address: SocketAddr) -> TcpListener {
    for _ in 0..REBIND_ATTEMPTS {
        if let Ok(listener) = TcpListener::bind(address).await {
            return listener;
        }
        tokio::time::sleep(REBIND_PAUSE).await;
    }
    panic!("{address} can't be had again");
}

/// A connection from its start to the next change of faults, at which it ends; a hanging one is left open until the one
/// after that.
async fn serve(mut client: TcpStream, server: SocketAddr, mut fault: watch::Receiver<Fault>) {
    let now = *fault.borrow_and_update();
    let hold = now == Fault::Hang;
    tokio::select! {
        _ = fault.changed() => {}
        _ = treat(&mut client, server, now), if !hold => return,
    }
    if !hold && *fault.borrow_and_update() == Fault::Hang {
        let _ = fault.changed().await;
    }
}

async fn treat(client: &mut TcpStream, server: SocketAddr, fault: Fault) -> io::Result<()> {
    match fault {
        Fault::None => {
            let mut server = TcpStream::connect(server).await?;
            io::copy_bidirectional(client, &mut server).await.map(|_| ())
        }
        Fault::ServerError => loop {
            read_request(client).await?;
            let head = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/x-amz-json-1.0\r\n";
            let answer = format!("{head}Content-Length: {}\r\n\r\n{ERROR_BODY}", ERROR_BODY.len());
            client.write_all(answer.as_bytes()).await?;
        },
        Fault::ResetMidAnswer => {
            let mut server = TcpStream::connect(server).await?;
            server.write_all(&read_request(client).await?).await?;
            let mut start = [0; CUT_AFTER];
            server.read_exact(&mut start).await?;
            client.write_all(&start).await?;
            client.set_zero_linger()
        }
        Fault::Refuse | Fault::Hang => Ok(()),
    }
}

/// One request of HTTP/1.1 with a Content-Length, as it came.
async fn read_request(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    loop {
        if client.read_buf(&mut request).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some(head) = request.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        if request.len() >= head + 4 + length.unwrap_or(0) {
            return Ok(request);
        }
    }
}
