//! An application's name, environment, limits and route; and its end.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use maud::{Markup, html};
use uuid::Uuid;

use super::{Shown, Tab, status_of};
use crate::config::Size;
use crate::operate::console::components::{self, Input, application_address, form_problem};
use crate::operate::console::failure::{Answer, Refused};
use crate::operate::console::fields::{Fields, Misfilled};
use crate::operate::console::guard::Signed;
use crate::operate::console::layout::form_token;
use crate::operate::console::session::Session;
use crate::operate::console::{Console, words};
use crate::registry::{Application, Environment, Limits, NewApplication, Route};

fn show(
    console: &Console,
    session: &Session,
    application: &Application,
    filled: Option<&Fields>,
    problem: Option<&str>,
) -> axum::response::Response {
    let address = application_address(application.application_id);
    let content = html! {
        section .card aria-labelledby="settings" {
            h2 #settings { "Settings" }
            (form_problem(problem))
            form .form method="post" action={ (address) "/settings" } {
                (form_token(session))
                (inputs(console, application, filled))
                button .primary { "Save" }
            }
        }
        section .card .danger aria-labelledby="end" {
            h2 #end { "Delete this application" }
            p { "Its keys let nobody in any more, within seconds. Events that are stored stay where they are." }
            details {
                summary { "Delete…" }
                form .form method="post" action={ (address) "/delete" } {
                    (form_token(session))
                    (Input { name: "confirm", label: "Type the application's name", value: "",
                        hint: "So that it is the right one.", required: true }.show())
                    button .bad { "Delete " (application.name) }
                }
            }
        }
    };
    Shown { session, application, tab: Tab::Settings, live: None, status: status_of(problem), content }.response()
}

fn inputs(console: &Console, application: &Application, filled: Option<&Fields>) -> Markup {
    let number = |value: Option<u32>| value.map(|value| value.to_string()).unwrap_or_default();
    let size = |value: Option<u64>| value.map(|value| Size(value).to_string()).unwrap_or_default();
    let Limits { events_per_second, events_burst, bytes_per_second, bytes_burst } = application.limits;
    let of = |name: &str, saved: String| filled.map_or(saved, |fields| fields.raw(name).to_owned());
    let admission = &console.settings.admission;
    let default = |value: String| format!("Empty: the gateway's own, {value}.");
    let rows = [
        (
            "events_per_second",
            "Events a second",
            number(events_per_second),
            default(words::count(admission.events_per_second.into())),
        ),
        ("events_burst", "Events at once", number(events_burst), default(words::count(admission.events_burst.into()))),
        ("bytes_per_second", "Bytes a second", size(bytes_per_second), default(admission.bytes_per_second.to_string())),
        ("bytes_burst", "Bytes at once", size(bytes_burst), default(admission.bytes_burst.to_string())),
    ];
    let name = of("name", application.name.clone());
    let description = of("description", application.description.clone().unwrap_or_default());
    let environment = filled.and_then(|fields| fields.text("environment").parse().ok());
    let route = filled.map_or(application.route, |fields| fields.text("route").parse().ok());
    html! {
        (Input { name: "name", label: "Name", value: &name, hint: "", required: true }.show())
        (Input { name: "description", label: "Description", value: &description, hint: "", required: false }.show())
        (components::environments(environment.unwrap_or(application.environment)))
        (components::routes(route))
        fieldset .limits {
            legend { "What it may send" }
            @for (name, label, saved, hint) in rows {
                @let value = of(name, saved);
                (Input { name, label, value: &value, hint: &hint, required: false }.show())
            }
        }
    }
}

pub(in crate::operate::console) async fn page(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path(id): Path<Uuid>,
) -> Answer {
    let application = console.admin.application(id).await?;
    Ok(show(&console, &session, &application, None, None))
}

pub(in crate::operate::console) async fn save(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path(id): Path<Uuid>,
    fields: Fields,
) -> Answer {
    let application = console.admin.application(id).await?;
    match change(&console, &session, id, &fields).await {
        Ok(()) => Ok(Redirect::to(&format!("{}/settings", application_address(id))).into_response()),
        Err(Refused::Misfilled(problem)) => Ok(show(&console, &session, &application, Some(&fields), Some(&problem))),
        Err(Refused::Failed(failure)) => Err(failure),
    }
}

async fn change(console: &Console, session: &Session, id: Uuid, fields: &Fields) -> Result<(), Refused> {
    let whole = "a whole number, or leave it empty";
    let change = NewApplication {
        name: fields.text("name").to_owned(),
        description: fields.optional("description").map(str::to_owned),
        limits: Limits {
            events_per_second: fields.parsed("events_per_second", "Events a second", whole)?,
            events_burst: fields.parsed("events_burst", "Events at once", whole)?,
            bytes_per_second: fields.size("bytes_per_second", "Bytes a second")?,
            bytes_burst: fields.size("bytes_burst", "Bytes at once")?,
        },
        route: fields.parsed::<Route>("route", "Route", "one of the list")?,
        environment: fields.text("environment").parse::<Environment>().map_err(|error| Misfilled(error.to_string()))?,
    };
    console.admin.update_application(session.actor(), id, change).await?;
    session.tell("Saved. It holds for events from now on, within seconds.");
    Ok(())
}

pub(in crate::operate::console) async fn delete(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path(id): Path<Uuid>,
    fields: Fields,
) -> Answer {
    let application = console.admin.application(id).await?;
    if fields.text("confirm") != application.name.trim() {
        let problem = "Nothing was deleted: the name that you typed is not this application's.";
        return Ok(show(&console, &session, &application, None, Some(problem)));
    }
    console.admin.delete_application(session.actor(), id).await?;
    session.tell(format!("{} and its keys are deleted.", application.name));
    Ok(Redirect::to("/console/applications").into_response())
}
