//! The books: a third table, whose partition key is `book` and whose sort key is `entry`.
//!
//! | book | entry | what it is |
//! |---|---|---|
//! | `audit`, and `audit#APPLICATION` for what was done within one | the line's id, which sorts by time | a line |
//! | `schemas` | `APPLICATION#EVENT_TYPE` | a schema's latest version |
//! | `schemas#APPLICATION#EVENT_TYPE` | the version, ten digits | every version |
//! | `suppressions` | `APPLICATION#PLAYER` | a player whose events are not kept |
//! | `identities` | `APPLICATION` | how an application has ids hashed |
//! | `revisions` | `schemas`, `suppressions`, `identities` | how often that book was changed |
//!
//! Gateways ask for whole books every few seconds. Every change counts up the book's revision in the same transaction,
//! so asking costs the read of one small row while nothing has changed. An installation without the table works but for
//! the books; what needs them says what is missing.

mod audit;
mod cache;
mod identities;
mod rows;
mod schemas;
mod suppressions;

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem, Update};
use uuid::Uuid;

use super::attributes::{Item, Reader, number, text};
use super::errors::explain_books;
use super::writes::{Done, is_conflict, refused_action};
use super::{DynamoDbRegistry, rows as tables};
use crate::registry::rules::{check_player, check_schema};
use crate::registry::{
    AuditEntry, AuditQuery, Books, Identities, Identity, RegistryError, Revisions, Schema, SchemaMode, Suppression,
};

pub(super) use cache::Cached;

/// Whoever changes the same book in the same moment has to go one after the other.
const ATTEMPTS: usize = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// DynamoDB's limit for one transaction, less one for the revision.
const ACTIONS: usize = 99;

/// A book whose changes are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Book {
    Schemas,
    Suppressions,
    Identities,
}

impl Book {
    const fn name(self) -> &'static str {
        match self {
            Self::Schemas => "schemas",
            Self::Suppressions => "suppressions",
            Self::Identities => "identities",
        }
    }
}

#[async_trait]
impl Books for DynamoDbRegistry {
    async fn revisions(&self) -> Result<Revisions, RegistryError> {
        let (schemas, suppressions, identities) = tokio::try_join!(
            self.revision(Book::Schemas),
            self.revision(Book::Suppressions),
            self.revision(Book::Identities)
        )?;
        Ok(Revisions { schemas, suppressions, identities })
    }

    async fn append_audit(&self, entry: AuditEntry) -> Result<(), RegistryError> {
        self.put_audit(entry).await
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>, RegistryError> {
        self.read_audit(query).await
    }

    async fn put_schema(
        &self,
        application: Uuid,
        event_type: &str,
        mode: SchemaMode,
        schema: &str,
    ) -> Result<Schema, RegistryError> {
        check_schema(event_type, schema)?;
        self.add_schema(application, event_type, mode, schema).await
    }

    async fn schemas(&self, application: Option<Uuid>) -> Result<Vec<Schema>, RegistryError> {
        self.latest_schemas(application).await
    }

    async fn schema_versions(&self, application: Uuid, event_type: &str) -> Result<Vec<Schema>, RegistryError> {
        self.versions_of_schema(application, event_type).await
    }

    async fn set_schema_mode(
        &self,
        application: Uuid,
        event_type: &str,
        mode: SchemaMode,
    ) -> Result<Schema, RegistryError> {
        self.change_schema_mode(application, event_type, mode).await
    }

    async fn delete_schema(&self, application: Uuid, event_type: &str) -> Result<bool, RegistryError> {
        self.remove_schema(application, event_type).await
    }

    async fn suppress(&self, application: Uuid, player_id: &str) -> Result<Suppression, RegistryError> {
        check_player(player_id)?;
        self.add_suppression(application, player_id).await
    }

    async fn unsuppress(&self, application: Uuid, player_id: &str) -> Result<bool, RegistryError> {
        self.remove_suppression(application, player_id).await
    }

    async fn suppressions(&self, application: Option<Uuid>) -> Result<Vec<Suppression>, RegistryError> {
        self.all_suppressions(application).await
    }

    async fn put_identity(&self, identity: &Identity) -> Result<bool, RegistryError> {
        self.write_identity(identity).await
    }

    async fn identity(&self, application: Uuid) -> Result<Option<Identity>, RegistryError> {
        self.identity_of(application).await
    }

    async fn identities(&self) -> Result<Identities, RegistryError> {
        self.all_identities().await
    }
}

impl DynamoDbRegistry {
    /// Removes what the books hold of an application that is gone, but for its audit log. What stays harms nobody, but for
    /// secrets that a removal of before has left.
    pub(super) async fn forget_application(&self, application: Uuid) -> Result<(), RegistryError> {
        match self.remove_identity_of(application).await {
            Ok(()) | Err(RegistryError::NoBooks { .. }) => {}
            Err(error) => return Err(error),
        }
        let forget = async {
            for schema in self.latest_schemas(Some(application)).await? {
                self.remove_schema(application, &schema.event_type).await?;
            }
            self.remove_suppressions_of(application).await
        };
        match forget.await {
            Ok(()) => {}
            Err(error @ RegistryError::NoBooks { .. }) => tracing::debug!(%error, "there are no books to tidy"),
            Err(error) => tracing::warn!(%error, %application, "what the books hold of a removed application stays"),
        }
        Ok(())
    }

    /// One row of the books, as it is now.
    async fn read_entry(&self, book: &str, entry: &str) -> Result<Option<Item>, RegistryError> {
        let key = Some(rows::place(book, entry));
        let answer = self.client.get_item().table_name(&*self.books).set_key(key).consistent_read(true).send().await;
        answer.map(|answer| answer.item).map_err(|error| explain_books(&self.books, &error))
    }

    /// The rows of a book whose entries begin with `prefix`, in their order, as they are now.
    async fn read_entries(&self, book: &str, prefix: &str) -> Result<Vec<Item>, RegistryError> {
        let mut query = self
            .client
            .query()
            .table_name(&*self.books)
            .consistent_read(true)
            .expression_attribute_values(":book", text(book));
        query = if prefix.is_empty() {
            query.key_condition_expression("book = :book")
        } else {
            query
                .key_condition_expression("book = :book AND begins_with(entry, :prefix)")
                .expression_attribute_values(":prefix", text(prefix))
        };
        let mut pages = query.into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item.map_err(|error| explain_books(&self.books, &error))?);
        }
        Ok(items)
    }

    /// A whole book: from memory, where its revision says that nothing has changed.
    async fn read_book<T: Clone>(
        &self,
        book: Book,
        cached: &Cached<T>,
        read: fn(&Reader<'_>) -> Result<T, RegistryError>,
    ) -> Result<Vec<T>, RegistryError> {
        // The revision first: what is read after it is at least as new.
        let revision = self.revision(book).await?;
        if let Some(known) = cached.of(revision) {
            return Ok(known);
        }
        let items = self.read_entries(book.name(), "").await?;
        let all: Vec<T> = items.iter().filter_map(|item| self.noted(read(&self.book_row(item)))).collect();
        cached.put(revision, all.clone());
        Ok(all)
    }

    async fn revision(&self, book: Book) -> Result<u64, RegistryError> {
        match self.read_entry("revisions", book.name()).await? {
            Some(item) => Ok(self.book_row(&item).optional_number("revision")?.unwrap_or(0)),
            None => Ok(0),
        }
    }

    fn book_row<'a>(&'a self, item: &'a Item) -> Reader<'a> {
        Reader::new(item, &self.books, "entry")
    }

    /// All of it or nothing; asks again where somebody else changes the same rows in the same moment.
    pub(super) async fn write_books(&self, actions: Vec<TransactWriteItem>) -> Result<Done, RegistryError> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let write = self.client.transact_write_items().set_transact_items(Some(actions.clone()));
            let Err(error) = write.send().await else { return Ok(Done::Yes) };
            if let Some(action) = refused_action(&error) {
                return Ok(Done::No(action));
            }
            if attempt == ATTEMPTS || !is_conflict(&error) {
                return Err(explain_books(&self.books, &error));
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(RegistryError::Unavailable("the books can't be changed".into()))
    }

    /// The action that counts a change of a book.
    fn counted(&self, book: Book) -> Result<TransactWriteItem, RegistryError> {
        let update = Update::builder()
            .table_name(&*self.books)
            .set_key(Some(rows::place("revisions", book.name())))
            .update_expression("ADD revision :one")
            .expression_attribute_values(":one", number(1))
            .build()
            .map_err(Self::not_built)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// The action that demands an application.
    fn demanding(&self, application: Uuid) -> Result<TransactWriteItem, RegistryError> {
        let check = ConditionCheck::builder()
            .table_name(&*self.applications)
            .set_key(Some(tables::application_key(application)))
            .condition_expression("attribute_exists(application_id)")
            .build()
            .map_err(Self::not_built)?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    fn putting(&self, item: Item, condition: Option<&str>) -> Result<TransactWriteItem, RegistryError> {
        let put = Put::builder()
            .table_name(&*self.books)
            .set_item(Some(item))
            .set_condition_expression(condition.map(str::to_owned))
            .build()
            .map_err(Self::not_built)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// As [`Self::putting`], over the row of this version.
    fn putting_over(&self, item: Item, version: u32) -> Result<TransactWriteItem, RegistryError> {
        let put = Put::builder()
            .table_name(&*self.books)
            .set_item(Some(item))
            .condition_expression("version = :version")
            .expression_attribute_values(":version", number(version))
            .build()
            .map_err(Self::not_built)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    fn deleting(&self, place: Item, condition: Option<&str>) -> Result<TransactWriteItem, RegistryError> {
        let delete = Delete::builder()
            .table_name(&*self.books)
            .set_key(Some(place))
            .set_condition_expression(condition.map(str::to_owned))
            .build()
            .map_err(Self::not_built)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// Removes rows of the books, whether they are there or not, and counts that.
    async fn delete_entries(&self, book: Book, items: &[Item]) -> Result<(), RegistryError> {
        for chunk in items.chunks(ACTIONS) {
            let mut actions = vec![self.counted(book)?];
            for item in chunk {
                actions.push(self.deleting(rows::place_of(item), None)?);
            }
            self.write_books(actions).await?;
        }
        Ok(())
    }

    fn contended() -> RegistryError {
        RegistryError::Unavailable("somebody else is changing the same: try again".into())
    }
}
