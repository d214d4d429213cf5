//! The stage of a game's life that an application stands for.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Which of a game's environments an application is. Kept by its name, so names never change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// For those who make the game.
    Dev,
    /// For those who test it.
    Stage,
    /// For those who play it.
    #[default]
    Prod,
}

/// A text that names no [`Environment`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no environment: give dev, stage or prod")]
pub struct UnknownEnvironment(String);

impl Environment {
    /// Every environment.
    pub const ALL: [Self; 3] = [Self::Dev, Self::Stage, Self::Prod];

    /// Its name, as it is kept and typed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Stage => "stage",
            Self::Prod => "prod",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Environment {
    type Err = UnknownEnvironment;

    fn from_str(text: &str) -> Result<Self, UnknownEnvironment> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or_else(|| UnknownEnvironment(text.to_owned()))
    }
}
