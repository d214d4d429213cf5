//! An application's keys: made, shown once, disabled, put in each other's place, deleted.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use uuid::Uuid;

use super::{Shown, Tab, status_of};
use crate::admin::{KeyRequest, Rotation};
use crate::operate::console::components::{self, Input, application_address, badge, copyable, form_problem, tick};
use crate::operate::console::failure::{Answer, Failure, Refused};
use crate::operate::console::fields::{Fields, Misfilled};
use crate::operate::console::guard::Signed;
use crate::operate::console::layout::form_token;
use crate::operate::console::pages::overview::{act, last};
use crate::operate::console::pages::snippets;
use crate::operate::console::session::{MadeKey, Session};
use crate::operate::console::{Console, words};
use crate::registry::{Authorization, Scopes};

/// How long a key may let in, to choose from: what is sent, what is said, and the time.
const LIFETIMES: [(&str, &str, Option<u64>); 5] = [
    ("", "never", None),
    ("1d", "after a day", Some(86_400)),
    ("30d", "after 30 days", Some(30 * 86_400)),
    ("90d", "after 90 days", Some(90 * 86_400)),
    ("365d", "after a year", Some(365 * 86_400)),
];

/// How long an old key goes on beside the new one.
const OVERLAPS: [(&str, &str, u64); 5] = [
    ("86400", "another day", 86_400),
    ("3600", "another hour", 3_600),
    ("604800", "another week", 604_800),
    ("2592000", "another 30 days", 2_592_000),
    ("0", "no longer: it is disabled at once", 0),
];

/// How an application's keys page came about.
struct View<'a> {
    console: &'a Console,
    session: &'a Session,
    id: Uuid,
    host: &'a str,
    filled: Option<&'a Fields>,
    problem: Option<&'a str>,
}

impl View<'_> {
    async fn show(self) -> Result<Response, Failure> {
        let application = self.console.admin.application(self.id).await?;
        let keys = self.console.admin.keys(self.id).await?;
        let made = self.session.take_to_show(self.id);
        let content = html! {
            @if let Some(made) = &made { (self.just_made(made)) }
            @if keys.is_empty() {
                p .empty { "There is no key yet. Make one below; game servers send it with every call." }
            } @else {
                (components::table("Keys", &["Key", "State", "May", "Expires", "Last used", "Change"], &self.rows(&keys)))
            }
            section .card aria-labelledby="make" {
                h2 #make { "Make a key" }
                (self.form())
            }
        };
        let status = status_of(self.problem);
        let (session, application) = (self.session, &application);
        Ok(Shown { session, application, tab: Tab::Keys, live: None, status, content }.response())
    }

    /// A key at the one time that it can be read, and what to do with it.
    fn just_made(&self, made: &MadeKey) -> Markup {
        let key = made.key.expose();
        html! {
            section .card .made aria-labelledby="made" {
                h2 #made { "Your new key: " (made.name) }
                p { strong { "Copy it now. It is shown this once" } " and kept only as a hash." }
                (copyable("key", "the key", key))
                h3 { "Send a first event" }
                p {
                    a .button .primary href={ "/console/test?application=" (self.id) } { "Send a test event from here" }
                    " or paste a command into a shell:"
                }
                h4 { "gRPC, with grpcurl" }
                (copyable("grpc", "the command", &snippets::grpc(self.console, key, self.host)))
                @if let Some(command) = snippets::rest(self.console, self.id, key, self.host) {
                    h4 { "REST, with curl" }
                    (copyable("rest", "the command", &command))
                }
                p { "Then " a href=(application_address(self.id)) { "watch it arrive" } "." }
            }
        }
    }

    fn rows(&self, keys: &[Authorization]) -> Markup {
        let now_ms = self.console.now_ms();
        html! {
            @for key in keys {
                @let address = format!("{}/keys/{}", application_address(self.id), key.api_key_id);
                @let expired = key.expires_at_ms.is_some_and(|at| at <= now_ms);
                tr {
                    th scope="row" {
                        (key.name)
                        span .sub { code { (key.masked_key) } }
                        @if let Some(description) = &key.description { span .sub { (description) } }
                    }
                    td {
                        @if !key.enabled { (badge("none", "disabled")) }
                        @else if expired { (badge("warn", "expired")) }
                        @else { (badge("good", "enabled")) }
                    }
                    td { (key.scopes.to_string().replace(',', ", ")) }
                    td { @match key.expires_at_ms { Some(at) => (words::moment(at)), None => "never" } }
                    td { (last(now_ms, key.last_used_at_ms)) }
                    td .acts { (self.acts(key, &address)) }
                }
            }
        }
    }

    fn acts(&self, key: &Authorization, address: &str) -> Markup {
        let (session, name) = (self.session, &key.name);
        let overlap = format!("overlap-{}", key.api_key_id);
        html! {
            @if key.enabled {
                (act(session, &format!("{address}/disable"), "Disable", name, &[]))
            } @else {
                (act(session, &format!("{address}/enable"), "Enable", name, &[]))
            }
            details {
                summary { "Scopes…" span .unseen { " of " (name) } }
                form .form method="post" action={ (address) "/scopes" } {
                    (form_token(session))
                    fieldset {
                        legend { "What " (name) " may be used for" }
                        @for (scope, said, held) in scopes(key.scopes) {
                            @let id = format!("{scope}-{}", key.api_key_id);
                            div .tick {
                                input id=(id) type="checkbox" name=(scope) checked[held];
                                label for=(id) { (said) }
                            }
                        }
                    }
                    button { "Change" span .unseen { " what " (name) " may be used for" } }
                }
            }
            details {
                summary { "Rotate…" span .unseen { " " (name) } }
                form .form method="post" action={ (address) "/rotate" } {
                    (form_token(session))
                    p { "A new key is made in its place." }
                    div .field {
                        label for=(overlap) { "The old one lets in for" }
                        select id=(overlap) name="overlap" {
                            @for (value, text, _) in OVERLAPS { option value=(value) { (text) } }
                        }
                    }
                    button { "Rotate" span .unseen { " " (name) } }
                }
            }
            details {
                summary { "Delete…" span .unseen { " " (name) } }
                form .form method="post" action={ (address) "/delete" } {
                    (form_token(session))
                    p { "Whoever uses it is refused within 5 s. It can't be brought back." }
                    button .bad { "Delete " (name) }
                }
            }
        }
    }

    fn form(&self) -> Markup {
        let text = |name| self.filled.map_or("", |fields| fields.raw(name));
        let ticked = |name, default| self.filled.map_or(default, |fields| fields.ticked(name));
        html! {
            (form_problem(self.problem))
            form .form method="post" action={ (application_address(self.id)) "/keys" } {
                (form_token(self.session))
                (Input { name: "name", label: "Name", value: text("name"),
                    hint: "Who has it, such as eu-west game servers.", required: true }.show())
                (Input { name: "description", label: "Description", value: text("description"), hint: "", required: false }
                    .show())
                fieldset {
                    legend { "What it may be used for" }
                    @for (scope, said, held) in scopes(Scopes::default()) { (tick(scope, said, ticked(scope, held))) }
                }
                (components::select("expires", "It stops letting in", "",
                    &LIFETIMES.map(|(value, said, _)| (value, said)), text("expires")))
                button .primary { "Make the key" }
            }
        }
    }
}

/// What a key may be used for: the field, in words, and whether it holds.
fn scopes(scopes: Scopes) -> [(&'static str, &'static str, bool); 3] {
    [
        ("ingest_client", "Send single batches, as a game client does", scopes.ingest_client),
        ("ingest_server", "Send by every way, streams included, as a game server does", scopes.ingest_server),
        ("read", "Read the application's live counters", scopes.read),
    ]
}

/// Those that are ticked.
fn ticked(fields: &Fields) -> Result<Scopes, Misfilled> {
    let [ingest_client, ingest_server, read] =
        ["ingest_client", "ingest_server", "read"].map(|scope| fields.ticked(scope));
    let scopes = Scopes { ingest_client, ingest_server, read };
    if scopes.is_empty() {
        return Err(Misfilled("Tick at least one thing that the key may be used for.".to_owned()));
    }
    Ok(scopes)
}

/// The name that the browser found this listener under.
fn host(headers: &HeaderMap) -> &str {
    headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

pub(in crate::operate::console) async fn page(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Answer {
    let view = View { console: &console, session: &session, id, host: host(&headers), filled: None, problem: None };
    view.show().await
}

pub(in crate::operate::console) async fn create(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    fields: Fields,
) -> Answer {
    let made = async {
        let request = request(&console, id, &fields)?;
        Ok(console.admin.create_key(session.actor(), request).await?)
    };
    match made.await {
        Ok(made) => {
            session.keep(made, &console.clock);
            Ok(to_keys(id))
        }
        Err(Refused::Misfilled(problem)) => {
            let (host, filled, problem) = (host(&headers), Some(&fields), Some(problem.as_str()));
            View { console: &console, session: &session, id, host, filled, problem }.show().await
        }
        Err(Refused::Failed(failure)) => Err(failure),
    }
}

fn request(console: &Console, application_id: Uuid, fields: &Fields) -> Result<KeyRequest, Misfilled> {
    let scopes = ticked(fields)?;
    let lifetime = LIFETIMES.iter().find(|(value, ..)| *value == fields.text("expires"));
    let (.., seconds) = lifetime.ok_or_else(|| Misfilled("It stops letting in: choose one of the list.".to_owned()))?;
    let in_ms = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000);
    Ok(KeyRequest {
        application_id,
        name: fields.text("name").to_owned(),
        description: fields.optional("description").map(str::to_owned),
        expires_at_ms: seconds.map(|seconds| console.now_ms().saturating_add(in_ms(seconds))),
        scopes,
    })
}

/// A key, if it is this application's: an address that was put together by hand must not do something elsewhere.
async fn own_key(console: &Console, id: Uuid, key: Uuid) -> Result<Authorization, Failure> {
    let key = console.admin.key(key).await?;
    if key.application_id == id { Ok(key) } else { Err(Failure::Missing("key")) }
}

fn to_keys(id: Uuid) -> Response {
    Redirect::to(&format!("{}/keys", application_address(id))).into_response()
}

async fn set_enabled(console: &Console, session: &Session, (id, key): (Uuid, Uuid), enabled: bool) -> Answer {
    let key = own_key(console, id, key).await?;
    console.admin.set_enabled(session.actor(), key.api_key_id, enabled).await?;
    let heeded = words::span(console.settings.admission.key_refresh.max(Duration::from_secs(1)));
    let done = if enabled { "enabled" } else { "disabled" };
    session.tell(format!("{} is {done}. This gateway heeds it within {heeded}.", key.name));
    Ok(to_keys(id))
}

pub(in crate::operate::console) async fn enable(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path(which): Path<(Uuid, Uuid)>,
) -> Answer {
    set_enabled(&console, &session, which, true).await
}

pub(in crate::operate::console) async fn disable(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path(which): Path<(Uuid, Uuid)>,
) -> Answer {
    set_enabled(&console, &session, which, false).await
}

pub(in crate::operate::console) async fn set_scopes(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path((id, key)): Path<(Uuid, Uuid)>,
    fields: Fields,
) -> Answer {
    let key = own_key(&console, id, key).await?;
    match ticked(&fields) {
        Ok(scopes) => {
            console.admin.set_scopes(session.actor(), key.api_key_id, scopes).await?;
            session.tell(format!("{} may now be used for {scopes}, within seconds.", key.name));
        }
        Err(Misfilled(problem)) => session.tell(format!("{} is as it was. {problem}", key.name)),
    }
    Ok(to_keys(id))
}

pub(in crate::operate::console) async fn rotate(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path((id, key)): Path<(Uuid, Uuid)>,
    fields: Fields,
) -> Answer {
    let old = own_key(&console, id, key).await?;
    let chosen = OVERLAPS.iter().find(|(value, ..)| *value == fields.text("overlap"));
    // Nothing chosen is the first of the list, which hurts nobody.
    let overlap = Duration::from_secs(chosen.map_or(OVERLAPS[0].2, |(.., seconds)| *seconds));
    let rotation = Rotation { overlap, ..Rotation::default() };
    let made = console.admin.rotate(session.actor(), old.api_key_id, rotation).await?;
    session.keep(made, &console.clock);
    session.tell(if overlap.is_zero() {
        format!("{} has a new key; the old one is disabled.", old.name)
    } else {
        format!("{} has a new key; the old one lets in for another {}.", old.name, words::span(overlap))
    });
    Ok(to_keys(id))
}

pub(in crate::operate::console) async fn delete(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path((id, key)): Path<(Uuid, Uuid)>,
) -> Answer {
    let key = own_key(&console, id, key).await?;
    console.admin.delete_key(session.actor(), key.api_key_id).await?;
    session.tell(format!("{} is deleted.", key.name));
    Ok(to_keys(id))
}
