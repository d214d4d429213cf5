//! Charts as inline SVG that needs no script, drawn as the load tester's reports are.
//!
//! Marks lie in a box that is stretched to whatever width the page has; text is placed by percentage beside it, so that
//! letters keep their size on a phone.

mod scale;

use std::fmt::Write as _;

use maud::{Markup, html};

use self::scale::{Scale, time_marks};
use super::words;
use crate::live::view::Series;

/// The width of the box that is stretched.
const WIDTH: f64 = 1_000.0;

/// A row of values.
pub(super) struct Row {
    /// Its name.
    pub(super) name: String,
    /// The class that gives it its colour.
    pub(super) class: &'static str,
    /// One value for each step, oldest first.
    pub(super) values: Vec<f64>,
    /// Whether zero is its normal state, which is not worth a line.
    pub(super) seldom: bool,
}

/// Rows over the time up to now.
pub(super) struct Chart<'a> {
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    /// What a value is, such as `events/s`.
    pub(super) unit: &'a str,
    /// Whether values are counts, which have no parts.
    pub(super) whole: bool,
    /// How long a step is, seconds.
    pub(super) step_s: u32,
    pub(super) rows: Vec<Row>,
    /// Said where there is nothing to draw.
    pub(super) empty: &'a str,
}

const HEIGHT: u32 = 170;

/// The last minutes by second and the last hour by minute, side by side.
pub(super) fn pair_of_verdicts(seconds: &Series, minutes: &Series) -> [Markup; 2] {
    let any = seconds.steps.iter().any(|step| step.accepted + step.rejected + step.retry + step.unknown > 0);
    let none = if any { "Shown once the first minute is over." } else { "No events in the last hour." };
    [
        Chart::of_verdicts("seconds-chart", "Last five minutes", seconds, "No events in the last five minutes."),
        Chart::of_verdicts("minutes-chart", "Last hour", minutes, none),
    ]
    .map(|chart| chart.draw())
}

impl Chart<'_> {
    /// Events a second by verdict.
    fn of_verdicts<'a>(id: &'a str, title: &'a str, series: &Series, empty: &'a str) -> Chart<'a> {
        let per_second = 1.0 / f64::from(series.step_s.max(1));
        #[allow(clippy::cast_precision_loss, reason = "a drawing")]
        let row = |name: &str, class, seldom, of: fn(&crate::live::view::Verdicts) -> u64| Row {
            name: name.to_owned(),
            class,
            values: series.steps.iter().map(|step| of(step) as f64 * per_second).collect(),
            seldom,
        };
        let rows = vec![
            row("accepted", "c1", false, |step| step.accepted),
            row("rejected", "c2", true, |step| step.rejected),
            row("to be sent again", "c6", true, |step| step.retry + step.unknown),
        ];
        Chart { id, title, unit: "events a second", whole: false, step_s: series.step_s, rows, empty }
    }

    fn steps(&self) -> usize {
        self.rows.iter().map(|row| row.values.len()).max().unwrap_or(0)
    }

    fn highest(&self) -> f64 {
        self.rows.iter().flat_map(|row| row.values.iter().copied()).fold(0.0, f64::max)
    }

    /// Draws it.
    pub(super) fn draw(&self) -> Markup {
        let drawn = self.highest() > 0.0;
        html! {
            figure .plot {
                figcaption {
                    h3 { (self.title) }
                    @if drawn { (self.legend()) }
                }
                @if drawn { (self.picture()) } @else { p .empty { (self.empty) } }
            }
        }
    }

    fn shown(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.seldom || row.values.iter().any(|value| *value > 0.0))
    }

    fn legend(&self) -> Markup {
        html! {
            ul .legend {
                @for row in self.shown() {
                    li .key {
                        svg .swatch .(row.class) width="22" height="12" aria-hidden="true" { path .line d="M0 6H22" {} }
                        (row.name) " "
                        @if let Some(last) = row.values.last() { b { (self.figure(*last)) } }
                    }
                }
            }
        }
    }

    fn picture(&self) -> Markup {
        let height = f64::from(HEIGHT);
        let scale = Scale::linear(self.highest(), if self.whole { 1.0 } else { 0.0 });
        let y = |value: f64| (1.0 - scale.place(value)) * height;
        let percent = |place: f64| format!("{:.2}%", place * 100.0);
        let span_s = self.steps() as f64 * f64::from(self.step_s);
        html! {
            div .stage {
                svg .canvas role="img" aria-labelledby={ (self.id) "-t " (self.id) "-d" } height=(HEIGHT) {
                    title id={ (self.id) "-t" } { (self.title) }
                    desc id={ (self.id) "-d" } { (self.describes()) }
                    g .grid aria-hidden="true" {
                        text .unit x="-46" y="-12" { (self.unit) }
                        @for mark in scale.marks() {
                            line x1="0" x2="100%" y1=(format!("{:.1}", y(mark))) y2=(format!("{:.1}", y(mark))) {}
                            text .y x="-8" y=(format!("{:.1}", y(mark))) dy="4" { (words::short(mark)) }
                        }
                        @for mark in time_marks(span_s) {
                            line .up .roomy[!mark.narrow] x1=(percent(mark.place)) x2=(percent(mark.place)) y1=(height)
                                y2=(height + 5.0) {}
                            text .x .roomy[!mark.narrow] x=(percent(mark.place)) y=(height + 18.0) { (mark.label) }
                        }
                    }
                    svg .marks width="100%" height=(HEIGHT) preserveAspectRatio="none"
                        viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } {
                        // The last drawn lies on top: what seldom happens.
                        @for (place, row) in self.shown().enumerate() {
                            @let path = line(&row.values, row.seldom, y);
                            g .(row.class) {
                                @if place == 0 && !path.is_empty() {
                                    path .fill d={ (path) "L" (WIDTH) " " (HEIGHT) "L0 " (HEIGHT) "Z" } {}
                                }
                                path .line d=(path) {}
                            }
                        }
                    }
                }
            }
        }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    fn figure(&self, value: f64) -> String {
        if self.whole { words::count(value.max(0.0) as u64) } else { words::rate(value) }
    }

    /// What it shows, for those who can't see it.
    fn describes(&self) -> String {
        let mut text = format!(
            "Over the last {}",
            words::span(std::time::Duration::from_secs(self.steps() as u64 * u64::from(self.step_s),))
        );
        for row in self.shown() {
            let highest = row.values.iter().copied().fold(0.0, f64::max);
            let last = row.values.last().copied().unwrap_or(0.0);
            let _ = write!(
                text,
                "; {}: {} {} now, {} at most",
                row.name,
                self.figure(last),
                self.unit,
                self.figure(highest)
            );
        }
        text
    }
}

/// A line through the middles of steps; of rows that are seldom more than zero only what is, and what lies beside it.
fn line(values: &[f64], seldom: bool, y: impl Fn(f64) -> f64) -> String {
    let step = WIDTH / values.len().max(1) as f64;
    let above = |place: usize| values.get(place).is_some_and(|value| *value > 0.0);
    let mut path = String::new();
    let mut drawing = false;
    for (place, value) in values.iter().enumerate() {
        let beside = above(place) || above(place + 1) || place > 0 && above(place - 1);
        if seldom && !beside {
            drawing = false;
            continue;
        }
        let (x, y) = (place as f64 * step, y(*value));
        if !drawing {
            let _ = write!(path, "M{x:.1} {y:.1}");
            drawing = true;
        }
        let _ = write!(path, "L{:.1} {y:.1}", x + step / 2.0);
        if place + 1 == values.len() {
            let _ = write!(path, "L{WIDTH:.1} {y:.1}");
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::view::Verdicts;

    fn series(accepted: &[u64], rejected: &[u64]) -> Series {
        let step = |(accepted, rejected): (&u64, &u64)| Verdicts {
            accepted: *accepted,
            rejected: *rejected,
            ..Verdicts::default()
        };
        Series { from_s: 0, step_s: 60, steps: accepted.iter().zip(rejected).map(step).collect() }
    }

    #[test]
    fn a_minute_is_shown_as_events_a_second_and_told_in_words() {
        let chart = Chart::of_verdicts("hour", "Last hour", &series(&[0, 600, 60], &[0, 0, 120]), "nothing");
        let drawn = chart.draw().into_string();
        assert!(
            drawn.contains("Over the last 3m; accepted: 1.00 events a second now, 10.0 at most; rejected: 2.00"),
            "{drawn}"
        );
        assert!(!drawn.contains("to be sent again"), "what never happened has no place in the legend");
    }

    #[test]
    fn nothing_is_said_in_words_and_never_as_a_broken_figure() {
        for chart in [series(&[], &[]), series(&[0, 0], &[0, 0])] {
            let drawn = Chart::of_verdicts("hour", "Last hour", &chart, "No events yet").draw().into_string();
            assert!(drawn.contains("No events yet") && !drawn.contains("<path"), "{drawn}");
            assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
        }
    }

    #[test]
    fn a_line_runs_from_edge_to_edge_and_leaves_out_what_seldom_happens() {
        assert_eq!(line(&[1.0, 2.0], false, |value| value), "M0.0 1.0L250.0 1.0L750.0 2.0L1000.0 2.0");
        assert_eq!(line(&[0.0, 0.0, 0.0, 0.0, 3.0], true, |value| value), "M600.0 0.0L700.0 0.0L900.0 3.0L1000.0 3.0");
        assert_eq!(line(&[], false, |value| value), "");
    }
}
