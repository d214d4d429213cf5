//! A key that takes another's place, and when keys were used last.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use uuid::Uuid;

use super::attributes::{number, text, write_time};
use super::errors::explain;
use super::writes::{Done, is_missing};
use super::{DynamoDbRegistry, rows};
use crate::registry::{Authorization, NewAuthorization, RegistryError};

/// Somebody else may shorten the old key's time in the same moment.
const ATTEMPTS: usize = 3;
/// Keys whose last use is noted at once.
const NOTES_AT_ONCE: usize = 8;

impl DynamoDbRegistry {
    pub(super) async fn replace_key(
        &self,
        old: Uuid,
        new: NewAuthorization,
        old_expires_at_ms: Option<i64>,
    ) -> Result<Authorization, RegistryError> {
        new.check()?;
        self.check_unused(&new.hash).await?;
        let (key, adding) = self.adding(new)?;
        for _ in 0..ATTEMPTS {
            let before = self.read_key(old).await?;
            if before.application_id != key.application_id {
                let problem = "must be the application of the key that is replaced".to_owned();
                return Err(RegistryError::Invalid { field: "application_id", problem });
            }
            let leaving = match old_expires_at_ms {
                Some(wanted) => {
                    self.expiring(&before, wanted.min(before.expires_at_ms.unwrap_or(i64::MAX)), key.updated_at_ms)
                }
                None => self.disabling(&before, key.updated_at_ms),
            }?;
            let mut actions = adding.clone();
            actions.push(TransactWriteItem::builder().update(leaving).build());
            match self.transact(actions).await? {
                Done::Yes => return Ok(key),
                // The old key is gone, or expires before that now.
                Done::No(2) => {}
                Done::No(_) => return Err(RegistryError::NotFound { what: "application", id: key.application_id }),
            }
        }
        Err(RegistryError::Unavailable("the key that is replaced is being changed by somebody else: try again".into()))
    }

    fn disabling(&self, old: &Authorization, now: i64) -> Result<Update, RegistryError> {
        Update::builder()
            .table_name(&*self.authorizations)
            .set_key(Some(rows::key_key(old.api_key_id, old.application_id)))
            .condition_expression("attribute_exists(api_key_id)")
            .update_expression("SET enabled = :enabled, updated_at = :at, updated_at_ms = :at_ms")
            .expression_attribute_values(":enabled", AttributeValue::Bool(false))
            .expression_attribute_values(":at", text(write_time(now)))
            .expression_attribute_values(":at_ms", number(now))
            .build()
            .map_err(Self::not_built)
    }

    fn expiring(&self, old: &Authorization, expires_at_ms: i64, now: i64) -> Result<Update, RegistryError> {
        Update::builder()
            .table_name(&*self.authorizations)
            .set_key(Some(rows::key_key(old.api_key_id, old.application_id)))
            .condition_expression(
                "attribute_exists(api_key_id) AND (attribute_not_exists(expires_at) \
                 OR attribute_type(expires_at, :null) OR expires_at >= :expires_at)",
            )
            .update_expression("SET expires_at = :expires_at, updated_at = :at, updated_at_ms = :at_ms")
            .expression_attribute_values(":null", text("NULL"))
            .expression_attribute_values(":expires_at", number(expires_at_ms))
            .expression_attribute_values(":at", text(write_time(now)))
            .expression_attribute_values(":at_ms", number(now))
            .build()
            .map_err(Self::not_built)
    }

    /// One write each; where another gateway has noted a later use, nothing is to be done.
    pub(super) async fn note_keys_used(&self, used: &[(Uuid, Uuid, i64)]) -> Result<(), RegistryError> {
        let notes: Vec<_> =
            used.iter().map(|(application, key, at_ms)| self.note_key_used(*application, *key, *at_ms)).collect();
        stream::iter(notes).buffer_unordered(NOTES_AT_ONCE).try_collect().await
    }

    async fn note_key_used(&self, application: Uuid, key: Uuid, at_ms: i64) -> Result<(), RegistryError> {
        let update = self
            .client
            .update_item()
            .table_name(&*self.authorizations)
            .set_key(Some(rows::key_key(key, application)))
            .condition_expression(
                "attribute_exists(api_key_id) AND (attribute_not_exists(last_used_at) OR last_used_at < :at)",
            )
            .update_expression("SET last_used_at = :at")
            .expression_attribute_values(":at", number(at_ms));
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(explain(&self.authorizations, &error)),
        }
    }
}
