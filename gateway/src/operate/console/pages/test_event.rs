//! Sends one event, by the way that every event takes, and shows what became of it.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use bytes::Bytes;
use headgate_proto::v1::{BatchVerdict, Event, PublishEventsRequest};
use maud::{Markup, html};
use prost::Message;
use serde::Deserialize;
use uuid::Uuid;

use crate::admission::refusal::{Refusal, code_name};
use crate::door::direct::Sent;
use crate::operate::console::components::{Input, application_address, form_problem};
use crate::operate::console::failure::Answer;
use crate::operate::console::fields::Fields;
use crate::operate::console::guard::Signed;
use crate::operate::console::layout::{Page, Place, form_token};
use crate::operate::console::session::Session;
use crate::operate::console::{Console, words};

const EVENT_DATA: &str = r#"{"player_id": "player-1", "level": 1}"#;

/// Which application the person comes from.
#[derive(Default, Deserialize)]
pub(in super::super) struct From {
    application: Option<Uuid>,
}

/// What came of the form.
enum Came {
    /// It was not sent.
    Not(&'static str),
    /// It was.
    Of(Sent),
}

fn show(
    console: &Console,
    session: &Session,
    from: Option<Uuid>,
    filled: Option<&Fields>,
    came: Option<&Came>,
) -> Response {
    let content = html! {
        p { "It takes the way that every event takes: key, limits, rules, destination. It is stored and counted like any other." }
        @match came {
            None => {},
            Some(Came::Not(problem)) => (form_problem(Some(problem))),
            Some(Came::Of(sent)) => (outcome(sent, from)),
        }
        section .card aria-labelledby="event" {
            h2 #event { @if came.is_some() { "Send another" } @else { "The event" } }
            (form(console, session, from, filled))
        }
    };
    let title = "Send a test event";
    Page { session, place: Place::Test, title, heading: None, live: None, content }.response()
}

fn form(console: &Console, session: &Session, from: Option<Uuid>, filled: Option<&Fields>) -> Markup {
    let text = |name, otherwise| filled.map_or(otherwise, |fields: &Fields| fields.raw(name));
    let made = session.made_key(&console.clock).filter(|made| from.is_none_or(|id| id == made.application_id));
    html! {
        form .form method="post" action="/console/test" {
            (form_token(session))
            @if let Some(from) = from { input type="hidden" name="application" value=(from); }
            div .field {
                label for="key" { "API key" @if made.is_some() { span .optional { " optional" } } }
                input type="text" #key name="key" value="" autocomplete="off" spellcheck="false" required[made.is_none()]
                    aria-describedby="key-hint";
                p .hint #key-hint {
                    @match &made {
                        Some(made) => { "Left empty, it is the one that you just made: " (made.name) ", " code { (made.masked) } },
                        None => {
                            "It is not kept. You have none at hand? "
                            @match from {
                                Some(id) => a href={ (application_address(id)) "/keys" } { "Make one" },
                                None => a href="/console/applications" { "Make one for an application" },
                            }
                        },
                    }
                    "."
                }
            }
            (Input { name: "event_type", label: "event_type", value: text("event_type", "login"), hint: "", required: false }.show_bare())
            (Input { name: "event_name", label: "event_name", value: text("event_name", "first_login"), hint: "",
                required: false }.show_bare())
            (Input { name: "app_version", label: "app_version", value: text("app_version", ""), hint: "", required: false }.show())
            div .field {
                label for="event_data" { "event_data" }
                textarea #event_data name="event_data" rows="4" spellcheck="false" aria-describedby="data-hint" {
                    (text("event_data", EVENT_DATA))
                }
                p .hint #data-hint { "One JSON object. Break it, or empty event_type, and see what your clients would be told." }
            }
            button .primary { "Send" }
        }
    }
}

fn outcome(sent: &Sent, from: Option<Uuid>) -> Markup {
    let application = sent.application.or(from);
    let (class, word) = match &sent.outcome {
        Ok(verdict) if verdict.accepted > 0 && sent.suppressed => ("warn", "Accepted and not kept"),
        Ok(verdict) if verdict.accepted > 0 => ("good", "Stored"),
        Ok(verdict) if verdict.rejected > 0 => ("bad", "Rejected"),
        Ok(_) => ("warn", "Not stored"),
        Err(_) => ("bad", "Refused"),
    };
    html! {
        section .verdict .(class) #outcome role="status" {
            div {
                p .word { (word) }
                @match &sent.outcome {
                    Ok(verdict) => (of_verdict(verdict, sent.suppressed)),
                    Err(refusal) => (of_refusal(refusal)),
                }
                @if let Some(id) = application {
                    p {
                        a href={ (application_address(id)) "#tail-title" } { "See it among the last events" }
                        @match sent.outcome.as_ref().err().map(|refusal| refusal.row().label) {
                            Some(label) if is_about_keys(label) => {
                                " · " a href={ (application_address(id)) "/keys" } { "To its keys" }
                            },
                            Some("destination_down") => { " · " a href="/console/system" { "What the destination says" } },
                            _ => {},
                        }
                    }
                }
            }
        }
    }
}

/// Whether another key, or another state of this one, is the mend.
fn is_about_keys(label: &str) -> bool {
    label.starts_with("key_") && label != "key_store_unavailable"
        || matches!(label, "scope_missing" | "other_application")
}

fn of_verdict(verdict: &BatchVerdict, suppressed: bool) -> Markup {
    html! {
        @for event in &verdict.not_accepted {
            p { (capital(&event.message)) "." }
            @if let Some(mend) = words::mend(event.reason().label()) { p { (mend) } }
            p .exit { code { (event.reason().label()) } @if !event.field.is_empty() { " in " code { (event.field) } } }
        }
        @if verdict.accepted > 0 {
            @if suppressed {
                p { "Its player is suppressed: clients are told that it was accepted, and it is stored nowhere." }
            } @else {
                p { "Its destination has taken it." }
            }
            @for id in &verdict.assigned_ids { p .exit { "event_id " code { (id.event_id) } } }
        }
    }
}

fn of_refusal(refusal: &Refusal) -> Markup {
    let row = refusal.row();
    html! {
        p { (capital(&refusal.to_string())) "." }
        @if let Some(mend) = words::mend(row.label) { p { (mend) } }
        p .exit {
            code { (row.label) } ". Clients are told " (code_name(row.grpc)) " by gRPC and " (row.http) " by HTTP"
            @if let Some(after) = refusal.retry_after() { ", and to try again in " (words::span(after.max(std::time::Duration::from_secs(1)))) }
        }
    }
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

pub(in super::super) async fn page(
    State(console): State<Arc<Console>>,
    session: Signed,
    Query(From { application }): Query<From>,
) -> Answer {
    Ok(show(&console, &session, application, None, None))
}

pub(in super::super) async fn send(State(console): State<Arc<Console>>, session: Signed, fields: Fields) -> Answer {
    let from = fields.text("application").parse::<Uuid>().ok();
    let made = session.made_key(&console.clock).filter(|made| from.is_none_or(|id| id == made.application_id));
    let typed = fields.text("key");
    let key = made.as_ref().filter(|_| typed.is_empty()).map_or(typed, |made| made.key.expose());
    let came = if key.is_empty() {
        Came::Not("Nothing was sent: paste the application's key, or make one.")
    } else {
        Came::Of(console.direct.publish(key, message(&console, &fields)).await)
    };
    Ok(show(&console, &session, from, Some(&fields), Some(&came)))
}

/// The one event as a client would send it, mistakes and all.
fn message(console: &Console, fields: &Fields) -> Bytes {
    let now_ms = console.now_ms();
    let event = Event {
        event_type: fields.raw("event_type").to_owned(),
        event_name: fields.raw("event_name").to_owned(),
        event_timestamp: Some(prost_types::Timestamp {
            seconds: now_ms.div_euclid(1_000),
            nanos: i32::try_from(now_ms.rem_euclid(1_000)).unwrap_or(0) * 1_000_000,
        }),
        app_version: fields.raw("app_version").to_owned(),
        event_data: fields.raw("event_data").as_bytes().to_vec().into(),
        ..Event::default()
    };
    PublishEventsRequest { events: vec![event] }.encode_to_vec().into()
}
