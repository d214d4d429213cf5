//! What came of it, whether it checked out, and what to do next.

use std::time::Duration;

use headgate_loadtest::health::ProcessUsage;
use headgate_loadtest::result::Verification;
use headgate_loadtest::verify::lake::Contents;
use headgate_loadtest::{Percentiles, Report};

use super::gateway::Gateway;
use headgate_loadtest::terminal::{Line, Look, Screen};

use super::{Folders, LINGER, words};

/// What the summary is made of.
pub(super) struct Figures<'a> {
    pub(super) report: &'a Report,
    pub(super) gateway: ProcessUsage,
    /// What the demo itself, and so mostly the load generator, has used.
    pub(super) own: ProcessUsage,
    pub(super) contents: &'a Contents,
    /// How long it took to compact what was left in the log.
    pub(super) compacted: Duration,
}

/// Shows the run's figures.
pub(super) fn show(screen: &Screen, figures: &Figures<'_>) {
    let Figures { report, gateway, own, contents, compacted } = figures;
    let row = |name: &str, text: String| screen.line(&Line::dim(format!("  {name:<16}")).then_plain(text));
    let ledger = &report.ledger;
    screen.line(&Line::strong("\nSummary"));
    row(
        "acknowledged",
        format!(
            "{} events in {}, {} a second",
            words::count(ledger.accepted),
            words::duration(report.elapsed),
            words::count((ledger.accepted as f64 / report.elapsed.as_secs_f64()).round() as u64)
        ),
    );
    let mut reasons: Vec<_> = ledger.rejected.iter().collect();
    reasons.sort_by_key(|(_, events)| std::cmp::Reverse(**events));
    let reasons: Vec<_> =
        reasons.iter().map(|(reason, events)| format!("{reason} {}", words::count(**events))).collect();
    let bad = if reasons.is_empty() { String::new() } else { format!(" (bad on purpose): {}", reasons.join(", ")) };
    row("rejected", format!("{}{bad}", words::count(ledger.rejected_total())));
    row(
        "the others",
        format!(
            "{} sent again, {} reconnects, {} unknown, {} failed, {} not sent because too many were unanswered",
            words::count(ledger.resent),
            words::count(report.reconnects),
            words::count(ledger.unknown),
            words::count(ledger.failed),
            words::count(ledger.overflow)
        ),
    );
    row(
        "latency",
        format!(
            "{}, from the game server's hands until stored; of it up to {} is the client's waiting for more",
            percentiles(&report.ack.percentiles()),
            words::latency(LINGER)
        ),
    );
    row(
        "load generator",
        format!(
            "{} behind the intended instant; {:.1} s of CPU",
            percentiles(&report.lag.percentiles()),
            own.cpu.as_secs_f64()
        ),
    );
    if !gateway.cpu.is_zero() {
        let events = ledger.accepted + ledger.rejected_total();
        let per_million = gateway.cpu.as_secs_f64() * 1e6 / (events.max(1) as f64);
        row(
            "gateway",
            format!(
                "{:.1} s of CPU, {per_million:.2} s for a million events (start and Parquet included); {} resident at most",
                gateway.cpu.as_secs_f64(),
                words::bytes(gateway.peak_resident)
            ),
        );
    }
    row(
        "lake",
        format!(
            "{} rows in {} Parquet {}, {} (the rest of the log compacted in {})",
            words::count(contents.ids.len() as u64),
            contents.files,
            if contents.files == 1 { "file" } else { "files" },
            words::bytes(contents.bytes),
            words::latency(*compacted)
        ),
    );
    for (problem, times) in &report.problems {
        screen.line(&Line::default().then(Look::Bad, format!("  {} × {problem}", words::count(*times))));
    }
}

fn percentiles(percentiles: &Percentiles) -> String {
    let Percentiles { p50, p99, p999, max, .. } = *percentiles;
    let [p50, p99, p999, max] = [p50, p99, p999, max].map(words::latency);
    format!("p50 {p50}, p99 {p99}, p99.9 {p999}, max {max}")
}

/// Shows whether the lake holds what was promised, and returns what does not check out.
pub(super) fn verdict(screen: &Screen, report: &Report, found: &Verification) -> Vec<String> {
    let problems = problems(report, found);
    for problem in &problems {
        screen.line(&Line::default().then(Look::Bad, format!("  ✗ {problem}")));
    }
    if problems.is_empty() {
        let promise = format!("all {} acknowledged events are in the lake exactly once", words::count(found.stored));
        let rest = if found.undecided_stored > 0 {
            format!("; so are {} without a certain answer", words::count(found.undecided_stored))
        } else {
            String::new()
        };
        screen.line(
            &Line::default()
                .then(Look::Good, "  ✓ verified      ")
                .then_plain(format!("{promise}, and no rejected one is{rest}")),
        );
    }
    problems
}

fn problems(report: &Report, found: &Verification) -> Vec<String> {
    let ledger = &report.ledger;
    let claims = [
        (found.missing, "acknowledged events are not in the lake"),
        (found.doubled, "rows of the lake double an event"),
        (found.rejected_stored, "rejected events are in the lake"),
        (found.foreign, "rows of the lake are of events that were never sent"),
        (ledger.failed, "events failed"),
        (ledger.in_flight, "events have no end"),
    ];
    let mut problems: Vec<String> = claims
        .into_iter()
        .filter(|(events, _)| *events > 0)
        .map(|(events, what)| format!("{} {what}", words::count(events)))
        .collect();
    if !ledger.balances() {
        problems.push(format!("the ledger does not balance: {ledger:?}"));
    }
    if ledger.accepted == 0 {
        problems.push("no event was acknowledged".to_owned());
    }
    problems
}

/// Shows where things are, and what one could do with them.
pub(super) fn what_next(screen: &Screen, folders: &Folders, gateway: &Gateway) {
    let endpoint = gateway.endpoint();
    let address = endpoint.trim_start_matches("http://");
    let binary = gateway.binary().display();
    let data = folders.data.display();
    let key_file = gateway.api_key_file();
    screen.line(&Line::strong("\nThe gateway goes on serving. ").then_plain("Ctrl-C stops it."));
    let row = |name: &str, text: String| screen.line(&Line::dim(format!("  {name:<14}")).then_plain(text));
    row("gRPC", format!("{endpoint} (plaintext), service headgate.v1.IngestService"));
    row("API key", key_file.display().to_string());
    row("metrics", format!("{}/metrics", gateway.operators()));
    row("lake", format!("{data}/lake/raw_events"));
    row("log", folders.gateway_log.display().to_string());
    screen.line(&Line::strong("\nSend an event yourself"));
    screen.line(&Line::plain(format!(
        "  grpcurl -plaintext -H \"x-api-key: $(cat {})\" \\\n    \
         -d '{{\"events\":[{{\"event_type\":\"hello\",\"event_name\":\"hello.world\",\"event_timestamp\":\"'$(date -u +%FT%TZ)'\"}}]}}' \\\n    \
         {address} headgate.v1.IngestService/PublishEvents",
        key_file.display()
    )));
    screen.line(&Line::strong("\nLook around"));
    for command in ["apps list", "lake compact", "lake verify"] {
        screen.line(&Line::plain(format!("  {binary} {command} --data-dir {data}")));
    }
}

#[cfg(test)]
mod tests {
    use headgate_loadtest::Ledger;

    use super::*;

    fn report(ledger: Ledger) -> Report {
        Report {
            elapsed: Duration::from_secs(1),
            ledger,
            ack: Default::default(),
            service: Default::default(),
            lag: Default::default(),
            ids: Default::default(),
            problems: Default::default(),
            reconnects: 0,
        }
    }

    #[test]
    fn only_a_run_whose_every_promise_holds_has_no_problem() {
        let good = Ledger { due: 10, sent: 10, accepted: 9, unknown: 1, ..Ledger::default() };
        let found = Verification { stored: 9, undecided_stored: 1, ..Verification::default() };
        assert_eq!(problems(&report(good.clone()), &found), Vec::<String>::new());

        let broken = [
            Verification { missing: 1, ..found.clone() },
            Verification { doubled: 1, ..found.clone() },
            Verification { rejected_stored: 1, ..found.clone() },
            Verification { foreign: 1, ..found.clone() },
        ];
        for found in broken {
            assert_eq!(problems(&report(good.clone()), &found).len(), 1, "{found:?}");
        }
        assert_eq!(problems(&report(Ledger { due: 11, failed: 1, ..good.clone() }), &found), ["1 events failed"]);
        assert_eq!(problems(&report(Ledger { due: 12, ..good }), &found).len(), 1, "two events are nowhere");
        assert_eq!(problems(&report(Ledger::default()), &Verification::default()), ["no event was acknowledged"]);
    }
}
