//! Players whose events are not to be kept, the deletion of what is stored of them, and ids that are hashed.

mod deletions;
mod hashing;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use uuid::Uuid;

use super::{Shown, Tab, status_of};
use crate::operate::console::components::{self, Input, application_address, form_problem, live};
use crate::operate::console::failure::{Answer, Failure, Refused};
use crate::operate::console::fields::{Fields, Misfilled};
use crate::operate::console::guard::Signed;
use crate::operate::console::layout::form_token;
use crate::operate::console::pages::Refresh;
use crate::operate::console::pages::overview::act;
use crate::operate::console::session::Session;
use crate::operate::console::{Console, words};

/// Suppressed players on the page; the newest come first.
const MAX_SHOWN: usize = 100;

/// What is wrong with a form that was sent.
#[derive(Clone, Copy, Default)]
struct Problems<'a> {
    suppress: Option<&'a str>,
    delete: Option<&'a str>,
}

async fn show(console: &Console, session: &Session, id: Uuid, problems: Problems<'_>) -> Result<Response, Failure> {
    let application = console.admin.application(id).await?;
    let mut suppressed = console.admin.suppressions(Some(id)).await?;
    let identity = console.admin.identity(id).await?;
    suppressed.sort_by_key(|one| std::cmp::Reverse(one.since_ms));
    let address = format!("{}/players", application_address(id));
    let unsuppress = format!("{address}/unsuppress");
    let rows = html! {
        @for one in suppressed.iter().take(MAX_SHOWN) {
            tr {
                th scope="row" { code { (one.player_id) } }
                td { (words::moment(one.since_ms)) }
                td { (act(session, &unsuppress, "Keep events again", &one.player_id, &[("player_id", &one.player_id)])) }
            }
        }
    };
    let content = html! {
        p { "Events whose " code { "event_data.player_id" } " is one of these are answered as accepted and not kept, so that a \
             player who asked to be forgotten stays forgotten. What is stored already is deleted by a job of its own." }
        @if suppressed.is_empty() {
            p .empty { "Every player's events are kept." }
        } @else {
            (components::table("Suppressed players", &["Player", "Since", "Change"], &rows))
            @if suppressed.len() > MAX_SHOWN {
                p { "And " (suppressed.len() - MAX_SHOWN) " more: " code { "headgate players list" } " shows all of them." }
            }
        }
        section .card aria-labelledby="suppress" {
            h2 #suppress { "Suppress a player" }
            (form_problem(problems.suppress))
            form .form method="post" action=(address) {
                (form_token(session))
                (Input { name: "player_id", label: "Player id", value: "", hint: "As it stands in event_data.player_id.",
                    required: true }.show())
                button .primary { "Suppress" }
            }
        }
        (hashing::section(session, &address, &identity))
        (deletions::form(session, &address, problems.delete))
        section aria-labelledby="deletions-title" {
            h2 #deletions-title { "Deletions" }
            (live("deletions", &deletions::table(&console.erasures.list(Some(id)))))
        }
    };
    let application = &application;
    let status = status_of(problems.suppress.or(problems.delete));
    let live = Some(format!("/console/api/applications/{id}/players"));
    Ok(Shown { session, application, tab: Tab::Players, live, status, content }.response())
}

pub(in crate::operate::console) async fn page(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path(id): Path<Uuid>,
) -> Answer {
    show(&console, &session, id, Problems::default()).await
}

pub(in crate::operate::console) async fn refresh(State(console): State<Arc<Console>>, Path(id): Path<Uuid>) -> Answer {
    let deletions = deletions::table(&console.erasures.list(Some(id)));
    Ok(Refresh::response(console.now_ms(), [("deletions", deletions)]))
}

pub(in crate::operate::console) async fn suppress(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path(id): Path<Uuid>,
    fields: Fields,
) -> Answer {
    let done = async {
        let player = fields.optional("player_id").ok_or(Misfilled("Player id: give one".to_owned()))?;
        console.admin.suppress(session.actor(), id, player).await?;
        Ok(())
    };
    match done.await {
        Ok(()) => {
            session.tell("Events of this player are not kept any more, within seconds.");
            Ok(back(id))
        }
        Err(Refused::Misfilled(problem)) => {
            show(&console, &session, id, Problems { suppress: Some(&problem), ..Problems::default() }).await
        }
        Err(Refused::Failed(failure)) => Err(failure),
    }
}

pub(in crate::operate::console) async fn unsuppress(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path(id): Path<Uuid>,
    fields: Fields,
) -> Answer {
    console.admin.unsuppress(session.actor(), id, fields.text("player_id")).await?;
    session.tell("Events of this player are kept again, within seconds.");
    Ok(back(id))
}

pub(in crate::operate::console) async fn hash(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path(id): Path<Uuid>,
    fields: Fields,
) -> Answer {
    console.admin.hash_fields(session.actor(), id, &hashing::ticked(&fields)).await?;
    session.tell("Changed: ids are hashed so within seconds.");
    Ok(back(id))
}

pub(in crate::operate::console) async fn rotate(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path(id): Path<Uuid>,
) -> Answer {
    console.admin.rotate_identity(session.actor(), id, false).await?;
    session.tell("Ids are hashed with a new secret within seconds.");
    Ok(back(id))
}

pub(in crate::operate::console) async fn delete(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path(id): Path<Uuid>,
    fields: Fields,
) -> Answer {
    let done = async {
        let player = deletions::confirmed(&fields)?;
        console.erasures.ask(session.actor(), id, player).await?;
        Ok(())
    };
    match done.await {
        Ok(()) => {
            session.tell("This player is suppressed, and what is stored of them is being deleted: see below.");
            Ok(back(id))
        }
        Err(Refused::Misfilled(problem)) => {
            show(&console, &session, id, Problems { delete: Some(&problem), ..Problems::default() }).await
        }
        Err(Refused::Failed(failure)) => Err(failure),
    }
}

fn back(id: Uuid) -> Response {
    Redirect::to(&format!("{}/players", application_address(id))).into_response()
}
