//! What was measured, and what of it breaks its bar.

use std::time::Duration;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    told: Vec<String>,
    broken: Vec<String>,
}

impl Figures {
    pub(super) fn broken_off(why: &str) -> Self {
        // A row is one line of a table.
        let why = why.lines().next().unwrap_or_default().replace('|', "/");
        Self { told: vec!["broken off".to_owned()], broken: vec![why] }
    }

    /// A figure without a bar.
    pub(super) fn tell(&mut self, figure: impl Into<String>) {
        self.told.push(figure.into());
    }

    /// A figure with a bar, which holds or does not.
    pub(super) fn must(&mut self, holds: bool, figure: impl Into<String>) {
        let figure = figure.into();
        if !holds {
            self.broken.push(figure.clone());
        }
        self.told.push(figure);
    }

    /// Something that may not be, where it is; nothing is said where it is not.
    pub(super) fn wrong(&mut self, what: impl Into<String>) {
        self.must(false, what.into().lines().next().unwrap_or_default().replace('|', "/"));
    }

    /// These come before all others.
    pub(super) fn begin_with(&mut self, first: Self) {
        self.told.splice(0..0, first.told);
        self.broken.splice(0..0, first.broken);
    }

    /// These come after all others.
    pub(super) fn add(&mut self, more: Self) {
        self.told.extend(more.told);
        self.broken.extend(more.broken);
    }

    /// Whether every bar holds.
    #[must_use]
    pub fn held(&self) -> bool {
        self.broken.is_empty()
    }

    /// What was measured, on one line.
    #[must_use]
    pub fn words(&self) -> String {
        self.told.join("; ")
    }

    /// `held`, or `BROKEN` and what is.
    #[must_use]
    pub fn verdict(&self) -> String {
        if self.held() { "held".to_owned() } else { format!("**BROKEN: {}**", self.broken.join("; ")) }
    }
}

/// A count as people read it: 1,234,567.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut words = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            words.push(',');
        }
        words.push(digit);
    }
    words
}

/// Bytes in MiB.
pub(super) fn mib(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / f64::from(1 << 20))
}

/// A part of a whole in percent.
pub(super) fn percent(part: f64) -> String {
    format!("{:.1} %", 100.0 * part)
}

/// Seconds.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_a_bar_is_in_the_verdict() {
        let mut figures = Figures::default();
        figures.must(true, "0 lost");
        figures.tell("7 tries");
        assert_eq!((figures.words().as_str(), figures.verdict().as_str()), ("0 lost; 7 tries", "held"));
        figures.must(false, "3 doubled");
        assert_eq!(figures.verdict(), "**BROKEN: 3 doubled**");
        let mut first = Figures::default();
        first.must(false, "1 missing");
        figures.begin_with(first);
        assert_eq!(figures.words(), "1 missing; 0 lost; 7 tries; 3 doubled");
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }
}
