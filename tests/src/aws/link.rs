//! A client's connection, as seen from outside of the HTTP that runs on it: it counts bytes, knows whether a call is
//! under way, and can be ended at any time, politely (FIN) or by a reset (RST).

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Handle of one connection.
pub(super) struct Link {
    end: CancellationToken,
    reset: AtomicBool,
    calls: AtomicU64,
    busy: AtomicUsize,
    idle_since: Mutex<Instant>,
    // What the last call has stored; no call has followed it.
    last_commit: Mutex<Option<usize>>,
}

impl Link {
    fn new(end: CancellationToken) -> Self {
        let (reset, calls, busy) = (AtomicBool::new(false), AtomicU64::new(0), AtomicUsize::new(0));
        Self { end, reset, calls, busy, idle_since: Mutex::new(Instant::now()), last_commit: Mutex::default() }
    }

    /// What the last call has stored.
    pub(super) fn set_last_commit(&self, commit: Option<usize>) {
        *self.last_commit.lock().expect("nothing panics with it") = commit;
    }

    /// What the last call has stored.
    pub(super) fn last_commit(&self) -> Option<usize> {
        *self.last_commit.lock().expect("nothing panics with it")
    }

    /// A call begins; it ends when the value is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Whether the call under way is not the connection's first.
    pub(super) fn reused(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > 1
    }

    /// Ends the connection with a reset.
    pub(super) fn reset(&self) {
        self.reset.store(true, Ordering::Release);
        self.end.cancel();
    }

    /// Ready when the connection is to end.
    pub(super) async fn ended(&self) {
        self.end.cancelled().await;
    }

    fn idle_for(&self, limit: Duration) -> bool {
        let since = *self.idle_since.lock().expect("nothing panics with it");
        self.busy.load(Ordering::Relaxed) == 0 && since.elapsed() >= limit
    }
}

/// A call under way.
pub(super) struct Busy(Arc<Link>);

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.idle_since.lock().expect("nothing panics with it") = Instant::now();
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Every open connection.
#[derive(Default)]
pub(super) struct Links {
    open: Mutex<HashMap<u64, Arc<Link>>>,
    pub(super) accepted: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
}

impl Links {
    /// Takes a new connection in; `end` ends it together with all others.
    pub(super) fn adopt(self: &Arc<Self>, stream: TcpStream, end: CancellationToken) -> (Arc<Link>, Wire) {
        let number = self.accepted.fetch_add(1, Ordering::Relaxed);
        let link = Arc::new(Link::new(end));
        self.open.lock().expect("nothing panics with it").insert(number, Arc::clone(&link));
        let wire = Wire { stream, number, link: Arc::clone(&link), links: Arc::clone(self) };
        (link, wire)
    }

    /// Closes those that have been idle for this long.
    pub(super) fn close_idle(&self, limit: Duration) -> usize {
        let open = self.open.lock().expect("nothing panics with it");
        open.values().filter(|link| link.idle_for(limit)).map(|link| link.end.cancel()).count()
    }

    /// How many connections are open.
    pub(super) fn open_now(&self) -> usize {
        self.open.lock().expect("nothing panics with it").len()
    }

    pub(super) fn reset_all(&self) -> usize {
        self.open.lock().expect("nothing panics with it").values().map(|link| link.reset()).count()
    }
}

/// The socket; on drop it is closed, or reset if its link says so.
pub(super) struct Wire {
    stream: TcpStream,
    number: u64,
    link: Arc<Link>,
    links: Arc<Links>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.links.open.lock().expect("nothing panics with it").remove(&self.number);
        if self.link.reset.load(Ordering::Acquire) {
            self.stream.set_zero_linger().expect("the socket is open");
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.links.bytes_in.fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        read
    }
}

impl Wire {
    fn written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.links.bytes_out.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
        written
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
