//! The values of all plots, for the script that shows them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::scale::Unit;
use super::{Axis, AxisKind, Series};

/// What the script knows of the page: axes and the values of each plot.
#[derive(Default, Serialize)]
pub(in super::super) struct Data {
    axes: BTreeMap<&'static str, AxisData>,
    plots: BTreeMap<&'static str, PlotData>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum AxisData {
    /// `health` has one digit for each step: 0 well, 1 late, 2 saturated; phases have their ends from 0 to 1.
    Time {
        step: u32,
        steps: usize,
        health: String,
        phases: Vec<(String, f64, f64)>,
    },
    Nines {
        nines: f64,
        steps: usize,
    },
}

#[derive(Clone, Serialize)]
struct PlotData {
    axis: &'static str,
    unit: &'static str,
    series: Vec<(String, &'static str, Vec<Option<f64>>)>,
}

impl Data {
    /// Adds a plot and its axis.
    pub(super) fn add(&mut self, id: &'static str, axis: &Axis, unit: Unit, series: Vec<Series>) {
        self.add_axis(axis);
        let series = series.into_iter().map(|one| (one.name, one.class, rounded(one.values, unit))).collect();
        self.plots.insert(id, PlotData { axis: axis.name, unit: unit.name(), series });
    }

    /// Lets a plot show the values of another one.
    pub(super) fn add_like(&mut self, id: &'static str, like: &str) {
        if let Some(plot) = self.plots.get(like).cloned() {
            self.plots.insert(id, plot);
        }
    }

    fn add_axis(&mut self, axis: &Axis) {
        let data = match axis.kind {
            AxisKind::Nines(nines) => AxisData::Nines { nines, steps: axis.steps },
            AxisKind::Time { step } => {
                let mut health = vec![b'0'; axis.steps];
                for (stretches, digit) in [(&axis.late, b'1'), (&axis.saturated, b'2')] {
                    for (from, to) in stretches {
                        health[*from..*to].fill(digit);
                    }
                }
                let health = String::from_utf8_lossy(&health).into_owned();
                AxisData::Time { step, steps: axis.steps, health, phases: axis.phases.clone() }
            }
        };
        self.axes.insert(axis.name, data);
    }

    /// As JSON that can stand in a page: nothing in it ends the element that holds it.
    pub(in super::super) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default().replace('<', "\\u003c")
    }
}

/// What a reader of the plot can tell apart; shorter in the file.
fn rounded(values: Vec<Option<f64>>, unit: Unit) -> Vec<Option<f64>> {
    let round = |value: f64| match unit {
        Unit::Time => value.round(),
        // Megabytes and more, and to the kibibyte.
        Unit::Bytes if value >= 1_048_576.0 => (value / 1_024.0).round() * 1_024.0,
        Unit::Bytes => value.round(),
        Unit::Count if value >= 100.0 => value.round(),
        Unit::Count => (value * 100.0).round() / 100.0,
        Unit::Share => (value * 1e4).round() / 1e4,
    };
    values.into_iter().map(|value| value.map(round)).collect()
}
