//! One run.

use std::sync::Arc;
use std::time::Duration;

use goose::config::GooseConfiguration;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::measures::{self, Measures};
use super::server_metrics::{self, ServerMetrics};
use super::watch::{Noticed, Watch, own_cpu_s, sum_of_codes};
use crate::config::{BadKind, Driver, LoadError, RunConfig};
use crate::drive::goose::{AttackError, Others, attack, cancel};
use crate::drive::{BadClient, ClosedLoopClient, Connector, Trace};
use crate::health::{self, environment};
use crate::load::{BAD, Begin, CLOSED_LOOP, Fleet, Secrets, epoch_now};
use crate::progress::Tick;
use crate::record::Latencies;
use crate::result::{ClosedLoop, Phase, RunResult, SCHEMA, Usage, Verdict};
use crate::slo::{self, Rule};
use crate::workload::World;

/// Drivers that panicked, among a result's measures.
pub(super) const PANICKED: &str = "panicked_drivers";
/// How often rules are judged while a run goes on.
const JUDGE_EVERY: u64 = 5;

/// Why a run did not come to a result.
#[derive(Debug, Error)]
pub enum RunError {
    /// A setting can't be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// An option of Goose's can't be used.
    #[error("goose: {0}")]
    GooseOption(String),
    /// Goose can't be started, or failed.
    #[error("goose: {0}")]
    Goose(String),
}

/// What to run, and how.
pub struct Job {
    /// The settings, resolved.
    pub config: RunConfig,
    /// Keys and certificates.
    pub secrets: Secrets,
    /// Goose's own settings, where Goose drives.
    pub goose: GooseConfiguration,
    /// Whether Goose ramps its users: then the schedule begins with the first.
    pub ramps: bool,
    /// Whether Goose alone decides when the run ends (a test plan).
    pub open_ended: bool,
    /// When the schedule begins, in seconds of Unix time; none: as soon as everybody is ready.
    pub start_at: Option<f64>,
    /// Whether ids are told afterwards, for a verification.
    pub trace: bool,
    /// Rules that end the run once one of them has failed.
    pub abort_on: Vec<Rule>,
    /// The gateway's operator listener, for its own figures.
    pub operate: Option<String>,
}

/// How many runtime workers a plan needs: enough that each is busy for a third of the time at most. More than needed cost
/// up to half as much CPU again, since each wakes for what another could have done.
#[must_use]
pub fn workers(peak_per_s: f64, capacity_per_s: f64, cores: u32) -> usize {
    let busy = f64::from(cores) * peak_per_s / capacity_per_s.max(1.0);
    (busy * 3.0).ceil().clamp(1.0, f64::from(cores)) as usize
}

/// A run that came to its end.
pub struct Finished {
    /// Everything but the judgement.
    pub result: RunResult,
    /// What became of each event, if that was kept.
    pub(crate) trace: Trace,
    /// Whether it ended before its time, and not because of a rule.
    pub interrupted: bool,
}

/// Runs a job to its end; `each` is told of every second, with the latencies so far.
///
/// # Errors
/// A setting is out of its range, a key can't be sent, or Goose refuses its settings.
pub async fn run(job: Job, mut each: impl FnMut(&Tick, &Latencies)) -> Result<Finished, RunError> {
    let Job { config, secrets, goose, ramps, open_ended, start_at, trace, abort_on, operate } = job;
    let begin = match start_at {
        Some(at) => Begin::At(at),
        None if ramps => Begin::WithTheFirst,
        None => Begin::Together,
    };
    let by_goose = config.driver == Driver::Goose;
    let fleet = Fleet::new(&config, &secrets, begin, trace, by_goose)?;
    let others = others(&config, &secrets, &fleet)?;
    let config = Arc::new(config);
    let server = operate.as_deref().map(ServerMetrics::new);
    let mut watch = Watch::new(fleet.clone(), config.clone());
    let mut aborted = None;

    let driving = async {
        if by_goose {
            attack(&fleet, goose, others).await.map_err(|error| match error {
                AttackError::Option(words) => RunError::GooseOption(words),
                AttackError::Other(error) => RunError::Goose(error.to_string()),
            })
        } else {
            drive(&fleet, others).await;
            Ok(None)
        }
    };
    let watching = watch.run(|tick, watch| {
        let over = tick.elapsed > config.run_time + Duration::from_secs(1) && tick.ledger.in_flight == 0;
        if over {
            return;
        }
        let ack = fleet.common.recorder.collect().latencies.ack.clone();
        each(tick, &ack);
        let due = tick.elapsed.as_secs() % JUDGE_EVERY == 0 && tick.elapsed > config.warm_up + Duration::from_secs(5);
        if due && aborted.is_none() && !abort_on.is_empty() && fleet.stopped().is_none() {
            let so_far = assemble(&fleet, &config, watch.noticed(), None);
            let failed = slo::judge(&abort_on, &so_far, None).into_iter().find(|slo| slo.passed == Some(false));
            if let Some(failed) = failed {
                aborted = Some(format!("ended early, since a rule failed: {} ({})", failed.rule, failed.observed));
                fleet.stop();
                if by_goose {
                    cancel("a rule failed");
                }
            }
        }
    });
    let beside = async {
        match &server {
            Some(server) => server.watch().await,
            None => std::future::pending().await,
        }
    };
    let closed_loop = tokio::select! {
        closed_loop = driving => closed_loop?,
        () = watching => None,
        () = beside => None,
        () = terminated(&fleet, by_goose) => None,
    };

    let mut result = assemble(&fleet, &config, watch.noticed(), closed_loop);
    for interval in &mut result.intervals {
        health::look_again(interval, config.linger);
    }
    if let Some(server) = &server {
        server.look_last().await;
    }
    server_metrics::tell(server.as_ref(), fleet.start().map(|start| start.at), &mut result);
    let missing = fleet.roll_call().missing();
    if missing > 0 {
        result.measures.insert(PANICKED.to_owned(), missing as f64);
        result.findings.push(format!(
            "{missing} of {} game servers' drivers panicked: their players fell silent (see problems)",
            fleet.roll_call().servers
        ));
    }
    let early = result.elapsed + Duration::from_secs(1) < config.run_time;
    let interrupted = early && aborted.is_none() && !open_ended;
    result.findings.extend(aborted);
    Ok(Finished { result, trace: fleet.trace(), interrupted })
}

/// Brings the run to its end when an orchestrator asks for it (SIGTERM), and never ends itself.
async fn terminated(fleet: &Fleet, by_goose: bool) {
    if let Ok(mut signals) = signal(SignalKind::terminate())
        && signals.recv().await.is_some()
    {
        fleet.stop();
        if by_goose {
            cancel("terminated");
        }
    }
    std::future::pending().await
}

/// The native driver: everybody on plain tasks, until the servers have come to their end.
async fn drive(fleet: &Arc<Fleet>, others: Others) {
    let mut servers = JoinSet::new();
    while let Some(seat) = fleet.claim() {
        servers.spawn(fleet.clone().drive(seat));
    }
    let mut clients = JoinSet::new();
    for mut client in others.bad {
        clients.spawn(async move {
            loop {
                client.turn().await;
                client.step().await;
            }
        });
    }
    loop {
        tokio::select! {
            ended = servers.join_next() => match ended {
                None => return,
                Some(Err(error)) if error.is_panic() => {
                    let panic = error.into_panic();
                    let what = panic.downcast_ref::<&str>().copied().unwrap_or_default();
                    fleet.panicked(what);
                }
                Some(_) => {}
            },
            signal = tokio::signal::ctrl_c() => match (signal, fleet.stopped()) {
                (Ok(()), None) => fleet.stop(),
                // The second time: whoever asks twice does not wait for answers.
                (Ok(()), Some(_)) | (Err(_), _) => return,
            },
        }
    }
}

/// The clients beside the game servers.
fn others(config: &RunConfig, secrets: &Secrets, fleet: &Arc<Fleet>) -> Result<Others, RunError> {
    let mut others = Others::default();
    let Some(key) = secrets.api_keys.first() else { return Ok(others) };
    let connector = Connector::new(config, key, secrets.tls_ca.as_deref())?;
    for number in 0..config.closed_loop_of_shard() {
        let class = fleet.plan.class(CLOSED_LOOP);
        let common = fleet.common.clone();
        others.closed_loop.push(ClosedLoopClient::new(common, connector.clone(), class, number, config.players));
    }
    if let Some(bad) = &config.bad_clients {
        // Their events have ids of their own, whatever names they use.
        let world = Arc::new(World::new(!config.seed, &config.world()));
        let mut kinds: Vec<BadKind> = bad.kinds.clone();
        kinds.sort_unstable();
        for number in 0..config.bad_clients_of_shard() {
            let (kind, class) = (kinds[number as usize % kinds.len()], fleet.plan.class(BAD));
            let common = fleet.common.clone();
            let client = BadClient::new(kind, common, world.clone(), connector.clone(), class, number, bad.from);
            others.bad.push(client);
        }
    }
    Ok(others)
}

/// What there is to tell of a run by now; it is not judged yet.
fn assemble(fleet: &Fleet, config: &RunConfig, noticed: Noticed, closed_loop: Option<ClosedLoop>) -> RunResult {
    let start = fleet.start();
    let started_at = start.map_or_else(epoch_now, |start| start.epoch_ns as f64 / 1e9);
    let since_start = |at: Instant| start.map_or(Duration::ZERO, |start| at.saturating_duration_since(start.at));
    let elapsed = fleet.ended_early().map_or_else(|| since_start(Instant::now()), since_start).min(config.run_time);
    let recorder = &fleet.common.recorder;
    let names: Vec<String> = recorder.classes().map(str::to_owned).collect();
    let collected = recorder.collect();
    let classes = if names.len() > 1 {
        names.into_iter().zip(collected.classes.iter().cloned()).collect()
    } else {
        Default::default()
    };
    let ledger = collected.ledger.clone();
    let cpu_s = noticed.cpu_at_end.unwrap_or_else(own_cpu_s) - noticed.cpu_at_start;
    let events = ledger.due.max(1) as f64;
    let environment = environment();
    let phases = config.phases.iter().map(|phase| Phase {
        name: phase.name.clone(),
        from_s: phase.from.as_secs() as u32,
        to_s: phase.to.as_secs() as u32,
    });
    let mut result = RunResult {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config_hash: config.hash(),
        config: config.clone(),
        started_at,
        elapsed,
        verdict: Verdict::Pass,
        findings: Vec::new(),
        slos: Vec::new(),
        latencies: collected.latencies.clone(),
        classes,
        codes: sum_of_codes(&collected.classes),
        problems: collected.problems.clone(),
        phases: phases.collect(),
        intervals: collected.intervals.clone(),
        gateways: Vec::new(),
        usage: Usage {
            cpu_s,
            resident: noticed.resident,
            peak_resident: noticed.peak_resident,
            cpu_us_per_event: cpu_s * 1e6 / events,
            bytes_per_player: noticed.peak_resident as f64 / fleet.plan.players.max(1) as f64,
            events_per_batch: events / collected.batches.max(1) as f64,
        },
        measures: Default::default(),
        unmeasured: Default::default(),
        verification: None,
        closed_loop,
        // A run of its own is merged from nothing: `merge` lists the parts.
        shards: Vec::new(),
        environment,
        ledger,
    };
    drop(collected);
    let Measures { figures, reasons } = measures::of(&result, recorder.early_retries());
    (result.measures, result.unmeasured) = (figures, reasons);
    if config.bad_clients.is_some() {
        let (right, wrong) = recorder.answers();
        result.measures.insert("right_answers".to_owned(), right as f64);
        result.measures.insert("wrong_answers".to_owned(), wrong as f64);
    }
    result
}
