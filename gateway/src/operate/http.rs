//! The operators' listener: metrics, liveness, readiness, and what the command line asks of a running gateway.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Redirect, Response};
use axum::routing::{get, post};
use headgate_proto::build;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::caller::is_direct;
use super::console::{Console, is_same_origin};
use super::lifecycle::{Lifecycle, Phase};
use super::live;
use crate::admin::authority::Authority;
use crate::delivery::Health;
use crate::delivery::lake::Lake;
use crate::delivery::route::{Outlet, Routes};
use crate::live::Live;
use crate::metrics::{Gauge, Metrics};

/// How long requests that are open at the end may take.
const STOP_PATIENCE: Duration = Duration::from_millis(500);

/// What the listener shows.
#[derive(Clone)]
pub struct Operated {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The phase.
    pub lifecycle: Lifecycle,
    /// The ways out.
    pub routes: Arc<Routes>,
    /// The lake, where it is the destination.
    pub lake: Option<Arc<Lake>>,
    /// The console, where it is enabled.
    pub console: Option<Arc<Console>>,
    /// What passes.
    pub live: Arc<Live>,
    /// Says who is an administrator.
    pub authority: Arc<Authority>,
    /// Whether only this machine reaches the listener.
    pub is_local: bool,
}

/// Takes the operators' port.
///
/// # Errors
/// If the address can't be had.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves until `stop`.
pub async fn serve(listener: TcpListener, operated: Operated, stop: CancellationToken) {
    let console = operated.console.as_ref().map(Console::router);
    let routes = Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/readyz/lifecycle", get(ready_by_lifecycle))
        .route("/lake/compact", post(compact))
        .merge(live::routes())
        .with_state(operated)
        .merge(console.unwrap_or_default());
    let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
    // Someone who holds half a request open must not hold the process.
    let over = async {
        stop.cancelled().await;
        tokio::time::sleep(STOP_PATIENCE).await;
    };
    tokio::select! {
        served = served.into_future() => {
            if let Err(error) = served {
                tracing::error!(%error, "the operators' listener ended");
            }
        }
        () = over => {}
    }
}

/// People are led to the console; programs, and people with curl, are told what is here.
async fn index(State(operated): State<Operated>, headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).map_or(&b""[..], HeaderValue::as_bytes);
    if operated.console.is_some() && memchr::memmem::find(accepted, b"text/html").is_some() {
        return Redirect::to("/console").into_response();
    }
    INDEX.into_response()
}

const INDEX: &str = "Headgate, operators' listener\n\n\
     GET  /metrics               everything counted, in the OpenMetrics text format\n\
     GET  /healthz               200 while the process lives\n\
     GET  /readyz                200 while events are taken, else 503 with the reason\n\
     GET  /readyz/lifecycle      200 from the end of the start to the drain, whatever the destination does\n\
     GET  /live/apps             applications at a glance, as JSON (so are all of /live)\n\
     GET  /live/series           verdicts by step: ?step=1 (5 minutes) or ?step=60 (an hour), &app=ID\n\
     GET  /live/types            event types of the last hour: ?app=ID\n\
     GET  /live/rejected-fields  why events of the last hour were rejected: ?app=ID\n\
     GET  /live/tail             some of the events: ?app=ID&verdict=accepted|rejected|refused&after=SERIAL&limit=N\n\
     GET  /live/windows          the metrics of each minute of event time: ?app=ID&last=MINUTES\n\
     GET  /console               pages: applications, keys, events as they arrive (with a browser)\n\
     POST /lake/compact          turns the lake's log into Parquet now\n";

async fn metrics(State(operated): State<Operated>) -> Response {
    for outlet in operated.routes.outlets() {
        let (health, name) = (outlet.destination.health(), outlet.destination.name());
        let (down, overloaded) = (matches!(health, Health::Down { .. }), matches!(health, Health::Overloaded { .. }));
        operated.metrics.gauge(Gauge::DestinationUp, &[name]).set(i64::from(!down));
        operated.metrics.gauge(Gauge::DestinationOverloaded, &[name]).set(i64::from(overloaded));
    }
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    operated.metrics.gauge(Gauge::Tasks, &[]).set(i64::try_from(tasks).unwrap_or(i64::MAX));
    // It counts descriptors, which some kernels take their time for, and whoever takes events must not wait for that.
    let encoded = tokio::task::spawn_blocking(move || operated.metrics.encode()).await;
    match encoded {
        Ok(Ok(text)) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    phase: String,
    destination: &'static str,
    version: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    commit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

async fn ready(State(operated): State<Operated>) -> Response {
    let phase = operated.lifecycle.phase();
    // A gateway that still has a way out for some of its applications is of use to them.
    let default = operated.routes.of(None);
    let down = |outlet: &Outlet| match outlet.destination.health() {
        Health::Up | Health::Overloaded { .. } => None,
        Health::Down { reason, .. } => Some(reason),
    };
    let reason = operated.routes.outlets().map(down).collect::<Option<Vec<_>>>().map(|reasons| reasons.join("; "));
    let ready = phase == Phase::Ready && reason.is_none();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let readiness = Readiness {
        ready,
        phase: phase.to_string(),
        destination: default.destination.name(),
        version: build::VERSION,
        commit: build::COMMIT,
        reason,
    };
    (code, Json(readiness)).into_response()
}

/// Whether it takes calls, whatever becomes of them: for load balancers, which have nobody better to send them to while the
/// destination is down, and for whoever puts another gateway in the place of one that fails.
async fn ready_by_lifecycle(State(operated): State<Operated>) -> Response {
    let phase = operated.lifecycle.phase();
    let code = if phase == Phase::Ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, format!("{phase}\n")).into_response()
}

async fn compact(State(operated): State<Operated>, headers: HeaderMap) -> Response {
    // It costs work: no page of another site's may have a browser ask for it.
    if !is_same_origin(&headers) || operated.is_local && !is_direct(&headers) {
        let why = "ask from this machine, through no proxy: `headgate lake compact`\n";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let Some(lake) = operated.lake else {
        return (StatusCode::NOT_FOUND, "the destination is not the lake\n").into_response();
    };
    match lake.compact_now().await {
        Ok(report) => Json(report).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
