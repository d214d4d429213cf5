//! Many seeds, several at a time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::plan::{Plan, RegistryKind, Scope};
use super::progress::Progress;
use super::run::{self, Report};
use super::tally::Tally;
use crate::ministack::MiniStack;

const TICK: Duration = Duration::from_millis(500);

/// Which seeds, and how.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The seeds, in order.
    pub seeds: Vec<u64>,
    /// Ends no later than this after its start, after the seeds that run then.
    pub at_most: Option<Duration>,
    /// So many at a time.
    pub jobs: usize,
    /// What plans may ask for.
    pub scope: Scope,
    /// Ends with the first breach.
    pub stop_at_first: bool,
}

/// What came of it.
pub struct Outcome {
    /// The sums.
    pub tally: Tally,
    /// Every run, in the order of their ends.
    pub reports: Vec<Report>,
}

impl Campaign {
    /// Runs it. Says what fails at once, with how to have it again.
    pub async fn run(&self, progress: &mut Progress) -> Outcome {
        let began = Instant::now();
        let plans: Vec<Plan> = self.seeds.iter().map(|seed| Plan::of(*seed, self.scope)).collect();
        let emulator = if plans.iter().any(|plan| plan.house.registry == RegistryKind::Dynamodb) {
            Some(Arc::new(MiniStack::start().await))
        } else {
            None
        };
        if plans.iter().any(|plan| plan.house.process) {
            // Before the first run's time begins.
            let _ = tokio::task::spawn_blocking(crate::binary::headgate).await;
        }
        let (mut tally, mut reports) = (Tally::default(), Vec::new());
        let (mut left, mut runs, mut going) = (plans.into_iter(), JoinSet::new(), BTreeSet::new());
        loop {
            let over = self.at_most.is_some_and(|at_most| began.elapsed() >= at_most)
                || self.stop_at_first && tally.failed() > 0;
            while !over
                && runs.len() < self.jobs
                && let Some(plan) = left.next()
            {
                going.insert(plan.seed);
                let emulator = emulator.clone();
                runs.spawn_blocking(move || run::run(&plan, emulator.as_deref()));
            }
            if runs.is_empty() {
                break;
            }
            if let Ok(Some(ended)) = tokio::time::timeout(TICK, runs.join_next()).await {
                let report = ended.expect("a run catches its own panics");
                going.remove(&report.plan.seed);
                tally.add(&report);
                if !report.passed() {
                    progress.say(&self.failure(&report));
                }
                reports.push(report);
            }
            progress.show(|| self.line(&tally, &going, began.elapsed()));
        }
        progress.say(&self.line(&tally, &going, began.elapsed()));
        Outcome { tally, reports }
    }

    fn line(&self, tally: &Tally, going: &BTreeSet<u64>, elapsed: Duration) -> String {
        let faults: u64 = tally.faults.values().map(|fault| fault.happened).sum();
        let kinds = tally.faults.values().filter(|fault| fault.happened > 0).count();
        format!(
            "{:>4} s  {} of {} seeds, {} passed, {} failed; {} events acknowledged, {faults} faults of {kinds} kinds; now {going:?}",
            elapsed.as_secs(),
            tally.runs,
            self.seeds.len(),
            tally.passed,
            tally.failed(),
            tally.events.acknowledged,
        )
    }

    fn failure(&self, report: &Report) -> String {
        let mut text = format!("seed {} failed", report.plan.seed);
        for breach in report.breaches.iter().take(8) {
            text.push_str(&format!("\n    {breach}"));
        }
        if report.breaches.len() > 8 {
            text.push_str(&format!("\n    and {} more", report.breaches.len() - 8));
        }
        let plan = serde_json::to_string(&report.plan).unwrap_or_default();
        let struck: Vec<_> = report
            .struck
            .iter()
            .map(|one| format!("{} from {} to {} ms, {} hits", one.fault, one.began_ms, one.ended_ms, one.hits))
            .collect();
        let flags = match self.scope {
            Scope { processes: true, dynamodb: true } => "",
            Scope { processes: false, dynamodb: true } => " --no-processes",
            Scope { processes: true, dynamodb: false } => " --no-dynamodb",
            Scope { processes: false, dynamodb: false } => " --no-processes --no-dynamodb",
        };
        text.push_str(&format!("\n    plan: {plan}\n    faults: {}", struck.join("; ")));
        text.push_str(&format!("\n    again: torture --seed {}{flags}", report.plan.seed));
        text
    }
}
