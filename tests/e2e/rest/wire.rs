//! HTTP/1.1 byte by byte: what a connection carries on, what it does not, and requests of odd forms.

use std::net::SocketAddr;

use headgate_tests::events::login;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::rest::{RestClient, body};
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{TOKEN, gateway};
use crate::PATIENCE;

/// A connection and what it has received and nobody has read.
struct Connection {
    socket: TcpStream,
    received: Vec<u8>,
}

/// One answer: its head, in lower case, and its body.
#[derive(Debug)]
struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{self:?}"))
    }

    fn closes(&self) -> bool {
        self.head.contains("\r\nconnection: close")
    }
}

impl Connection {
    async fn open(address: SocketAddr) -> Self {
        Self { socket: TcpStream::connect(address).await.expect("it listens"), received: Vec::new() }
    }

    async fn send(&mut self, text: &str) {
        self.socket.write_all(text.as_bytes()).await.expect("it is sent");
    }

    /// `None`: the gateway has closed.
    async fn receive(&mut self) -> Option<()> {
        let read = tokio::time::timeout(PATIENCE, self.socket.read_buf(&mut self.received)).await.expect("an answer");
        (read.expect("it is not reset") > 0).then_some(())
    }

    /// The next answer, whose body is as long as it says; `has_body`: that of a HEAD is not sent.
    async fn answer(&mut self, has_body: bool) -> Answer {
        let head_end = loop {
            match self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                Some(place) => break place + 4,
                None => self.receive().await.expect("an answer comes"),
            }
        };
        let head = String::from_utf8_lossy(&self.received[..head_end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.and_then(|length| length.trim().parse::<usize>().ok()).unwrap_or(0);
        let end = head_end + if has_body { length } else { 0 };
        while self.received.len() < end {
            self.receive().await.expect("the rest comes");
        }
        let body = String::from_utf8_lossy(&self.received[head_end..end]).into_owned();
        drop(self.received.drain(..end));
        Answer { head, body }
    }

    async fn assert_closed(mut self) {
        while self.receive().await.is_some() {}
        assert_eq!(String::from_utf8_lossy(&self.received), "");
    }
}

/// The demo application's route, and its key.
fn events_of(gateway: &GatewayProcess) -> (String, String) {
    let (application, target) = gateway.demo();
    (format!("/applications/{application}/events"), target.key)
}

fn post(path: &str, key: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: {key}\r\ncontent-length: {length}\r\n{more}\r\n{body}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_carries_many_requests_errors_among_them_and_answers_them_in_order() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = gateway(data.path(), &[]).await;
    let (path, key) = events_of(&gateway);
    let batch = body(&[login()]);
    let mut connection = Connection::open(gateway.rest()).await;
    let requests = [
        (post(&path, &key, "", &batch), 200),
        (post(&path, &key, "", "{"), 400),
        (post(&path, &key, "", r#"{"events":[{}]}"#), 400),
        (post("/nothing", &key, "", ""), 404),
        (format!("GET {path} HTTP/1.1\r\nhost: gateway\r\n\r\n"), 405),
        (format!("OPTIONS {path} HTTP/1.1\r\nhost: gateway\r\n\r\n"), 200),
        (post(&path, &key, "", &batch), 200),
    ];
    for (request, status) in &requests {
        connection.send(request).await;
        let answer = connection.answer(true).await;
        assert_eq!(answer.status(), *status, "{request}: {answer:?}");
        assert!(!answer.closes(), "{request}: {answer:?}");
    }
    // And all of them at once.
    let all: String = requests.iter().map(|(request, _)| request.as_str()).collect();
    connection.send(&all).await;
    for (request, status) in &requests {
        let answer = connection.answer(true).await;
        assert_eq!(answer.status(), *status, "{request}: {answer:?}");
    }
}

/// A body that nobody reads ends its connection, and the answer says so: the next request would start within it.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_body_that_was_not_read_says_that_the_connection_ends_and_is_not_lost() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = gateway(data.path(), &["rest.max_body=64KiB"]).await;
    let (path, key) = events_of(&gateway);
    let megabyte = "x".repeat(1 << 20);
    let refused = [
        (post(&path, "nobody-has-this-key", "", &megabyte), 403),
        (post(&path, &key, "", &megabyte), 413),
        (post("/applications", "Bearer no-token", "", &megabyte), 403),
        (post("/nothing", &key, "", &megabyte), 404),
        (post(&path, &key, "content-encoding: br\r\n", &megabyte), 415),
        (post(&path, &key, "", &megabyte).replacen("POST", "PUT", 1), 405),
    ];
    for (request, status) in refused {
        let mut connection = Connection::open(gateway.rest()).await;
        connection.send(&request).await;
        let answer = connection.answer(true).await;
        assert_eq!(answer.status(), status, "{answer:?}");
        assert!(answer.closes(), "{answer:?}");
        let _: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        connection.assert_closed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_a_body_that_was_not_read_costs_its_stream_only() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = gateway(data.path(), &["rest.max_body=64KiB"]).await;
    let (path, key) = events_of(&gateway);
    let client = RestClient::http2(gateway.rest());
    let opened = async || gateway.metrics().await.sum("headgate_connections_opened_total", &[]);
    let before = opened().await;
    // Together they are larger than the connection's window: what nobody reads has to be given back to it.
    for _ in 0..4 {
        let answer = client.post(&path, "nobody-has-this-key", "x".repeat(1 << 20)).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (403, r#"{"error":"AccessDenied"}"#));
        let answer = client.post(&path, &key, "x".repeat(1 << 20)).await;
        assert_eq!(answer.error(), (413, "RequestEntityTooLarge".to_owned()));
        assert_eq!(client.post(&path, &key, body(&[login()])).await.status, 200);
    }
    assert_eq!(opened().await - before, 1.0, "one connection carried them all");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_before_sending_a_body_is_told_to_go_on_or_why_not() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = gateway(data.path(), &[]).await;
    let (path, key) = events_of(&gateway);
    let batch = body(&[login()]);
    let length = batch.len();
    let head = |key: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: {key}\r\ncontent-length: {length}\r\n\
             expect: 100-continue\r\n\r\n"
        )
    };
    let mut connection = Connection::open(gateway.rest()).await;
    connection.send(&head(&key)).await;
    assert_eq!(connection.answer(false).await.status(), 100);
    connection.send(&batch).await;
    assert_eq!(connection.answer(true).await.status(), 200);

    connection.send(&head("nobody-has-this-key")).await;
    let answer = connection.answer(true).await;
    assert_eq!((answer.status(), answer.body.as_str()), (403, r#"{"error":"AccessDenied"}"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_odd_forms_are_answered_in_json() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = gateway(data.path(), &[]).await;
    let address = gateway.rest();
    let token = format!("authorization: Bearer {TOKEN}\r\n");
    for (request, statuses) in [
        (format!("GET http://{address}/applications HTTP/1.1\r\nhost: {address}\r\n{token}\r\n"), &[200][..]),
        (format!("GET http://elsewhere/live/applications HTTP/1.1\r\nhost: x\r\n{token}\r\n"), &[200]),
        (format!("GET /applications HTTP/1.0\r\n{token}\r\n"), &[200]),
        (format!("GET /applications HTTP/1.1\r\n{token}\r\n"), &[200]),
        (format!("GET /applications?{} HTTP/1.1\r\nhost: x\r\n{token}\r\n", "a=b&".repeat(1_000)), &[200]),
        ("OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), &[404]),
        (format!("CONNECT {address} HTTP/1.1\r\nhost: x\r\n\r\n"), &[400, 404, 405]),
        ("GET /../../etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), &[404]),
        ("GET /applications/..%2f..%2fx HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), &[403]),
        ("GET /applications/%00 HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), &[403]),
    ] {
        let mut connection = Connection::open(address).await;
        connection.send(&request).await;
        let answer = connection.answer(true).await;
        assert!(statuses.contains(&answer.status()), "{request}: {answer:?}");
        assert!(answer.head.contains("access-control-allow-origin: *"), "{answer:?}");
        let _: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    }
    assert_eq!(gateway.metrics().await.sum("headgate_panics_total", &[]), 0.0);
}

/// With everything logged that there is, whatever lets somebody in is in no line of it.
#[tokio::test(flavor = "multi_thread")]
async fn no_key_and_no_token_is_in_an_error_or_in_the_log() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = gateway(data.path(), &["operate.log=trace"]).await;
    // The demo's key is shown on the screen of whoever starts the gateway.
    let (application, target) = gateway.new_application("skyfall");
    let (path, key) = (format!("/applications/{application}/events"), target.key);
    const STRANGE: &str = "hg_a-strangers-secret-of-some-length";
    let batch = body(&[login()]);
    let administrator = format!("Bearer {TOKEN}");
    for client in [RestClient::new(gateway.rest()), RestClient::http2(gateway.rest())] {
        for secret in [key.as_str(), STRANGE, &administrator] {
            for (method, path) in [(Method::POST, path.as_str()), (Method::GET, "/applications"), (Method::GET, &path)]
            {
                let answer = client.send(method, path, &[("authorization", secret)], batch.clone()).await;
                assert!(!answer.text.contains(secret) && !answer.text.contains(TOKEN), "{answer:?}");
                let answer = client.send(Method::POST, path, &[("x-api-key", secret)], batch.clone()).await;
                assert!(!answer.text.contains(secret) && !answer.text.contains(TOKEN), "{answer:?}");
            }
        }
        let as_admin = [("authorization", administrator.as_str())];
        let made = client.send(Method::POST, "/applications", &as_admin, r#"{"Name":"x"}"#).await.json();
        let keys = format!("/applications/{}/authorizations", made["ApplicationId"].as_str().expect("an id"));
        let made = client.send(Method::POST, &keys, &as_admin, r#"{"Name":"x"}"#).await;
        let made = made.json()["ApiKeyValue"].as_str().expect("a key").to_owned();
        assert!(!gateway.log().contains(&made));
    }
    let log = gateway.log();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "everything is logged");
    for (what, secret) in [("the key", key.as_str()), ("a stranger's", STRANGE), ("the token", TOKEN)] {
        assert_eq!(log.lines().find(|line| line.contains(secret)), None, "{what}");
    }
}
