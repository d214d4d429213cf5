//! Builds the doors for events: gRPC, and REST where it is wanted.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tonic::service::Routes as Services;

use super::ServeError;
use crate::admin::Admin;
use crate::admin::authority::Authority;
use crate::clock::Clock;
use crate::config::{Settings, TlsSettings};
use crate::door::connection::Http;
use crate::door::grpc::web::Publish;
use crate::door::grpc::{self, GrpcServices};
use crate::door::intake::Intake;
use crate::door::listener::{Ends, Listener, Listening};
use crate::door::rest::web::Web;
use crate::door::rest::{self, RestServices};
use crate::door::tls::{GRPC_PROTOCOLS, REST_PROTOCOLS, Tls};
use crate::live::Live;
use crate::metrics::Metrics;
use crate::operate::tasks::Tasks;

/// What doors are built from.
pub(super) struct Builder<'a> {
    pub(super) settings: &'a Settings,
    pub(super) intake: &'a Arc<Intake>,
    pub(super) clock: &'a Clock,
    pub(super) metrics: &'a Arc<Metrics>,
    pub(super) calls: &'a Tasks,
    pub(super) background: &'a Tasks,
    pub(super) ends: &'a Ends,
    pub(super) stop: &'a CancellationToken,
}

impl Builder<'_> {
    /// What the calls of gRPC share, on whichever listener they come.
    pub(super) fn calls_of_grpc(&self) -> Arc<grpc::Shared> {
        let parts = grpc::Parts {
            intake: Arc::clone(self.intake),
            clock: self.clock.clone(),
            tasks: self.calls.clone(),
            draining: self.ends.draining.clone(),
        };
        grpc::Shared::new(parts, &self.settings.grpc, &self.settings.otlp, self.metrics)
    }

    /// The gRPC door, not yet running. `others` answers what the ingest service does not.
    pub(super) async fn grpc(
        &self,
        shared: &Arc<grpc::Shared>,
        others: Services,
    ) -> Result<Arc<Listener<GrpcServices>>, ServeError> {
        let settings = &self.settings.grpc;
        let listening = Listening {
            address: settings.listen,
            http: Http::of_grpc(settings, self.calls),
            tls: self.tls(settings.tls.as_ref(), GRPC_PROTOCOLS)?,
            max_connections: settings.max_connections,
            max_connections_per_peer: settings.max_connections_per_peer,
            handshake_timeout: settings.handshake_timeout,
            age_grace: settings.connection_age_grace,
        };
        let services = GrpcServices { shared: Arc::clone(shared), others };
        let shared = Arc::clone(shared);
        self.background.supervise("slow readers", self.stop, move || Arc::clone(&shared).watch_slow_readers());
        self.listener("grpc.listen", listening, services).await
    }

    /// The REST door, not yet running.
    pub(super) async fn rest(
        &self,
        grpc: &Arc<grpc::Shared>,
        admin: &Arc<Admin>,
        authority: &Arc<Authority>,
        live: &Arc<Live>,
    ) -> Result<Option<Arc<Listener<RestServices>>>, ServeError> {
        let settings = &self.settings.rest;
        if !settings.enabled {
            return Ok(None);
        }
        let parts = rest::Parts {
            intake: Arc::clone(self.intake),
            admin: Arc::clone(admin),
            authority: Arc::clone(authority),
            live: Arc::clone(live),
            clock: self.clock.clone(),
            tasks: self.calls.clone(),
            metrics: Arc::clone(self.metrics),
            draining: self.ends.draining.clone(),
        };
        let shared = rest::Shared::new(parts, settings, &self.settings.otlp);
        let listening = Listening {
            address: settings.listen,
            http: Http::of_rest(settings, self.calls),
            tls: self.tls(settings.tls.as_ref(), REST_PROTOCOLS)?,
            max_connections: settings.max_connections,
            max_connections_per_peer: settings.max_connections_per_peer,
            handshake_timeout: settings.handshake_timeout,
            age_grace: settings.connection_age_grace,
        };
        let web = &self.settings.grpc_web;
        let web = web.enabled.then(|| Web::new(Publish::web(grpc, self.metrics), web));
        let services = RestServices::new(&shared, web);
        self.background.supervise("slow REST readers", self.stop, move || Arc::clone(&shared).watch_slow_readers());
        self.listener("rest.listen", listening, services).await.map(Some)
    }

    fn tls(
        &self,
        settings: Option<&TlsSettings>,
        protocols: &'static [&'static [u8]],
    ) -> Result<Option<Tls>, ServeError> {
        let Some(settings) = settings else { return Ok(None) };
        let tls = Tls::load(settings, protocols).map_err(|error| ServeError::part("TLS", error))?;
        let (reloaded, metrics) = (tls.clone(), Arc::clone(self.metrics));
        self.background
            .supervise("TLS reload", self.stop, move || reloaded.clone().reload_on_change(Arc::clone(&metrics)));
        Ok(Some(tls))
    }

    async fn listener<S: crate::door::listener::Services>(
        &self,
        setting: &'static str,
        listening: Listening,
        services: S,
    ) -> Result<Arc<Listener<S>>, ServeError> {
        let address = listening.address;
        let bound = Listener::bind(listening, services, self.calls, self.ends, self.metrics).await;
        bound.map(Arc::new).map_err(|source| ServeError::Listen { setting, address, source })
    }
}
