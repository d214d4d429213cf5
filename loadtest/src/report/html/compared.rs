//! Other runs beside this one: figures in a table, and the curves that matter laid over one another.

use maud::{Markup, html};

use super::plot::{Axis, AxisKind, Chart, Data, Scale, Series, Style, Unit, figure};
use super::plots::{COLOURS, highest, us};
use super::timeline::{Grid, Point, Timeline};
use super::{format, headline, judged::mark, per_second, spectrum, table::scroll};
use crate::record::Latencies;
use crate::result::RunResult;

struct Run<'a> {
    name: String,
    class: &'static str,
    result: &'a RunResult,
}

/// The section that holds this run against the others.
pub(super) fn compared(run: &RunResult, others: &[RunResult], data: &mut Data) -> Markup {
    let name = |place: usize, other: &RunResult| match place {
        0 => "this run".to_owned(),
        _ => format!("{} of {}", other.config.scenario, format::instant(other.started_at)),
    };
    let runs: Vec<Run<'_>> = std::iter::once(run)
        .chain(others)
        .enumerate()
        .map(|(place, result)| Run { name: name(place, result), class: COLOURS[place % COLOURS.len()], result })
        .collect();
    let different = others.iter().any(|other| other.config_hash != run.config_hash);
    html! {
        section #compared {
            h2 { "Compared" }
            @if different {
                p { (mark("warn", "Not all of these runs had the same settings: their figures differ for that too.")) }
            }
            (figures(&runs))
            div .plots { (curves(&runs, data)) }
        }
    }
}

type Row = (&'static str, fn(&RunResult) -> Option<f64>, fn(f64) -> String);

fn figures(runs: &[Run<'_>]) -> Markup {
    fn at(latencies: &Latencies, share: f64) -> Option<f64> {
        (latencies.count() > 0).then(|| us(latencies, share))
    }
    let rows: [Row; 11] = [
        ("Offered events/s", |run| Some(per_second(run, run.ledger.due)), format::number),
        ("Accepted events/s", |run| Some(per_second(run, run.ledger.accepted)), format::number),
        ("Ack p50", |run| at(&run.latencies.ack, 0.5), format::micros),
        ("Ack p90", |run| at(&run.latencies.ack, 0.9), format::micros),
        ("Ack p99", |run| at(&run.latencies.ack, 0.99), format::micros),
        ("Ack p99.9", |run| at(&run.latencies.ack, 0.999), format::micros),
        ("Service p99", |run| at(&run.latencies.service, 0.99), format::micros),
        ("Lag p99", |run| at(&run.latencies.lag, 0.99), format::micros),
        (
            "Events lost to overflow or failed",
            |run| Some((run.ledger.overflow + run.ledger.failed) as f64),
            format::number,
        ),
        ("CPU µs/event", |run| Some(run.usage.cpu_us_per_event), format::number),
        ("Bytes each player", |run| Some(run.usage.bytes_per_player), format::bytes),
    ];
    html! {
        p .says { "In grey below the figure of another run: how far this run is above or below it." }
        (scroll("Compared", &html! {
            thead { tr { th {} @for run in runs { th .n scope="col" { (run.name) } } } }
            tbody {
                tr {
                    th scope="row" { "Verdict" }
                    @for run in runs {
                        td .n { (mark(headline::class(run.result.verdict), headline::word(run.result.verdict))) }
                    }
                }
                @for (name, figure, text) in rows {
                    tr {
                        th scope="row" { (name) }
                        @for (place, run) in runs.iter().enumerate() {
                            @let value = figure(run.result);
                            td .n {
                                (value.map_or_else(|| "–".into(), text))
                                @if place > 0 { span .sub { (change(figure(runs[0].result), value)) } }
                            }
                        }
                    }
                }
            }
        }))
    }
}

/// How this run's figure differs from another's.
fn change(this: Option<f64>, other: Option<f64>) -> String {
    let (Some(this), Some(other)) = (this, other) else { return String::new() };
    if this == other {
        return "the same".into();
    }
    if other == 0.0 {
        return String::new();
    }
    let ratio = this / other;
    match ratio {
        _ if ratio >= 3.0 => format!("× {}", format::number(ratio)),
        _ if ratio >= 1.0 => format!("+{:.1} %", (ratio - 1.0) * 100.0),
        _ => format!("−{:.1} %", (1.0 - ratio) * 100.0),
    }
}

fn curves(runs: &[Run<'_>], data: &mut Data) -> Markup {
    let grid = Grid::over(runs.iter().map(|run| run.result));
    let timelines: Vec<Timeline> = runs.iter().map(|run| Timeline::of(run.result, grid)).collect();
    let axis = Axis {
        name: "compared",
        kind: AxisKind::Time { step: grid.step },
        steps: grid.steps,
        late: Vec::new(),
        saturated: Vec::new(),
        phases: Vec::new(),
        actions: Vec::new(),
    };
    let series = |values: fn(&Timeline) -> Vec<Option<f64>>| -> Vec<Series> {
        let one = |(run, timeline): (&Run<'_>, &Timeline)| Series {
            name: run.name.clone(),
            class: run.class,
            values: values(timeline),
            seldom: false,
        };
        runs.iter().zip(&timelines).map(one).collect()
    };
    let chart = |id, title, scale, series, empty| {
        let style = Style::Lines;
        Chart { id, title, heading: None, height: 220, axis: &axis, scale, style, series, spots: Vec::new(), empty }
    };
    let p99 = series(|timeline| timeline.answered(|point: &Point| us(&point.of.ack, 0.99)));
    let accepted = series(|timeline| timeline.each(|point| point.rate(|one| one.accepted as f64)));
    let p99_scale = Scale::log(Unit::Time, p99.iter().flat_map(|series| series.values.iter().flatten().copied()));
    let accepted_scale = Scale::linear(Unit::Count, highest(&accepted));
    let p99 =
        chart("compared-p99", "Ack p99 of each run over time", p99_scale, p99, "No batch was answered.").draw(data);
    let accepted =
        chart("compared-rate", "Accepted events a second of each run over time", accepted_scale, accepted, "")
            .draw(data);
    let rows: Vec<(String, &'static str, &Latencies)> =
        runs.iter().map(|run| (run.name.clone(), run.class, &run.result.latencies.ack)).collect();
    let percentiles =
        spectrum::draw("compared-spectrum", "Ack by percentile of each run", "compared-nines", &rows, &[], data);
    html! {
        (figure("compared-latency", "Ack p99", "", false, &[p99]))
        (figure("compared-events", "Accepted events/s", "", false, &[accepted]))
        (figure("compared-percentiles", "Ack by percentile", "", true, &[percentiles]))
    }
}
