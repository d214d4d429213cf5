//! What was judged and how: the rules, the destination, and the closed loop beside the open one.

use maud::{Markup, html};

use super::format;
use super::headline::icon;
use super::table::{heads, scroll};
use crate::result::RunResult;

pub(super) fn slos(run: &RunResult) -> Markup {
    html! {
        section #slos {
            h2 { "Rules" }
            @if run.slos.is_empty() { p .empty { "The run had no rules." } }
            @else {
                (scroll("Rules", &html! {
                    thead { tr { @for name in ["Rule", "Observed", "Judgement"] { th scope="col" { (name) } } } }
                    tbody {
                        @for slo in &run.slos {
                            @let (class, word) = match slo.passed {
                                Some(true) => ("good", "holds"),
                                Some(false) => ("bad", "fails"),
                                None => ("none", "not judged"),
                            };
                            tr {
                                th scope="row" { code { (slo.rule) } }
                                td { (slo.observed) }
                                td { (mark(class, word)) }
                            }
                        }
                    }
                }))
            }
        }
    }
}

/// A judgement as a sign and a word.
pub(super) fn mark(class: &str, word: &str) -> Markup {
    html! { span .mark .(class) { (icon(class)) (word) } }
}

pub(super) fn verification(run: &RunResult) -> Markup {
    html! {
        section #verification {
            h2 { "Verification" }
            @match &run.verification {
                None => p .empty { "The destination was not asked what it holds." },
                Some(found) => {
                    @let missing = format!("{} acknowledged events are missing", format::count(found.missing));
                    p {
                        "What " code { (found.destination) } " holds, against the answers of the gateway: "
                        @if found.missing == 0 { (mark("good", "nothing acknowledged is missing")) }
                        @else { (mark("bad", &missing)) }
                    }
                    (scroll("Verification", &html! {
                        tbody {
                            @for (name, events, says) in [
                                ("Stored", found.stored, "acknowledged, and there"),
                                ("Missing", found.missing, "acknowledged, and not there: lost"),
                                ("Doubled", found.doubled, "records beyond the first of an id"),
                                ("Rejected, stored", found.rejected_stored, "rejected, and there all the same"),
                                ("Undecided, stored", found.undecided_stored, "never answered for certain, and there"),
                                ("Foreign", found.foreign, "there, and not from this run: no fault"),
                            ] {
                                tr { th scope="row" { (name) } td .n { (format::count(events)) } td { (says) } }
                            }
                        }
                    }))
                    @if !found.examples.is_empty() {
                        p { "Some of the missing:" }
                        ul .ids { @for id in &found.examples { li { code { (id) } } } }
                    }
                }
            }
        }
    }
}

pub(super) fn closed_loop(run: &RunResult) -> Markup {
    let Some(closed) = &run.closed_loop else { return html! {} };
    let ack = &run.latencies.ack;
    let open = |share: f64| if ack.count() == 0 { "–".into() } else { format::latency(ack.quantile(share)) };
    html! {
        section #closed-loop {
            h2 { "Closed loop beside the open one" }
            p .prose {
                "Each of Goose's " (format::count(closed.users.into()))
                " users waits for an answer before it sends again: a gateway that stands still stops them too, and the \
                 calls that they would have made meanwhile are missing from their figures (coordinated omission). The \
                 open loop has every event that was due, timed from the instant at which its batch was to leave."
            }
            (scroll("Closed loop beside the open one", &html! {
                (heads("", &["Measured", "p50", "p99", "max"]))
                tbody {
                    tr {
                        th scope="row" { "Open loop (ack)" } td .n { (format::count(ack.count())) " events" }
                        td .n { (open(0.5)) } td .n { (open(0.99)) }
                        td .n { @if ack.count() == 0 { "–" } @else { (format::latency(ack.max())) } }
                    }
                    tr {
                        th scope="row" { "Closed loop (Goose)" } td .n { (format::count(closed.calls)) " calls" }
                        @for us in [closed.p50_us, closed.p99_us, closed.max_us] {
                            td .n { @if closed.calls == 0 { "–" } @else { (format::micros(us as f64)) } }
                        }
                    }
                }
            }))
        }
    }
}
