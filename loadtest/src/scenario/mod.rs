//! Scenarios: settings, phases, actions and rules under a name, as files that a user can print, copy and edit.
//!
//! Defaults, then the scenario, then flags: later ones win. A scenario file is a TOML file of the fields of
//! [`RunConfig`]; an unknown field is an error. Tables are merged field by field, except those that say one thing as a
//! whole: a later profile, model or choice of bad clients replaces the earlier one.

use std::collections::BTreeSet;
use std::path::Path;

use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};
use serde::Serialize;
use thiserror::Error;

use crate::config::{RunConfig, Stretch, TooShort};

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
    /// The run that was asked for is too short for it.
    #[error("scenario `{name}`: {error}")]
    TooShort {
        /// Which scenario.
        name: String,
        /// What gets too short.
        error: TooShort,
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

/// The settings of a scenario with flags over them.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: RunConfig,
    /// How the scenario's times were scaled, if any was.
    pub stretch: Option<Stretch>,
}

/// The settings of a scenario, by name or by file, with these flags over it; none: the defaults. Nothing is worked out
/// yet: see [`RunConfig::resolved`].
///
/// Where the flags give another run time than the scenario, the scenario's times are scaled to it; what the flags give
/// themselves is taken as it is. A file without a run time of its own has nothing to scale by.
///
/// # Errors
/// There is no such scenario, or it or a flag does not fit.
pub fn load(scenario: Option<&str>, flags: &impl Serialize) -> Result<Loaded, ScenarioError> {
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
    let given_by_file = file.as_ref().map_or(Ok(BTreeSet::new()), keys).map_err(shape)?;
    let mut own = Figment::from(Without(Serialized::defaults(RunConfig::default()), &given_by_file));
    if let (Some(asked), Some(file)) = (scenario, file) {
        let short = Path::new(asked).file_stem().map_or_else(|| asked.to_owned(), |stem| stem.to_string_lossy().into());
        own = own.merge(("scenario", short)).merge(file);
    }
    let own: RunConfig = own.extract().map_err(|error| shape(Box::new(error)))?;

    let flags = Serialized::defaults(flags);
    let given_by_flags = keys(&flags).map_err(shape)?;
    let flagged = |own: &RunConfig| -> Result<RunConfig, ScenarioError> {
        let own = Figment::from(Without(Serialized::defaults(own), &given_by_flags));
        let mut config: RunConfig = own.merge(&flags).extract().map_err(|error| shape(Box::new(error)))?;
        if !given_by_file.contains("warm_up") && !given_by_flags.contains("warm_up") {
            config.warm_up = RunConfig::default_warm_up(config.run_time);
        }
        Ok(config)
    };
    let config = flagged(&own)?;
    if !given_by_file.contains("run_time") {
        return Ok(Loaded { config, stretch: None });
    }
    let stretch = Stretch { from: own.run_time, to: config.run_time };
    let stretched =
        own.stretched(stretch.to).map_err(|error| ScenarioError::TooShort { name: name.to_owned(), error })?;
    let stretched = flagged(&stretched)?;
    let stretch = (stretched != config).then_some(stretch);
    Ok(Loaded { config: stretched, stretch })
}

/// What a layer gives.
fn keys(layer: &impl Provider) -> Result<BTreeSet<String>, Box<figment::Error>> {
    Ok(layer.data()?.into_values().flatten().map(|(key, _)| key).collect())
}

/// A layer without the tables of [`WHOLE`] that a later layer gives.
struct Without<'a, P>(P, &'a BTreeSet<String>);

impl<P: Provider> Provider for Without<'_, P> {
    fn metadata(&self) -> Metadata {
        self.0.metadata()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut data = self.0.data()?;
        let replaced = |key: &str| WHOLE.contains(&key) && self.1.contains(key);
        data.values_mut().for_each(|dict| dict.retain(|key, _| !replaced(key)));
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;

    #[derive(Serialize, Default)]
    struct Flags {
        #[serde(skip_serializing_if = "Option::is_none", with = "humantime_serde")]
        run_time: Option<Duration>,
        #[serde(skip_serializing_if = "Option::is_none", with = "humantime_serde")]
        warm_up: Option<Duration>,
        #[serde(skip_serializing_if = "Option::is_none")]
        players: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        profile: Option<crate::config::Profile>,
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<crate::Model>,
    }

    fn config(scenario: Option<&str>, flags: &Flags) -> RunConfig {
        load(scenario, flags).unwrap_or_else(|error| panic!("{error}")).config
    }

    fn checked(scenario: &str, flags: &Flags) -> RunConfig {
        let config = config(Some(scenario), flags).resolved();
        config.check().and(config.check_timeline()).unwrap_or_else(|error| panic!("{scenario}: {error}"));
        config
    }

    /// A scenario's file.
    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("writes");
        file
    }

    fn run_time(seconds: u64) -> Flags {
        Flags { run_time: Some(Duration::from_secs(seconds)), ..Flags::default() }
    }

    #[test]
    fn every_built_in_scenario_runs_for_as_long_as_it_is_asked_to() {
        for name in names() {
            let own = checked(name, &Flags::default());
            for seconds in [30, 60, 120, 7_200] {
                let flags = run_time(seconds);
                let config = checked(name, &flags);
                assert_eq!(config.run_time, Duration::from_secs(seconds), "{name}");
                assert_eq!(config.hash(), checked(name, &flags).hash(), "{name}");
                assert!(config.warm_up >= Duration::from_secs(1) && config.warm_up * 3 <= config.run_time, "{name}");
                let whole = |time: Duration| time.subsec_nanos() == 0;
                for (phase, before) in config.phases.iter().zip(&own.phases) {
                    assert!(whole(phase.from) && whole(phase.to), "{name} at {seconds} s: {phase:?}");
                    assert!(phase.to - phase.from >= Duration::from_secs(3), "{name} at {seconds} s: {phase:?}");
                    let share = |phase: Duration, run: Duration| phase.div_duration_f64(run);
                    let moved = share(phase.to, config.run_time) - share(before.to, own.run_time);
                    assert!(moved.abs() * seconds as f64 <= 0.5, "{name} at {seconds} s: {phase:?}");
                }
                // What is done at the beginning of a phase stays at its beginning.
                for (action, before) in config.actions.iter().zip(&own.actions) {
                    let begins = |config: &RunConfig, at| config.phases.iter().position(|phase| phase.from == at);
                    assert_eq!(begins(&config, action.at), begins(&own, before.at), "{name} at {seconds} s");
                }
            }
        }
    }

    #[test]
    fn scaled_times_are_told_of_and_given_ones_are_kept() {
        let loaded = load(Some("steady"), &run_time(60)).expect("built in");
        assert_eq!(loaded.config.warm_up, Duration::from_millis(2_000), "15 s of 10 min, in whole seconds");
        let stretch = loaded.stretch.expect("scaled");
        assert_eq!([stretch.from, stretch.to], [600, 60].map(Duration::from_secs));
        assert!(load(Some("steady"), &run_time(600)).expect("built in").stretch.is_none(), "its own run time");
        // Nothing is left to scale.
        let flags = Flags { warm_up: Some(Duration::from_secs(5)), ..run_time(10) };
        let loaded = load(Some("steady"), &flags).expect("built in");
        assert_eq!((loaded.config.warm_up, loaded.stretch), (Duration::from_secs(5), None));
    }

    #[test]
    fn a_file_without_a_run_time_keeps_its_times() {
        let panics = file("actions = [{ at = \"1s\", do = \"panic\", server = 0 }]");
        let path = panics.path().to_str();
        let config = config(path, &run_time(4));
        assert_eq!((config.actions[0].at, config.warm_up), (Duration::from_secs(1), Duration::from_secs(1)));
        assert!(load(path, &run_time(4)).expect("a file").stretch.is_none());
    }

    #[test]
    fn a_run_too_short_for_a_phase_is_refused_by_its_name() {
        let error = load(Some("launch"), &run_time(29)).expect_err("too short").to_string();
        assert!(error.starts_with("scenario `launch`: phase preload would last 2.9 s in a run of 29 s"), "{error}");
    }

    #[test]
    fn every_built_in_scenario_is_valid_and_says_what_it_is_for() {
        for name in names() {
            let config = checked(name, &Flags::default());
            assert_eq!(config.scenario, name);
            assert!(config.about.len() > 20 && !config.slos.is_empty(), "{name}");
        }
    }

    #[test]
    fn flags_win_over_the_scenario_and_the_scenario_over_defaults() {
        let steady = config(Some("steady"), &Flags::default());
        let flagged = config(Some("steady"), &Flags { players: Some(7_000), ..Flags::default() });
        assert_eq!(flagged, RunConfig { players: 7_000, ..steady });
    }

    #[test]
    fn a_profile_replaces_that_of_the_scenario_whole() {
        let run_time = Duration::from_secs(600);
        for name in ["flat", "diurnal", "spike"] {
            let asked = crate::config::Profile::named(name, run_time).expect("built in");
            let flags = Flags { profile: Some(asked.clone()), ..Flags::default() };
            assert_eq!(config(Some("launch"), &flags).profile, asked, "{name}");
        }
    }

    #[test]
    fn a_model_replaces_the_default_whole() {
        let (name, text) = crate::Model::built_in().nth(1).expect("a second model");
        let asked = crate::Model::from_toml(text).expect(name);
        assert_ne!(asked, crate::Model::default());
        assert_eq!(config(None, &Flags { model: Some(asked.clone()), ..Flags::default() }).model, asked);
    }

    #[test]
    fn a_copied_file_is_a_scenario_and_a_misspelt_setting_is_named() {
        let mut file = file(built_in("steady").expect("built in"));
        let path = file.path().to_string_lossy().into_owned();
        let copied = config(Some(&path), &Flags::default());
        assert_eq!(copied.slos, config(Some("steady"), &Flags::default()).slos);
        file.write_all(b"\nplayer = 3\n").expect("writes");
        let error = load(Some(&path), &Flags::default()).expect_err("a misspelt setting").to_string();
        assert!(error.contains("player"), "{error}");
        let error = load(Some("unsteady"), &Flags::default()).expect_err("unknown").to_string();
        assert!(error.contains("steady, launch"), "{error}");
    }
}
