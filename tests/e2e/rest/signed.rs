//! Administrators who sign with an access key, as botocore does it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use headgate_tests::gateway::GatewayProcess;
use headgate_tests::{binary, python};
use serde_json::{Value, json};

pub(crate) const ID: &str = "AKIDHEADGATEADMIN001";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const DENIED: &str = r#"{"error":"AccessDenied"}"#;

/// Has botocore sign and send these calls.
pub(crate) async fn sign(gateway: &GatewayProcess, calls: Vec<Value>) -> Vec<(u64, String)> {
    let asked = json!({"url": format!("http://{}", gateway.rest()), "access_key_id": ID, "calls": calls});
    let said = tokio::task::spawn_blocking(move || {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/rest/sign.py");
        let mut python = Command::new(python::consumer());
        let mut child = python.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(asked.to_string().as_bytes()).expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "botocore failed; its words are above");
        output.stdout
    });
    let answers: Vec<Value> = serde_json::from_slice(&said.await.expect("no panic")).expect("it answers in JSON");
    let answer = |answer: &Value| {
        (answer["status"].as_u64().expect("a status"), answer["body"].as_str().expect("a body").to_owned())
    };
    answers.iter().map(answer).collect()
}

async fn gateway(data: &Path) -> GatewayProcess {
    let keys = data.join("access-keys");
    std::fs::write(&keys, format!("{ID} {SECRET}\nAKIDOTHER a-secret-of-another-one\n")).expect("it can be written");
    let setting = format!("admin.access_keys_file={:?}", keys.display().to_string());
    GatewayProcess::start(data, &[&setting]).await
}

/// Botocore signs a path once more encoded than it is sent, and a query in the order of its names. (It signs a `;` in the
/// last segment, too, and does not send it.)
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_botocore_signs_are_taken_whatever_their_path_query_and_body() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = gateway(data.path()).await;
    let get = |path: &str| json!({"method": "GET", "path": path, "secret": SECRET});
    // Deleting what is not there succeeds, if whoever asks is let in.
    let delete = |id: &str| json!({"method": "DELETE", "path": format!("/live/applications/{id}"), "secret": SECRET});
    let with = |mut call: Value, member: &str, value: Value| {
        call[member] = value;
        call
    };
    let content_type = json!({"content-type": "application/json"});
    let mut create =
        json!({"method": "POST", "path": "/applications", "body": r#"{"Name":"Skyfall ü"}"#, "secret": SECRET});
    create["headers"] = content_type;
    let mut calls = vec![create.clone(), get("/applications"), get("/live/applications")];
    calls.extend(
        ["", "a=1", "b=2&a=%2Fx%20y&empty=", "flag", "a=2&a=1", "a=%C3%BC&%20=%2B"]
            .map(|query| with(get(&format!("/applications?{query}")), "region", json!("us-east-1"))),
    );
    calls.extend(["an%20id", "a%2Fb", "%C3%BC", "a~b-c_d.e", "a%25b", "a:b@c", "$!'()*,=+", "%7E"].map(delete));
    calls.push(with(get("/applications"), "token", json!("FwoGZXIvYXdzEBYaD//a+session=")));
    calls.push(with(create.clone(), "token", json!("FwoGZXIvYXdzEBYaD//a+session=")));
    calls.push(with(get("/applications"), "seconds_off", json!(-240)));
    calls.push(with(get("/applications"), "seconds_off", json!(240)));
    calls.push(with(get("/applications"), "headers", json!({"X-Amz-Meta": "  two   blanks  ", "X-Other": "a,b"})));
    calls.push(with(create, "headers", json!({})));
    let answers = sign(&gateway, calls.clone()).await;
    for (call, (status, body)) in calls.iter().zip(&answers) {
        assert_eq!(*status, 200, "{call}: {body}");
    }
    let made: Value = serde_json::from_str(&answers[0].1).expect("JSON");
    assert_eq!(made["ApplicationName"], "Skyfall ü");
    let list: Value = serde_json::from_str(&answers[2].1).expect("JSON");
    assert!(list["Applications"].as_array().expect("a list").contains(&made), "{list}");
    // Who it was is in the books, by the access key's id.
    let audit = binary::run_json(gateway.data_dir(), &["audit"]).to_string();
    assert!(audit.contains(ID) && !audit.contains(SECRET), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_a_stale_date_and_whatever_was_tampered_with_are_denied() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = gateway(data.path()).await;
    let create = |more: Value| {
        let mut call = json!({"method": "POST", "path": "/live/applications?a=1", "body": r#"{"Name":"one"}"#,
            "secret": SECRET, "headers": {"content-type": "application/json"}});
        for (name, value) in more.as_object().expect("an object") {
            call[name] = value.clone();
        }
        call
    };
    let cases = [
        ("a wrong secret", json!({"secret": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEZ"})),
        ("another's secret", json!({"secret": "a-secret-of-another-one"})),
        ("a date six minutes ago", json!({"seconds_off": -360})),
        ("a date in six minutes", json!({"seconds_off": 360})),
        ("another body", json!({"send_body": r#"{"Name":"two"}"#})),
        ("no body", json!({"send_body": ""})),
        ("another query", json!({"send_path": "/live/applications?a=2"})),
        ("no query", json!({"send_path": "/live/applications"})),
        ("another stage", json!({"send_path": "/prod/applications?a=1"})),
        ("another content type", json!({"send_headers": {"content-type": "text/plain"}})),
        ("a header that is gone", json!({"send_headers": {"content-type": null}})),
        ("no date", json!({"send_headers": {"X-Amz-Date": null}})),
        ("a header of AWS's that is not signed", json!({"send_headers": {"X-Amz-Security-Token": "token"}})),
        ("the hash of another body", json!({"headers": {"X-Amz-Content-SHA256": "0".repeat(64)}})),
        ("a body that is not signed", json!({"headers": {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}})),
        ("another service", json!({"service": "s3"})),
        ("no service", json!({"send_authorization": ["/execute-api/", "/"]})),
        ("a service that was not signed", json!({"service": "s3", "send_authorization": ["/s3/", "/execute-api/"]})),
        ("a region that was not signed", json!({"send_authorization": ["/eu-west-1/", "/eu-west-2/"]})),
        ("no region", json!({"send_authorization": ["/eu-west-1/", "//"]})),
        ("another terminator", json!({"send_authorization": ["aws4_request", "aws5_request"]})),
        ("an unknown access key", json!({"access_key_id": "AKIDNOBODY"})),
        ("another's access key", json!({"send_authorization": [ID, "AKIDOTHER"]})),
        ("no access key", json!({"access_key_id": ""})),
        ("another algorithm", json!({"send_authorization": ["AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"]})),
        ("a longer signature", json!({"send_authorization": ["Signature=", "Signature=0"]})),
        ("no signature", json!({"send_authorization": [", Signature=", ", Signature=, Was="]})),
        ("fewer signed headers", json!({"send_authorization": ["content-type;", ""]})),
        ("another host", json!({"send_headers": {"Host": "elsewhere.example"}})),
        ("another session", json!({"token": "one", "send_headers": {"X-Amz-Security-Token": "two"}})),
        ("no session", json!({"token": "one", "send_headers": {"X-Amz-Security-Token": null}})),
        ("another day", json!({"send_authorization": ["/20", "/19"]})),
        ("another date", json!({"send_headers": {"X-Amz-Date": "20260101T000000Z"}})),
    ];
    let answers = sign(&gateway, cases.iter().map(|(_, more)| create(more.clone())).collect()).await;
    for ((case, _), (status, body)) in cases.iter().zip(&answers) {
        assert_eq!((*status, body.as_str()), (403, DENIED), "{case}");
    }
    let scrape = gateway.metrics().await;
    let counted = |reason: &str| {
        scrape.sum("headgate_admin_refusals_total", &["door=\"rest\"", &format!("reason=\"{reason}\"")]) as usize
    };
    assert_eq!(counted("admin_access_key_unknown"), 1);
    assert!(counted("admin_signature_wrong") + counted("admin_token_malformed") == cases.len() - 1);
    let list = sign(&gateway, vec![json!({"method": "GET", "path": "/applications", "secret": SECRET})]).await;
    let list: Value = serde_json::from_str(&list[0].1).expect("JSON");
    assert_eq!(list["Count"], 1, "only the demo application is there: {list}");
}
