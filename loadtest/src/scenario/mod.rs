//! Scenarios: settings, phases, actions and rules under a name, as files that a user can print, copy and edit.
//!
//! Defaults, then the scenario, then flags: later ones win. A scenario file is a TOML file of the fields of
//! [`RunConfig`]; an unknown field is an error. Tables are merged field by field, except those that say one thing as a
//! whole: a later profile, model or choice of bad clients replaces the earlier one.

use std::path::Path;

use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};
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

/// Merged field by field, these would become something that nobody asked for, such as a launch's door in a diurnal day.
const WHOLE: [&str; 3] = ["profile", "model", "bad_clients"];

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
    let name = scenario.unwrap_or("custom");
    let shape = |error| ScenarioError::Shape { name: name.to_owned(), error };
    let file = match scenario {
        None => None,
        Some(asked) => Some(match built_in(asked) {
            Some(text) => Toml::string(text),
            None if Path::new(asked).is_file() => Toml::file_exact(asked),
            None => {
                let known = names().collect::<Vec<_>>().join(", ");
                return Err(ScenarioError::Unknown { name: asked.to_owned(), known });
            }
        }),
    };
    let flags = Serialized::defaults(flags);
    let by_flags = whole(&flags).map_err(shape)?;
    let by_file = file.as_ref().map_or(Ok(Vec::new()), whole).map_err(shape)?;
    let defaults = Serialized::defaults(RunConfig::default());
    let mut figment = Figment::from(Without(defaults, [by_file, by_flags.clone()].concat()));
    if let (Some(asked), Some(file)) = (scenario, file) {
        let short = Path::new(asked).file_stem().map_or_else(|| asked.to_owned(), |stem| stem.to_string_lossy().into());
        figment = figment.merge(("scenario", short)).merge(Without(file, by_flags));
    }
    figment.merge(flags).extract().map_err(|error| shape(Box::new(error)))
}

/// The tables of [`WHOLE`] that a layer gives.
fn whole(layer: &impl Provider) -> Result<Vec<&'static str>, Box<figment::Error>> {
    let given = layer.data()?;
    Ok(WHOLE.into_iter().filter(|key| given.values().any(|dict| dict.contains_key(*key))).collect())
}

/// A layer without the tables that later layers give.
struct Without<P>(P, Vec<&'static str>);

impl<P: Provider> Provider for Without<P> {
    fn metadata(&self) -> Metadata {
        self.0.metadata()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut data = self.0.data()?;
        data.values_mut().for_each(|dict| dict.retain(|key, _| !self.1.contains(&key.as_str())));
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[derive(Serialize, Default)]
    struct Flags {
        #[serde(skip_serializing_if = "Option::is_none")]
        players: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        profile: Option<crate::config::Profile>,
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<crate::Model>,
    }

    #[test]
    fn every_built_in_scenario_is_valid_and_says_what_it_is_for() {
        for name in names() {
            let config = load(Some(name), &Flags::default()).expect(name).resolved();
            config.check().expect(name);
            config.check_timeline().expect(name);
            assert_eq!(config.scenario, name);
            assert!(config.about.len() > 20 && !config.slos.is_empty(), "{name}");
        }
    }

    #[test]
    fn flags_win_over_the_scenario_and_the_scenario_over_defaults() {
        let steady = load(Some("steady"), &Flags::default()).expect("built in");
        let flagged = load(Some("steady"), &Flags { players: Some(7_000), ..Flags::default() }).expect("built in");
        assert_eq!(flagged, RunConfig { players: 7_000, ..steady });
    }

    #[test]
    fn a_profile_replaces_that_of_the_scenario_whole() {
        let run_time = std::time::Duration::from_secs(600);
        for name in ["flat", "diurnal", "spike"] {
            let asked = crate::config::Profile::named(name, run_time).expect("built in");
            let flags = Flags { profile: Some(asked.clone()), ..Flags::default() };
            let config = load(Some("launch"), &flags).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(config.profile, asked);
        }
    }

    #[test]
    fn a_model_replaces_the_default_whole() {
        let (name, text) = crate::Model::built_in().nth(1).expect("a second model");
        let asked = crate::Model::from_toml(text).expect(name);
        assert_ne!(asked, crate::Model::default());
        let config = load(None, &Flags { model: Some(asked.clone()), ..Flags::default() }).expect(name);
        assert_eq!(config.model, asked);
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
