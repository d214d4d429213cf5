//! `headgate check-config`: what would run, and every setting's source.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

use super::{CliError, Output, print_json};
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
    match output {
        Output::Json => print_json(&Checked { settings: &loaded.sources }),
        Output::Table => {
            let mut table = Table::new();
            table.load_style(NOTHING).set_header(["SETTING", "VALUE", "SOURCE"]);
            for source in &loaded.sources {
                table.add_row([&source.setting, &source.value, &source.source]);
            }
            println!("{table}\n\nthese settings are good");
            Ok(())
        }
    }
}
