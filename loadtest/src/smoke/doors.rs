//! The gateway's doors: administration, and the one that events come in by.

use std::time::Duration;

use futures_util::stream;
use headgate_proto::admin::v1::admin_service_client::AdminServiceClient;
use headgate_proto::admin::v1::{
    Application, CreateApplicationRequest, CreateAuthorizationRequest, DeleteApplicationRequest, Environment, Gateway,
    GetGatewayRequest,
};
use headgate_proto::v1::StreamEventsRequest;
use headgate_proto::v1::ingest_service_client::IngestServiceClient;
use tokio::time::{Instant, sleep, timeout};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::{Plan, Problem};
use crate::config::LoadError;
use crate::drive::{endpoint, innermost};

/// For one call.
const CALL: Duration = Duration::from_secs(10);
/// How long a gateway that can't be reached is tried to be: a load balancer takes seconds to see that one has come.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(500);

/// A key in metadata.
pub(super) type Key = MetadataValue<Ascii>;

/// Where the gateway is, and the administrator's token.
pub(super) struct Doors {
    endpoint: Endpoint,
    token: Key,
}

/// The administration, over one connection.
pub(super) struct Office {
    client: AdminServiceClient<Channel>,
    token: Key,
}

impl Doors {
    pub(super) fn new(plan: &Plan) -> Result<Self, LoadError> {
        let endpoint = endpoint(&plan.endpoint, plan.tls_ca.as_deref())?;
        let token = secret(&format!("Bearer {}", plan.token.expose())).ok_or(LoadError::ApiKey)?;
        Ok(Self { endpoint, token })
    }

    /// A connection of its own: behind a load balancer, maybe to another gateway than the one before.
    pub(super) async fn connect(&self) -> Result<Channel, Status> {
        self.endpoint.connect().await.map_err(|error| Status::unavailable(innermost(&error)))
    }

    /// The same for events.
    pub(super) async fn ingest(&self) -> Result<IngestServiceClient<Channel>, Status> {
        Ok(IngestServiceClient::new(self.connect().await?))
    }

    /// The same for the administration.
    pub(super) async fn office(&self) -> Result<Office, Status> {
        Ok(Office { client: AdminServiceClient::new(self.connect().await?), token: self.token.clone() })
    }

    /// Asks on a new connection whether a key lets in. It takes a stream without a batch, which leaves nothing behind.
    pub(super) async fn knock(&self, key: &Key) -> Result<(), Status> {
        let knocking = async {
            let mut client = self.ingest().await?;
            let nothing = with_key(key, stream::empty::<StreamEventsRequest>());
            let mut answers = client.stream_events(nothing).await?.into_inner();
            while answers.message().await?.is_some() {}
            Ok(())
        };
        timeout(CALL, knocking).await.unwrap_or_else(|_| Err(no_answer()))
    }
}

impl Office {
    /// Which build answers.
    pub(super) async fn gateway(&mut self) -> Result<Gateway, Status> {
        let request = self.request(GetGatewayRequest {});
        let answer = self.client.get_gateway(request).await?.into_inner();
        Ok(answer.gateway.unwrap_or_default())
    }

    /// Makes an application in the environment for those who make the game.
    pub(super) async fn create_application(&mut self, name: &str) -> Result<Application, Problem> {
        let request = self.request(CreateApplicationRequest {
            name: name.to_owned(),
            description: "made by headgate-loadtest smoke, which deletes it at its end".to_owned(),
            environment: Environment::Dev as i32,
            ..CreateApplicationRequest::default()
        });
        let doing = || format!("making the application {name} (delete it if it is there)");
        let answer = in_time(self.client.create_application(request)).await;
        let answer = answer.map_err(|status| Problem::call(doing(), &status))?;
        let nothing = || Problem::call(doing(), &Status::internal("an answer without an application"));
        answer.into_inner().application.ok_or_else(nothing)
    }

    /// Makes a key for game servers.
    pub(super) async fn create_key(&mut self, application_id: &str) -> Result<Key, Problem> {
        let request = self.request(CreateAuthorizationRequest {
            application_id: application_id.to_owned(),
            name: "smoke".to_owned(),
            ..CreateAuthorizationRequest::default()
        });
        let failed = |status: &Status| Problem::call("making a key", status);
        let answer = in_time(self.client.create_authorization(request)).await.map_err(|status| failed(&status))?;
        let key = secret(&answer.into_inner().api_key);
        key.ok_or_else(|| failed(&Status::internal("a key that a header can't carry")))
    }

    /// Deletes an application, and its keys with it.
    pub(super) async fn delete_application(&mut self, application_id: &str) -> Result<(), Status> {
        let request = self.request(DeleteApplicationRequest { application_id: application_id.to_owned() });
        in_time(self.client.delete_application(request)).await.map(|_| ())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.token.clone());
        request
    }
}

/// A request that shows the key.
pub(super) fn with_key<T>(key: &Key, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-api-key", key.clone());
    request
}

/// A text that is sent and not shown; none if a header can't carry it.
pub(super) fn secret(text: &str) -> Option<Key> {
    let mut key: Key = text.parse().ok()?;
    key.set_sensitive(true);
    Some(key)
}

/// Calls again for a while as long as nobody answers.
pub(super) async fn patiently<T>(mut call: impl AsyncFnMut() -> Result<T, Status>) -> Result<T, Status> {
    let until = Instant::now() + PATIENCE;
    loop {
        match in_time(call()).await {
            Err(status) if status.code() == Code::Unavailable && Instant::now() + PAUSE < until => sleep(PAUSE).await,
            done => return done,
        }
    }
}

async fn in_time<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    timeout(CALL, call).await.unwrap_or_else(|_| Err(no_answer()))
}

fn no_answer() -> Status {
    Status::deadline_exceeded(format!("no answer in {} s", CALL.as_secs()))
}
