//! The console: pages on the operators' listener for whoever has the admin token. It registers games, hands out keys,
//! and shows events as they arrive and why some are refused.
//!
//! Pages are made here, as HTML that is complete without a script; the script only keeps live parts live. Everything that
//! changes something goes through [`Admin`] and so into the audit log. While the registry can't be asked, pages say so;
//! what is live is still shown.

mod assets;
mod chart;
mod components;
mod failure;
mod fields;
mod figures;
mod guard;
mod layout;
mod listing;
mod pages;
mod session;
mod slow_down;
mod words;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get, post};

use self::failure::Failure;
pub(super) use self::guard::is_same_origin;
use self::listing::Listing;
use self::session::Sessions;
use self::slow_down::SlowDown;
use crate::admin::Admin;
use crate::admin::authority::Authority;
use crate::admin::erasures::Erasures;
use crate::clock::Clock;
use crate::config::{Settings, Source};
use crate::delivery::route::Routes;
use crate::door::direct::Direct;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::operate::lifecycle::Lifecycle;
use crate::operate::tasks::Tasks;
use crate::registry::Application;

/// What the console stands on.
pub struct Parts {
    /// Does what is asked for.
    pub admin: Arc<Admin>,
    /// Deletes what is stored of players.
    pub erasures: Arc<Erasures>,
    /// Says who may sign in.
    pub authority: Arc<Authority>,
    /// What passes.
    pub live: Arc<Live>,
    /// Takes test events, as any other.
    pub direct: Arc<Direct>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Whether events are taken.
    pub lifecycle: Lifecycle,
    /// The ways out.
    pub routes: Arc<Routes>,
    /// For what goes on though the browser has left.
    pub tasks: Tasks,
    /// The settings in effect.
    pub settings: Settings,
    /// The same one by one, with where each came from.
    pub sources: Vec<Source>,
    /// Where game servers connect.
    pub grpc: SocketAddr,
    /// Where the REST API is, if it is.
    pub rest: Option<SocketAddr>,
    /// Where this is.
    pub operate: SocketAddr,
    /// The clock.
    pub clock: Clock,
}

/// The console.
pub struct Console {
    parts: Parts,
    sessions: Sessions,
    slow_down: SlowDown,
    listing: Listing,
    started_at_ms: i64,
}

impl std::ops::Deref for Console {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Console {
    /// Nobody is signed in.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let sessions = Sessions::new(parts.settings.console.session_lifetime, &parts.clock);
        let slow_down = SlowDown::new(&parts.clock);
        let started_at_ms = parts.clock.wall_ms();
        Arc::new(Self { parts, sessions, slow_down, listing: Listing::default(), started_at_ms })
    }

    fn now_ms(&self) -> i64 {
        self.clock.wall_ms()
    }

    /// The applications as they are now.
    async fn applications(&self) -> Result<Arc<[Application]>, Failure> {
        self.listing.now(&self.admin, &self.clock).await
    }

    /// The applications as they were a moment ago, for what is asked for every other second.
    async fn applications_lately(&self) -> Result<Arc<[Application]>, Failure> {
        self.listing.lately(&self.admin, &self.clock).await
    }

    /// Its pages, all below `/console`.
    pub fn router(self: &Arc<Self>) -> Router {
        use application::{keys, live, players, schemas, settings};
        use pages::{application, applications, audit, overview, sign_in, system, test_event};

        let signed_in = Router::new()
            .route("/console", get(overview::page))
            .route("/console/api/overview", get(overview::refresh))
            .route("/console/applications", get(applications::page).post(applications::register))
            .route("/console/api/applications", get(applications::refresh))
            .route("/console/applications/{id}", get(live::page))
            .route("/console/api/applications/{id}", get(live::refresh))
            .route("/console/api/applications/{id}/tail", get(live::refresh_tail))
            .route("/console/applications/{id}/keys", get(keys::page).post(keys::create))
            .route("/console/applications/{id}/keys/{key}/enable", post(keys::enable))
            .route("/console/applications/{id}/keys/{key}/disable", post(keys::disable))
            .route("/console/applications/{id}/keys/{key}/scopes", post(keys::set_scopes))
            .route("/console/applications/{id}/keys/{key}/rotate", post(keys::rotate))
            .route("/console/applications/{id}/keys/{key}/delete", post(keys::delete))
            .route("/console/applications/{id}/schemas", get(schemas::page).post(schemas::put))
            .route("/console/applications/{id}/schemas/mode", post(schemas::set_mode))
            .route("/console/applications/{id}/schemas/delete", post(schemas::delete))
            .route("/console/applications/{id}/players", get(players::page).post(players::suppress))
            .route("/console/applications/{id}/players/unsuppress", post(players::unsuppress))
            .route("/console/applications/{id}/players/delete", post(players::delete))
            .route("/console/applications/{id}/players/hash", post(players::hash))
            .route("/console/applications/{id}/players/rotate", post(players::rotate))
            .route("/console/api/applications/{id}/players", get(players::refresh))
            .route("/console/applications/{id}/settings", get(settings::page).post(settings::save))
            .route("/console/applications/{id}/delete", post(settings::delete))
            .route("/console/test", get(test_event::page).post(test_event::send))
            .route("/console/audit", get(audit::page))
            .route("/console/system", get(system::page))
            .route("/console/api/system", get(system::refresh))
            .route("/console/sign-out", post(sign_in::sign_out))
            .route("/console/{*nothing}", any(pages::not_found))
            // Not `layer`, which would reach what the operators' listener answers to an unknown path.
            .route_layer(from_fn_with_state(Arc::clone(self), guard::signed_in));
        Router::new()
            .route("/console/sign-in", get(sign_in::page).post(sign_in::sign_in))
            .route("/console/assets/{name}", get(assets::serve))
            .merge(signed_in)
            .with_state(Arc::clone(self))
            .route_layer(from_fn(guard::with_headers))
    }
}
