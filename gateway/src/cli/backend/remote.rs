//! A running gateway, by its `AdminService`.

mod connecting;
mod deletions;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use headgate_proto::admin::v1 as wire;
use headgate_proto::admin::v1::admin_service_client::AdminServiceClient;
use headgate_proto::admin::v1::rotate_authorization_request::Expiry;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use self::connecting::{TOKEN_VARIABLE, endpoint, is_this_machine, token};
use super::{Backend, BackendError, GatewayArgs};
use crate::admin::{AdminError, HandedOut, KeyRequest, Rotation};
use crate::admission::key::ApiKey;
use crate::cli::CliError;
use crate::door::admin::{identity as ids, schemas, wire as codec};
use crate::registry::{
    Application, AuditEntry, Authorization, IdentityField, IdentityOverview, NewApplication, RegistryError, Schema,
    SchemaMode, Scopes, Suppression,
};

const CALL_TIMEOUT: Duration = Duration::from_secs(30);
const PAGE: i32 = 1_000;
/// What `google.protobuf.Duration` can say: 10,000 years.
const LONGEST: prost_types::Duration = prost_types::Duration { seconds: 315_576_000_000, nanos: 0 };

/// Asks a gateway. Connects with its first call.
pub(in crate::cli) struct Remote {
    client: AdminServiceClient<Channel>,
    authorization: MetadataValue<Ascii>,
}

impl Remote {
    pub(in crate::cli) fn new(url: &str, args: &GatewayArgs, data_dir: &Path) -> Result<Self, CliError> {
        let endpoint = endpoint(url, args.ca_file.as_deref())?;
        let is_here = endpoint.uri().host().is_some_and(is_this_machine);
        let token = token(args.admin_token_file.as_deref(), is_here.then_some(data_dir))?;
        // The token is visible ASCII: it is a header's value.
        let mut authorization: MetadataValue<Ascii> = format!("Bearer {token}").parse().map_err(CliError::usage)?;
        authorization.set_sensitive(true);
        Ok(Self { client: AdminServiceClient::new(endpoint.connect_lazy()), authorization })
    }

    fn client(&self) -> AdminServiceClient<Channel> {
        self.client.clone()
    }

    async fn update_key(
        &self,
        id: Uuid,
        enabled: Option<bool>,
        scopes: Vec<i32>,
    ) -> Result<Authorization, BackendError> {
        let api_key_id = id.to_string();
        let asked = wire::UpdateAuthorizationRequest { application_id: String::new(), api_key_id, enabled, scopes };
        authorization(answer(self.client().update_authorization(self.request(asked)).await)?.authorization)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request.set_timeout(CALL_TIMEOUT);
        request
    }
}

/// What went wrong, and what would mend it.
pub(super) fn describe(status: &Status) -> String {
    let message = status.message();
    let is_the_gateway = status.get_details_error_info().is_some_and(|info| info.domain == "headgate");
    match status.code() {
        Code::Unauthenticated => format!(
            "the gateway refuses: {message}: give the file of its token with --admin-token-file, or set {TOKEN_VARIABLE}"
        ),
        Code::Unimplemented => format!("there is no AdminService: is this a gateway, and of this version? ({message})"),
        _ if is_the_gateway => message.to_owned(),
        Code::Unavailable => {
            let mut cause: &dyn std::error::Error = status;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            format!("the gateway can't be reached: {cause}; whether the call was heard is not known")
        }
        Code::DeadlineExceeded | Code::Cancelled => {
            format!("the gateway did not answer within {CALL_TIMEOUT:?}: whether it did what was asked is not known")
        }
        code => format!("the gateway answered {code:?}: {message}"),
    }
}

impl BackendError {
    fn of(status: Status) -> Self {
        let missing = || {
            let info = status.get_details_resource_info()?;
            let what = match info.resource_type.as_str() {
                "key" => "key",
                "deletion" => "deletion",
                _ => "application",
            };
            Some(RegistryError::NotFound { what, id: Uuid::parse_str(&info.resource_name).ok()? })
        };
        match (status.code(), missing()) {
            (Code::NotFound, Some(error)) => Self::Admin(AdminError::Registry(error)),
            _ => Self::Gateway(Box::new(status)),
        }
    }

    fn lacks(what: &str) -> Self {
        Self::Garbled(format!("it lacks the {what}"))
    }
}

fn answer<T>(answer: Result<Response<T>, Status>) -> Result<T, BackendError> {
    answer.map(Response::into_inner).map_err(BackendError::of)
}

fn understood<T>(read: Result<T, RegistryError>) -> Result<T, BackendError> {
    read.map_err(|error| BackendError::Garbled(error.to_string()))
}

fn application(message: Option<wire::Application>) -> Result<Application, BackendError> {
    understood(codec::application(message.ok_or_else(|| BackendError::lacks("application"))?))
}

fn authorization(message: Option<wire::Authorization>) -> Result<Authorization, BackendError> {
    understood(codec::authorization(message.ok_or_else(|| BackendError::lacks("key's entry"))?))
}

fn schema(message: Option<wire::Schema>) -> Result<Schema, BackendError> {
    understood(schemas::schema(message.ok_or_else(|| BackendError::lacks("schema"))?))
}

fn overview(message: Option<wire::Identity>) -> Result<IdentityOverview, BackendError> {
    understood(ids::overview(message.ok_or_else(|| BackendError::lacks("identity"))?))
}

fn handed_out(key: &str, message: Option<wire::Authorization>) -> Result<HandedOut, BackendError> {
    let key = ApiKey::parse(key).map_err(|error| BackendError::Garbled(error.to_string()))?;
    Ok(HandedOut { key, authorization: authorization(message)? })
}

#[async_trait]
impl Backend for Remote {
    async fn applications(&self) -> Result<Vec<Application>, BackendError> {
        let mut found = Vec::new();
        let mut page_token = String::new();
        loop {
            let asked = wire::ListApplicationsRequest { page_size: PAGE, page_token };
            let page = answer(self.client().list_applications(self.request(asked)).await)?;
            for message in page.applications {
                found.push(understood(codec::application(message))?);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(found);
            }
        }
    }

    async fn application(&self, id: Uuid) -> Result<Application, BackendError> {
        let asked = wire::GetApplicationRequest { application_id: id.to_string() };
        application(answer(self.client().get_application(self.request(asked)).await)?.application)
    }

    async fn create_application(&self, new: NewApplication) -> Result<Application, BackendError> {
        let asked = wire::CreateApplicationRequest {
            name: new.name,
            description: new.description.unwrap_or_default(),
            limits: Some(codec::limits_message(new.limits)),
            environment: codec::environment_number(new.environment),
            route: codec::route_number(new.route),
        };
        application(answer(self.client().create_application(self.request(asked)).await)?.application)
    }

    async fn update_application(&self, id: Uuid, change: NewApplication) -> Result<Application, BackendError> {
        let asked = wire::UpdateApplicationRequest {
            application_id: id.to_string(),
            name: Some(change.name),
            description: Some(change.description.unwrap_or_default()),
            limits: Some(codec::limits_message(change.limits)),
            environment: codec::environment_number(change.environment),
            route: Some(codec::route_number(change.route)),
        };
        application(answer(self.client().update_application(self.request(asked)).await)?.application)
    }

    async fn delete_application(&self, id: Uuid) -> Result<bool, BackendError> {
        let asked = wire::DeleteApplicationRequest { application_id: id.to_string() };
        Ok(answer(self.client().delete_application(self.request(asked)).await)?.deleted)
    }

    async fn keys(&self, application: Uuid) -> Result<Vec<Authorization>, BackendError> {
        let mut found = Vec::new();
        let mut page_token = String::new();
        loop {
            let asked = wire::ListAuthorizationsRequest {
                application_id: application.to_string(),
                page_size: PAGE,
                page_token,
            };
            let page = answer(self.client().list_authorizations(self.request(asked)).await)?;
            for message in page.authorizations {
                found.push(understood(codec::authorization(message))?);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(found);
            }
        }
    }

    async fn key(&self, id: Uuid) -> Result<Authorization, BackendError> {
        let asked = wire::GetAuthorizationRequest { application_id: String::new(), api_key_id: id.to_string() };
        authorization(answer(self.client().get_authorization(self.request(asked)).await)?.authorization)
    }

    async fn create_key(&self, request: KeyRequest) -> Result<HandedOut, BackendError> {
        let asked = wire::CreateAuthorizationRequest {
            application_id: request.application_id.to_string(),
            name: request.name,
            description: request.description.unwrap_or_default(),
            expires_at: request.expires_at_ms.map(codec::timestamp),
            scopes: codec::scope_numbers(request.scopes),
        };
        let made = answer(self.client().create_authorization(self.request(asked)).await)?;
        handed_out(&made.api_key, made.authorization)
    }

    async fn set_enabled(&self, id: Uuid, enabled: bool) -> Result<Authorization, BackendError> {
        self.update_key(id, Some(enabled), Vec::new()).await
    }

    async fn set_scopes(&self, id: Uuid, scopes: Scopes) -> Result<Authorization, BackendError> {
        self.update_key(id, None, codec::scope_numbers(scopes)).await
    }

    async fn rotate(&self, old: Uuid, rotation: Rotation) -> Result<HandedOut, BackendError> {
        let asked = wire::RotateAuthorizationRequest {
            application_id: String::new(),
            api_key_id: old.to_string(),
            name: rotation.name,
            expiry: rotation.expires_at_ms.map(|expires_at| match expires_at {
                Some(expires_at) => Expiry::ExpiresAt(codec::timestamp(expires_at)),
                None => Expiry::NeverExpires(true),
            }),
            overlap: Some(prost_types::Duration::try_from(rotation.overlap).unwrap_or(LONGEST)),
        };
        let made = answer(self.client().rotate_authorization(self.request(asked)).await)?;
        handed_out(&made.api_key, made.authorization)
    }

    async fn delete_key(&self, id: Uuid) -> Result<bool, BackendError> {
        let asked = wire::DeleteAuthorizationRequest { application_id: String::new(), api_key_id: id.to_string() };
        Ok(answer(self.client().delete_authorization(self.request(asked)).await)?.deleted)
    }

    async fn schemas(&self, application: Uuid) -> Result<Vec<Schema>, BackendError> {
        let mut found = Vec::new();
        let mut page_token = String::new();
        loop {
            let asked = wire::ListSchemasRequest { application_id: application.to_string(), page_size: 0, page_token };
            let page = answer(self.client().list_schemas(self.request(asked)).await)?;
            for message in page.schemas {
                found.push(understood(schemas::schema(message))?);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(found);
            }
        }
    }

    async fn suppress(&self, application: Uuid, player_id: &str) -> Result<Suppression, BackendError> {
        let application_id = application.to_string();
        let asked = wire::SuppressPlayerRequest { application_id, player_id: player_id.to_owned() };
        let player = answer(self.client().suppress_player(self.request(asked)).await)?.player;
        understood(codec::suppression(player.ok_or_else(|| BackendError::lacks("player"))?))
    }

    async fn unsuppress(&self, application: Uuid, player_id: &str) -> Result<bool, BackendError> {
        let application_id = application.to_string();
        let asked = wire::UnsuppressPlayerRequest { application_id, player_id: player_id.to_owned() };
        Ok(answer(self.client().unsuppress_player(self.request(asked)).await)?.unsuppressed)
    }

    async fn suppressions(&self, application: Option<Uuid>) -> Result<Vec<Suppression>, BackendError> {
        let mut found = Vec::new();
        let mut page_token = String::new();
        loop {
            let application_id = application.map(|id| id.to_string()).unwrap_or_default();
            let asked = wire::ListSuppressedPlayersRequest { application_id, page_size: PAGE, page_token };
            let page = answer(self.client().list_suppressed_players(self.request(asked)).await)?;
            for message in page.players {
                found.push(understood(codec::suppression(message))?);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(found);
            }
        }
    }

    async fn schema_versions(&self, application: Uuid, event_type: &str) -> Result<Vec<Schema>, BackendError> {
        let mut found = Vec::new();
        let mut page_token = String::new();
        loop {
            let asked = wire::ListSchemaVersionsRequest {
                application_id: application.to_string(),
                event_type: event_type.to_owned(),
                page_size: 0,
                page_token,
            };
            let page = answer(self.client().list_schema_versions(self.request(asked)).await)?;
            for message in page.schemas {
                found.push(understood(schemas::schema(message))?);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(found);
            }
        }
    }

    async fn put_schema(
        &self,
        application: Uuid,
        event_type: &str,
        mode: Option<SchemaMode>,
        text: &str,
    ) -> Result<Schema, BackendError> {
        let asked = wire::PutSchemaRequest {
            application_id: application.to_string(),
            event_type: event_type.to_owned(),
            mode: schemas::mode_number(mode),
            schema: text.to_owned(),
        };
        schema(answer(self.client().put_schema(self.request(asked)).await)?.schema)
    }

    async fn set_schema_mode(
        &self,
        application: Uuid,
        event_type: &str,
        mode: SchemaMode,
    ) -> Result<Schema, BackendError> {
        let asked = wire::UpdateSchemaRequest {
            application_id: application.to_string(),
            event_type: event_type.to_owned(),
            mode: schemas::mode_number(Some(mode)),
        };
        schema(answer(self.client().update_schema(self.request(asked)).await)?.schema)
    }

    async fn delete_schema(&self, application: Uuid, event_type: &str) -> Result<bool, BackendError> {
        let asked =
            wire::DeleteSchemaRequest { application_id: application.to_string(), event_type: event_type.to_owned() };
        Ok(answer(self.client().delete_schema(self.request(asked)).await)?.deleted)
    }

    async fn identity(&self, application: Uuid) -> Result<IdentityOverview, BackendError> {
        let asked = wire::GetIdentityRequest { application_id: application.to_string() };
        overview(answer(self.client().get_identity(self.request(asked)).await)?.identity)
    }

    async fn hash_fields(&self, application: Uuid, fields: &[IdentityField]) -> Result<IdentityOverview, BackendError> {
        let fields = fields.iter().map(|field| ids::field_number(*field)).collect();
        let asked = wire::UpdateIdentityRequest { application_id: application.to_string(), fields };
        overview(answer(self.client().update_identity(self.request(asked)).await)?.identity)
    }

    async fn rotate_identity(&self, application: Uuid, forget_earlier: bool) -> Result<IdentityOverview, BackendError> {
        let asked = wire::RotateIdentityRequest { application_id: application.to_string(), forget_earlier };
        overview(answer(self.client().rotate_identity(self.request(asked)).await)?.identity)
    }

    async fn stored_ids(&self, application: Uuid, id: &str) -> Result<Vec<String>, BackendError> {
        let asked = wire::ListStoredIdsRequest { application_id: application.to_string(), id: id.to_owned() };
        Ok(answer(self.client().list_stored_ids(self.request(asked)).await)?.ids)
    }

    async fn audit(&self, application: Option<Uuid>, at_most: usize) -> Result<Vec<AuditEntry>, BackendError> {
        let mut found = Vec::new();
        let mut page_token = String::new();
        while found.len() < at_most {
            let asked = wire::ListAuditEntriesRequest {
                application_id: application.map(|id| id.to_string()).unwrap_or_default(),
                page_size: i32::try_from(at_most - found.len()).unwrap_or(PAGE).min(PAGE),
                page_token,
            };
            let page = answer(self.client().list_audit_entries(self.request(asked)).await)?;
            for message in page.entries {
                found.push(understood(codec::audit_entry(message))?);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        Ok(found)
    }
}
