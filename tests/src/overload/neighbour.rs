//! One application at a hundred times its limit, beside others within theirs.
//!
//! In one run the noisy application keeps to its limit and sends a hundred times as much in turn, a few seconds each, in
//! the order A B B A, so that what drifts touches both alike. The limit is small and a refusal is cheap: what is tested is
//! the limit, and not who gets a core. The neighbours send to the lake, whose linger is 2 ms: behind Kinesis's 100 ms
//! a tenth of the latency would be more than anything that a neighbour can do to it.

use std::time::{Duration, Instant};

use headgate_loadtest::merge::interval;
use tempfile::TempDir;

use super::fleet::{Fleet, Manner, Shape};
use super::samples::{Sample, quantile};
use crate::gateway::GatewayProcess;
use crate::process::cpu_time;
use crate::seed::Draw;

/// The noisy application's limit, events a second, and what it sends once it is noisy.
const LIMIT: f64 = 100.0;
const TIMES: f64 = 100.0;
const NOISY_BATCH: u32 = 20;
/// The neighbours: so many applications, each of which sends so many batches a second.
const NEIGHBOURS: u16 = 4;
const BATCHES_A_SECOND: f64 = 75.0;
const BATCH: u32 = 20;
/// Of each turn, how much is left out: the turn before still echoes.
const ECHO: Duration = Duration::from_millis(500);
const RESAMPLES: u64 = 2_000;
const PATIENCE: Duration = Duration::from_secs(30);

/// The neighbours' figures in turns of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    /// Events accepted a second, of batches that were due then.
    pub goodput: f64,
    /// From when a batch was to leave to its answer: median and 99 %.
    pub latency: [Duration; 2],
    /// Cores that the gateway and the load took.
    pub cpu: [f64; 2],
}

/// A figure with a noisy neighbour over the same figure without.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// What it is, as a share: 0.1 is a tenth more.
    pub change: f64,
    /// The middle 95 %, by bootstrap over pairs of neighbouring turns.
    pub interval: [f64; 2],
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Neighbours {
    /// Turns of either kind.
    pub turns: usize,
    /// The noisy one keeps to its limit.
    pub quiet: Side,
    /// It sends a hundred times as much.
    pub noisy: Side,
    /// Of the neighbours' goodput, their median and their p99.
    pub changes: [Change; 3],
    /// Of the noisy application while it was noisy: batches that were answered, refused, refused without a hint.
    pub refused: [usize; 3],
    /// How long its refusals took: median, 99 %, the longest.
    pub refusals: [Duration; 3],
    /// Streams that broke off.
    pub broken: u64,
}

/// Batches of one turn.
struct Turn {
    accepted: u64,
    latencies: Vec<Duration>,
}

/// So many pairs of turns, each turn of this length.
///
/// # Panics
/// If the gateway does not start, or something stays held.
pub async fn run(pairs: usize, turn: Duration, seed: u64) -> Neighbours {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = GatewayProcess::start(data.path(), &["operate.log=error"]).await;
    let limit = LIMIT.to_string();
    let burst = (NOISY_BATCH * 2).to_string();
    let limits = ["--events-per-second", &limit, "--events-burst", &burst];
    let (_, noisy) = gateway.new_application_with("noisy", &limits);
    let shape = Shape { servers: 4, connections: 2, batch: BATCH, manner: Manner::Streams };
    let noisy = Fleet::connect(0, &noisy, Shape { batch: NOISY_BATCH, ..shape }).await;
    let mut neighbours = Vec::new();
    for number in 1..=NEIGHBOURS {
        let (_, target) = gateway.new_application(&format!("neighbour-{number}"));
        neighbours.push(Fleet::connect(number, &target, shape).await);
    }
    neighbours.iter().for_each(|fleet| fleet.set_rate(BATCHES_A_SECOND * f64::from(BATCH)));
    noisy.set_rate(LIMIT);
    // Caches and buffers are filled.
    tokio::time::sleep(turn).await;
    let mut stretches = [Vec::new(), Vec::new()];
    let mut cpu = [[0.0; 2]; 2];
    for pair in 0..pairs {
        // A B, then B A.
        for place in [pair % 2, (pair + 1) % 2] {
            noisy.set_rate(if place == 0 { LIMIT } else { LIMIT * TIMES });
            tokio::time::sleep(ECHO).await;
            let now = || [cpu_time(gateway.pid()), cpu_time(std::process::id())];
            let (from, before) = (Instant::now(), now());
            tokio::time::sleep(turn).await;
            stretches[place].push((from, Instant::now()));
            for (sum, (after, before)) in cpu[place].iter_mut().zip(now().into_iter().zip(before)) {
                *sum += (after - before).as_secs_f64() / turn.as_secs_f64() / pairs as f64;
            }
        }
    }
    neighbours.iter().chain([&noisy]).for_each(|fleet| fleet.set_rate(0.0));
    crate::poll::until("nothing to be held", PATIENCE, async || {
        (gateway.metrics().await.sum("headgate_in_flight_bytes", &[]) == 0.0).then_some(())
    })
    .await;
    let samples: Vec<Sample> = neighbours.iter().flat_map(|fleet| fleet.samples().all()).collect();
    let turns =
        stretches.each_ref().map(|turns| turns.iter().map(|turn| Turn::of(&samples, *turn)).collect::<Vec<_>>());
    let side = |place: usize| {
        let every: Vec<u32> = vec![1; pairs];
        let latency = [0.5, 0.99].map(|share| pooled(&turns[place], &every, share));
        let accepted: u64 = turns[place].iter().map(|turn| turn.accepted).sum();
        Side { goodput: accepted as f64 / (turn.as_secs_f64() * pairs as f64), latency, cpu: cpu[place] }
    };
    let answered = noisy.samples().all();
    let then = |sample: &&Sample| stretches[1].iter().any(|(from, to)| (*from..*to).contains(&sample.due));
    let answered: Vec<&Sample> = answered.iter().filter(then).collect();
    let refused = answered.iter().filter(|sample| sample.is_refused());
    let mut took: Vec<Duration> = refused.clone().map(|sample| sample.latency()).collect();
    took.sort_unstable();
    let bare = refused.filter(|sample| sample.answer == super::samples::Answer::Refused { hint: false }).count();
    let broken = neighbours.iter().chain([&noisy]).map(Fleet::broken).sum();
    let changes = changes(&turns, seed);
    let all = Neighbours {
        turns: pairs,
        quiet: side(0),
        noisy: side(1),
        changes,
        refused: [answered.len(), took.len(), bare],
        refusals: [0.5, 0.99, 1.0].map(|share| quantile(&took, share)),
        broken,
    };
    for fleet in neighbours.into_iter().chain([noisy]) {
        fleet.leave(PATIENCE).await;
    }
    drop::<(GatewayProcess, TempDir)>((gateway, data));
    all
}

impl Turn {
    fn of(samples: &[Sample], (from, to): (Instant, Instant)) -> Self {
        let due = samples.iter().filter(|sample| (from..to).contains(&sample.due) && sample.accepted() > 0);
        let mut latencies: Vec<Duration> = due.clone().map(Sample::latency).collect();
        latencies.sort_unstable();
        Self { accepted: due.map(|sample| u64::from(sample.accepted())).sum(), latencies }
    }
}

/// The quantile of all turns' latencies together, each turn as often as its weight says: exact.
fn pooled(turns: &[Turn], weights: &[u32], share: f64) -> Duration {
    let weighted = turns.iter().zip(weights);
    let total: u64 = weighted.clone().map(|(turn, weight)| turn.latencies.len() as u64 * u64::from(*weight)).sum();
    let rank = (share * total as f64).ceil() as u64;
    let at_most = |latency: Duration| -> u64 {
        let below = |turn: &Turn| turn.latencies.partition_point(|other| *other <= latency) as u64;
        weighted.clone().map(|(turn, weight)| below(turn) * u64::from(*weight)).sum()
    };
    let longest = turns.iter().filter_map(|turn| turn.latencies.last()).max().copied().unwrap_or_default();
    // The smallest latency that so many do not exceed, to the nanosecond.
    let (mut low, mut high) = (0_u128, longest.as_nanos());
    while low < high {
        let middle = u128::midpoint(low, high);
        let latency = Duration::from_nanos(u64::try_from(middle).unwrap_or(u64::MAX));
        if at_most(latency) >= rank { high = middle } else { low = middle + 1 }
    }
    Duration::from_nanos(u64::try_from(low).unwrap_or(u64::MAX))
}

/// The change of goodput, median and p99, each with its interval: pairs of turns are drawn anew, many times.
fn changes(turns: &[Vec<Turn>; 2], seed: u64) -> [Change; 3] {
    let pairs = turns[0].len();
    let figures = |weights: &[u32]| {
        let of = |turns: &[Turn]| {
            let accepted = turns.iter().zip(weights).map(|(turn, weight)| turn.accepted * u64::from(*weight));
            let latency = |share| pooled(turns, weights, share).as_secs_f64();
            [accepted.sum::<u64>() as f64, latency(0.5), latency(0.99)]
        };
        let (quiet, noisy) = (of(&turns[0]), of(&turns[1]));
        [0, 1, 2].map(|figure| noisy[figure] / quiet[figure] - 1.0)
    };
    let whole = figures(&vec![1; pairs]);
    let mut resampled = [const { Vec::new() }; 3];
    let mut weights = vec![0; pairs];
    for resample in 0..RESAMPLES {
        let mut draw = Draw::new(seed, resample);
        weights.fill(0);
        (0..pairs).for_each(|_| weights[draw.below(pairs)] += 1);
        for (changes, change) in resampled.iter_mut().zip(figures(&weights)) {
            changes.push(change);
        }
    }
    let mut resampled = resampled.into_iter();
    whole.map(|change| {
        let interval = interval(resampled.next().unwrap_or_default(), (pairs, pairs));
        Change { change, interval: interval.unwrap_or([f64::NEG_INFINITY, f64::INFINITY]) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(seed: u64, pairs: usize, slower: f64) -> [Vec<Turn>; 2] {
        let mut draw = Draw::new(seed, 0);
        let mut turn = |factor: f64| {
            let mut latencies: Vec<Duration> = (0..1_000)
                .map(|_| Duration::from_micros((draw.within(1_000..=5_000) as f64 * factor) as u64))
                .collect();
            latencies.sort_unstable();
            Turn { accepted: 1_000, latencies }
        };
        [(0..pairs).map(|_| turn(1.0)).collect(), (0..pairs).map(|_| turn(slower)).collect()]
    }

    #[test]
    fn weighted_quantiles_are_those_of_the_repeated_turns() {
        let [turns, _] = turns(1, 3, 1.0);
        let weights = [2, 0, 1];
        let mut all: Vec<Duration> =
            turns.iter().zip(weights).flat_map(|(turn, weight)| turn.latencies.repeat(weight as usize)).collect();
        all.sort_unstable();
        for share in [0.01, 0.5, 0.99, 1.0] {
            assert_eq!(pooled(&turns, &weights, share), quantile(&all, share), "{share}");
        }
    }

    #[test]
    fn what_is_the_same_is_found_the_same_and_what_is_slower_is_found_slower() {
        let [goodput, _, p99] = changes(&turns(2, 12, 1.0), 3);
        assert_eq!(goodput.change, 0.0);
        assert!(p99.interval[0] < 0.0 && p99.interval[1] > 0.0 && p99.interval[1] < 0.05, "{p99:?}");
        let [_, median, p99] = changes(&turns(2, 12, 1.2), 3);
        assert!(p99.interval[0] > 0.1 && median.interval[0] > 0.1, "{p99:?} {median:?}");
    }
}
