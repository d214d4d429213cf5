//! Accepts connections: a limit, TLS, a bounded handshake, and one task each.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::certificate::ClientCertificate;
use super::connection::{Answering, Http, LeaveSignal};
use super::peers::{Peers, Place};
use super::tls::Tls;
use crate::metrics::{Counter, CounterHandle, Gauge, GaugeHandle, Metrics};
use crate::operate::tasks::Tasks;

/// How long accepting pauses after an error of the system's, such as too many open files: the error would come back at
/// once and burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many connections the system holds for a listener, as tokio asks of it.
const MAX_WAITING: u32 = 1_024;

/// A door's listener.
pub struct Listener<S> {
    socket: TcpListener,
    door: Arc<Door<S>>,
}

/// How a door listens.
pub struct Listening {
    /// The address; port 0 takes a free one.
    pub address: SocketAddr,
    /// The HTTP settings of its connections.
    pub http: Http,
    /// Its TLS, if it has one.
    pub tls: Option<Tls>,
    /// Connections at once.
    pub max_connections: u32,
    /// Of these, connections of one peer.
    pub max_connections_per_peer: u32,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long a connection past its age may go on.
    pub age_grace: Duration,
}

/// Makes the service of each connection.
pub trait Services: Send + Sync + 'static {
    /// The service.
    type Service: Answering;

    /// For a connection that is told by `leave` when to go, and whose client has shown this certificate.
    fn of_connection(&self, leave: Arc<LeaveSignal>, certificate: Option<ClientCertificate>) -> Self::Service;
}

struct Door<S> {
    services: S,
    listening: Listening,
    drain_grace: Duration,
    tasks: Tasks,
    draining: CancellationToken,
    closing: CancellationToken,
    slots: Arc<Semaphore>,
    peers: Arc<Peers>,
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

impl<S: Services> Listener<S> {
    /// Takes the port.
    ///
    /// # Errors
    /// If the address can't be had.
    pub async fn bind(
        listening: Listening,
        services: S,
        tasks: &Tasks,
        ends: &Ends,
        metrics: &Arc<Metrics>,
    ) -> io::Result<Self> {
        let socket = TcpListener::bind(listening.address).await?;
        let door = Door {
            services,
            slots: Arc::new(Semaphore::new(listening.max_connections as usize)),
            peers: Peers::new(listening.max_connections_per_peer),
            listening,
            drain_grace: ends.drain_grace,
            tasks: tasks.clone(),
            draining: ends.draining.clone(),
            closing: ends.closing.clone(),
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
                Ok((socket, peer)) => self.accepted(socket, peer),
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
            let accepted = socket.accept().and_then(|(socket, peer)| {
                socket.set_nonblocking(true)?;
                Ok((TcpStream::from_std(socket)?, peer))
            });
            match accepted {
                Ok((socket, peer)) => self.accepted(socket, peer),
                Err(_) => return,
            }
        }
    }

    /// Places go by who came first, so they are taken here: tasks run in any order. Without one, the socket is closed.
    fn accepted(&self, socket: TcpStream, peer: SocketAddr) {
        let door = Arc::clone(&self.door);
        match door.place(peer) {
            Ok(place) => drop(self.door.tasks.spawn("connection", door.welcome(socket, peer, place))),
            Err(cause) => door.turned_away(cause),
        }
    }
}

impl<S: Services> Door<S> {
    /// A place for a connection from this peer, or which limit it is past.
    fn place(&self, peer: SocketAddr) -> Result<(Place, OwnedSemaphorePermit), &'static str> {
        let of_peer = self.peers.enter(peer.ip()).ok_or("peer")?;
        let of_all = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| "limit")?;
        Ok((of_peer, of_all))
    }

    /// `_place` is held as long as the connection is open.
    async fn welcome(self: Arc<Self>, socket: TcpStream, peer: SocketAddr, _place: (Place, OwnedSemaphorePermit)) {
        // Without it an answer can wait 40 ms for an acknowledgement of the previous one.
        if socket.set_nodelay(true).is_err() {
            return self.turned_away("protocol");
        }
        self.opened.inc();
        self.open.inc();
        let _open = Open(self.open.clone());
        match &self.listening.tls {
            None => self.serve(socket, None).await,
            Some(tls) => {
                let shaking = tokio::time::timeout(self.listening.handshake_timeout, tls.acceptor().accept(socket));
                match self.draining.run_until_cancelled(shaking).await {
                    Some(Ok(Ok(stream))) => {
                        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                        let certificate = shown.map(ClientCertificate::of);
                        if let Some(certificate) = &certificate {
                            tracing::info!(%peer, %certificate, "connected with a client's certificate");
                        }
                        self.serve(stream, certificate).await;
                    }
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

    async fn serve<I>(&self, io: I, certificate: Option<ClientCertificate>)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let leave = Arc::new(LeaveSignal::new(self.draining.clone(), self.drain_grace, self.listening.age_grace));
        let service = self.services.of_connection(Arc::clone(&leave), certificate);
        if let Err(error) = self.listening.http.serve(io, service, &leave, &self.closing).await {
            tracing::debug!(%error, "a connection ended with an error");
            error.cause().into_iter().for_each(|cause| self.turned_away(cause));
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
