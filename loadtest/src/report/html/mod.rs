//! A run as one HTML file that needs nothing else: no network, no script to be read, no fonts.
//!
//! Every text of a result is escaped, and the page's own policy lets a browser run the page's one script and nothing
//! else, whatever stands in a result. Sections follow the order in which people look: what is the verdict, why, how
//! much, what happened when, what did the gateway take for it, where has every event gone, what was set.

mod axis;
mod compared;
mod format;
mod gateway;
mod headline;
mod judged;
mod ledger;
mod machine;
mod plot;
mod plots;
mod spectrum;
mod table;
mod timeline;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::result::RunResult;
use plot::Data;
use timeline::{Grid, Timeline};

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// The report of a run, as a page of its own; with the figures of other runs beside it.
///
/// The page has at most a few hundred steps in each plot, however long the run was: an hour stays below 1.5 MB.
#[must_use]
pub fn html(run: &RunResult, compared: &[RunResult]) -> String {
    let timeline = Timeline::of(run, Grid::over([run]));
    let mut data = Data::default();
    let body = html! {
        (headline::headline(run))
        (headline::findings(run))
        (headline::figures(run))
        (judged::slos(run))
        @if !compared.is_empty() { (compared::compared(run, compared, &mut data)) }
        (plots::plots(run, &timeline, &mut data))
        (gateway::gateway(run, &timeline, &mut data))
        (table::phases(run))
        (table::classes(run))
        (table::latencies(run))
        (ledger::ledger(run))
        (ledger::codes(run))
        (ledger::problems(run))
        (judged::verification(run))
        (judged::closed_loop(run))
        (machine::usage(run))
        (machine::shards(run))
        (machine::config(run))
    };
    page(run, &body, &data).into_string()
}

fn page(run: &RunResult, body: &Markup, data: &Data) -> Markup {
    let policy = format!("default-src 'none'; style-src '{}'; script-src '{}'", allowed(STYLE), allowed(SCRIPT));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (run.config.scenario) ": " (headline::word(run.verdict)) " · Headgate load test" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                // What fills the seconds in which the load tester was the limit.
                svg .defs width="0" height="0" aria-hidden="true" {
                    defs {
                        pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse"
                            patternTransform="rotate(45)" {
                            rect width="6" height="6" {}
                            path d="M0 0V6" {}
                        }
                    }
                }
                main { (body) }
                footer { "Written by headgate-loadtest " (env!("CARGO_PKG_VERSION")) "." }
                div #tip role="status" hidden {}
                script type="application/json" #data { (PreEscaped(data.json())) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// The one text that a browser may take for a style or script of the page.
fn allowed(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// A share of all events, a second; zero in a run without a length.
fn per_second(run: &RunResult, events: u64) -> f64 {
    let seconds = run.elapsed.as_secs_f64();
    if seconds > 0.0 { events as f64 / seconds } else { 0.0 }
}
