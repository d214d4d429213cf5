//! The gateway over the run, as it saw itself: whether its memory, descriptors and tasks grow, and whether every event that it
//! received has a verdict at the end.

use maud::{Markup, html};

use super::axis::time_axis;
use super::format;
use super::plot::{Axis, Chart, Data, Scale, Series, Unit, figure};
use super::plots::{COLOURS, chart, highest};
use super::timeline::{Grid, Timeline};
use crate::result::{Gateway, Look, RunResult};

/// What is not looked at for so many looks is unknown.
const LOOKS_MISSED: u32 = 3;

/// A figure of a look, if the gateway tells it.
type Figure = fn(&Look) -> Option<f64>;

/// Its plots; nothing of a run that asked no gateway.
pub(super) fn gateway(run: &RunResult, timeline: &Timeline, data: &mut Data) -> Markup {
    if run.gateways.iter().all(|gateway| gateway.looks.is_empty()) {
        return html! {};
    }
    let axis = time_axis(run, timeline);
    let plotter = Plotter { gateways: &run.gateways, grid: timeline.grid, axis: &axis };
    let memory = plotter.ends(|look| Some(look.resident_bytes), |all| format::bytes(all as f64));
    let count = |of: fn(&Look) -> Option<u64>| plotter.ends(of, format::count);
    html! {
        section #gateway {
            h2 { "The gateway" }
            p .says {
                "What it said of itself, looked at every few seconds; between two looks the earlier one stands, and of several \
                 in one step the most."
                @if run.gateways.len() > 1 { " The shards looked at " (run.gateways.len()) " gateways." }
            }
            div .plots {
                (figure("gateway-memory", "Memory", &format!("Resident memory; {memory}."), false, &[
                    plotter.chart("memory", "The gateway's resident memory", "resident", 220, Unit::Bytes,
                        |look| Some(look.resident_bytes as f64)).draw(data)]))
                (figure("gateway-descriptors", "Descriptors",
                    &format!("Open descriptors: connections, files; {}.", count(|look| Some(look.descriptors))),
                    false, &[
                        plotter.chart("descriptors", "The gateway's open descriptors", "open", 220, Unit::Count,
                            |look| Some(look.descriptors as f64)).draw(data)]))
                (figure("gateway-tasks", "Tasks",
                    &format!("Tasks that have not ended; {}.", count(|look| look.tasks)), false, &[
                        plotter.chart("tasks", "The gateway's tasks", "alive", 220, Unit::Count,
                            |look| look.tasks.map(|tasks| tasks as f64)).draw(data)]))
                (figure("gateway-unsettled", "Events without a verdict",
                    &format!("Received less settled, whatever the verdict; {}.", count(|look| look.unsettled)), false,
                    &plotter.conservation(data)))
            }
        }
    }
}

struct Plotter<'a> {
    gateways: &'a [Gateway],
    grid: Grid,
    axis: &'a Axis,
}

impl Plotter<'_> {
    fn conservation(&self, data: &mut Data) -> [Markup; 2] {
        let events: Figure = |look| look.unsettled.map(|events| events as f64);
        let bytes: Figure = |look| look.in_flight_bytes.map(|bytes| bytes as f64);
        [
            ("unsettled", "Events that wait for a verdict", "waiting", Unit::Count, events),
            ("budget", "Bytes that the budget holds for them", "held", Unit::Bytes, bytes),
        ]
        .map(|(id, title, name, unit, of)| {
            let mut chart = self.chart(id, title, name, 76, unit, of);
            chart.heading = Some(title);
            chart.draw(data)
        })
    }

    fn chart<'a>(
        &'a self,
        id: &'static str,
        title: &'a str,
        name: &str,
        height: u32,
        unit: Unit,
        of: Figure,
    ) -> Chart<'a> {
        let series = self.series(name, of);
        let scale = Scale::linear(unit, highest(&series));
        let mut chart = chart(self.axis, id, title, height, scale, series);
        chart.empty = "The gateway did not tell it.";
        chart
    }

    /// A line for each gateway; of more than there are colours the highest, the mean and the lowest.
    fn series(&self, name: &str, of: Figure) -> Vec<Series> {
        let line = |name: String, class, values| Series { name, class, values, seldom: false };
        let rows: Vec<Vec<Option<f64>>> =
            self.gateways.iter().map(|gateway| onto(&gateway.looks, self.grid, of)).collect();
        let told = |row: &Vec<Option<f64>>| row.iter().any(Option::is_some);
        if !rows.iter().any(told) {
            return Vec::new();
        }
        if let [gateway] = rows.as_slice() {
            return vec![line(name.to_owned(), COLOURS[0], gateway.clone())];
        }
        if rows.len() <= COLOURS.len() {
            let named = self.gateways.iter().map(|gateway| format!("of shard {}", gateway.shard));
            return named.zip(COLOURS).zip(rows).map(|((name, class), row)| line(name, class, row)).collect();
        }
        let each = |put: fn(&[f64]) -> f64| -> Vec<Option<f64>> {
            let column = |step: usize| rows.iter().filter_map(|row| row[step]).collect::<Vec<f64>>();
            let columns = (0..self.grid.steps).map(column);
            columns.map(|column| (!column.is_empty()).then(|| put(&column))).collect()
        };
        vec![
            line("highest".to_owned(), COLOURS[1], each(|all| all.iter().copied().fold(f64::MIN, f64::max))),
            line("mean".to_owned(), COLOURS[0], each(|all| all.iter().sum::<f64>() / all.len() as f64)),
            line("lowest".to_owned(), COLOURS[2], each(|all| all.iter().copied().fold(f64::MAX, f64::min))),
        ]
    }

    /// What all gateways had at the end together, in words.
    fn ends(&self, of: fn(&Look) -> Option<u64>, words: impl Fn(u64) -> String) -> String {
        let ends = self.gateways.iter().filter_map(|gateway| of(gateway.looks.last()?));
        let together = if self.gateways.len() > 1 { ", all together" } else { "" };
        let said = |all| format!("{} at the end{together}", words(all));
        ends.reduce(u64::saturating_add).map_or_else(|| "not told".to_owned(), said)
    }
}

/// Looks on a grid: of several in a step the most, and until the next one the last. The last step has what was seen last,
/// even after its end: it says how the run ended.
fn onto(looks: &[Look], grid: Grid, of: Figure) -> Vec<Option<f64>> {
    let mut row: Vec<Option<f64>> = vec![None; grid.steps];
    let gaps = looks.windows(2).map(|pair| pair[1].at_s.saturating_sub(pair[0].at_s));
    let mut gaps: Vec<u32> = gaps.collect();
    gaps.sort_unstable();
    let usual = gaps.get(gaps.len() / 2).copied().unwrap_or(0);
    let stands = usual.saturating_mul(LOOKS_MISSED);
    for (place, look) in looks.iter().enumerate() {
        let Some(value) = of(look) else { continue };
        let from = (look.at_s / grid.step) as usize;
        if let Some(there) = row.get_mut(from) {
            *there = there.map_or(Some(value), |most: f64| Some(most.max(value)));
        }
        let next = looks.get(place + 1).map_or(look.at_s, |next| next.at_s);
        let until = if next - look.at_s.min(next) <= stands { (next / grid.step) as usize } else { from };
        for between in row.iter_mut().take(until).skip(from + 1) {
            *between = Some(value);
        }
    }
    if let (Some(end), Some(last)) = (row.last_mut(), looks.last())
        && (last.at_s / grid.step) as usize + 1 >= grid.steps
    {
        *end = of(last).or(*end);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(looks: &[(u32, u64)], step: u32, steps: usize) -> Vec<Option<f64>> {
        let looks: Vec<Look> =
            looks.iter().map(|(at_s, open)| Look { at_s: *at_s, unsettled: Some(*open), ..Look::default() }).collect();
        onto(&looks, Grid { step, steps }, |look| look.unsettled.map(|open| open as f64))
    }

    #[test]
    fn a_look_stands_until_the_next_and_the_last_one_ends_the_row() {
        let found = row(&[(1, 7), (3, 9), (5, 8), (9, 0)], 1, 8);
        assert_eq!(found, [None, Some(7.0), Some(7.0), Some(9.0), Some(9.0), Some(8.0), Some(8.0), Some(0.0)]);
    }

    #[test]
    fn of_a_step_the_most_is_shown_and_what_was_not_looked_at_is_not() {
        let looks = [(0, 3), (5, 90), (10, 4), (15, 5), (100, 6), (105, 7)];
        let found = row(&looks, 10, 11);
        let mut expected = vec![None; 11];
        (expected[0], expected[1], expected[10]) = (Some(90.0), Some(5.0), Some(7.0));
        assert_eq!(found, expected);
        assert_eq!(row(&[], 10, 2), [None, None]);
    }
}
