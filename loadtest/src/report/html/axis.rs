//! The time axis of a run: what is marked along it in every plot, and what the marks mean.

use maud::{Markup, html};

use super::format;
use super::plot::{Axis, AxisKind};
use super::timeline::Timeline;
use crate::config::Deed;
use crate::result::{HealthState, RunResult};

/// The axis, with the run's phases, what was done to it, and where the load tester did not keep up.
pub(super) fn time_axis(run: &RunResult, timeline: &Timeline) -> Axis {
    let total = timeline.grid.total();
    let mut phases: Vec<(String, f64, f64)> = run
        .phases
        .iter()
        .map(|phase| (phase.name.clone(), f64::from(phase.from_s) / total, f64::from(phase.to_s) / total))
        .map(|(name, from, to)| (name, from.min(1.0), to.min(1.0)))
        .collect();
    let warm_up = run.config.warm_up.as_secs_f64() / total;
    if phases.is_empty() && warm_up > 0.0 {
        phases = vec![("warm-up".into(), 0.0, warm_up.min(1.0)), ("judged".into(), warm_up.min(1.0), 1.0)];
    }
    let at = |at: f64| (at / total).clamp(0.0, 1.0);
    let actions = run.config.actions.iter().map(|action| (deed(&action.deed), at(action.at.as_secs_f64()))).collect();
    Axis {
        name: "run",
        kind: AxisKind::Time { step: timeline.grid.step },
        steps: timeline.grid.steps,
        late: timeline.stretches(HealthState::Late),
        saturated: timeline.stretches(HealthState::Saturated),
        phases,
        actions,
    }
}

fn deed(deed: &Deed) -> String {
    match deed {
        Deed::DropConnections { share } => format!("{} of the connections cut", format::share(*share)),
        Deed::Panic { server } => format!("the driver of server {server} panics"),
        Deed::Rate { class: None, times } => format!("all servers offer {} × the model", format::number(*times)),
        Deed::Rate { class: Some(class), times } => {
            format!("{class} servers offer {} × the model", format::number(*times))
        }
    }
}

/// What the greys and marks mean, if there are any.
pub(super) fn key(run: &RunResult, timeline: &Timeline, axis: &Axis) -> Markup {
    let seconds = |state: HealthState| -> u32 {
        run.intervals.iter().filter(|one| one.health.state == state).map(|one| one.width).sum()
    };
    let (late, saturated) = (seconds(HealthState::Late), seconds(HealthState::Saturated));
    html! {
        @if late + saturated > 0 || !axis.actions.is_empty() {
            p .key-line {
                @if late > 0 {
                    span .key {
                        (swatch("late"))
                        "the load tester was late (" (format::span(f64::from(late))) ")"
                    }
                }
                @if saturated > 0 {
                    span .key {
                        (swatch("saturated"))
                        "it was saturated: these seconds say nothing about the gateway ("
                        (format::span(f64::from(saturated))) ")"
                    }
                }
                @for (name, at) in &axis.actions {
                    span .key {
                        svg .swatch .actions width="14" height="12" aria-hidden="true" { path d="M7 2L12 10H2Z" {} }
                        (name) " at " (format::span(at * timeline.grid.total()))
                    }
                }
            }
        }
        @if timeline.grid.step > 1 {
            p .note { "Each step of a plot is " (format::span(f64::from(timeline.grid.step)))
                ": percentiles are exact over it, health is the worst in it." }
        }
    }
}

fn swatch(class: &str) -> Markup {
    html! { svg .swatch width="22" height="12" aria-hidden="true" { rect .(class) width="22" height="12" {} } }
}
