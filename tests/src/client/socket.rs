//! The client's sockets: they tell whether the gateway ever said anything on them.
//!
//! The system completes connections that no process has accepted, and resets them when the listener is closed. A call on
//! such a connection never reached the gateway, which a test that counts calls without an answer has to tell apart.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower_service::Service;

use super::trust::Trust;

/// Makes connections to one address, one after the other.
#[derive(Clone)]
pub(super) struct Connector {
    address: SocketAddr,
    trust: Option<Trust>,
    /// Whether the gateway has said anything on the newest connection.
    heard: Arc<AtomicBool>,
}

impl Connector {
    pub(super) fn new(address: SocketAddr, trust: Option<Trust>) -> Self {
        Self { address, trust, heard: Arc::default() }
    }

    /// Becomes true with the first byte that the gateway sends on the newest connection.
    pub(super) fn heard(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.heard)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Socket>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { address, trust, heard } = self.clone();
        Box::pin(async move {
            heard.store(false, Ordering::Relaxed);
            let io = TcpStream::connect(address).await?;
            io.set_nodelay(true)?;
            // What a handshake says is the load balancer's word, not the gateway's.
            let io: Box<dyn Io> = match trust {
                Some(trust) => Box::new(trust.connect(io).await?),
                None => Box::new(io),
            };
            Ok(TokioIo::new(Socket { io, heard }))
        })
    }
}

/// Plain, or TLS.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

pub(super) struct Socket {
    io: Box<dyn Io>,
    heard: Arc<AtomicBool>,
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.heard.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
