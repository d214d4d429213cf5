//! What is refused and what is answered for each event, with a destination that does as it is told.

use std::sync::Arc;
use std::time::Duration;

use headgate::admission::key::ApiKey;
use headgate::config::Settings;
use headgate::config::units::Size;
use headgate::delivery::Health;
use headgate::gather::{FailureReason, Outcome};
use headgate::registry::NewAuthorization;
use headgate::serve::Ground;
use headgate_tests::destination::Scripted;
use headgate_tests::events::login;
use headgate_tests::inproc::InProcess;
use headgate_tests::poll;
use headgate_tests::rest::{RestAnswer, RestClient, body, verdict};
use http::Method;
use tempfile::TempDir;

use crate::PATIENCE;

struct House {
    gateway: InProcess,
    destination: Arc<Scripted>,
    client: RestClient,
    path: String,
    key: String,
    data: TempDir,
}

impl House {
    async fn with(adjust: impl FnOnce(&mut Settings)) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let destination = Scripted::new();
        let ground = Ground { destination: Some(Arc::clone(&destination) as _), ..Ground::default() };
        let gateway = InProcess::start_on(data.path(), ground, adjust).await;
        let (application, target) = gateway.demo();
        let client = RestClient::new(gateway.rest_address());
        let path = format!("/applications/{application}/events");
        Self { gateway, destination, client, path, key: target.key, data }
    }

    async fn post(&self, events: usize) -> RestAnswer {
        let events: Vec<_> = (0..events).map(|_| login()).collect();
        self.client.post(&self.path, &self.key, body(&events)).await
    }
}

/// A refusal with a hint in whole seconds, or without one.
fn assert_refused(answer: &RestAnswer, status: u16, code: &str, hint: bool) {
    assert_eq!(answer.error(), (status, code.to_owned()), "{answer:?}");
    let seconds = answer.header("retry-after").parse::<u64>().ok();
    assert_eq!(seconds.is_some_and(|seconds| seconds >= 1), hint, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_rate_is_429_with_a_hint_and_more_than_the_burst_is_400() {
    let house = House::with(|settings| {
        settings.admission.events_per_second = 1;
        settings.admission.events_burst = 10;
    })
    .await;
    assert_refused(&house.post(11).await, 400, "BadRequest", false);
    assert_eq!(verdict(&house.post(10).await).accepted, 10);
    assert_refused(&house.post(10).await, 429, "TooManyRequests", true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_down_is_503_with_a_hint_and_heals() {
    let house = House::with(|_| {}).await;
    let retry_after = Duration::from_millis(1_500);
    house.destination.set_health(Health::Down { reason: "by order".to_owned(), retry_after });
    let answer = house.post(1).await;
    assert_refused(&answer, 503, "ServiceUnavailable", true);
    assert_eq!(answer.header("retry-after"), "2");
    house.destination.set_health(Health::Up);
    assert_eq!(verdict(&house.post(1).await).accepted, 1);
    // It says that it is up, and takes nothing.
    let reason = FailureReason::DestinationUnavailable;
    house.destination.answer([Outcome::NotStored { reason, retry_after }]);
    assert_refused(&house.post(1).await, 503, "ServiceUnavailable", true);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_has_the_outcome_of_its_own() {
    let house = House::with(|_| {}).await;
    // A bucket holds a few events.
    let retry_after = Duration::from_secs(1);
    house.destination.answer([
        Outcome::NotStored { reason: FailureReason::DestinationUnavailable, retry_after },
        Outcome::Unknown { reason: FailureReason::Deadline },
    ]);
    let verdict = verdict(&house.post(20).await);
    assert!(verdict.retry > 0 && verdict.unknown > 0 && verdict.accepted > 0, "{verdict:?}");
    assert_eq!(verdict.retry + verdict.unknown + verdict.accepted, 20);
    let codes: Vec<_> = verdict.not_accepted.iter().map(|event| event.code).collect();
    assert!(codes.is_sorted(), "the first bucket's events come first: {codes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_in_flight_past_the_budget_are_503_with_a_hint() {
    let house = House::with(|settings| {
        settings.admission.bytes_in_flight = Size::kib(64);
        settings.admission.app_share = 1.0;
        settings.rest.max_body = Size::kib(16);
    })
    .await;
    house.destination.hold();
    let waiting: Vec<_> = (0..40)
        .map(|_| {
            let (client, path, key) = (house.client.clone(), house.path.clone(), house.key.clone());
            tokio::spawn(async move { client.post(&path, &key, body(&[login(), login()])).await })
        })
        .collect();
    // Whoever is taken waits for the destination: the first that ends was refused.
    poll::until("the budget is used up", PATIENCE, async || {
        waiting.iter().any(tokio::task::JoinHandle::is_finished).then_some(())
    })
    .await;
    assert_refused(&house.post(2).await, 503, "ServiceUnavailable", true);
    house.destination.release();
    for answer in waiting {
        let answer = answer.await.expect("no panic");
        assert!([200, 503].contains(&answer.status.as_u16()), "{answer:?}");
    }
    poll::until("there is room again", PATIENCE, async || (house.post(2).await.status == 200).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_needs_the_scope_to_send() {
    let house = House::with(|_| {}).await;
    let (application, _) = house.gateway.demo();
    for (scopes, expected) in [("read", 403), ("ingest-client", 200), ("ingest-server,read", 200)] {
        let key = ApiKey::generate().expect("randomness");
        let new = NewAuthorization {
            application_id: application,
            name: scopes.to_owned(),
            description: None,
            hash: key.hash(),
            masked_key: key.masked(),
            expires_at_ms: None,
            scopes: scopes.parse().expect("scopes"),
        };
        house.gateway.registry().create_authorization(new).await.expect("the registry takes it");
        let answer = house.client.post(&house.path, key.expose(), body(&[login()])).await;
        assert_eq!(answer.status.as_u16(), expected, "{scopes}: {answer:?}");
        assert_eq!(answer.text == r#"{"error":"AccessDenied"}"#, expected == 403);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_fails_is_503_and_never_a_denial() {
    let house = House::with(|_| {}).await;
    let token = std::fs::read_to_string(house.data.path().join("admin-token")).expect("a first start makes one");
    let database = rusqlite::Connection::open(house.data.path().join("registry.sqlite")).expect("it opens");
    database.execute_batch("ALTER TABLE authorizations RENAME TO away").expect("the table can be renamed");
    assert_refused(&house.post(1).await, 503, "ServiceUnavailable", true);
    let authorization = format!("Bearer {}", token.trim());
    let path = house.path.replace("/events", "/authorizations");
    let answer = house.client.send(Method::GET, &path, &[("authorization", &authorization)], "").await;
    assert!([500, 503].contains(&answer.status.as_u16()), "{answer:?}");
    database.execute_batch("ALTER TABLE away RENAME TO authorizations").expect("and back");
    poll::until("it is asked again", PATIENCE, async || (house.post(1).await.status == 200).then_some(())).await;
}

/// The end of a gateway waits for what it has taken, and for nobody who only holds a connection open.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_answers_what_was_taken_and_ends_idle_connections() {
    let house = House::with(|_| {}).await;
    assert_eq!(house.post(1).await.status, 200);
    house.destination.hold();
    let (client, path, key) = (house.client.clone(), house.path.clone(), house.key.clone());
    let taken = tokio::spawn(async move { client.post(&path, &key, body(&[login()])).await });
    poll::until("it is taken", PATIENCE, async || (house.destination.held() > 0).then_some(())).await;
    let idle = tokio::net::TcpStream::connect(house.gateway.rest_address()).await.expect("it listens");
    let address = house.gateway.rest_address();
    let stopping = tokio::spawn(house.gateway.stop());
    poll::until("nobody is let in any more", PATIENCE, async || {
        tokio::net::TcpStream::connect(address).await.is_err().then_some(())
    })
    .await;
    house.destination.release();
    assert_eq!(taken.await.expect("no panic").status, 200);
    assert_eq!(stopping.await.expect("no panic"), headgate::serve::Stopped::Clean);
    drop(idle);
}
