//! Lists: every page of them, oldest first. Rows that can't be understood are left out and logged, so that one of them
//! does not hide the others; asked for by its id, such a row is an error.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use super::attributes::{Item, text};
use super::errors::explain;
use super::{APPLICATION_AUTHORIZATIONS, DynamoDbRegistry, rows};
use crate::registry::{Application, Authorization, ClearKey, RegistryError};

impl DynamoDbRegistry {
    pub(super) async fn all_applications(&self) -> Result<Vec<Application>, RegistryError> {
        let pages = self.client.scan().table_name(&*self.applications).consistent_read(true);
        let mut pages = pages.into_paginator().items().send();
        let mut applications = Vec::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| explain(&self.applications, &error))?;
            applications.extend(self.noted(rows::application(&item, &self.applications)));
        }
        applications.sort_by_key(|application| (application.created_at_ms, application.application_id));
        Ok(applications)
    }

    /// The index may be behind by a moment.
    pub(super) async fn keys_of(&self, application: Uuid) -> Result<Vec<Authorization>, RegistryError> {
        let items = self.key_rows_of(application).await?;
        let keys = items.iter().filter_map(|item| self.noted(rows::key(item, &self.authorizations)));
        let mut keys: Vec<Authorization> = keys.map(|row| row.authorization).collect();
        keys.sort_by_key(|key| (key.created_at_ms, key.api_key_id));
        Ok(keys)
    }

    /// The rows of an application's keys, as they are.
    pub(super) async fn key_rows_of(&self, application: Uuid) -> Result<Vec<Item>, RegistryError> {
        let pages = self
            .client
            .query()
            .table_name(&*self.authorizations)
            .index_name(APPLICATION_AUTHORIZATIONS)
            .key_condition_expression("application_id = :application")
            .expression_attribute_values(":application", text(application));
        let mut pages = pages.into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item.map_err(|error| explain(&self.authorizations, &error))?);
        }
        Ok(items)
    }

    /// The rows of a key: one, unless somebody else has used its id for several applications.
    pub(super) async fn rows_of_key(&self, key: Uuid) -> Result<Vec<Item>, RegistryError> {
        let pages = self
            .client
            .query()
            .table_name(&*self.authorizations)
            .consistent_read(true)
            .key_condition_expression("api_key_id = :key")
            .expression_attribute_values(":key", text(key));
        let mut pages = pages.into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item.map_err(|error| explain(&self.authorizations, &error))?);
        }
        Ok(items)
    }

    pub(super) async fn readable_keys(&self) -> Result<Vec<ClearKey>, RegistryError> {
        let pages = self
            .client
            .scan()
            .table_name(&*self.authorizations)
            .consistent_read(true)
            .filter_expression("attribute_exists(api_key_value)")
            .projection_expression("api_key_id, application_id");
        let mut pages = pages.into_paginator().items().send();
        let mut keys = Vec::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| explain(&self.authorizations, &error))?;
            // Both are the primary key: no row is without them, and both are strings.
            let id = |name| item.get(name).and_then(|id| AttributeValue::as_s(id).ok()).cloned().unwrap_or_default();
            keys.push(ClearKey { api_key_id: id("api_key_id"), application_id: id("application_id") });
        }
        Ok(keys)
    }

    pub(super) async fn read_application(&self, id: Uuid) -> Result<Application, RegistryError> {
        let item = self.read_row(&self.applications, rows::application_key(id)).await?;
        let item = item.ok_or(RegistryError::NotFound { what: "application", id })?;
        rows::application(&item, &self.applications)
    }

    pub(super) async fn read_key(&self, id: Uuid) -> Result<Authorization, RegistryError> {
        let items = self.rows_of_key(id).await?;
        let item = items.first().ok_or(RegistryError::NotFound { what: "key", id })?;
        rows::key(item, &self.authorizations).map(|row| row.authorization)
    }

    pub(super) fn noted<T>(&self, row: Result<T, RegistryError>) -> Option<T> {
        row.inspect_err(|error| self.bad_rows.note(error)).ok()
    }

    /// An error that names no row: the SDK could not build a request.
    pub(super) fn not_built(error: impl std::fmt::Display) -> RegistryError {
        RegistryError::Unavailable(Arc::from(format!("the request can't be made: {error}")))
    }
}
