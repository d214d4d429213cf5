//! An application as it is now: what arrives, what becomes of it, and the last events themselves.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use super::{Shown, Tab};
use crate::live::view::{AppNow, FieldCount, Series, TailEntry, TailVerdict, TypeCount};
use crate::operate::console::chart::pair_of_verdicts;
use crate::operate::console::components::{self, application_address, badge, live};
use crate::operate::console::failure::{Answer, Failure};
use crate::operate::console::guard::Signed;
use crate::operate::console::pages::Refresh;
use crate::operate::console::pages::overview::nothing_yet;
use crate::operate::console::{Console, words};

mod minutes;

/// Events of the tail on the page.
const TAIL: usize = 50;

const FILTERS: [(Option<TailVerdict>, &str); 4] = [
    (None, "All"),
    (Some(TailVerdict::Accepted), "Accepted"),
    (Some(TailVerdict::Rejected), "Rejected"),
    (Some(TailVerdict::Refused), "Refused"),
];

/// What an address says of a filter.
fn query(verdict: Option<TailVerdict>) -> &'static str {
    match verdict {
        None => "",
        Some(TailVerdict::Accepted) => "?verdict=accepted",
        Some(TailVerdict::Rejected) => "?verdict=rejected",
        Some(TailVerdict::Refused) => "?verdict=refused",
    }
}

/// Which events of the tail.
#[derive(Deserialize)]
pub(in crate::operate::console) struct Which {
    #[serde(default)]
    verdict: Option<String>,
    #[serde(default)]
    after: u64,
}

impl Which {
    fn verdict(&self) -> Option<TailVerdict> {
        match self.verdict.as_deref() {
            Some("accepted") => Some(TailVerdict::Accepted),
            Some("rejected") => Some(TailVerdict::Rejected),
            Some("refused") => Some(TailVerdict::Refused),
            _ => None,
        }
    }
}

struct View {
    id: Uuid,
    now: Option<AppNow>,
    seconds: Series,
    minutes: Series,
    types: Vec<TypeCount>,
    fields: Vec<FieldCount>,
    metrics: Markup,
}

impl View {
    fn of(console: &Console, id: Uuid) -> Self {
        Self {
            id,
            now: console.live.apps_now().into_iter().find(|app| app.application_id == id),
            seconds: console.live.seconds(Some(id)),
            minutes: console.live.minutes(Some(id)),
            types: console.live.types(id),
            fields: console.live.rejected_fields(Some(id)),
            metrics: minutes::charts(&console.live.windows(id, minutes::SHOWN), console.now_ms()),
        }
    }

    fn tiles(&self) -> Markup {
        let hour = self.now.as_ref().map(|now| now.last_hour).unwrap_or_default();
        components::verdict_tiles(self.now.as_ref().map_or(0.0, |now| now.events_per_second), hour)
    }

    fn charts(&self) -> [Markup; 2] {
        pair_of_verdicts(&self.seconds, &self.minutes)
    }

    fn types(&self) -> Markup {
        if self.types.is_empty() {
            let send = format!("/console/test?application={}", self.id);
            return nothing_yet("No events in the last hour.", &send, "Send a test event");
        }
        let rows = html! {
            @for one in &self.types {
                tr {
                    th scope="row" { code { (one.event_type) } }
                    td .n { (words::count(one.accepted)) }
                    td .n { (words::count(one.rejected)) }
                }
            }
        };
        components::table("Event types, last hour", &["Event type", "Accepted", "Rejected"], &rows)
    }

    fn fields(&self) -> Markup {
        if self.fields.is_empty() {
            return html! { p .empty { "No event of the last hour broke a rule." } };
        }
        let rows = html! {
            @for one in &self.fields {
                tr {
                    th scope="row" {
                        @if one.field.is_empty() { "the event as a whole" } @else { code { (one.field) } }
                    }
                    td .words {
                        (words::reason(&one.reason))
                        @if let Some(mend) = words::mend(&one.reason) { span .sub { (mend) } }
                    }
                    td .n { (words::count(one.count)) }
                }
            }
        };
        components::table("Why events are rejected, last hour", &["Field", "What is wrong", "Events"], &rows)
    }
}

fn tail(console: &Console, id: Uuid, which: &Which) -> Vec<TailEntry> {
    console.live.tail(Some(id), which.verdict(), which.after, TAIL)
}

/// Entries as lines of the tail's table, newest first.
fn tail_rows(mut entries: Vec<TailEntry>) -> Markup {
    entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.serial));
    html! { @for entry in &entries { (tail_row(entry)) } }
}

fn tail_row(entry: &TailEntry) -> Markup {
    let (class, word) = match entry.verdict {
        TailVerdict::Accepted if entry.message.is_some() => ("warn", "accepted"),
        TailVerdict::Accepted => ("good", "accepted"),
        TailVerdict::Rejected => ("bad", "rejected"),
        TailVerdict::Refused => ("bad", "refused"),
    };
    html! {
        tr {
            td .nowrap { (words::time_of_day(entry.at_ms)) }
            td { (badge(class, word)) }
            td {
                @if entry.event_type.is_empty() && entry.event_name.is_empty() { span .quiet { "–" } }
                @else { code { (entry.event_type) } " " (entry.event_name) }
                @if !entry.event_id.is_empty() { span .sub { code { (entry.event_id) } } }
            }
            td .words {
                (why(entry))
                @if !entry.event_data.is_empty() {
                    details { summary { "event_data" } pre tabindex="0" { code { (entry.event_data) } } }
                }
            }
        }
    }
}

/// What is wrong with it, in plain words.
pub(in crate::operate::console::pages) fn why(entry: &TailEntry) -> Markup {
    let reason = entry.reason.as_deref().map(words::reason);
    let said = entry.message.as_deref().or(reason);
    html! {
        @if let Some(said) = said { p { (said) } }
        @if let Some(reason) = &entry.reason {
            span .sub {
                code { (reason) }
                @if let Some(field) = entry.field.as_deref().filter(|field| !field.is_empty()) { " in " code { (field) } }
                @if let Some(mend) = words::mend(reason) { ". " (mend) }
            }
        }
    }
}

pub(in crate::operate::console) async fn page(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path(id): Path<Uuid>,
    Query(which): Query<Which>,
) -> Answer {
    let application = console.admin.application(id).await?;
    let view = View::of(&console, id);
    let entries = tail(&console, id, &which);
    let newest = entries.iter().map(|entry| entry.serial).max().unwrap_or(0);
    let address = application_address(id);
    let [seconds, minutes] = view.charts();
    let content = html! {
        (live("tiles", &view.tiles()))
        section aria-labelledby="rate-title" {
            h2 #rate-title { "Events a second" }
            div .plots { (live("seconds", &seconds)) (live("minutes", &minutes)) }
        }
        section aria-labelledby="tail-title" {
            div .title {
                h2 #tail-title { "Last events" }
                nav .filter aria-label="Which events" {
                    @for (verdict, name) in FILTERS {
                        @let current = (verdict == which.verdict()).then_some("true");
                        a href={ (address) (query(verdict)) "#tail-title" } aria-current=[current] { (name) }
                    }
                }
                button #pause type="button" aria-pressed="false" hidden { "Pause" }
            }
            p .empty #tail-empty hidden[!entries.is_empty()] {
                @if which.verdict().is_some() {
                    "Nothing of this kind has come lately. " a href={ (address) "#tail-title" } { "Show all" }
                } @else {
                    "No event has arrived since this gateway started. "
                    a href={ "/console/test?application=" (id) } { "Send a test event" }
                    ", or use a command beside " a href={ (address) "/keys" } { "a new key" } "."
                }
            }
            div .scroll .tail #tail-box tabindex="0" role="region" aria-labelledby="tail-title" hidden[entries.is_empty()] {
                table {
                    caption .unseen { "The last events, newest first" }
                    thead { tr { th scope="col" { "Time, UTC" } th scope="col" { "Verdict" } th scope="col" { "Event" } th scope="col" { "Why, and what it holds" } } }
                    tbody #tail data-tail={ "/console/api/applications/" (id) "/tail" (query(which.verdict())) } data-after=(newest)
                        aria-live="polite" aria-relevant="additions" { (tail_rows(entries)) }
                }
            }
            p .says { "A sample where many pass. What is shown as accepted kept the rules; the counters say what was stored." }
        }
        div .pair {
            section aria-labelledby="types-title" {
                h2 #types-title { "Event types, last hour" }
                (live("types", &view.types()))
            }
            section aria-labelledby="fields-title" {
                h2 #fields-title { "Why events are rejected, last hour" }
                (live("fields", &view.fields()))
            }
        }
        section aria-labelledby="metrics-title" {
            h2 #metrics-title { "The game, by minute of event time, last hour" }
            (live("metrics", &view.metrics))
        }
    };
    let application = &application;
    let live = Some(format!("/console/api/applications/{id}"));
    Ok(Shown { session: &session, application, tab: Tab::Live, live, status: StatusCode::OK, content }.response())
}

pub(in crate::operate::console) async fn refresh(
    State(console): State<Arc<Console>>,
    Path(id): Path<Uuid>,
) -> Result<Response, Failure> {
    let view = View::of(&console, id);
    let [seconds, minutes] = view.charts();
    let parts = [
        ("tiles", view.tiles()),
        ("seconds", seconds),
        ("minutes", minutes),
        ("types", view.types()),
        ("fields", view.fields()),
        ("metrics", view.metrics),
    ];
    Ok(Refresh::response(console.now_ms(), parts))
}

/// Lines of the tail that are newer than `after`.
pub(in crate::operate::console) async fn refresh_tail(
    State(console): State<Arc<Console>>,
    Path(id): Path<Uuid>,
    Query(which): Query<Which>,
) -> Response {
    let entries = tail(&console, id, &which);
    let after = entries.iter().map(|entry| entry.serial).max().unwrap_or(which.after);
    let added = entries.len();
    let rows = tail_rows(entries).into_string();
    Json(serde_json::json!({"after": after, "added": added, "rows": rows})).into_response()
}
