//! Schemas: the latest version of each in one book, which gateways read; every version in a book of its own.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use uuid::Uuid;

use super::super::DynamoDbRegistry;
use super::super::attributes::{Item, number};
use super::super::writes::Done;
use super::{ATTEMPTS, Book, rows};
use crate::registry::{RegistryError, Schema, SchemaMode};

impl DynamoDbRegistry {
    pub(super) async fn latest_schemas(&self, application: Option<Uuid>) -> Result<Vec<Schema>, RegistryError> {
        let Some(application) = application else {
            return self.read_book(Book::Schemas, &self.known_schemas, rows::schema).await;
        };
        let items = self.read_entries(Book::Schemas.name(), &entry(application, "")).await?;
        Ok(items.iter().filter_map(|item| self.noted(rows::schema(&self.book_row(item)))).collect())
    }

    pub(super) async fn versions_of_schema(
        &self,
        application: Uuid,
        event_type: &str,
    ) -> Result<Vec<Schema>, RegistryError> {
        let items = self.read_entries(&versions(application, event_type), "").await?;
        Ok(items.iter().rev().filter_map(|item| self.noted(rows::schema(&self.book_row(item)))).collect())
    }

    pub(super) async fn add_schema(
        &self,
        application: Uuid,
        event_type: &str,
        mode: SchemaMode,
        schema: &str,
    ) -> Result<Schema, RegistryError> {
        for _ in 0..ATTEMPTS {
            let before = self.latest_schema(application, event_type).await?;
            let new = Schema {
                application_id: application,
                event_type: event_type.to_owned(),
                version: before.as_ref().map_or(1, |before| before.version.saturating_add(1)),
                mode,
                schema: schema.to_owned(),
                created_at_ms: self.clock.wall_ms(),
            };
            let actions = vec![
                self.demanding(application)?,
                self.replacing_latest(&new, before.as_ref())?,
                self.putting(version_item(&new), None)?,
                self.counted(Book::Schemas)?,
            ];
            match self.write_books(actions).await? {
                Done::Yes => return Ok(new),
                Done::No(0) => return Err(RegistryError::NotFound { what: "application", id: application }),
                // Somebody else has put a version meanwhile.
                Done::No(_) => {}
            }
        }
        Err(Self::contended())
    }

    pub(super) async fn change_schema_mode(
        &self,
        application: Uuid,
        event_type: &str,
        mode: SchemaMode,
    ) -> Result<Schema, RegistryError> {
        for _ in 0..ATTEMPTS {
            let before = self.latest_schema(application, event_type).await?;
            let missing = RegistryError::NotFound { what: "schema in the application", id: application };
            let before = before.ok_or(missing)?;
            let changed = Schema { mode, ..before.clone() };
            let actions = vec![
                self.replacing_latest(&changed, Some(&before))?,
                self.putting(version_item(&changed), None)?,
                self.counted(Book::Schemas)?,
            ];
            if self.write_books(actions).await? == Done::Yes {
                return Ok(changed);
            }
        }
        Err(Self::contended())
    }

    /// The latest version goes last: a removal that breaks off can be made again.
    pub(super) async fn remove_schema(&self, application: Uuid, event_type: &str) -> Result<bool, RegistryError> {
        let book = Book::Schemas;
        let (latest, versions) = (entry(application, event_type), versions(application, event_type));
        if self.read_entry(book.name(), &latest).await?.is_none() {
            return Ok(false);
        }
        self.delete_entries(book, &self.read_entries(&versions, "").await?).await?;
        let latest = self.deleting(rows::place(book.name(), &latest), Some("attribute_exists(book)"))?;
        Ok(self.write_books(vec![latest, self.counted(book)?]).await? == Done::Yes)
    }

    async fn latest_schema(&self, application: Uuid, event_type: &str) -> Result<Option<Schema>, RegistryError> {
        let item = self.read_entry(Book::Schemas.name(), &entry(application, event_type)).await?;
        item.map(|item| rows::schema(&self.book_row(&item))).transpose()
    }

    /// Puts the latest version, if it is still `before` that it takes the place of.
    fn replacing_latest(&self, new: &Schema, before: Option<&Schema>) -> Result<TransactWriteItem, RegistryError> {
        let book = Book::Schemas.name();
        let item = rows::schema_item(book, &entry(new.application_id, &new.event_type), new);
        let Some(before) = before else { return self.putting(item, Some("attribute_not_exists(book)")) };
        let put = Put::builder()
            .table_name(&*self.books)
            .set_item(Some(item))
            .condition_expression("#version = :before")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":before", number(before.version))
            .build()
            .map_err(Self::not_built)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

fn version_item(schema: &Schema) -> Item {
    let book = versions(schema.application_id, &schema.event_type);
    rows::schema_item(&book, &format!("{:010}", schema.version), schema)
}

fn entry(application: Uuid, event_type: &str) -> String {
    format!("{application}#{event_type}")
}

fn versions(application: Uuid, event_type: &str) -> String {
    format!("{}#{application}#{event_type}", Book::Schemas.name())
}
