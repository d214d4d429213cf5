//! gRPC-Web: stock clients in Node and in a real browser, the preflights of pages, and what is refused.

mod slow;

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use headgate_proto::v1::{PublishEventsRequest, PublishEventsResponse};
use headgate_tests::events::login;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::rest::{RestAnswer, RestClient};
use headgate_tests::{binary, lake, node, python};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prost::Message;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::browser::Browser;

const PUBLISH: &str = "/headgate.v1.IngestService/PublishEvents";
pub(crate) const TEXT: &str = "application/grpc-web-text";
const BATCHES: u64 = 10;
const SIZE: u64 = 50;
const PATIENCE: Duration = Duration::from_secs(60);
/// The first byte of a frame with trailers.
const TRAILERS: u8 = 0x80;

fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/grpc_web")
}

pub(crate) fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    [&[flag][..], &length, message].concat()
}

/// The frames of an answer in text. Its pieces are Base64 each for itself: there may be padding in the middle.
pub(crate) fn frames(answer: &RestAnswer) -> Vec<(u8, Vec<u8>)> {
    let groups = answer.text.as_bytes().chunks(4);
    let bytes: Vec<u8> = groups.flat_map(|group| STANDARD.decode(group).expect("Base64")).collect();
    let (mut rest, mut frames) = (bytes.as_slice(), Vec::new());
    while let [flag, a, b, c, d, more @ ..] = rest {
        let (message, behind) = more.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        frames.push((*flag, message.to_vec()));
        rest = behind;
    }
    frames
}

pub(crate) async fn publish(client: &RestClient, key: &str, more: &[(&str, &str)], body: String) -> RestAnswer {
    let headers = [&[("content-type", TEXT), ("accept", TEXT), ("x-grpc-web", "1"), ("x-api-key", key)], more].concat();
    client.send(Method::POST, PUBLISH, &headers, body).await
}

fn one_event() -> String {
    STANDARD.encode(frame(0, &PublishEventsRequest { events: vec![login()] }.encode_to_vec()))
}

/// Every event that a stock client was told is accepted is in the lake.
async fn assert_in_lake(gateway: &mut GatewayProcess, events: u64) {
    assert!(gateway.terminate(Duration::from_secs(25)).await.success());
    let compacted = binary::run_json(gateway.data_dir(), &["lake", "compact"]);
    assert_eq!(compacted["failed"], json!([]), "{compacted}");
    let number = |row: &lake::Row| {
        let data: Value = serde_json::from_slice(row.event_data.as_ref().expect("data").data()).expect("JSON");
        assert_eq!(data["text"], "über 漢字");
        data["n"].as_u64().expect("its number")
    };
    let mut numbers: Vec<u64> = lake::rows(&gateway.lake()).iter().map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..events).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_clients_in_node_publish_in_binary_and_in_text() {
    let folder = node::grpc_web();
    for file in ["client.mjs", "node.mjs"] {
        fs::copy(files().join(file), folder.join(file)).expect("a file can be copied");
    }
    let data = tempfile::tempdir().expect("a folder");
    let mut gateway = GatewayProcess::start(data.path(), &[]).await;
    let (_, target) = gateway.demo();
    let mut client = Command::new("node");
    client.arg(folder.join("node.mjs")).args([format!("http://{}", gateway.rest()), target.key]);
    client.args([BATCHES.to_string(), SIZE.to_string()]);
    let said = tokio::task::spawn_blocking(move || python::run(&mut client)).await.expect("a command can be run");
    let report: Value = serde_json::from_str(&said.expect("everything is accepted")).expect("JSON");
    let (events, unauthenticated) = (BATCHES * SIZE, 16);
    let expected = json!({
        "binary": {"accepted": events, "refused": "Unauthenticated"},
        "text": {"accepted": events, "refused": unauthenticated},
    });
    assert_eq!(report, expected);
    let metrics = gateway.metrics().await;
    #[allow(clippy::cast_precision_loss, reason = "small")]
    let batches = 2.0 * BATCHES as f64;
    assert_eq!(metrics.sum("headgate_door_batches_total", &["door=\"grpc_web\""]), batches);
    assert_in_lake(&mut gateway, 2 * events).await;
}

/// A page on another port of this machine: a real browser asks before it calls, and reads the answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_an_allowed_origin_publishes_from_a_real_browser_and_another_does_not() {
    let folder = node::grpc_web();
    let page = serve(vec![files(), folder.to_owned()]).await;
    for (origins, allowed) in [("[\"loopback\"]", true), ("[\"https://play.example.com\"]", false)] {
        let data = tempfile::tempdir().expect("a folder");
        let mut gateway = GatewayProcess::start(data.path(), &[&format!("grpc_web.origins={origins}")]).await;
        let (_, target) = gateway.demo();
        let call = format!("publish('http://{}', '{}', 0, {BATCHES}, {SIZE}), true", gateway.rest(), target.key);
        let report = tokio::task::spawn_blocking(move || publish_from(page, &call)).await.expect("a browser");
        if allowed {
            assert_eq!(report, json!({"accepted": BATCHES * SIZE, "refused": "Unauthenticated"}));
            assert_in_lake(&mut gateway, BATCHES * SIZE).await;
        } else {
            assert!(report["error"].as_str().is_some_and(|error| error.contains("Failed to fetch")), "{report}");
            assert_eq!(gateway.metrics().await.sum("headgate_batches_received_total", &[]), 0.0);
        }
    }
}

fn publish_from(page: SocketAddr, call: &str) -> Value {
    let mut browser = Browser::start();
    browser.visit(&format!("http://{page}/page.html"));
    let started = Instant::now();
    // Modules are run once they and all that they import are there, which may be after the page's load.
    while browser.evaluate("typeof globalThis.publish") != "function" {
        assert!(started.elapsed() < PATIENCE, "{:?}", browser.complaints());
        std::thread::sleep(Duration::from_millis(20));
    }
    browser.evaluate(call);
    loop {
        let report = browser.evaluate("globalThis.report ?? null");
        if !report.is_null() {
            return report;
        }
        assert!(started.elapsed() < PATIENCE, "{:?}", browser.complaints());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Serves the files of the first of these folders that has them.
async fn serve(folders: Vec<PathBuf>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    drop(tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let folders = folders.clone();
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let path = request.uri().path().trim_start_matches('/').to_owned();
                let file = folders.iter().map(|folder| folder.join(&path)).find(|file| file.is_file());
                let kind = if path.ends_with(".html") { "text/html" } else { "text/javascript" };
                let bytes = file.and_then(|file| fs::read(file).ok());
                let status = if bytes.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
                let response = Response::builder().status(status).header("content-type", kind);
                let response = response.body(Full::new(Bytes::from(bytes.unwrap_or_default())));
                async move { Ok::<_, Infallible>(response.expect("a good header")) }
            });
            drop(tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service)));
        }
    }));
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_a_message_and_its_status_in_the_body() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = GatewayProcess::start(data.path(), &["grpc.max_message=64KiB"]).await;
    let (_, target) = gateway.demo();
    for client in [RestClient::new(gateway.rest()), RestClient::http2(gateway.rest())] {
        let answer = publish(&client, &target.key, &[], one_event()).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/grpc-web-text+proto"));
        let frames = frames(&answer);
        let [(0, message), (TRAILERS, trailers)] = frames.as_slice() else { panic!("{frames:?}") };
        let response = PublishEventsResponse::decode(message.as_slice()).expect("a response");
        assert_eq!(response.verdict.expect("a verdict").accepted, 1);
        assert_eq!(String::from_utf8_lossy(trailers).trim(), "grpc-status:0");

        // A status alone is in the headers.
        let status = async |key: &str, body: String| {
            let answer = publish(&client, key, &[], body).await;
            assert_eq!(answer.status, 200);
            (answer.header("grpc-status").to_owned(), answer.header("grpc-message").to_owned())
        };
        assert_eq!(status("wrong", one_event()).await.0, "16");
        let large = status(&target.key, STANDARD.encode(frame(0, &[0; 65 << 10]))).await;
        assert!(large.0 == "3" && large.1.contains("limit"), "{large:?}");
        assert_eq!(status(&target.key, "no Base64!".to_owned()).await.0, "3");
        assert_eq!(status(&target.key, String::new()).await.0, "3");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_may_be_compressed_name_its_type_in_any_case_and_come_from_everywhere_where_that_is_allowed() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = GatewayProcess::start(data.path(), &["grpc_web.origins=[\"*\"]"]).await;
    let (_, target) = gateway.demo();
    let key = ("x-api-key", target.key.as_str());
    let message = PublishEventsRequest { events: vec![login()] }.encode_to_vec();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, &message).expect("writes");
    let gzip = frame(1, &gzip.finish().expect("finishes"));
    for client in [RestClient::new(gateway.rest()), RestClient::http2(gateway.rest())] {
        let send = async |kind: &str, more: &[(&str, &str)], body: Vec<u8>| {
            let headers = [&[key, ("content-type", kind), ("origin", "https://any.example")], more].concat();
            client.send(Method::POST, PUBLISH, &headers, body).await
        };
        let answer = send("application/grpc-web", &[("grpc-encoding", "gzip")], gzip.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/grpc-web+proto"));
        assert!(answer.text.contains("grpc-status:0"), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), "https://any.example");
        let text = STANDARD.encode(frame(0, &message)).into_bytes();
        let answer = send("Application/GRPC-Web-Text; charset=utf-8", &[("accept", "*/*")], text).await;
        assert_eq!(answer.header("content-type"), "application/grpc-web-text+proto");
        assert!(matches!(frames(&answer).as_slice(), [(0, _), (TRAILERS, _)]), "{answer:?}");
        for kind in ["application/grpc-web+json", "application/grpc-webx", "application/grpc", "text/plain"] {
            let answer = send(kind, &[], frame(0, &message)).await;
            assert_eq!(answer.error().0, 415, "{kind}");
            assert_eq!(answer.header("access-control-allow-origin"), "https://any.example");
        }
    }
    let metrics = gateway.metrics().await;
    assert_eq!(metrics.sum("headgate_refusals_total", &["refusal=\"unsupported_media_type\""]), 8.0);
    assert_eq!(metrics.sum("headgate_door_batches_total", &["door=\"grpc_web\""]), 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn preflights_and_calls_are_for_pages_of_allowed_origins() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = GatewayProcess::start(data.path(), &["grpc_web.origins=[\"https://play.example.com\"]"]).await;
    let (_, target) = gateway.demo();
    let client = RestClient::new(gateway.rest());
    let asks =
        [("access-control-request-method", "POST"), ("access-control-request-headers", "content-type,x-api-key")];
    let preflight = async |origin: &str| {
        let headers = [&[("origin", origin)], &asks[..]].concat();
        client.send(Method::OPTIONS, PUBLISH, &headers, "").await
    };
    let allowed = preflight("https://play.example.com").await;
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-origin"), "https://play.example.com");
    assert_eq!(allowed.header("access-control-allow-methods"), "POST");
    let may_send: Vec<_> = allowed.header("access-control-allow-headers").split(',').collect();
    assert!(["content-type", "x-api-key", "x-sent-at"].iter().all(|header| may_send.contains(header)), "{may_send:?}");
    assert_eq!(allowed.header("vary"), "Origin");
    let called = publish(&client, &target.key, &[("origin", "https://play.example.com")], one_event()).await;
    assert_eq!(called.header("access-control-allow-origin"), "https://play.example.com");
    assert!(called.header("access-control-expose-headers").contains("grpc-status"));
    for origin in ["https://other.example.com", "http://localhost:3000", "null"] {
        let called = publish(&client, &target.key, &[("origin", origin)], one_event()).await;
        for denied in [preflight(origin).await, called] {
            assert_eq!(denied.error(), (403, "AccessDenied".to_owned()), "{origin}");
            assert_eq!(denied.header("access-control-allow-origin"), "", "{origin}");
        }
    }
    assert_eq!(gateway.metrics().await.sum("headgate_refusals_total", &["refusal=\"origin_denied\""]), 6.0);
    // Whoever names no origin is no page.
    let called = publish(&client, &target.key, &[], one_event()).await;
    assert_eq!((called.status.as_u16(), called.header("access-control-allow-origin")), (200, ""));
    let plain = [("content-type", "application/grpc"), ("x-api-key", target.key.as_str())];
    assert_eq!(client.send(Method::POST, PUBLISH, &plain, "").await.error().0, 415);
    assert_eq!(client.send(Method::GET, PUBLISH, &[], "").await.error().0, 405);
    let stream = "/headgate.v1.IngestService/StreamEvents";
    assert_eq!(client.send(Method::POST, stream, &[("content-type", TEXT)], "").await.error().0, 404);
}
