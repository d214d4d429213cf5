//! One case of overload: capacity, twice as much, and what came of it.

use std::time::{Duration, Instant};

use super::SLACK;
use super::fleet::{Fleet, Manner, Shape};
use super::house::House;
use super::samples::{Sample, quantile};
use crate::process::cpu_time;

/// The least goodput at twice the capacity, as a share of the peak.
const GOODPUT: f64 = 0.9;
/// The longest that 99 % of the refusals may take.
const REFUSAL: Duration = Duration::from_millis(10);
/// How much more is offered in each step of the search for the capacity.
const STEP: f64 = 1.4;
/// A step whose goodput is less than this share of what was offered has found the capacity.
const SATURATED: f64 = 0.85;
/// Saturated steps before the search ends.
const SATURATED_STEPS: usize = 3;
/// How often capacity and overload take turns.
const ROUNDS: usize = 3;
/// Of each step, how much is waited before it counts: batches have to come back, and buffers to fill.
const SETTLING: f64 = 0.4;

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// One step of the search.
    pub step: Duration,
    /// Twice the capacity.
    pub overload: Duration,
}

/// What came of twice the capacity.
#[derive(Clone, Debug)]
pub struct Overload {
    /// Which case.
    pub name: &'static str,
    /// Events a second offered.
    pub offered: f64,
    /// The most events a second that were stored before and after.
    pub peak: f64,
    /// Events a second stored.
    pub goodput: f64,
    /// Batches refused.
    pub refused: usize,
    /// Of these, without a hint.
    pub without_hint: usize,
    /// How long refusals took: median, 99 %, the longest.
    pub refusals: [Duration; 3],
    /// Batches that were due.
    pub due: u64,
    /// Of these, answered.
    pub answered: usize,
    /// Streams and calls that broke off.
    pub broken: u64,
    /// Bytes that the process has grown by at most.
    pub grown: u64,
    /// Its budget.
    pub budget: u64,
    /// The most bytes that it held of it, by its gauge.
    pub held: f64,
    /// Cores that the gateway took.
    pub gateway_cpu: f64,
    /// Cores that the load and a stand-in took.
    pub load_cpu: f64,
}

impl Overload {
    /// What of it does not keep to the bars that hold on any machine, however busy: memory and hints.
    #[must_use]
    pub fn breaches(&self) -> Vec<String> {
        let mut breaches = Vec::new();
        let bound = self.budget + SLACK;
        if self.grown > bound {
            let [grown, bound] = [self.grown, bound].map(|bytes| bytes >> 20);
            breaches.push(format!("{}: memory grew by {grown} MiB, more than {bound}", self.name));
        }
        if self.held > self.budget as f64 {
            breaches.push(format!("{}: {} bytes held of a budget of {}", self.name, self.held, self.budget));
        }
        if self.without_hint > 0 {
            breaches.push(format!("{}: {} refusals without a hint", self.name, self.without_hint));
        }
        if self.broken > 0 {
            breaches.push(format!("{}: {} streams or calls broke off", self.name, self.broken));
        }
        breaches
    }

    /// What of it does not keep to the bars of time, which need a machine that does nothing else. `refuses`: whether what
    /// bounds the gateway is something that it refuses for.
    #[must_use]
    pub fn timed_breaches(&self, refuses: bool) -> Vec<String> {
        let mut breaches = Vec::new();
        if self.goodput < GOODPUT * self.peak {
            let [share, bar] = [self.goodput / self.peak, GOODPUT].map(|share| 100.0 * share);
            breaches.push(format!("{}: goodput is {share:.1} % of the peak, less than {bar} %", self.name));
        }
        if refuses && self.refused == 0 {
            breaches.push(format!("{}: nothing was refused at twice the capacity", self.name));
        }
        if refuses && self.refusals[1] > REFUSAL {
            breaches
                .push(format!("{}: 99 % of refusals take {:?}, more than {REFUSAL:?}", self.name, self.refusals[1]));
        }
        breaches
    }
}

/// Offers ever more until no more is stored, and then as much as was stored: the most that was, events a second.
///
/// The step at which the destination is first asked for more than it takes, and the one before, do not count: a throttled
/// shard has a second's worth to give at once.
pub async fn find_capacity(fleets: &[Fleet], first: f64, times: &Times) -> f64 {
    let (mut offered, mut saturated) = (first, Vec::new());
    while saturated.len() < SATURATED_STEPS {
        let goodput = step(fleets, offered, times).await;
        if goodput < SATURATED * offered {
            saturated.push(goodput);
        }
        offered *= STEP;
    }
    let peak = saturated.into_iter().skip(1).fold(0.0, f64::max);
    let at_capacity = step(fleets, peak, times).await;
    set_rate(fleets, 0.0);
    peak.max(at_capacity)
}

/// Offers twice the capacity several times, and as much as was stored at most after each: a machine whose speed changes by
/// itself changes for both. Returns the round in the middle, by its share of the peak around it, with the most memory of any and
/// the refusals without a hint of all.
pub async fn overload_by_turns(
    name: &'static str,
    house: &House,
    fleets: &[Fleet],
    peak: f64,
    times: &Times,
) -> Overload {
    let times = Times { overload: times.overload / ROUNDS as u32, ..*times };
    let (mut rounds, mut before) = (Vec::new(), peak);
    for _ in 0..ROUNDS {
        let found = overload(name, house, fleets, &[], before, 2.0 * before, &times).await;
        let after = step(fleets, peak, &times).await;
        set_rate(fleets, 0.0);
        house.settle().await;
        rounds.push(Overload { peak: f64::midpoint(before, after), ..found });
        before = after;
    }
    rounds.sort_by(|one, other| (one.goodput / one.peak).total_cmp(&(other.goodput / other.peak)));
    let of_all = |most: fn(&Overload) -> u64| rounds.iter().map(most).max().unwrap_or(0);
    let (grown, broken) = (of_all(|round| round.grown), of_all(|round| round.broken));
    let without_hint = rounds.iter().map(|round| round.without_hint).sum();
    let held = rounds.iter().map(|round| round.held).fold(0.0, f64::max);
    Overload { grown, broken, held, without_hint, ..rounds.swap_remove(ROUNDS / 2) }
}

/// What is stored, events a second, while so much is offered.
async fn step(fleets: &[Fleet], offered: f64, times: &Times) -> f64 {
    set_rate(fleets, offered);
    tokio::time::sleep(times.step.mul_f64(SETTLING)).await;
    let from = Instant::now();
    tokio::time::sleep(times.step.mul_f64(1.0 - SETTLING)).await;
    goodput(fleets, from, Instant::now())
}

/// Offers so many events a second for so long. `others` are part of the load and not of the goodput.
pub async fn overload(
    name: &'static str,
    house: &House,
    fleets: &[Fleet],
    others: &[Fleet],
    peak: f64,
    offered: f64,
    times: &Times,
) -> Overload {
    let share = if others.is_empty() { 1.0 } else { 0.5 };
    house.forget_peak();
    let began = Instant::now();
    set_rate(fleets, offered * share);
    if !others.is_empty() {
        set_rate(others, offered * (1.0 - share));
    }
    let broken = |fleets: &[Fleet]| fleets.iter().map(Fleet::broken).sum::<u64>();
    let broken_before = broken(fleets);
    let mut held = watch(house, times.overload.mul_f64(SETTLING)).await;
    let (from, cpu, own_cpu) = (Instant::now(), house.cpu_time(), cpu_time(std::process::id()));
    held = held.max(watch(house, times.overload).await);
    let to = Instant::now();
    let (cpu, own_cpu) = (house.cpu_time() - cpu, cpu_time(std::process::id()) - own_cpu);
    fleets.iter().chain(others).for_each(|fleet| fleet.set_rate(0.0));
    let goodput = goodput(fleets, from, to);
    // What was refused is answered at once, if it ever is.
    house.settle().await;
    let all: Vec<Sample> = fleets.iter().flat_map(|fleet| fleet.samples().all()).collect();
    let due_then: Vec<&Sample> = all.iter().filter(|sample| (from..to).contains(&sample.due)).collect();
    let refused: Vec<&Sample> =
        all.iter().filter(|sample| sample.due >= began && sample.due < to && sample.is_refused()).collect();
    let hints = refused.iter().filter(|sample| sample.answer == super::samples::Answer::Refused { hint: true }).count();
    let mut took: Vec<Duration> = refused.iter().map(|sample| sample.latency()).collect();
    took.sort_unstable();
    let seconds = (to - from).as_secs_f64();
    Overload {
        name,
        offered,
        peak,
        goodput,
        refused: refused.len(),
        without_hint: refused.len() - hints,
        refusals: [0.5, 0.99, 1.0].map(|share| quantile(&took, share)),
        due: (offered * share * seconds / f64::from(BATCH)) as u64,
        answered: due_then.len(),
        broken: broken(fleets) - broken_before,
        grown: house.grown(),
        budget: house.budget,
        held,
        gateway_cpu: cpu.as_secs_f64() / seconds,
        load_cpu: own_cpu.as_secs_f64() / seconds,
    }
}

/// Watches for so long; the most bytes held.
async fn watch(house: &House, time: Duration) -> f64 {
    const EVERY: Duration = Duration::from_millis(200);
    let until = Instant::now() + time;
    let mut held = 0.0_f64;
    while Instant::now() < until {
        held = held.max(house.held().await);
        tokio::time::sleep(EVERY.min(until.saturating_duration_since(Instant::now()))).await;
    }
    held
}

/// Events in a batch.
pub const BATCH: u32 = 100;

/// Fleets of streams and of unary calls of both applications, as they behave.
pub async fn well_behaved(house: &House, servers: usize) -> Vec<Fleet> {
    let shape = |manner| Shape { servers, connections: 4, batch: BATCH, manner };
    let mut fleets = Vec::new();
    for (number, target) in house.applications.iter().enumerate() {
        let number = u16::try_from(number).expect("two");
        fleets.push(Fleet::connect(2 * number, target, shape(Manner::Streams)).await);
        fleets.push(Fleet::connect(2 * number + 1, target, shape(Manner::Calls)).await);
    }
    fleets
}

/// Streams of one application whose clients do not read what they are answered.
pub async fn slow_readers(house: &House, streams: usize, connections: usize) -> Vec<Fleet> {
    let shape = Shape { servers: streams, connections, batch: BATCH, manner: Manner::StreamsUnread };
    vec![Fleet::connect(100, &house.applications[1], shape).await]
}

fn set_rate(fleets: &[Fleet], events: f64) {
    fleets.iter().for_each(|fleet| fleet.set_rate(events / fleets.len() as f64));
}

fn goodput(fleets: &[Fleet], from: Instant, to: Instant) -> f64 {
    fleets.iter().map(|fleet| fleet.samples().goodput(from, to)).sum()
}
