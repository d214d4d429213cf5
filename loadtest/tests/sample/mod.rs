//! Results as runs leave them, from a small model of a gateway that stalls: the same in each test run.

mod model;

use std::collections::BTreeMap;
use std::time::Duration;

use headgate_loadtest::config::{
    Action, Apps, Connections, Deed, Driver, PhasePlan, Profile, Retry, RunConfig, Transport,
};
use headgate_loadtest::result::{
    ClosedLoop, Environment, Gateway, HealthState, Look, MOST_LOOKS, Phase, RunResult, Series, Shard, SloResult, Usage,
    Verdict, Verification,
};
use headgate_loadtest::{Ledger, Model};

pub(crate) use model::{Shape, run};

/// 40 s of a launch in which the gateway stands still for 3 s, with everything that a result can hold.
pub(crate) fn stalled() -> RunResult {
    let mut result = run(&Shape { stall: Some((22.0, 25.0)), saturated: Some((33, 35)), ..Shape::launch(40) });
    result.verdict = Verdict::SloFailed;
    result.findings = vec![
        "ack p99 was 2.66 s and had to be at most 250 ms: the slowest second was 22.".into(),
        "the gateway stood still from 22 s to 25 s: nothing was answered, and what was due waited.".into(),
        "the load tester was saturated for 2 s (5.0 % of the run): a neighbour took the CPU.".into(),
    ];
    let slo = |rule: &str, passed, observed: &str| SloResult { rule: rule.into(), passed, observed: observed.into() };
    result.slos = vec![
        slo("ack.p99 <= 250ms", Some(false), "2.66 s"),
        slo("ack.p50 <= 20ms", Some(true), "1.4 ms"),
        slo("error-rate <= 1%", Some(true), "0.42 % of batches"),
        slo("class=good during hold: service.p99 <= 1.1x baseline", None, "no phase of this name"),
        slo("lost = 0", Some(true), "0 of 1,603,455"),
    ];
    result.measures = BTreeMap::from([("recovery_s".into(), 4.2), ("retry_amplification".into(), 1.07)]);
    result.problems = BTreeMap::from([
        ("call refused: RESOURCE_EXHAUSTED: the app's quota is used up, try again in 200 ms".into(), 41),
        ("stream broken: UNAVAILABLE: h2 protocol error: connection reset by peer".into(), 7),
    ]);
    result.verification = Some(Verification {
        destination: "lake:headgate-data/lake".into(),
        stored: result.ledger.accepted,
        doubled: 12,
        foreign: 4_410,
        ..Verification::default()
    });
    result.closed_loop =
        Some(ClosedLoop { users: 64, calls: 66_448, p50_us: 2_400, p99_us: 29_000, max_us: 2_966_000 });
    result.gateways = vec![gateway(&result, 1, 1.0)];
    result.config.actions = vec![Action { at: Duration::from_secs(30), deed: Deed::DropConnections { share: 0.25 } }];
    result
}

/// The same load an hour before, without the stall.
pub(crate) fn earlier() -> RunResult {
    let mut result = run(&Shape { slower: 1.35, seed: 7, ..Shape::launch(40) });
    result.started_at -= 3_600.0;
    result
}

/// An hour, one interval each second.
pub(crate) fn hour() -> RunResult {
    let mut result =
        run(&Shape { stall: Some((1_800.0, 1_803.0)), saturated: Some((2_500, 2_503)), ..Shape::launch(3_600) });
    result.verdict = Verdict::Pass;
    result.gateways = vec![gateway(&result, 1, 1.0)];
    result
}

/// Eight hours in intervals of 8 s, at a gateway that leaks.
pub(crate) fn soak() -> RunResult {
    let mut result = run(&Shape { width: 8, late: true, ..Shape::launch(28_800) });
    result.gateways = vec![gateway(&result, 1, 1.0)];
    result
}

/// What is seen of a gateway that takes a share of the run: its caches fill, it leaks a little, and it answers everything.
fn gateway(run: &RunResult, shard: u32, share: f64) -> Gateway {
    let of = |events: u64| (events as f64 * share) as u64;
    let intervals = run.intervals.iter().filter(|one| one.at.is_multiple_of(5) || one.width > 5);
    let mut looks: Vec<Look> = intervals
        .map(|one| {
            let fills = 60.0 * (1.0 - (-f64::from(one.at) / 600.0).exp()) + f64::from(one.at) / 900.0;
            // A second's events take some milliseconds each.
            let waits = of(one.in_flight + one.accepted / 400 / u64::from(one.width));
            Look {
                at_s: one.at,
                resident_bytes: ((48.0 + fills * share) * 1_048_576.0) as u64,
                descriptors: 38 + of(one.connections) + u64::from(one.at / 1_200),
                tasks: Some(61 + 3 * of(one.connections)),
                unsettled: Some(waits),
                in_flight_bytes: Some(waits * 340),
            }
        })
        .collect();
    let end = looks.last().copied().unwrap_or_default();
    let ends = run.elapsed.as_secs() as u32 + 1;
    looks.push(Look { at_s: ends, unsettled: Some(0), in_flight_bytes: Some(0), ..end });
    let mut gateway =
        Gateway { shard, operate: format!("10.0.0.{shard}:9090"), started_s: Some(1.789e9 + f64::from(shard)), looks };
    gateway.thin(MOST_LOOKS);
    gateway
}

/// A run that was ended before anything was answered.
pub(crate) fn nothing() -> RunResult {
    let mut result = run(&Shape { rate: 0.0, ..Shape::launch(5) });
    result.intervals.clear();
    result.phases.clear();
    result.latencies = Series::default();
    result.ledger = Ledger::default();
    result.classes.clear();
    result.codes.clear();
    result.usage = Usage::default();
    result.environment = Environment::default();
    result.elapsed = Duration::ZERO;
    result.verdict = Verdict::Interrupted;
    result
}

/// A single second.
pub(crate) fn one_second() -> RunResult {
    run(&Shape::launch(1))
}

/// Nothing could be sent: all of it is overflow.
pub(crate) fn overflow() -> RunResult {
    let mut result = run(&Shape { stall: Some((0.0, 1_000.0)), ..Shape::launch(20) });
    for interval in &mut result.intervals {
        (interval.overflow, interval.sent, interval.health.state) = (interval.due, 0, HealthState::Saturated);
    }
    result.ledger = Ledger { due: result.ledger.due, overflow: result.ledger.due, ..Ledger::default() };
    result.verdict = Verdict::Invalid;
    result.findings = vec!["offered 0.0 % of the planned events: the plan is more than this machine can make.".into()];
    result
}

/// Acknowledged events are gone, and the ledger does not balance.
pub(crate) fn lost() -> RunResult {
    let mut result = run(&Shape::launch(20));
    result.ledger.accepted -= 321;
    result.verdict = Verdict::DataLoss;
    result.verification = Some(Verification {
        destination: "kinesis:telemetry".into(),
        stored: result.ledger.accepted - 57,
        missing: 57,
        examples: vec!["0197a3c2-5b1e-8d3f-9a60-0d1d5c6b7a88".into(), "0197a3c2-5b1e-8d3f-9a60-0d1d5c6b7a89".into()],
        ..Verification::default()
    });
    result
}

/// Two parts put together.
pub(crate) fn merged() -> RunResult {
    let mut result = run(&Shape::launch(30));
    let shard = |index, verdict| Shard {
        index,
        of: 2,
        host: format!("ip-10-0-{index}-17.eu-central-1.compute.internal"),
        started_at: 1_790_000_000.0,
        due: result.ledger.due / 2,
        verdict,
    };
    result.shards = vec![shard(1, Verdict::Pass), shard(2, Verdict::Invalid)];
    result.verdict = Verdict::Invalid;
    result.gateways = vec![gateway(&result, 1, 0.4), gateway(&result, 2, 0.6)];
    result
}

/// Eight parts, each of which looked at a gateway of its own; one of them takes more than its share.
pub(crate) fn many_gateways() -> RunResult {
    let mut result = run(&Shape::launch(30));
    result.gateways = (1..=8).map(|shard| gateway(&result, shard, f64::from(shard) / 36.0)).collect();
    result
}

fn config(scenario: &str, seconds: u32) -> RunConfig {
    let part = |share: f64| Duration::from_secs((f64::from(seconds) * share) as u64);
    RunConfig {
        scenario: scenario.into(),
        about: "A game opens its doors: what do the first minutes look like?".into(),
        endpoint: "http://127.0.0.1:50051".into(),
        driver: Driver::Goose,
        transport: Transport::Stream,
        players: 1_000_000,
        servers: 100,
        online: 0.2,
        profile: Profile::Launch {
            preload: 0.05,
            opens: part(0.1),
            rise: part(0.4),
            peak: 2.0,
            stays: 1.0,
            half_life: part(0.3),
        },
        model: Model::default(),
        speed: 10.0,
        seed: u64::MAX,
        run_time: Duration::from_secs(seconds.into()),
        warm_up: Duration::ZERO,
        linger: Duration::from_millis(100),
        max_batch: 500,
        max_in_flight: 64,
        connections: Connections::Shared(8),
        drain: Duration::from_secs(10),
        payload_bytes: None,
        bad_share: 0.001,
        duplicate_share: 0.01,
        apps: Apps { count: 20, zipf: 1.1, hot: None },
        retry: Retry::Sdk,
        bad_clients: None,
        actions: Vec::new(),
        phases: phases(seconds)
            .into_iter()
            .map(|phase| PhasePlan {
                name: phase.name,
                from: Duration::from_secs(phase.from_s.into()),
                to: Duration::from_secs(phase.to_s.into()),
            })
            .collect(),
        slos: vec!["ack.p99 <= 250ms".into()],
        closed_loop: 64,
        ..RunConfig::default()
    }
}

fn phases(seconds: u32) -> Vec<Phase> {
    let edges = [("preload", 0.0, 0.1), ("ramp", 0.1, 0.5), ("hold", 0.5, 0.75), ("recovery", 0.75, 1.0)];
    let at = |share: f64| (share * f64::from(seconds)) as u32;
    let all = edges.map(|(name, from, to)| Phase { name: name.into(), from_s: at(from), to_s: at(to) });
    all.into_iter().filter(|phase| phase.to_s > phase.from_s).collect()
}
