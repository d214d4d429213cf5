//! Credentials that end and connections that fall silent, over real sockets and through the SDK's own chain of sources.
//! That chain and the certificates that TLS trusts come from environment variables, which must not change under a
//! running test, so each test runs its second half in a process of its own.

mod silence;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::aws::testing::{Answer, Request, Server, refusal, reply};
use crate::aws::{shared_config, warm_credentials};
use crate::clock::Clock;
use crate::config::{AwsSettings, KinesisSettings};
use crate::delivery::aws::KinesisStream;
use crate::delivery::sender::wire::{CallError, CallFailure, Entry, Wire};

/// Tells the second process where the server is.
const ENDPOINT: &str = "HEADGATE_TEST_ENDPOINT";

const WELL: usize = 0;
const REFUSED_AND_SOURCE_DOWN: usize = 1;
const REFUSED_AND_SOURCE_HANGS: usize = 2;
const HEALED: usize = 3;

/// Both the container's credential endpoint and Kinesis. `POST /phase/N` sets what goes wrong.
fn behave(phase: &AtomicUsize, request: &Request) -> Answer {
    if let Some(number) = request.line.strip_prefix("POST /phase/").and_then(|rest| rest.split(' ').next()) {
        phase.store(number.parse().expect("a number"), Ordering::SeqCst);
        return reply(200, "{}");
    }
    let phase = phase.load(Ordering::SeqCst);
    if request.line.starts_with("GET /credentials ") {
        let credentials = |key: &str| {
            let fields = serde_json::json!({
                "AccessKeyId": key, "SecretAccessKey": "secret", "Token": "token", "Expiration": "2999-01-01T00:00:00Z",
            });
            reply(200, &fields.to_string())
        };
        return match phase {
            WELL => credentials("AKIDOLD"),
            REFUSED_AND_SOURCE_DOWN => reply(500, "{}"),
            REFUSED_AND_SOURCE_HANGS => Answer::Hang,
            _ => credentials("AKIDNEW"),
        };
    }
    let signed_with_old = request.header("authorization").is_some_and(|header| header.contains("AKIDOLD"));
    if phase != WELL && signed_with_old {
        return refusal(400, "ExpiredTokenException", "The security token included in the request is expired");
    }
    reply(200, r#"{"FailedRecordCount":0,"Records":[{"SequenceNumber":"1","ShardId":"shardId-000000000000"}]}"#)
}

/// Runs a test, named by its path, again in a process of its own with these environment variables.
async fn in_another_process(test: &str, variables: &[(&str, String)]) {
    let (_, test) = test.split_once("::").expect("a path in this crate");
    let mut command = Command::new(std::env::current_exe().expect("the test itself"));
    command.args([test, "--exact", "--nocapture"]);
    for variable in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_PROFILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_ENDPOINT_URL_KINESIS",
    ] {
        command.env_remove(variable);
    }
    command.env("AWS_CONFIG_FILE", "no-such-file").env("AWS_SHARED_CREDENTIALS_FILE", "no-such-file");
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("runs").expect("starts");
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}\n{errors}");
}

/// The same, with credentials from a server that [`behave`]s.
async fn with_container_credentials(test: &str) {
    let phase = Arc::new(AtomicUsize::new(WELL));
    let server = Server::start(move |_, request| behave(&phase, request)).await;
    let source = format!("{}/credentials", server.url());
    let variables = [(ENDPOINT, server.url()), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", source)];
    in_another_process(test, &variables).await;
}

struct Gateway {
    url: String,
    stream: KinesisStream,
}

impl Gateway {
    async fn start(url: String) -> Self {
        let settings = AwsSettings { region: Some("eu-west-1".to_owned()), endpoint_url: Some(url.clone()) };
        let shared = shared_config(&settings).await.expect("good settings");
        warm_credentials(&shared).await.expect("the container has credentials");
        let settings = KinesisSettings { stream: "events".to_owned(), ..KinesisSettings::default() };
        Self { url, stream: KinesisStream::new(&shared, &settings) }
    }

    async fn put(&self) -> Result<(), CallError> {
        self.put_within(Duration::from_secs(5)).await
    }

    async fn put_within(&self, timeout: Duration) -> Result<(), CallError> {
        let entry = Entry::plain("{}\n", Some(0));
        self.stream.put(vec![entry], timeout).await.map(drop)
    }

    async fn phase(&self, phase: usize) {
        let mut socket =
            TcpStream::connect(self.url.strip_prefix("http://").expect("plain")).await.expect("the server is there");
        let request = format!("POST /phase/{phase} HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
        socket.write_all(request.as_bytes()).await.expect("writes");
        socket.read_exact(&mut [0; 12]).await.expect("an answer");
    }

    /// Sends until a call is stored; fails when that takes longer than 5 s.
    async fn heals_in_time(&self) {
        let clock = Clock::system();
        let began = clock.now();
        while let Err(error) = self.put().await {
            assert_eq!(error.failure, CallFailure::Credentials, "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let took = clock.now() - began;
        println!("healed after {took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

// The session token expires early and the credential endpoint answers 500: calls fail with a typed error, and work again
// within 5 s of the endpoint's recovery.
#[tokio::test]
async fn expired_credentials_heal_within_five_seconds_of_their_source() {
    let Ok(url) = std::env::var(ENDPOINT) else {
        let test = concat!(module_path!(), "::expired_credentials_heal_within_five_seconds_of_their_source");
        return with_container_credentials(test).await;
    };
    let gateway = Gateway::start(url).await;
    gateway.put().await.expect("all is well");
    gateway.phase(REFUSED_AND_SOURCE_DOWN).await;
    for _ in 0..5 {
        let error = gateway.put().await.expect_err("expired");
        assert_eq!((error.failure, &*error.code), (CallFailure::Credentials, "ExpiredTokenException"), "{error}");
    }
    gateway.phase(HEALED).await;
    gateway.heals_in_time().await;
}

// The same with an endpoint that takes connections and never answers.
#[tokio::test]
async fn expired_credentials_heal_after_a_source_that_hung() {
    let Ok(url) = std::env::var(ENDPOINT) else {
        let test = concat!(module_path!(), "::expired_credentials_heal_after_a_source_that_hung");
        return with_container_credentials(test).await;
    };
    let gateway = Gateway::start(url).await;
    gateway.put().await.expect("all is well");
    gateway.phase(REFUSED_AND_SOURCE_HANGS).await;
    gateway.put().await.expect_err("expired");
    let healing = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        gateway.phase(HEALED).await;
        gateway.heals_in_time().await;
    };
    // One call hangs at the credentials' source while it heals.
    let (hung, ()) = tokio::join!(gateway.put(), healing);
    hung.expect_err("signed with the old ones");
}
