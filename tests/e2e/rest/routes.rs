//! Every row of the contract's table, on both registries, at the root and under a stage.

use std::collections::BTreeSet;

use headgate_tests::events::login;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::ministack::{self, MiniStack};
use headgate_tests::rest::{RestAnswer, RestClient, body};
use headgate_tests::{binary, poll};
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Administrator, TOKEN, gateway};
use crate::PATIENCE;
use crate::dynamodb::{foreign_application, foreign_key};

/// What every answer is, whatever it says.
fn assert_common(answer: &RestAnswer) {
    assert_eq!(answer.header("access-control-allow-origin"), "*", "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json", "{answer:?}");
    let _ = answer.json();
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str).collect()
}

fn assert_keys(value: &Value, expected: &[&str]) {
    assert_eq!(keys(value), expected.iter().copied().collect(), "{value}");
}

/// A version 4 UUID, in lower case.
fn assert_id(value: &Value) -> Uuid {
    let text = value.as_str().unwrap_or_else(|| panic!("no text: {value}"));
    let id: Uuid = text.parse().unwrap_or_else(|_| panic!("no id: {text}"));
    assert_eq!((id.get_version_num(), id.to_string().as_str()), (4, text));
    id
}

/// `YYYY-MM-DDTHH:MM:SSZ`, not long ago.
fn assert_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("no text: {value}"));
    let shape: String = text.chars().map(|it| if it.is_ascii_digit() { '0' } else { it }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00Z", "{text}");
    assert!(text > "2025", "{text}");
}

const APPLICATION: [&str; 4] = ["ApplicationId", "ApplicationName", "UpdatedAt", "CreatedAt"];
const AUTHORIZATION: [&str; 7] =
    ["ApiKeyId", "ApiKeyValue", "ApiKeyName", "ApplicationId", "CreatedAt", "UpdatedAt", "Enabled"];

/// One who walks through the table.
struct Walker(Administrator);

impl Walker {
    async fn ask(&self, method: Method, path: &str, body: &str) -> RestAnswer {
        let answer = self.0.ask(method, path, body).await;
        assert_common(&answer);
        answer
    }

    async fn good(&self, method: Method, path: &str, body: &str) -> Value {
        let answer = self.ask(method, path, body).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    async fn assert_error(&self, method: Method, path: &str, body: &str, status: u16, code: &str) {
        let answer = self.ask(method.clone(), path, body).await;
        let case = format!("{method} {path} {body}: {answer:?}");
        assert_eq!(answer.error(), (status, code.to_owned()), "{case}");
        assert_keys(&answer.json(), &["error", "error_detail"]);
        assert!(answer.json()["error_detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{case}");
    }

    async fn applications(&self) -> Value {
        self.assert_error(Method::GET, "/applications", "", 404, "NotFoundException").await;

        let plain = self.good(Method::POST, "/applications", r#"{"Name":"Skyfall"}"#).await;
        assert_keys(&plain, &APPLICATION);
        let _ = assert_id(&plain["ApplicationId"]);
        assert_eq!(plain["ApplicationName"], "Skyfall");
        assert_time(&plain["CreatedAt"]);
        assert_eq!(plain["CreatedAt"], plain["UpdatedAt"]);
        let described = r#"{"Name":"Mánd\"a","Description":"a game, \u00fcber","Unknown":[]}"#;
        let described = self.good(Method::POST, "/applications", described).await;
        assert_keys(&described, &[&APPLICATION[..], &["Description"]].concat());
        assert_eq!(described["Description"], "a game, über");

        let bad = [
            ("", "InvalidParameterException"),
            ("{}", "InvalidParameterException"),
            ("[]", "InvalidParameterException"),
            (r#"{"Name":""}"#, "InvalidParameterException"),
            (r#"{"Name":7}"#, "InvalidParameterException"),
            (r#"{"name":"x"}"#, "InvalidParameterException"),
            (r#"{"Name":"x","Description":7}"#, "InvalidParameterException"),
            ("{", "BadRequest"),
            ("\"text\"", "BadRequest"),
            (r#"{"Name":"x"} y"#, "BadRequest"),
        ];
        for (body, code) in bad {
            self.assert_error(Method::POST, "/applications", body, 400, code).await;
        }
        let long = json!({"Name": "x".repeat(257)}).to_string();
        self.assert_error(Method::POST, "/applications", &long, 400, "InvalidParameterException").await;

        let list = self.good(Method::GET, "/applications", "").await;
        assert_keys(&list, &["Applications", "Count"]);
        assert_eq!(list["Count"], 2);
        let listed = list["Applications"].as_array().expect("a list");
        assert!(listed.contains(&plain) && listed.contains(&described), "{list}");

        for application in [&plain, &described] {
            let path = format!("/applications/{}", application["ApplicationId"].as_str().expect("an id"));
            assert_eq!(self.good(Method::GET, &path, "").await, *application);
        }
        for unknown in [Uuid::new_v4().to_string(), "no-id".to_owned(), "%20".to_owned()] {
            self.assert_error(Method::GET, &format!("/applications/{unknown}"), "", 404, "NotFoundException").await;
        }
        plain
    }

    async fn authorizations(&self, application: &str) -> Value {
        let all = format!("/applications/{application}/authorizations");
        let empty = json!({"Authorizations": [], "Count": 0});
        assert_eq!(self.good(Method::GET, &all, "").await, empty);
        let nobodys = format!("/applications/{}/authorizations", Uuid::new_v4());
        assert_eq!(self.good(Method::GET, &nobodys, "").await, empty, "an unknown application has none");
        assert_eq!(self.good(Method::GET, "/applications/no-id/authorizations", "").await, empty);

        for body in ["", "{}", r#"{"Name":1}"#, r#"{"Name":"x","Description":[]}"#] {
            self.assert_error(Method::POST, &all, body, 400, "InvalidParameterException").await;
        }
        self.assert_error(Method::POST, &all, "{\"Name\"", 400, "BadRequest").await;
        for unknown in [nobodys.as_str(), "/applications/no-id/authorizations"] {
            self.assert_error(Method::POST, unknown, r#"{"Name":"x"}"#, 404, "NotFoundException").await;
        }

        let made = self.good(Method::POST, &all, r#"{"Name":"server","Description":"d"}"#).await;
        assert_keys(&made, &[&AUTHORIZATION[..], &["ApiKeyDescription"]].concat());
        let _ = assert_id(&made["ApiKeyId"]);
        assert_eq!(made["ApplicationId"], application);
        assert_eq!((&made["ApiKeyName"], &made["ApiKeyDescription"]), (&json!("server"), &json!("d")));
        assert_eq!(made["Enabled"], true);
        assert_time(&made["CreatedAt"]);
        assert_time(&made["UpdatedAt"]);
        let key = made["ApiKeyValue"].as_str().expect("a key");
        assert!(key.starts_with("hg_") && key.len() > 40, "{key}");
        let other = self.good(Method::POST, &all, r#"{"Name":"other"}"#).await;
        assert_keys(&other, &AUTHORIZATION);

        // From now on the key is shown in masked form.
        let mut masked = made.clone();
        masked["ApiKeyValue"] = json!(format!("hg_****{}", &key[key.len() - 4..]));
        let one = format!("{all}/{}", made["ApiKeyId"].as_str().expect("an id"));
        assert_eq!(self.good(Method::GET, &one, "").await, masked);
        let list = self.good(Method::GET, &all, "").await;
        assert_keys(&list, &["Authorizations", "Count"]);
        assert_eq!(list["Count"], 2);
        assert!(list["Authorizations"].as_array().expect("a list").contains(&masked), "{list}");
        made
    }

    async fn one_authorization(&self, application: &str, other: &str, made: &Value) {
        let id = made["ApiKeyId"].as_str().expect("an id");
        let one = format!("/applications/{application}/authorizations/{id}");
        let elsewhere = format!("/applications/{other}/authorizations/{id}");
        let unknown = format!("/applications/{application}/authorizations/{}", Uuid::new_v4());
        let no_id = format!("/applications/{application}/authorizations/no-id");
        for path in [&elsewhere, &unknown, &no_id] {
            self.assert_error(Method::GET, path, "", 404, "NotFoundException").await;
            self.assert_error(Method::PUT, path, r#"{"Enabled":false}"#, 500, "InternalFailure").await;
            assert_eq!(self.good(Method::DELETE, path, "").await, json!({"Result": "Deleted"}));
        }
        for body in ["", "{}", r#"{"Enabled":"true"}"#, r#"{"Enabled":1}"#, r#"{"Enabled":null}"#] {
            self.assert_error(Method::PUT, &one, body, 400, "InvalidParameterException").await;
        }
        self.assert_error(Method::PUT, &one, "{]", 400, "BadRequest").await;
        for enabled in [false, true] {
            let modified = self.good(Method::PUT, &one, &json!({"Enabled": enabled}).to_string()).await;
            assert_keys(&modified, &[&AUTHORIZATION[..], &["ApiKeyDescription"]].concat());
            assert_eq!((&modified["Enabled"], &modified["ApiKeyId"]), (&json!(enabled), &made["ApiKeyId"]));
            assert_eq!(self.good(Method::GET, &one, "").await, modified);
        }
    }

    /// Keys let into their own application, at once, and out again within seconds.
    async fn events(&self, gateway: &GatewayProcess, application: &str, other: &str, made: &Value) {
        let client = RestClient::new(gateway.rest());
        let key = made["ApiKeyValue"].as_str().expect("a key");
        let path = |application: &str| format!("{}/applications/{application}/events", self.0.prefix);
        let batch = body(&[login(), login()]);
        let expected = json!({"Total": 2, "FailedRecordCount": 0, "Events": [{"Result": "Ok"}, {"Result": "Ok"}]});
        for headers in [("authorization", key.to_owned()), ("x-api-key", key.to_owned())] {
            let headers = [(headers.0, headers.1.as_str())];
            let answer = client.send(Method::POST, &path(application), &headers, batch.clone()).await;
            assert_common(&answer);
            assert_eq!((answer.status.as_u16(), answer.json()), (200, expected.clone()), "{answer:?}");
        }
        let refused = [
            client.post(&path(other), key, batch.clone()).await,
            client.post(&path("no-id"), key, batch.clone()).await,
            client.post(&path(application), "nobody-has-this-key", batch.clone()).await,
            client.post(&path(application), &key[..key.len() - 1], batch.clone()).await,
            client.send(Method::POST, &path(application), &[], batch.clone()).await,
            // Administrators do not send events.
            client.post(&path(application), &format!("Bearer {TOKEN}"), batch.clone()).await,
        ];
        for answer in refused {
            assert_common(&answer);
            assert_eq!((answer.status.as_u16(), answer.text.as_str()), (403, r#"{"error":"AccessDenied"}"#));
        }
    }

    async fn removal(&self, gateway: &GatewayProcess, application: &str, other: &str, made: &Value) {
        let id = made["ApiKeyId"].as_str().expect("an id");
        let one = format!("/applications/{application}/authorizations/{id}");
        for _ in 0..2 {
            assert_eq!(self.good(Method::DELETE, &one, "").await, json!({"Result": "Deleted"}));
        }
        self.assert_error(Method::GET, &one, "", 404, "NotFoundException").await;
        let client = RestClient::new(gateway.rest());
        let path = format!("{}/applications/{application}/events", self.0.prefix);
        let key = made["ApiKeyValue"].as_str().expect("a key");
        poll::until("a key that is gone lets nobody in", PATIENCE, async || {
            let answer = client.post(&path, key, body(&[login()])).await;
            (answer.status == 403).then_some(())
        })
        .await;

        for gone in [application, other] {
            let path = format!("/applications/{gone}");
            for _ in 0..2 {
                assert_eq!(self.good(Method::DELETE, &path, "").await, json!("Delete successful"));
            }
            self.assert_error(Method::GET, &path, "", 404, "NotFoundException").await;
            let keys = self.good(Method::GET, &format!("{path}/authorizations"), "").await;
            assert_eq!(keys["Count"], 0, "its authorizations go with it");
        }
        assert_eq!(self.good(Method::DELETE, "/applications/no-id", "").await, json!("Delete successful"));
        self.assert_error(Method::GET, "/applications", "", 404, "NotFoundException").await;
    }

    async fn preflights(&self, application: &str, key: &str) {
        let paths = [
            "/applications".to_owned(),
            format!("/applications/{application}"),
            format!("/applications/{application}/authorizations"),
            format!("/applications/{application}/authorizations/{key}"),
            format!("/applications/{application}/events"),
        ];
        for path in paths {
            let path = format!("{}{path}", self.0.prefix);
            let headers = [("origin", "https://game.example"), ("access-control-request-method", "POST")];
            let answer = self.0.client.send(Method::OPTIONS, &path, &headers, "").await;
            assert_common(&answer);
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.header("access-control-allow-methods"), "DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT");
            let allowed = "Content-Type,Authorization,X-Amz-Date,X-Api-Key,X-Amz-Security-Token";
            assert_eq!(answer.header("access-control-allow-headers"), allowed);
        }
    }

    async fn everything(&self, gateway: &GatewayProcess) {
        let application = self.applications().await;
        let id = application["ApplicationId"].as_str().expect("an id");
        let list = self.good(Method::GET, "/applications", "").await;
        let ids = list["Applications"].as_array().expect("a list").iter().map(|one| one["ApplicationId"].as_str());
        let other = ids.flatten().find(|one| *one != id).expect("there are two");
        let made = self.authorizations(id).await;
        self.one_authorization(id, other, &made).await;
        self.events(gateway, id, other, &made).await;
        self.preflights(id, made["ApiKeyId"].as_str().expect("an id")).await;
        self.removal(gateway, id, other, &made).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_contract_on_the_embedded_registry_at_the_root_and_under_a_stage() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = gateway(data.path(), &[]).await;
    let (demo, _) = gateway.demo();
    let administrator = Administrator::of(&gateway);
    let answer = administrator.ask(Method::DELETE, &format!("/applications/{demo}"), "").await;
    assert_eq!(answer.status, 200);
    for prefix in ["", "/live", "/a-stage.of%20ours"] {
        Walker(Administrator { prefix, ..Administrator::of(&gateway) }).everything(&gateway).await;
    }
    let http2 = Administrator { client: RestClient::http2(gateway.rest()), prefix: "" };
    Walker(http2).everything(&gateway).await;
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
    let mut environment = ministack::environment(emulator.address());
    environment.push(("HEADGATE_ADMIN__TOKEN".to_owned(), TOKEN.to_owned()));
    let gateway = GatewayProcess::start_in(data.path(), &["registry.kind=dynamodb"], &environment).await;
    for prefix in ["", "/live"] {
        Walker(Administrator { prefix, ..Administrator::of(&gateway) }).everything(&gateway).await;
    }
}

/// A studio that moves over: its applications and readable keys are in the tables already, and its clients go on.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_aws_solution_wrote_are_shown_and_their_keys_let_in() {
    let (emulator, client) = MiniStack::with_tables().await;
    let application = foreign_application(&client, "Skyfall").await;
    let (key_id, key) = foreign_key(&client, application).await;
    let data = tempfile::tempdir().expect("a folder");
    let mut environment = ministack::environment(emulator.address());
    environment.push(("HEADGATE_ADMIN__TOKEN".to_owned(), TOKEN.to_owned()));
    let gateway = GatewayProcess::start_in(data.path(), &["registry.kind=dynamodb"], &environment).await;
    let walker = Walker(Administrator { prefix: "/live", ..Administrator::of(&gateway) });
    let shown = walker.good(Method::GET, &format!("/applications/{application}"), "").await;
    assert_eq!(shown["ApplicationName"], "Skyfall");
    assert_eq!(shown["CreatedAt"], "2024-02-03T04:05:06Z");
    let shown = walker.good(Method::GET, &format!("/applications/{application}/authorizations/{key_id}"), "").await;
    assert!(shown["ApiKeyValue"].as_str().is_some_and(|value| !key.contains(value)), "{shown}");
    let client = RestClient::new(gateway.rest());
    let path = format!("/live/applications/{application}/events");
    assert_eq!(client.post(&path, &key, body(&[login()])).await.status, 200);
}

/// Where a path is a root's and a stage's, the root has it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_route_is_answered_in_json_and_the_root_comes_before_a_stage() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = gateway(data.path(), &[]).await;
    let walker = Walker(Administrator::of(&gateway));
    let (demo, _) = gateway.demo();
    // The application `applications`, not the list of the stage `applications`.
    walker.assert_error(Method::GET, "/applications/applications", "", 404, "NotFoundException").await;
    assert_eq!(walker.good(Method::GET, &format!("/applications/applications/{demo}"), "").await["Count"], Value::Null);
    for path in ["/", "/nothing", "/live", "/a/b/applications", "/applications/x/y", "/live/applications/x/y/z/w"] {
        walker.assert_error(Method::GET, path, "", 404, "NotFoundException").await;
    }
    walker.assert_error(Method::GET, "/applications/%ff", "", 400, "BadRequest").await;
    for (method, path) in [
        (Method::PATCH, "/applications"),
        (Method::DELETE, "/applications"),
        (Method::POST, "/applications/x"),
        (Method::DELETE, "/live/applications/x/authorizations"),
        (Method::GET, "/applications/x/events"),
    ] {
        let answer = walker.ask(method, path, "").await;
        assert_eq!(answer.error(), (405, "MethodNotAllowed".to_owned()));
        assert!(answer.header("allow").contains("OPTIONS"), "{answer:?}");
    }
    let head = walker.0.client;
    let authorization = format!("Bearer {TOKEN}");
    let answer = head.send(Method::HEAD, "/applications", &[("authorization", &authorization)], "").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
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
        "AWS4-HMAC-SHA256 Credential=A/20260101/r/execute-api/aws4_request, SignedHeaders=host, Signature=0".to_owned(),
    ];
    for (method, path) in routes {
        for authorization in &wrong {
            let headers: &[(&str, &str)] =
                if authorization.is_empty() { &[] } else { &[("authorization", authorization)] };
            let answer = client.send(method.clone(), &path, headers, r#"{"Name":"x"}"#).await;
            assert_common(&answer);
            let denied = (answer.status.as_u16(), answer.text.as_str());
            assert_eq!(denied, (403, r#"{"error":"AccessDenied"}"#), "{method} {path} {authorization}");
        }
    }
    let list = Administrator::of(&gateway).ask(Method::GET, "/applications", "").await;
    assert_eq!(list.json()["Count"], 1, "nothing was done");
}
