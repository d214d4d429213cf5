//! A server in the gateway's place that does with each batch what a test says.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures_util::Stream;
use futures_util::stream::poll_fn;
use headgate_client::v1::ingest_service_server::{IngestService, IngestServiceServer};
use headgate_client::v1::stream_events_response::Answer;
use headgate_client::v1::{
    self, BatchVerdict, PublishEventsRequest, PublishEventsResponse, StreamEventsRequest, StreamEventsResponse,
    StreamNotice, stream_notice,
};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status, Streaming};

/// A batch, as it came.
pub(crate) struct Batch {
    /// Which stream it came on, from 0.
    pub(crate) stream: usize,
    /// How many came before it, on all streams.
    pub(crate) before: usize,
    pub(crate) request: StreamEventsRequest,
}

/// What is done with it.
pub(crate) enum Reaction {
    /// Stored, and answered.
    Store,
    /// Stored, and not answered.
    StoreInSilence,
    Answer(Answer),
    /// An answer to another batch.
    AnswerTo(u64, Answer),
    After(Duration, Box<Reaction>),
    Notice(stream_notice::Kind, Duration),
    /// The stream ends with this status.
    Break(Status),
}

/// What was seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// Ids, each time.
    pub(crate) stored: Vec<String>,
    /// Batches: the stream, the number of events, when.
    pub(crate) batches: Vec<(usize, usize, Instant)>,
    /// The key of each stream, and when it was opened, those that were turned away included.
    pub(crate) opened: Vec<(String, Instant)>,
    unanswered: usize,
    pub(crate) most_unanswered: usize,
}

impl Seen {
    pub(crate) fn distinct(&self) -> Vec<String> {
        self.stored.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect()
    }

    pub(crate) fn duplicates(&self) -> u64 {
        (self.stored.len() - self.stored.iter().collect::<BTreeSet<_>>().len()) as u64
    }
}

type React = Box<dyn FnMut(&Batch) -> Vec<Reaction> + Send>;
type Admit = Box<dyn FnMut(&str) -> Result<(), Status> + Send>;

#[derive(Clone)]
struct Desk {
    seen: Arc<Mutex<Seen>>,
    react: Arc<Mutex<React>>,
    admit: Arc<Mutex<Admit>>,
}

pub(crate) struct StandIn {
    pub(crate) address: SocketAddr,
    desk: Desk,
    runtime: Option<Runtime>,
}

pub(crate) type Tls = Option<(String, String)>;

impl StandIn {
    /// One that stores and answers everything.
    pub(crate) fn good() -> Self {
        Self::new(|_| vec![Reaction::Store])
    }

    pub(crate) fn new(react: impl FnMut(&Batch) -> Vec<Reaction> + Send + 'static) -> Self {
        Self::with(react, |_| Ok(()))
    }

    pub(crate) fn with(
        react: impl FnMut(&Batch) -> Vec<Reaction> + Send + 'static,
        admit: impl FnMut(&str) -> Result<(), Status> + Send + 'static,
    ) -> Self {
        Self::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Box::new(react), Box::new(admit), None)
    }

    /// One at an address that was free a moment ago.
    pub(crate) fn good_at(address: SocketAddr) -> Self {
        Self::start(address, Box::new(|_| vec![Reaction::Store]), Box::new(|_| Ok(())), None)
    }

    pub(crate) fn good_with_tls(certificate: String, key: String) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start(address, Box::new(|_| vec![Reaction::Store]), Box::new(|_| Ok(())), Some((certificate, key)))
    }

    fn start(address: SocketAddr, react: React, admit: Admit, tls: Tls) -> Self {
        let desk =
            Desk { seen: Arc::default(), react: Arc::new(Mutex::new(react)), admit: Arc::new(Mutex::new(admit)) };
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind(address)).expect("the address is free");
        let address = listener.local_addr().expect("it has an address");
        let service = IngestServiceServer::new(desk.clone()).accept_compressed(CompressionEncoding::Zstd);
        let mut server = Server::builder();
        #[cfg(feature = "tls")]
        if let Some((certificate, key)) = tls {
            use tonic::transport::{Identity, ServerTlsConfig};
            let config = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
            server = server.tls_config(config).expect("a good certificate");
        }
        #[cfg(not(feature = "tls"))]
        assert!(tls.is_none(), "built without TLS");
        let serving = server.add_service(service).serve_with_incoming(TcpIncoming::from(listener));
        runtime.spawn(serving);
        Self { address, desk, runtime: Some(runtime) }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.desk.seen.lock().expect("no panic")
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

/// An address where nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it has an address")
}

pub(crate) fn accepted(events: usize) -> Answer {
    let accepted = u32::try_from(events).expect("a batch");
    Answer::Verdict(BatchVerdict { accepted, ..BatchVerdict::default() })
}

pub(crate) fn refusal(code: Code, hint: Option<Duration>) -> Answer {
    let retry_delay = hint.map(|hint| hint.try_into().expect("a short time"));
    Answer::Refusal(v1::Status { code: code.into(), message: "no".to_owned(), retry_delay, details: Vec::new() })
}

type Answers = Pin<Box<dyn Stream<Item = Result<StreamEventsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl IngestService for Desk {
    type StreamEventsStream = Answers;

    async fn publish_events(
        &self,
        _: Request<PublishEventsRequest>,
    ) -> Result<Response<PublishEventsResponse>, Status> {
        Err(Status::unimplemented("clients of this kind stream"))
    }

    async fn stream_events(
        &self,
        request: Request<Streaming<StreamEventsRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let key = request.metadata().get("x-api-key").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
        let stream = {
            let mut seen = self.seen.lock().expect("no panic");
            seen.opened.push((key.clone(), Instant::now()));
            seen.opened.len() - 1
        };
        (self.admit.lock().expect("no panic"))(&key)?;
        let (answers, mut receiver) = mpsc::unbounded_channel();
        tokio::spawn(self.clone().read(stream, request.into_inner(), answers));
        Ok(Response::new(Box::pin(poll_fn(move |context| receiver.poll_recv(context)))))
    }
}

type Sender = mpsc::UnboundedSender<Result<StreamEventsResponse, Status>>;

impl Desk {
    async fn read(self, stream: usize, mut batches: Streaming<StreamEventsRequest>, answers: Sender) {
        while let Ok(Some(request)) = batches.message().await {
            let reactions = {
                let mut seen = self.seen.lock().expect("no panic");
                let before = seen.batches.len();
                seen.batches.push((stream, request.events.len(), Instant::now()));
                seen.unanswered += 1;
                seen.most_unanswered = seen.most_unanswered.max(seen.unanswered);
                drop(seen);
                let batch = Batch { stream, before, request: request.clone() };
                (self.react.lock().expect("no panic"))(&batch)
            };
            for reaction in reactions {
                if self.react(reaction, &request, &answers).is_break() {
                    return;
                }
            }
        }
    }

    fn react(&self, reaction: Reaction, request: &StreamEventsRequest, answers: &Sender) -> std::ops::ControlFlow<()> {
        let answer = |sequence, answer| {
            let mut seen = self.seen.lock().expect("no panic");
            seen.unanswered = seen.unanswered.saturating_sub(1);
            let _ = answers.send(Ok(StreamEventsResponse { sequence, answer: Some(answer) }));
        };
        let store = || {
            let ids = request.events.iter().map(|event| event.event_id.clone());
            self.seen.lock().expect("no panic").stored.extend(ids);
        };
        match reaction {
            Reaction::Store => {
                store();
                answer(request.sequence, accepted(request.events.len()));
            }
            Reaction::StoreInSilence => store(),
            Reaction::Answer(what) => answer(request.sequence, what),
            Reaction::AnswerTo(sequence, what) => answer(sequence, what),
            Reaction::After(time, reaction) => {
                let (desk, request, answers) = (self.clone(), request.clone(), answers.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(time).await;
                    let _ = desk.react(*reaction, &request, &answers);
                });
            }
            Reaction::Notice(kind, grace) => {
                let grace = Some(grace.try_into().expect("a short time"));
                let notice = Answer::Notice(StreamNotice { kind: kind.into(), grace });
                let _ = answers.send(Ok(StreamEventsResponse { sequence: 0, answer: Some(notice) }));
            }
            Reaction::Break(status) => {
                let _ = answers.send(Err(status));
                return std::ops::ControlFlow::Break(());
            }
        }
        std::ops::ControlFlow::Continue(())
    }
}
