//! Removal of keys and of applications with their keys.
//!
//! An application goes in the last transaction, with the last of its keys; where it has more keys than one transaction
//! takes (100 actions), the others go before it. So a removal that breaks off leaves an application with fewer keys, and
//! never a key without its application, which the AWS solution's authorizer would still let in. Removing it again goes on.
//! The secrets with which its ids were hashed go in that last transaction, too: no secret outlives its application.

use std::sync::Arc;

use aws_sdk_dynamodb::types::{Delete, ReturnValue, TransactWriteItem};
use uuid::Uuid;

use super::attributes::Item;
use super::errors::explain;
use super::writes::Done;
use super::{DynamoDbRegistry, rows};
use crate::registry::RegistryError;

/// DynamoDB's limit for one transaction.
const ACTIONS: usize = 100;
/// Rounds that look for keys which were made while their application was being removed.
const ROUNDS: usize = 3;

impl DynamoDbRegistry {
    pub(super) async fn remove_application(&self, id: Uuid) -> Result<bool, RegistryError> {
        let was_there = self.remove_with_keys(id).await?;
        // A key that was made in between, or that the index did not show yet. It lets nobody in here without its
        // application; in the AWS solution it would.
        for _ in 0..ROUNDS {
            let left = self.key_rows_of(id).await?;
            if left.is_empty() {
                break;
            }
            for chunk in left.chunks(ACTIONS) {
                self.transact(self.deletions(chunk)?).await?;
            }
        }
        self.forget_application(id).await?;
        Ok(was_there)
    }

    async fn remove_with_keys(&self, id: Uuid) -> Result<bool, RegistryError> {
        let keys = self.key_rows_of(id).await?;
        if self.read_row(&self.applications, rows::application_key(id)).await?.is_none() {
            return Ok(false);
        }
        let identity = self.removal_of_identity(id).await?;
        let last = keys.len().min(ACTIONS - 1 - identity.len());
        let (before, last) = keys.split_at(keys.len() - last);
        for chunk in before.chunks(ACTIONS) {
            self.transact(self.deletions(chunk)?).await?;
        }
        let application = Delete::builder()
            .table_name(&*self.applications)
            .set_key(Some(rows::application_key(id)))
            .condition_expression("attribute_exists(application_id)")
            .build()
            .map_err(Self::not_built)?;
        let mut actions = vec![TransactWriteItem::builder().delete(application).build()];
        actions.extend(self.deletions(last)?);
        if identity.is_empty() {
            return Ok(self.transact(actions).await? == Done::Yes);
        }
        actions.extend(identity);
        // Others may be changing the same book.
        Ok(self.write_books(actions).await? == Done::Yes)
    }

    fn deletions(&self, keys: &[Item]) -> Result<Vec<TransactWriteItem>, RegistryError> {
        let deletion = |item: &Item| -> Result<TransactWriteItem, RegistryError> {
            let key = Some(rows::key_place(item));
            let delete = Delete::builder().table_name(&*self.authorizations).set_key(key).build();
            Ok(TransactWriteItem::builder().delete(delete.map_err(Self::not_built)?).build())
        };
        keys.iter().map(deletion).collect()
    }

    pub(super) async fn remove_key(&self, key: Uuid) -> Result<bool, RegistryError> {
        let mut was_there = false;
        for item in self.rows_of_key(key).await? {
            let table: &Arc<str> = &self.authorizations;
            let delete = self.client.delete_item().table_name(&**table).set_key(Some(rows::key_place(&item)));
            let deleted = delete.return_values(ReturnValue::AllOld).send().await;
            was_there |= deleted.map_err(|error| explain(table, &error))?.attributes.is_some();
        }
        Ok(was_there)
    }
}
