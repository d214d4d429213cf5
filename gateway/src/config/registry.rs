//! `registry.*`: where applications and keys are kept.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The registry.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistrySettings {
    /// Its kind. Default `sqlite`: a file in the data folder.
    pub kind: RegistryKind,
    /// Whether a first start makes a `demo` application with a key in `DATA_DIR/demo-api-key`. Default true.
    pub demo_application: bool,
}

/// The registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum RegistryKind {
    /// A file in the data folder.
    Sqlite,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self { kind: RegistryKind::Sqlite, demo_application: true }
    }
}
