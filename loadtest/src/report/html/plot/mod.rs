//! A plot as inline SVG that needs no script.
//!
//! Marks lie in a box that is stretched to whatever width the page has; text, marks of the axes and the greyed seconds
//! are placed by percentage beside it, so that letters keep their size on a phone. The script adds a crosshair and
//! switches series off.

mod data;
mod frame;
mod heat;
mod path;
mod scale;

use maud::{Markup, html};

pub(super) use data::Data;
pub(super) use heat::heat;
pub(super) use scale::{Scale, Unit};

use frame::{axes, bands, names};

/// A horizontal axis, and what is marked along it in all plots that share it.
pub(super) struct Axis {
    /// The name under which the script finds it.
    pub(super) name: &'static str,
    pub(super) kind: AxisKind,
    /// How many values lie along it.
    pub(super) steps: usize,
    /// Where the load tester was late.
    pub(super) late: Vec<(usize, usize)>,
    /// Where it was the limit.
    pub(super) saturated: Vec<(usize, usize)>,
    /// The named parts, from and to as parts of the axis.
    pub(super) phases: Vec<(String, f64, f64)>,
    /// What was done to the run, and where.
    pub(super) actions: Vec<(String, f64)>,
}

/// What lies along an axis.
#[derive(Clone, Copy)]
pub(super) enum AxisKind {
    /// Seconds from the start of the schedule, in steps of this length.
    Time {
        /// In seconds.
        step: u32,
    },
    /// Shares of all events, so that each further nine has the same room; up to so many nines.
    Nines(f64),
}

/// One row of values.
pub(super) struct Series {
    pub(super) name: String,
    /// The class that gives it its colour.
    pub(super) class: &'static str,
    pub(super) values: Vec<Option<f64>>,
    /// Whether zero is its normal state, which is not worth a line.
    pub(super) seldom: bool,
}

/// How the series are drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Lines,
    /// Areas on top of one another.
    Stack,
}

/// A single value that is no row.
pub(super) struct Spot {
    /// For the legend; empty if another spot's name says it.
    pub(super) name: String,
    /// Along the axis, 0 to 1.
    pub(super) at: f64,
    pub(super) value: f64,
}

/// One plot: axes and series. A figure holds one or several.
pub(super) struct Chart<'a> {
    pub(super) id: &'static str,
    /// What it shows, for those who can't see it.
    pub(super) title: &'a str,
    /// Shown above it where a figure has several.
    pub(super) heading: Option<&'a str>,
    pub(super) height: u32,
    pub(super) axis: &'a Axis,
    pub(super) scale: Scale,
    pub(super) style: Style,
    pub(super) series: Vec<Series>,
    pub(super) spots: Vec<Spot>,
    /// Instead of the series where there is nothing to draw.
    pub(super) empty: &'a str,
}

/// A figure with its heading, a sentence on how to read it, and charts below one another.
pub(super) fn figure(id: &str, title: &str, says: &str, wide: bool, charts: &[Markup]) -> Markup {
    html! {
        figure id=(id) .plot .wide[wide] {
            figcaption {
                h3 { (title) }
                @if !says.is_empty() { p .says { (says) } }
            }
            @for chart in charts { (chart) }
        }
    }
}

impl Chart<'_> {
    /// Draws it, and tells the script its values.
    pub(super) fn draw(self, data: &mut Data) -> Markup {
        let drawn =
            !self.spots.is_empty() || self.series.iter().any(|series| series.values.iter().any(Option::is_some));
        let height = f64::from(self.height);
        let markup = html! {
            div .chart {
                @if let Some(heading) = self.heading { h4 { (heading) } }
                @if drawn && (self.heading.is_none() || self.series.len() > 1) { (self.legend()) }
                @if drawn {
                    div .stage data-plot=(self.id) {
                        svg .canvas role="img" aria-labelledby={ (self.id) "-t " (self.id) "-d" } height=(self.height) {
                            title id={ (self.id) "-t" } { (self.title) }
                            desc id={ (self.id) "-d" } { (self.describes()) }
                            (bands(self.axis))
                            (axes(self.axis, &self.scale, height))
                            svg .marks width="100%" height=(self.height) preserveAspectRatio="none"
                                viewBox={ "0 0 " (path::WIDTH) " " (self.height) } { (self.marks(height)) }
                            (self.spots(height))
                            (names(self.axis, height))
                        }
                    }
                } @else {
                    p .empty { (self.empty) }
                }
            }
        };
        if drawn {
            data.add(self.id, self.axis, self.scale.unit(), self.series);
        }
        markup
    }

    fn legend(&self) -> Markup {
        html! {
            div .legend role="group" aria-label={ "Series of: " (self.title) } {
                @for (place, series) in self.series.iter().enumerate() {
                    button type="button" aria-pressed="true" data-series=(place) {
                        svg .swatch .stacked[self.style == Style::Stack] .(series.class) width="22" height="12"
                            aria-hidden="true" {
                            @if self.style == Style::Stack { rect x="3" y="1" width="16" height="10" {} }
                            @else { path .line d="M0 6H22" {} }
                        }
                        (series.name)
                    }
                }
                @for spot in self.spots.iter().filter(|spot| !spot.name.is_empty()) {
                    span .key {
                        svg .swatch width="14" height="12" aria-hidden="true" { path .spot d="M7 1L12 6L7 11L2 6Z" {} }
                        (spot.name)
                    }
                }
            }
        }
    }

    fn marks(&self, height: f64) -> Markup {
        let height_of = |value: f64| (1.0 - self.scale.place(value)) * height;
        let spread = match self.axis.kind {
            AxisKind::Time { .. } => path::Spread::Steps,
            AxisKind::Nines(_) => path::Spread::Points,
        };
        let mut paths = Vec::with_capacity(self.series.len());
        let mut lower = vec![0.0; self.axis.steps];
        for series in &self.series {
            paths.push(match self.style {
                Style::Lines if series.seldom => path::line(&happened(&series.values), spread, height_of),
                Style::Lines => path::line(&series.values, spread, height_of),
                Style::Stack => {
                    let upper: Vec<f64> =
                        lower.iter().zip(&series.values).map(|(below, value)| below + value.unwrap_or(0.0)).collect();
                    let drawn = path::band(&lower, &upper, height_of);
                    lower = upper;
                    drawn
                }
            });
        }
        let class = match self.style {
            Style::Lines => "line",
            Style::Stack if self.axis.steps > 150 => "area dense",
            Style::Stack => "area",
        };
        // The last drawn lies on top: what seldom happens, and of the others the first, which matters most.
        let mut drawn: Vec<_> = self.series.iter().zip(&paths).enumerate().rev().collect();
        drawn.sort_by_key(|(_, (series, _))| series.seldom);
        html! {
            @for (place, (series, path)) in drawn {
                g .series .(series.class) data-series=(place) { path class=(class) d=(path) {} }
            }
        }
    }

    fn spots(&self, height: f64) -> Markup {
        html! {
            @for spot in &self.spots {
                @let y = (1.0 - self.scale.place(spot.value)) * height;
                svg .spots x=(frame::percent(spot.at)) y=(format!("{y:.1}")) {
                    path .spot d="M0-5L5 0L0 5L-5 0Z" {}
                }
            }
        }
    }

    fn describes(&self) -> String {
        let names: Vec<&str> = self.series.iter().map(|series| series.name.as_str()).collect();
        let along = match self.axis.kind {
            AxisKind::Time { .. } => "over the run's time",
            AxisKind::Nines(_) => "by percentile",
        };
        format!("{} {along}", names.join(", "))
    }
}

/// The values that are not zero, and those beside them.
fn happened(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let is_some = |place: usize| values.get(place).copied().flatten().is_some_and(|value| value > 0.0);
    let beside = |place: usize| is_some(place) || is_some(place + 1) || place > 0 && is_some(place - 1);
    values.iter().enumerate().map(|(place, value)| value.filter(|_| beside(place))).collect()
}
