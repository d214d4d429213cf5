//! What was measured, as a table.

use std::fmt;

use super::Station;
use crate::measurement::Spread;

/// Every station's figures.
#[derive(Clone, Debug)]
pub struct Report {
    counts: bool,
    rows: Vec<Row>,
}

/// One station's.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub station: &'static str,
    /// Of what they are.
    pub unit: &'static str,
    /// Whether it is another's way to do the same.
    pub compared: bool,
    /// CPU nanoseconds of a unit.
    pub nanoseconds: Option<Spread>,
    /// Instructions of a unit.
    pub instructions: Option<f64>,
}

impl Report {
    pub(super) fn new(counts: bool) -> Self {
        Self { counts, rows: Vec::new() }
    }

    pub(super) fn add(&mut self, station: &Station, nanoseconds: Option<Spread>, instructions: Option<f64>) {
        let Station { name, unit, compared, .. } = station;
        self.rows.push(Row { station: name, unit, compared: *compared, nanoseconds, instructions });
    }

    /// Station by station.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether instructions could be counted.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.counts
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<50} {:>8} {:<19} {:>12}   of", "station", "CPU ns", "", "instructions")?;
        for Row { station, unit, nanoseconds, instructions, .. } in &self.rows {
            let (median, range) = match nanoseconds {
                Some(Spread { median, min, max }) => (format!("{median:.1}"), format!("({min:.1}-{max:.1})")),
                None => (String::new(), String::new()),
            };
            let instructions = instructions.map_or(String::new(), |instructions| format!("{instructions:.1}"));
            writeln!(f, "{station:<50} {median:>8} {range:<19} {instructions:>12}   {unit}")?;
        }
        if !self.counts {
            writeln!(f, "\ninstructions are counted where callgrind is there (Debian: apt install valgrind)")?;
        }
        Ok(())
    }
}
