//! One connection: HTTP with its limits, its age, and its end.
//!
//! A connection that reaches its age, or a gateway that drains, first tells the client (GOAWAY for new calls, a notice on
//! open streams), then gives it a grace, then closes.

mod calls;
mod frames;
mod socket;
mod windows;

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use self::calls::{Calls, Step, Work};
use self::socket::{Limits, Opening, Socket};
use self::windows::{OfConnection, Windows};
use super::open_calls::OpenCalls;
use crate::config::units::Size;
use crate::config::{GrpcSettings, RestSettings};
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

/// How a connection ended, where it did not by itself.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// No preface or no first request within the handshake's time.
    #[error("no HTTP/2 preface and no request in time")]
    Silent,
    /// More control frames of HTTP/2 than a connection may send.
    #[error("too many resets, PING, SETTINGS or empty frames")]
    Flood,
    /// What HTTP says of the client.
    #[error(transparent)]
    Http(Box<dyn Error + Send + Sync>),
}

impl ConnectionError {
    /// The cause as metrics have it; `None`: the client has only gone.
    #[must_use]
    pub fn cause(&self) -> Option<&'static str> {
        match self {
            Self::Silent => Some("timeout"),
            Self::Flood => Some("flood"),
            Self::Http(error) => broke_protocol(&**error).then_some("protocol"),
        }
    }
}

/// Whether an error is one that this side has found in what the client sent.
fn broke_protocol(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.is_library();
        }
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Answers the calls of one connection.
pub trait Answering:
    Service<Request<Incoming>, Response = Response<Self::Answer>, Error = Infallible, Future = Answered<Self::Answer>>
    + Send
    + 'static
{
    /// An answer's body.
    type Answer: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;

    /// The calls that are open on it.
    fn open_calls(&self) -> &OpenCalls;
}

/// An answer to come.
pub type Answered<B> = Pin<Box<dyn Future<Output = Result<Response<B>, Infallible>> + Send>>;

/// The HTTP settings of every connection of a listener.
#[derive(Clone)]
pub struct Http {
    protocol: Protocol,
    tasks: Tasks,
    handshake_timeout: Duration,
    limits: Limits,
    max_age: Duration,
    age_jitter: f64,
    age_grace: Duration,
}

#[derive(Clone)]
enum Protocol {
    /// For gRPC.
    Http2(GrpcSettings, Windows),
    /// HTTP/1.1 or HTTP/2, as the client's first bytes say. For REST.
    Any(RestSettings),
}

/// Answers are small; what is buffered beyond them waits for a client that does not read.
const MAX_SEND_BUFFER: usize = 64 << 10;

impl Http {
    /// For gRPC.
    #[must_use]
    pub fn of_grpc(settings: &GrpcSettings, tasks: &Tasks) -> Self {
        let windows = Windows::new(size(settings.stream_window), size(settings.connection_window));
        Self {
            protocol: Protocol::Http2(settings.clone(), windows),
            tasks: tasks.clone(),
            handshake_timeout: settings.handshake_timeout,
            // Slow readers: each call is watched by itself.
            limits: Limits { slow_reader_timeout: None, control_frames: settings.max_control_frames },
            max_age: settings.max_connection_age,
            age_jitter: settings.connection_age_jitter,
            age_grace: settings.connection_age_grace,
        }
    }

    /// For REST.
    #[must_use]
    pub fn of_rest(settings: &RestSettings, tasks: &Tasks) -> Self {
        Self {
            protocol: Protocol::Any(settings.clone()),
            tasks: tasks.clone(),
            handshake_timeout: settings.handshake_timeout,
            limits: Limits {
                slow_reader_timeout: Some(settings.slow_reader_timeout),
                control_frames: settings.max_control_frames,
            },
            max_age: settings.max_connection_age,
            age_jitter: settings.connection_age_jitter,
            age_grace: settings.connection_age_grace,
        }
    }

    /// Serves a connection to its end; `closing` closes it at once.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub async fn serve<I, S>(
        &self,
        io: I,
        service: S,
        leave: &LeaveSignal,
        closing: &CancellationToken,
    ) -> Result<(), ConnectionError>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Answering,
    {
        let opening = Arc::new(Opening::default());
        let calls = service.open_calls().clone();
        let io = TokioIo::new(Socket::new(io, Arc::clone(&opening), self.limits));
        // A client that connects and says nothing holds a place: hyper itself would wait for ever.
        let silent = async {
            tokio::time::sleep(self.handshake_timeout).await;
            (!opening.is_http2() && !calls.any_yet()).then_some(Signal::Silent)
        };
        let work = Work::new(Calls::new(&self.tasks));
        work.wait_for(silent);
        let end = match &self.protocol {
            Protocol::Http2(settings, windows) => {
                let windows = windows.of_next();
                let connection = grpc_builder(settings, &windows, work.calls()).serve_connection(io, service);
                self.drive(connection, http2::Connection::graceful_shutdown, work, &calls, leave, closing).await
            }
            Protocol::Any(settings) => {
                let builder = rest_builder(settings, work.calls());
                let connection = builder.serve_connection(io, service);
                self.drive(connection, auto::Connection::graceful_shutdown, work, &calls, leave, closing).await
            }
        };
        if opening.is_flood() { Err(ConnectionError::Flood) } else { end }
    }

    async fn drive<'a, C, E>(
        &'a self,
        connection: C,
        shut_down: impl FnOnce(Pin<&mut C>),
        mut work: Work<'a, Signal>,
        calls: &'a OpenCalls,
        leave: &'a LeaveSignal,
        closing: &'a CancellationToken,
    ) -> Result<(), ConnectionError>
    where
        C: Future<Output = Result<(), E>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut connection = pin!(connection);
        let ended = |ended: Result<(), E>| ended.map_err(|error| ConnectionError::Http(error.into()));
        work.wait_for(closing.cancelled().map(|()| Some(Signal::Close)));
        work.wait_for(leave.draining.cancelled().map(|()| Some(Signal::Drain)));
        if let Some(age) = self.age() {
            work.wait_for(tokio::time::sleep(age).map(|()| Some(Signal::Aged)));
        }
        let aged = match work.step(connection.as_mut()).await {
            Step::Ended(end) => return ended(end),
            Step::Signal(Signal::Silent) => return Err(ConnectionError::Silent),
            Step::Signal(Signal::Close) => return Ok(()),
            Step::Signal(Signal::Drain) => false,
            Step::Signal(Signal::Aged) => true,
        };
        if aged {
            leave.aged.cancel();
        }
        shut_down(connection.as_mut());
        work.wait_for(async move {
            match aged {
                true => tokio::time::sleep(self.age_grace).await,
                false => without_calls(leave.drain_grace, calls).await,
            }
            Some(Signal::Close)
        });
        loop {
            match work.step(connection.as_mut()).await {
                Step::Ended(end) => return ended(end),
                Step::Signal(Signal::Silent) => return Err(ConnectionError::Silent),
                Step::Signal(Signal::Close) => return Ok(()),
                // It is leaving.
                Step::Signal(Signal::Drain | Signal::Aged) => {}
            }
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

/// What a connection waits for beside its calls.
enum Signal {
    /// Nothing was said in time.
    Silent,
    /// It is to be closed at once.
    Close,
    /// The gateway drains.
    Drain,
    /// It is as old as it may get.
    Aged,
}

fn grpc_builder(settings: &GrpcSettings, windows: &OfConnection, calls: Calls) -> http2::Builder<Calls> {
    let mut builder = http2::Builder::new(calls);
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(windows.stream)
        .initial_connection_window_size(windows.connection)
        .max_frame_size(size(settings.max_frame))
        .max_concurrent_streams(settings.max_concurrent_streams)
        .max_header_list_size(size(settings.max_header_list))
        .keep_alive_interval(settings.keepalive_interval)
        .keep_alive_timeout(settings.keepalive_timeout)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .auto_date_header(false);
    builder
}

fn rest_builder(settings: &RestSettings, calls: Calls) -> auto::Builder<Calls> {
    let mut builder = auto::Builder::new(calls);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_buf_size(settings.max_header_list.as_usize());
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(size(settings.stream_window))
        .initial_connection_window_size(size(settings.connection_window))
        .max_concurrent_streams(settings.max_concurrent_streams)
        .max_header_list_size(size(settings.max_header_list))
        .keep_alive_interval(settings.keepalive_interval)
        .keep_alive_timeout(settings.keepalive_timeout)
        .max_send_buf_size(MAX_SEND_BUFFER);
    builder
}

fn size(size: Size) -> u32 {
    u32::try_from(size.0).unwrap_or(u32::MAX)
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
