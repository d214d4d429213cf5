//! `registry.*`: where applications and keys are kept.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The registry.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistrySettings {
    /// Its kind. Default `sqlite`: a file in the data folder.
    pub kind: RegistryKind,
    /// Whether a first start makes a `demo` application with a key in `DATA_DIR/demo-api-key`. Default true with
    /// `sqlite` and false with `dynamodb`, which a fleet shares.
    pub demo_application: Option<bool>,
    /// The tables of `kind = "dynamodb"`.
    pub dynamodb: DynamoDbSettings,
}

/// The registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum RegistryKind {
    /// A file in the data folder.
    Sqlite,
    /// The AWS solution's tables in DynamoDB, which any number of gateways share.
    Dynamodb,
}

/// The tables in DynamoDB.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DynamoDbSettings {
    /// The table of applications. Default `Applications`.
    pub applications_table: String,
    /// The table of keys. Default `Authorizations`.
    pub authorizations_table: String,
    /// The table of the audit log, schemas and suppressions. Default `headgate-books`. Without it keys and events work,
    /// and what needs it says so.
    pub books_table: String,
    /// How long one attempt of a call may take; there are three. 50 ms to 30 s, default 500 ms.
    #[serde(with = "humantime_serde")]
    pub attempt_timeout: Duration,
    /// How long a call may take with all its attempts. At least `attempt_timeout`, up to 60 s, default 2 s.
    #[serde(with = "humantime_serde")]
    pub operation_timeout: Duration,
}

impl RegistrySettings {
    /// Whether a first start makes a demo application.
    #[must_use]
    pub fn makes_demo_application(&self) -> bool {
        self.demo_application.unwrap_or(match self.kind {
            RegistryKind::Sqlite => true,
            RegistryKind::Dynamodb => false,
        })
    }
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self { kind: RegistryKind::Sqlite, demo_application: None, dynamodb: DynamoDbSettings::default() }
    }
}

impl Default for DynamoDbSettings {
    fn default() -> Self {
        Self {
            applications_table: "Applications".to_owned(),
            authorizations_table: "Authorizations".to_owned(),
            books_table: "headgate-books".to_owned(),
            attempt_timeout: Duration::from_millis(500),
            operation_timeout: Duration::from_secs(2),
        }
    }
}
