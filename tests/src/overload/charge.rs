//! Whether what is charged to the budget is what it costs: a destination that does not answer, so that everything stays in
//! flight, and the process's growth beside the bytes that its gauge says are held.

use std::time::{Duration, Instant};

use super::fleet::{Fleet, Manner, Shape};
use super::house::House;

/// No call is answered before this.
const SILENCE: Duration = Duration::from_secs(12);
/// How long events are offered.
const PATIENCE: Duration = Duration::from_secs(6);
/// The budget counts as used up at this share of it.
const FULL: f64 = 0.97;
const LEAVE: Duration = Duration::from_secs(30);

/// Events on their way, of one shape.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// What it is called.
    pub name: &'static str,
    /// The fleet of either application.
    pub shape: Shape,
    /// Batches a second.
    pub batches: f64,
}

/// The shapes that differ in what a byte costs.
pub const LOADS: [Load; 4] = [
    Load { name: "streams, 100 events", shape: shape(Manner::Streams, 16, 4, 100), batches: 400.0 },
    Load { name: "streams, 1 event", shape: shape(Manner::Streams, 64, 4, 1), batches: 12_000.0 },
    Load { name: "calls, 100 events", shape: shape(Manner::Calls, 16, 4, 100), batches: 400.0 },
    Load { name: "calls, 1 event", shape: shape(Manner::Calls, 64, 16, 1), batches: 2_000.0 },
];

const fn shape(manner: Manner, servers: usize, connections: usize, batch: u32) -> Shape {
    Shape { servers, connections, batch, manner }
}

/// What was held, and what that took.
#[derive(Clone, Copy, Debug)]
pub struct Charge {
    /// Bytes held of the budget at most.
    pub held: f64,
    /// Bytes that the process has grown by at most.
    pub grown: u64,
    /// Events that were accepted in the end, or refused, or of another verdict.
    pub answered: usize,
}

/// Fills the budget of `house`, or offers for some seconds, and waits until everything has come back.
///
/// # Panics
/// If something stays held.
pub async fn measure(house: &House, load: &Load) -> Charge {
    house.slow_down(SILENCE);
    house.forget_peak();
    let mut fleets = Vec::new();
    for (number, target) in (0..).zip(&house.applications) {
        fleets.push(Fleet::connect(number, target, load.shape).await);
    }
    let events = load.batches * f64::from(load.shape.batch) / fleets.len() as f64;
    fleets.iter().for_each(|fleet| fleet.set_rate(events));
    let until = Instant::now() + PATIENCE;
    let mut held = 0.0_f64;
    while Instant::now() < until && held < FULL * house.budget as f64 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        held = held.max(house.held().await);
    }
    fleets.iter().for_each(|fleet| fleet.set_rate(0.0));
    held = held.max(house.held().await);
    let grown = house.grown();
    house.settle().await;
    let answered = fleets.iter().map(|fleet| fleet.samples().all().len()).sum();
    for fleet in fleets {
        fleet.leave(LEAVE).await;
    }
    Charge { held, grown, answered }
}
