//! `AdminService`: applications, keys, players who want to be forgotten and the audit log over gRPC, for whoever has the admin token.
//!
//! It translates: what is done, and that it is written to the audit log, is [`Admin`]'s. A call runs to its end even if
//! its client leaves, because a change and its line in the audit log belong together.

mod calls;
mod guard;
pub(crate) mod identity;
mod page;
mod players;
pub(crate) mod schemas;
mod status;
pub(crate) mod wire;

use std::future::Future;
use std::sync::Arc;

use headgate_proto::admin::v1::admin_service_server::{AdminService, AdminServiceServer};
use headgate_proto::admin::v1::*;
use headgate_proto::build;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status};

use self::guard::Guard;
use crate::admin::authority::Authority;
use crate::admin::erasures::Erasures;
use crate::admin::{Actor, Admin, AdminError};
use crate::metrics::Metrics;
use crate::operate::tasks::Tasks;

/// Its name, for health and reflection.
pub const ADMIN_SERVICE: &str = "headgate.admin.v1.AdminService";

/// The largest message: a schema of the longest, and then some.
const MAX_MESSAGE: usize = 80 << 10;

/// What the service needs.
#[derive(Clone)]
pub struct Parts {
    /// Does what is asked.
    pub admin: Arc<Admin>,
    /// Deletes what is stored of players.
    pub erasures: Arc<Erasures>,
    /// Says who may ask.
    pub authority: Arc<Authority>,
    /// Where calls run to their end.
    pub tasks: Tasks,
    /// Counts those that are refused.
    pub metrics: Arc<Metrics>,
    /// When the gateway started, milliseconds since 1970-01-01 UTC.
    pub started_at_ms: i64,
}

/// The service, behind its guard.
#[must_use]
pub fn service(parts: Parts) -> InterceptedService<AdminServiceServer<impl AdminService>, impl Interceptor + Clone> {
    let Parts { admin, erasures, authority, tasks, metrics, started_at_ms } = parts;
    let server =
        AdminServiceServer::new(Door { admin, erasures, tasks, started_at_ms }).max_decoding_message_size(MAX_MESSAGE);
    InterceptedService::new(server, Guard::new(authority, metrics))
}

struct Door {
    admin: Arc<Admin>,
    erasures: Arc<Erasures>,
    tasks: Tasks,
    started_at_ms: i64,
}

impl Door {
    /// Does what a call asks for, whether or not its client is still there at the end.
    async fn answer<Q, A, F>(
        &self,
        request: Request<Q>,
        work: impl FnOnce(Arc<Admin>, Actor, Q) -> F,
    ) -> Result<Response<A>, Status>
    where
        A: Send + 'static,
        F: Future<Output = Result<A, AdminError>> + Send + 'static,
    {
        let (_, extensions, asked) = request.into_parts();
        let Some(actor) = extensions.get::<Actor>().cloned() else {
            return Err(status::internal(&"a call came past its guard"));
        };
        match self.tasks.spawn("admin", work(Arc::clone(&self.admin), actor, asked)).await {
            Ok(Some(answer)) => Ok(Response::new(answer?)),
            Ok(None) | Err(_) => Err(status::internal(&"internal error")),
        }
    }
}

#[tonic::async_trait]
impl AdminService for Door {
    async fn create_application(
        &self,
        request: Request<CreateApplicationRequest>,
    ) -> Result<Response<CreateApplicationResponse>, Status> {
        self.answer(request, calls::create_application).await
    }

    async fn list_applications(
        &self,
        request: Request<ListApplicationsRequest>,
    ) -> Result<Response<ListApplicationsResponse>, Status> {
        self.answer(request, calls::list_applications).await
    }

    async fn get_application(
        &self,
        request: Request<GetApplicationRequest>,
    ) -> Result<Response<GetApplicationResponse>, Status> {
        self.answer(request, calls::get_application).await
    }

    async fn update_application(
        &self,
        request: Request<UpdateApplicationRequest>,
    ) -> Result<Response<UpdateApplicationResponse>, Status> {
        self.answer(request, calls::update_application).await
    }

    async fn delete_application(
        &self,
        request: Request<DeleteApplicationRequest>,
    ) -> Result<Response<DeleteApplicationResponse>, Status> {
        self.answer(request, calls::delete_application).await
    }

    async fn create_authorization(
        &self,
        request: Request<CreateAuthorizationRequest>,
    ) -> Result<Response<CreateAuthorizationResponse>, Status> {
        self.answer(request, calls::create_authorization).await
    }

    async fn list_authorizations(
        &self,
        request: Request<ListAuthorizationsRequest>,
    ) -> Result<Response<ListAuthorizationsResponse>, Status> {
        self.answer(request, calls::list_authorizations).await
    }

    async fn get_authorization(
        &self,
        request: Request<GetAuthorizationRequest>,
    ) -> Result<Response<GetAuthorizationResponse>, Status> {
        self.answer(request, calls::get_authorization).await
    }

    async fn update_authorization(
        &self,
        request: Request<UpdateAuthorizationRequest>,
    ) -> Result<Response<UpdateAuthorizationResponse>, Status> {
        self.answer(request, calls::update_authorization).await
    }

    async fn rotate_authorization(
        &self,
        request: Request<RotateAuthorizationRequest>,
    ) -> Result<Response<RotateAuthorizationResponse>, Status> {
        self.answer(request, calls::rotate_authorization).await
    }

    async fn delete_authorization(
        &self,
        request: Request<DeleteAuthorizationRequest>,
    ) -> Result<Response<DeleteAuthorizationResponse>, Status> {
        self.answer(request, calls::delete_authorization).await
    }

    async fn put_schema(&self, request: Request<PutSchemaRequest>) -> Result<Response<PutSchemaResponse>, Status> {
        self.answer(request, schemas::put).await
    }

    async fn list_schemas(
        &self,
        request: Request<ListSchemasRequest>,
    ) -> Result<Response<ListSchemasResponse>, Status> {
        self.answer(request, schemas::list).await
    }

    async fn list_schema_versions(
        &self,
        request: Request<ListSchemaVersionsRequest>,
    ) -> Result<Response<ListSchemaVersionsResponse>, Status> {
        self.answer(request, schemas::list_versions).await
    }

    async fn update_schema(
        &self,
        request: Request<UpdateSchemaRequest>,
    ) -> Result<Response<UpdateSchemaResponse>, Status> {
        self.answer(request, schemas::update).await
    }

    async fn delete_schema(
        &self,
        request: Request<DeleteSchemaRequest>,
    ) -> Result<Response<DeleteSchemaResponse>, Status> {
        self.answer(request, schemas::delete).await
    }

    async fn list_audit_entries(
        &self,
        request: Request<ListAuditEntriesRequest>,
    ) -> Result<Response<ListAuditEntriesResponse>, Status> {
        self.answer(request, calls::list_audit_entries).await
    }

    async fn suppress_player(
        &self,
        request: Request<SuppressPlayerRequest>,
    ) -> Result<Response<SuppressPlayerResponse>, Status> {
        self.answer(request, players::suppress).await
    }

    async fn unsuppress_player(
        &self,
        request: Request<UnsuppressPlayerRequest>,
    ) -> Result<Response<UnsuppressPlayerResponse>, Status> {
        self.answer(request, players::unsuppress).await
    }

    async fn list_suppressed_players(
        &self,
        request: Request<ListSuppressedPlayersRequest>,
    ) -> Result<Response<ListSuppressedPlayersResponse>, Status> {
        self.answer(request, players::list_suppressed).await
    }

    async fn delete_player_data(
        &self,
        request: Request<DeletePlayerDataRequest>,
    ) -> Result<Response<DeletePlayerDataResponse>, Status> {
        let erasures = Arc::clone(&self.erasures);
        self.answer(request, |_, actor, asked| players::delete_data(erasures, actor, asked)).await
    }

    async fn get_player_deletion(
        &self,
        request: Request<GetPlayerDeletionRequest>,
    ) -> Result<Response<GetPlayerDeletionResponse>, Status> {
        let erasures = Arc::clone(&self.erasures);
        self.answer(request, |_, _, asked| players::get_deletion(erasures, asked)).await
    }

    async fn list_player_deletions(
        &self,
        request: Request<ListPlayerDeletionsRequest>,
    ) -> Result<Response<ListPlayerDeletionsResponse>, Status> {
        let erasures = Arc::clone(&self.erasures);
        self.answer(request, |_, _, asked| players::list_deletions(erasures, asked)).await
    }

    async fn get_identity(
        &self,
        request: Request<GetIdentityRequest>,
    ) -> Result<Response<GetIdentityResponse>, Status> {
        self.answer(request, identity::get).await
    }

    async fn update_identity(
        &self,
        request: Request<UpdateIdentityRequest>,
    ) -> Result<Response<UpdateIdentityResponse>, Status> {
        self.answer(request, identity::update).await
    }

    async fn rotate_identity(
        &self,
        request: Request<RotateIdentityRequest>,
    ) -> Result<Response<RotateIdentityResponse>, Status> {
        self.answer(request, identity::rotate).await
    }

    async fn list_stored_ids(
        &self,
        request: Request<ListStoredIdsRequest>,
    ) -> Result<Response<ListStoredIdsResponse>, Status> {
        self.answer(request, identity::stored_ids).await
    }

    async fn get_gateway(&self, _: Request<GetGatewayRequest>) -> Result<Response<GetGatewayResponse>, Status> {
        let gateway = headgate_proto::admin::v1::Gateway {
            version: build::VERSION.to_owned(),
            commit: build::COMMIT.to_owned(),
            build: build::BUILD.to_owned(),
            started_at: Some(wire::timestamp(self.started_at_ms)),
        };
        Ok(Response::new(GetGatewayResponse { gateway: Some(gateway) }))
    }
}

#[cfg(test)]
mod tests;
