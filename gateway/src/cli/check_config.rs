//! `headgate check-config`: what would run, and every setting's source.

use serde::Serialize;

use super::report::{Report, table};
use super::{CliError, Output};
use crate::config::{Loaded, Source};

#[derive(Serialize)]
struct Checked<'a> {
    settings: &'a [Source],
}

/// Shows the settings, which are checked already.
///
/// # Errors
/// If the result can't be printed.
pub fn run(loaded: &Loaded, output: Output) -> Result<(), CliError> {
    let rows = loaded.sources.iter().map(|known| [&known.setting, &known.value, &known.source].map(Clone::clone));
    let settings = table(["SETTING", "VALUE", "SOURCE"], rows);
    let text = format!("{settings}\n\nthese settings are good");
    Report::new(text, &Checked { settings: &loaded.sources })?.show(output)
}
