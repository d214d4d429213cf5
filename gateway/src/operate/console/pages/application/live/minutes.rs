//! The game's four metrics of each minute of event time, as charts.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::live::view::Window;
use crate::operate::console::chart::{Chart, Row};
use crate::operate::console::components;
use crate::operate::console::words;

/// Minutes that are shown.
pub(super) const SHOWN: u32 = 60;

/// The most names that are told apart in a chart.
const NAMES: usize = 5;

const CLASSES: [&str; NAMES] = ["c1", "c3", "c5", "c6", "c4"];

/// Counts by minute, the oldest first.
struct Minutes {
    first: i64,
    windows: Vec<Window>,
}

impl Minutes {
    /// The last minutes up to now; what lies outside of them is left out.
    fn of(windows: &[Window], now_ms: i64) -> Self {
        let last = now_ms.div_euclid(60_000);
        let first = last - i64::from(SHOWN) + 1;
        let shown = first..=last;
        let windows =
            windows.iter().filter(|window| shown.contains(&window.minute_s.div_euclid(60))).cloned().collect();
        Self { first, windows }
    }

    fn row(&self, name: &str, class: &'static str, seldom: bool, of: impl Fn(&Window) -> u64) -> Row {
        let mut values = vec![0.0; SHOWN as usize];
        for window in &self.windows {
            let place = usize::try_from(window.minute_s.div_euclid(60) - self.first).unwrap_or(usize::MAX);
            if let Some(value) = values.get_mut(place) {
                *value += of(window) as f64;
            }
        }
        Row { name: name.to_owned(), class, values, seldom }
    }

    /// A row for each of the most frequent names, and one for the others.
    fn by_name(&self, of: fn(&Window) -> &BTreeMap<String, u64>) -> Vec<Row> {
        let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
        for (name, count) in self.windows.iter().flat_map(of) {
            *totals.entry(name).or_default() += count;
        }
        let mut names: Vec<(&str, u64)> = totals.into_iter().collect();
        names.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let told: Vec<&str> = names.iter().take(NAMES).map(|(name, _)| *name).collect();
        let row = |(name, class): (&&str, &'static str)| {
            self.row(name, class, true, |window| of(window).get(*name).copied().unwrap_or(0))
        };
        let mut rows: Vec<Row> = told.iter().zip(CLASSES).map(row).collect();
        if names.len() > NAMES {
            let others = |window: &Window| {
                of(window).iter().filter(|(name, _)| !told.contains(&name.as_str())).map(|(_, count)| *count).sum()
            };
            rows.push(self.row("others", "c7", true, others));
        }
        rows
    }

    fn versions(&self) -> Markup {
        let mut versions: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
        for window in &self.windows {
            let sums = versions.entry(&window.app_version).or_default();
            for (sum, one) in sums.iter_mut().zip([window.total_events, window.total_logins, window.late_events]) {
                *sum += one;
            }
        }
        let rows = html! {
            @for (version, sums) in &versions {
                tr {
                    th scope="row" { @if version.is_empty() { "(none)" } @else { code { (version) } } }
                    @for sum in sums { td .n { (words::count(*sum)) } }
                }
            }
        };
        html! {
            @if !versions.is_empty() {
                (components::table("By version of the game, last hour", &["Version of the game", "Events", "Logins", "Late"], &rows))
            }
        }
    }
}

/// `TotalEvents` and `TotalLogins`, `KnockoutsBySpell`, `Purchases`; distinct by event id.
pub(super) fn charts(windows: &[Window], now_ms: i64) -> Markup {
    let minutes = Minutes::of(windows, now_ms);
    let totals = vec![
        minutes.row("TotalEvents", "c1", false, |window| window.total_events),
        minutes.row("TotalLogins", "c3", true, |window| window.total_logins),
        minutes.row("late", "c2", true, |window| window.late_events),
    ];
    let charts = [
        ("totals", "TotalEvents and TotalLogins", totals, "No event happened in the last hour."),
        (
            "knockouts",
            "KnockoutsBySpell",
            minutes.by_name(|window| &window.knockouts_by_spell),
            "No user_knockout event in the last hour.",
        ),
        (
            "purchases",
            "Purchases, by currency",
            minutes.by_name(|window| &window.purchases),
            "No iap_transaction event in the last hour.",
        ),
    ];
    html! {
        div .plots .three {
            @for (id, title, rows, empty) in charts {
                (Chart { id, title, unit: "events a minute", whole: true, step_s: 60, rows, empty }.draw())
            }
        }
        (minutes.versions())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(minute_s: i64, version: &str, events: u64, spells: &[(&str, u64)]) -> Window {
        let knockouts_by_spell = spells.iter().map(|(spell, count)| ((*spell).to_owned(), *count)).collect();
        Window {
            minute_s,
            app_version: version.to_owned(),
            total_events: events,
            knockouts_by_spell,
            ..Window::default()
        }
    }

    #[test]
    fn versions_of_a_minute_are_added_and_other_hours_left_out() {
        let now_ms = 7_200_000;
        let windows = [
            window(7_200, "1", 3, &[]),
            window(7_200, "2", 4, &[]),
            window(7_140, "1", 1, &[]),
            window(0, "1", 9, &[]),
        ];
        let row = Minutes::of(&windows, now_ms).row("all", "c1", false, |window| window.total_events);
        assert_eq!(row.values[58..], [1.0, 7.0]);
        assert_eq!(row.values.iter().sum::<f64>(), 8.0);
    }

    #[test]
    fn of_many_names_the_most_frequent_are_told_apart() {
        let spells: Vec<(String, u64)> = (1..=8).map(|n| (format!("spell-{n}"), n)).collect();
        let spells: Vec<(&str, u64)> = spells.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        let rows =
            Minutes::of(&[window(3_600, "", 36, &spells)], 3_600_000).by_name(|window| &window.knockouts_by_spell);
        let told: Vec<(&str, f64)> = rows.iter().map(|row| (row.name.as_str(), row.values[59])).collect();
        let expected =
            [("spell-8", 8.0), ("spell-7", 7.0), ("spell-6", 6.0), ("spell-5", 5.0), ("spell-4", 4.0), ("others", 6.0)];
        assert_eq!(told, expected);
    }
}
