//! What surrounds a plot's marks: grid, axes, greyed seconds, phases.

use maud::{Markup, html};

use super::scale::{Scale, Tick, nines_ticks, time_ticks};
use super::{Axis, AxisKind};

/// A letter of the small labels, in pixels.
const LETTER: f64 = 6.6;
/// The least width of a plot on a laptop and on a phone, in pixels.
const WIDTHS: [f64; 2] = [470.0, 270.0];

/// A place from 0 to 1 as SVG takes it.
pub(super) fn percent(place: f64) -> String {
    format!("{:.3}%", place * 100.0)
}

/// The seconds in which the load tester was late or the limit.
pub(super) fn bands(axis: &Axis) -> Markup {
    let part = |steps: usize| percent(steps as f64 / axis.steps.max(1) as f64);
    html! {
        g .bands {
            @for (class, stretches) in [("late", &axis.late), ("saturated", &axis.saturated)] {
                @for (from, to) in stretches {
                    rect .(class) x=(part(*from)) width=(part(to - from)) y="0" height="100%" {}
                }
            }
        }
    }
}

/// Grid lines and their labels.
pub(super) fn axes(axis: &Axis, scale: &Scale, height: f64) -> Markup {
    let along = match axis.kind {
        AxisKind::Time { step } => time_ticks(axis.steps as f64 * f64::from(step)),
        AxisKind::Nines(nines) => nines_ticks(nines),
    };
    let y = |tick: &Tick| format!("{:.1}", (1.0 - tick.place) * height);
    html! {
        g .grid aria-hidden="true" {
            @for tick in scale.ticks(height) {
                line x1="0" x2="100%" y1=(y(&tick)) y2=(y(&tick)) {}
                text .y x="-8" y=(y(&tick)) dy="4" { (tick.label) }
            }
            @for tick in &along {
                @let x = percent(tick.place);
                line .up .roomy[!tick.narrow] x1=(x) x2=(x) y1=(height) y2=(height + 5.0) {}
                text .x .roomy[!tick.narrow] x=(x) y=(height + 18.0) { (tick.label) }
            }
        }
    }
}

/// The phases and what was done to the run. A name that has no room is left to the tooltip.
pub(super) fn names(axis: &Axis, height: f64) -> Markup {
    let room = |name: &str, from: f64, to: f64| {
        let needs = name.chars().count() as f64 * LETTER + 10.0;
        WIDTHS.map(|width| (to - from) * width >= needs)
    };
    html! {
        g .phases {
            @for (name, from, to) in &axis.phases {
                @let [laptop, phone] = room(name, *from, *to);
                @for edge in [*from, *to].into_iter().filter(|edge| *edge > 0.0 && *edge < 1.0) {
                    line x1=(percent(edge)) x2=(percent(edge)) y1="-16" y2=(height) {}
                }
                @if laptop {
                    text .roomy[!phone] x=(percent((from + to) / 2.0)) y="-6" { (name) }
                }
            }
        }
        g .actions {
            @for (_, at) in &axis.actions {
                svg x=(percent(*at)) y=(height) { path d="M0 0L5 8H-5Z" {} }
            }
        }
    }
}
