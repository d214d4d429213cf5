//! Players whose events are not to be kept.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use uuid::Uuid;

use super::{Shown, Tab, status_of};
use crate::operate::console::components::{self, Input, application_address, form_problem};
use crate::operate::console::failure::{Answer, Failure, Refused};
use crate::operate::console::fields::{Fields, Misfilled};
use crate::operate::console::guard::Signed;
use crate::operate::console::layout::form_token;
use crate::operate::console::pages::overview::act;
use crate::operate::console::session::Session;
use crate::operate::console::{Console, words};

async fn show(console: &Console, session: &Session, id: Uuid, problem: Option<&str>) -> Result<Response, Failure> {
    let application = console.admin.application(id).await?;
    let suppressed = console.admin.suppressions(Some(id)).await?;
    let address = format!("{}/players", application_address(id));
    let unsuppress = format!("{address}/unsuppress");
    let rows = html! {
        @for one in &suppressed {
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
        }
        section .card aria-labelledby="suppress" {
            h2 #suppress { "Suppress a player" }
            (form_problem(problem))
            form .form method="post" action=(address) {
                (form_token(session))
                (Input { name: "player_id", label: "Player id", value: "", hint: "As it stands in event_data.player_id.",
                    required: true }.show())
                button .primary { "Suppress" }
            }
        }
    };
    let application = &application;
    Ok(Shown { session, application, tab: Tab::Players, live: None, status: status_of(problem), content }.response())
}

pub(in crate::operate::console) async fn page(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path(id): Path<Uuid>,
) -> Answer {
    show(&console, &session, id, None).await
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
            Ok(Redirect::to(&format!("{}/players", application_address(id))).into_response())
        }
        Err(Refused::Misfilled(problem)) => show(&console, &session, id, Some(&problem)).await,
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
    Ok(Redirect::to(&format!("{}/players", application_address(id))).into_response())
}
