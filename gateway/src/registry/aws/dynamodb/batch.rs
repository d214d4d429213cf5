//! Many rows by their primary keys: BatchGetItem, 100 a call, and again for what DynamoDB had no room for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures_util::future::try_join_all;

use super::DynamoDbRegistry;
use super::attributes::Item;
use super::errors::explain;
use crate::registry::RegistryError;

/// DynamoDB's limit.
const AT_ONCE: usize = 100;
const FIRST_PAUSE: Duration = Duration::from_millis(25);

impl DynamoDbRegistry {
    /// The rows of these primary keys that there are, in no order. Eventually consistent, for half the price: within
    /// a second, says AWS, and the next refresh sees what this one missed. Keys must not repeat.
    pub(super) async fn get_rows(&self, wanted: Vec<(&Arc<str>, Item)>) -> Result<Rows, RegistryError> {
        let calls = wanted.chunks(AT_ONCE).map(|chunk| {
            let mut tables: HashMap<String, Vec<Item>> = HashMap::new();
            for (table, key) in chunk {
                tables.entry(table.to_string()).or_default().push(key.clone());
            }
            self.get_batch(tables)
        });
        let everything = tokio::time::timeout(self.operation_timeout, try_join_all(calls)).await;
        let parts = everything.unwrap_or_else(|_| {
            let why = "DynamoDB did not answer in full within registry.dynamodb.operation_timeout: is it throttling?";
            Err(RegistryError::Unavailable(Arc::from(why)))
        })?;
        let mut rows = Rows::default();
        for (table, items) in parts.into_iter().flatten() {
            let of_table = if table == *self.applications { &mut rows.applications } else { &mut rows.keys };
            of_table.extend(items);
        }
        Ok(rows)
    }

    async fn get_batch(&self, tables: HashMap<String, Vec<Item>>) -> Result<Vec<(String, Vec<Item>)>, RegistryError> {
        let table = tables.keys().cloned().collect::<Vec<_>>().join(" and ");
        let asked = |keys: Vec<Item>| {
            // A replica that is behind would say of a new key that there is none, and of a disabled one that it is not.
            let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
            keys.map_err(|error| RegistryError::Unavailable(Arc::from(error.to_string())))
        };
        let mut left = HashMap::new();
        for (table, keys) in tables {
            left.insert(table, asked(keys)?);
        }
        let (mut found, mut pause) = (Vec::new(), FIRST_PAUSE);
        loop {
            let answer = self.client.batch_get_item().set_request_items(Some(left)).send().await;
            let answer = answer.map_err(|error| explain(&table, &error))?;
            found.extend(answer.responses.unwrap_or_default());
            left = answer.unprocessed_keys.unwrap_or_default();
            if left.is_empty() {
                return Ok(found);
            }
            // The caller's timeout ends this.
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}

/// Rows of both tables.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) applications: Vec<Item>,
    pub(super) keys: Vec<Item>,
}
