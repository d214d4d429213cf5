//! What a shard's files are called, and the notice that it leaves before it begins.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{RunConfig, ShardOf};

/// The name of one of a shard's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// Its result.
    Result(ShardOf),
    /// Its notice.
    Notice(ShardOf),
}

impl Name {
    /// What stands in the name of a shard's files: `-2-of-3`, or nothing for a run as a whole.
    #[must_use]
    pub fn suffix(shard: ShardOf) -> String {
        match shard.of {
            1 => String::new(),
            of => format!("-{}-of-{of}", shard.index),
        }
    }

    /// Reads a name; none if it is of something else.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(".json")?;
        let (kind, rest) = stem.split_at(stem.find('-').unwrap_or(stem.len()));
        let shard = match rest {
            "" => ShardOf { index: 1, of: 1 },
            rest => {
                let (index, of) = rest.strip_prefix('-')?.split_once("-of-")?;
                ShardOf { index: index.parse().ok()?, of: of.parse().ok()? }
            }
        };
        match kind {
            "result" => Some(Self::Result(shard)),
            "begun" => Some(Self::Notice(shard)),
            _ => None,
        }
    }

    /// The name.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Result(shard) => format!("result{}.json", Self::suffix(*shard)),
            Self::Notice(shard) => format!("begun{}.json", Self::suffix(*shard)),
        }
    }

    /// The shard.
    #[must_use]
    pub fn shard(&self) -> ShardOf {
        match self {
            Self::Result(shard) | Self::Notice(shard) => *shard,
        }
    }
}

/// What a shard says before it begins, for whoever waits for its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Which it is.
    pub shard: ShardOf,
    /// See [`RunConfig::run_id`].
    pub run_id: u64,
    /// Its machine.
    pub host: String,
    /// When its schedule begins, in seconds of Unix time.
    pub begins_at: f64,
    /// When its result is to be expected at the latest, if nobody waits for a verification, in seconds of Unix time.
    pub ends_at: f64,
}

impl Notice {
    /// Of a run that begins then, in seconds of Unix time.
    #[must_use]
    pub fn new(config: &RunConfig, host: String, begins_at: f64) -> Self {
        let lasts: Duration = config.run_time + config.drain;
        Self { shard: config.shard, run_id: config.run_id, host, begins_at, ends_at: begins_at + lasts.as_secs_f64() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_reports_and_others_are_none() {
        for (index, of) in [(1, 1), (1, 3), (12, 40)] {
            for name in [Name::Result(ShardOf { index, of }), Name::Notice(ShardOf { index, of })] {
                assert_eq!(Name::parse(&name.text()), Some(name));
            }
        }
        for other in ["report-1-of-3.html", "result-1.json", "result-1-of-x.json", "merged.json", "result.json.gz", ""]
        {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }
}
