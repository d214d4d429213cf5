//! The listening socket, which can be closed and opened again on the same port, and the HTTP on each connection.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_kinesis::primitives::{DateTime, DateTimeFormat};
use http::header::{DATE, HeaderValue};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::answer::AnswerBody;
use super::call;
use super::link::Link;
use super::state::State;
use crate::poll::until;

const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Port {
    state: Arc<State>,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    accepting: Mutex<Option<JoinHandle<()>>>,
    idle_limit: watch::Sender<Option<Duration>>,
    end: CancellationToken,
}

impl Port {
    pub(super) async fn open(state: Arc<State>, port: u16, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("the port is free");
        let address = listener.local_addr().expect("it is bound");
        let (idle_limit, limits) = watch::channel(None);
        let port = Self { state, address, tls, accepting: Mutex::new(None), idle_limit, end: CancellationToken::new() };
        tokio::spawn(close_idle(Arc::clone(&port.state), limits));
        port.accept(listener);
        port
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn endpoint(&self) -> String {
        match &self.tls {
            Some(_) => format!("https://localhost:{}", self.address.port()),
            None => format!("http://{}", self.address),
        }
    }

    pub(super) fn set_idle_limit(&self, limit: Option<Duration>) {
        self.idle_limit.send_replace(limit);
    }

    /// Closes the listening socket: when this returns, connecting is refused.
    pub(super) async fn close(&self) {
        let accepting = self.accepting.lock().expect("nothing panics with it").take();
        if let Some(task) = accepting {
            task.abort();
            _ = task.await;
        }
    }

    pub(super) async fn reopen(&self) {
        self.close().await;
        let bind = async || TcpListener::bind(self.address).await.ok();
        let listener = until("the stand-in's port is free again", PATIENCE, bind).await;
        self.accept(listener);
    }

    fn accept(&self, listener: TcpListener) {
        let (state, tls, end) = (Arc::clone(&self.state), self.tls.clone(), self.end.clone());
        let task = tokio::spawn(async move {
            loop {
                // Accepting fails when file descriptors run out: the client's connection waits until some are free.
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                tokio::spawn(serve(Arc::clone(&state), stream, tls.clone(), end.child_token()));
            }
        });
        *self.accepting.lock().expect("nothing panics with it") = Some(task);
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        if let Some(task) = self.accepting.lock().expect("nothing panics with it").take() {
            task.abort();
        }
        self.end.cancel();
    }
}

/// Serves one connection until the client closes it or its link is ended.
async fn serve(state: Arc<State>, stream: TcpStream, tls: Option<TlsAcceptor>, end: CancellationToken) {
    // Fails only on a socket that is gone already, as the first read then says.
    _ = stream.set_nodelay(true);
    let (link, wire) = state.links.adopt(stream, end);
    let connection = async {
        match tls {
            None => http1(Arc::clone(&state), Arc::clone(&link), wire).await,
            Some(acceptor) => {
                let Ok(stream) = acceptor.accept(wire).await else { return };
                match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => http2(Arc::clone(&state), Arc::clone(&link), stream).await,
                    _ => http1(Arc::clone(&state), Arc::clone(&link), stream).await,
                }
            }
        }
    };
    tokio::select! {
        // First the connection, so that it has flushed what it was given before it is ended.
        biased;
        () = connection => {}
        () = link.ended() => {}
    }
    if let Some(commit) = link.last_commit() {
        state.books.told(commit, false);
    }
}

/// The answer with the time that the stand-in's clock shows; where that is right, hyper says it.
async fn dated(
    state: Arc<State>,
    link: Arc<Link>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    let mut response = call::answer(Arc::clone(&state), link, request).await?;
    let offset = state.clock_offset.load(Ordering::Relaxed);
    if offset != 0 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970").as_secs().cast_signed();
        let date = DateTime::from_secs(now + offset).fmt(DateTimeFormat::HttpDate).expect("a date");
        response.headers_mut().insert(DATE, HeaderValue::from_str(&date).expect("a date is ASCII"));
    }
    Ok(response)
}

async fn http1(state: Arc<State>, link: Arc<Link>, io: impl AsyncRead + AsyncWrite + Unpin) {
    let service = service_fn(|request| dated(Arc::clone(&state), Arc::clone(&link), request));
    // A client that goes away is no error here.
    _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(io), service).await;
}

async fn http2(state: Arc<State>, link: Arc<Link>, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let service = service_fn(move |request| dated(Arc::clone(&state), Arc::clone(&link), request));
    _ = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        // The default window of 64 KiB would make every call wait for several round trips.
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(16 << 20)
        .serve_connection(TokioIo::new(io), service)
        .await;
}

/// Closes idle connections while a limit is set; ends with the port.
async fn close_idle(state: Arc<State>, mut limits: watch::Receiver<Option<Duration>>) {
    loop {
        let limit = *limits.borrow_and_update();
        let changed = match limit {
            None => limits.changed().await,
            Some(limit) => {
                state.links.close_idle(limit);
                let period = (limit / 4).max(Duration::from_millis(1));
                tokio::time::timeout(period, limits.changed()).await.unwrap_or(Ok(()))
            }
        };
        if changed.is_err() {
            return;
        }
    }
}
