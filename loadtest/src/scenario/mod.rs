//! Scenarios: settings, phases, actions and rules under a name, as files that a user can print, copy and edit.
//!
//! Defaults, then the scenario, then flags: later ones win. A scenario file is a TOML file of the fields of
//! [`RunConfig`]; an unknown field is an error.

use std::path::Path;

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use serde::Serialize;
use thiserror::Error;

use crate::config::RunConfig;

/// The built-in scenarios: name and file.
const BUILT_IN: [(&str, &str); 9] = [
    ("steady", include_str!("../../scenarios/steady.toml")),
    ("launch", include_str!("../../scenarios/launch.toml")),
    ("soak", include_str!("../../scenarios/soak.toml")),
    ("reconnect-storm", include_str!("../../scenarios/reconnect-storm.toml")),
    ("noisy-neighbour", include_str!("../../scenarios/noisy-neighbour.toml")),
    ("bad-clients", include_str!("../../scenarios/bad-clients.toml")),
    ("throttled", include_str!("../../scenarios/throttled.toml")),
    ("breakpoint", include_str!("../../scenarios/breakpoint.toml")),
    ("direct-device", include_str!("../../scenarios/direct-device.toml")),
];

/// Why a scenario can't be used.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// There is none of this name.
    #[error("no scenario or file `{name}`: give one of {known}, or a TOML file")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A setting is unknown or of the wrong kind.
    #[error("scenario `{name}`: {error}")]
    Shape {
        /// Which scenario.
        name: String,
        /// What does not fit.
        error: Box<figment::Error>,
    },
}

/// The names of the built-in scenarios.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// The file of a built-in scenario, to print and to copy.
#[must_use]
pub fn built_in(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The settings of a scenario, by name or by file, with these flags over it; none: the defaults. Nothing is worked out
/// yet: see [`RunConfig::resolved`].
///
/// # Errors
/// There is no such scenario, or it or a flag does not fit.
pub fn load(scenario: Option<&str>, flags: &impl Serialize) -> Result<RunConfig, ScenarioError> {
    let mut figment = Figment::from(Serialized::defaults(RunConfig::default()));
    let name = scenario.unwrap_or("custom");
    if let Some(asked) = scenario {
        let short = Path::new(asked).file_stem().map_or_else(|| asked.to_owned(), |stem| stem.to_string_lossy().into());
        figment = figment.merge(("scenario", short));
        figment = match built_in(asked) {
            Some(text) => figment.merge(Toml::string(text)),
            None if Path::new(asked).is_file() => figment.merge(Toml::file_exact(asked)),
            None => {
                let known = names().collect::<Vec<_>>().join(", ");
                return Err(ScenarioError::Unknown { name: asked.to_owned(), known });
            }
        };
    }
    let config: Result<RunConfig, _> = figment.merge(Serialized::defaults(flags)).extract();
    config.map_err(|error| ScenarioError::Shape { name: name.to_owned(), error: Box::new(error) })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[derive(Serialize, Default)]
    struct Flags {
        #[serde(skip_serializing_if = "Option::is_none")]
        players: Option<u32>,
    }

    #[test]
    fn every_built_in_scenario_is_valid_and_says_what_it_is_for() {
        for name in names() {
            let config = load(Some(name), &Flags::default()).expect(name).resolved();
            config.check().expect(name);
            assert_eq!(config.scenario, name);
            assert!(config.about.len() > 20 && !config.slos.is_empty(), "{name}");
        }
    }

    #[test]
    fn flags_win_over_the_scenario_and_the_scenario_over_defaults() {
        let steady = load(Some("steady"), &Flags::default()).expect("built in");
        let flagged = load(Some("steady"), &Flags { players: Some(7_000) }).expect("built in");
        assert_eq!(flagged, RunConfig { players: 7_000, ..steady });
    }

    #[test]
    fn a_copied_file_is_a_scenario_and_a_misspelt_setting_is_named() {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a temporary file");
        file.write_all(built_in("steady").expect("built in").as_bytes()).expect("writes");
        let path = file.path().to_string_lossy().into_owned();
        let copied = load(Some(&path), &Flags::default()).expect("a copy");
        assert_eq!(copied.slos, load(Some("steady"), &Flags::default()).expect("built in").slos);
        file.write_all(b"\nplayer = 3\n").expect("writes");
        let error = load(Some(&path), &Flags::default()).expect_err("a misspelt setting").to_string();
        assert!(error.contains("player"), "{error}");
        let error = load(Some("unsteady"), &Flags::default()).expect_err("unknown").to_string();
        assert!(error.contains("steady, launch"), "{error}");
    }
}
