//! Writes, each under a condition: what it changes must be there, and what it adds must not.
//!
//! An attempt whose answer was lost is made again by the SDK. Adding is safe to repeat: ids are drawn here and belong to
//! one call, so an id that is taken was taken by an earlier attempt. DynamoDB repeats transactions by their token.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Put, ReturnValue, TransactWriteItem,
};
use uuid::Uuid;

use super::attributes::{number, text, write_time};
use super::errors::explain;
use super::{API_KEY_HASHES, DynamoDbRegistry, rows};
use crate::registry::{Application, Authorization, KeyHash, NewApplication, NewAuthorization, RegistryError};

/// What a transaction says of an action whose condition is not met.
const CONDITION_FAILED: &str = "ConditionalCheckFailed";
/// What it says of an action that met another transaction's.
const CONFLICT: &str = "TransactionConflict";

impl DynamoDbRegistry {
    pub(super) async fn put_application(&self, new: NewApplication) -> Result<Application, RegistryError> {
        new.check()?;
        let now = self.clock.wall_ms();
        let application = Application {
            application_id: Uuid::new_v4(),
            name: new.name,
            description: new.description,
            limits: new.limits,
            route: new.route,
            environment: new.environment,
            created_at_ms: now,
            updated_at_ms: now,
        };
        let put = self
            .client
            .put_item()
            .table_name(&*self.applications)
            .set_item(Some(rows::application_item(&application)))
            .condition_expression("attribute_not_exists(application_id)");
        match put.send().await {
            Ok(_) => Ok(application),
            // An earlier attempt's, see above.
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                Ok(application)
            }
            Err(error) => Err(explain(&self.applications, &error)),
        }
    }

    pub(super) async fn change_application(
        &self,
        id: Uuid,
        change: NewApplication,
    ) -> Result<Application, RegistryError> {
        change.check()?;
        let now = self.clock.wall_ms();
        let mut update = self
            .client
            .update_item()
            .table_name(&*self.applications)
            .set_key(Some(rows::application_key(id)))
            .condition_expression("attribute_exists(application_id)")
            .expression_attribute_values(":name", text(change.name.as_str()))
            .expression_attribute_values(":at", text(write_time(now)))
            .expression_attribute_values(":at_ms", number(now))
            .return_values(ReturnValue::AllNew);
        let mut set = "SET application_name = :name, updated_at = :at, updated_at_ms = :at_ms".to_owned();
        let mut remove = Vec::new();
        for (attribute, value) in rows::optional_attributes(&change) {
            // Through a name: DynamoDB reserves many words.
            update = update.expression_attribute_names(format!("#{attribute}"), attribute);
            match value {
                Some(value) => {
                    set.push_str(&format!(", #{attribute} = :{attribute}"));
                    update = update.expression_attribute_values(format!(":{attribute}"), value);
                }
                None => remove.push(format!("#{attribute}")),
            }
        }
        if !remove.is_empty() {
            set.push_str(&format!(" REMOVE {}", remove.join(", ")));
        }
        match update.update_expression(set).send().await {
            Ok(updated) => rows::application(&updated.attributes.unwrap_or_default(), &self.applications),
            Err(error) if is_missing(&error) => Err(RegistryError::NotFound { what: "application", id }),
            Err(error) => Err(explain(&self.applications, &error)),
        }
    }

    pub(super) async fn put_key(&self, new: NewAuthorization) -> Result<Authorization, RegistryError> {
        new.check()?;
        self.check_unused(&new.hash).await?;
        let (key, actions) = self.adding(new)?;
        match self.transact(actions).await? {
            Done::Yes => Ok(key),
            Done::No(_) => Err(RegistryError::NotFound { what: "application", id: key.application_id }),
        }
    }

    /// Sets one attribute of a key.
    pub(super) async fn change_key(
        &self,
        id: Uuid,
        attribute: &'static str,
        value: AttributeValue,
    ) -> Result<Authorization, RegistryError> {
        let missing = || RegistryError::NotFound { what: "key", id };
        let now = self.clock.wall_ms();
        let mut changed = None;
        for item in self.rows_of_key(id).await? {
            let row = rows::key_place(&item);
            let update = self
                .client
                .update_item()
                .table_name(&*self.authorizations)
                .set_key(Some(row))
                .condition_expression("attribute_exists(api_key_id)")
                .update_expression("SET #attribute = :value, updated_at = :at, updated_at_ms = :at_ms")
                .expression_attribute_names("#attribute", attribute)
                .expression_attribute_values(":value", value.clone())
                .expression_attribute_values(":at", text(write_time(now)))
                .expression_attribute_values(":at_ms", number(now))
                .return_values(ReturnValue::AllNew);
            match update.send().await {
                Ok(updated) => changed = Some(updated.attributes.unwrap_or_default()),
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(explain(&self.authorizations, &error)),
            }
        }
        let item = changed.ok_or_else(missing)?;
        rows::key(&item, &self.authorizations).map(|row| row.authorization)
    }

    /// A key whose row is to be added, and the actions that add it to an application that is there.
    pub(super) fn adding(
        &self,
        new: NewAuthorization,
    ) -> Result<(Authorization, Vec<TransactWriteItem>), RegistryError> {
        let now = self.clock.wall_ms();
        let key = Authorization {
            api_key_id: Uuid::new_v4(),
            application_id: new.application_id,
            name: new.name,
            description: new.description,
            masked_key: new.masked_key,
            enabled: true,
            expires_at_ms: new.expires_at_ms,
            scopes: new.scopes,
            last_used_at_ms: None,
            created_at_ms: now,
            updated_at_ms: now,
        };
        let is_there = ConditionCheck::builder()
            .table_name(&*self.applications)
            .set_key(Some(rows::application_key(key.application_id)))
            .condition_expression("attribute_exists(application_id)")
            .build()
            .map_err(Self::not_built)?;
        let put = Put::builder()
            .table_name(&*self.authorizations)
            .set_item(Some(rows::key_item(&key, &new.hash)))
            .condition_expression("attribute_not_exists(api_key_id)")
            .build()
            .map_err(Self::not_built)?;
        let actions = vec![
            TransactWriteItem::builder().condition_check(is_there).build(),
            TransactWriteItem::builder().put(put).build(),
        ];
        Ok((key, actions))
    }

    /// No index of DynamoDB forbids a value to come twice, and no transaction can ask one. This sees a key that was added
    /// before, unless both are added in the same moment; then either row finds the application.
    pub(super) async fn check_unused(&self, hash: &KeyHash) -> Result<(), RegistryError> {
        let found = self.search(API_KEY_HASHES, "api_key_hash", &hash.to_string()).await?;
        if found.is_empty() {
            return Ok(());
        }
        let problem = "this key was added before: make another one".to_owned();
        Err(RegistryError::Invalid { field: "key", problem })
    }

    /// Everything or nothing.
    pub(super) async fn transact(&self, actions: Vec<TransactWriteItem>) -> Result<Done, RegistryError> {
        let error = match self.client.transact_write_items().set_transact_items(Some(actions)).send().await {
            Ok(_) => return Ok(Done::Yes),
            Err(error) => error,
        };
        match refused_action(&error) {
            Some(action) => Ok(Done::No(action)),
            None => Err(explain(&format!("{} and {}", self.applications, self.authorizations), &error)),
        }
    }
}

/// What came of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// All of it is done.
    Yes,
    /// Nothing is: the condition of this action is not met.
    No(usize),
}

/// Which action's condition was not met, if that is why. A conflict with another transaction is no such reason.
pub(super) fn refused_action(error: &SdkError<TransactWriteItemsError>) -> Option<usize> {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error.as_service_error()? else {
        return None;
    };
    cancelled
        .cancellation_reasons()
        .iter()
        .map(CancellationReason::code)
        .position(|code| code == Some(CONDITION_FAILED))
}

/// Whether another transaction was at work on the same rows.
pub(super) fn is_conflict(error: &SdkError<TransactWriteItemsError>) -> bool {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
        return false;
    };
    cancelled.cancellation_reasons().iter().any(|reason| reason.code() == Some(CONFLICT))
}

pub(super) fn is_missing(error: &SdkError<UpdateItemError>) -> bool {
    error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception)
}
