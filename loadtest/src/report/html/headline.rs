//! The first screen: the verdict, what was run when and where, why, and the figures that everybody asks for.

use maud::{Markup, html};

use super::{format, per_second};
use crate::config::{Driver, Transport};
use crate::record::Latencies;
use crate::result::{RunResult, Verdict};

/// The verdict in a word or two.
pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "passed",
        Verdict::SloFailed => "SLO failed",
        Verdict::Invalid => "invalid",
        Verdict::DataLoss => "data loss",
        Verdict::Interrupted => "interrupted",
    }
}

/// The class of its colours.
pub(super) fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "good",
        Verdict::SloFailed | Verdict::DataLoss => "bad",
        Verdict::Invalid => "warn",
        Verdict::Interrupted => "none",
    }
}

fn means(run: &RunResult) -> &'static str {
    match run.verdict {
        Verdict::Pass if run.slos.is_empty() => "The ledger balances; the run had no rules to hold.",
        Verdict::Pass if run.verification.is_some() => {
            "Every rule holds, the ledger balances, and every acknowledged event is at the destination."
        }
        Verdict::Pass => "Every rule holds and the ledger balances.",
        Verdict::SloFailed => "A rule does not hold.",
        Verdict::Invalid => {
            "The load tester itself was the limit, or offered less than planned: these figures say nothing about the \
             gateway."
        }
        Verdict::DataLoss => {
            "Acknowledged events are missing at the destination or there too often, or the ledger does not balance."
        }
        Verdict::Interrupted => "The run was ended early: the figures cover what had happened until then.",
    }
}

/// A verdict's or a rule's sign: a shape of its own for each, so that colour is not needed.
pub(super) fn icon(class: &str) -> Markup {
    let path = match class {
        "good" => "M5 12.5L10 17.5L19 7.5",
        "bad" => "M6.5 6.5L17.5 17.5M17.5 6.5L6.5 17.5",
        "warn" => "M12 5V14M12 18V18.5",
        _ => "M6 12H18",
    };
    html! { svg .icon width="24" height="24" viewBox="0 0 24 24" aria-hidden="true" { path d=(path) {} } }
}

pub(super) fn headline(run: &RunResult) -> Markup {
    let config = &run.config;
    let driver = match config.driver {
        Driver::Goose => "Goose",
        Driver::Native => "native driver",
    };
    let transport = match config.transport {
        Transport::Stream => "gRPC streams",
        Transport::Unary => "unary gRPC calls",
        Transport::Client => "headgate-client",
    };
    html! {
        header {
            p .brand { "Headgate load test" }
            h1 { (config.scenario) }
            @if !config.about.is_empty() { p .about { (config.about) } }
            div .verdict .(class(run.verdict)) {
                (icon(class(run.verdict)))
                div {
                    p .word { (word(run.verdict)) }
                    p { (means(run)) " " span .exit { "Exit status " (run.verdict.exit_code()) "." } }
                }
            }
            dl .facts {
                (fact("When", &html! { (format::instant(run.started_at)) }))
                (fact("How long", &html! {
                    (format::span(run.elapsed.as_secs_f64()))
                    @if run.elapsed.as_secs() != config.run_time.as_secs() {
                        " of " (format::span(config.run_time.as_secs_f64()))
                    }
                }))
                (fact("Load", &html! {
                    (format::count(config.players.into())) " players on "
                    (format::count(config.servers.into())) " game servers, " (transport) ", " (driver)
                }))
                (fact("Gateway", &html! { code { (config.endpoint) } }))
                (fact("Load tester", &html! {
                    @if run.environment.host.is_empty() { "–" } @else { (run.environment.host) }
                    @if run.environment.cores > 0 {
                        ", " (run.environment.cores) @if run.environment.cores == 1 { " core" } @else { " cores" }
                    }
                    @if run.shards.len() > 1 { ", " (run.shards.len()) " shards" }
                    ", version " (run.version)
                }))
            }
        }
    }
}

fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

pub(super) fn findings(run: &RunResult) -> Markup {
    html! {
        @if !run.findings.is_empty() {
            section #findings {
                h2 { "Findings" }
                ul .findings { @for finding in &run.findings { li { (finding) } } }
            }
        }
    }
}

/// The key figures, and what only this scenario measures.
pub(super) fn figures(run: &RunResult) -> Markup {
    let (ack, lag) = (&run.latencies.ack, &run.latencies.lag);
    let at = |latencies: &Latencies, share: f64| match latencies.count() {
        0 => "–".to_owned(),
        _ => format::latency(latencies.quantile(share)),
    };
    let tiles = [
        ("Offered", format::number(per_second(run, run.ledger.due)), "events/s"),
        ("Accepted", format::number(per_second(run, run.ledger.accepted)), "events/s"),
        ("Ack p50", at(ack, 0.5), ""),
        ("Ack p99", at(ack, 0.99), ""),
        ("Ack p99.9", at(ack, 0.999), ""),
        ("Lag p99", at(lag, 0.99), "the load tester's own"),
        ("CPU", format::number(run.usage.cpu_us_per_event), "µs/event"),
        ("Memory", format::bytes(run.usage.bytes_per_player), "each player"),
    ];
    html! {
        section #figures {
            h2 { "Key figures" }
            ul .tiles {
                @for (name, value, unit) in &tiles { (tile(name, value, unit)) }
                @for (name, value) in &run.measures {
                    @let (name, value, unit) = measure(name, *value);
                    (tile(&name, &value, unit))
                }
            }
        }
    }
}

fn tile(name: &str, value: &str, unit: &str) -> Markup {
    html! { li { span .name { (name) } " " span .value { (value) } " " span .unit { (unit) } } }
}

/// A measure's name in words, and its value in the unit that its name ends in.
fn measure(name: &str, value: f64) -> (String, String, &'static str) {
    let words = |name: &str| {
        let mut text = name.replace('_', " ");
        if let Some(first) = text.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        text
    };
    let stem = |suffix: &str| name.strip_suffix(suffix).map(words);
    if let Some(name) = stem("_us") {
        (name, format::micros(value), "")
    } else if let Some(name) = stem("_ms") {
        (name, format::micros(value * 1e3), "")
    } else if let Some(name) = stem("_per_s") {
        (name, format::number(value), "a second")
    } else if let Some(name) = stem("_s") {
        (name, format::micros(value * 1e6), "")
    } else if let Some(name) = stem("_share") {
        (name, format::share(value), "")
    } else {
        (words(name), format::number(value), "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measure_reads_in_the_unit_of_its_name() {
        let read = |name, value| {
            let (name, value, unit) = measure(name, value);
            format!("{name}: {value} {unit}").trim().to_owned()
        };
        assert_eq!(read("recovery_s", 4.25), "Recovery: 4.25 s");
        assert_eq!(read("connect_p99_ms", 12.0), "Connect p99: 12.0 ms");
        assert_eq!(read("goodput_per_s", 43_210.4), "Goodput: 43,210 a second");
        assert_eq!(read("back_share", 0.95), "Back: 95.0 %");
        assert_eq!(read("retry_amplification", 1.1), "Retry amplification: 1.10");
        assert_eq!(read("", 1.0), ": 1");
    }
}
