use super::super::sample::{fill, log_normal, run};
use super::*;
use crate::engine::Draw;
use crate::result::Interval;

/// A minute of 100 events a second around so many microseconds.
fn minute(seed: u64, median_us: f64) -> RunResult {
    run(60, seed, move |draw: &mut Draw, _, interval: &mut Interval| fill(draw, interval, 500, median_us))
}

fn metric<'a>(comparison: &'a Comparison, name: &str) -> &'a Metric {
    comparison.metrics.iter().find(|metric| metric.name == name).expect("a metric of that name")
}

fn held(a: &RunResult, b: &RunResult) -> Comparison {
    compare(a, b, &CompareOptions::default()).expect("like with like")
}

#[test]
fn runs_of_the_same_gateway_are_not_called_worse() {
    let options = CompareOptions { resamples: 500, ..CompareOptions::default() };
    let worse = (0..10)
        .filter(|seed| {
            let (a, b) = (minute(100 + seed, 3_000.0), minute(200 + seed, 3_000.0));
            compare(&a, &b, &options).expect("like with like").verdict == Some(Change::Worse)
        })
        .count();
    assert!(worse <= 1, "{worse} of 10 pairs that differ by chance alone are called worse");
}

#[test]
fn a_fifth_more_latency_is_worse_and_a_fifth_less_is_better() {
    let (slow, fast) = (minute(1, 3_600.0), minute(2, 3_000.0));
    let worse = held(&fast, &slow);
    assert_eq!((worse.verdict, worse.exit_code()), (Some(Change::Worse), 3));
    let p50 = metric(&worse, "ack.p50");
    let [low, high] = p50.interval.expect("enough blocks");
    assert!(low < 0.2 && 0.2 < high && high - low < 0.06, "{p50:?}");
    assert!((p50.change.expect("a ratio") - 0.2).abs() < 0.03, "{p50:?}");
    assert_eq!(metric(&worse, "throughput").verdict, Some(Change::Same));
    assert_eq!(metric(&worse, "cpu_per_event").verdict, Some(Change::Same));
    let age = metric(&worse, "event_age.p99");
    assert!(age.change.is_some() && age.interval.is_none() && age.verdict.is_none());
    let better = held(&slow, &fast);
    assert_eq!(metric(&better, "service.p90").verdict, Some(Change::Better));
    assert_eq!(better.exit_code(), 0);
}

#[test]
fn fewer_events_or_more_cpu_for_each_are_worse() {
    let few = run(60, 3, |draw, _, interval| fill(draw, interval, 400, 3_000.0));
    let fewer = held(&minute(4, 3_000.0), &few);
    assert_eq!(metric(&fewer, "throughput").verdict, Some(Change::Worse));
    assert_eq!(fewer.verdict, Some(Change::Worse));
    let mut costly = minute(5, 3_000.0);
    costly.intervals.iter_mut().for_each(|interval| interval.health.cpu_s *= 1.3);
    assert_eq!(metric(&held(&minute(4, 3_000.0), &costly), "cpu_per_event").verdict, Some(Change::Worse));
}

#[test]
fn the_same_seed_gives_the_same_intervals() {
    let (a, b) = (minute(1, 3_000.0), minute(2, 3_100.0));
    assert_eq!(held(&a, &b).metrics, held(&a, &b).metrics);
    let other = compare(&a, &b, &CompareOptions { seed: 2, ..CompareOptions::default() }).expect("like with like");
    assert_ne!(held(&a, &b).metrics, other.metrics);
}

/// Seconds that resemble their neighbours: a level that holds for about 10 s at a time.
fn drifting(seconds: u32, seed: u64) -> RunResult {
    let mut level = 0.0;
    run(seconds, seed, move |draw, _, interval| {
        level = 0.9 * level + 0.1 * log_normal(draw, 1.0, 1.0).ln();
        fill(draw, interval, 50, 3_000.0 * f64::exp(level));
    })
}

#[test]
fn where_seconds_resemble_their_neighbours_blocks_give_wider_intervals_than_seconds() {
    let (a, b) = (drifting(600, 1), drifting(600, 2));
    let width = |seconds| {
        let of = |run| Blocks::new(run, Duration::from_secs(seconds));
        let (a, b) = (of(&a), of(&b));
        let p50 = |run: &Blocks, weights: &[u32]| run.ack.quantile(0.5, weights);
        let changes = changes(&a, &b, &[&p50], 1_000, 1).remove(0);
        let [low, high] = interval(changes, (a.len(), b.len())).expect("enough blocks");
        high - low
    };
    let (naive, blocks) = (width(1), width(10));
    assert!(blocks > 1.5 * naive, "10 s blocks {blocks}, seconds {naive}");
}

#[test]
fn blocks_are_lengthened_until_they_do_not_resemble_their_neighbours() {
    let (a, b) = (drifting(1_200, 1), drifting(1_200, 2));
    let options = CompareOptions { block: Duration::from_secs(2), resamples: 100, ..CompareOptions::default() };
    let drifting = compare(&a, &b, &options).expect("like with like");
    assert!(drifting.a.blocks < 300, "{} blocks", drifting.a.blocks);
    assert!(drifting.findings[0].contains("resemble"), "{:?}", drifting.findings);
    let steady = compare(&minute(1, 3_000.0), &minute(2, 3_000.0), &options).expect("like with like");
    assert_eq!((steady.a.blocks, steady.findings.len()), (30, 0), "{:?}", steady.findings);
}

#[test]
fn too_few_blocks_give_figures_and_no_verdict() {
    let short = |seed| run(24, seed, |draw, _, interval| fill(draw, interval, 100, 3_000.0));
    let comparison = held(&short(1), &short(2));
    assert_eq!((comparison.verdict, comparison.exit_code()), (None, 0));
    assert!(comparison.findings.iter().any(|finding| finding.contains("too few")), "{:?}", comparison.findings);
    assert!(comparison.metrics.iter().all(|metric| metric.verdict.is_none() && metric.interval.is_none()));
    assert!(comparison.metrics.iter().all(|metric| metric.a > 0.0 && metric.b > 0.0));
}

#[test]
fn different_settings_are_refused_by_name_unless_forced() {
    let (a, mut b) = (minute(1, 3_000.0), minute(2, 3_000.0));
    b.config.linger = Duration::from_millis(20);
    b.config.endpoint = "http://127.0.0.1:1".to_owned();
    b.config_hash = b.config.hash();
    let error = compare(&a, &b, &CompareOptions::default()).expect_err("unlike").to_string();
    assert!(error.contains(r#"settings: linger ("50ms" and "20ms");"#), "{error}");
    let forced = compare(&a, &b, &CompareOptions { force: true, ..CompareOptions::default() }).expect("forced");
    assert_eq!(forced.differences.len(), 1);
}

#[test]
fn a_lossy_or_invalid_run_never_exits_as_if_it_were_as_good() {
    let forced = CompareOptions { force: true, resamples: 100, ..CompareOptions::default() };
    let exits = |verdict_a, verdict_b| {
        let (mut a, mut b) = (minute(1, 3_000.0), minute(2, 3_000.0));
        (a.verdict, b.verdict) = (verdict_a, verdict_b);
        let plain = CompareOptions { force: false, ..forced };
        [plain, forced].map(|options| compare(&a, &b, &options).expect("like with like").exit_code())
    };
    assert_eq!(exits(Verdict::Pass, Verdict::Pass), [0, 0]);
    assert_eq!(exits(Verdict::Pass, Verdict::DataLoss), [3, 3]);
    assert_eq!(exits(Verdict::Pass, Verdict::SloFailed), [3, 3]);
    assert_eq!(exits(Verdict::Pass, Verdict::Invalid), [4, 0]);
    assert_eq!(exits(Verdict::Invalid, Verdict::Pass), [4, 0]);
    assert_eq!(exits(Verdict::Invalid, Verdict::DataLoss), [3, 3]);
    assert_eq!(exits(Verdict::Invalid, Verdict::SloFailed), [4, 3]);
    assert_eq!(exits(Verdict::DataLoss, Verdict::Pass), [0, 0], "the baseline's faults are not those of B");
}

#[test]
fn what_every_run_has_of_its_own_is_no_difference() {
    let (mut a, mut b) = (minute(1, 3_000.0), minute(2, 3_000.0));
    (a.config.run_id, b.config.run_id) = (1, 2);
    b.config.players += 1;
    b.config_hash = b.config.hash();
    let fields: Vec<String> = differences(&a.config, &b.config).into_iter().map(|found| found.field).collect();
    assert_eq!(fields, ["players"]);
}
