//! Where every event has gone, as a sum that a reader can check; answers by code; what went wrong in words.

use maud::{Markup, html};

use super::format;
use super::judged::mark;
use super::table::{heads, scroll};
use crate::result::RunResult;

pub(super) fn ledger(run: &RunResult) -> Markup {
    let ledger = &run.ledger;
    let mut ends: Vec<(String, u64, &str)> = vec![("Accepted".into(), ledger.accepted, "answered as stored")];
    ends.extend(
        ledger.rejected.iter().map(|(reason, events)| (format!("Rejected: {reason}"), *events, "breaks a rule")),
    );
    if ledger.rejected.is_empty() {
        ends.push(("Rejected".into(), 0, "breaks a rule"));
    }
    ends.extend([
        ("Unknown".into(), ledger.unknown, "the gateway could not say whether it is stored"),
        ("Failed".into(), ledger.failed, "refused for good, or without an answer when the run ended"),
        ("Overflow".into(), ledger.overflow, "never sent: too many batches were unanswered"),
        ("In flight".into(), ledger.in_flight, "without an end yet"),
    ]);
    let sum: u64 = ends.iter().map(|(_, events, _)| events).sum();
    html! {
        section #ledger {
            h2 { "Ledger" }
            p { "Every event that was due is in exactly one row. "
                @if ledger.balances() { (mark("good", "The sum is the number of events due")) }
                @else { (mark("bad", &format!("The sum is off by {}", format::count(sum.abs_diff(ledger.due))))) } }
            (scroll("Ledger", &html! {
                (heads("Where they are", &["Events", "of due"]))
                tbody {
                    @for (name, events, says) in &ends {
                        tr { th scope="row" { (name) span .sub { (says) } } td .n { (format::count(*events)) }
                            td .n { (format::part(*events, ledger.due)) } }
                    }
                }
                tbody .sum {
                    tr {
                        th scope="row" { "Sum" }
                        td .n { (format::count(sum)) }
                        td .n { (format::part(sum, ledger.due)) }
                    }
                    tr { th scope="row" { "Due" } td .n { (format::count(ledger.due)) } td .n {} }
                }
            }))
            p .note {
                (format::count(ledger.sent)) " events were sent at least once, and " (format::count(ledger.resent))
                " times one was sent again; " (format::count(ledger.retry)) " times the gateway had asked for that."
            }
        }
    }
}

pub(super) fn codes(run: &RunResult) -> Markup {
    let all: u64 = run.codes.values().sum();
    html! {
        @if all > 0 {
            section #codes-table {
                h2 { "Answers by code" }
                (scroll("Answers by code", &html! {
                    (heads("gRPC code", &["Batches", "of all"]))
                    tbody { @for (code, batches) in &run.codes {
                        tr {
                            th scope="row" { code { (code) } }
                            td .n { (format::count(*batches)) }
                            td .n { (format::part(*batches, all)) }
                        }
                    } }
                }))
            }
        }
    }
}

pub(super) fn problems(run: &RunResult) -> Markup {
    let mut problems: Vec<(&String, &u64)> = run.problems.iter().collect();
    problems.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
    html! {
        section #problems {
            h2 { "Problems" }
            @if problems.is_empty() { p .empty { "None." } }
            @else {
                (scroll("Problems", &html! {
                    (heads("What went wrong", &["Events or times"]))
                    tbody { @for (problem, times) in problems {
                        tr { th .words scope="row" { (problem) } td .n { (format::count(*times)) } }
                    } }
                }))
            }
        }
    }
}
