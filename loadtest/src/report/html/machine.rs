//! What the load tester ran on, what it used, which parts a merged result has, and all settings.

use maud::{Markup, html};

use super::format;
use super::headline;
use super::judged::mark;
use super::table::scroll;
use crate::result::RunResult;

pub(super) fn usage(run: &RunResult) -> Markup {
    let (usage, machine) = (&run.usage, &run.environment);
    let seconds = run.elapsed.as_secs_f64();
    let cores = if seconds > 0.0 { usage.cpu_s / seconds } else { 0.0 };
    let rows = [
        ("CPU time", format!("{} s: {} cores on average", format::number(usage.cpu_s), format::number(cores))),
        ("CPU for each event", format!("{} µs", format::number(usage.cpu_us_per_event))),
        ("Memory in the middle of the run", format::bytes(usage.resident as f64)),
        ("Most memory", format::bytes(usage.peak_resident as f64)),
        ("Memory for each player", format::bytes(usage.bytes_per_player)),
        ("Events in a batch", format!("{} on average", format::number(usage.events_per_batch))),
        ("Machine", machine_of(run)),
        ("Kernel", or_dash(&machine.kernel).to_owned()),
        ("Host", or_dash(&machine.host).to_owned()),
    ];
    html! {
        section #usage {
            h2 { "What the load tester used" }
            (scroll("What the load tester used", &html! {
                tbody { @for (name, value) in &rows { tr { th scope="row" { (name) } td { (value) } } } }
            }))
        }
    }
}

fn machine_of(run: &RunResult) -> String {
    let machine = &run.environment;
    match machine.cores {
        0 => or_dash(&machine.cpu).to_owned(),
        cores => format!("{}, {cores} cores, {}", or_dash(&machine.cpu), format::bytes(machine.memory as f64)),
    }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}

pub(super) fn shards(run: &RunResult) -> Markup {
    html! {
        @if !run.shards.is_empty() {
            section #shards {
                h2 { "Shards" }
                p .says {
                    "The parts that this result was merged from; their histograms were added bucket by bucket, so \
                     percentiles are exact."
                }
                (scroll("Shards", &html! {
                    thead { tr {
                        @for name in ["Shard", "Host"] { th scope="col" { (name) } }
                        @for name in ["Start", "Events due", "Verdict"] { th .n scope="col" { (name) } }
                    } }
                    tbody { @for shard in &run.shards {
                        tr {
                            th scope="row" { (shard.index) " of " (shard.of) }
                            td { (shard.host) }
                            td .n { (format::instant(shard.started_at)) }
                            td .n { (format::count(shard.due)) }
                            td .n { (mark(headline::class(shard.verdict), headline::word(shard.verdict))) }
                        }
                    } }
                }))
            }
        }
    }
}

pub(super) fn config(run: &RunResult) -> Markup {
    // TOML has no integers past 2⁶³: a seed may be one.
    let text = toml::to_string_pretty(&run.config)
        .or_else(|_| serde_json::to_string_pretty(&run.config))
        .unwrap_or_else(|error| format!("the settings can't be written: {error}"));
    html! {
        section #config {
            h2 { "Settings" }
            p { "Hash " code { (run.config_hash) } ": runs with the same one can be compared." }
            details {
                summary { "All settings of the run" }
                pre tabindex="0" { code { (text) } }
            }
        }
    }
}
