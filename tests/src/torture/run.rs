//! One seed, from its plan to its verdict.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use serde::Serialize;
use tokio::time::{Instant, timeout};

use super::breach::Breach;
use super::check;
use super::found::{self, Found};
use super::house::{self, House};
use super::plan::Plan;
use super::strike::{Struck, strike};
use crate::load::{Load, Tally};
use crate::ministack::MiniStack;
use crate::oracle::Oracle;
use crate::poll;

/// Before the faults begin.
const WARM: u64 = 50;
/// With fewer acknowledged events a run proves nothing.
pub const LEAST_ACKNOWLEDGED: u64 = 200;
const PATIENCE: Duration = Duration::from_secs(30);
/// A run that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(240);
/// For what a run that was broken off leaves behind.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// What became of a seed.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The plan.
    pub plan: Plan,
    /// What is broken; empty: the run passed.
    pub breaches: Vec<Breach>,
    /// The faults as they happened.
    pub struck: Vec<Struck>,
    /// Counts of the oracle.
    pub events: Events,
    /// From the last fault's end until a fresh event of each application went through, milliseconds.
    pub healed_ms: Option<u64>,
    /// How long stops took, milliseconds.
    pub stops_ms: Vec<u64>,
    /// From building the house to its judgement, milliseconds.
    pub took_ms: u64,
}

/// Counts of a run, or of many.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Events {
    /// Events sent.
    pub sent: u64,
    /// Events acknowledged.
    pub acknowledged: u64,
    /// Events rejected.
    pub rejected: u64,
    /// Events refused at least once.
    pub refused: u64,
    /// Events that are there.
    pub stored: u64,
    /// Rows beyond the first of an event: each explained by an answer that was lost, or a breach.
    pub duplicates: u64,
    /// Calls that broke off without an answer.
    pub broken_off: u64,
    /// Calls that their clients gave up.
    pub cancelled: u64,
}

impl Report {
    /// Whether nothing is broken.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.breaches.is_empty()
    }
}

/// Runs a plan, on a runtime of its own. `emulator`: where DynamoDB is, for plans that have it.
///
/// # Panics
/// If a runtime can't be had.
#[must_use]
pub fn run(plan: &Plan, emulator: Option<&MiniStack>) -> Report {
    let began = Instant::now();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().thread_name("torture").build().expect("a runtime can be had");
    let in_time = async { timeout(LONGEST, in_house(plan, emulator)).await };
    // The rig speaks by panics where something can't go on.
    let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(in_time)));
    runtime.shutdown_timeout(SHUTDOWN);
    let breach = match ended {
        Ok(Ok(report)) => return Report { took_ms: ms(began.elapsed()), ..report },
        Ok(Err(_)) => Breach::new("unsettled", format!("the run did not end within {LONGEST:?}")),
        Err(panic) => Breach::new("panicked", words(&*panic)),
    };
    Report {
        plan: plan.clone(),
        breaches: vec![breach],
        struck: Vec::new(),
        events: Events::default(),
        healed_ms: None,
        stops_ms: Vec::new(),
        took_ms: ms(began.elapsed()),
    }
}

async fn in_house(plan: &Plan, emulator: Option<&MiniStack>) -> Report {
    let house = House::build(plan, emulator).await;
    let oracle = Arc::new(Oracle::remembering(plan.seed, &house.applications));
    let mut load = Load::start(&oracle, &house.targets, &plan.clients.shape(plan.restarts()), plan.seed);
    let mut breaches = Vec::new();
    if !acknowledged(&oracle, WARM).await {
        breaches.push(Breach::new("not-well", format!("{WARM} events were not acknowledged before anything happened")));
    }
    let load_began = Instant::now();
    let struck = future::join_all(plan.strikes.iter().map(|one| strike(&house, &oracle, one, load_began))).await;
    breaches.extend(struck.iter().filter_map(|one| Some(Breach::new("drain", one.wrong.clone()?))));
    let mut healed_ms = None;
    match check::heals(&house, &oracle).await {
        Ok(healed) => healed_ms = Some(ms(healed)),
        Err(breach) => breaches.push(breach),
    }
    let enough = acknowledged(&oracle, LEAST_ACKNOWLEDGED).await;
    let hit = struck.iter().any(|one| one.hits > 0);
    if !enough || !hit {
        let what = format!("{} events acknowledged, faults that hit something: {hit}", oracle.acknowledged());
        breaches.push(Breach::new("vacuous", what));
    }
    let tally = match load.settle(check::SETTLED_WITHIN).await {
        Ok(tally) => tally,
        Err(tally) => {
            breaches.push(check::unsettled(&house, &oracle).await);
            tally
        }
    };
    drop(load);
    breaches.extend(check::statuses(plan, &tally));
    breaches.extend(check::quiet(&house).await);
    if !plan.house.streams() {
        house.compact().await;
    }
    if !house.stop().await {
        breaches.push(Breach::new("drain", "the last drain cut calls off or left something undelivered"));
    }
    if let Some(stand_in) = &house.stand_in {
        poll::until("the gateway's connections to be closed", PATIENCE, async || {
            (stand_in.connections() == 0).then_some(())
        })
        .await;
    }
    let (found, dropped) = Found::in_house(&house);
    breaches.extend(dropped);
    if !plan.house.streams() {
        breaches.extend(house::verified(house.data_dir()).err().map(|problem| Breach::new("lake", problem)));
    }
    let judgements = found.judge(&house, &oracle);
    breaches.extend(judgements.iter().flat_map(|judgement| found::breaches(&house, &oracle, judgement)));
    let stops_ms = house::lock(&house.stops).iter().map(|took| ms(*took)).collect();
    let events = judgements.first().map(|judgement| events(judgement, &tally)).unwrap_or_default();
    Report { plan: plan.clone(), breaches, struck, events, healed_ms, stops_ms, took_ms: 0 }
}

fn events(judgement: &crate::oracle::Judgement, tally: &Tally) -> Events {
    Events {
        sent: judgement.sent,
        acknowledged: judgement.acknowledged,
        rejected: judgement.rejected,
        refused: judgement.refused,
        stored: judgement.stored,
        duplicates: judgement.duplicates,
        broken_off: tally.broken_off,
        cancelled: tally.cancelled,
    }
}

/// Whether so many events are acknowledged in time.
async fn acknowledged(oracle: &Oracle, events: u64) -> bool {
    let waiting = async {
        while oracle.acknowledged() < events {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.is_ok()
}

/// What a panic says.
pub(crate) fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("without words").to_owned()
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
