//! `run`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use goose::config::GooseConfiguration;
use tokio::runtime::Builder;

use super::calibrate::{self, Capacity};
use super::run_args::{RunArgs, duration};
use super::{Failure, plan};
use crate::config::{Driver, RunConfig};
use crate::keys::{DEMO_KEY_FILE, KEY_VARIABLE, KeySource, Keys};
use crate::load::{Secrets, epoch_now};
use crate::progress::{Mode, Opening, Progress};
use crate::prometheus::{self, Scrape};
use crate::record::lock;
use crate::result::{self, RunResult, Verdict};
use crate::run::{Finished, Job, judge, search, workers};
use crate::slo::{Rule, goose_threshold};
use crate::target::{check_target, is_this_machine};
use crate::verify::{Destination, Expectation, Options, verify};
use crate::{report, scenario};

/// Goose goes on for so long past the schedule's end, so that it never cuts a run short.
const GOOSE_MARGIN: Duration = Duration::from_secs(2);
/// Where Goose alone decides when a run ends, its schedule is as long as it may be.
const OPEN_END: Duration = Duration::from_secs(119 * 3_600);

/// Runs, judges, writes, and says the exit status.
pub(super) fn run(args: RunArgs) -> Result<u8, Failure> {
    let mode: Mode = clap::ValueEnum::from_str(&args.progress, true).map_err(Failure::usage)?;
    let config = resolve(&args)?;
    check_target(&config.endpoint, &args.i_own_this_target).map_err(Failure::usage)?;
    let rules = rules(&config.slos)?;
    let destination = args.verify.as_deref().map(Destination::parse).transpose().map_err(Failure::usage)?;
    let baseline = args.baseline.as_deref().map(result::read).transpose()?;
    let (secrets, notes) = secrets(&args, &config)?;
    let results = results(&args, &config)?;
    let shown = plan::Shown::of(&config)?;
    let capacity = Capacity::measure(&config, calibrate::BRIEFLY);
    if !args.allow_invalid && config.search.is_none() {
        refuse_what_is_too_much(&capacity, &shown, args.cpu_limit_pct)?;
    }

    let mut progress = Progress::new(mode);
    progress.open(&Opening { config: &config, planned_per_s: shown.mean_per_s, results: &results });
    notes.iter().for_each(|note| progress.note(note));

    let peak_per_s = config.search.as_ref().map_or(shown.peak_per_s, |search| search.to);
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers(peak_per_s, capacity.events_per_second, capacity.cores))
        .enable_all()
        .build()
        .map_err(Failure::internal)?;
    let scrape = Arc::new(Mutex::new(Scrape::default()));
    let _endpoint = match args.prometheus {
        Some(address) => {
            let seen = scrape.clone();
            let endpoint = runtime.block_on(prometheus::serve(address, Arc::new(move || lock(&seen).clone())));
            let endpoint = endpoint.map_err(|error| Failure::usage(format!("--prometheus {address}: {error}")))?;
            progress.note(&format!("figures for Prometheus at http://{}/metrics", endpoint.address()));
            Some(endpoint)
        }
        None => None,
    };

    let began = now();
    let trace = destination.is_some();
    let job = |config: RunConfig| job(&args, config, &secrets, &rules, trace);
    let shared = Arc::new(Mutex::new(progress));
    let each = |tick: &crate::progress::Tick, ack: &crate::Latencies| {
        *lock(&scrape) = Scrape { tick: tick.clone(), ack: ack.clone() };
        lock(&shared).tick(tick);
    };
    let finished = runtime.block_on(async {
        match &config.search {
            Some(range) => {
                let step = |step: crate::run::Step| {
                    lock(&shared).note(&format!("{:.0} events/s: {:?}", step.rate, step.verdict));
                };
                search(job, &config, range, &rules, each, step).await
            }
            None => crate::run::run(job(config.clone()), each).await,
        }
    });
    let Finished { mut result, trace, interrupted } = finished.map_err(Failure::internal)?;

    let mut progress =
        Arc::into_inner(shared).and_then(|progress| progress.into_inner().ok()).unwrap_or_else(|| Progress::new(mode));
    let mut inconclusive = false;
    if let Some(destination) = &destination {
        let options = Options { timeout: args.verify_timeout, operate: args.operate.clone(), ..Options::new(began) };
        let expectation: Arc<dyn Expectation> = Arc::new(trace);
        progress.note(&format!("asking {destination} whether every acknowledged event is there"));
        let verified = runtime.block_on(verify(destination, expectation, &options, |_| {}));
        match verified {
            Ok(Some(verified)) => {
                result.findings.extend(verified.notes);
                // What may still be on its way is not lost, and not found either.
                if verified.conclusive || verified.verification.missing == 0 {
                    result.verification = Some(verified.verification);
                } else {
                    inconclusive = true;
                    result.findings.push(format!(
                        "--verify {destination} came to no end: {} acknowledged events were not found in time, and may \
                         still be on their way",
                        verified.verification.missing
                    ));
                }
            }
            Ok(None) => {}
            Err(error) => return Err(Failure::internal(format!("--verify {destination}: {error}"))),
        }
    }
    judge(&mut result, &rules, baseline.as_ref(), args.allow_invalid, interrupted);
    if inconclusive && result.verdict == Verdict::Pass {
        result.verdict = Verdict::Invalid;
    }
    let files = write(&result, &results)?;
    progress.close(&result, &files);
    Ok(result.verdict.exit_code())
}

/// The settings: scenario, file and flags.
fn resolve(args: &RunArgs) -> Result<RunConfig, Failure> {
    let goose = &args.goose;
    for (given, flag, mend) in [
        (goose.co_mitigation.is_some(), "--co-mitigation", "latencies count from the intended instant as it is"),
        (goose.throttle_requests.is_some(), "--throttle-requests", "it holds HTTP requests only: give --event-rate"),
        (goose.iterations.is_some(), "--iterations", "game servers have no end of their own: give --run-time"),
        (goose.no_autostart, "--no-autostart", "the schedule begins by itself: give --start-at"),
        (goose.no_metrics, "--no-metrics", "a run without figures can't be judged"),
    ] {
        if given {
            return Err(Failure::usage(format!("{flag} can't be used: {mend}")));
        }
    }
    let mut flags = args.load.layer();
    flags.endpoint = goose.host.clone();
    flags.driver = args.driver;
    flags.servers = goose.users.map(|users| u32::try_from(users).unwrap_or(u32::MAX));
    flags.closed_loop = args.closed_loop;
    flags.slos = args.slo.clone();
    flags.shard = args.shard;
    flags.run_time = goose.run_time.as_deref().map(duration).transpose().map_err(Failure::usage)?;
    if is_open_ended(goose) {
        flags.run_time = Some(OPEN_END);
    }
    plan::named(&args.load, &mut flags)?;
    let mut config = scenario::load(args.load.workload.as_deref(), &flags).map_err(Failure::usage)?.resolved();
    // Shards that start together are one run.
    config.run_id = (args.start_at.unwrap_or_else(epoch_now) * 1e3) as u64;
    config.check().map_err(Failure::usage)?;
    if config.closed_loop > 0 && config.driver == Driver::Native {
        return Err(Failure::usage("--closed-loop clients are Goose users: leave out --driver native"));
    }
    Ok(config)
}

/// Whether a test plan says when users come and go. The field is Goose's own, so it is looked for in its JSON.
fn is_open_ended(goose: &GooseConfiguration) -> bool {
    let value = serde_json::to_value(goose).unwrap_or_default();
    value.get("test_plan").is_some_and(|plan| !plan.is_null())
}

fn ramps(goose: &GooseConfiguration) -> bool {
    goose.increase_rate.is_some() || goose.increase_time.is_some() || is_open_ended(goose)
}

fn rules(texts: &[String]) -> Result<Vec<Rule>, Failure> {
    texts.iter().map(|text| Rule::parse(text).map_err(Failure::usage)).collect()
}

fn secrets(args: &RunArgs, config: &RunConfig) -> Result<(Secrets, Vec<String>), Failure> {
    let given = std::env::var(KEY_VARIABLE).ok();
    let demo = is_this_machine(&config.endpoint).then_some(Path::new(DEMO_KEY_FILE));
    let source = KeySource { file: args.api_key_file.as_deref(), given: given.as_deref(), demo };
    let keys = Keys::find(&source, config.apps.count).map_err(Failure::usage)?;
    let tls_ca = match &args.tls_ca {
        Some(path) => {
            Some(fs::read(path).map_err(|error| Failure::usage(format!("--tls-ca {}: {error}", path.display())))?)
        }
        None => None,
    };
    let api_keys = keys.as_slice().iter().map(|key| key.expose().to_owned()).collect();
    Ok((Secrets { api_keys, tls_ca }, keys.findings))
}

/// The folder of the results, made.
fn results(args: &RunArgs, config: &RunConfig) -> Result<PathBuf, Failure> {
    let folder = args.result_dir.clone().unwrap_or_else(|| {
        let time = humantime::format_rfc3339_seconds(now()).to_string().replace(':', "");
        Path::new("headgate-loadtest").join(format!("{}-{time}", config.scenario))
    });
    fs::create_dir_all(&folder).map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))?;
    Ok(folder)
}

/// A plan that this machine can't offer would only end as an invalid run.
fn refuse_what_is_too_much(capacity: &Capacity, shown: &plan::Shown, limit_pct: f64) -> Result<(), Failure> {
    let most = capacity.events_per_second * limit_pct / 100.0;
    if shown.peak_per_s > most {
        return Err(Failure::usage(format!(
            "the plan peaks at {:.0} events/s, and this machine can offer {:.0} with nothing beside it: stay below \
             {limit_pct} % ({most:.0}), use --shard I/N on more machines, or give --allow-invalid",
            shown.peak_per_s, capacity.events_per_second
        )));
    }
    Ok(())
}

fn job(args: &RunArgs, config: RunConfig, secrets: &Secrets, rules: &[Rule], trace: bool) -> Job {
    let mut goose = args.goose.clone();
    let open_ended = is_open_ended(&goose);
    let ramps = ramps(&goose);
    goose.host = Some(config.endpoint.clone());
    if !open_ended {
        let wait = args.start_at.map_or(0.0, |at| (at - epoch_now()).max(0.0));
        let run_time = config.run_time + GOOSE_MARGIN + Duration::from_secs_f64(wait);
        goose.run_time = Some(format!("{}", run_time.as_secs_f64().ceil() as u64));
        let users = users(&config);
        goose.users = Some(users);
        if !ramps {
            goose.increase_rate = Some(users.to_string());
        }
    }
    // What would reset, judge twice, or cost time without saying more.
    goose.no_reset_metrics = true;
    goose.no_transaction_metrics = true;
    goose.no_scenario_metrics = true;
    goose.no_telnet = true;
    if goose.verbose == 0 {
        goose.quiet = 3;
    }
    goose.no_print_metrics = !args.goose_summary;
    goose.no_threshold_abort = true;
    goose.threshold.extend(rules.iter().filter_map(goose_threshold));
    Job {
        secrets: secrets.clone(),
        goose,
        ramps,
        open_ended,
        start_at: args.start_at,
        trace,
        abort_on: if args.abort_on_slo { rules.to_vec() } else { Vec::new() },
        operate: args.operate.clone(),
        config,
    }
}

/// Goose users: the game servers of this shard, and the clients beside them.
fn users(config: &RunConfig) -> usize {
    let shard = |index: u32| u64::from(config.servers) * u64::from(index) / u64::from(config.shard.of);
    let servers = shard(config.shard.index) - shard(config.shard.index - 1);
    servers as usize + config.closed_loop as usize + config.bad_clients_of_shard() as usize
}

/// Writes the result and its report.
fn write(result: &RunResult, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let json = folder.join("result.json");
    result::write(result, &json)?;
    let html = folder.join("report.html");
    let text = report::html(result, &[]);
    fs::write(&html, text).map_err(|error| Failure::internal(format!("{}: {error}", html.display())))?;
    Ok(vec![json, html])
}

#[expect(clippy::disallowed_methods, reason = "the name of the results' folder, and since when to look at them")]
fn now() -> SystemTime {
    SystemTime::now()
}
