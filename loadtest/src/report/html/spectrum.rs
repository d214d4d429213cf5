//! The percentile spectrum: latency by the share of events that were faster, each further nine with the same room.

use maud::Markup;

use super::plot::{Axis, AxisKind, Chart, Data, Scale, Series, Spot, Style, Unit, figure};
use super::plots::us;
use crate::record::Latencies;
use crate::result::RunResult;

/// Values between two nines.
const FINE: f64 = 40.0;
/// Past a millionth there is one event or none in most runs.
const MOST: f64 = 6.0;

/// The spectrum of a run: open loop, and what a closed loop made of the same run.
pub(super) fn spectrum(run: &RunResult, data: &mut Data) -> Markup {
    let all = &run.latencies;
    let rows: Vec<(String, &'static str, &Latencies)> =
        [("ack", "c1", &all.ack), ("service", "c3", &all.service), ("event age", "c4", &all.event_age)]
            .into_iter()
            .filter(|(_, _, latencies)| latencies.count() > 0)
            .map(|(name, class, latencies)| (name.to_owned(), class, latencies))
            .collect();
    let mut spots = Vec::new();
    if let Some(closed) = run.closed_loop.as_ref().filter(|closed| closed.calls > 0) {
        let last = (closed.calls as f64).log10();
        for (nines, value) in [(2_f64.log10(), closed.p50_us), (2.0, closed.p99_us), (last, closed.max_us)] {
            spots.push((nines, value as f64));
        }
    }
    let says = "The share of events that had their answer sooner. Ack: since the batch was to leave; service: since it \
                left; event age: since the event happened.";
    let chart = draw("spectrum", "Latency by percentile", "nines", &rows, &spots, data);
    figure("percentiles", "Percentile spectrum", says, false, &[chart])
}

/// A spectrum of these latencies, and single values at so many nines that a closed loop measured.
pub(super) fn draw(
    id: &'static str,
    title: &str,
    axis: &'static str,
    rows: &[(String, &'static str, &Latencies)],
    closed: &[(f64, f64)],
    data: &mut Data,
) -> Markup {
    let most = rows.iter().map(|(_, _, latencies)| latencies.count()).max().unwrap_or(0).max(100);
    // A little further, so that the last mark does not lie on the edge.
    let nines = (most as f64).log10().min(MOST).ceil();
    let steps = (nines * FINE) as usize + 1;
    let values = |latencies: &Latencies| -> Vec<Option<f64>> {
        let knows = |place: usize| place as f64 / FINE <= (latencies.count().max(10) as f64).log10() + 0.5 / FINE;
        (0..steps).map(|place| knows(place).then(|| us(latencies, 1.0 - 10_f64.powf(-(place as f64 / FINE))))).collect()
    };
    let series: Vec<Series> = rows
        .iter()
        .map(|(name, class, latencies)| Series { name: name.clone(), class, values: values(latencies), seldom: false })
        .collect();
    let names = ["closed loop: p50, p99, max"];
    let spots: Vec<Spot> = closed
        .iter()
        .enumerate()
        .map(|(place, (at, value))| Spot {
            name: names.get(place).copied().unwrap_or_default().to_owned(),
            at: (at / nines).clamp(0.0, 1.0),
            value: *value,
        })
        .collect();
    let drawn = series.iter().flat_map(|series| series.values.iter().flatten().copied());
    let scale = Scale::log(Unit::Time, drawn.chain(closed.iter().map(|(_, value)| *value)));
    let axis = Axis {
        name: axis,
        kind: AxisKind::Nines(nines),
        steps,
        late: Vec::new(),
        saturated: Vec::new(),
        phases: Vec::new(),
        actions: Vec::new(),
    };
    let empty = "No batch was answered.";
    Chart { id, title, heading: None, height: 380, axis: &axis, scale, style: Style::Lines, series, spots, empty }
        .draw(data)
}
