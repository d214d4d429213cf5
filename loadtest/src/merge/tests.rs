use super::*;
use crate::config::ShardOf;
use crate::engine::Draw;
use crate::record::Latencies;
use crate::result::{Gateway, HealthState, Interval, Look, MOST_LOOKS, Shard, Verdict, Verification};

fn steady(draw: &mut Draw, _: u32, interval: &mut Interval) {
    fill(draw, interval, 200, 3_000.0);
}

use super::sample::{fill, run};

/// The shard `index` of `of`: every bucket's count of every latency and every other count is dealt out evenly.
fn shard(whole: &RunResult, index: u32, of: u32) -> RunResult {
    let share = |count: u64| {
        let (index, of) = (u64::from(index), u64::from(of));
        count / of + u64::from(index <= count % of)
    };
    let latencies = |whole: &Latencies| {
        let mut part = Latencies::default();
        for (bucket, count) in whole.nonzero() {
            part.record_us(crate::record::bucket_floor(bucket), share(count));
        }
        part
    };
    let mut part = whole.clone();
    part.config.shard = ShardOf { index, of };
    // As a run lists itself: its verdict is not known yet.
    part.shards = vec![Shard {
        index,
        of,
        host: format!("host-{index}"),
        started_at: part.started_at,
        due: share(whole.ledger.due),
        verdict: Verdict::Pass,
    }];
    part.environment.host = format!("host-{index}");
    for interval in &mut part.intervals {
        interval.ack = latencies(&interval.ack);
        interval.service = latencies(&interval.service);
        interval.lag = latencies(&interval.lag);
        for count in [
            &mut interval.due,
            &mut interval.sent,
            &mut interval.accepted,
            &mut interval.online,
            &mut interval.in_flight,
            &mut interval.connections,
        ] {
            *count = share(*count);
        }
        interval.planned /= f64::from(of);
        interval.planned_online /= f64::from(of);
        interval.health.cpu_s /= f64::from(of);
    }
    let series = [&mut part.latencies, &mut part.classes.get_mut("good").expect("there").latencies];
    for series in series {
        for one in [&mut series.ack, &mut series.service, &mut series.event_age, &mut series.lag] {
            *one = latencies(one);
        }
    }
    for ledger in [&mut part.ledger, &mut part.classes.get_mut("good").expect("there").ledger] {
        for count in [&mut ledger.due, &mut ledger.sent, &mut ledger.accepted] {
            *count = share(*count);
        }
    }
    part.codes.values_mut().for_each(|count| *count = share(*count));
    part.classes.get_mut("good").expect("there").codes.values_mut().for_each(|count| *count = share(*count));
    part.usage.cpu_s /= f64::from(of);
    part.usage.resident /= u64::from(of);
    part.usage.peak_resident /= u64::from(of);
    part
}

fn shards(whole: &RunResult, of: u32) -> Vec<RunResult> {
    (1..=of).map(|index| shard(whole, index, of)).collect()
}

fn buckets(latencies: &Latencies) -> Vec<(usize, u64)> {
    latencies.nonzero().collect()
}

fn whole() -> RunResult {
    run(30, 7, steady)
}

fn all(results: Vec<RunResult>) -> Result<Merged, MergeError> {
    merge(results, MergeOptions::default(), |_| {})
}

#[test]
fn shards_merge_to_the_whole_exactly_in_any_order() {
    let whole = whole();
    let mut parts = shards(&whole, 3);
    let forward = all(parts.clone()).expect("merges");
    assert_eq!(forward.missing, Vec::<u32>::new());
    let found = &forward.result;
    assert_eq!((&found.ledger, &found.codes), (&whole.ledger, &whole.codes));
    assert_eq!(found.classes["good"].ledger, whole.ledger);
    assert_eq!(buckets(&found.latencies.ack), buckets(&whole.latencies.ack));
    assert_eq!(buckets(&found.latencies.event_age), buckets(&whole.latencies.event_age));
    assert_eq!(found.intervals.len(), whole.intervals.len());
    for (found, whole) in found.intervals.iter().zip(&whole.intervals) {
        assert_eq!((found.at, found.width, found.due, found.online), (whole.at, 1, whole.due, whole.online));
        assert_eq!(buckets(&found.ack), buckets(&whole.ack));
        assert_eq!(buckets(&found.lag), buckets(&whole.lag));
        assert!((found.planned - whole.planned).abs() < 1e-6);
    }
    assert!((found.usage.cpu_s - whole.usage.cpu_s).abs() < 1e-9);
    assert!((found.usage.cpu_us_per_event - 1.0).abs() < 1e-6, "{:?}", found.usage);
    assert!((found.usage.events_per_batch - 20.0).abs() < 1e-9);
    assert_eq!(found.config.shard, ShardOf { index: 1, of: 1 });
    assert_eq!(found.elapsed, whole.elapsed);
    assert_eq!(found.environment.cores, 6);
    assert_eq!((found.shards.len(), found.shards[2].host.as_str()), (3, "host-3"));

    parts.rotate_left(1);
    parts.swap(0, 1);
    let other = all(parts).expect("merges").result;
    let text = |result| serde_json::to_string(result).expect("serialises");
    assert_eq!(text(&other), text(found));
}

/// What a run writes, with the verdict that a run has: nothing of it stands in the way of a whole that passes.
#[test]
fn shards_that_pass_make_a_whole_that_passes() {
    let judge =
        |result: &mut RunResult| (result.verdict, result.findings) = crate::health::verdict(result, false, false);
    let mut parts = shards(&whole(), 3);
    parts.iter_mut().for_each(judge);
    for part in &parts {
        assert_eq!((part.verdict, part.shards.len()), (Verdict::Pass, 1), "{:?}", part.findings);
    }
    let merged = merge(parts, MergeOptions::default(), judge).expect("merges").result;
    assert_eq!((merged.verdict, merged.findings), (Verdict::Pass, Vec::new()));
    assert_eq!(merged.shards.iter().map(|shard| shard.index).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn files_merge_as_results_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let parts = shards(&whole(), 3);
    let paths: Vec<PathBuf> = parts.iter().map(|part| folder.path().join(&part.environment.host)).collect();
    for (part, path) in parts.iter().zip(&paths) {
        crate::result::write(part, path).expect("writes");
    }
    let from_files = merge_files(&paths, MergeOptions::default(), |_| {}).expect("merges").result;
    let text = |result| serde_json::to_string(result).expect("serialises");
    assert_eq!(text(&from_files), text(&all(parts).expect("merges").result));
    let absent = merge_files(&[folder.path().join("absent")], MergeOptions::default(), |_| {});
    assert!(matches!(absent, Err(MergeError::Unreadable(_))));
}

#[test]
fn a_missing_shard_makes_the_result_invalid_and_is_named() {
    let mut parts = shards(&whole(), 4);
    parts.remove(2);
    parts.remove(0);
    let merged = all(parts).expect("merges");
    assert_eq!(merged.missing, [1, 3]);
    assert_eq!(merged.result.verdict, Verdict::Invalid);
    assert!(merged.result.findings.iter().any(|finding| finding.ends_with(": 1, 3")), "{:?}", merged.result.findings);
}

#[test]
fn foreign_and_doubled_shards_are_refused() {
    let parts = shards(&whole(), 2);
    assert!(matches!(all(vec![parts[1].clone(), parts[1].clone()]), Err(MergeError::Duplicate(2))));
    assert!(matches!(all(Vec::new()), Err(MergeError::Nothing)));
    let other_split = shard(&whole(), 3, 3);
    assert!(matches!(
        all(vec![parts[0].clone(), other_split]),
        Err(MergeError::Split { index: 3, found: 3, expected: 2 })
    ));
    let beyond = shard(&whole(), 3, 2);
    assert!(matches!(all(vec![beyond]), Err(MergeError::NoSuchShard { index: 3, of: 2 })));
    let merged = all(parts.clone()).expect("merges").result;
    assert!(matches!(all(vec![merged]), Err(MergeError::AlreadyMerged(2))));
    let incomplete = all(vec![parts[0].clone()]).expect("merges").result;
    assert!(matches!(all(vec![incomplete]), Err(MergeError::AlreadyMerged(1))));

    let mut foreign = parts[1].clone();
    foreign.config.seed = 99;
    foreign.config.slos.push("loss == 0".to_owned());
    foreign.config.endpoint = "http://elsewhere:1".to_owned();
    foreign.config_hash = foreign.config.hash();
    let error = all(vec![parts[0].clone(), foreign]).expect_err("other settings").to_string();
    assert!(error.contains(r#"seed (1 and 99), slos[1] (null and "loss == 0");"#), "{error}");
}

#[test]
fn seconds_are_aligned_by_wall_clock() {
    let mut parts = shards(&whole(), 2);
    parts[1].started_at += 4.6;
    let merged = all(parts.clone()).expect("merges").result;
    assert_eq!(merged.intervals.len(), 35);
    assert_eq!(merged.elapsed, Duration::from_secs_f64(34.6));
    assert_eq!(merged.intervals[4].due, parts[0].intervals[4].due);
    assert_eq!(merged.intervals[5].due, parts[0].intervals[5].due + parts[1].intervals[0].due);
    assert_eq!(merged.intervals[34].due, parts[1].intervals[29].due);
    assert!(merged.findings.iter().any(|finding| finding.contains("4.6 s apart")), "{:?}", merged.findings);
    parts[1].started_at -= 3.0;
    assert_eq!(all(parts).expect("merges").result.findings, Vec::<String>::new());
}

#[test]
fn a_second_is_as_bad_as_its_worst_shard_and_an_invalid_shard_spoils_the_whole() {
    let mut parts = shards(&whole(), 2);
    parts[1].intervals[3].health.state = HealthState::Saturated;
    parts[0].verdict = Verdict::SloFailed;
    let merge_judged = |parts| {
        merge(parts, MergeOptions::default(), |result| {
            assert_eq!(result.intervals[3].health.state, HealthState::Saturated);
            assert_eq!((result.verdict, result.findings.len()), (Verdict::Pass, 0));
            result.findings.push("judged".to_owned());
        })
        .expect("merges")
        .result
    };
    let merged = merge_judged(parts.clone());
    assert_eq!((merged.verdict, merged.findings), (Verdict::Pass, vec!["judged".to_owned()]));
    parts[1].verdict = Verdict::Invalid;
    parts[1].findings = vec!["it was saturated".to_owned()];
    let merged = merge_judged(parts);
    assert_eq!(merged.verdict, Verdict::Invalid);
    assert_eq!(merged.findings[2], "shard 2: it was saturated");
}

#[test]
fn thinning_keeps_every_count() {
    let whole = run(100, 3, steady);
    let mut thinned = whole.intervals.clone();
    thin(&mut thinned, 13);
    assert_eq!(thinned.len(), 13);
    assert_eq!((thinned[0].width, thinned[1].at, thinned[12].width), (8, 8, 4));
    assert_eq!(thinned.iter().map(|interval| interval.due).sum::<u64>(), whole.ledger.due);
    let mut ack = Latencies::default();
    thinned.iter().for_each(|interval| ack.add(&interval.ack));
    assert_eq!(ack, whole.latencies.ack);
    thin(&mut thinned, 0);
    assert_eq!((thinned.len(), thinned[0].width), (1, 100));
}

#[test]
fn shards_thinned_differently_and_started_apart_lose_no_count() {
    let whole = run(60, 3, steady);
    let mut parts = shards(&whole, 2);
    thin(&mut parts[1].intervals, 20);
    parts[1].started_at += 1.0;
    let merged = all(parts).expect("merges").result;
    assert_eq!(merged.intervals.iter().map(|interval| interval.due).sum::<u64>(), whole.ledger.due);
    assert!(merged.intervals.iter().all(|interval| interval.width <= 4 && interval.at % 4 == 0));
    assert!(merged.intervals.windows(2).all(|pair| pair[0].at < pair[1].at));
}

#[test]
fn what_other_shards_stored_is_not_foreign() {
    let mut parts = shards(&whole(), 2);
    for (part, stored) in parts.iter_mut().zip([100, 50]) {
        let destination = "lake:there".to_owned();
        part.verification = Some(Verification { destination, stored, foreign: 7 + 150 - stored, ..Default::default() });
    }
    let merged = all(parts).expect("merges").result;
    let found = merged.verification.expect("verified");
    assert_eq!((found.stored, found.foreign, found.destination.as_str()), (150, 7, "lake:there"));
}

/// A shard sees a part of the goodput and of the connections, and the whole's rates.
#[test]
fn measures_are_those_of_the_whole_and_not_sums_or_means_of_its_parts() {
    let mut whole = whole();
    whole.config.quota = Some(400.0);
    whole.config.warm_up = Duration::from_secs(10);
    whole.config_hash = whole.config.hash();
    let mut parts = shards(&whole, 2);
    for (part, share) in parts.iter_mut().zip([1.0, 3.0]) {
        part.ledger.resent = (share * 100.0) as u64;
        part.measures = [
            ("goodput_per_s", 100.0),
            ("goodput_of_quota", 0.25),
            ("retry_amplification", share),
            ("early_retries", share),
            ("wrong_answers", share),
            ("highest_passing_rate_per_s", 1_000.0 * share),
            ("lowest_failing_rate_per_s", 2_000.0 * share),
            ("server_fds_grown", share),
            ("server_unsettled_at_end", share - 1.0),
        ]
        .map(|(name, figure)| (name.to_owned(), figure))
        .into();
    }
    let why = |why: &str| why.to_owned();
    parts[0].unmeasured = [("server_fds_grown", "no --operate"), ("p99_drift", "of the shard"), ("else", "unknown")]
        .map(|(name, reason)| (name.to_owned(), why(reason)))
        .into();
    let merged = all(parts).expect("merges").result;
    assert_eq!(merged.unmeasured.get("server_fds_grown"), None, "one of the shards measured it");
    assert_eq!(merged.unmeasured["else"], "unknown");
    #[cfg(feature = "cli")]
    assert!(merged.measures.contains_key("p99_drift") && !merged.unmeasured.contains_key("p99_drift"));
    let ledger = &merged.ledger;
    let amplification = (ledger.sent + 400) as f64 / ledger.sent as f64;
    for (name, expected) in [
        ("goodput_per_s", 200.0),
        ("goodput_of_quota", 0.5),
        ("retry_amplification", amplification),
        ("early_retries", 4.0),
        ("wrong_answers", 4.0),
        ("highest_passing_rate_per_s", 1_000.0),
        ("lowest_failing_rate_per_s", 2_000.0),
        ("server_fds_grown", 2.0),
        ("server_unsettled_at_end", 2.0),
    ] {
        assert!((merged.measures[name] - expected).abs() < 1e-9, "{name}: {:?}", merged.measures);
    }
    #[cfg(feature = "cli")]
    assert_eq!(merged.measures, {
        let own = [
            "wrong_answers",
            "highest_passing_rate_per_s",
            "lowest_failing_rate_per_s",
            "server_fds_grown",
            "server_unsettled_at_end",
        ];
        let mut expected = crate::run::measures::of(&merged, 4);
        expected.figures.extend(own.map(|name| (name.to_owned(), merged.measures[name])));
        expected.figures
    });
}

/// Two shards at one gateway, and a third at one of its own whose schedule began 3 s later.
#[test]
fn a_gateway_is_told_of_once_and_on_the_clock_of_the_whole() {
    let mut parts = shards(&whole(), 3);
    parts[2].started_at += 3.0;
    for (part, (operate, looks)) in parts.iter_mut().zip([("a:9090", 900), ("a:9090", 1_500), ("b:9090", 1_500)]) {
        let look = |place: u32| Look { at_s: place * 5, unsettled: Some(7), ..Look::default() };
        part.gateways = vec![Gateway {
            shard: part.config.shard.index,
            operate: operate.to_owned(),
            started_s: Some(999.0),
            looks: (0..looks).map(look).collect(),
        }];
    }
    let merged = all(parts).expect("merges").result;
    let told: Vec<(u32, &str)> = merged.gateways.iter().map(|one| (one.shard, one.operate.as_str())).collect();
    assert_eq!(told, [(2, "a:9090"), (3, "b:9090")], "the one that was looked at more often");
    assert_eq!(merged.gateways[1].looks[0].at_s, 3);
    let looks: usize = merged.gateways.iter().map(|gateway| gateway.looks.len()).sum();
    assert!((1_000..=MOST_LOOKS).contains(&looks), "{looks}");
}

#[test]
fn what_one_shard_could_not_find_out_is_unknown_of_the_whole() {
    let mut parts = shards(&whole(), 2);
    for (part, inconclusive) in parts.iter_mut().zip([true, false]) {
        part.verification =
            Some(Verification { stored: 9, missing: inconclusive.into(), inconclusive, ..Default::default() });
    }
    let found = all(parts).expect("merges").result.verification.expect("verified");
    assert_eq!((found.missing, found.inconclusive), (1, true));
}

#[test]
fn shards_of_different_runs_are_refused() {
    let mut parts = shards(&whole(), 2);
    (parts[0].config.run_id, parts[1].config.run_id) = (17, 18);
    assert_eq!(parts[0].config_hash, parts[1].config.hash(), "the hash does not tell them apart");
    let error = all(parts).expect_err("two runs").to_string();
    assert!(error.contains("another run (18) than the first (17)") && error.contains("--start-at"), "{error}");
}

#[test]
fn where_invalid_is_allowed_it_is_told_and_forces_nothing() {
    let mut parts = shards(&whole(), 3);
    parts[1].verdict = Verdict::Invalid;
    parts[1].findings = vec!["it was saturated".to_owned()];
    parts.remove(2);
    let options = MergeOptions { allow_invalid: true, ..MergeOptions::default() };
    let judge =
        |result: &mut RunResult| (result.verdict, result.findings) = crate::health::verdict(result, true, false);
    let merged = |parts| merge(parts, options, judge).expect("merges");
    let whole = merged(parts.clone());
    assert_eq!((whole.result.verdict, whole.missing), (Verdict::Pass, vec![3]));
    let told = whole.result.findings.join("\n");
    assert!(told.contains("these are missing") && told.contains("shard 2: it was saturated"), "{told}");
    parts[0].verdict = Verdict::DataLoss;
    assert_eq!(merged(parts).result.verdict, Verdict::DataLoss, "what is lost is lost");
}
