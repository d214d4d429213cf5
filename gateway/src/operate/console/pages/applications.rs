//! Every application, and registering one.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::Refresh;
use super::overview::last;
use crate::admin::KeyRequest;
use crate::live::view::AppNow;
use crate::operate::console::components::{self, Input, application_address, form_problem, live};
use crate::operate::console::failure::{Answer, Failure, Refused};
use crate::operate::console::fields::{Fields, Misfilled};
use crate::operate::console::guard::Signed;
use crate::operate::console::layout::{Page, Place, form_token};
use crate::operate::console::session::Session;
use crate::operate::console::{Console, words};
use crate::registry::{Application, Environment, NewApplication, Scopes};

/// The applications and what arrives of each.
pub(super) fn table(now_ms: i64, applications: &[Application], now: &[AppNow]) -> Markup {
    if applications.is_empty() {
        return html! { p .empty { "No application is registered yet. Register your first game, and its key comes with it." } };
    }
    let rows = html! {
        @for application in applications {
            @let id = application.application_id;
            @let live = now.iter().find(|app| app.application_id == id);
            @let hour = live.map(|app| app.last_hour).unwrap_or_default();
            tr {
                th scope="row" { a href=(application_address(id)) { (application.name) } }
                td { (components::environment(application.environment)) }
                td .n { (words::rate(live.map_or(0.0, |app| app.events_per_second))) }
                td .n { (words::count(hour.accepted)) }
                td .n { (words::count(hour.rejected)) }
                td { (last(now_ms, live.and_then(|app| app.last_event_at_ms))) }
            }
        }
    };
    let columns =
        ["Application", "Environment", "Events/s", "Accepted, last hour", "Rejected, last hour", "Last event"];
    components::table("Applications", &columns, &rows)
}

/// The form that registers a game; brief, it asks for no more than is needed.
pub(super) fn register_form(session: &Session, brief: bool, filled: Option<&Fields>, problem: Option<&str>) -> Markup {
    let text = |name| filled.map_or("", |fields| fields.raw(name));
    let environment = text("environment").parse().unwrap_or(Environment::Dev);
    let with_key = filled.is_none_or(|fields| fields.ticked("with_key"));
    html! {
        (form_problem(problem))
        form .form method="post" action="/console/applications" {
            (form_token(session))
            (Input { name: "name", label: "Name of the game", value: text("name"), hint: "", required: true }.show())
            @if !brief {
                (Input { name: "description", label: "Description", value: text("description"), hint: "", required: false }
                    .show())
            }
            (components::environments(environment))
            (components::tick("with_key", "Make a key for it at once", with_key))
            button .primary { "Register" }
        }
    }
}

async fn show(console: &Console, session: &Session, filled: Option<&Fields>, problem: Option<&str>) -> Answer {
    let applications = console.applications().await?;
    let content = html! {
        (live("table", &table(console.now_ms(), &applications, &console.live.apps_now())))
        section .card aria-labelledby="register" {
            h2 #register { "Register a game" }
            (register_form(session, false, filled, problem))
        }
    };
    let live = Some("/console/api/applications".to_owned());
    let page = Page { session, place: Place::Applications, title: "Applications", heading: None, live, content };
    Ok(page.with_status(if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK }))
}

pub(in super::super) async fn page(State(console): State<Arc<Console>>, session: Signed) -> Answer {
    show(&console, &session, None, None).await
}

pub(in super::super) async fn refresh(State(console): State<Arc<Console>>) -> Result<Response, Failure> {
    let applications = console.applications_lately().await?;
    let now_ms = console.now_ms();
    Ok(Refresh::response(now_ms, [("table", table(now_ms, &applications, &console.live.apps_now()))]))
}

pub(in super::super) async fn register(State(console): State<Arc<Console>>, session: Signed, fields: Fields) -> Answer {
    match create(&console, &session, &fields).await {
        Ok(address) => Ok(Redirect::to(&address).into_response()),
        Err(Refused::Misfilled(problem)) => show(&console, &session, Some(&fields), Some(&problem)).await,
        Err(Refused::Failed(failure)) => Err(failure),
    }
}

/// Registers it, and gives back where to go next.
async fn create(console: &Console, session: &Session, fields: &Fields) -> Result<String, Refused> {
    let environment =
        fields.text("environment").parse::<Environment>().map_err(|error| Misfilled(error.to_string()))?;
    let new = NewApplication {
        name: fields.text("name").to_owned(),
        description: fields.optional("description").map(str::to_owned),
        environment,
        ..NewApplication::default()
    };
    let application = console.admin.create_application(session.actor(), new).await?;
    let keys = format!("{}/keys", application_address(application.application_id));
    if fields.ticked("with_key") {
        let request = KeyRequest {
            application_id: application.application_id,
            name: "first key".to_owned(),
            description: None,
            expires_at_ms: None,
            scopes: Scopes::default(),
        };
        let made = console.admin.create_key(session.actor(), request).await?;
        session.keep(made, &console.clock);
    }
    session.tell(format!("{} is registered.", application.name));
    Ok(keys)
}
