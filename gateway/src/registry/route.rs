//! Where an application's events go, where it is not the gateway's default.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A way out of the gateway. Kept by its name, so names never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// A log and Parquet files in the data folder.
    Lake,
    /// A Kinesis data stream.
    Kinesis,
    /// A Firehose delivery stream.
    Firehose,
    /// A Kinesis data stream, and a Firehose delivery stream while Kinesis does not take events.
    KinesisWithFirehoseFallback,
    /// Both a Kinesis data stream and a Firehose delivery stream.
    KinesisAndFirehose,
}

/// A text that names no [`Route`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no route: give lake, kinesis, firehose, kinesis-with-firehose-fallback or kinesis-and-firehose")]
pub struct UnknownRoute(String);

impl Route {
    /// Every route.
    pub const ALL: [Self; 5] =
        [Self::Lake, Self::Kinesis, Self::Firehose, Self::KinesisWithFirehoseFallback, Self::KinesisAndFirehose];

    /// Its name, as it is kept and typed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lake => "lake",
            Self::Kinesis => "kinesis",
            Self::Firehose => "firehose",
            Self::KinesisWithFirehoseFallback => "kinesis-with-firehose-fallback",
            Self::KinesisAndFirehose => "kinesis-and-firehose",
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Route {
    type Err = UnknownRoute;

    fn from_str(text: &str) -> Result<Self, UnknownRoute> {
        Self::ALL.into_iter().find(|route| route.as_str() == text).ok_or_else(|| UnknownRoute(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_has_one_name_on_the_command_line_in_settings_and_in_the_registry() {
        for route in Route::ALL {
            let name = route.as_str();
            assert_eq!(name.parse(), Ok(route));
            assert_eq!(serde_json::to_value(route).expect("serializes"), name);
            assert_eq!(route.to_possible_value().expect("a value").get_name(), name);
        }
        assert_eq!(Route::ALL.as_slice(), Route::value_variants());
        let error = "Kinesis".parse::<Route>().expect_err("names are in lower case").to_string();
        assert!(error.contains("kinesis-and-firehose"), "{error}");
    }
}
