//! What players do, as data: every time, share and weight of the player model.
//!
//! The built-in models are TOML files; [`Model::built_in`] gives their text to print, copy and edit. The numbers are
//! assumptions that suit a kind of game, not measured facts. A model is checked when it is read, so that the rest of
//! the crate can rely on its ranges.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::catalog;
use super::ranges::{free_names, known_names, within};

const BUILT_IN: [(&str, &str); 3] = [
    ("arena", include_str!("../../models/arena.toml")),
    ("casual", include_str!("../../models/casual.toml")),
    ("open_world", include_str!("../../models/open_world.toml")),
];

/// Weights by name; only their proportions count.
pub type Weighted = BTreeMap<String, u32>;

/// What players do: which step follows which and after how long, and how often what is met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What it is called.
    pub name: String,
    /// What game it suits, in a sentence.
    pub about: String,
    /// The client's heartbeat.
    pub heartbeat: Heartbeat,
    /// How sessions begin and end.
    pub session: Session,
    /// Pauses between matches.
    pub lobby: Lobby,
    /// Matches.
    pub matches: Matches,
    /// Who buys how often.
    pub payers: Payers,
    /// How players rise.
    pub levels: Levels,
    /// Clients whose clock is wrong.
    pub clocks: Clocks,
    /// How often what is met.
    pub weights: Weights,
}

/// A heartbeat while the session lasts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// Seconds from one to the next, 1 to 600.
    pub every_s: f64,
    /// It comes up to this share early or late, 0 to 0.5.
    pub jitter: f64,
}

/// How sessions begin and end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Seconds from session start to login, from and to, uniform. 0 to 600.
    pub arriving_s: [f64; 2],
    /// Seconds from login to the lobby, and from a match to the lobby or the next level, uniform. 0 to 600.
    pub entering_s: [f64; 2],
    /// The share of sessions that end without a logout.
    pub crashes: f64,
}

/// A log-normal law.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogNormal {
    /// The median in seconds, 0.1 to 14,400.
    pub median_s: f64,
    /// The standard deviation of the logarithm, 0 to 1.5.
    pub sigma: f64,
}

/// Pauses between matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lobby {
    /// How long a pause lasts.
    pub pause: LogNormal,
    /// Of those who leave the lobby without buying, the share that plays; the others end the session. 0 to 0.99.
    pub to_match: f64,
}

/// Matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matches {
    /// How long a match lasts.
    pub length: LogNormal,
    /// The mean seconds between two knockouts of a player, exponential. 0.5 to 3,600.
    pub knockout_s: f64,
}

/// Who buys how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payers {
    /// The share of players who make most purchases.
    pub share: f64,
    /// The chance that a pause in the lobby ends in a purchase, for them. 0 to 0.9.
    pub buys: f64,
    /// The same for the others. 0 to 0.9.
    pub others_buy: f64,
}

/// How players rise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Levels {
    /// The chance that a match earns a level, at level 0.
    pub chance: f64,
    /// What each level takes away from it.
    pub less_per_level: f64,
    /// The least chance.
    pub least: f64,
    /// The mean level at the start of a run, 1 to 60.
    pub start_mean: f64,
}

/// Clients whose clock is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clocks {
    /// Their share of the players.
    pub skewed: f64,
    /// By up to so many seconds either way, 0 to 86,400.
    pub up_to_s: f64,
}

/// How often what is met. Devices, countries and offers are names of the built-in catalog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each field is the weights of what it is called")]
pub struct Weights {
    pub devices: Weighted,
    pub countries: Weighted,
    pub offers: Weighted,
    pub app_versions: Weighted,
    pub networks: Weighted,
    pub logins: Weighted,
    pub heroes: Weighted,
    pub maps: Weighted,
    pub modes: Weighted,
    pub spells: Weighted,
    pub results: Weighted,
    pub screens: Weighted,
}

/// Why a model can't be used.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ModelError {
    /// No built-in model has this name.
    #[error("no model is called `{0}`: take one of {known}, or the path of a TOML file", known = known())]
    Unknown(String),
    /// The text is no model.
    #[error("the model can't be read: {0}")]
    Toml(String),
    /// A number is out of its range.
    #[error("the model's {field} is {value}: give {mend}")]
    Range {
        /// Such as `lobby.to_match`.
        field: &'static str,
        /// What it is.
        value: String,
        /// What to give instead.
        mend: String,
    },
}

fn known() -> String {
    BUILT_IN.map(|(name, _)| format!("`{name}`")).join(", ")
}

impl Default for Model {
    fn default() -> Self {
        Self::from_toml(BUILT_IN[0].1).unwrap_or_else(|error| unreachable!("the built-in model is checked: {error}"))
    }
}

impl Model {
    /// The names of the built-in models, and their text.
    pub fn built_in() -> impl Iterator<Item = (&'static str, &'static str)> {
        BUILT_IN.into_iter()
    }

    /// A built-in model.
    ///
    /// # Errors
    /// None has this name.
    pub fn named(name: &str) -> Result<Self, ModelError> {
        match Self::built_in().find(|(known, _)| *known == name) {
            Some((_, text)) => Self::from_toml(text),
            None => Err(ModelError::Unknown(name.to_owned())),
        }
    }

    /// Reads and checks a model.
    ///
    /// # Errors
    /// It is no TOML, a field is missing or unknown, or a number is out of its range.
    pub fn from_toml(text: &str) -> Result<Self, ModelError> {
        let model: Self = toml::from_str(text).map_err(|error| ModelError::Toml(error.to_string()))?;
        model.check()?;
        Ok(model)
    }

    /// Checks every range; what is read by [`Self::from_toml`] was checked.
    ///
    /// # Errors
    /// The first field that is out of its range, and what to give instead.
    pub fn check(&self) -> Result<(), ModelError> {
        let Self { heartbeat, session, lobby, matches, payers, levels, clocks, weights, .. } = self;
        within("heartbeat.every_s", heartbeat.every_s, 1.0, 600.0)?;
        within("heartbeat.jitter", heartbeat.jitter, 0.0, 0.5)?;
        for (field, [from_s, to_s]) in
            [("session.arriving_s", session.arriving_s), ("session.entering_s", session.entering_s)]
        {
            within(field, from_s, 0.0, 600.0)?;
            within(field, to_s, from_s, 600.0)?;
        }
        within("session.crashes", session.crashes, 0.0, 1.0)?;
        for (median, sigma, law) in [
            ("lobby.pause.median_s", "lobby.pause.sigma", lobby.pause),
            ("matches.length.median_s", "matches.length.sigma", matches.length),
        ] {
            within(median, law.median_s, 0.1, 14_400.0)?;
            within(sigma, law.sigma, 0.0, 1.5)?;
        }
        within("lobby.to_match", lobby.to_match, 0.0, 0.99)?;
        within("matches.knockout_s", matches.knockout_s, 0.5, 3_600.0)?;
        within("payers.share", payers.share, 0.0, 1.0)?;
        within("payers.buys", payers.buys, 0.0, 0.9)?;
        within("payers.others_buy", payers.others_buy, 0.0, 0.9)?;
        within("levels.chance", levels.chance, 0.0, 1.0)?;
        within("levels.less_per_level", levels.less_per_level, 0.0, 1.0)?;
        within("levels.least", levels.least, 0.0, 1.0)?;
        within("levels.start_mean", levels.start_mean, 1.0, 60.0)?;
        within("clocks.skewed", clocks.skewed, 0.0, 1.0)?;
        within("clocks.up_to_s", clocks.up_to_s, 0.0, 86_400.0)?;

        known_names("weights.devices", &weights.devices, catalog::DEVICES.iter().map(|device| device.model))?;
        known_names("weights.countries", &weights.countries, catalog::COUNTRIES.iter().map(|country| country.code))?;
        known_names("weights.offers", &weights.offers, catalog::OFFERS.iter().map(|offer| offer.item))?;
        free_names("weights.app_versions", &weights.app_versions, 8)?;
        free_names("weights.networks", &weights.networks, 8)?;
        free_names("weights.logins", &weights.logins, 8)?;
        free_names("weights.heroes", &weights.heroes, 16)?;
        free_names("weights.maps", &weights.maps, 64)?;
        free_names("weights.modes", &weights.modes, 64)?;
        free_names("weights.spells", &weights.spells, 64)?;
        free_names("weights.results", &weights.results, 64)?;
        free_names("weights.screens", &weights.screens, 64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_models_are_valid_and_differ() {
        let models: Vec<_> = Model::built_in().map(|(name, _)| Model::named(name).expect("a valid model")).collect();
        assert_eq!(models.len(), 3);
        for (model, (name, _)) in models.iter().zip(Model::built_in()) {
            assert_eq!(model.name, name);
        }
        assert_eq!(models[0], Model::default());
        assert_ne!(models[0].matches, models[1].matches);
        assert_ne!(models[1].matches, models[2].matches);
    }

    #[test]
    fn a_model_survives_its_own_text() {
        let text = toml::to_string(&Model::default()).expect("TOML");
        assert_eq!(Model::from_toml(&text).expect("a valid model"), Model::default());
    }

    #[test]
    fn what_is_out_of_range_is_named_with_its_mend() {
        let broken = |from: &str, to: &str| {
            let text = BUILT_IN[0].1.replacen(from, to, 1);
            assert_ne!(text, BUILT_IN[0].1, "`{from}` occurs");
            Model::from_toml(&text).expect_err("not a valid model").to_string()
        };
        let share = broken("to_match = 0.677", "to_match = 1.0");
        assert_eq!(share, "the model's lobby.to_match is 1: give 0 to 0.99");
        let order = broken("arriving_s = [0.4, 2.0]", "arriving_s = [0.4, 0.2]");
        assert_eq!(order, "the model's session.arriving_s is 0.2: give 0.4 to 600");
        assert!(broken("every_s = 30.0", "every_s = nan").contains("heartbeat.every_s is NaN: give 1 to 600"));
        assert!(broken("fireball = 26", "\"fire ball\" = 26").contains("weights.spells"));
        assert!(broken("gems_80 = 41", "gems_81 = 41").contains("weights.offers is gems_81: give"));
        assert!(broken("crashes = 0.05", "crashs = 0.05").contains("crashs"));
        assert!(Model::named("chess").expect_err("unknown").to_string().contains("`arena`, `casual`, `open_world`"));
    }
}
