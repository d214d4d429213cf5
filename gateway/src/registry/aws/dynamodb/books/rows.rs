//! Rows of the books as values and values as rows.

use super::super::attributes::{Item, Reader, number, text};
use super::super::rows::named;
use crate::registry::{AuditEntry, Identity, RegistryError, Schema, Suppression};

/// A row's primary key.
pub(super) fn place(book: &str, entry: &str) -> Item {
    Item::from([("book".to_owned(), text(book)), ("entry".to_owned(), text(entry))])
}

/// The primary key of a row that was read.
pub(super) fn place_of(item: &Item) -> Item {
    ["book", "entry"]
        .iter()
        .filter_map(|name| item.get(*name).map(|value| ((*name).to_owned(), value.clone())))
        .collect()
}

pub(super) fn audit_item(book: &str, line: &AuditEntry) -> Item {
    let mut item = place(book, &line.id.to_string());
    item.extend([
        ("at_ms".to_owned(), number(line.at_ms)),
        ("actor".to_owned(), text(&line.actor)),
        ("via".to_owned(), text(&line.via)),
        ("act".to_owned(), text(&line.act)),
        ("detail".to_owned(), text(&line.detail)),
    ]);
    item.extend(line.application_id.map(|id| ("application_id".to_owned(), text(id))));
    item.extend(line.subject.as_ref().map(|subject| ("subject".to_owned(), text(subject))));
    item
}

pub(super) fn audit_entry(row: &Reader<'_>) -> Result<AuditEntry, RegistryError> {
    Ok(AuditEntry {
        id: row.id("entry")?,
        at_ms: row.number("at_ms")?,
        actor: row.text("actor")?.to_owned(),
        via: row.text("via")?.to_owned(),
        act: row.text("act")?.to_owned(),
        application_id: row.optional_text("application_id")?.map(|_| row.id("application_id")).transpose()?,
        subject: row.optional_text("subject")?.map(str::to_owned),
        detail: row.text("detail")?.to_owned(),
    })
}

pub(super) fn schema_item(book: &str, entry: &str, schema: &Schema) -> Item {
    let mut item = place(book, entry);
    item.extend([
        ("application_id".to_owned(), text(schema.application_id)),
        ("event_type".to_owned(), text(&schema.event_type)),
        ("version".to_owned(), number(schema.version)),
        ("mode".to_owned(), text(schema.mode.as_str())),
        ("schema".to_owned(), text(&schema.schema)),
        ("created_at_ms".to_owned(), number(schema.created_at_ms)),
    ]);
    item
}

pub(super) fn schema(row: &Reader<'_>) -> Result<Schema, RegistryError> {
    Ok(Schema {
        application_id: row.id("application_id")?,
        event_type: row.text("event_type")?.to_owned(),
        version: row.number("version")?,
        mode: named(row, "mode")?,
        schema: row.text("schema")?.to_owned(),
        created_at_ms: row.number("created_at_ms")?,
    })
}

pub(super) fn suppression_item(book: &str, entry: &str, suppression: &Suppression) -> Item {
    let mut item = place(book, entry);
    item.extend([
        ("application_id".to_owned(), text(suppression.application_id)),
        ("player_id".to_owned(), text(&suppression.player_id)),
        ("since_ms".to_owned(), number(suppression.since_ms)),
    ]);
    item
}

pub(super) fn suppression(row: &Reader<'_>) -> Result<Suppression, RegistryError> {
    Ok(Suppression {
        application_id: row.id("application_id")?,
        player_id: row.text("player_id")?.to_owned(),
        since_ms: row.number("since_ms")?,
    })
}

pub(super) fn identity(row: &Reader<'_>) -> Result<Identity, RegistryError> {
    let fields = Identity::fields_of(row.text("fields")?).map_err(|error| row.bad("fields", error.to_string()))?;
    let secrets = Identity::secrets_of(row.text("secrets")?).map_err(|error| row.bad("secrets", error.to_string()))?;
    Ok(Identity {
        // Under which it is asked for; what it says of itself besides may differ.
        application_id: row.id("entry")?,
        version: row.number("version")?,
        fields,
        secrets,
        changed_at_ms: row.number("changed_at_ms")?,
    })
}
