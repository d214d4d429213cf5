//! A client's socket: what it opens with, how long it may leave what it is sent unread, and a close that loses nothing.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::frames::FrameWatch;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long a connection that the gateway has closed is read on, at most.
const LINGER: Duration = Duration::from_secs(1);

/// What a client of HTTP/2 has to send before it is one: RFC 9113, 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first bytes of a connection.
#[derive(Debug, Default)]
pub(super) struct Opening {
    received: AtomicUsize,
    is_other: AtomicBool,
    is_flood: AtomicBool,
}

/// What a client may do on its socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// A client that takes nothing of what it is sent for longer is gone.
    pub(super) slow_reader_timeout: Option<Duration>,
    /// See [`FrameWatch`].
    pub(super) control_frames: u32,
}

impl Opening {
    /// Whether it began with HTTP/2's whole preface.
    pub(super) fn is_http2(&self) -> bool {
        self.received.load(Ordering::Relaxed) >= PREFACE.len() && !self.is_other.load(Ordering::Relaxed)
    }

    /// Whether it ended because of too many control frames.
    pub(super) fn is_flood(&self) -> bool {
        self.is_flood.load(Ordering::Relaxed)
    }

    /// Whether it can still be, or is, a connection of HTTP/2.
    fn may_be_http2(&self) -> bool {
        !self.is_other.load(Ordering::Relaxed)
    }

    fn receive(&self, bytes: &[u8]) {
        let before = self.received.load(Ordering::Relaxed);
        let Some(expected) = PREFACE.get(before..).filter(|rest| !rest.is_empty()) else { return };
        if bytes.iter().zip(expected).any(|(byte, expected)| byte != expected) {
            self.is_other.store(true, Ordering::Relaxed);
        }
        self.received.store(before + bytes.len(), Ordering::Relaxed);
    }
}

/// A client's socket. It is closed without losing the last answers: a socket that is closed with bytes unread is reset by
/// the system (RFC 2525, 2.17), and the client loses what it has not read yet, such as the status of a stream on which it
/// was still sending. So what it sends is read and dropped until it has closed its side, for a while.
pub(super) struct Socket<I> {
    io: I,
    opening: Arc<Opening>,
    slow_reader_timeout: Option<Duration>,
    frames: FrameWatch,
    // While the client takes nothing: when patience ends.
    stuck: Option<Pin<Box<Sleep>>>,
    // While it closes: when patience ends.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<I> Socket<I> {
    /// Tells `opening` what it sees.
    pub(super) fn new(io: I, opening: Arc<Opening>, limits: Limits) -> Self {
        let frames = FrameWatch::new(limits.control_frames, PREFACE.len());
        Self { io, opening, slow_reader_timeout: limits.slow_reader_timeout, frames, stuck: None, lingering: None }
    }

    fn watched<T>(&mut self, sent: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let Some(timeout) = self.slow_reader_timeout else { return sent };
        if sent.is_ready() {
            self.stuck = None;
            return sent;
        }
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(stuck.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answers")))
    }
}

impl<I: AsyncRead + Unpin> Socket<I> {
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scrap = [MaybeUninit::uninit(); 4 << 10];
        loop {
            let mut buffer = ReadBuf::uninit(&mut scrap);
            match ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Socket<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        let this = &mut *self;
        let received = &buffer.filled()[before..];
        this.opening.receive(received);
        if this.opening.may_be_http2() && this.frames.receive(received, tokio::time::Instant::now).is_err() {
            this.opening.is_flood.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a flood of control frames")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.watched(sent, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.watched(sent, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = Pin::new(&mut self.io).poll_flush(cx);
        self.watched(sent, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            self.lingering = Some(Box::pin(tokio::time::sleep(LINGER)));
        }
        let over = self.lingering.as_mut().is_none_or(|lingering| lingering.as_mut().poll(cx).is_ready());
        if over { Poll::Ready(Ok(())) } else { self.poll_discard(cx).map(Ok) }
    }
}
