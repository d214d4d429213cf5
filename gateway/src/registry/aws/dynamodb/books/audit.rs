//! The audit log: each line once among all, and once among those of its application.

use super::super::DynamoDbRegistry;
use super::super::attributes::text;
use super::super::errors::explain_books;
use super::rows;
use crate::registry::{AuditEntry, AuditQuery, RegistryError};

const ALL: &str = "audit";

impl DynamoDbRegistry {
    /// Safe to repeat: a line's id is its own.
    pub(super) async fn put_audit(&self, line: AuditEntry) -> Result<(), RegistryError> {
        let mut actions = vec![self.putting(rows::audit_item(ALL, &line), None)?];
        if let Some(application) = line.application_id {
            actions.push(self.putting(rows::audit_item(&of_application(application), &line), None)?);
        }
        self.write_books(actions).await.map(|_| ())
    }

    pub(super) async fn read_audit(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>, RegistryError> {
        let limit = query.clamped_limit();
        let mut asked = self
            .client
            .query()
            .table_name(&*self.books)
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .expression_attribute_values(":book", text(query.application_id.map_or(ALL.to_owned(), of_application)));
        asked = match query.before {
            Some(before) => asked
                .key_condition_expression("book = :book AND entry < :before")
                .expression_attribute_values(":before", text(before)),
            None => asked.key_condition_expression("book = :book"),
        };
        // A page ends after so many lines, or after 1 MB of them.
        let mut pages = asked.into_paginator().items().send();
        let mut lines = Vec::new();
        while lines.len() < limit as usize
            && let Some(item) = pages.next().await
        {
            let item = item.map_err(|error| explain_books(&self.books, &error))?;
            lines.extend(self.noted(rows::audit_entry(&self.book_row(&item))));
        }
        Ok(lines)
    }
}

fn of_application(application: uuid::Uuid) -> String {
    format!("{ALL}#{application}")
}
