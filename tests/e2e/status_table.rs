//! Each row of the status table that can be reached, provoked over the wire: its code and its details.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headgate::config::units::Size;
use headgate::delivery::Health;
use headgate::gather::{FailureReason, Outcome};
use headgate::registry::Limits;
use headgate::serve::{Ground, Stopped};
use headgate_proto::v1::{Event, PublishEventsRequest, Reason, VerdictCode};
use headgate_tests::client::{Connection, Target};
use headgate_tests::destination::Scripted;
use headgate_tests::events::login as event;
use headgate_tests::inproc::InProcess;
use headgate_tests::poll;
use headgate_tests::raw::{self, RawConnection, framed};
use http::Method;
use prost::Message;
use tempfile::TempDir;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::PATIENCE;

/// A name, headers, the pieces of a body, and the row of the table that they belong to.
type BadMessage = (&'static str, Vec<(&'static str, &'static str)>, Vec<Bytes>, &'static str);

/// A gateway with a destination that does as it is told.
struct House {
    gateway: InProcess,
    destination: Arc<Scripted>,
    target: Target,
    data: TempDir,
}

impl House {
    async fn with(adjust: impl FnOnce(&mut headgate::config::Settings)) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let destination = Scripted::new();
        let ground = Ground { destination: Some(Arc::clone(&destination) as _), ..Ground::default() };
        let gateway = InProcess::start_on(data.path(), ground, adjust).await;
        let (_, target) = gateway.demo();
        Self { gateway, destination, target, data }
    }

    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn connect(&self) -> Connection {
        Connection::open(&self.target).await.expect("the gateway listens")
    }

    async fn raw(&self) -> RawConnection {
        RawConnection::open(self.target.address).await
    }

    async fn refused(&self, events: Vec<Event>) -> Status {
        self.connect().await.publish(events).await.expect_err("the call is refused")
    }

    fn target_with(&self, key: &str) -> Target {
        Target { key: key.to_owned(), ..self.target.clone() }
    }
}

fn events(count: usize) -> Vec<Event> {
    (0..count).map(|_| event()).collect()
}

/// A refusal has its code, the name of its row, and a hint exactly where one belongs.
fn assert_refusal(status: &Status, code: Code, row: &str, hint: bool) {
    assert_eq!(status.code(), code, "{status:?}");
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (row, "headgate"));
    let delay = details.retry_info().and_then(|info| info.retry_delay);
    assert_eq!(delay.is_some_and(|delay| delay > Duration::ZERO), hint, "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_missing_malformed_or_unknown_is_unauthenticated_before_the_body_is_read() {
    let house = House::new().await;
    let mut raw = house.raw().await;
    let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
    let keys: [(&[(&str, &str)], &str); 5] = [
        (&[], "key_missing"),
        (&[("x-api-key", "hg_typo")], "key_malformed"),
        (&[("authorization", "Basic dXNlcjpwYXNz")], "key_malformed"),
        (&[("x-api-key", "nobody-has-this-one")], "key_unknown"),
        (&[("authorization", "Bearer nobody-has-this-one")], "key_unknown"),
    ];
    for (key, row) in keys {
        let headers: Vec<_> = grpc.iter().chain(key).copied().collect();
        // The body never comes: an answer shows that nobody waited for it.
        let answer = tokio::time::timeout(PATIENCE, raw.call(Method::POST, raw::PUBLISH, &headers, Vec::new(), true));
        let response = answer.await.expect("answered without a body").expect("answered");
        assert_refusal(&response.status.expect("a status"), Code::Unauthenticated, row, false);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_the_scope_is_denied_permission() {
    use headgate::admission::key::ApiKey;
    use headgate::registry::{NewAuthorization, Scopes};

    let house = House::new().await;
    let (application, _) = house.gateway.demo();
    let connection = async |scopes: &str| {
        let key = ApiKey::generate().expect("randomness");
        let new = NewAuthorization {
            application_id: application,
            name: "server".to_owned(),
            description: None,
            hash: key.hash(),
            masked_key: key.masked(),
            expires_at_ms: None,
            scopes: scopes.parse::<Scopes>().expect("scopes"),
        };
        house.gateway.registry().create_authorization(new).await.expect("the registry takes it");
        Connection::open(&house.target_with(key.expose())).await.expect("it listens")
    };
    let mut reader = connection("read").await;
    let status = reader.publish(events(1)).await.expect_err("it may only read");
    assert_refusal(&status, Code::PermissionDenied, "scope_missing", false);
    assert!(status.message().contains("ingest-client or ingest-server"), "{status:?}");
    let mut client = connection("ingest-client").await;
    assert_eq!(client.publish(events(1)).await.expect("it may send a batch").accepted, 1);
    let status = client.stream(4).await.map(|_| ()).expect_err("it may not keep a stream open");
    assert_refusal(&status, Code::PermissionDenied, "scope_missing", false);
    let mut server = connection("ingest-server").await;
    assert_eq!(server.publish(events(1)).await.expect("it may send a batch").accepted, 1);
    server.stream(4).await.expect("it may keep a stream open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_and_an_expired_key_are_unauthenticated() {
    use headgate::admission::key::ApiKey;
    use headgate::registry::NewAuthorization;

    let house = House::new().await;
    let (application, _) = house.gateway.demo();
    let registry = house.gateway.registry();
    let mut keys = Vec::new();
    for expires_at_ms in [None, Some(1)] {
        let key = ApiKey::generate().expect("randomness");
        let new = NewAuthorization {
            application_id: application,
            name: "server".to_owned(),
            description: None,
            hash: key.hash(),
            masked_key: key.masked(),
            expires_at_ms,
            scopes: headgate::registry::Scopes::INGEST,
        };
        let made = registry.create_authorization(new).await.expect("the registry takes it");
        keys.push((key, made.api_key_id));
    }
    registry.set_enabled(keys[0].1, false).await.expect("the registry takes it");
    for ((key, _), row) in keys.iter().zip(["key_disabled", "key_expired"]) {
        let mut connection = Connection::open(&house.target_with(key.expose())).await.expect("it listens");
        let status = connection.publish(events(1)).await.expect_err("the key lets nobody in");
        assert_refusal(&status, Code::Unauthenticated, row, false);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_store_that_fails_is_unavailable_and_never_a_denial() {
    let house = House::new().await;
    let mut known = house.connect().await;
    known.publish(events(1)).await.expect("the key is good");
    let database = rusqlite::Connection::open(house.data.path().join("registry.sqlite")).expect("it opens");
    database.execute_batch("ALTER TABLE authorizations RENAME TO away").expect("the table can be renamed");

    let mut unknown = Connection::open(&house.target_with("not-asked-for-before")).await.expect("it listens");
    let status = unknown.publish(events(1)).await.expect_err("nobody can say whether the key is good");
    assert_refusal(&status, Code::Unavailable, "key_store_unavailable", true);
    known.publish(events(1)).await.expect("a known key goes on working");

    database.execute_batch("ALTER TABLE away RENAME TO authorizations").expect("the table can be renamed");
    let status = unknown.publish(events(1)).await.expect_err("the key is unknown indeed");
    assert_refusal(&status, Code::Unauthenticated, "key_unknown", false);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_over_its_rate_is_told_when_to_come_back_and_over_its_burst_that_it_never_can() {
    let house = House::with(|settings| {
        settings.admission.events_per_second = 100;
        settings.admission.events_burst = 200;
        settings.admission.bytes_per_second = Size::kib(64);
        settings.admission.bytes_burst = Size::kib(256);
    })
    .await;
    let status = house.refused(events(201)).await;
    assert_refusal(&status, Code::InvalidArgument, "over_burst", false);
    assert!(status.message().contains("200"), "it says the limit: {status:?}");

    let mut connection = house.connect().await;
    connection.publish(events(200)).await.expect("within the burst");
    let status = connection.publish(events(100)).await.expect_err("over the rate");
    assert_refusal(&status, Code::ResourceExhausted, "over_rate", true);
    let details = status.get_error_details();
    let delay = details.retry_info().and_then(|info| info.retry_delay).expect("a hint");
    assert!(delay <= Duration::from_secs(1), "computed from the bucket: {delay:?}");
    assert!(details.quota_failure().is_some_and(|quota| !quota.violations.is_empty()), "{status:?}");
    tokio::time::timeout(PATIENCE, tokio::time::sleep(delay + Duration::from_millis(50))).await.expect("a second");
    connection.publish(events(100)).await.expect("the hint was true");

    let large = Event { event_data: format!("{{\"a\":\"{}\"}}", "x".repeat(300 << 10)).into_bytes().into(), ..event() };
    let status = house.refused(vec![large]).await;
    assert_refusal(&status, Code::InvalidArgument, "over_burst", false);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_can_have_limits_of_its_own() {
    let house = House::new().await;
    let (application, _) = house.gateway.demo();
    let registry = house.gateway.registry();
    let mut change = registry.get_application(application).await.expect("it is there");
    change.limits = Limits { events_per_second: Some(10), events_burst: Some(20), ..Limits::default() };
    let change = headgate::registry::NewApplication {
        name: change.name,
        description: change.description,
        limits: change.limits,
        route: change.route,
        environment: change.environment,
    };
    registry.update_application(application, change).await.expect("the registry takes it");
    let mut connection = house.connect().await;
    poll::until("the limit is in force", PATIENCE, async || {
        connection.publish(events(21)).await.err().filter(|status| status.code() == Code::InvalidArgument)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_byte_budget_a_call_is_unavailable_with_a_hint_and_the_budget_comes_back() {
    let house = House::with(|settings| {
        settings.grpc.max_message = Size::kib(64);
        settings.admission.bytes_in_flight = Size::kib(400);
    })
    .await;
    house.destination.hold();
    let large = |kib: usize| {
        let data = format!("{{\"a\":\"{}\"}}", "x".repeat(kib << 10));
        vec![Event { event_data: data.into_bytes().into(), ..event() }]
    };
    let mut connection = house.connect().await;
    let mut first = house.connect().await;
    let waiting = tokio::spawn(async move { first.publish(large(60)).await });
    poll::until("the first batch is held", PATIENCE, async || (house.destination.held() > 0).then_some(())).await;
    let status = connection.publish(large(60)).await.expect_err("the application's share is used up");
    assert_refusal(&status, Code::Unavailable, "over_budget", true);
    assert!(status.get_error_details().quota_failure().is_some(), "{status:?}");
    house.destination.release();
    assert_eq!(waiting.await.expect("it ends").expect("it is stored").accepted, 1);
    connection.publish(large(60)).await.expect("the budget is back");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_cannot_be_read_are_invalid_and_the_connection_goes_on() {
    let house = House::with(|settings| settings.grpc.max_message = Size::kib(64)).await;
    let mut raw = house.raw().await;
    let key = house.target.key.clone();
    let good = PublishEventsRequest { events: vec![event()] }.encode_to_vec();
    let zstd = |data: &[u8]| Bytes::from(zstd::encode_all(data, 3).expect("compresses"));
    let gzip = |data: &[u8]| {
        use std::io::Write;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(data).expect("writes");
        Bytes::from(gzip.finish().expect("finishes"))
    };
    let declared = |length: u32| {
        let mut bytes = vec![0];
        bytes.extend_from_slice(&length.to_be_bytes());
        Bytes::from(bytes)
    };
    let bomb = vec![0; 8 << 20];
    let cases: Vec<BadMessage> = vec![
        ("really too large", vec![], vec![framed(false, &vec![0; 65 << 10])], "message_too_large"),
        ("a length of 4 GiB", vec![], vec![declared(u32::MAX)], "message_too_large"),
        ("a zstd bomb", vec![("grpc-encoding", "zstd")], vec![framed(true, &zstd(&bomb))], "decompressed_too_large"),
        ("a gzip bomb", vec![("grpc-encoding", "gzip")], vec![framed(true, &gzip(&bomb))], "decompressed_too_large"),
        ("broken gzip", vec![("grpc-encoding", "gzip")], vec![framed(true, b"no gzip")], "undecodable"),
        ("broken zstd", vec![("grpc-encoding", "zstd")], vec![framed(true, b"no zstd")], "undecodable"),
        ("compressed without saying how", vec![], vec![framed(true, &good)], "undecodable"),
        ("a bad compression flag", vec![], vec![Bytes::from_static(&[7, 0, 0, 0, 0])], "undecodable"),
        ("no protobuf", vec![], vec![framed(false, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")], "undecodable"),
        ("a truncated frame", vec![], vec![framed(false, &good).slice(..20)], "undecodable"),
        ("no message", vec![], vec![], "undecodable"),
        ("two messages", vec![], vec![framed(false, &good), framed(false, &good)], "undecodable"),
        ("an empty batch", vec![], vec![framed(false, b"")], "empty_batch"),
    ];
    for (name, headers, pieces, row) in cases {
        let (_, status) = raw.publish(&key, &headers, pieces).await;
        println!("{name}: {status:?}");
        assert_refusal(&status, Code::InvalidArgument, row, false);
    }
    let (_, status) = raw.publish(&key, &[("grpc-encoding", "br")], vec![framed(true, &good)]).await;
    assert_refusal(&status, Code::Unimplemented, "unsupported_compression", false);

    // The same message, in one piece and byte by byte, compressed and not.
    let bytes: Vec<_> = framed(false, &good).iter().map(|byte| Bytes::copy_from_slice(&[*byte])).collect();
    for (headers, pieces) in [
        (vec![], vec![framed(false, &good)]),
        (vec![], bytes),
        (vec![("grpc-encoding", "gzip")], vec![framed(true, &gzip(&good))]),
        (vec![("grpc-encoding", "zstd")], vec![framed(true, &zstd(&good))]),
        (vec![("grpc-encoding", "zstd")], vec![framed(false, &good)]),
    ] {
        let (code, status) = raw.publish(&key, &headers, pieces).await;
        assert_eq!(code, Code::Ok, "{status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_past_the_limit_says_the_limit() {
    let house = House::with(|settings| settings.ingest.max_batch = 50).await;
    let status = house.refused(events(51)).await;
    assert_refusal(&status, Code::InvalidArgument, "batch_too_large", false);
    assert!(status.get_error_details().bad_request().is_some_and(|bad| !bad.field_violations.is_empty()));
    assert!(status.message().contains("50"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_ends_the_call() {
    let house = House::with(|settings| settings.grpc.message_timeout = Duration::from_millis(200)).await;
    let mut raw = house.raw().await;
    let headers = [("content-type", "application/grpc"), ("te", "trailers"), ("x-api-key", house.target.key.as_str())];
    for path in [raw::PUBLISH, raw::STREAM] {
        let pieces = vec![Bytes::from_static(&[0, 0, 0, 1, 0, 1, 2, 3])];
        let answer = tokio::time::timeout(PATIENCE, raw.call(Method::POST, path, &headers, pieces, true));
        let response = answer.await.expect("the call is ended").expect("with a status");
        assert_refusal(&response.status.expect("a status"), Code::DeadlineExceeded, "message_timeout", false);
    }
    assert_eq!(house.gateway.metrics().gauge(headgate::metrics::Gauge::BytesInFlight, &[]).get(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_events_in_a_batch_are_rejected_one_by_one() {
    let house = House::new().await;
    let bad = [
        Event { event_id: "no-uuid".to_owned(), ..event() },
        Event { event_type: String::new(), ..event() },
        Event { event_name: "a b".to_owned(), ..event() },
        Event { event_timestamp: None, ..event() },
        Event { event_data: b"[1]".as_slice().into(), ..event() },
        Event { event_data: b"{\"a\":}".as_slice().into(), ..event() },
        Event { event_data: format!("{}1{}", "{\"a\":".repeat(65), "}".repeat(65)).into_bytes().into(), ..event() },
        Event { app_version: "v".repeat(257), ..event() },
        Event { event_data: format!("{{\"a\":\"{}\"}}", "x".repeat(901 << 10)).into_bytes().into(), ..event() },
    ];
    let expected = [
        ("event_id", Reason::NotAUuid),
        ("event_type", Reason::Required),
        ("event_name", Reason::Charset),
        ("event_timestamp", Reason::Required),
        ("event_data", Reason::NotAJsonObject),
        ("event_data", Reason::NotAJsonObject),
        ("event_data", Reason::TooDeep),
        ("app_version", Reason::TooLong),
        ("event_data", Reason::EventTooLarge),
    ];
    let mut batch = vec![event()];
    batch.extend(bad);
    batch.push(event());
    let verdict = house.connect().await.publish(batch).await.expect("the call is fine");
    assert_eq!((verdict.accepted, verdict.rejected, verdict.retry, verdict.unknown), (2, 9, 0, 0));
    for ((position, found), (field, reason)) in (1..).zip(&verdict.not_accepted).zip(expected) {
        assert_eq!((found.index, found.code()), (position, VerdictCode::Rejected));
        assert_eq!((found.field.as_str(), found.reason()), (field, reason), "{found:?}");
        assert!(!found.message.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_destination_refuses_or_leaves_open_is_said_event_by_event() {
    let house = House::new().await;
    let retry_after = Duration::from_millis(750);
    house.destination.answer([
        Outcome::Stored,
        Outcome::NotStored { reason: FailureReason::DestinationUnavailable, retry_after },
        Outcome::Unknown { reason: FailureReason::Deadline },
    ]);
    let verdict = house.connect().await.publish(events(20)).await.expect("the call is fine");
    assert_eq!(verdict.accepted + verdict.retry + verdict.unknown, 20);
    assert!(verdict.accepted > 0 && verdict.retry > 0 && verdict.unknown > 0, "{verdict:?}");
    assert_eq!(verdict.not_accepted.len() as u32, verdict.retry + verdict.unknown);
    for found in &verdict.not_accepted {
        let delay = found.retry_delay.map(|delay| Duration::try_from(delay).expect("not negative"));
        match found.code() {
            VerdictCode::Retry => {
                assert_eq!((found.reason(), delay), (Reason::DestinationUnavailable, Some(retry_after)));
            }
            VerdictCode::Unknown => assert_eq!((found.reason(), delay), (Reason::Deadline, None)),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_down_is_unavailable_with_a_hint() {
    let house = House::new().await;
    let retry_after = Duration::from_millis(600);
    house.destination.set_health(Health::Down { reason: "the test says so".to_owned(), retry_after });
    let status = house.refused(events(1)).await;
    assert_refusal(&status, Code::Unavailable, "destination_down", true);
    assert_eq!(status.get_error_details().retry_info().and_then(|info| info.retry_delay), Some(retry_after));
    assert!(!house.gateway.is_ready().await);
    assert!(house.gateway.is_ready_by_lifecycle().await, "nobody could do better in its place");

    // It works and has too much to do: the same for clients, and nothing to be replaced for.
    house.destination.set_health(Health::Overloaded { reason: "the test says so".to_owned(), retry_after });
    let status = house.refused(events(1)).await;
    assert_refusal(&status, Code::Unavailable, "destination_down", true);
    assert!(house.gateway.is_ready().await);

    // Down only once the batch is in: nothing of it is stored, and it is refused as a whole.
    house.destination.set_health(Health::Up);
    house.destination.answer([Outcome::NotStored { reason: FailureReason::DestinationUnavailable, retry_after }]);
    let status = house.refused(events(1)).await;
    assert_refusal(&status, Code::Unavailable, "destination_down", true);
    house.connect().await.publish(events(1)).await.expect("it is up again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_internal_counted_and_nobody_elses_trouble() {
    let house = House::new().await;
    let mut connection = house.connect().await;
    house.destination.panic_when_asked();
    let status = connection.publish(events(1)).await.expect_err("a bug");
    assert_refusal(&status, Code::Internal, "internal", false);
    let mut stream = connection.stream(4).await.expect("the stream opens");
    let batch = headgate_proto::v1::StreamEventsRequest { sequence: 1, events: events(1) };
    stream.requests.send(batch).await.expect("it is sent");
    let status = stream.answers.message().await.expect_err("a bug");
    assert_refusal(&status, Code::Internal, "internal", false);

    house.destination.set_health(Health::Up);
    connection.publish(events(1)).await.expect("the same connection goes on");
    let metrics = house.gateway.metrics();
    assert_eq!(metrics.counter(headgate::metrics::Counter::Panics, &["call"]).get(), 1);
    assert_eq!(metrics.counter(headgate::metrics::Counter::Panics, &["stream"]).get(), 1);
    assert_eq!(metrics.gauge(headgate::metrics::Gauge::BytesInFlight, &[]).get(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_gateway_answers_what_it_took_and_ends_streams_with_a_hint() {
    let house = House::with(|settings| settings.lifecycle.drain_grace = Duration::from_millis(400)).await;
    let House { gateway, destination, target, data: _data } = house;
    destination.hold();
    let mut connection = Connection::open(&target).await.expect("it listens");
    let mut stream = connection.stream(4).await.expect("the stream opens");
    let batch = headgate_proto::v1::StreamEventsRequest { sequence: 9, events: events(1) };
    stream.requests.send(batch).await.expect("it is sent");
    let mut unary = connection.clone();
    let call = tokio::spawn(async move { unary.publish(events(1)).await });
    poll::until("both batches are held", PATIENCE, async || (destination.held() >= 1).then_some(())).await;
    let in_flight =
        gateway.metrics().counter(headgate::metrics::Counter::BatchesReceived, &[&gateway.demo().0.to_string()]);
    poll::until("both batches are in", PATIENCE, async || (in_flight.get() == 2).then_some(())).await;
    let stopping = tokio::spawn(gateway.stop());

    let notice = stream.answers.message().await.expect("the stream goes on").expect("a message");
    use headgate_proto::v1::stream_events_response::Answer;
    use headgate_proto::v1::stream_notice::Kind;
    match notice.answer {
        Some(Answer::Notice(notice)) => assert_eq!(notice.kind(), Kind::Draining),
        other => panic!("{other:?}"),
    }
    destination.release();
    let answer = stream.answers.message().await.expect("what was taken is answered").expect("a message");
    assert_eq!(answer.sequence, 9);
    assert!(matches!(answer.answer, Some(Answer::Verdict(verdict)) if verdict.accepted == 1));
    let status = stream.answers.message().await.expect_err("the stream is ended");
    assert_refusal(&status, Code::Unavailable, "draining", true);
    assert_eq!(call.await.expect("it ends").expect("what was taken is answered").accepted, 1);
    assert_eq!(stopping.await.expect("it stops"), Stopped::Clean);
    assert!(Connection::open(&target).await.is_err(), "nobody listens any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_grpc_call_is_answered_in_terms_of_http() {
    let house = House::new().await;
    let mut raw = house.raw().await;
    let grpc = [("content-type", "application/grpc")];
    let get = raw.call(Method::GET, raw::PUBLISH, &grpc, Vec::new(), false).await.expect("answered");
    assert_eq!(get.http, 405);
    let json = [("content-type", "application/json")];
    let json = raw.call(Method::POST, raw::PUBLISH, &json, Vec::new(), false).await.expect("answered");
    assert_eq!(json.http, 415);
    let path = "/headgate.v1.IngestService/NoSuchMethod";
    let unknown = raw.call(Method::POST, path, &grpc, Vec::new(), false).await.expect("answered");
    assert_eq!(unknown.status.map(|status| status.code()), Some(Code::Unimplemented));
}
