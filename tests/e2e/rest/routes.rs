//! Every row of the contract's table, on both registries, at the root and under a stage.

use std::path::Path;

use headgate_tests::binary;
use headgate_tests::events::login;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::ministack::{self, MiniStack};
use headgate_tests::rest::{RestAnswer, RestClient, body};
use http::Method;

use super::walk::walk;
use super::{Administrator, TOKEN, gateway};
use crate::dynamodb::{foreign_application, foreign_key};

/// What every answer is, whatever it says.
fn assert_common(answer: &RestAnswer) {
    assert_eq!(answer.header("access-control-allow-origin"), "*", "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json", "{answer:?}");
    let _ = answer.json();
}

/// A gateway whose registry is in DynamoDB, of which no administrator but whoever has the token may ask.
async fn on_dynamodb(data: &Path, emulator: &MiniStack, token: Option<&str>) -> GatewayProcess {
    let mut environment = ministack::environment(emulator.address());
    environment.extend(token.map(|token| ("HEADGATE_ADMIN__TOKEN".to_owned(), token.to_owned())));
    GatewayProcess::start_in(data, &["registry.kind=dynamodb"], &environment).await
}

/// Walks the table at the root, under stages and by HTTP/2, and counts.
async fn walk_everywhere(gateway: &GatewayProcess, registry: &str) {
    let http1 = || RestClient::new(gateway.rest());
    let ways = [
        (http1(), ""),
        (http1(), "/live"),
        (http1(), "/a-stage.of%20ours"),
        (RestClient::http2(gateway.rest()), ""),
        (RestClient::http2(gateway.rest()), "/prod"),
    ];
    let mut walked = Vec::new();
    for (client, prefix) in ways {
        walked.push(walk(client, prefix).await);
    }
    println!("{registry}: {walked:?} rows");
    assert!(walked.iter().all(|rows| *rows > 150), "{walked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_contract_on_the_embedded_registry() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = gateway(data.path(), &[]).await;
    let (demo, _) = gateway.demo();
    let administrator = Administrator::of(&gateway);
    let answer = administrator.ask(Method::DELETE, &format!("/applications/{demo}"), "").await;
    assert_eq!(answer.status, 200);
    walk_everywhere(&gateway, "SQLite").await;
    // What was done is in the books.
    let audit = binary::run_json(gateway.data_dir(), &["audit"]).to_string();
    for act in ["application.create", "application.delete", "key.create", "key.disable", "key.enable", "key.delete"] {
        assert!(audit.contains(act), "no {act} in {audit}");
    }
    assert!(audit.contains("\"rest\"") && audit.contains("admin-token"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_contract_on_dynamodb() {
    let (emulator, _) = MiniStack::with_tables().await;
    let data = tempfile::tempdir().expect("a folder");
    let gateway = on_dynamodb(data.path(), &emulator, Some(TOKEN)).await;
    walk_everywhere(&gateway, "DynamoDB").await;
}

/// A studio that moves over: its applications and readable keys are in the tables already, and its clients go on.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_aws_solution_wrote_are_shown_and_their_keys_let_in() {
    let (emulator, client) = MiniStack::with_tables().await;
    let application = foreign_application(&client, "Skyfall").await;
    let (key_id, key) = foreign_key(&client, application).await;
    let data = tempfile::tempdir().expect("a folder");
    let gateway = on_dynamodb(data.path(), &emulator, Some(TOKEN)).await;
    let administrator = Administrator::of(&gateway);
    let shown = administrator.ask(Method::GET, &format!("/live/applications/{application}"), "").await.json();
    assert_eq!(shown["ApplicationName"], "Skyfall");
    assert_eq!(shown["CreatedAt"], "2024-02-03T04:05:06Z");
    let path = format!("/live/applications/{application}/authorizations/{key_id}");
    let shown = administrator.ask(Method::GET, &path, "").await.json();
    assert_eq!(shown["ApiKeyId"], key_id.to_string());
    assert!(shown["ApiKeyValue"].as_str().is_some_and(|value| !key.contains(value)), "{shown}");
    let client = RestClient::new(gateway.rest());
    let path = format!("/live/applications/{application}/events");
    assert_eq!(client.post(&path, &key, body(&[login()])).await.status, 200);
}

/// Where a path is a root's and a stage's, the root has it.
#[tokio::test(flavor = "multi_thread")]
async fn the_root_comes_before_a_stage_and_what_is_neither_is_not_there() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = gateway(data.path(), &[]).await;
    let administrator = Administrator::of(&gateway);
    let (demo, _) = gateway.demo();
    // The application `applications`, not the list of the stage `applications`.
    let answer = administrator.ask(Method::GET, "/applications/applications", "").await;
    assert_eq!(answer.error(), (404, "NotFoundException".to_owned()));
    let answer = administrator.ask(Method::GET, &format!("/applications/applications/{demo}"), "").await;
    assert_eq!(answer.json()["ApplicationId"], demo.to_string());
    // A base URL that ends in a slash.
    assert_eq!(administrator.ask(Method::GET, "//applications", "").await.json()["Count"], 1);
    for path in ["/", "//", "/live", "///applications", "/a/b/applications", "/live/applications/x/y/z/w"] {
        let answer = administrator.ask(Method::GET, path, "").await;
        assert_common(&answer);
        assert_eq!(answer.error(), (404, "NotFoundException".to_owned()), "{path}");
    }
}

/// On a registry that machines share nobody is an administrator by being here.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_was_given_no_admin_credential_denies_every_administrator() {
    let (emulator, _) = MiniStack::with_tables().await;
    let data = tempfile::tempdir().expect("a folder");
    let gateway = on_dynamodb(data.path(), &emulator, None).await;
    assert!(!data.path().join("admin-token").exists());
    let client = RestClient::new(gateway.rest());
    for authorization in ["", "Bearer", "Bearer ", "Bearer x", &format!("Bearer {TOKEN}")] {
        for (method, path) in [(Method::GET, "/applications"), (Method::POST, "/live/applications")] {
            let headers = [("authorization", authorization)];
            let answer = client.send(method, path, &headers, r#"{"Name":"x"}"#).await;
            assert_common(&answer);
            assert_eq!((answer.status.as_u16(), answer.text.as_str()), (403, r#"{"error":"AccessDenied"}"#));
        }
    }
    let counted = gateway.metrics().await.sum("headgate_admin_refusals_total", &["reason=\"admin_closed\""]);
    assert_eq!(counted, 10.0);
}

/// The embedded default makes a token, which its owner finds in a file.
#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_default_makes_a_token_that_lets_in() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = GatewayProcess::start(data.path(), &[]).await;
    let token = std::fs::read_to_string(data.path().join("admin-token")).expect("a first start makes one");
    let client = RestClient::new(gateway.rest());
    for (scheme, status) in [("Bearer", 200), ("bearer", 200), ("BEARER", 200), ("Token", 403)] {
        let authorization = format!("{scheme} {}", token.trim());
        let answer = client.send(Method::GET, "/applications", &[("authorization", &authorization)], "").await;
        assert_eq!(answer.status, status, "{scheme}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_no_administrator_is_denied_and_told_nothing() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = gateway(data.path(), &[]).await;
    let (demo, target) = gateway.demo();
    let client = RestClient::new(gateway.rest());
    let routes = [
        (Method::GET, "/applications".to_owned()),
        (Method::POST, "/applications".to_owned()),
        (Method::GET, format!("/applications/{demo}")),
        (Method::DELETE, format!("/applications/{demo}")),
        (Method::GET, format!("/applications/{demo}/authorizations")),
        (Method::POST, format!("/live/applications/{demo}/authorizations")),
        (Method::GET, format!("/applications/{demo}/authorizations/x")),
        (Method::PUT, format!("/applications/{demo}/authorizations/x")),
        (Method::DELETE, format!("/applications/{demo}/authorizations/x")),
    ];
    let wrong = [
        String::new(),
        TOKEN.to_owned(),
        format!("Bearer {TOKEN}x"),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Basic {TOKEN}"),
        format!("Bearer {}", target.key),
        target.key.clone(),
        format!("Bearer  {TOKEN} x"),
        "AWS4-HMAC-SHA256".to_owned(),
        "AWS4-HMAC-SHA256 Credential=A/20260101/r/execute-api/aws4_request, SignedHeaders=host, Signature=0".to_owned(),
    ];
    for (method, path) in &routes {
        for authorization in &wrong {
            let headers: &[(&str, &str)] =
                if authorization.is_empty() { &[] } else { &[("authorization", authorization)] };
            let answer = client.send(method.clone(), path, headers, r#"{"Name":"x"}"#).await;
            assert_common(&answer);
            let denied = (answer.status.as_u16(), answer.text.as_str());
            assert_eq!(denied, (403, r#"{"error":"AccessDenied"}"#), "{method} {path} {authorization}");
        }
    }
    let list = Administrator::of(&gateway).ask(Method::GET, "/applications", "").await;
    assert_eq!(list.json()["Count"], 1, "nothing was done");
    // And each is counted, with why.
    let scrape = gateway.metrics().await;
    let counted = |reason: &str| {
        let reason = format!("reason=\"{reason}\"");
        scrape.sum("headgate_admin_refusals_total", &["door=\"rest\"", &reason]) / routes.len() as f64
    };
    let reasons = ["admin_token_missing", "admin_token_wrong", "admin_token_malformed", "admin_signature_wrong"];
    assert_eq!(reasons.map(counted), [1.0, 3.0, 6.0, 1.0]);
}
