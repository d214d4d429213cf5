//! How applications have ids hashed: one book, which gateways read.

use aws_sdk_dynamodb::types::TransactWriteItem;
use uuid::Uuid;

use super::super::DynamoDbRegistry;
use super::super::attributes::{Item, number, text};
use super::super::writes::Done;
use super::{Book, rows};
use crate::registry::{Identities, Identity, RegistryError, UnreadableIdentity};

const BOOK: Book = Book::Identities;

impl DynamoDbRegistry {
    pub(super) async fn all_identities(&self) -> Result<Identities, RegistryError> {
        let known = self.read_book(BOOK, &self.known_identities, |row| {
            let application_id = row.id("entry")?;
            Ok(rows::identity(row).map_err(|error| UnreadableIdentity { application_id, error }))
        });
        let all: Identities = known.await?.into_iter().collect();
        if !all.unreadable.is_empty() {
            // Whoever mends the row by hand counts no change of the book.
            self.known_identities.forget();
        }
        Ok(all)
    }

    pub(super) async fn identity_of(&self, application: Uuid) -> Result<Option<Identity>, RegistryError> {
        let item = self.read_entry(BOOK.name(), &application.to_string()).await?;
        item.map(|item| rows::identity(&self.book_row(&item))).transpose()
    }

    pub(super) async fn write_identity(&self, identity: &Identity) -> Result<bool, RegistryError> {
        let mut item: Item = rows::place(BOOK.name(), &identity.application_id.to_string());
        item.extend([
            ("application_id".to_owned(), text(identity.application_id)),
            ("version".to_owned(), number(identity.version)),
            ("fields".to_owned(), text(identity.stored_fields())),
            ("secrets".to_owned(), text(identity.stored_secrets())),
            ("changed_at_ms".to_owned(), number(identity.changed_at_ms)),
        ]);
        let put = match identity.version.checked_sub(1) {
            Some(0) | None => self.putting(item, Some("attribute_not_exists(book)"))?,
            Some(before) => self.putting_over(item, before)?,
        };
        let actions = vec![self.demanding(identity.application_id)?, put, self.counted(BOOK)?];
        match self.write_books(actions).await? {
            Done::Yes => Ok(true),
            Done::No(0) => Err(RegistryError::NotFound { what: "application", id: identity.application_id }),
            // Somebody else was quicker.
            Done::No(_) => Ok(false),
        }
    }

    /// The actions that remove an application's secrets in one transaction with the application: none where it has none.
    pub(in super::super) async fn removal_of_identity(
        &self,
        application: Uuid,
    ) -> Result<Vec<TransactWriteItem>, RegistryError> {
        match self.read_entry(BOOK.name(), &application.to_string()).await {
            Ok(Some(item)) => Ok(vec![self.counted(BOOK)?, self.deleting(rows::place_of(&item), None)?]),
            Ok(None) | Err(RegistryError::NoBooks { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn remove_identity_of(&self, application: Uuid) -> Result<(), RegistryError> {
        let item = self.read_entry(BOOK.name(), &application.to_string()).await?;
        self.delete_entries(BOOK, item.as_slice()).await
    }
}
