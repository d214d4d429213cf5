//! Game servers that send whatever the gateway answers: open loop. A batch counts from when it was to leave; a window that
//! is used up, a slow answer or a late task moves nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::batch::Template;
use super::samples::Samples;
use super::{calls, streams};
use crate::client::Target;
use crate::seed::Draw;

/// What a fleet looks like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Game servers: streams, or senders of unary calls.
    pub servers: usize,
    /// Connections that they share.
    pub connections: usize,
    /// Events in a batch.
    pub batch: u32,
    /// How they send.
    pub manner: Manner,
}

/// How game servers send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// A stream each, whose answers are read.
    Streams,
    /// A stream each, whose client takes no more answers than its first window holds, 4 KiB.
    StreamsUnread,
    /// A unary call for each batch.
    Calls,
}

/// Calls on a connection at a time: what the gateway allows, unless it is told otherwise (`grpc.max_concurrent_streams`).
const CALLS_AT_ONCE: usize = 1_000;
const SLOW_WINDOW: u32 = 4 << 10;
const WINDOW: u32 = 1 << 20;

/// A fleet at work.
pub struct Fleet {
    shape: Shape,
    samples: Arc<Samples>,
    broken: Arc<AtomicU64>,
    pace: watch::Sender<Pace>,
    servers: JoinSet<()>,
    connections: JoinSet<()>,
}

/// When a server's batches leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Not at all.
    Rest,
    /// One in each of these.
    Every(Duration),
    /// The stream is to end.
    Stop,
}

/// One game server.
pub(super) struct Server {
    pub(super) connection: SendRequest<Bytes>,
    /// For calls on this connection.
    pub(super) room: Arc<Semaphore>,
    pub(super) target: Target,
    pub(super) manner: Manner,
    pub(super) template: Template,
    pub(super) samples: Arc<Samples>,
    pub(super) broken: Arc<AtomicU64>,
    pub(super) clock: Departures,
}

/// Calls out the instants at which batches leave.
pub(super) struct Departures {
    pace: watch::Receiver<Pace>,
    draw: Draw,
    next: Option<Instant>,
}

impl Departures {
    /// When the next batch leaves, then; `None`: never again.
    pub(super) async fn next(&mut self) -> Option<Instant> {
        loop {
            if self.pace.has_changed().unwrap_or(true) {
                self.next = None;
            }
            let pace = *self.pace.borrow_and_update();
            let every = match pace {
                Pace::Stop => return None,
                Pace::Rest => {
                    if self.pace.changed().await.is_err() {
                        return None;
                    }
                    continue;
                }
                Pace::Every(every) => every,
            };
            // Servers that begin at once don't send at once.
            let draw = &mut self.draw;
            let phase = |draw: &mut Draw| every.mul_f64((draw.any() >> 11) as f64 / (1_u64 << 53) as f64);
            let due = *self.next.get_or_insert_with(|| Instant::now() + phase(draw));
            tokio::select! {
                biased;
                changed = self.pace.changed() => {
                    self.next = None;
                    if changed.is_err() {
                        return None;
                    }
                }
                () = tokio::time::sleep_until(due.into()) => {
                    self.next = Some(due + every);
                    return Some(due);
                }
            }
        }
    }

    /// Tells whether the pace has changed since now: what was due then and has not left is not to leave any more.
    pub(super) fn changed(&self) -> impl Fn() -> bool + Send + use<> {
        let pace = self.pace.clone();
        move || pace.has_changed().unwrap_or(true)
    }

    /// Whether nothing is to leave any more.
    pub(super) fn is_stopped(&self) -> bool {
        *self.pace.borrow() == Pace::Stop
    }

    /// Ready when nothing is to leave any more.
    pub(super) async fn stopped(&self) {
        let mut pace = self.pace.clone();
        // Without its fleet it has stopped, too.
        let _ = pace.wait_for(|pace| *pace == Pace::Stop).await;
    }
}

impl Fleet {
    /// Connects; nothing is sent before it has a rate. `number` tells its events from those of other fleets.
    ///
    /// # Panics
    /// If nobody listens.
    pub async fn connect(number: u16, target: &Target, shape: Shape) -> Self {
        let pace = watch::Sender::new(Pace::Rest);
        let (samples, broken) = (Arc::new(Samples::default()), Arc::new(AtomicU64::new(0)));
        let (mut servers, mut connections) = (JoinSet::new(), JoinSet::new());
        let mut open = Vec::new();
        for _ in 0..shape.connections.max(1) {
            let connection = connect(target, shape.manner, &mut connections).await;
            open.push((connection, Arc::new(Semaphore::new(CALLS_AT_ONCE))));
        }
        for server in 0..shape.servers {
            let sender = (u32::from(number) << 16) | u32::try_from(server).expect("few servers");
            let in_stream = shape.manner != Manner::Calls;
            let clock = Departures { pace: pace.subscribe(), draw: Draw::new(sender.into(), 0), next: None };
            let (connection, room) = &open[server % open.len()];
            let server = Server {
                connection: connection.clone(),
                room: Arc::clone(room),
                target: target.clone(),
                manner: shape.manner,
                template: Template::new(sender, shape.batch, in_stream),
                samples: Arc::clone(&samples),
                broken: Arc::clone(&broken),
                clock,
            };
            servers.spawn(async move {
                match in_stream {
                    true => streams::run(server).await,
                    false => calls::run(server).await,
                }
            });
        }
        Self { shape, samples, broken, pace, servers, connections }
    }

    /// From now on it sends so many events a second in all; with 0 it rests. What was due and has not left is dropped.
    pub fn set_rate(&self, events: f64) {
        let each = events / f64::from(self.shape.batch) / self.shape.servers as f64;
        self.pace.send_replace(if each > 0.0 { Pace::Every(Duration::from_secs_f64(1.0 / each)) } else { Pace::Rest });
    }

    /// What it has seen.
    #[must_use]
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// Streams and calls that broke off without the gateway saying why; of clients that read nothing, those that were
    /// given up.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.broken.load(Ordering::Relaxed)
    }

    /// Ends its streams and closes its connections; those that have not ended by then are dropped.
    pub async fn leave(mut self, patience: Duration) {
        self.pace.send_replace(Pace::Stop);
        let _ = tokio::time::timeout(patience, async { while self.servers.join_next().await.is_some() {} }).await;
        self.servers.shutdown().await;
        self.connections.shutdown().await;
    }
}

async fn connect(target: &Target, manner: Manner, connections: &mut JoinSet<()>) -> SendRequest<Bytes> {
    let socket = TcpStream::connect(target.address).await.expect("the gateway listens");
    socket.set_nodelay(true).expect("a socket has the option");
    let mut builder = h2::client::Builder::new();
    let window = if manner == Manner::StreamsUnread { SLOW_WINDOW } else { WINDOW };
    builder.initial_window_size(window).initial_connection_window_size(WINDOW);
    let (sender, connection) = builder.handshake(socket).await.expect("it speaks HTTP/2");
    connections.spawn(async move {
        // It ends with the fleet, or servers notice.
        let _ = connection.await;
    });
    sender
}

/// Batches without an answer, by their sequences: when each was to leave.
pub(super) type Pending = HashMap<u64, Instant>;
