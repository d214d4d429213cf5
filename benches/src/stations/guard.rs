//! Holds stations to the instructions that are written down for them (`instructions.toml`). A count can go down freely; to
//! write down a higher one takes a reason, which stays in the file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Result;

/// How much more than what is written down a station may count, and how much less before it is time to write that down:
/// another compiler or another C library is worth about as much.
const TOLERANCE: f64 = 0.03;

/// What is written down.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    stations: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Instructions of a unit.
    instructions: f64,
    /// Why it is higher than it was, the latest reason first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    raised: Vec<String>,
}

/// What a count is beside what is written down.
#[derive(Clone, Debug, PartialEq)]
pub enum Judgement {
    /// As much.
    Holds,
    /// More.
    Higher {
        /// What is written down.
        written: f64,
    },
    /// So much less that it should be written down.
    Lower {
        /// What is written down.
        written: f64,
    },
    /// Nothing is written down for it.
    Unknown,
}

impl Guard {
    /// Reads the file.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?)
    }

    /// Writes it.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = toml::to_string_pretty(self)?;
        std::fs::write(path, format!("{HEAD}{text}"))?;
        Ok(())
    }

    /// What a count is beside what is written down.
    #[must_use]
    pub fn judge(&self, station: &str, counted: f64) -> Judgement {
        let Some(Entry { instructions: written, .. }) = self.stations.get(station) else { return Judgement::Unknown };
        match counted / written - 1.0 {
            more if more > TOLERANCE => Judgement::Higher { written: *written },
            more if more < -TOLERANCE => Judgement::Lower { written: *written },
            _ => Judgement::Holds,
        }
    }

    /// Writes a count down.
    ///
    /// # Errors
    /// If it is higher than what is written down and there is no reason.
    pub fn enter(&mut self, station: &str, counted: f64, because: Option<&str>) -> Result<()> {
        let judgement = self.judge(station, counted);
        let entry = self.stations.entry(station.to_owned());
        let instructions = (counted * 10.0).round() / 10.0;
        match judgement {
            Judgement::Holds => {}
            Judgement::Unknown => drop(entry.or_insert(Entry { instructions, raised: Vec::new() })),
            Judgement::Lower { .. } => drop(entry.and_modify(|entry| entry.instructions = instructions)),
            Judgement::Higher { written } => {
                let because = because.map(str::trim).filter(|because| !because.is_empty()).ok_or_else(|| {
                    format!("{station}: {counted:.1} instructions instead of {written:.1}; say why with --because")
                })?;
                let reason = format!("from {written:.1}: {because}");
                drop(entry.and_modify(|entry| {
                    entry.instructions = instructions;
                    entry.raised.insert(0, reason);
                }));
            }
        }
        Ok(())
    }

    /// Stations that are written down and not among these.
    pub fn gone<'a>(&'a self, known: &[&str]) -> impl Iterator<Item = &'a str> {
        let known: Vec<String> = known.iter().map(|name| (*name).to_owned()).collect();
        self.stations.keys().filter(move |name| !known.contains(name)).map(String::as_str)
    }
}

const HEAD: &str =
    "# Instructions of a unit of each station, as callgrind counts them (AVX2, no AVX-512). CI holds stations to them:
#     cargo bench -p headgate-benches --no-default-features --profile guard --bench stations -- --check
# and a change that pays writes them down anew, with a reason for what is higher:
#     cargo bench -p headgate-benches --no-default-features --profile guard --bench stations -- --update --because 'REASON'

";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_may_fall_freely_and_rises_with_a_reason_only() {
        let mut guard = Guard::default();
        assert_eq!(guard.judge("scan", 100.0), Judgement::Unknown);
        guard.enter("scan", 100.0, None).expect("it is new");
        assert_eq!(guard.judge("scan", 102.9), Judgement::Holds);
        assert_eq!(guard.judge("scan", 103.1), Judgement::Higher { written: 100.0 });
        assert_eq!(guard.judge("scan", 90.0), Judgement::Lower { written: 100.0 });
        assert!(guard.enter("scan", 110.0, None).is_err());
        assert!(guard.enter("scan", 110.0, Some(" ")).is_err());
        guard.enter("scan", 110.0, Some("it reads more")).expect("there is a reason");
        guard.enter("scan", 80.0, None).expect("it is lower");
        let text = toml::to_string_pretty(&guard).expect("TOML");
        let read: Guard = toml::from_str(&text).expect("TOML");
        assert_eq!(read.judge("scan", 80.0), Judgement::Holds);
        assert!(text.contains("from 100.0: it reads more"), "{text}");
        assert_eq!(guard.gone(&["walk"]).collect::<Vec<_>>(), ["scan"]);
    }
}
