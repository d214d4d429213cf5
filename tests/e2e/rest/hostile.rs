//! Clients that lie, dawdle or flood: a typed answer where one is possible, bounded cost, and no effect on others.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use headgate::delivery::lake::OsFiles;
use headgate_tests::events::login;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::inproc::InProcess;
use headgate_tests::poll;
use headgate_tests::rest::{RestClient, body};
use http::Method;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::PATIENCE;
use crate::tls::Authority;

/// Sends these bytes and reads whatever comes until the gateway closes.
async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.expect("it listens");
    socket.write_all(bytes).await.expect("it is sent");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
    let _ = read.expect("the gateway closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

fn head(path: &str, key: &str, more: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: {key}\r\n{more}\r\n")
}

/// A gateway that is short of patience, its demo application's route, and the key.
async fn impatient(data: &Path, settings: &[&str]) -> (GatewayProcess, String, String) {
    let patience = ["rest.handshake_timeout=500ms", "rest.body_timeout=500ms", "rest.max_body=64KiB"];
    let gateway = GatewayProcess::start(data, &[&patience[..], settings].concat()).await;
    let (application, target) = gateway.demo();
    (gateway, format!("/applications/{application}/events"), target.key)
}

fn assert_answer(answer: &str, status: u16, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer:?}");
    assert!(answer.contains(&format!(r#"{{"error":"{code}""#)), "{answer:?}");
    assert!(answer.to_ascii_lowercase().contains("access-control-allow-origin: *"), "{answer:?}");
}

/// An answer holds its bytes of the budget until it has left, a moment after its client has it.
async fn assert_all_given_back(gateway: &GatewayProcess) {
    poll::until("all bytes of the budget are given back", PATIENCE, async || {
        (gateway.metrics().await.sum("headgate_in_flight_bytes", &[]) == 0.0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_or_says_it_slowly_is_let_go() {
    let data = tempfile::tempdir().expect("a folder");
    let (gateway, path, key) = impatient(data.path(), &[]).await;
    for opening in ["", "P", "POST /applications HTTP/1.1\r\nhost: ga", "PRI * HTTP/2.0\r\n\r\nSM"] {
        assert_eq!(raw(gateway.rest(), opening.as_bytes()).await, "", "{opening:?}");
    }
    let slow = head(&path, &key, "content-length: 100\r\n") + "{\"events\":";
    assert_answer(&raw(gateway.rest(), slow.as_bytes()).await, 408, "RequestTimeout");
    let slow = head(&path, &key, "transfer-encoding: chunked\r\n") + "5\r\n{\"eve";
    assert_answer(&raw(gateway.rest(), slow.as_bytes()).await, 408, "RequestTimeout");
    let client = RestClient::new(gateway.rest());
    assert_eq!(client.post(&path, &key, body(&[login()])).await.status, 200);
    assert_all_given_back(&gateway).await;
    let scrape = gateway.metrics().await;
    assert!(scrape.sum("headgate_connections_refused_total", &["cause=\"timeout\""]) >= 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_large_are_413_and_those_that_lie_are_refused() {
    let data = tempfile::tempdir().expect("a folder");
    let (gateway, path, key) = impatient(data.path(), &[]).await;
    // Nothing of it was sent: nobody waited for it.
    let declared = head(&path, &key, "content-length: 99999999\r\n");
    assert_answer(&raw(gateway.rest(), declared.as_bytes()).await, 413, "RequestEntityTooLarge");
    let mut chunked = head(&path, &key, "transfer-encoding: chunked\r\nconnection: close\r\n").into_bytes();
    for _ in 0..5 {
        chunked.extend_from_slice(format!("4000\r\n{}\r\n", "x".repeat(0x4000)).as_bytes());
    }
    assert_answer(&raw(gateway.rest(), &chunked).await, 413, "RequestEntityTooLarge");
    // Whoever has no key is not read either.
    let stranger = head(&path, "nobody-has-this-key", "content-length: 60000\r\n");
    assert_answer(&raw(gateway.rest(), stranger.as_bytes()).await, 403, "AccessDenied");

    let client = RestClient::new(gateway.rest());
    let compressed = |encoding: &'static str, bytes: Vec<u8>| {
        let (client, path, key) = (client.clone(), path.clone(), key.clone());
        async move {
            let headers = [("authorization", key.as_str()), ("content-encoding", encoding)];
            client.send(Method::POST, &path, &headers, bytes).await.error()
        }
    };
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![b' '; 10 << 20]).expect("a vector takes it");
    let gzip = gzip.finish().expect("a vector takes it");
    let zstd = zstd::encode_all(vec![b' '; 10 << 20].as_slice(), 3).expect("compresses");
    let too_large = || (413, "RequestEntityTooLarge".to_owned());
    assert_eq!(compressed("gzip", gzip.clone()).await, too_large());
    assert_eq!(compressed("zstd", zstd).await, too_large());
    assert_eq!(compressed("gzip", gzip[..gzip.len() / 2].to_vec()).await.0, 413, "it is too large before it ends");
    assert_eq!(compressed("gzip", b"no gzip".to_vec()).await, (400, "BadRequest".to_owned()));
    assert_eq!(compressed("br", b"x".to_vec()).await, (415, "UnsupportedMediaType".to_owned()));

    let deep = format!(r#"{{"events":{}}}"#, "[".repeat(60_000));
    assert_eq!(client.post(&path, &key, deep).await.error(), (400, "BadRequest".to_owned()));
    let nested = format!("{}{}", "{\"a\":".repeat(10_000), "1");
    assert_eq!(client.post(&path, &key, nested).await.error(), (400, "BadRequest".to_owned()));

    let token = std::fs::read_to_string(data.path().join("admin-token")).expect("a first start makes one");
    let administrator = format!("Bearer {}", token.trim());
    let large = format!(r#"{{"Name":"{}"}}"#, "x".repeat(70_000));
    let headers = [("authorization", administrator.as_str())];
    assert_eq!(client.send(Method::POST, "/applications", &headers, large).await.error(), too_large());
    assert_eq!(client.post(&path, &key, body(&[login()])).await.status, 200);
    assert_all_given_back(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_and_floods_of_headers_cost_their_connection_only() {
    let data = tempfile::tempdir().expect("a folder");
    let (gateway, path, key) = impatient(data.path(), &[]).await;
    let flood = head(&path, &key, &format!("x: {}\r\n", "y".repeat(1 << 20)));
    for bytes in
        [flood.as_bytes(), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET  / HTTP/9\r\n\r\n", &[0; 4_096]]
    {
        let mut socket = TcpStream::connect(gateway.rest()).await.expect("it listens");
        // The gateway may close before everything is sent.
        let _ = socket.write_all(bytes).await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("it is closed");
        assert!(read.is_err() || answer.is_empty() || answer.starts_with(b"HTTP/1."), "{answer:?}");
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }
    let client = RestClient::new(gateway.rest());
    assert_eq!(client.post(&path, &key, body(&[login()])).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_past_the_limit_are_closed_at_once() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = GatewayProcess::start(data.path(), &["rest.max_connections=2", "rest.handshake_timeout=1m"]).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut socket = TcpStream::connect(gateway.rest()).await.expect("it listens");
        socket.write_all(b"GET /applications HTTP/1.1\r\nhost: g\r\n\r\n").await.expect("it is sent");
        assert!(socket.read(&mut [0; 16]).await.expect("it answers") > 0);
        held.push(socket);
    }
    let mut third = TcpStream::connect(gateway.rest()).await.expect("the system connects it");
    let read = tokio::time::timeout(PATIENCE, third.read(&mut [0; 16])).await.expect("it is closed");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

/// A client over TLS that offers these protocols, and what it is answered.
async fn over_tls(address: SocketAddr, authority: &Authority, protocol: &[u8], path: &str, key: &str) -> u16 {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM")).expect("a certificate");
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let socket = TcpStream::connect(address).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
    let request = http::Request::post(format!("https://localhost{path}"))
        .header("host", "localhost")
        .header("authorization", key)
        .body(Full::new(bytes::Bytes::from(body(&[login()]))))
        .expect("a request");
    let io = TokioIo::new(stream);
    let response = if protocol == b"h2" {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
        drop(tokio::spawn(connection));
        sender.send_request(request).await
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("HTTP/1.1");
        drop(tokio::spawn(connection));
        sender.send_request(request).await
    };
    let response = response.expect("an answer");
    let status = response.status().as_u16();
    let _ = response.into_body().collect().await.expect("a body");
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_offers_both_protocols() {
    let data = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    authority.write(data.path());
    let tls = crate::tls::settings(data.path());
    let gateway = InProcess::start(data.path(), Arc::new(OsFiles), |settings| settings.rest.tls = Some(tls)).await;
    let (application, target) = gateway.demo();
    let path = format!("/live/applications/{application}/events");
    for protocol in [&b"http/1.1"[..], b"h2"] {
        assert_eq!(over_tls(gateway.rest_address(), &authority, protocol, &path, &target.key).await, 200);
    }
}
