//! The gRPC door: `headgate.v1.IngestService` over raw message bytes, beside the standard health and reflection services.
//!
//! OpenTelemetry's `LogsService` is answered here, too: its records are events.
//!
//! The ingest calls do not go through tonic's codec, which buffers and decompresses a message before anyone can say
//! whether it may come in; they read frames themselves ([`message`]). Everything else is tonic's.

pub mod answers;
pub mod body;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod logs;
pub mod message;
mod publish;
pub mod status;
pub mod stream;
pub mod web;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming as RequestBody;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tower_service::Service;
use uuid::Uuid;

use self::body::GrpcBody;
use self::message::MessageReader;
use self::stream::StreamBody;
use crate::admission::app::App;
use crate::admission::budget::Permit;
use crate::admission::key_cache::Grant;
use crate::admission::refusal::Refusal;
use crate::clock::Clock;
use crate::config::{GrpcSettings, OtlpSettings};
use crate::door::certificate::ClientCertificate;
use crate::door::client_clock;
use crate::door::connection::{Answered, Answering, LeaveSignal};
use crate::door::decompress::Encoding;
use crate::door::intake::{Admitted, Intake};
use crate::door::listener::Services;
use crate::door::open_calls::OpenCalls;
use crate::door::slow_readers::SlowReaders;
use crate::event::scan::Envelope;
use crate::metrics::{Counter, CounterHandle, Gauge, GaugeHandle, Metrics};
use crate::operate::tasks::Tasks;
use crate::registry::Purpose;

/// The path of the call with one batch.
pub const PUBLISH: &str = "/headgate.v1.IngestService/PublishEvents";
const STREAM: &str = "/headgate.v1.IngestService/StreamEvents";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
// Parsed here, and not for each call.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// What every call shares.
pub struct Shared {
    intake: Arc<Intake>,
    slow_readers: SlowReaders,
    metrics: DoorMetrics,
    clock: Clock,
    tasks: Tasks,
    draining: CancellationToken,
    max_message: usize,
    max_batches_in_flight: u32,
    message_timeout: Duration,
    slow_reader_timeout: Duration,
    otlp: bool,
}

/// What the door needs from the rest of the house.
pub struct Parts {
    /// The way that batches go.
    pub intake: Arc<Intake>,
    /// The clock.
    pub clock: Clock,
    /// For what the door runs in the background.
    pub tasks: Tasks,
    /// Cancelled when the gateway drains.
    pub draining: CancellationToken,
}

struct DoorMetrics {
    streams: GaugeHandle,
    streams_opened: CounterHandle,
    otlp_batches: CounterHandle,
    metrics: Arc<Metrics>,
}

impl DoorMetrics {
    fn stream_ended(&self, cause: &'static str) {
        self.metrics.counter(Counter::StreamsEnded, &[cause]).inc();
    }
}

impl Shared {
    /// Puts the door together.
    #[must_use]
    pub fn new(parts: Parts, settings: &GrpcSettings, otlp: &OtlpSettings, metrics: &Arc<Metrics>) -> Arc<Self> {
        let Parts { intake, clock, tasks, draining } = parts;
        Arc::new(Self {
            intake,
            slow_readers: SlowReaders::default(),
            metrics: DoorMetrics {
                streams: metrics.gauge(Gauge::Streams, &[]),
                streams_opened: metrics.counter(Counter::StreamsOpened, &[]),
                otlp_batches: metrics.counter(Counter::DoorBatches, &["otlp_grpc"]),
                metrics: Arc::clone(metrics),
            },
            clock,
            tasks,
            draining,
            max_message: settings.max_message.as_usize(),
            max_batches_in_flight: settings.max_batches_in_flight,
            message_timeout: settings.message_timeout,
            slow_reader_timeout: settings.slow_reader_timeout,
            otlp: otlp.enabled,
        })
    }

    /// Gives up streams whose clients read no answers. To be run as a task.
    pub async fn watch_slow_readers(self: Arc<Self>) {
        let mut ticks = tokio::time::interval((self.slow_reader_timeout / 4).max(Duration::from_millis(20)));
        loop {
            ticks.tick().await;
            let given_up = self.slow_readers.give_up_after(self.slow_reader_timeout);
            if given_up > 0 {
                tracing::debug!(calls = given_up, "ended calls whose clients read no answers");
            }
        }
    }

    fn admit(
        &self,
        app: &App,
        message: &[u8],
        permit: &mut Permit,
        envelope: Envelope,
    ) -> Result<Admitted, (Option<u64>, Refusal)> {
        self.intake.admit(app, message, permit, envelope)
    }

    /// Lets a call's key in. A refusal comes with the application, where the key is of one.
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Grant, (Option<Uuid>, Refusal)> {
        let key = presented_key(headers).map_err(|refusal| (None, refusal))?;
        self.intake.authenticate(key).await
    }

    /// Counts, logs and shows a refusal.
    fn refused(&self, application: Option<Uuid>, refusal: &Refusal) {
        self.intake.refused(application, refusal);
    }
}

/// The key in a call's metadata: `x-api-key`, or a bearer token.
fn presented_key(headers: &HeaderMap) -> Result<&str, Refusal> {
    let value = match (headers.get(API_KEY), headers.get(header::AUTHORIZATION)) {
        (Some(key), _) => key,
        (None, Some(authorization)) => {
            let text = authorization.to_str().map_err(|_| Refusal::KeyMalformed)?;
            let (scheme, token) = text.split_once(' ').ok_or(Refusal::KeyMalformed)?;
            // RFC 9110, 11.1: the scheme is case-insensitive.
            let bearer = scheme.eq_ignore_ascii_case("bearer");
            return if bearer { Ok(token.trim()) } else { Err(Refusal::KeyMalformed) };
        }
        (None, None) => return Err(Refusal::KeyMissing),
    };
    value.to_str().map_err(|_| Refusal::KeyMalformed)
}

/// The services of one connection.
#[derive(Clone)]
pub struct ConnectionService {
    shared: Arc<Shared>,
    others: Routes,
    leave: Arc<LeaveSignal>,
    certificate: Option<ClientCertificate>,
    calls: OpenCalls,
}

impl ConnectionService {
    /// `others` answers what the ingest service does not.
    #[must_use]
    pub fn new(
        shared: &Arc<Shared>,
        others: &Routes,
        leave: Arc<LeaveSignal>,
        certificate: Option<ClientCertificate>,
    ) -> Self {
        Self { shared: Arc::clone(shared), others: others.clone(), leave, certificate, calls: OpenCalls::default() }
    }

    async fn ingest(self, request: Request<RequestBody>) -> Response<GrpcBody> {
        if let Some(response) = not_grpc(&request) {
            return response;
        }
        let shared = Arc::clone(&self.shared);
        let call = AssertUnwindSafe(self.call(request)).catch_unwind().await;
        let result = call.unwrap_or_else(|_| {
            shared.tasks.panicked("call");
            Err((None, Refusal::Internal))
        });
        match result {
            Ok(body) => response(body),
            Err((application, refusal)) => {
                shared.refused(application, &refusal);
                refused(&refusal)
            }
        }
    }

    /// A refusal comes with the application, where it is known.
    async fn call(self, request: Request<RequestBody>) -> Result<GrpcBody, (Option<Uuid>, Refusal)> {
        let call = self.calls.begin();
        let (head, body) = request.into_parts();
        let shared = self.shared;
        if shared.draining.is_cancelled() {
            return Err((None, Refusal::Draining));
        }
        // The key first: whoever has none learns nothing else and costs nothing else.
        let grant = shared.authenticate(&head.headers).await?;
        let application = Some(grant.app().id());
        let refused = |refusal| (application, refusal);
        let is_stream = head.uri.path() == STREAM;
        grant.check(if is_stream { Purpose::SendStream } else { Purpose::SendBatch }).map_err(refused)?;
        let encoding = Encoding::parse(head.headers.get(GRPC_ENCODING)).map_err(refused)?;
        let reader = MessageReader::new(body, encoding, shared.max_message);
        let affinity = shared.intake.next_affinity();
        let skew = client_clock::skew_ms(&head.headers, &shared.clock);
        if is_stream {
            let leave = self.leave.wait();
            Ok(GrpcBody::Stream(Box::new(StreamBody::new(&shared, grant, reader, leave, affinity, call, skew))))
        } else if head.uri.path() == LOGS {
            // In a place of its own, so that it does not make the calls larger of which there are many.
            Box::pin(logs::export(&shared, &grant, reader, call)).await.map_err(refused)
        } else {
            let answer = publish::publish(&shared, &grant, reader, affinity, skew, None).await.map_err(refused)?;
            Ok(answer.into_body(&shared, call))
        }
    }
}

impl hyper::service::Service<Request<RequestBody>> for ConnectionService {
    type Response = Response<GrpcBody>;
    type Error = std::convert::Infallible;
    type Future = Answered<GrpcBody>;

    fn call(&self, mut request: Request<RequestBody>) -> Self::Future {
        let this = self.clone();
        let path = request.uri().path();
        if matches!(path, PUBLISH | STREAM) || (this.shared.otlp && path == LOGS) {
            return Box::pin(this.ingest(request).map(Ok));
        }
        // For the audit log.
        if let Some(certificate) = this.certificate {
            request.extensions_mut().insert(certificate);
        }
        let mut others = this.others;
        Box::pin(others.call(request).map(|response| {
            let Ok(response) = response;
            Ok(response.map(GrpcBody::Tonic))
        }))
    }
}

impl Answering for ConnectionService {
    type Answer = GrpcBody;

    /// The ingest calls.
    fn open_calls(&self) -> &OpenCalls {
        &self.calls
    }
}

/// The services of every connection.
pub struct GrpcServices {
    /// What the ingest calls share.
    pub shared: Arc<Shared>,
    /// What answers what the ingest service does not.
    pub others: Routes,
}

impl Services for GrpcServices {
    type Service = ConnectionService;

    fn of_connection(&self, leave: Arc<LeaveSignal>, certificate: Option<ClientCertificate>) -> ConnectionService {
        ConnectionService::new(&self.shared, &self.others, leave, certificate)
    }
}

/// What is no gRPC call at all: answered in HTTP's own terms, as the gRPC specification asks.
fn not_grpc(request: &Request<RequestBody>) -> Option<Response<GrpcBody>> {
    let plain = |status| {
        let mut response = Response::new(GrpcBody::Empty);
        *response.status_mut() = status;
        Some(response)
    };
    if request.method() != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED);
    }
    let content_type = request.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    // The messages are protobuf, whatever other formats `application/grpc+…` has names for.
    match content_type.strip_prefix(b"application/grpc") {
        Some([] | [b';', ..]) => None,
        Some(format) if format.starts_with(b"+proto") => None,
        _ => plain(StatusCode::UNSUPPORTED_MEDIA_TYPE),
    }
}

fn response(body: GrpcBody) -> Response<GrpcBody> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static(Encoding::ACCEPTED));
    response
}

/// A call that is refused: the status alone, in the headers.
pub(super) fn refused(refusal: &Refusal) -> Response<GrpcBody> {
    let mut response = response(GrpcBody::Empty);
    let _ = status::status(refusal).add_header(response.headers_mut());
    response
}
