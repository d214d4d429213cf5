//! `headgate keys migrate`: puts hashes in the place of the keys that the AWS solution keeps readable.
//!
//! Row by row, each with conditional writes: a key works at every moment of it, whoever changes its row meanwhile wins,
//! and what was interrupted is taken up by running it again. A row that fails does not keep the others from migrating.

use clap::Args;
use serde::Serialize;

use super::super::find::refused;
use super::super::progress::ProgressLine;
use super::super::report::{Report, printable, table};
use super::CliError;
use crate::admin::{Actor, Admin, AdminError};
use crate::clock::Clock;
use crate::registry::{ClearKey, RegistryError};

/// How to migrate.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Count the keys that would be hashed, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// What became of the readable keys.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Migration {
    dry_run: bool,
    /// Readable keys that there were.
    found: usize,
    /// Hashed now.
    migrated: usize,
    /// Hashed or removed by somebody else in the meantime.
    gone: usize,
    failed: Vec<Failed>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Failed {
    api_key_id: String,
    application_id: String,
    problem: String,
}

/// Hashes every readable key.
///
/// # Errors
/// If the registry can't be used. What was done before that stays done.
pub(super) async fn migrate(args: &MigrateArgs, admin: &Admin, clock: &Clock) -> Result<Migration, CliError> {
    let keys = admin.clear_keys().await.map_err(refused)?;
    let mut migration = Migration { dry_run: args.dry_run, found: keys.len(), ..Migration::default() };
    if args.dry_run {
        return Ok(migration);
    }
    if !keys.is_empty() {
        admin.check_audit().await.map_err(refused)?;
    }
    let mut progress = ProgressLine::new(clock.clone());
    for (done, key) in keys.iter().enumerate() {
        progress.show(|| format!("{done} of {} keys", keys.len()));
        match admin.hash_clear_key(key).await {
            Ok(true) => migration.migrated += 1,
            Ok(false) => migration.gone += 1,
            Err(AdminError::Registry(
                error
                @ (RegistryError::Unavailable(_) | RegistryError::NotSetUp { .. } | RegistryError::NoBooks { .. }),
            )) => {
                note(admin, &migration).await?;
                let left = keys.len() - done;
                return Err(CliError::failed(format!(
                    "{error}; {} keys are hashed, {left} are left: run it again to go on",
                    migration.migrated
                )));
            }
            Err(error) => migration.failed.push(Failed::of(key, &error)),
        }
    }
    note(admin, &migration).await?;
    Ok(migration)
}

async fn note(admin: &Admin, migration: &Migration) -> Result<(), CliError> {
    match migration.migrated {
        0 => Ok(()),
        migrated => admin.note_migrated(&Actor::local(), migrated).await.map_err(refused),
    }
}

impl Migration {
    /// What to say about it.
    pub(super) fn report(&self) -> Result<Report, CliError> {
        let mut text = match (self.found, self.dry_run) {
            (0, _) => "nothing to migrate: the registry keeps no readable key".to_owned(),
            (found, true) => format!("{found} readable keys would be replaced by their hashes"),
            (found, false) => {
                let gone = if self.gone == 0 { String::new() } else { format!(", {} were gone", self.gone) };
                format!("{} of {found} readable keys are hashed now{gone}", self.migrated)
            }
        };
        if !self.failed.is_empty() {
            text.push_str("\n\n");
            let rows = self.failed.iter().map(|key| [printable(&key.api_key_id), printable(&key.problem)]);
            text.push_str(&table(["KEY ID", "PROBLEM"], rows));
        }
        Report::new(text, self)
    }

    /// Whether the command succeeds.
    pub(super) fn verdict(&self) -> Result<(), CliError> {
        match self.failed.len() {
            0 => Ok(()),
            failed => Err(CliError::failed(format!("{failed} keys could not be hashed"))),
        }
    }
}

impl Failed {
    fn of(key: &ClearKey, error: &AdminError) -> Self {
        Self {
            api_key_id: key.api_key_id.clone(),
            application_id: key.application_id.clone(),
            problem: error.to_string(),
        }
    }
}
