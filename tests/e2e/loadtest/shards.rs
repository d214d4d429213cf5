//! Shards without a coordinator, and runs held against one another.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use headgate_loadtest::result;
use headgate_tests::loadtest::{Ended, LoadTester};

use super::{House, balanced};

const COMMON: [&str; 5] = ["--run-time", "4", "--seed", "7", "--allow-invalid"];

async fn command(house: &House, arguments: &[&str]) -> Ended {
    LoadTester::run(house.home(), arguments).await
}

fn json(ended: &Ended) -> String {
    ended.result_file().display().to_string()
}

/// The same seed and settings make the same events, whole or in parts; what was measured adds up bucket for bucket.
#[tokio::test(flavor = "multi_thread")]
async fn two_shards_merge_to_the_run_that_they_are_parts_of() {
    let house = House::new().await;
    let soon = SystemTime::now() + Duration::from_secs(10);
    let start = soon.duration_since(UNIX_EPOCH).expect("after 1970").as_secs().to_string();
    let shard = |which| house.load(&[&COMMON[..], &["--start-at", &start, "--shard", which]].concat());
    let (one, other) = (shard("1/2"), shard("2/2"));
    let (one, other) = (one.ended().await, other.ended().await);
    let (first, second) = (one.result(0), other.result(0));
    let whole = house.load(&COMMON).ended().await;
    let whole_result = whole.result(0);

    let out = house.home().join("merged.json").display().to_string();
    let merging = command(&house, &["merge", &json(&one), &json(&other), "--output", &out, "--allow-invalid"]).await;
    assert_eq!(merging.status, Some(0), "{merging}");
    let merged = result::read(out.as_ref()).expect("a result");
    balanced(&merged.ledger);
    assert_eq!(merged.ledger, whole_result.ledger, "the same events came to the same ends");
    let due = |run: &result::RunResult| run.intervals.iter().map(|interval| interval.due).sum::<u64>();
    assert_eq!((due(&merged), due(&merged)), (merged.ledger.due, due(&whole_result)));
    let mut ack = first.latencies.clone();
    ack.add(&second.latencies);
    assert_eq!(merged.latencies, ack, "bucket for bucket");
    assert_eq!(merged.shards.len(), 2);

    let half = house.home().join("half.json").display().to_string();
    let partial = command(&house, &["merge", &json(&other), "--output", &half]).await;
    assert_eq!(partial.status, Some(4), "{partial}");
    let findings = result::read(half.as_ref()).expect("a result").findings;
    assert!(findings.iter().any(|finding| finding.contains("Shard 1 of 2 has no result")), "{findings:?}");

    // Whole against whole is like with like; another linger is not.
    let equal = command(&house, &["compare", &json(&whole), &out]).await;
    assert_eq!(equal.status, Some(0), "{equal}");
    let lazier = house.load(&[&COMMON[..], &["--linger-ms", "250"]].concat()).ended().await;
    let refused = command(&house, &["compare", &json(&whole), &json(&lazier)]).await;
    assert_eq!(refused.status, Some(2), "{refused}");
    assert!(refused.complained.contains("linger (\"100ms\" and \"250ms\")"), "{refused}");
    assert!(!refused.complained.contains("run_id"), "what every run has of its own is no setting: {refused}");
}
