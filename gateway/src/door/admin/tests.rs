//! A gateway, a real socket, and the client that anybody generates.

use std::collections::HashSet;

use headgate_proto::admin::v1::admin_service_client::AdminServiceClient;
use headgate_proto::admin::v1::rotate_authorization_request::Expiry;
use prost_types::{Duration, Timestamp};
use tempfile::TempDir;
use tonic::Code;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_types::StatusExt;
use uuid::Uuid;

mod players;

use super::*;
use crate::config::Settings;
use crate::serve::{Gateway, Ground};

struct Office {
    gateway: Gateway,
    token: String,
    client: AdminServiceClient<Channel>,
    channel: Channel,
    _folder: TempDir,
}

impl Office {
    async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = Settings { data_dir: folder.path().to_owned(), ..Settings::default() };
        settings.grpc.listen.set_port(0);
        settings.rest.listen.set_port(0);
        settings.operate.listen.set_port(0);
        let gateway = Gateway::start(settings, Ground::default()).await.expect("starts");
        let file = gateway.made_admin_token().expect("the first start makes a token").path();
        let token = std::fs::read_to_string(file).expect("reads").trim().to_owned();
        let endpoint = Endpoint::from_shared(format!("http://{}", gateway.grpc_address())).expect("a URI");
        let channel = endpoint.connect().await.expect("it listens");
        Self { client: AdminServiceClient::new(channel.clone()), gateway, token, channel, _folder: folder }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        with_authorization(message, &format!("Bearer {}", self.token))
    }

    async fn create(&self, name: &str) -> Application {
        let asked = CreateApplicationRequest { name: name.to_owned(), ..CreateApplicationRequest::default() };
        let answer = self.client.clone().create_application(self.request(asked)).await.expect("creates").into_inner();
        answer.application.expect("an application")
    }

    async fn create_key(&self, application_id: &str) -> (Authorization, String) {
        let asked = CreateAuthorizationRequest {
            application_id: application_id.to_owned(),
            name: "server".to_owned(),
            ..CreateAuthorizationRequest::default()
        };
        let answer = self.client.clone().create_authorization(self.request(asked)).await.expect("creates").into_inner();
        (answer.authorization.expect("an authorization"), answer.api_key)
    }

    async fn key(&self, key: &Authorization) -> Authorization {
        let asked = GetAuthorizationRequest { application_id: String::new(), api_key_id: key.api_key_id.clone() };
        let answer = self.client.clone().get_authorization(self.request(asked)).await.expect("is there").into_inner();
        answer.authorization.expect("an authorization")
    }

    async fn audit(&self, application_id: &str) -> Vec<AuditEntry> {
        let mut entries = Vec::new();
        let mut page_token = String::new();
        loop {
            let asked = ListAuditEntriesRequest { application_id: application_id.to_owned(), page_size: 2, page_token };
            let answer = self.client.clone().list_audit_entries(self.request(asked)).await.expect("lists").into_inner();
            entries.extend(answer.entries);
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return entries;
            }
        }
    }
}

fn update_of(application_id: &str, key: &Authorization) -> UpdateAuthorizationRequest {
    UpdateAuthorizationRequest {
        application_id: application_id.to_owned(),
        api_key_id: key.api_key_id.clone(),
        ..UpdateAuthorizationRequest::default()
    }
}

fn with_authorization<T>(message: T, authorization: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value: MetadataValue<Ascii> = authorization.parse().expect("ASCII");
    request.metadata_mut().insert("authorization", value);
    request
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

fn acts(entries: &[AuditEntry]) -> Vec<&str> {
    entries.iter().rev().map(|entry| entry.act.as_str()).collect()
}

#[tokio::test]
async fn an_application_lives_through_all_calls_and_each_is_in_the_audit_log() {
    let office = Office::open().await;
    let mut client = office.client.clone();
    let asked = CreateApplicationRequest {
        name: "Skyfall".to_owned(),
        description: "a game".to_owned(),
        limits: Some(Limits { events_per_second: Some(5), ..Limits::default() }),
        environment: Environment::Stage as i32,
        route: Route::Lake as i32,
    };
    let created = client.create_application(office.request(asked)).await.expect("creates").into_inner();
    let created = created.application.expect("an application");
    let id = created.application_id.clone();
    assert_eq!((created.environment(), created.route()), (Environment::Stage, Route::Lake));
    assert_eq!(created.limits.expect("limits").events_per_second, Some(5));

    let asked = UpdateApplicationRequest {
        application_id: id.clone(),
        description: Some(String::new()),
        route: Some(Route::Unspecified as i32),
        ..UpdateApplicationRequest::default()
    };
    let changed = client.update_application(office.request(asked)).await.expect("changes").into_inner();
    let changed = changed.application.expect("an application");
    assert_eq!((changed.description.as_str(), changed.route()), ("", Route::Unspecified));
    assert_eq!((changed.name.as_str(), changed.environment()), ("Skyfall", Environment::Stage));
    assert_eq!(changed.limits, created.limits, "what is absent stays");
    let asked = GetApplicationRequest { application_id: id.clone() };
    let found = client.get_application(office.request(asked)).await.expect("is there").into_inner();
    assert_eq!(found.application, Some(changed));

    for deleted in [true, false] {
        let asked = DeleteApplicationRequest { application_id: id.clone() };
        let answer = client.delete_application(office.request(asked)).await.expect("succeeds").into_inner();
        assert_eq!(answer.deleted, deleted);
    }
    let entries = office.audit(&id).await;
    assert_eq!(acts(&entries), ["application.create", "application.update", "application.delete"]);
    for entry in &entries {
        assert_eq!((entry.actor.as_str(), entry.via.as_str()), ("admin-token", "grpc"));
    }
    assert!(entries[1].detail.contains("route lake to default"), "{}", entries[1].detail);
    office.gateway.stop().await;
}

#[tokio::test]
async fn a_key_is_made_disabled_rotated_with_an_overlap_and_deleted() {
    let office = Office::open().await;
    let mut client = office.client.clone();
    let id = office.create("Skyfall").await.application_id;
    let expires_at = Some(Timestamp { seconds: 4_000_000_000, nanos: 5_000_000 });
    let asked = CreateAuthorizationRequest {
        application_id: id.clone(),
        name: "server".to_owned(),
        description: "eu".to_owned(),
        expires_at,
        scopes: vec![Scope::Read as i32, Scope::IngestServer as i32],
    };
    let created = client.create_authorization(office.request(asked)).await.expect("creates").into_inner();
    let old = created.authorization.expect("an authorization");
    assert_eq!(old.expires_at, expires_at);
    assert_eq!(old.scopes().collect::<Vec<_>>(), [Scope::IngestServer, Scope::Read]);
    assert!(created.api_key.starts_with("hg_") && !old.masked_key.contains(&created.api_key[3..40]));

    for enabled in [false, true] {
        let asked = UpdateAuthorizationRequest { enabled: Some(enabled), ..update_of(&id, &old) };
        let answer = client.update_authorization(office.request(asked)).await.expect("changes").into_inner();
        assert_eq!(answer.authorization.expect("an authorization").enabled, enabled);
        assert_eq!(office.key(&old).await.enabled, enabled);
    }
    let unchanged = client.update_authorization(office.request(update_of(&id, &old))).await.expect("nothing to do");
    assert_eq!(unchanged.into_inner().authorization.expect("an authorization"), office.key(&old).await);
    for scopes in [vec![Scope::IngestClient as i32], old.scopes.clone()] {
        let asked = UpdateAuthorizationRequest { scopes: scopes.clone(), ..update_of("", &old) };
        let answer = client.update_authorization(office.request(asked)).await.expect("changes").into_inner();
        assert_eq!(answer.authorization.expect("an authorization"), office.key(&old).await);
        assert_eq!((office.key(&old).await.scopes, office.key(&old).await.enabled), (scopes, true));
    }
    let asked = UpdateAuthorizationRequest { scopes: vec![0], enabled: Some(false), ..update_of(&id, &old) };
    let status = client.update_authorization(office.request(asked)).await.expect_err("for nothing");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(office.key(&old).await.enabled, "all of it or nothing");

    let asked = RotateAuthorizationRequest {
        api_key_id: old.api_key_id.clone(),
        name: Some("newer".to_owned()),
        expiry: Some(Expiry::NeverExpires(true)),
        overlap: Some(Duration { seconds: 3_600, nanos: 0 }),
        ..RotateAuthorizationRequest::default()
    };
    let rotated = client.rotate_authorization(office.request(asked)).await.expect("rotates").into_inner();
    let new = rotated.authorization.expect("an authorization");
    assert_ne!(rotated.api_key, created.api_key);
    assert_eq!((new.name.as_str(), new.expires_at, &new.scopes), ("newer", None, &old.scopes));
    let left = office.key(&old).await;
    let until = left.expires_at.expect("it expires now").seconds - new.created_at.expect("a time").seconds;
    assert!(left.enabled && (3_599..=3_601).contains(&until), "{until} s");

    for deleted in [true, false] {
        let asked = DeleteAuthorizationRequest { application_id: String::new(), api_key_id: old.api_key_id.clone() };
        let answer = client.delete_authorization(office.request(asked)).await.expect("succeeds").into_inner();
        assert_eq!(answer.deleted, deleted);
    }
    let entries = office.audit(&id).await;
    let expected = [
        "application.create",
        "key.create",
        "key.disable",
        "key.enable",
        "key.scopes",
        "key.scopes",
        "key.rotate",
        "key.delete",
    ];
    assert_eq!(acts(&entries), expected);
    assert_eq!(entries[0].subject, old.api_key_id);
    for entry in entries {
        let shown = format!("{entry:?}");
        assert!(!shown.contains(&created.api_key) && !shown.contains(&rotated.api_key), "{shown}");
    }
    office.gateway.stop().await;
}

#[tokio::test]
async fn pages_put_together_are_every_application_and_every_key() {
    let office = Office::open().await;
    let mut client = office.client.clone();
    let mut made = HashSet::new();
    for name in ["one", "two", "three", "four"] {
        made.insert(office.create(name).await.application_id);
    }
    let mut seen = Vec::new();
    let mut page_token = String::new();
    for page in 1.. {
        let asked = ListApplicationsRequest { page_size: 2, page_token };
        let answer = client.list_applications(office.request(asked)).await.expect("lists").into_inner();
        assert!(answer.applications.len() <= 2);
        seen.extend(answer.applications);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            assert_eq!(page, 3, "four, and the demo");
            break;
        }
    }
    assert_eq!(seen[0].name, "demo", "the oldest first");
    let ids: HashSet<_> = seen[1..].iter().map(|application| application.application_id.clone()).collect();
    assert_eq!((seen.len(), ids), (5, made));

    let application_id = seen[1].application_id.clone();
    for _ in 0..3 {
        office.create_key(&application_id).await;
    }
    let asked = ListAuthorizationsRequest { application_id: application_id.clone(), ..Default::default() };
    let all = client.list_authorizations(office.request(asked.clone())).await.expect("lists").into_inner();
    assert_eq!((all.authorizations.len(), all.next_page_token.as_str()), (3, ""));
    let first = ListAuthorizationsRequest { page_size: 2, ..asked.clone() };
    let first = client.list_authorizations(office.request(first)).await.expect("lists").into_inner();
    let second = ListAuthorizationsRequest { page_size: 2, page_token: first.next_page_token, ..asked };
    let second = client.list_authorizations(office.request(second)).await.expect("lists").into_inner();
    assert_eq!([first.authorizations, second.authorizations].concat(), all.authorizations);
    office.gateway.stop().await;
}

#[tokio::test]
async fn whoever_has_not_the_token_is_told_so_and_changes_nothing() {
    let office = Office::open().await;
    let mut client = office.client.clone();
    let id = office.create("Skyfall").await.application_id;
    let (_, api_key) = office.create_key(&id).await;
    let asked = || DeleteApplicationRequest { application_id: id.clone() };
    let wrong = [
        (Request::new(asked()), "admin_token_missing"),
        (with_authorization(asked(), &office.token), "admin_token_malformed"),
        (with_authorization(asked(), &format!("Basic {}", office.token)), "admin_token_malformed"),
        (with_authorization(asked(), &format!("Bearer {}x", office.token)), "admin_token_wrong"),
        (with_authorization(asked(), &format!("Bearer {api_key}")), "admin_token_wrong"),
    ];
    let refused = wrong.len() as u64;
    for (request, expected) in wrong {
        let status = client.delete_application(request).await.expect_err("refused");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, expected));
    }
    let status = client.list_audit_entries(ListAuditEntriesRequest::default()).await.expect_err("reading, too");
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(acts(&office.audit(&id).await), ["application.create", "key.create"]);
    let metrics = office.gateway.metrics().encode().expect("encodes");
    let counted: u64 = metrics
        .lines()
        .filter(|line| line.starts_with("headgate_admin_refusals_total"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum();
    assert_eq!(counted, refused + 1);
    // RFC 9110, 11.1: the scheme is case-insensitive.
    let request = with_authorization(asked(), &format!("bearer {}", office.token));
    assert!(client.delete_application(request).await.expect("is right").into_inner().deleted);
    office.gateway.stop().await;
}

#[tokio::test]
async fn what_can_not_be_done_says_why_in_googles_terms() {
    let office = Office::open().await;
    let mut client = office.client.clone();
    let nobody = Uuid::from_u128(7).to_string();
    let asked = GetApplicationRequest { application_id: nobody.clone() };
    let status = client.get_application(office.request(asked)).await.expect_err("is not there");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "not_found"));
    let details = status.get_error_details();
    assert_eq!(details.resource_info().map(|info| info.resource_name.as_str()), Some(nobody.as_str()));

    let violated = |status: Status| {
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        details.bad_request().map(|bad| bad.field_violations[0].field.clone()).unwrap_or_default()
    };
    let limits = Some(Limits { events_burst: Some(0), ..Limits::default() });
    let asked = CreateApplicationRequest { name: "x".to_owned(), limits, ..CreateApplicationRequest::default() };
    let status = client.create_application(office.request(asked)).await.expect_err("lets nothing in");
    assert_eq!(violated(status), "limits.events_burst");
    let asked = CreateApplicationRequest::default();
    let status = client.create_application(office.request(asked)).await.expect_err("has no name");
    assert_eq!(violated(status), "name");
    let asked = ListApplicationsRequest { page_size: 1_001, page_token: String::new() };
    let status = client.list_applications(office.request(asked)).await.expect_err("too large");
    assert_eq!(violated(status), "page_size");
    let (key, _) = office.create_key(&office.create("Skyfall").await.application_id).await;
    let overlap = Some(Duration { seconds: -1, nanos: 0 });
    let asked = RotateAuthorizationRequest {
        api_key_id: key.api_key_id.clone(),
        overlap,
        ..RotateAuthorizationRequest::default()
    };
    let status = client.rotate_authorization(office.request(asked)).await.expect_err("before now");
    assert_eq!(violated(status), "overlap");

    // A key of another application is not found under this one, and stays.
    let asked = DeleteAuthorizationRequest { application_id: nobody.clone(), api_key_id: key.api_key_id.clone() };
    let answer = client.delete_authorization(office.request(asked)).await.expect("succeeds").into_inner();
    assert!(!answer.deleted);
    let asked = UpdateAuthorizationRequest { enabled: Some(false), ..update_of(&nobody, &key) };
    let status = client.update_authorization(office.request(asked)).await.expect_err("is not there");
    assert_eq!(status.code(), Code::NotFound);
    assert!(office.key(&key).await.enabled);
    office.gateway.stop().await;
}

#[tokio::test]
async fn a_gateway_says_which_build_it_is_and_since_when_but_not_to_everybody() {
    let office = Office::open().await;
    let mut client = office.client.clone();
    let answer = client.get_gateway(office.request(GetGatewayRequest {})).await.expect("answers").into_inner();
    let said = answer.gateway.expect("a gateway");
    assert_eq!((said.version.as_str(), said.commit.as_str()), (build::VERSION, build::COMMIT));
    assert_eq!(said.build, build::BUILD);
    // Started after 2026 began, and not anew with each call.
    assert!(said.started_at.as_ref().is_some_and(|at| at.seconds > 1_767_225_600), "{said:?}");
    let again = client.get_gateway(office.request(GetGatewayRequest {})).await.expect("answers").into_inner();
    assert_eq!(again.gateway, Some(said));
    let status = client.get_gateway(GetGatewayRequest {}).await.expect_err("without a token");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "admin_token_missing"));
    office.gateway.stop().await;
}

#[tokio::test]
async fn tools_find_the_service() {
    let office = Office::open().await;
    let asked = HealthCheckRequest { service: ADMIN_SERVICE.to_owned() };
    let health = HealthClient::new(office.channel.clone()).check(asked).await.expect("answers").into_inner();
    assert_eq!(health.status(), ServingStatus::Serving);

    let asked = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(office.channel.clone());
    let mut answers =
        reflection.server_reflection_info(futures_util::stream::iter([asked])).await.expect("answers").into_inner();
    let answer = answers.message().await.expect("answers").expect("an answer").message_response;
    let Some(MessageResponse::ListServicesResponse(services)) = answer else { panic!("no list in {answer:?}") };
    let names: Vec<_> = services.service.into_iter().map(|service| service.name).collect();
    assert!(names.iter().any(|name| name == ADMIN_SERVICE), "{names:?}");
    assert!(names.iter().any(|name| name == "headgate.v1.IngestService"), "{names:?}");
    drop(answers);
    office.gateway.stop().await;
}
