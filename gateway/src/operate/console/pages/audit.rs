//! The audit log: who changed what, through which door.

use std::sync::Arc;

use axum::extract::{Query, State};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use crate::operate::console::components::{self, application_address};
use crate::operate::console::failure::Answer;
use crate::operate::console::guard::Signed;
use crate::operate::console::layout::{Page, Place};
use crate::operate::console::{Console, words};
use crate::registry::{Application, AuditEntry, AuditQuery};

/// Lines on one page.
const LINES: u32 = 50;

/// Which lines. Texts: a form that was not filled in sends empty ones.
#[derive(Default, Deserialize)]
pub(in super::super) struct Which {
    #[serde(default)]
    application: String,
    #[serde(default)]
    before: String,
}

pub(in super::super) async fn page(
    State(console): State<Arc<Console>>,
    session: Signed,
    Query(which): Query<Which>,
) -> Answer {
    let (chosen, before) = (which.application.parse::<Uuid>().ok(), which.before.parse::<Uuid>().ok());
    let applications = console.admin.applications().await?;
    // One more than is shown tells whether there are older ones.
    let query = AuditQuery { application_id: chosen, before, limit: LINES + 1 };
    let mut entries = console.admin.audit(&query).await?;
    let older = entries.len() > LINES as usize;
    entries.truncate(LINES as usize);
    let oldest = entries.last().filter(|_| older).map(|entry| entry.id);
    let content = html! {
        form .filter method="get" action="/console/audit" {
            label for="application" { "Of" }
            select #application name="application" {
                option value="" selected[chosen.is_none()] { "all applications" }
                @for application in &applications {
                    @let id = application.application_id;
                    option value=(id) selected[chosen == Some(id)] { (application.name) }
                }
            }
            button { "Show" }
        }
        @if entries.is_empty() {
            p .empty { "Nothing has been changed yet. Every application, key and schema that is made or changed is noted here." }
        } @else {
            (components::table("Audit log, newest first", &["When", "Who", "Through", "What", "Application", "Details"],
                &rows(&entries, &applications)))
        }
        nav .pages aria-label="Pages of the audit log" {
            @if before.is_some() { a href=(address(chosen, None)) { "Newest" } }
            @if let Some(oldest) = oldest { a href=(address(chosen, Some(oldest))) { "Older" } }
        }
    };
    let page = Page { session: &session, place: Place::Audit, title: "Audit log", heading: None, live: None, content };
    Ok(page.response())
}

fn rows(entries: &[AuditEntry], applications: &[Application]) -> Markup {
    html! {
        @for entry in entries {
            tr {
                td .nowrap { (words::moment(entry.at_ms)) }
                td { (entry.actor) }
                td { (entry.via) }
                th scope="row" { code { (entry.act) } }
                td {
                    @if let Some(id) = entry.application_id {
                        @match applications.iter().find(|application| application.application_id == id) {
                            Some(application) => a href=(application_address(id)) { (application.name) },
                            None => span .quiet title=(id) { "deleted" },
                        }
                    }
                }
                td .words { (entry.detail) @if let Some(subject) = &entry.subject { span .sub { (subject) } } }
            }
        }
    }
}

fn address(application: Option<Uuid>, before: Option<Uuid>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, id) in [("application", application), ("before", before)] {
        if let Some(id) = id {
            query.append_pair(name, &id.to_string());
        }
    }
    format!("/console/audit?{}", query.finish())
}
