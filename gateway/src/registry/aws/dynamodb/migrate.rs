//! A readable key becomes a hash, and works at every moment of it.
//!
//! The hash goes in first, beside the key. Once our index shows it, the key goes. In between, and after a break, the row
//! holds both, which look-ups understand. Both writes demand that the key is still the one that was hashed.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;

use super::attributes::{Item, Reader, text};
use super::errors::explain;
use super::{API_KEY_HASHES, DynamoDbRegistry, rows};
use crate::registry::{ClearKey, KeyHash, RegistryError};

/// An index usually follows within milliseconds.
const INDEX_PATIENCE: Duration = Duration::from_secs(30);
const INDEX_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl DynamoDbRegistry {
    pub(super) async fn hash_readable_key(&self, key: &ClearKey) -> Result<bool, RegistryError> {
        let row = rows::key_key(&key.api_key_id, &key.application_id);
        let Some(item) = self.read_row(&self.authorizations, row.clone()).await? else { return Ok(false) };
        let reader = Reader::new(&item, &self.authorizations, "api_key_id");
        let Some(value) = reader.optional_text("api_key_value")? else { return Ok(false) };
        let hash = KeyHash::of(value);
        let add = "SET api_key_hash = :hash, api_key_masked = :masked";
        let values = [(":hash", text(hash.to_string())), (":masked", text(rows::mask(value)))];
        if !self.change_while(&row, value, add, &values).await? {
            return Ok(false);
        }
        self.wait_for_index(&hash).await?;
        self.change_while(&row, value, "REMOVE api_key_value", &[]).await
    }

    /// Changes a row while its key is `value`; returns whether it was.
    async fn change_while(
        &self,
        row: &Item,
        value: &str,
        change: &str,
        values: &[(&str, AttributeValue)],
    ) -> Result<bool, RegistryError> {
        let mut update = self
            .client
            .update_item()
            .table_name(&*self.authorizations)
            .set_key(Some(row.clone()))
            .condition_expression("api_key_value = :value")
            .update_expression(change)
            .expression_attribute_values(":value", text(value));
        for (name, value) in values {
            update = update.expression_attribute_values(*name, value.clone());
        }
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(explain(&self.authorizations, &error)),
        }
    }

    async fn wait_for_index(&self, hash: &KeyHash) -> Result<(), RegistryError> {
        let deadline = self.clock.now() + INDEX_PATIENCE;
        let mut pause = INDEX_PAUSE;
        while self.search_rows(API_KEY_HASHES, "api_key_hash", &hash.to_string()).await?.is_empty() {
            if self.clock.now() >= deadline {
                let why = format!("the index {API_KEY_HASHES} does not follow its table: is it still being built?");
                return Err(RegistryError::Unavailable(Arc::from(why)));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Ok(())
    }
}
