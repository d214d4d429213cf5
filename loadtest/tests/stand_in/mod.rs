//! A gateway to test against, in this process: it checks events by the main rules, keeps their ids, and misbehaves where
//! a test asks for it.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use headgate_proto::v1::ingest_service_server::{IngestService, IngestServiceServer};
use headgate_proto::v1::stream_events_response::Answer;
use headgate_proto::v1::stream_notice::Kind;
use headgate_proto::v1::{self, BatchVerdict, Event, EventVerdict, Reason, StreamNotice, VerdictCode};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt};

pub(crate) const KEY: &str = "hg_stand_in";
/// When a refused batch may come again.
const HINT: Duration = Duration::from_millis(50);

/// What the stand-in does with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Store and answer.
    Answer,
    /// Refuse the batch with `UNAVAILABLE` and a hint.
    Refuse,
    /// Refuse the batch with `RESOURCE_EXHAUSTED` and a hint: its application sends too much.
    Throttle,
    /// Answer `retry` for each third event and `unknown` for each seventh; store the rest.
    Sort,
    /// Store, and end the stream with an error instead of answering.
    BreakStream,
    /// Store, and never answer.
    Silence,
    /// Store, answer, and then ask the stream to move within 5 s.
    AskToMove,
    /// Store, and answer with counts that do not add up.
    Miscount,
}

impl Deed {
    /// The code with which the batch is refused as a whole; none if it is not.
    fn refuses_with(self) -> Option<Code> {
        match self {
            Self::Refuse => Some(Code::Unavailable),
            Self::Throttle => Some(Code::ResourceExhausted),
            _ => None,
        }
    }
}

/// What was seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) stored: HashSet<u128>,
    pub(crate) rejected: HashSet<u128>,
    /// How often each id came in.
    pub(crate) times: HashMap<u128, u32>,
    pub(crate) batches: u64,
    pub(crate) streams: u64,
    /// When the hint of a refused event is over, by its id.
    hints: HashMap<String, Instant>,
    /// Refused events that came again before.
    pub(crate) early: u64,
    /// Batches refused as a whole.
    pub(crate) refused: u64,
}

type Plan = dyn Fn(u64) -> Deed + Send + Sync;

pub(crate) struct StandIn {
    seen: Mutex<Seen>,
    batches: AtomicU64,
    /// What to do with the batch of this number, counted from 0 over all streams.
    plan: Box<Plan>,
    /// Answers wait for this instant, if it is set.
    stalled_until: Mutex<Option<Instant>>,
}

/// A running stand-in behind a relay that can be cut.
pub(crate) struct Running {
    pub(crate) endpoint: String,
    pub(crate) stand_in: Arc<StandIn>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
    _tasks: JoinSet<()>,
}

impl Running {
    pub(crate) async fn start(plan: impl Fn(u64) -> Deed + Send + Sync + 'static) -> Self {
        Self::start_server(plan, tonic::transport::Server::builder(), "http").await
    }

    /// The same behind TLS.
    #[allow(dead_code, reason = "not every test that includes this module speaks TLS")]
    pub(crate) async fn start_tls(
        plan: impl Fn(u64) -> Deed + Send + Sync + 'static,
        tls: tonic::transport::ServerTlsConfig,
    ) -> Self {
        let server = tonic::transport::Server::builder().tls_config(tls).expect("a certificate and its key");
        Self::start_server(plan, server, "https").await
    }

    async fn start_server(
        plan: impl Fn(u64) -> Deed + Send + Sync + 'static,
        mut builder: tonic::transport::Server,
        scheme: &str,
    ) -> Self {
        let stand_in = Arc::new(StandIn {
            seen: Mutex::default(),
            batches: AtomicU64::new(0),
            plan: Box::new(plan),
            stalled_until: Mutex::new(None),
        });
        let mut tasks = JoinSet::new();

        let server = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let server_address = server.local_addr().expect("bound");
        let incoming = stream::unfold(server, |server| async move {
            let accepted = server.accept().await.map(|(connection, _)| connection);
            Some((accepted, server))
        });
        let service = IngestServiceServer::new(Service(stand_in.clone()));
        tasks.spawn(async move {
            let served = builder.add_service(service).serve_with_incoming(incoming).await;
            served.expect("the stand-in serves");
        });

        let relay = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("{scheme}://{}", relay.local_addr().expect("bound"));
        let connections = Arc::new(Mutex::new(Vec::new()));
        let relayed = connections.clone();
        tasks.spawn(async move {
            let mut relays = JoinSet::new();
            while let Ok((mut client, _)) = relay.accept().await {
                let mut server = TcpStream::connect(server_address).await.expect("the stand-in listens");
                for side in [&client, &server] {
                    side.set_nodelay(true).expect("a TCP socket");
                }
                let handle = relays.spawn(async move {
                    // Either side may go away at any time; that is what the relay is for.
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
                lock(&relayed).push(handle);
            }
        });
        Self { endpoint, stand_in, connections, _tasks: tasks }
    }

    /// Cuts every open connection; new ones can be opened.
    pub(crate) fn cut(&self) {
        for connection in lock(&self.connections).drain(..) {
            connection.abort();
        }
    }

    /// Holds every answer back from now on for so long.
    pub(crate) fn stall(&self, duration: Duration) {
        *lock(&self.stand_in.stalled_until) = Some(Instant::now() + duration);
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.stand_in.seen)
    }
}

impl StandIn {
    /// Stores what is to be stored, and gives the verdict.
    fn take(&self, events: &[Event], deed: Deed) -> BatchVerdict {
        let mut seen = lock(&self.seen);
        seen.batches += 1;
        let mut verdict = BatchVerdict::default();
        for (index, event) in events.iter().enumerate() {
            let index = index as u32;
            let id = uuid::Uuid::parse_str(&event.event_id).map(|id| id.as_u128());
            if let Ok(id) = id {
                *seen.times.entry(id).or_default() += 1;
            }
            let one = |code: VerdictCode, reason: Reason| EventVerdict {
                index,
                code: code.into(),
                reason: reason.into(),
                retry_delay: (code == VerdictCode::Retry).then(|| duration(20)),
                ..EventVerdict::default()
            };
            match (fault(event), id) {
                (None, Ok(_)) if deed == Deed::Sort && index.is_multiple_of(3) => {
                    verdict.retry += 1;
                    verdict.not_accepted.push(one(VerdictCode::Retry, Reason::DestinationUnavailable));
                }
                (None, Ok(_)) if deed == Deed::Sort && index.is_multiple_of(7) => {
                    verdict.unknown += 1;
                    verdict.not_accepted.push(one(VerdictCode::Unknown, Reason::Deadline));
                }
                (None, Ok(id)) => {
                    verdict.accepted += 1;
                    seen.stored.insert(id);
                }
                (fault, id) => {
                    verdict.rejected += 1;
                    verdict.not_accepted.push(one(VerdictCode::Rejected, fault.unwrap_or(Reason::NotAUuid)));
                    seen.rejected.extend(id);
                }
            }
        }
        if deed == Deed::Miscount {
            verdict.accepted += 1;
        }
        verdict
    }

    /// What to do with the batch that has come in.
    fn next_deed(&self, events: &[Event]) -> Deed {
        let deed = (self.plan)(self.batches.fetch_add(1, Ordering::Relaxed));
        let mut seen = lock(&self.seen);
        let now = Instant::now();
        for event in events {
            let hint = seen.hints.remove(&event.event_id);
            seen.early += u64::from(hint.is_some_and(|over| now < over));
        }
        if deed.refuses_with().is_some() {
            seen.refused += 1;
            seen.hints.extend(events.iter().map(|event| (event.event_id.clone(), now + HINT)));
        }
        deed
    }

    async fn wait_out_stall(&self) {
        let until = *lock(&self.stalled_until);
        if let Some(until) = until {
            sleep_until(until).await;
        }
    }

    /// What the stream says to one request.
    async fn answer(
        self: Arc<Self>,
        request: v1::StreamEventsRequest,
    ) -> Vec<Result<v1::StreamEventsResponse, Status>> {
        let deed = self.next_deed(&request.events);
        let say = |sequence, answer| Ok(v1::StreamEventsResponse { sequence, answer: Some(answer) });
        if let Some(code) = deed.refuses_with() {
            let hint = Some(duration(HINT.as_millis() as i32));
            let status = v1::Status { code: code as i32, retry_delay: hint, ..v1::Status::default() };
            return vec![say(request.sequence, Answer::Refusal(status))];
        }
        let verdict = Answer::Verdict(self.take(&request.events, deed));
        self.wait_out_stall().await;
        match deed {
            Deed::BreakStream => vec![Err(Status::internal("the stand-in breaks the stream"))],
            Deed::Silence => vec![],
            Deed::AskToMove => {
                let notice = StreamNotice { kind: Kind::ConnectionAge.into(), grace: Some(duration(5_000)) };
                vec![say(request.sequence, verdict), say(0, Answer::Notice(notice))]
            }
            _ => vec![say(request.sequence, verdict)],
        }
    }
}

struct Service(Arc<StandIn>);

#[tonic::async_trait]
impl IngestService for Service {
    async fn publish_events(
        &self,
        request: Request<v1::PublishEventsRequest>,
    ) -> Result<Response<v1::PublishEventsResponse>, Status> {
        check_key(&request)?;
        let events = request.into_inner().events;
        let deed = self.0.next_deed(&events);
        if let Some(code) = deed.refuses_with() {
            let details = ErrorDetails::with_retry_info(Some(HINT));
            return Err(Status::with_error_details(code, "refused", details));
        }
        match deed {
            Deed::Silence => {
                self.0.take(&events, deed);
                sleep(Duration::from_secs(600)).await;
                Err(Status::cancelled("never said"))
            }
            _ => {
                let verdict = self.0.take(&events, deed);
                self.0.wait_out_stall().await;
                Ok(Response::new(v1::PublishEventsResponse { verdict: Some(verdict) }))
            }
        }
    }

    type StreamEventsStream = Pin<Box<dyn Stream<Item = Result<v1::StreamEventsResponse, Status>> + Send>>;

    async fn stream_events(
        &self,
        request: Request<Streaming<v1::StreamEventsRequest>>,
    ) -> Result<Response<Self::StreamEventsStream>, Status> {
        check_key(&request)?;
        lock(&self.0.seen).streams += 1;
        let stand_in = self.0.clone();
        let mut requests = request.into_inner();
        let requests = stream::poll_fn(move |context| requests.poll_next_unpin(context));
        let answers = requests
            .take_while(|request| std::future::ready(request.is_ok()))
            .filter_map(|request| std::future::ready(request.ok()))
            .map(move |request| stand_in.clone().answer(request))
            .buffer_unordered(4_096)
            .flat_map(stream::iter);
        Ok(Response::new(Box::pin(answers)))
    }
}

/// The first rule that the event breaks, by the reason that the gateway would give.
fn fault(event: &Event) -> Option<Reason> {
    let at = event.event_timestamp.as_ref().map(|at| at.seconds);
    let object: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_slice(&event.event_data);
    if uuid::Uuid::parse_str(&event.event_id).is_err() {
        Some(Reason::NotAUuid)
    } else if event.event_type.is_empty() || event.event_name.is_empty() {
        Some(Reason::Required)
    } else if event.event_type.contains(' ') {
        Some(Reason::Charset)
    } else if at.is_none_or(|seconds| seconds > 253_402_300_799) {
        Some(Reason::TimestampRange)
    } else {
        object.is_err().then_some(Reason::NotAJsonObject)
    }
}

fn check_key<T>(request: &Request<T>) -> Result<(), Status> {
    let shown = request.metadata().get("x-api-key").and_then(|key| key.to_str().ok());
    if shown == Some(KEY) { Ok(()) } else { Err(Status::unauthenticated("wrong key")) }
}

fn duration(millis: i32) -> prost_types::Duration {
    prost_types::Duration { seconds: i64::from(millis / 1_000), nanos: millis % 1_000 * 1_000_000 }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test panics while it looks")
}
