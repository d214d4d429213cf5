//! How an application's event types are to look: a JSON Schema for the `event_data` of each, with its versions.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use super::{Shown, Tab, status_of};
use crate::operate::console::components::{self, Input, application_address, badge, form_problem};
use crate::operate::console::failure::{Answer, Failure, Refused};
use crate::operate::console::fields::{Fields, Misfilled};
use crate::operate::console::guard::Signed;
use crate::operate::console::layout::form_token;
use crate::operate::console::session::Session;
use crate::operate::console::{Console, words};
use crate::registry::{Schema, SchemaMode, UnknownSchemaMode};

const MODES: [(&str, &str); 3] = [
    ("off", "off: kept, not looked at"),
    ("warn", "warn: what does not fit is accepted and shown"),
    ("enforce", "enforce: what does not fit is rejected"),
];

const EXAMPLE: &str = r#"{
  "type": "object",
  "required": ["player_id"],
  "properties": {
    "player_id": { "type": "string" },
    "score": { "type": "integer", "minimum": 0 }
  }
}"#;

/// Which event type's versions to show.
#[derive(Deserialize)]
pub(in crate::operate::console) struct Which {
    #[serde(rename = "type")]
    event_type: Option<String>,
}

fn mode(fields: &Fields) -> Result<SchemaMode, Misfilled> {
    fields.text("mode").parse().map_err(|error: UnknownSchemaMode| Misfilled(error.to_string()))
}

fn mode_badge(mode: SchemaMode) -> Markup {
    let class = match mode {
        SchemaMode::Off => "none",
        SchemaMode::Warn => "warn",
        SchemaMode::Enforce => "good",
    };
    badge(class, mode.as_str())
}

struct View<'a> {
    console: &'a Console,
    session: &'a Session,
    id: Uuid,
    event_type: Option<&'a str>,
    filled: Option<&'a Fields>,
    problem: Option<&'a str>,
}

impl View<'_> {
    async fn show(self) -> Result<Response, Failure> {
        let application = self.console.admin.application(self.id).await?;
        let schemas = self.console.admin.schemas(Some(self.id)).await?;
        let versions = match self.event_type {
            Some(event_type) => self.console.admin.schema_versions(self.id, event_type).await?,
            None => Vec::new(),
        };
        let content = html! {
            @if schemas.is_empty() {
                p .empty { "No event type has a schema: any JSON object is taken as event_data. A schema says what has to be in \
                            it; begin with warn, which rejects nothing." }
            } @else {
                (components::table("Schemas", &["Event type", "Mode", "Version", "Since", "Change"], &self.rows(&schemas)))
            }
            @if let Some(event_type) = self.event_type { (history(event_type, &versions)) }
            section .card aria-labelledby="put" {
                h2 #put { "Put a schema" }
                (self.form(versions.first()))
            }
        };
        let status = status_of(self.problem);
        let (session, application) = (self.session, &application);
        Ok(Shown { session, application, tab: Tab::Schemas, live: None, status, content }.response())
    }

    fn rows(&self, schemas: &[Schema]) -> Markup {
        let address = format!("{}/schemas", application_address(self.id));
        html! {
            @for (place, schema) in schemas.iter().enumerate() {
                @let select = format!("mode-{place}");
                tr {
                    th scope="row" { a href=(of_type(self.id, &schema.event_type)) { code { (schema.event_type) } } }
                    td { (mode_badge(schema.mode)) }
                    td .n { (schema.version) }
                    td { (words::moment(schema.created_at_ms)) }
                    td .acts {
                        form .inline method="post" action={ (address) "/mode" } {
                            (form_token(self.session))
                            input type="hidden" name="event_type" value=(schema.event_type);
                            label .unseen for=(select) { "Mode of " (schema.event_type) }
                            select id=(select) name="mode" {
                                @for (value, _) in MODES { option value=(value) selected[value == schema.mode.as_str()] { (value) } }
                            }
                            button { "Set" span .unseen { " the mode of " (schema.event_type) } }
                        }
                        details {
                            summary { "Delete…" span .unseen { " " (schema.event_type) } }
                            form .form method="post" action={ (address) "/delete" } {
                                (form_token(self.session))
                                input type="hidden" name="event_type" value=(schema.event_type);
                                p { "All its versions go with it." }
                                button .bad { "Delete the schema of " (schema.event_type) }
                            }
                        }
                    }
                }
            }
        }
    }

    fn form(&self, latest: Option<&Schema>) -> Markup {
        let text = |name, otherwise| self.filled.map_or(otherwise, |fields| fields.raw(name));
        let event_type = text("event_type", self.event_type.unwrap_or_default());
        let schema = text("schema", latest.map_or(EXAMPLE, |schema| schema.schema.as_str()));
        let mode = text("mode", latest.map_or("warn", |schema| schema.mode.as_str()));
        html! {
            (form_problem(self.problem))
            form .form method="post" action={ (application_address(self.id)) "/schemas" } {
                (form_token(self.session))
                (Input { name: "event_type", label: "Event type", value: event_type, hint: "Such as match_finished.",
                    required: true }.show())
                (components::select("mode", "Mode", "", &MODES, mode))
                div .field {
                    label for="schema" { "JSON Schema of event_data" }
                    textarea #schema name="schema" rows="12" required spellcheck="false" aria-describedby="schema-hint" { (schema) }
                    p .hint #schema-hint { "A JSON object of at most 64 KiB. Earlier versions are kept." }
                }
                button .primary { "Put it" }
            }
        }
    }
}

fn history(event_type: &str, versions: &[Schema]) -> Markup {
    html! {
        section aria-labelledby="versions" {
            h2 #versions { "Versions of " code { (event_type) } }
            @if versions.is_empty() { p .empty { "There is none." } }
            @for schema in versions {
                details open[Some(schema.version) == versions.first().map(|latest| latest.version)] {
                    summary { "Version " (schema.version) ", " (words::moment(schema.created_at_ms)) }
                    pre tabindex="0" { code { (schema.schema) } }
                }
            }
        }
    }
}

fn of_type(id: Uuid, event_type: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    format!("{}/schemas?{}", application_address(id), query.append_pair("type", event_type).finish())
}

pub(in crate::operate::console) async fn page(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path(id): Path<Uuid>,
    Query(which): Query<Which>,
) -> Answer {
    let event_type = which.event_type.as_deref();
    View { console: &console, session: &session, id, event_type, filled: None, problem: None }.show().await
}

pub(in crate::operate::console) async fn put(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path(id): Path<Uuid>,
    fields: Fields,
) -> Answer {
    let put = async {
        let event_type = fields.optional("event_type").ok_or(Misfilled("Event type: give one".to_owned()))?;
        Ok(console
            .admin
            .put_schema(session.actor(), id, event_type, Some(mode(&fields)?), fields.raw("schema"))
            .await?)
    };
    match put.await {
        Ok(schema) => {
            session.tell(format!(
                "Version {} holds for {} from now on, within seconds.",
                schema.version, schema.event_type
            ));
            Ok(Redirect::to(&of_type(id, &schema.event_type)).into_response())
        }
        Err(Refused::Misfilled(problem)) => {
            let (filled, problem) = (Some(&fields), Some(problem.as_str()));
            View { console: &console, session: &session, id, event_type: None, filled, problem }.show().await
        }
        Err(Refused::Failed(failure)) => Err(failure),
    }
}

pub(in crate::operate::console) async fn set_mode(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path(id): Path<Uuid>,
    fields: Fields,
) -> Answer {
    let set = async {
        let mode = mode(&fields)?;
        Ok(console.admin.set_schema_mode(session.actor(), id, fields.text("event_type"), mode).await?)
    };
    match set.await {
        Ok(schema) => {
            session.tell(format!("The schema of {} is now in mode {}.", schema.event_type, schema.mode));
            Ok(Redirect::to(&format!("{}/schemas", application_address(id))).into_response())
        }
        Err(Refused::Misfilled(problem)) => {
            let problem = Some(problem.as_str());
            View { console: &console, session: &session, id, event_type: None, filled: None, problem }.show().await
        }
        Err(Refused::Failed(failure)) => Err(failure),
    }
}

pub(in crate::operate::console) async fn delete(
    State(console): State<Arc<Console>>,
    session: Signed,
    Path(id): Path<Uuid>,
    fields: Fields,
) -> Answer {
    let event_type = fields.text("event_type");
    console.admin.delete_schema(session.actor(), id, event_type).await?;
    session.tell(format!("The schema of {event_type} is deleted."));
    Ok(Redirect::to(&format!("{}/schemas", application_address(id))).into_response())
}
