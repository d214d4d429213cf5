//! One connection: HTTP/2 with its limits, its age, and its end.
//!
//! A connection that reaches its age, or a gateway that drains, first tells the client (GOAWAY for new calls, a notice on
//! open streams), then gives it a grace, then closes.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use super::grpc::ConnectionService;
use super::kill::killable;
use super::open_calls::OpenCalls;
use crate::config::GrpcSettings;
use crate::operate::tasks::Tasks;

/// Why a client is asked to leave, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The gateway stops.
    Draining {
        /// From the notice to the end.
        grace: Duration,
    },
    /// The connection is old.
    ConnectionAge {
        /// From the notice to the end.
        grace: Duration,
    },
}

/// Tells a connection's streams when it is time to leave.
#[derive(Clone, Debug)]
pub struct LeaveSignal {
    draining: CancellationToken,
    drain_grace: Duration,
    aged: CancellationToken,
    age_grace: Duration,
}

impl LeaveSignal {
    /// For a new connection. `draining` is the gateway's.
    #[must_use]
    pub fn new(draining: CancellationToken, drain_grace: Duration, age_grace: Duration) -> Self {
        Self { draining, drain_grace, aged: CancellationToken::new(), age_grace }
    }

    /// Waits until it is time to leave.
    pub async fn wait(self: Arc<Self>) -> Leave {
        tokio::select! {
            // Of an old connection of a gateway that stops, too, the gateway's end is the nearer one.
            biased;
            () = self.draining.cancelled() => Leave::Draining { grace: self.drain_grace },
            () = self.aged.cancelled() => Leave::ConnectionAge { grace: self.age_grace },
        }
    }
}

/// How long a connection that the gateway has closed is read on, at most.
const LINGER: Duration = Duration::from_secs(1);

/// What a client has to send before it is one: RFC 9113, 3.4.
const PREFACE: usize = 24;

/// How a connection ended, where it did not by itself.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// No HTTP/2 preface within the handshake's time.
    #[error("no HTTP/2 preface in time")]
    NoPreface,
    /// What HTTP/2 says of the client.
    #[error(transparent)]
    Http2(#[from] hyper::Error),
}

/// Runs hyper's own tasks, one for each call, under a name and with panics caught.
#[derive(Clone, Debug)]
struct NamedTasks(Tasks);

impl<F> Executor<F> for NamedTasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        drop(self.0.spawn("http2", killable(future)));
    }
}

/// The HTTP/2 settings of every connection.
#[derive(Clone)]
pub struct Http2 {
    builder: http2::Builder<NamedTasks>,
    handshake_timeout: Duration,
    max_age: Duration,
    age_jitter: f64,
    age_grace: Duration,
}

impl Http2 {
    /// From the settings.
    #[must_use]
    pub fn new(settings: &GrpcSettings, tasks: &Tasks) -> Self {
        let size = |size: crate::config::units::Size| u32::try_from(size.0).unwrap_or(u32::MAX);
        let mut builder = http2::Builder::new(NamedTasks(tasks.clone()));
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(size(settings.stream_window))
            .initial_connection_window_size(size(settings.connection_window))
            .max_frame_size(size(settings.max_frame))
            .max_concurrent_streams(settings.max_concurrent_streams)
            .max_header_list_size(size(settings.max_header_list))
            .keep_alive_interval(settings.keepalive_interval)
            .keep_alive_timeout(settings.keepalive_timeout)
            // Answers are small; what is buffered beyond them waits for a client that does not read.
            .max_send_buf_size(64 << 10)
            .auto_date_header(false);
        Self {
            builder,
            handshake_timeout: settings.handshake_timeout,
            max_age: settings.max_connection_age,
            age_jitter: settings.connection_age_jitter,
            age_grace: settings.connection_age_grace,
        }
    }

    /// Serves a connection to its end; `closing` closes it at once.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub async fn serve<I>(
        &self,
        io: I,
        service: ConnectionService,
        leave: &LeaveSignal,
        closing: &CancellationToken,
    ) -> Result<(), ConnectionError>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let received = Arc::new(AtomicUsize::new(0));
        let calls = service.open_calls().clone();
        let io = Socket { io, received: Arc::clone(&received), lingering: None };
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(io), service));
        // A client that connects and says nothing holds a place: hyper itself would wait for ever.
        let mut silent = pin!(async {
            tokio::time::sleep(self.handshake_timeout).await;
            if received.load(Ordering::Relaxed) >= PREFACE {
                std::future::pending::<()>().await;
            }
        });
        let aged = async {
            match self.age() {
                Some(age) => tokio::time::sleep(age).await,
                None => std::future::pending().await,
            }
        };
        let grace = tokio::select! {
            ended = connection.as_mut() => return Ok(ended?),
            () = silent.as_mut() => return Err(ConnectionError::NoPreface),
            () = closing.cancelled() => return Ok(()),
            () = leave.draining.cancelled() => None,
            () = aged => Some(self.age_grace),
        };
        if grace.is_some() {
            leave.aged.cancel();
        }
        connection.as_mut().graceful_shutdown();
        let over = async {
            match grace {
                Some(grace) => tokio::time::sleep(grace).await,
                None => without_calls(leave.drain_grace, &calls).await,
            }
        };
        tokio::select! {
            ended = connection.as_mut() => Ok(ended?),
            () = silent.as_mut() => Err(ConnectionError::NoPreface),
            () = closing.cancelled() => Ok(()),
            () = over => Ok(()),
        }
    }

    /// This connection's age: drawn around the setting, so that a fleet that connected at once does not reconnect at
    /// once.
    fn age(&self) -> Option<Duration> {
        if self.max_age.is_zero() {
            return None;
        }
        let drawn = f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX);
        Some(self.max_age.mul_f64(1.0 + self.age_jitter * (2.0 * drawn - 1.0)))
    }
}

/// Waits, once a drain's grace is over, until no ingest call has been open for a while: a connection that ends by itself
/// has ended by then, and a drain must not wait for one whose client is gone, says nothing, or only watches the health.
async fn without_calls(grace: Duration, calls: &OpenCalls) {
    const LOOK_EVERY: Duration = Duration::from_millis(100);
    const LOOKS: u32 = 10;
    tokio::time::sleep(grace).await;
    let mut looks = 0;
    while looks < LOOKS {
        looks = if calls.is_empty() { looks + 1 } else { 0 };
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A client's socket. Counts what it has sent, as far as the preface goes, and is closed without losing the last answers:
/// a socket that is closed with bytes unread is reset by the system (RFC 2525, 2.17), and the client loses what it has
/// not read yet, such as the status of a stream on which it was still sending. So what it sends is read and dropped until
/// it has closed its side, for a while.
struct Socket<I> {
    io: I,
    received: Arc<AtomicUsize>,
    // While it closes: when patience ends.
    lingering: Option<Pin<Box<Sleep>>>,
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
        if self.received.load(Ordering::Relaxed) < PREFACE {
            self.received.fetch_add(buffer.filled().len() - before, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<I> {
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
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            self.lingering = Some(Box::pin(tokio::time::sleep(LINGER)));
        }
        let over = self.lingering.as_mut().is_none_or(|lingering| lingering.as_mut().poll(cx).is_ready());
        if over { Poll::Ready(Ok(())) } else { self.poll_discard(cx).map(Ok) }
    }
}
