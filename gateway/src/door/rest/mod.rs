//! The REST door: the API of AWS's Game Analytics Pipeline, so that its clients work by changing one URL.
//!
//! Every route is served at the root and under a stage prefix of one segment (`/live/applications/…`); where a path is
//! both, the root's route answers. Events go the way of every door's ([`super::intake`]), and what administrators do goes
//! through [`Admin`]. Beside it the listener takes what needs HTTP/1.1: OpenTelemetry's logs (`logs`) and gRPC-Web
//! ([`web`]).

mod administrator;
mod answer;
mod applications;
mod arrival;
mod authorizations;
pub mod batch;
mod body;
mod events;
mod failure;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod live;
mod logs;
mod shapes;
mod signature;
pub mod web;
mod wire;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::{get, post};
use futures_util::FutureExt;
use http::{HeaderValue, Request, Version, header};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tower_service::Service;
use uuid::Uuid;

use self::answer::{RestBody, complete, preflight};
use self::arrival::Arriving;
use self::failure::Failure;
use self::web::Web;
use self::wire::Wire;
use super::certificate::ClientCertificate;
use super::connection::{Answered, Answering, LeaveSignal};
use super::intake::Intake;
use super::listener::Services;
use super::open_calls::OpenCalls;
use super::slow_readers::SlowReaders;
use crate::admin::authority::Authority;
use crate::admin::{Admin, AdminError};
use crate::admission::refusal::Refusal;
use crate::clock::Clock;
use crate::config::{OtlpSettings, RestSettings};
use crate::live::Live;
use crate::metrics::{Counter, CounterHandle, Metrics};
use crate::operate::tasks::Tasks;

/// What the door needs from the rest of the house.
pub struct Parts {
    /// The way that batches go.
    pub intake: Arc<Intake>,
    /// Does what administrators ask for.
    pub admin: Arc<Admin>,
    /// Says who is one.
    pub authority: Arc<Authority>,
    /// What passes.
    pub live: Arc<Live>,
    /// The clock.
    pub clock: Clock,
    /// For acts that go on without their client, and for counting panics.
    pub tasks: Tasks,
    /// Where administrators who are refused are counted.
    pub metrics: Arc<Metrics>,
    /// Cancelled when the gateway drains.
    pub draining: CancellationToken,
}

/// What every request shares.
pub struct Shared {
    intake: Arc<Intake>,
    admin: Arc<Admin>,
    authority: Arc<Authority>,
    live: Arc<Live>,
    reading_windows: tokio::sync::Mutex<()>,
    slow_readers: SlowReaders,
    clock: Clock,
    tasks: Tasks,
    metrics: Arc<Metrics>,
    draining: CancellationToken,
    is_encrypted: bool,
    max_body: usize,
    max_batch: u32,
    max_admin_body: usize,
    body_timeout: Duration,
    slow_reader_timeout: Duration,
    otlp: bool,
    otlp_batches: CounterHandle,
}

impl Shared {
    /// Puts the door together.
    #[must_use]
    pub fn new(parts: Parts, settings: &RestSettings, otlp: &OtlpSettings) -> Arc<Self> {
        let Parts { intake, admin, authority, live, clock, tasks, metrics, draining } = parts;
        let otlp_batches = metrics.counter(Counter::DoorBatches, &["otlp_http"]);
        Arc::new(Self {
            intake,
            admin,
            authority,
            live,
            reading_windows: tokio::sync::Mutex::new(()),
            slow_readers: SlowReaders::default(),
            clock,
            tasks,
            metrics,
            draining,
            is_encrypted: settings.tls.is_some(),
            max_body: settings.max_body.as_usize(),
            max_batch: settings.max_batch,
            max_admin_body: settings.max_admin_body.as_usize(),
            body_timeout: settings.body_timeout,
            slow_reader_timeout: settings.slow_reader_timeout,
            otlp: otlp.enabled,
            otlp_batches,
        })
    }

    /// Gives up answers that their clients do not read. To be run as a task.
    pub async fn watch_slow_readers(self: Arc<Self>) {
        let mut ticks = tokio::time::interval((self.slow_reader_timeout / 4).max(Duration::from_millis(20)));
        loop {
            ticks.tick().await;
            let _ = self.slow_readers.give_up_after(self.slow_reader_timeout);
        }
    }

    /// Does what changes something, to its end: a client that goes away in the middle must not leave an act without its
    /// line in the audit log.
    async fn act<T, F>(&self, act: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AdminError>> + Send + 'static,
    {
        match self.tasks.spawn("admin", act).await {
            Ok(Some(done)) => done.map_err(Failure::from),
            Ok(None) | Err(_) => Err(Failure::internal("the request failed: the gateway's log says why")),
        }
    }

    fn refused(&self, application: Option<Uuid>, refusal: &Refusal) -> Failure {
        self.intake.refused(application, refusal);
        Failure::from(refusal)
    }
}

/// The API's routes.
fn api() -> Router<Arc<Shared>> {
    Router::new()
        .route("/applications", get(applications::list).post(applications::create).options(preflight))
        .route(
            "/applications/{application_id}",
            get(applications::show).delete(applications::delete).options(preflight),
        )
        .route(
            "/applications/{application_id}/authorizations",
            get(authorizations::list).post(authorizations::create).options(preflight),
        )
        .route(
            "/applications/{application_id}/authorizations/{api_key_id}",
            get(authorizations::show).put(authorizations::modify).delete(authorizations::delete).options(preflight),
        )
        .route("/applications/{application_id}/events", post(events::publish).options(preflight))
        .merge(live::routes())
}

/// What the AWS solution does not have.
fn beyond_aws(shared: &Arc<Shared>, web: Option<Web>) -> Router<Arc<Shared>> {
    let mut router = web.map_or_else(Router::new, |web| web.routes(shared));
    if shared.otlp {
        router = router.route(logs::PATH, post(logs::export).options(preflight));
    }
    router
}

fn router(shared: &Arc<Shared>, web: Option<Web>) -> Router {
    Router::new()
        .merge(api())
        .nest("/{stage}", api())
        .merge(beyond_aws(shared, web))
        .fallback(async || Failure::not_found("there is no such path"))
        .method_not_allowed_fallback(async || Failure::method_not_allowed())
        .with_state(Arc::clone(shared))
}

/// Answers the requests of one connection.
#[derive(Clone)]
pub struct ConnectionService {
    shared: Arc<Shared>,
    router: Router,
    web: Option<Web>,
    leave: Arc<LeaveSignal>,
    certificate: Option<ClientCertificate>,
    calls: OpenCalls,
}

impl ConnectionService {
    async fn answer(mut self, request: Request<Arriving>) -> Response {
        let wire = Wire::of(&request, &self.shared, self.web.as_ref());
        if self.shared.draining.is_cancelled() {
            return wire.refused(&self.shared, &Refusal::Draining);
        }
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.leave);
        if let Some(certificate) = self.certificate {
            request.extensions_mut().insert(certificate);
        }
        let routed = AssertUnwindSafe(self.router.call(request)).catch_unwind().await;
        match routed {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_) => {
                self.shared.tasks.panicked("REST call");
                wire.refused(&self.shared, &Refusal::Internal)
            }
        }
    }
}

impl hyper::service::Service<Request<Incoming>> for ConnectionService {
    type Response = Response<RestBody>;
    type Error = Infallible;
    type Future = Answered<RestBody>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let call = self.calls.begin();
        let has_other_streams = request.version() == Version::HTTP_2;
        let (head, body) = request.into_parts();
        let (body, arrival) = Arriving::new(body);
        let answer = self.clone().answer(Request::from_parts(head, body));
        Box::pin(answer.map(move |mut response| {
            complete(&mut response);
            if !has_other_streams && !arrival.is_whole() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|body| RestBody::new(body, call)))
        }))
    }
}

impl Answering for ConnectionService {
    type Answer = RestBody;

    fn open_calls(&self) -> &OpenCalls {
        &self.calls
    }
}

/// The service of every connection.
pub struct RestServices {
    shared: Arc<Shared>,
    router: Router,
    web: Option<Web>,
}

impl RestServices {
    /// Over what every request shares, with gRPC-Web where it is wanted.
    #[must_use]
    pub fn new(shared: &Arc<Shared>, web: Option<Web>) -> Self {
        Self { shared: Arc::clone(shared), router: router(shared, web.clone()), web }
    }
}

impl Services for RestServices {
    type Service = ConnectionService;

    fn of_connection(&self, leave: Arc<LeaveSignal>, certificate: Option<ClientCertificate>) -> ConnectionService {
        ConnectionService {
            shared: Arc::clone(&self.shared),
            router: self.router.clone(),
            web: self.web.clone(),
            leave,
            certificate,
            calls: OpenCalls::default(),
        }
    }
}
