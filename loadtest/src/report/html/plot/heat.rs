//! The heatmap: time across, latency upwards on a log axis, and the darker a cell, the more events it holds.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use maud::{Markup, html};

use super::frame::{axes, bands, names};
use super::path::WIDTH;
use super::scale::{Scale, Unit};
use super::{Axis, Data};
use crate::record::{Latencies, bucket_floor, bucket_of};
use crate::report::html::{format, timeline::Timeline};

/// The most columns: cells stay wide enough to be seen, and the file small.
const COLUMNS: usize = 240;
/// Cells of one decade of latency.
const ROWS_PER_DECADE: f64 = 8.0;
/// Shades.
const LEVELS: usize = 6;
const CLASSES: [&str; LEVELS] = ["h1", "h2", "h3", "h4", "h5", "h6"];

struct Cells {
    columns: usize,
    rows: usize,
    /// Events a second, by column and row.
    rates: Vec<f64>,
    highest: f64,
    lowest: f64,
}

/// The heatmap of the latencies that `of` picks. The tooltip shows the series of the plot called `like`.
pub(in super::super) fn heat(timeline: &Timeline, axis: &Axis, like: &str, data: &mut Data) -> Markup {
    const HEIGHT: u32 = 220;
    let height = f64::from(HEIGHT);
    let all = || timeline.points.iter().flatten().map(|point| &point.of.ack);
    let ends = all().filter_map(|ack| ack.nonzero().next()).map(|(bucket, _)| middle(bucket));
    let scale =
        Scale::log(Unit::Time, ends.chain(all().filter(|ack| ack.count() > 0).map(|ack| ack.max().as_micros() as f64)));
    let Some(cells) = Cells::of(timeline, &scale) else {
        return html! { div .chart { p .empty { "No batch was answered." } } };
    };
    data.add_like("heat", like);
    let about = "Events by latency, from the instant at which a batch was to leave to its answer, over the run's time";
    html! {
        div .chart {
            (cells.legend())
            div .stage data-plot="heat" {
                svg .canvas role="img" aria-labelledby="heat-t heat-d" height=(HEIGHT) {
                    title id="heat-t" { "Latency heatmap" }
                    desc id="heat-d" { (about) }
                    (axes(axis, &scale, height))
                    svg .marks width="100%" height=(HEIGHT) preserveAspectRatio="none"
                        viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } {
                        @for (class, path) in CLASSES.iter().zip(cells.paths(height)) {
                            @if !path.is_empty() { path .cell .(class) d=(path) {} }
                        }
                    }
                    (bands(axis))
                    (names(axis, height))
                }
            }
        }
    }
}

fn middle(bucket: usize) -> f64 {
    (bucket_floor(bucket) + bucket_floor(bucket + 1)) as f64 / 2.0
}

impl Cells {
    fn of(timeline: &Timeline, scale: &Scale) -> Option<Self> {
        let together = timeline.points.len().div_ceil(COLUMNS).max(1);
        let rows = scale.decades(ROWS_PER_DECADE);
        let columns = timeline.points.len().div_ceil(together);
        let mut rates = vec![0.0; columns * rows];
        for (column, points) in timeline.points.chunks(together).enumerate() {
            let seconds: u32 = points.iter().flatten().map(|point| point.of.width).sum();
            for point in points.iter().flatten() {
                for (row, events) in rows_of(&point.of.ack, scale, rows) {
                    rates[column * rows + row] += events as f64 / f64::from(seconds.max(1));
                }
            }
        }
        let held = || rates.iter().copied().filter(|rate| *rate > 0.0);
        let (highest, lowest) = (held().fold(0.0, f64::max), held().fold(f64::INFINITY, f64::min));
        (highest > 0.0).then_some(Self { columns, rows, rates, highest, lowest })
    }

    /// The shade of a rate, from 0: each is the same factor above the one before.
    fn level(&self, rate: f64) -> usize {
        if self.highest <= self.lowest {
            return LEVELS - 1;
        }
        let place = (rate / self.lowest).ln() / (self.highest / self.lowest).ln();
        ((place * LEVELS as f64) as usize).min(LEVELS - 1)
    }

    /// One path for each shade; neighbours of the same shade in a row are one rectangle.
    fn paths(&self, height: f64) -> [String; LEVELS] {
        let mut paths = [const { String::new() }; LEVELS];
        let wide = WIDTH / self.columns as f64;
        // On whole pixels, so that rows leave no gap.
        let edge = |row: usize| (height * (1.0 - row as f64 / self.rows as f64)).round();
        for row in 0..self.rows {
            let level_at = |column: usize| {
                let rate = self.rates[column * self.rows + row];
                (rate > 0.0).then(|| self.level(rate))
            };
            let mut column = 0;
            while column < self.columns {
                let level = level_at(column);
                let end = (column..self.columns).find(|at| level_at(*at) != level).unwrap_or(self.columns);
                if let Some(level) = level {
                    let (x, y) = (column as f64 * wide, edge(row + 1));
                    let high = edge(row) - y;
                    let width = (end - column) as f64 * wide;
                    let _ = write!(paths[level], "M{x:.1} {y}h{width:.1}v{high}h-{width:.1}z");
                }
                column = end;
            }
        }
        paths
    }

    fn legend(&self) -> Markup {
        html! {
            div .legend {
                span .key { (format::number(self.lowest)) }
                svg .ramp width="120" height="12" aria-hidden="true" {
                    @for (place, class) in CLASSES.iter().enumerate() {
                        rect .cell .(class) x=(place * 20) y="0" width="20" height="12" {}
                    }
                }
                span .key { (format::number(self.highest)) " events/s in a cell, on a log scale" }
            }
        }
    }
}

fn rows_of(latencies: &Latencies, scale: &Scale, rows: usize) -> BTreeMap<usize, u64> {
    let mut held = BTreeMap::new();
    // The top bucket's middle may lie past the longest latency.
    let longest = bucket_of(u64::try_from(latencies.max().as_micros()).unwrap_or(u64::MAX));
    for (bucket, events) in latencies.nonzero() {
        let row = (scale.place(middle(bucket.min(longest))) * rows as f64) as usize;
        *held.entry(row.min(rows - 1)).or_default() += events;
    }
    held
}
