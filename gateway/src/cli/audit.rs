//! `headgate audit`: who changed what.

use std::collections::HashMap;

use clap::Args;
use serde::Serialize;
use uuid::Uuid;

use super::backend::{self, Backend, GatewayArgs};
use super::find::{self, refused};
use super::report::{Report, table, time, timestamp};
use super::{CliError, Context};
use crate::clock::Clock;
use crate::registry::AuditEntry;

/// Which lines of the audit log.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Only what was done to this game: its id, or its name if no other has the same; the id of a deleted one works, too
    #[arg(long)]
    pub app: Option<String>,
    /// The newest so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
    /// A running gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
}

#[derive(Serialize)]
struct EntryView<'a> {
    id: Uuid,
    at: String,
    actor: &'a str,
    via: &'a str,
    act: &'a str,
    application_id: Option<Uuid>,
    subject: Option<&'a str>,
    detail: &'a str,
}

#[derive(Serialize)]
struct AuditView<'a> {
    entries: Vec<EntryView<'a>>,
}

/// Shows the audit log, newest first.
///
/// # Errors
/// If the registry or the gateway can't be used, or the application is not there.
pub async fn run(args: AuditArgs, context: &Context) -> Result<(), CliError> {
    context.show_warnings();
    let backend = backend::open(&args.gateway, context, &Clock::system()).await?;
    show(&args, backend.as_ref()).await?.show(context.output)
}

async fn show(args: &AuditArgs, backend: &dyn Backend) -> Result<Report, CliError> {
    let application = match &args.app {
        None => None,
        // Of a deleted game the id is all that is left.
        Some(app) => match Uuid::parse_str(app) {
            Ok(id) => Some(id),
            Err(_) => Some(find::application(backend, app).await?.application_id),
        },
    };
    let entries = backend.audit(application, args.limit as usize).await.map_err(refused)?;
    let view = AuditView { entries: entries.iter().map(EntryView::of).collect() };
    if entries.is_empty() {
        return Report::new("nothing was changed", &view);
    }
    let names: HashMap<Uuid, String> = backend
        .applications()
        .await
        .map_err(refused)?
        .into_iter()
        .map(|application| (application.application_id, application.name))
        .collect();
    let rows = entries.iter().map(|entry| {
        let named = |id: Uuid| names.get(&id).cloned().unwrap_or_else(|| id.to_string());
        [
            time(entry.at_ms),
            entry.actor.clone(),
            entry.via.clone(),
            entry.act.clone(),
            entry.application_id.map(named).unwrap_or_default(),
            entry.subject.clone().unwrap_or_default(),
            entry.detail.clone(),
        ]
    });
    Report::new(table(["WHEN", "WHO", "VIA", "WHAT", "APPLICATION", "SUBJECT", "DETAIL"], rows), &view)
}

impl<'a> EntryView<'a> {
    fn of(entry: &'a AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: timestamp(entry.at_ms),
            actor: &entry.actor,
            via: &entry.via,
            act: &entry.act,
            application_id: entry.application_id,
            subject: entry.subject.as_deref(),
            detail: &entry.detail,
        }
    }
}

#[cfg(test)]
mod tests;
