//! Keys, tokens and secrets stay where they belong, whatever is logged, counted, shown or stored.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use headgate_proto::v1::Event;
use headgate_tests::binary;
use headgate_tests::client::{Connection, Target};
use headgate_tests::events::login;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::rest::{RestClient, body};
use http::Method;
use serde_json::{Value, json};

use crate::rest::signed;

const TOKEN: &str = "an-admin-token-of-some-length-7f3a9c";
const WRONG_TOKEN: &str = "a-wrong-token-of-some-length-51d0be";
/// As another system would have issued it; unknown here.
const FOREIGN_KEY: &str = "foreign-key-0123456789-abcdef";
const ACCESS_KEYS: &str = "access-keys";

/// What may not be seen, and what it is called in a failure.
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    /// Every form in which a secret is still a secret: as it is, in hexadecimal digits, in both alphabets of base64 at each
    /// of the three places where it may begin in a longer text, and as URLs write it.
    fn forms(secret: &str) -> Vec<String> {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let url: String = form_urlencoded(secret);
        let mut forms = vec![secret.to_owned(), hex.to_uppercase(), hex, url.to_lowercase(), url];
        for lead in 0..3 {
            let padded = [&vec![0; lead][..], secret.as_bytes()].concat();
            for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
                // Without the characters that its neighbours have a part in.
                let from = [0, 2, 3][lead];
                let to = encoded.len() - usize::from(padded.len() % 3 != 0);
                forms.push(encoded[from..to].to_owned());
            }
        }
        forms
    }

    fn assert_unseen(&self, place: &str, bytes: &[u8]) {
        for (name, secret) in &self.0 {
            for form in Self::forms(secret) {
                if let Some(at) = find(bytes, form.as_bytes()) {
                    let around = &bytes[at.saturating_sub(200)..bytes.len().min(at + 200)];
                    panic!("{name} is in {place}, as {form}: {}", String::from_utf8_lossy(around));
                }
            }
        }
    }
}

fn form_urlencoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[test]
fn every_form_of_a_secret_is_recognised() {
    let secrets = Secrets(vec![("it", TOKEN.to_owned())]);
    let found = |text: String| std::panic::catch_unwind(|| secrets.assert_unseen("here", text.as_bytes())).is_err();
    for lead in ["", "a", "ab", "abc", "x-api-key: "] {
        for tail in ["", "z", "zz", "zzz"] {
            let plain = format!("{lead}{TOKEN}{tail}");
            assert!(found(plain.clone()) && found(STANDARD_NO_PAD.encode(&plain)), "{plain}");
            assert!(found(URL_SAFE_NO_PAD.encode(&plain)), "{plain}");
        }
    }
    assert!(!found(format!("{WRONG_TOKEN} an-admin-token-of-another")));
}

/// A gateway that logs everything there is to log is asked everything by every door, rightly and wrongly; then whatever it
/// said, counted and stored is looked through.
#[tokio::test(flavor = "multi_thread")]
async fn no_key_token_or_secret_is_seen_anywhere() {
    let data = tempfile::tempdir().expect("a folder");
    let access_keys = data.path().join(ACCESS_KEYS);
    fs::write(&access_keys, format!("{} {}\n", signed::ID, signed::SECRET)).expect("it can be written");
    fs::set_permissions(&access_keys, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let access_keys = format!("admin.access_keys_file={:?}", access_keys.display().to_string());
    let environment = [("HEADGATE_ADMIN__TOKEN".to_owned(), TOKEN.to_owned())];
    let settings = ["operate.log=trace", "lake.segment_age=1s", access_keys.as_str()];
    let mut gateway = GatewayProcess::start_in(data.path(), &settings, &environment).await;
    let mut secrets = Secrets(vec![
        ("the admin token", TOKEN.to_owned()),
        ("a wrong admin token", WRONG_TOKEN.to_owned()),
        ("a foreign key", FOREIGN_KEY.to_owned()),
        ("an access key's secret", signed::SECRET.to_owned()),
    ]);

    let mut said = administer_by_rest(&gateway, &mut secrets).await;
    said.extend(administer_by_command_line(&gateway, &mut secrets));
    said.extend(administer_in_the_console(&gateway, &mut secrets).await);
    let (demo_id, demo) = gateway.demo();
    secrets.0.push(("the demo key", demo.key.clone()));
    let mistyped = format!("{}0", &demo.key[..demo.key.len() - 1]);
    secrets.0.push(("a mistyped key", mistyped.clone()));
    let mut keys =
        secrets.0.iter().filter(|(name, _)| name.contains("key")).map(|(_, key)| key.clone()).collect::<Vec<_>>();
    keys.push("no key\tat all".to_owned());
    for key in &keys {
        said.extend(send(&gateway, &demo_id.to_string(), &Target { key: key.clone(), ..demo.clone() }).await);
    }
    for path in
        ["/metrics", "/readyz", "/live/apps", "/live/tail", "/live/series", "/live/rejected-fields", "/lake/compact"]
    {
        let client = RestClient::new(gateway.operate_address());
        let headers = [("authorization", format!("Bearer {TOKEN}"))];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let method = if path.starts_with("/lake") { Method::POST } else { Method::GET };
        said.push((path.to_owned(), client.send(method, path, &headers, "").await.text));
    }
    let shown = command(data.path(), &["check-config", "--set", settings[2], "--set", &format!("admin.token={TOKEN}")]);
    said.push(("check-config".to_owned(), shown));
    let shown = command(data.path(), &["check-config", "--set", &format!("admin.token={TOKEN} {TOKEN}")]);
    assert!(shown.contains("admin.token"), "{shown}");
    said.push(("a bad configuration".to_owned(), shown));
    assert!(gateway.terminate(crate::PATIENCE).await.success());

    let log = gateway.log();
    assert!(log.lines().count() > 1_000, "it logged everything:\n{log}");
    said.push(("the log".to_owned(), log));
    for (place, text) in &said {
        secrets.assert_unseen(place, text.as_bytes());
    }
    let mut files = Vec::new();
    collect(data.path(), &mut files);
    for file in files {
        let name = file.strip_prefix(data.path()).expect("below it").display().to_string();
        if ["demo-api-key", "admin-token", ACCESS_KEYS].contains(&name.as_str()) {
            let mode = fs::metadata(&file).expect("it is there").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{name}");
        } else {
            secrets.assert_unseen(&name, &fs::read(&file).expect("it can be read"));
        }
    }
}

type Said = Vec<(String, String)>;

/// Applications and keys over REST, with the token, with signatures, and without leave. Answers that hand out a key are
/// left out: there it belongs.
async fn administer_by_rest(gateway: &GatewayProcess, secrets: &mut Secrets) -> Said {
    let client = RestClient::new(gateway.rest());
    let mut said = Said::new();
    let (token, wrong) = (format!("Bearer {TOKEN}"), format!("Bearer {WRONG_TOKEN}"));
    let ask = async |method: Method, path: &str, token: &str, body: Value| {
        let headers = [("authorization", token), ("content-type", "application/json")];
        client.send(method, path, &headers, body.to_string()).await
    };
    let application = ask(Method::POST, "/applications", &token, json!({"Name": "Skyfall"})).await.json();
    let path = format!("/applications/{}/authorizations", application["ApplicationId"].as_str().expect("an id"));
    let made = ask(Method::POST, &path, &token, json!({"Name": "server"})).await.json();
    secrets.0.push(("a key made over REST", made["ApiKeyValue"].as_str().expect("a key").to_owned()));
    for token in [&token, &wrong, &TOKEN.to_owned(), &format!("Basic {TOKEN}")] {
        for path in [&path, "/applications", "/no/such/path"] {
            let answer = ask(Method::GET, path, token, Value::Null).await;
            said.push((format!("REST's answer for {path}"), format!("{:?}", answer)));
        }
    }
    let get = |secret: &str| json!({"method": "GET", "path": "/applications", "secret": secret});
    let mut calls = vec![get(signed::SECRET), get(WRONG_TOKEN)];
    calls.push(json!({"method": "POST", "path": "/applications", "body": "{}", "secret": signed::SECRET}));
    let answers = signed::sign(gateway, calls).await;
    assert_eq!(answers.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200, 403, 400]);
    said.extend(answers.into_iter().map(|(_, body)| ("an answer to a signed request".to_owned(), body)));
    said
}

/// The same through `AdminService`, with a token in a file and a wrong one.
fn administer_by_command_line(gateway: &GatewayProcess, secrets: &mut Secrets) -> Said {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("http://{}", gateway.target("").address);
    let mut said = Said::new();
    for token in [TOKEN, WRONG_TOKEN] {
        let file = folder.path().join("token");
        fs::write(&file, token).expect("it can be written");
        let file = file.display().to_string();
        let ask = |arguments: &[&str]| {
            let all = [arguments, &["--gateway", &url, "--admin-token-file", &file, "--output", "json"]].concat();
            command(folder.path(), &all)
        };
        let made = ask(&["keys", "create", "Skyfall", "--name", "another"]);
        match serde_json::from_str::<Value>(made.lines().collect::<String>().as_str()) {
            Ok(made) if made["api_key"].is_string() => {
                secrets
                    .0
                    .push(("a key made through AdminService", made["api_key"].as_str().expect("a key").to_owned()));
            }
            _ => said.push(("a refused command".to_owned(), made)),
        }
        for command in [&["keys", "list"][..], &["apps", "list"], &["audit"]] {
            said.push((format!("{command:?}"), ask(command)));
        }
    }
    said
}

/// A sign-in that fails, one that succeeds, a key made on a page, and every page after that.
async fn administer_in_the_console(gateway: &GatewayProcess, secrets: &mut Secrets) -> Said {
    let client = RestClient::new(gateway.operate_address());
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let wrong = client.send(Method::POST, "/console/sign-in", &form, format!("token={WRONG_TOKEN}&next=")).await;
    assert_eq!(wrong.status, 403);
    let mut said = vec![("the answer to a wrong sign-in".to_owned(), format!("{wrong:?}"))];
    let signed_in = client.send(Method::POST, "/console/sign-in", &form, format!("token={TOKEN}&next=")).await;
    let cookie = signed_in.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    let session = cookie.split_once('=').expect("its value").1.to_owned();
    secrets.0.push(("a session", session));
    let cookies = [form[0], ("cookie", cookie.as_str())];
    let application = gateway.demo().0;
    let keys = format!("/console/applications/{application}/keys");
    let page = client.send(Method::GET, &keys, &cookies, "").await.text;
    let form_token = between(&page, "name=\"form_token\" value=\"", "\"").expect("the page has a form").to_owned();
    let create = format!("form_token={form_token}&name=console&ingest_server=on&expires=");
    let made = client.send(Method::POST, &keys, &cookies, create).await;
    assert!(made.status.is_redirection(), "{made:?}");
    let page = client.send(Method::GET, &keys, &cookies, "").await.text;
    let key = between(&page, ">hg_", "<").unwrap_or_else(|| panic!("the key is shown once: {page}"));
    secrets.0.push(("a key made in the console", format!("hg_{key}")));
    for path in [&keys, "/console", "/console/applications", "/console/audit", "/console/system", "/console/test"] {
        said.push((path.to_owned(), client.send(Method::GET, path, &cookies, "").await.text));
    }
    said
}

/// Good and bad batches with a key, by both doors and in every header that may hold one.
async fn send(gateway: &GatewayProcess, application: &str, target: &Target) -> Said {
    let mut said = Said::new();
    let bad = Event { event_type: "not good".to_owned(), ..login() };
    let rest = RestClient::new(gateway.rest());
    if let Ok(key) = target.key.parse::<tonic::metadata::AsciiMetadataValue>() {
        drop(key);
        let mut connection = Connection::open(target).await.expect("it listens");
        let answer = connection.publish(vec![login(), bad.clone()]).await;
        said.push(("gRPC's answer".to_owned(), format!("{answer:?}")));
        if let Ok(mut stream) = connection.stream(1).await {
            let request = headgate_proto::v1::StreamEventsRequest { sequence: 1, events: vec![login()] };
            let _ = stream.requests.send(request).await;
            said.push(("a stream's answer".to_owned(), format!("{:?}", stream.answers.message().await)));
        }
    }
    let path = format!("/applications/{application}/events");
    for (name, value) in [("authorization", target.key.clone()), ("x-api-key", target.key.clone())] {
        for events in [body(&[login()]), body(std::slice::from_ref(&bad)), "{".into()] {
            let answer = rest.try_send(Method::POST, &path, &[(name, &value)], events).await;
            said.push(("REST's answer to a batch".to_owned(), format!("{answer:?}")));
        }
    }
    said
}

/// What a command says, however it ends.
fn command(data_dir: &Path, arguments: &[&str]) -> String {
    let mut all: Vec<_> = arguments.iter().map(std::ffi::OsStr::new).collect();
    all.extend([std::ffi::OsStr::new("--data-dir"), data_dir.as_os_str()]);
    let Output { stdout, stderr, .. } = binary::command(&all).output().expect("headgate can be run");
    String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned()
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = &text[text.find(before)? + before.len()..];
    rest.split_once(after).map(|(found, _)| found)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("it can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}
