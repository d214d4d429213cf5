//! Whose events are not kept: one book, which gateways read.

use uuid::Uuid;

use super::super::DynamoDbRegistry;
use super::super::writes::Done;
use super::{ATTEMPTS, Book, rows};
use crate::registry::{RegistryError, Suppression};

const BOOK: Book = Book::Suppressions;

impl DynamoDbRegistry {
    pub(super) async fn all_suppressions(&self, application: Option<Uuid>) -> Result<Vec<Suppression>, RegistryError> {
        let Some(application) = application else {
            return self.read_book(BOOK, &self.known_suppressions, rows::suppression).await;
        };
        let items = self.read_entries(BOOK.name(), &entry(application, "")).await?;
        Ok(items.iter().filter_map(|item| self.noted(rows::suppression(&self.book_row(item)))).collect())
    }

    pub(super) async fn add_suppression(&self, application: Uuid, player: &str) -> Result<Suppression, RegistryError> {
        let entry = entry(application, player);
        let new =
            Suppression { application_id: application, player_id: player.to_owned(), since_ms: self.clock.wall_ms() };
        for _ in 0..ATTEMPTS {
            if let Some(item) = self.read_entry(BOOK.name(), &entry).await? {
                return rows::suppression(&self.book_row(&item));
            }
            let item = rows::suppression_item(BOOK.name(), &entry, &new);
            let actions = vec![
                self.demanding(application)?,
                self.putting(item, Some("attribute_not_exists(book)"))?,
                self.counted(BOOK)?,
            ];
            match self.write_books(actions).await? {
                Done::Yes => return Ok(new),
                Done::No(0) => return Err(RegistryError::NotFound { what: "application", id: application }),
                // Somebody else was quicker.
                Done::No(_) => {}
            }
        }
        Err(Self::contended())
    }

    pub(super) async fn remove_suppression(&self, application: Uuid, player: &str) -> Result<bool, RegistryError> {
        let place = rows::place(BOOK.name(), &entry(application, player));
        let actions = vec![self.deleting(place, Some("attribute_exists(book)"))?, self.counted(BOOK)?];
        Ok(self.write_books(actions).await? == Done::Yes)
    }

    pub(super) async fn remove_suppressions_of(&self, application: Uuid) -> Result<(), RegistryError> {
        let items = self.read_entries(BOOK.name(), &entry(application, "")).await?;
        self.delete_entries(BOOK, &items).await
    }
}

fn entry(application: Uuid, player: &str) -> String {
    format!("{application}#{player}")
}
