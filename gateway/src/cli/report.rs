//! What a command has to say, for people and for programs.

use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

use super::{CliError, Output};

/// One result in both forms.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) text: String,
    pub(super) json: String,
}

impl Report {
    pub(super) fn new<T: Serialize>(text: impl Into<String>, value: &T) -> Result<Self, CliError> {
        let json = serde_json::to_string_pretty(value).map_err(CliError::failed)?;
        Ok(Self { text: text.into(), json })
    }

    /// Prints the form that was asked for.
    pub(super) fn show(&self, output: Output) -> Result<(), CliError> {
        let shown = match output {
            Output::Table => &self.text,
            Output::Json => &self.json,
        };
        match writeln!(io::stdout(), "{}", shown.trim_end()) {
            // Whoever read it has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(|error| CliError::failed(format!("standard output: {error}"))),
        }
    }
}

/// Rows under headings.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(headings);
    for row in rows {
        table.add_row(row.map(|cell| printable(&cell)));
    }
    align(&mut table)
}

/// One thing's properties, one a line.
pub(super) fn properties<const N: usize>(properties: [(&str, String); N]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    for (name, value) in properties {
        table.add_row([name.to_owned(), printable(&value)]);
    }
    align(&mut table)
}

fn align(table: &mut Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

/// A time for people.
pub(super) fn time(ms: i64) -> String {
    timestamp(ms).replace('T', " ").replace('Z', " UTC")
}

/// A time for programs: RFC 3339, in UTC.
pub(super) fn timestamp(ms: i64) -> String {
    let since_epoch = Duration::from_millis(u64::try_from(ms).unwrap_or(0)).min(LATEST);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since_epoch).to_string()
}

// 9999-12-31 23:59:59, the last second that RFC 3339 can write.
const LATEST: Duration = Duration::from_secs(253_402_300_799);

/// A text that can't move the cursor or start a new line of a table, whatever somebody called their game.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_has_no_trailing_blanks() {
        let rows = [["skyfall".to_owned(), "1".to_owned()], ["x".to_owned(), "22".to_owned()]];
        assert_eq!(table(["NAME", "KEYS"], rows), "NAME     KEYS\nskyfall  1\nx        22\n");
        assert_eq!(properties([("id", "7".to_owned()), ("name", "x".to_owned())]), "id    7\nname  x\n");
    }

    #[test]
    fn times_are_in_utc_for_people_and_programs() {
        assert_eq!(time(1_700_000_000_999), "2023-11-14 22:13:20 UTC");
        assert_eq!(timestamp(1_700_000_000_999), "2023-11-14T22:13:20Z");
        assert_eq!(timestamp(i64::MAX), "9999-12-31T23:59:59Z");
        assert_eq!(timestamp(i64::MIN), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_name_can_not_disturb_the_terminal() {
        assert_eq!(printable("red\u{1b}[31m\nnew line, ☄"), "red\\u{1b}[31m\\nnew line, ☄");
    }
}
