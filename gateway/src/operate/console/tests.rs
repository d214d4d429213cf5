//! The console's promises, against a whole gateway: who is let in, which forms are taken, and that nothing becomes markup.

use std::net::SocketAddr;
use std::path::Path;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tempfile::TempDir;
use uuid::Uuid;

use super::guard::{COOKIE, POLICY};
use crate::config::{DestinationKind, Loaded, Settings, load};
use crate::registry::{Application, NewApplication};
use crate::serve::{Gateway, Ground};

/// A gateway with somebody before it.
struct House {
    gateway: Gateway,
    folder: TempDir,
    cookie: Option<String>,
}

/// What came back.
struct Answer {
    status: StatusCode,
    to: String,
    headers: axum::http::HeaderMap,
    page: String,
}

impl House {
    async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings { data_dir: folder.path().to_owned(), ..Settings::default() };
        Self::open_with(folder, settings.into()).await
    }

    async fn open_with(folder: TempDir, mut loaded: Loaded) -> Self {
        let settings = &mut loaded.settings;
        settings.delivery.destination = DestinationKind::Discard;
        for listen in [&mut settings.grpc.listen, &mut settings.rest.listen, &mut settings.operate.listen] {
            listen.set_port(0);
        }
        let gateway = Gateway::start_loaded(loaded, Ground::default()).await.expect("it starts");
        Self { gateway, folder, cookie: None }
    }

    async fn signed_in() -> Self {
        let mut house = Self::open().await;
        let token = house.token();
        house.sign_in(&token).await;
        house
    }

    async fn sign_in(&mut self, token: &str) {
        let answer = self.form("/console/sign-in", &[("token", token)]).await;
        assert_eq!((answer.status, answer.to.as_str()), (StatusCode::SEE_OTHER, "/console"));
        let cookie = answer.headers[header::SET_COOKIE].to_str().expect("a text").to_owned();
        self.cookie = cookie.split(';').next().map(str::to_owned);
    }

    fn token(&self) -> String {
        let read = |file: &Path| std::fs::read_to_string(file).expect("the first start makes a token");
        read(&self.folder.path().join("admin-token")).trim().to_owned()
    }

    fn address(&self) -> SocketAddr {
        self.gateway.operate_address()
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address()));
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).expect("a request");
        let client = Client::builder(TokioExecutor::new()).build_http();
        let response: Response<hyper::body::Incoming> = client.request(request).await.expect("it answers");
        let (head, body) = response.into_parts();
        let page = body.collect().await.expect("a body").to_bytes();
        Answer {
            status: head.status,
            to: head.headers.get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default().to_owned(),
            headers: head.headers,
            page: String::from_utf8_lossy(&page).into_owned(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], String::new()).await
    }

    /// Sends a form as it stands.
    async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.form_with(path, &[], fields).await
    }

    async fn form_with(&self, path: &str, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let headers = [&[("content-type", "application/x-www-form-urlencoded")], headers].concat();
        self.send(Method::POST, path, &headers, body).await
    }

    /// Sends a form of the console's own.
    async fn own_form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.form_token().await;
        self.form(path, &[&[("form_token", token.as_str())], fields].concat()).await
    }

    async fn form_token(&self) -> String {
        let page = self.get("/console/applications").await.page;
        let (_, rest) = page.split_once("name=\"form_token\" value=\"").expect("a form");
        rest.split('"').next().expect("a value").to_owned()
    }

    async fn application(&self, name: &str) -> Application {
        let new =
            NewApplication { name: name.to_owned(), description: Some(name.to_owned()), ..NewApplication::default() };
        self.gateway.registry().create_application(new).await.expect("it is registered")
    }

    async fn applications(&self) -> usize {
        self.gateway.registry().list_applications().await.expect("they are listed").len()
    }

    async fn end(self) {
        self.gateway.stop().await;
    }
}

#[tokio::test]
async fn without_a_sign_in_there_is_nothing_to_see_or_do() {
    let house = House::open().await;
    let answer = house.get("/console/audit?before=1").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.to, "/console/sign-in?next=%2Fconsole%2Faudit%3Fbefore%3D1");
    assert_eq!(house.get("/console/api/overview").await.status, StatusCode::UNAUTHORIZED);
    let before = house.applications().await;
    let answer = house.form("/console/applications", &[("name", "x"), ("environment", "dev")]).await;
    assert_eq!((answer.status, answer.to.as_str()), (StatusCode::SEE_OTHER, "/console/sign-in"));
    assert_eq!(house.applications().await, before);

    for open in ["/metrics", "/healthz", "/readyz", "/console/sign-in"] {
        assert_eq!(house.get(open).await.status, StatusCode::OK, "{open}");
    }
    let browser = house.send(Method::GET, "/", &[("accept", "text/html,*/*;q=0.8")], String::new()).await;
    assert_eq!(browser.to, "/console");
    assert!(house.get("/").await.page.contains("/metrics"), "curl gets the text");
    assert_eq!(house.get("/nowhere").await.status, StatusCode::NOT_FOUND);
    house.end().await;
}

#[tokio::test]
async fn wrong_tokens_are_refused_and_then_slowed_down_and_a_cookie_of_ones_own_making_is_none() {
    let mut house = House::open().await;
    house.cookie = Some(format!("{COOKIE}={}", "0".repeat(64)));
    assert_eq!(house.get("/console").await.status, StatusCode::SEE_OTHER);
    for _ in 0..4 {
        let answer = house.form("/console/sign-in", &[("token", "wrong")]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(!answer.headers.contains_key(header::SET_COOKIE));
    }
    let answer = house.form("/console/sign-in", &[("token", "wrong")]).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers[header::RETRY_AFTER], "1");
    let token = house.token();
    let answer = house.form("/console/sign-in", &[("token", &token)]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "whoever has the token is locked out by nobody");
    let foreign = [("sec-fetch-site", "cross-site")];
    assert_eq!(house.form_with("/console/sign-in", &foreign, &[("token", &token)]).await.status, StatusCode::FORBIDDEN);
    house.end().await;
}

#[tokio::test]
async fn a_form_is_taken_only_from_this_console_and_this_sign_in() {
    let house = House::signed_in().await;
    let before = house.applications().await;
    let fields = [("name", "Skyfall"), ("environment", "dev")];
    let other = House::signed_in().await;
    let others = other.form_token().await;
    for token in ["", "0", others.as_str()] {
        let answer = house.form("/console/applications", &[&[("form_token", token)], &fields[..]].concat()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{token:?}");
    }
    let token = house.form_token().await;
    let own = [&[("form_token", token.as_str())], &fields[..]].concat();
    for foreign in [("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:1"), ("origin", "null")] {
        let answer = house.form_with("/console/applications", &[foreign], &own).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{foreign:?}");
    }
    assert_eq!(house.applications().await, before, "nothing was done");

    let origin = format!("http://{}", house.address());
    let answer = house.form_with("/console/applications", &[("origin", &origin)], &own).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.page);
    assert_eq!(house.applications().await, before + 1);
    assert!(house.get("/console/audit").await.page.contains("application.create"));
    house.end().await;
    other.end().await;
}

#[tokio::test]
async fn what_players_sent_is_for_this_machine_and_for_administrators_and_no_page_elsewhere_can_ask_for_work() {
    let house = House::open().await;
    let ask = |method: Method, path: &'static str, headers: Vec<(&'static str, String)>| {
        let house = &house;
        async move {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            house.send(method, path, &headers, String::new()).await.status
        }
    };
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    assert_eq!(ask(Method::GET, "/live/tail", vec![]).await, StatusCode::OK);
    let elsewhere = [("host", "evil.example:9090".to_owned()), ("x-forwarded-for", "10.1.2.3".to_owned())];
    for from in elsewhere {
        assert_eq!(ask(Method::GET, "/live/tail", vec![from.clone()]).await, StatusCode::FORBIDDEN, "{from:?}");
        assert_eq!(ask(Method::GET, "/live/tail", vec![from.clone(), bearer("wrong")]).await, StatusCode::FORBIDDEN);
        assert_eq!(ask(Method::GET, "/live/tail", vec![from.clone(), bearer(&house.token())]).await, StatusCode::OK);
        assert_eq!(ask(Method::POST, "/lake/compact", vec![from]).await, StatusCode::FORBIDDEN);
    }
    let cross = ("sec-fetch-site", "cross-site".to_owned());
    assert_eq!(ask(Method::POST, "/lake/compact", vec![cross]).await, StatusCode::FORBIDDEN);
    let none = ask(Method::POST, "/lake/compact", vec![]).await;
    assert_eq!(none, StatusCode::NOT_FOUND, "from here it is asked for: there is no lake");
    house.end().await;
}

#[tokio::test]
async fn signing_out_ends_the_session_and_not_only_its_cookie() {
    let house = House::signed_in().await;
    assert_eq!(house.get("/console").await.status, StatusCode::OK);
    let answer = house.own_form("/console/sign-out", &[]).await;
    assert!(answer.headers[header::SET_COOKIE].to_str().expect("a text").contains("Max-Age=0"));
    assert_eq!(house.get("/console").await.status, StatusCode::SEE_OTHER);
    house.end().await;
}

#[tokio::test]
async fn every_page_carries_the_policy_and_shows_names_as_text() {
    const EVIL: &str = "\"><script>alert(1)</script>";
    let house = House::signed_in().await;
    let id = house.application(EVIL).await.application_id;
    let application = format!("/console/applications/{id}");
    house.own_form(&format!("{application}/keys"), &[("name", EVIL), ("ingest_server", "on"), ("expires", "")]).await;
    let pages = [
        "/console".to_owned(),
        "/console/applications".to_owned(),
        application.clone(),
        format!("{application}/keys"),
        format!("{application}/schemas?type=%3Cscript%3E"),
        format!("{application}/players"),
        format!("{application}/settings"),
        format!("/console/test?application={id}"),
        "/console/audit".to_owned(),
        "/console/system".to_owned(),
        "/console/nothing/here".to_owned(),
        format!("/console/applications/{}", Uuid::nil()),
        "/console/applications/no-uuid".to_owned(),
    ];
    for path in &pages {
        let answer = house.get(path).await;
        assert!(answer.page.matches("<script").count() <= 1, "{path}: {}", answer.page);
        assert!(!answer.page.contains("onerror") && !answer.page.contains(" style="), "{path}");
        let is = |name: &str, value: &str| assert_eq!(answer.headers[name], value, "{path}");
        is("content-security-policy", POLICY);
        is("x-content-type-options", "nosniff");
        is("referrer-policy", "same-origin");
        is("cache-control", "no-store");
        is("x-frame-options", "DENY");
    }
    for path in [&pages[10], &pages[11], &pages[12], "/console/test?application=1"] {
        let answer = house.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.page.contains("<h1>Not found</h1>") && answer.page.contains("href=\"/console\""), "{path}");
    }
    assert_eq!(house.get("/console/sign-out").await.status, StatusCode::METHOD_NOT_ALLOWED);
    for path in ["/console/api/overview", "/console/api/system", &format!("/console/api/applications/{id}")] {
        let answer = house.get(path).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(!answer.page.contains("<script"), "{path}");
    }
    house.end().await;
}

#[tokio::test]
async fn a_key_is_shown_once_and_lets_a_test_event_in_until_it_is_disabled() {
    let house = House::signed_in().await;
    let id = house.application("Skyfall").await.application_id;
    let keys = format!("/console/applications/{id}/keys");
    let none = house.own_form(&keys, &[("name", "server"), ("expires", "")]).await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    assert!(
        none.page.contains("Tick at least one thing") && none.page.contains("value=\"server\""),
        "what was typed stays"
    );
    house
        .own_form(&keys, &[("name", "server"), ("ingest_server", "on"), ("ingest_client", "on"), ("expires", "30d")])
        .await;
    let shown = house.get(&keys).await.page;
    let (_, key) = shown.split_once("<code id=\"key\">").expect("it is shown");
    let key = key.split('<').next().expect("a key").to_owned();
    assert!(shown.contains("grpcurl") && shown.contains("curl http://"));
    assert!(!house.get(&keys).await.page.contains(&key), "and not again");

    let sent = |key: String| {
        let house = &house;
        async move {
            let fields =
                [("key", key.as_str()), ("event_type", "login"), ("event_name", "first_login"), ("event_data", "{}")];
            house.own_form("/console/test", &fields).await.page
        }
    };
    assert!(sent(String::new()).await.contains("Stored"));
    assert!(sent(key.clone()).await.contains("Stored"));
    let refused = sent("hg_not-a-key".to_owned()).await;
    assert!(refused.contains("Refused") && refused.contains("key_malformed"));

    let made = house.gateway.registry().list_authorizations(id).await.expect("they are listed");
    let made = made.first().expect("one was made").api_key_id;
    let elsewhere = house.application("Other").await.application_id;
    let answer = house.own_form(&format!("/console/applications/{elsewhere}/keys/{made}/disable"), &[]).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "it is no key of that application");
    let scopes = format!("{keys}/{made}/scopes");
    assert_eq!(house.own_form(&scopes, &[]).await.status, StatusCode::SEE_OTHER);
    assert!(house.get(&keys).await.page.contains("Tick at least one thing"), "nothing at all is no change");
    house.own_form(&scopes, &[("read", "on")]).await;
    let changed = house.gateway.registry().get_authorization(made).await.expect("it is there").scopes;
    assert_eq!(changed.to_string(), "read");
    assert!(house.get(&keys).await.page.contains("may now be used for read"));
    let answer = house.own_form(&format!("{keys}/{made}/disable"), &[]).await;
    assert_eq!((answer.status, answer.to.as_str()), (StatusCode::SEE_OTHER, keys.as_str()));
    assert!(house.get(&keys).await.page.contains("server is disabled"));
    house.end().await;
}

#[tokio::test]
async fn an_application_is_deleted_only_by_its_name_and_settings_that_make_no_sense_are_given_back() {
    let house = House::signed_in().await;
    let id = house.application("Skyfall").await.application_id;
    let address = format!("/console/applications/{id}");
    let fields = [("name", "Skyfall 2"), ("environment", "stage"), ("bytes_per_second", "a lot"), ("route", "")];
    let answer = house.own_form(&format!("{address}/settings"), &fields).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.page.contains("value=\"a lot\"") && answer.page.contains("give a size such as"), "{}", answer.page);
    let fields = [("name", "Skyfall 2"), ("environment", "stage"), ("events_per_second", "7"), ("route", "lake")];
    assert_eq!(house.own_form(&format!("{address}/settings"), &fields).await.status, StatusCode::SEE_OTHER);
    let saved = house.gateway.registry().get_application(id).await.expect("it is there");
    assert_eq!((saved.name.as_str(), saved.limits.events_per_second), ("Skyfall 2", Some(7)));

    let answer = house.own_form(&format!("{address}/delete"), &[("confirm", "Skyfall")]).await;
    assert!(answer.page.contains("Nothing was deleted"));
    let answer = house.own_form(&format!("{address}/delete"), &[("confirm", "Skyfall 2")]).await;
    assert_eq!(answer.to, "/console/applications");
    assert!(house.gateway.registry().get_application(id).await.is_err());
    house.end().await;
}

#[tokio::test]
async fn the_system_page_says_where_each_setting_comes_from_and_shows_no_secret() {
    const TOKEN: &str = "open-sesame-open-sesame";
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("headgate.toml");
    std::fs::write(&file, "[lake]\nsegment_age = \"7s\"\n").expect("writes");
    let data = folder.path().join("data").display().to_string();
    let flags = [("data_dir", data.as_str()), ("admin.token", TOKEN)];
    let flags = flags.map(|(setting, value)| (setting.to_owned(), value.to_owned()));
    let loaded = load(Some(&file), &flags).expect("good settings");
    let mut house = House::open_with(folder, loaded).await;
    house.sign_in(TOKEN).await;
    let page = house.get("/console/system").await.page;
    let row = |setting: &str| {
        let (_, row) = page.split_once(&format!("<code>{setting}</code>")).expect("is listed");
        row.split("</tr>").next().expect("ends").to_owned()
    };
    assert!(
        row("lake.segment_age").contains("7s") && row("lake.segment_age").contains(&format!("file {}", file.display()))
    );
    assert!(row("admin.token").contains("(hidden)") && row("admin.token").contains("flag"));
    assert!(row("grpc.max_frame").contains("default"));
    assert!(!page.contains("sesame"));
    house.end().await;
}

#[tokio::test]
async fn a_player_is_deleted_only_by_an_id_typed_twice_and_the_page_tells_how_far_it_is() {
    let house = House::signed_in().await;
    let id = house.application("Skyfall").await.application_id;
    let players = format!("/console/applications/{id}/players");
    let delete = format!("{players}/delete");
    let player = "a-player-of-some-length";
    let answer = house.own_form(&delete, &[("deleted_player_id", player), ("confirm", "another")]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.page.contains("nothing was deleted") && !answer.page.contains("Suppressed players"));
    let answer = house.own_form(&delete, &[("deleted_player_id", player), ("confirm", player)]).await;
    assert_eq!((answer.status, answer.to.as_str()), (StatusCode::SEE_OTHER, players.as_str()));
    let shown = house.get(&players).await.page;
    assert!(shown.contains("is being deleted") && shown.contains("Suppressed players"), "{shown}");
    assert!(shown.contains("waiting") || shown.contains("queued"), "{shown}");
    let newer = house.get(&format!("/console/api/applications/{id}/players")).await;
    assert!(newer.status == StatusCode::OK && newer.page.contains("\"deletions\""), "{}", newer.page);
    house.end().await;
}

#[tokio::test]
async fn ids_are_hashed_as_the_form_says() {
    let house = House::signed_in().await;
    let id = house.application("Skyfall").await.application_id;
    let players = format!("/console/applications/{id}/players");
    assert!(!house.get(&players).await.page.contains("Hash with a new secret"), "there is none yet");
    let ticked = [("hash_player_id", "on"), ("hash_device", "on")];
    let answer = house.own_form(&format!("{players}/hash"), &ticked).await;
    assert_eq!((answer.status, answer.to.as_str()), (StatusCode::SEE_OTHER, players.as_str()));
    let shown = house.get(&players).await.page;
    assert!(shown.contains("Secret number 1") && shown.contains("Hash with a new secret"), "{shown}");
    assert_eq!(shown.matches(" checked").count(), 2, "{shown}");
    house.own_form(&format!("{players}/rotate"), &[]).await;
    house.own_form(&format!("{players}/hash"), &[]).await;
    let shown = house.get(&players).await.page;
    assert!(shown.contains("Secret number 2") && !shown.contains(" checked"), "{shown}");
    house.end().await;
}
