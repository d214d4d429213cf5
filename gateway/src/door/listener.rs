//! Accepts connections: a limit, TLS, a bounded handshake, and one task each.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use super::connection::{ConnectionError, Http2, LeaveSignal};
use super::grpc::{ConnectionService, Shared};
use super::tls::Tls;
use crate::config::GrpcSettings;
use crate::metrics::{Counter, CounterHandle, Gauge, GaugeHandle, Metrics};
use crate::operate::tasks::Tasks;

/// How long accepting pauses after an error of the system's, such as too many open files: the error would come back at
/// once and burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many connections the system holds for a listener, as tokio asks of it.
const MAX_WAITING: u32 = 1_024;

/// The listener of the gRPC door.
pub struct Listener {
    socket: TcpListener,
    door: Arc<Door>,
}

struct Door {
    shared: Arc<Shared>,
    others: Routes,
    tls: Option<Tls>,
    http2: Http2,
    handshake_timeout: Duration,
    age_grace: Duration,
    drain_grace: Duration,
    tasks: Tasks,
    draining: CancellationToken,
    closing: CancellationToken,
    slots: Arc<Semaphore>,
    open: GaugeHandle,
    opened: CounterHandle,
    metrics: Arc<Metrics>,
}

/// What ends the listener's connections.
#[derive(Clone, Debug)]
pub struct Ends {
    /// Cancelled when the gateway drains: no more connections, and those that are open are asked to leave.
    pub draining: CancellationToken,
    /// Cancelled when the drain's time is over: what is still open is closed.
    pub closing: CancellationToken,
    /// How long clients are given to leave by themselves.
    pub drain_grace: Duration,
}

impl Listener {
    /// Takes the port.
    ///
    /// # Errors
    /// If the address can't be had or the TLS files can't be used.
    pub async fn bind(
        settings: &GrpcSettings,
        shared: &Arc<Shared>,
        others: Routes,
        tls: Option<Tls>,
        tasks: &Tasks,
        ends: &Ends,
        metrics: &Arc<Metrics>,
    ) -> io::Result<Self> {
        let socket = TcpListener::bind(settings.listen).await?;
        let door = Door {
            shared: Arc::clone(shared),
            others,
            tls,
            http2: Http2::new(settings, tasks),
            handshake_timeout: settings.handshake_timeout,
            age_grace: settings.connection_age_grace,
            drain_grace: ends.drain_grace,
            tasks: tasks.clone(),
            draining: ends.draining.clone(),
            closing: ends.closing.clone(),
            slots: Arc::new(Semaphore::new(settings.max_connections as usize)),
            open: metrics.gauge(Gauge::Connections, &[]),
            opened: metrics.counter(Counter::ConnectionsOpened, &[]),
            metrics: Arc::clone(metrics),
        };
        Ok(Self { socket, door: Arc::new(door) })
    }

    /// The address it got.
    ///
    /// # Errors
    /// If the system does not know it.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until the gateway drains.
    pub async fn run(self: Arc<Self>) {
        loop {
            let accepted = tokio::select! {
                () = self.door.draining.cancelled() => return self.accept_waiting(),
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((socket, _)) => self.accepted(socket),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Accepts whoever the system has connected already, to be told to go elsewhere: with the socket closed, the system
    /// would reset them.
    fn accept_waiting(&self) {
        // The runtime knows of a connection only after its next look at the system; this asks the system itself.
        let Ok(socket) = self.socket.as_fd().try_clone_to_owned() else { return };
        let socket = std::net::TcpListener::from(socket);
        for _ in 0..MAX_WAITING {
            let accepted = socket.accept().and_then(|(socket, _)| {
                socket.set_nonblocking(true)?;
                TcpStream::from_std(socket)
            });
            match accepted {
                Ok(socket) => self.accepted(socket),
                Err(_) => return,
            }
        }
    }

    fn accepted(&self, socket: TcpStream) {
        let door = Arc::clone(&self.door);
        drop(self.door.tasks.spawn("connection", door.welcome(socket)));
    }
}

impl Door {
    async fn welcome(self: Arc<Self>, socket: TcpStream) {
        let Ok(_slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            return self.turned_away("limit");
        };
        // Without it an answer can wait 40 ms for an acknowledgement of the previous one.
        if socket.set_nodelay(true).is_err() {
            return self.turned_away("protocol");
        }
        self.opened.inc();
        self.open.inc();
        let _open = Open(self.open.clone());
        match &self.tls {
            None => self.serve(socket).await,
            Some(tls) => {
                let shaking = tokio::time::timeout(self.handshake_timeout, tls.acceptor().accept(socket));
                match self.draining.run_until_cancelled(shaking).await {
                    Some(Ok(Ok(stream))) => self.serve(stream).await,
                    Some(Ok(Err(error))) => {
                        tracing::debug!(%error, "a TLS handshake failed");
                        self.turned_away("tls");
                    }
                    Some(Err(_)) => self.turned_away("timeout"),
                    None => {}
                }
            }
        }
    }

    async fn serve<I>(&self, io: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let leave = Arc::new(LeaveSignal::new(self.draining.clone(), self.drain_grace, self.age_grace));
        let service = ConnectionService::new(&self.shared, &self.others, Arc::clone(&leave));
        match self.http2.serve(io, service, &leave, &self.closing).await {
            Ok(()) => {}
            Err(ConnectionError::NoPreface) => self.turned_away("timeout"),
            Err(ConnectionError::Http2(error)) => tracing::debug!(%error, "a connection ended with an error"),
        }
    }

    fn turned_away(&self, cause: &'static str) {
        self.metrics.counter(Counter::ConnectionsRefused, &[cause]).inc();
    }
}

struct Open(GaugeHandle);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
