//! Verdicts: a load tester that is the limit blames itself, and a gateway that breaks a rule is named with it.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::sleep;

use super::{House, balanced};

const PANIC: &str = "actions = [{ at = \"1s\", do = \"panic\", server = 0 }]";

/// Nothing of a game server that vanished may look like a gateway that was asked for less.
#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_panics_is_noticed_with_both_drivers() {
    let house = House::new().await;
    let scenario = house.home().join("panic.toml");
    std::fs::write(&scenario, PANIC).expect("the folder can be written");
    for driver in ["goose", "native"] {
        let tester = house.load(&["--workload", "panic.toml", "--run-time", "4", "--driver", driver]);
        let result = tester.ended().await.result(4);
        let named = result.findings.iter().any(|finding| finding.contains("1 of 8 game servers' drivers panicked"));
        assert!(named, "{driver}: {:?}", result.findings);
        assert!(result.problems.keys().any(|problem| problem.contains("panicked")), "{driver}: {:?}", result.problems);
    }
}

/// The load tester itself is stopped three times for longer than a second, so every answer seems late and the rule is
/// broken: the run is invalid, and says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_saturated_load_tester_never_blames_the_gateway() {
    let house = House::new().await;
    let tester = house.load(&["--run-time", "10", "--slo", "ack.p99 < 1ms"]);
    tester.in_progress().await;
    for _ in 0..3 {
        tester.signal(Signal::STOP);
        sleep(Duration::from_millis(1_200)).await;
        tester.signal(Signal::CONT);
        sleep(Duration::from_millis(300)).await;
    }
    let result = tester.ended().await.result(4);
    assert_eq!(result.slos[0].passed, Some(false), "the rule is broken too: {:?}", result.slos);
    let advice = result.findings.first().expect("a finding");
    assert!(advice.starts_with("The load tester was the limit") && advice.contains("more shards"), "{advice}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_rule_fails_the_run_and_ends_it_early_where_that_is_asked_for() {
    let house = House::new().await;
    let rules = ["--slo", "error-rate <= 0", "--slo", "ack.p50 < 1us"];
    let flags = [&rules[..], &["--run-time", "60", "--abort-on-slo", "--allow-invalid"]].concat();
    let result = house.load(&flags).ended().await.result(3);
    balanced(&result.ledger);
    let passed: Vec<_> = result.slos.iter().map(|slo| slo.passed).collect();
    assert_eq!(passed, [Some(true), Some(false)]);
    assert!(result.elapsed < Duration::from_secs(30), "{:?}", result.elapsed);
    assert!(result.findings.iter().any(|finding| finding.contains("ended early")), "{:?}", result.findings);
}
