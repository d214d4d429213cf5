//! The embedded registry: one SQLite file in the data folder, shared by the gateway and the command line.
//!
//! It is in WAL mode, so whoever reads never waits for whoever writes. A change is on disk before it is reported. When
//! the file is gone, damaged or locked, every call says so, and calls succeed again once it is back, without a restart.

mod books;
mod identity;
mod inspect;
mod pool;
mod rows;
mod schema;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{OptionalExtension, TransactionBehavior, params};
use uuid::Uuid;

use super::{
    Application, Authorization, KeyAnswer, KeyHash, NewApplication, NewAuthorization, Registry, RegistryError, Scopes,
    private_file,
};
use crate::clock::Clock;
pub(crate) use inspect::inspect;
use pool::Pool;

/// A [`Registry`] in a SQLite file that only its owner may read.
pub struct SqliteRegistry {
    pool: Arc<Pool>,
    clock: Clock,
}

impl SqliteRegistry {
    /// Opens the file, made and brought to the latest schema where needed. Blocks for some milliseconds, and for
    /// seconds where another process holds the file.
    ///
    /// # Errors
    /// If the file can't be opened, is damaged, not a registry, or of a later version; says what to do.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, RegistryError> {
        private_file::create_empty(path)?;
        private_file::restrict(path)?;
        Ok(Self { pool: Pool::open(path)?, clock })
    }
}

#[async_trait]
impl Registry for SqliteRegistry {
    async fn keys_by_hash(&self, hashes: &[KeyHash]) -> Result<Vec<KeyAnswer>, RegistryError> {
        let hashes = hashes.to_vec();
        let path = self.pool.path().to_owned();
        self.pool
            .run(move |connection| {
                let transaction = connection.transaction()?;
                let mut select = transaction.prepare_cached(rows::SELECT_KEY)?;
                let mut answers = Vec::with_capacity(hashes.len());
                for hash in &hashes {
                    answers.push(match select.query_row([hash.as_bytes()], rows::key_record).optional() {
                        Err(error) if rows::is_bad_row(&error) => Err(pool::explain(&path, error)),
                        found => Ok(found?),
                    });
                }
                Ok(answers)
            })
            .await
    }

    async fn create_application(&self, new: NewApplication) -> Result<Application, RegistryError> {
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
        self.pool
            .run(move |connection| {
                rows::insert_application(connection, &application)?;
                Ok(application)
            })
            .await
    }

    async fn list_applications(&self) -> Result<Vec<Application>, RegistryError> {
        self.pool
            .run(|connection| {
                let mut select = connection.prepare_cached(rows::SELECT_APPLICATIONS)?;
                let applications = select.query_map([], rows::application)?.collect::<Result<_, _>>()?;
                Ok(applications)
            })
            .await
    }

    async fn get_application(&self, id: Uuid) -> Result<Application, RegistryError> {
        self.pool.run(move |connection| rows::find_application(connection, id)).await
    }

    async fn update_application(&self, id: Uuid, change: NewApplication) -> Result<Application, RegistryError> {
        change.check()?;
        let now = self.clock.wall_ms();
        self.pool
            .run(move |connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                rows::update_application(&transaction, id, &change, now)?;
                let application = rows::find_application(&transaction, id)?;
                transaction.commit()?;
                Ok(application)
            })
            .await
    }

    async fn delete_application(&self, id: Uuid) -> Result<bool, RegistryError> {
        self.pool
            .run(move |connection| {
                let was_there = connection.execute(rows::DELETE_APPLICATION, [id.to_string()])? > 0;
                // Its secrets went with it.
                schema::empty_wal(connection)?;
                Ok(was_there)
            })
            .await
    }

    async fn create_authorization(&self, new: NewAuthorization) -> Result<Authorization, RegistryError> {
        new.check()?;
        let now = self.clock.wall_ms();
        self.pool.run(move |connection| rows::insert_key(connection, new, now)).await
    }

    async fn list_authorizations(&self, application: Uuid) -> Result<Vec<Authorization>, RegistryError> {
        self.pool
            .run(move |connection| {
                let mut select = connection.prepare_cached(rows::SELECT_KEYS_OF_APPLICATION)?;
                let keys = select.query_map([application.to_string()], rows::authorization)?;
                let keys = keys.collect::<Result<_, _>>()?;
                Ok(keys)
            })
            .await
    }

    async fn get_authorization(&self, key: Uuid) -> Result<Authorization, RegistryError> {
        self.pool.run(move |connection| rows::find_key(connection, key)).await
    }

    async fn set_enabled(&self, key: Uuid, enabled: bool) -> Result<Authorization, RegistryError> {
        let now = self.clock.wall_ms();
        self.pool
            .run(move |connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                transaction.execute(rows::SET_ENABLED, params![enabled, now, key.to_string()])?;
                let authorization = rows::find_key(&transaction, key)?;
                transaction.commit()?;
                Ok(authorization)
            })
            .await
    }

    async fn set_scopes(&self, key: Uuid, scopes: Scopes) -> Result<Authorization, RegistryError> {
        scopes.check()?;
        let now = self.clock.wall_ms();
        self.pool
            .run(move |connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                transaction.execute(rows::SET_SCOPES, params![scopes.to_string(), now, key.to_string()])?;
                let authorization = rows::find_key(&transaction, key)?;
                transaction.commit()?;
                Ok(authorization)
            })
            .await
    }

    async fn rotate(
        &self,
        old: Uuid,
        new: NewAuthorization,
        old_expires_at_ms: Option<i64>,
    ) -> Result<Authorization, RegistryError> {
        new.check()?;
        let now = self.clock.wall_ms();
        self.pool
            .run(move |connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                if rows::find_key(&transaction, old)?.application_id != new.application_id {
                    let problem = "must be the application of the key that is replaced".to_owned();
                    return Err(RegistryError::Invalid { field: "application_id", problem }.into());
                }
                let authorization = rows::insert_key(&transaction, new, now)?;
                match old_expires_at_ms {
                    Some(expires_at_ms) => {
                        transaction.execute(rows::SHORTEN, params![expires_at_ms, now, old.to_string()])?
                    }
                    None => transaction.execute(rows::SET_ENABLED, params![false, now, old.to_string()])?,
                };
                transaction.commit()?;
                Ok(authorization)
            })
            .await
    }

    async fn note_used(&self, used: &[(Uuid, Uuid, i64)]) -> Result<(), RegistryError> {
        let used = used.to_vec();
        self.pool
            .run(move |connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                for (application, key, at_ms) in used {
                    let mut note = transaction.prepare_cached(rows::NOTE_USED)?;
                    note.execute(params![at_ms, key.to_string(), application.to_string()])?;
                }
                Ok(transaction.commit()?)
            })
            .await
    }

    async fn delete_authorization(&self, key: Uuid) -> Result<bool, RegistryError> {
        self.pool.run(move |connection| Ok(connection.execute(rows::DELETE_KEY, [key.to_string()])? > 0)).await
    }
}
