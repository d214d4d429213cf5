//! A house with load in it: how fast events are acknowledged, how soon that is so again after a fault, what is held
//! meanwhile, and the oracle's word at the end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Run;
use super::figures::{Figures, count};
use crate::load::{Load, Shape, Tally};
use crate::metrics::Scrape;
use crate::ministack::MiniStack;
use crate::oracle::{Oracle, Violation};
use crate::poll;
use crate::torture::check;
use crate::torture::found::{Found, breaches};
use crate::torture::house::{self, House};
use crate::torture::plan::{ClientsPlan, Destination, Fault, HousePlan, Plan, RegistryKind, Strike};

const PATIENCE: Duration = Duration::from_secs(60);
/// Before anything is measured: connections and caches are warm, lanes are as many as the load wants.
const WARM: u64 = 5_000;
/// Promise 7: throughput is back at this part of what it was.
const BACK: f64 = 0.95;
/// Throughput is looked at over this time.
const WINDOW: Duration = Duration::from_secs(1);
const PERIOD: Duration = Duration::from_millis(20);
const SCRAPE_PERIOD: Duration = Duration::from_millis(100);
/// No fault lasts this long; a rate that is not back by then is not worth waiting for.
pub(super) const NEVER: Duration = Duration::from_secs(60);

/// A gateway that is a process, on Kinesis, two applications, and no limits that would be met.
pub(super) const KINESIS: HousePlan = HousePlan {
    process: true,
    destination: Destination::Kinesis { aggregated: true, keyed: false },
    second_route: None,
    // Three times what the load takes.
    shards: 12,
    registry: RegistryKind::Sqlite,
    spill: false,
    budget_mib: 64,
    events_per_second: None,
    linger_ms: 20,
    deadline_ms: 5_000,
    attempt_ms: 1_000,
    tls: false,
    network: false,
    cbor: true,
};

/// Two applications that send at a steady rate of their own, far below what the gateway takes: a rate that falls is the
/// gateway's doing, and one that a fault held up is comparable with one that it did not.
pub(super) fn steady() -> Shape {
    let pace = Duration::from_millis(20);
    // Batches of about the same size: a second's throughput varies by one percent.
    Shape { streams: 3, window: 256, unary: 1, batch: 15..=25, pace, ..Shape::NONE }
}

/// See the module.
pub(super) struct Stage {
    pub(super) house: House,
    pub(super) oracle: Arc<Oracle>,
    load: Load,
}

impl Stage {
    /// Builds a house and has load flow; `settings` win over the plan's.
    pub(super) async fn open(run: Run, house: HousePlan, shape: &Shape, settings: &[(&str, &str)]) -> Self {
        let house = House::build_with(&plan(run, house, Vec::new()), None, settings).await;
        let applications = house.targets.len();
        Self::fill(run, house, applications, shape).await
    }

    /// As [`Stage::open`]; only the first application sends.
    pub(super) async fn open_for_first(run: Run, house: HousePlan, shape: &Shape, settings: &[(&str, &str)]) -> Self {
        let house = House::build_with(&plan(run, house, Vec::new()), None, settings).await;
        Self::fill(run, house, 1, shape).await
    }

    /// As [`Stage::open`], with the emulator of DynamoDB.
    pub(super) async fn open_with(run: Run, house: HousePlan, shape: &Shape, emulator: &MiniStack) -> Self {
        let house = House::build(&plan(run, house, Vec::new()), Some(emulator)).await;
        let applications = house.targets.len();
        Self::fill(run, house, applications, shape).await
    }

    /// As [`Stage::open`], with credentials that end soon, again and again.
    pub(super) async fn open_short_lived(run: Run, house: HousePlan, shape: &Shape) -> Self {
        let fault = Fault::CredentialsAway { expired: true };
        let strikes = vec![Strike { after_ms: 0, lasts_ms: 0, fault }];
        let house = House::build(&plan(run, house, strikes), None).await;
        let applications = house.targets.len();
        Self::fill(run, house, applications, shape).await
    }

    async fn fill(run: Run, house: House, applications: usize, shape: &Shape) -> Self {
        let oracle = Arc::new(Oracle::remembering(run.seed, &house.applications));
        let load = Load::start(&oracle, &house.targets[..applications], shape, run.seed);
        load.acknowledge(WARM, PATIENCE).await;
        Self { house, oracle, load }
    }

    /// What happened to the load's calls so far.
    pub(super) fn tally(&self) -> Tally {
        self.load.tally()
    }

    /// Refusals so far that say when to come back.
    pub(super) fn refusals(&self) -> u64 {
        self.tally().refusals_like("Unavailable with a hint")
    }

    /// The gateway's metrics.
    pub(super) async fn metrics(&self) -> Scrape {
        poll::until("the gateway's metrics", PATIENCE, async || self.house.metrics().await).await
    }

    /// Events acknowledged a second, from now on for so long.
    pub(super) async fn rate(&self, time: Duration) -> f64 {
        per_second(time, || self.oracle.acknowledged()).await
    }

    /// The same for one application.
    pub(super) async fn rate_of(&self, application: usize, time: Duration) -> f64 {
        per_second(time, || self.oracle.acknowledged_of(application)).await
    }

    /// From now until a second begins in which throughput is at [`BACK`] of `healthy`; [`NEVER`] if none does.
    pub(super) async fn back_at(&self, healthy: f64) -> Duration {
        let began = Instant::now();
        let mut samples = VecDeque::from([(began, self.oracle.acknowledged())]);
        while began.elapsed() < NEVER {
            sleep(PERIOD).await;
            let (now, acknowledged) = (Instant::now(), self.oracle.acknowledged());
            samples.push_back((now, acknowledged));
            while let Some((since, before)) = samples.front().copied()
                && now - since >= WINDOW
            {
                let rate = (acknowledged - before) as f64 / (now - since).as_secs_f64();
                if rate >= BACK * healthy {
                    return since - began;
                }
                samples.pop_front();
            }
        }
        NEVER
    }

    /// The most that the gateway holds while `work` goes on.
    pub(super) async fn watching<T>(&self, work: impl Future<Output = T>) -> (T, Most) {
        let mut most = Most::default();
        let watching = async {
            loop {
                if let Some(scrape) = self.house.metrics().await {
                    most.take(&scrape);
                }
                sleep(SCRAPE_PERIOD).await;
            }
        };
        tokio::select! {
            done = work => (done, most),
            never = watching => never,
        }
    }

    /// Settles everything, stops the gateway and judges: figures that every row has.
    pub(super) async fn close(self, figures: &mut Figures) {
        let _ = self.end(figures, false).await;
    }

    /// As [`Stage::close`]; gives how many rows there are beyond the first of each event.
    pub(super) async fn close_counting(self, figures: &mut Figures) -> u64 {
        self.end(figures, false).await
    }

    /// As [`Stage::close`], where a fault has torn calls off.
    pub(super) async fn close_torn(self, figures: &mut Figures) {
        let _ = self.end(figures, true).await;
    }

    async fn end(self, figures: &mut Figures, torn: bool) -> u64 {
        let Self { house, oracle, mut load } = self;
        let mut first = Figures::default();
        let tally = load.settle(PATIENCE).await.unwrap_or_else(|tally| {
            first.wrong(format!("events without a verdict after {PATIENCE:?}"));
            tally
        });
        drop(load);
        for breach in check::quiet(&house).await {
            first.wrong(breach.to_string());
        }
        if !house.plan.streams() {
            house.compact().await;
        }
        if !house.stop().await {
            first.wrong("the last drain was not clean");
        }
        if let Err(problem) = if house.plan.streams() { Ok(()) } else { house::verified(house.data_dir()) } {
            first.wrong(problem);
        }
        if let Some(stand_in) = &house.stand_in {
            poll::until("the gateway's connections to be closed", PATIENCE, async || {
                (stand_in.connections() == 0).then_some(())
            })
            .await;
        }
        let (found, dropped) = Found::in_house(&house);
        dropped.iter().for_each(|breach| first.wrong(breach.to_string()));
        let mut duplicates = 0;
        for judgement in found.judge(&house, &oracle) {
            first.must(judgement.acknowledged >= WARM, format!("{} acknowledged", count(judgement.acknowledged)));
            first.must(judgement.missing == 0, format!("{} lost", judgement.missing));
            let others =
                judgement.violations.iter().filter(|violation| !matches!(violation, Violation::Missing { .. }));
            others.for_each(|violation| first.wrong(format!("{violation:?}")));
            breaches(&house, &oracle, &judgement).iter().for_each(|breach| Run::say(&breach.to_string()));
            duplicates += judgement.duplicates;
            if judgement.duplicates > 0 {
                first.tell(format!("{} there twice", count(judgement.duplicates)));
            }
        }
        if tally.without_hint > 0 {
            first.wrong(format!("{} refusals without a hint", tally.without_hint));
        }
        if tally.broken_off > 0 && !torn {
            first.wrong(format!("{} calls broke off without a status", tally.broken_off));
        }
        Run::say(&format!("{tally:?}"));
        figures.begin_with(first);
        duplicates
    }
}

/// The most that was seen at any time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Most {
    /// Of the budget, bytes.
    pub(super) held: f64,
    /// In memory, bytes.
    pub(super) resident: f64,
    /// The budget, bytes.
    pub(super) budget: f64,
}

impl Most {
    fn take(&mut self, scrape: &Scrape) {
        self.held = self.held.max(scrape.sum("headgate_in_flight_bytes", &[]));
        self.resident = self.resident.max(scrape.sum("process_resident_memory_bytes", &[]));
        self.budget = scrape.sum("headgate_in_flight_limit_bytes", &[]);
    }
}

fn plan(run: Run, house: HousePlan, strikes: Vec<Strike>) -> Plan {
    let clients = ClientsPlan {
        streams: 0,
        stubborn: 0,
        slow_readers: 0,
        window: 1,
        unary: 0,
        batch: 1,
        pace_ms: 0,
        cancel_one_in: 0,
        echo_one_in: 0,
        repeat_one_in: 0,
        forget_one_in: 0,
    };
    Plan { seed: run.seed, house, clients, strikes }
}

async fn per_second(time: Duration, counted: impl Fn() -> u64) -> f64 {
    let (began, before) = (Instant::now(), counted());
    sleep(time).await;
    (counted() - before) as f64 / began.elapsed().as_secs_f64()
}
