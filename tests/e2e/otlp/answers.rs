//! What both doors of OTLP answer, each row of their table provoked over the wire.

use std::sync::Arc;
use std::time::Duration;

use headgate::config::Settings;
use headgate::config::units::Size;
use headgate::delivery::Health;
use headgate::gather::{FailureReason, Outcome};
use headgate::serve::Ground;
use headgate_tests::client::Target;
use headgate_tests::destination::Scripted;
use headgate_tests::inproc::InProcess;
use headgate_tests::poll;
use headgate_tests::raw::{RawConnection, RawResponse, framed};
use headgate_tests::rest::{RestAnswer, RestClient};
use http::Method;
use prost::encoding::encode_varint;
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::Code;
use tonic_types::StatusExt;

use crate::PATIENCE;

pub(super) const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

pub(super) struct House {
    pub(super) gateway: InProcess,
    pub(super) destination: Arc<Scripted>,
    client: RestClient,
    pub(super) target: Target,
    pub(super) _data: TempDir,
}

impl House {
    pub(super) async fn with(adjust: impl FnOnce(&mut Settings)) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let destination = Scripted::new();
        let ground = Ground { destination: Some(Arc::clone(&destination) as _), ..Ground::default() };
        let gateway = InProcess::start_on(data.path(), ground, adjust).await;
        let (_, target) = gateway.demo();
        let client = RestClient::new(gateway.rest_address());
        Self { gateway, destination, client, target, _data: data }
    }

    pub(super) async fn post(&self, records: &[Value]) -> RestAnswer {
        let headers = [("x-api-key", self.target.key.as_str()), ("content-type", "application/json")];
        self.client.send(Method::POST, "/v1/logs", &headers, request(records)).await
    }
}

pub(super) fn request(records: &[Value]) -> String {
    json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).to_string()
}

pub(super) fn record(name: &str) -> Value {
    json!({"timeUnixNano": "1737927950250000000", "eventName": name})
}

/// A field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    encode_varint(bytes.len() as u64, &mut field);
    field.extend_from_slice(bytes);
    field
}

/// A request with one record of this name, in protobuf.
pub(super) fn named(name: &str) -> Vec<u8> {
    let time = [&[1 << 3 | 1][..], &1_737_927_950_250_000_000_u64.to_le_bytes()].concat();
    protobuf(&[time, field(12, name.as_bytes())].concat())
}

/// A request with one record.
fn protobuf(record: &[u8]) -> Vec<u8> {
    field(1, &field(2, &field(2, record)))
}

pub(super) async fn export(connection: &mut RawConnection, key: Option<&str>, message: &[u8]) -> RawResponse {
    let mut headers = vec![("content-type", "application/grpc"), ("te", "trailers")];
    headers.extend(key.map(|key| ("x-api-key", key)));
    let call = connection.call(Method::POST, EXPORT, &headers, vec![framed(false, message)], false);
    call.await.expect("it is answered")
}

pub(super) fn assert_refused(answer: &RestAnswer, status: u16, code: Code, hint: bool) {
    assert_eq!((answer.status.as_u16(), answer.json()["code"].as_i64()), (status, Some(code as i64)), "{answer:?}");
    let seconds = answer.header("retry-after").parse::<u64>().ok();
    assert_eq!(seconds.is_some_and(|seconds| seconds >= 1), hint, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_break_a_rule_are_a_partial_success_and_the_others_are_stored() {
    let house = House::with(|_| {}).await;
    let answer = house.post(&[record("a"), record(""), record("b"), json!({"eventName": "c"})]).await;
    assert_eq!(answer.status, 200);
    let partial = &answer.json()["partialSuccess"];
    assert_eq!(partial["rejectedLogRecords"], "2");
    let said = partial["errorMessage"].as_str().expect("a text");
    assert!(said.contains("record 1: event_name is required"), "{said}");
    assert!(said.contains("record 3: event_timestamp is required"), "{said}");
    assert_eq!(house.post(&[record("a")]).await.text, "{}");
    assert_eq!(house.post(&[]).await.text, "{}", "who has nothing to say has said it");
    assert_eq!(house.client.send(Method::OPTIONS, "/v1/logs", &[], "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_retry_can_help_has_a_hint_and_what_it_cannot_has_none() {
    let house = House::with(|settings| {
        settings.admission.events_per_second = 1;
        settings.admission.events_burst = 10;
        settings.ingest.max_batch = 100;
        settings.rest.max_body = Size::kib(64);
    })
    .await;
    let records = |count: usize| vec![record("a"); count];
    assert_refused(&house.post(&records(101)).await, 400, Code::InvalidArgument, false);
    assert_refused(&house.post(&records(11)).await, 400, Code::InvalidArgument, false);
    // As an event each of these characters takes six bytes.
    let body = field(5, &field(1, &[1; 20 << 10]));
    let growing = protobuf(&[field(12, b"a"), body].concat());
    let headers = [("x-api-key", house.target.key.as_str()), ("content-type", "application/x-protobuf")];
    let answer = house.client.send(Method::POST, "/v1/logs", &headers, growing).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (413, "application/x-protobuf"));
    assert_eq!(house.post(&records(9)).await.status, 200);
    assert_refused(&house.post(&records(9)).await, 429, Code::ResourceExhausted, true);
    let large = json!({"eventName": "a", "body": {"stringValue": "x".repeat(65 << 10)}});
    assert_refused(&house.post(&[large]).await, 413, Code::InvalidArgument, false);
    let retry_after = Duration::from_millis(200);
    house.destination.set_health(Health::Down { reason: "by order".to_owned(), retry_after });
    assert_refused(&house.post(&records(1)).await, 503, Code::Unavailable, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_which_a_part_is_not_stored_is_to_be_sent_again_and_stored_once() {
    let house = House::with(|_| {}).await;
    // So large that each record has a bucket of its own.
    let records: Vec<Value> = (0..3)
        .map(|number| {
            let mut record = record(&format!("event.{number}"));
            record["body"] = json!({"stringValue": "x".repeat(2_000)});
            record
        })
        .collect();
    let retry_after = Duration::from_millis(1_500);
    let not_stored = Outcome::NotStored { reason: FailureReason::DestinationUnavailable, retry_after };
    let unknown = Outcome::Unknown { reason: FailureReason::Deadline };
    house.destination.answer([Outcome::Stored, not_stored, unknown]);
    let answer = house.post(&records).await;
    assert_refused(&answer, 503, Code::Unavailable, true);
    assert_eq!(answer.header("retry-after"), "2", "the longest hint, in whole seconds");
    let said = answer.json()["message"].as_str().unwrap_or_default().to_owned();
    assert!(said.starts_with("2 events are not stored, or not known to be, and 1 are"), "{said}");

    assert_eq!(house.post(&records).await.text, "{}");
    let metrics = house.gateway.metrics().encode().expect("encodes");
    let (application, _) = house.gateway.demo();
    let duplicates = format!("headgate_events_duplicate_total{{application=\"{application}\"}} 1");
    assert!(metrics.contains(&duplicates), "the one that was stored is known: {metrics}");
    assert_eq!(house.post(&records[..1]).await.text, "{}", "another request has other ids");
    let metrics = house.gateway.metrics().encode().expect("encodes");
    assert!(metrics.contains(&duplicates), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_comes_first_and_then_the_format() {
    let house = House::with(|_| {}).await;
    let body = request(&[record("a")]);
    let send =
        async |headers: &[(&str, &str)], body: String| house.client.send(Method::POST, "/v1/logs", headers, body).await;
    let json = ("content-type", "application/json");
    assert_refused(&send(&[json], body.clone()).await, 403, Code::Unauthenticated, false);
    assert_refused(&send(&[json, ("x-api-key", "wrong")], body.clone()).await, 403, Code::Unauthenticated, false);
    let bearer = format!("Bearer {}", house.target.key);
    assert_eq!(send(&[json, ("authorization", &bearer)], body.clone()).await.text, "{}");
    let key = ("x-api-key", house.target.key.as_str());
    let plain = ("content-type", "text/plain");
    assert_eq!(send(&[plain], body.clone()).await.error().0, 403, "whoever has no key is not told the formats");
    assert_eq!(send(&[key, plain], body.clone()).await.error().0, 415);
    assert_eq!(send(&[key], body.clone()).await.error().0, 415);
    let metrics = house.gateway.metrics().encode().expect("encodes");
    assert!(metrics.contains("headgate_refusals_total{refusal=\"unsupported_media_type\"} 2"), "{metrics}");
    let broken = send(&[key, json], body[..body.len() - 3].to_owned()).await;
    assert_refused(&broken, 400, Code::InvalidArgument, false);
    assert!(broken.json()["message"].as_str().is_some_and(|said| said.contains("line 1 column")), "{broken:?}");
    let protobuf = send(&[key, ("content-type", "application/x-protobuf")], "no protobuf".to_owned()).await;
    assert_eq!((protobuf.status.as_u16(), protobuf.header("content-type")), (400, "application/x-protobuf"));
    assert!(protobuf.text.contains("the message can't be decoded"), "{protobuf:?}");
    // A stage of this name is AWS's API still.
    assert_eq!(house.client.send(Method::OPTIONS, "/v1/applications", &[], "").await.status, 200);
    assert_eq!(house.client.send(Method::GET, "/v1/logs", &[], "").await.error().0, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_answers_in_its_own_terms() {
    let house = House::with(|settings| {
        settings.admission.events_per_second = 1;
        settings.admission.events_burst = 3;
    })
    .await;
    let mut connection = RawConnection::open(house.target.address).await;
    let key = Some(house.target.key.as_str());
    // A request without records takes the place of one.
    for (key, message, code) in [
        (key, &b""[..], Code::Ok),
        (key, &[0x0a, 9], Code::InvalidArgument),
        (None, b"", Code::Unauthenticated),
        (Some("wrong"), b"", Code::Unauthenticated),
    ] {
        let status = export(&mut connection, key, message).await.status.expect("a status");
        assert_eq!(status.code(), code, "{status:?}");
    }
    let two = [named("match.started"), named("match.ended")].concat();
    let stored = export(&mut connection, key, &two).await;
    assert_eq!(stored.status.expect("a status").code(), Code::Ok);
    assert_eq!(stored.body, framed(false, &[]), "nothing was rejected");
    let refused = export(&mut connection, key, &named("match.started")).await.status.expect("a status");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let hint = refused.get_error_details().retry_info().and_then(|info| info.retry_delay);
    assert!(hint.is_some_and(|delay| delay > Duration::ZERO), "OTLP retries it only with a hint");
}

/// Two bytes each: what they would be as structures, or as events with the resource's version in each of them, nobody
/// makes of them.
#[tokio::test(flavor = "multi_thread")]
async fn millions_of_empty_records_are_one_refusal_and_hold_nothing() {
    let house = House::with(|_| {}).await;
    let records = field(2, &[0x12, 0].repeat(2_000_000));
    let attribute = |key: &[u8], text: &[u8]| field(1, &[field(1, key), field(2, &field(1, text))].concat());
    let version = field(1, &attribute(b"service.version", &vec![b'1'; 64 << 10]));
    let mut connection = RawConnection::open(house.target.address).await;
    let key = Some(house.target.key.as_str());
    let refused = export(&mut connection, key, &field(1, &records)).await.status.expect("a status");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("2000000 events in one batch"), "{refused:?}");
    // Each of these is an event that is rejected, and none of them has a copy of the version.
    let many = field(1, &[version, field(2, &[0x12, 0].repeat(10_000))].concat());
    assert_eq!(export(&mut connection, key, &many).await.status.expect("a status").code(), Code::Ok);
    let held = async || {
        let text = house.gateway.metrics().encode().expect("encodes");
        text.contains("\nheadgate_in_flight_bytes 0\n").then_some(())
    };
    poll::until("every byte is given back", PATIENCE, held).await;
    assert_eq!(house.post(&[record("a")]).await.text, "{}", "others are served on");
}

/// What a little of gzip becomes, and a text whose every byte an error would show as six, are refused in a short answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_and_a_long_text_in_a_wrong_place_are_short_refusals_and_hold_nothing() {
    let house = House::with(|_| {}).await;
    let key = ("x-api-key", house.target.key.as_str());
    for (kind, bytes) in [("application/json", vec![b' '; 64 << 20]), ("application/x-protobuf", vec![0; 64 << 20])] {
        let headers = [key, ("content-type", kind), ("content-encoding", "gzip")];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut gzip, &bytes).expect("writes");
        let bomb = gzip.finish().expect("finishes");
        assert!(bomb.len() < 1 << 20);
        let answer = house.client.send(Method::POST, "/v1/logs", &headers, bomb).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (413, kind));
    }
    let mut long = record("a");
    long["traceId"] = json!("\u{7f}".repeat(9 << 20));
    let answer = house.post(&[long]).await;
    assert_refused(&answer, 400, Code::InvalidArgument, false);
    assert!(answer.text.len() < 1 << 10, "{} bytes", answer.text.len());
    let held = async || {
        let text = house.gateway.metrics().encode().expect("encodes");
        text.contains("\nheadgate_in_flight_bytes 0\n").then_some(())
    };
    poll::until("every byte is given back", PATIENCE, held).await;
}

/// A destination that is down, and a rate that is used up, are asked before the records are read: what is wrong with them
/// nobody has found out.
#[tokio::test(flavor = "multi_thread")]
async fn health_and_rate_come_before_the_records() {
    let house = House::with(|settings| {
        settings.admission.events_per_second = 1;
        settings.admission.events_burst = 1_000;
        settings.admission.bytes_burst = Size::mib(8);
    })
    .await;
    let retry_after = Duration::from_millis(200);
    house.destination.set_health(Health::Down { reason: "by order".to_owned(), retry_after });
    let headers = [("x-api-key", house.target.key.as_str()), ("content-type", "application/x-protobuf")];
    // As events too large for the door: 413 is what reading them says.
    let large = field(2, &[field(12, b"a"), field(5, &field(1, &[1; 100 << 10]))].concat());
    let growing = field(1, &field(2, &[large.repeat(20), [0x12, 0].repeat(980)].concat()));
    let post = async |body: Vec<u8>| house.client.send(Method::POST, "/v1/logs", &headers, body).await.status;
    assert_eq!(post(growing.clone()).await, 503);
    house.destination.set_health(Health::Up);
    assert_eq!(house.post(&vec![record("a"); 1_000]).await.text, "{}");
    assert_eq!(post(growing).await, 429);
    assert_eq!(post(field(3, &vec![0; 9 << 20])).await, 400, "nothing to say, and more bytes than the burst");
}

/// Clients that go away behind the headers, in the middle of the body, and while they wait for the verdict: nothing is held
/// for them, what was taken is stored, and sent again it is known.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_go_away_at_any_moment() {
    use tokio::io::AsyncWriteExt;
    let house = House::with(|_| {}).await;
    let body = request(&[record("a"), record("b")]);
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        house.target.key,
        body.len()
    );
    let metric = |line: &str| {
        let text = house.gateway.metrics().encode().expect("encodes");
        text.contains(&format!("\n{line}\n"))
    };
    let nothing_held = async || metric("headgate_in_flight_bytes 0").then_some(());
    for sent in [head.clone(), format!("{head}{}", &body[..body.len() / 2])] {
        let mut socket = tokio::net::TcpStream::connect(house.gateway.rest_address()).await.expect("it listens");
        socket.write_all(sent.as_bytes()).await.expect("it is sent");
        poll::until("it has come", PATIENCE, async || (!metric("headgate_in_flight_bytes 0")).then_some(())).await;
        drop(socket);
        poll::until("every byte is given back", PATIENCE, nothing_held).await;
    }
    house.destination.hold();
    let mut socket = tokio::net::TcpStream::connect(house.gateway.rest_address()).await.expect("it listens");
    socket.write_all(format!("{head}{body}").as_bytes()).await.expect("it is sent");
    poll::until("it is taken", PATIENCE, async || (house.destination.held() > 0).then_some(())).await;
    drop(socket);
    house.destination.release();
    poll::until("every byte is given back", PATIENCE, nothing_held).await;
    assert_eq!(house.post(&[record("a"), record("b")]).await.text, "{}");
    let (application, _) = house.gateway.demo();
    assert!(metric(&format!("headgate_events_duplicate_total{{application=\"{application}\"}} 2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn turned_off_there_is_no_such_service() {
    let house = House::with(|settings| settings.otlp.enabled = false).await;
    assert_eq!(house.post(&[record("a")]).await.error().0, 404);
    let mut connection = RawConnection::open(house.target.address).await;
    let answer = export(&mut connection, Some(&house.target.key), b"").await;
    assert_eq!(answer.status.expect("a status").code(), Code::Unimplemented);
}
