//! The settings' file.

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};

use super::{Settings, check};

/// A secret in every file: nothing that is said of the file may hold it.
const SECRET: &str = "sesame-sesame-sesame-sesame";
/// Nor half of it, unless the text has that by itself.
const HALF: &str = "sesame-sesame";

/// Any text is taken or refused, and a secret beside it, in a good line or in a broken one, is never shown.
pub fn settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for file in [
        text.to_owned(),
        format!("[admin]\ntoken = \"{SECRET}\"\n{text}"),
        format!("[admin]\ntoken = \"{SECRET}{text}"),
        format!("admin.token = {SECRET}{text}"),
    ] {
        let shown = match Figment::from(Serialized::defaults(Settings::default())).merge(Toml::string(&file)).extract()
        {
            Ok(settings) => format!("{settings:?} {:?}", check::problems(&settings)),
            Err(error) => super::load::unreadable(error).to_string(),
        };
        assert!(text.contains(HALF) || !shown.contains(HALF), "{shown}");
    }
}
