//! `run`.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use goose::config::GooseConfiguration;
use tokio::runtime::Builder;

use super::calibrate::{self, Capacity};
use super::results::Files;
use super::run_args::{RunArgs, duration};
use super::{Failure, authorities, goose_flags, plan, remote};
use crate::config::{Driver, LoadError, Profile, RunConfig};
use crate::drive::Connector;
use crate::health::environment;
use crate::keys::{DEMO_KEY_FILE, KEY_VARIABLE, KeySource, Keys};
use crate::load::{Secrets, epoch_now};
use crate::progress::{Mode, Opening, Progress};
use crate::prometheus::{self, Scrape};
use crate::record::lock;
use crate::result::{self, RunResult, Verdict};
use crate::run::{Finished, Job, RunError, judge, search, workers};
use crate::scenario::{self, Loaded};
use crate::slo::Rule;
use crate::store::Notice;
use crate::target::{check_target, is_this_machine};
use crate::terminal::keep_standard_output;
use crate::verify::{Destination, Expectation, Options, verify};

/// A start that has just passed is one that this process came late to; an earlier one is a mistake.
const LATEST: f64 = 5.0;
/// Nobody waits longer than this for a start on purpose.
const FURTHEST: f64 = 86_400.0;
/// Where Goose alone decides when a run ends, its schedule is as long as it may be.
const OPEN_END: Duration = Duration::from_secs(119 * 3_600);

/// Runs, judges, writes, and says the exit status.
pub(super) fn run(args: RunArgs) -> Result<u8, Failure> {
    let mode: Mode = clap::ValueEnum::from_str(&args.progress, true).map_err(Failure::usage)?;
    let Loaded { config, stretch } = resolve(&args)?;
    check_target(&config.endpoint, &args.i_own_this_target).map_err(Failure::usage)?;
    let rules = rules(&config.slos)?;
    for rule in &rules {
        rule.check_against(&config).map_err(Failure::usage)?;
    }
    let destination = args.verify.as_deref().map(Destination::parse).transpose().map_err(Failure::usage)?;
    let baseline = args.baseline.as_deref().map(result::read).transpose().map_err(Failure::usage)?;
    let (secrets, notes) = secrets(&args, &config)?;
    let goose = configured(&args, &config, &rules)?;
    let shown = plan::Shown::of(&config)?;
    let capacity = Capacity::measure(&config, calibrate::BRIEFLY, calibrate::MOST_PLAYERS);
    if !args.allow_invalid && config.search.is_none() {
        refuse_what_is_too_much(&capacity, &shown, args.cpu_limit_pct)?;
    }
    let remote = args.result_dir.as_deref().map(remote::place).transpose()?.flatten();
    let folder = args.result_dir.as_deref().filter(|_| remote.is_none());
    let files = Files::new(folder, &config, now())?;

    // Goose says on standard output how many users were launched.
    keep_standard_output().map_err(Failure::internal)?;
    let mut progress = Progress::new(mode);
    progress.open(&Opening { config: &config, planned_per_s: shown.mean_per_s, results: &files.folder });
    let stretched = stretch.map(|stretch| stretch.to_string());
    notes.iter().chain(&stretched).chain(&shown.notes).for_each(|note| progress.note(note));

    let peak_per_s = config.search.as_ref().map_or(shown.peak_per_s, |search| search.to);
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers(peak_per_s, capacity.events_per_second, capacity.cores))
        .enable_all()
        .build()
        .map_err(Failure::internal)?;
    let remote = match remote {
        Some(place) => {
            let notice = Notice::new(&config, environment().host, args.start_at.unwrap_or_else(epoch_now));
            let bucket = runtime.block_on(remote::begin(place, &notice))?;
            progress.note(&format!("the result goes to {} at the end", bucket.place()));
            Some(bucket)
        }
        None => None,
    };
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
    let job = |config: RunConfig| job(&args, config, goose.clone(), &secrets, &rules);
    let judged = |result: &mut RunResult, interrupted: bool| {
        judge(result, &rules, baseline.as_ref(), args.allow_invalid, interrupted);
    };
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
                search(job, &config, range, judged, each, step).await
            }
            None => crate::run::run(job(config.clone()), each).await,
        }
    });
    let Finished { mut result, trace, interrupted } = finished.map_err(|error| match error {
        RunError::Load(error @ LoadError::Panicked(_)) => Failure::internal(error),
        RunError::Load(error) => Failure::usage(error),
        error @ RunError::GooseOption(_) => Failure::usage(error),
        error @ RunError::Goose(_) => Failure::internal(error),
    })?;

    let mut progress =
        Arc::into_inner(shared).and_then(|progress| progress.into_inner().ok()).unwrap_or_else(|| Progress::new(mode));
    // A judgement adds what it finds, so that the next one begins with what was found before it.
    let conclude = |result: &mut RunResult, found: &[String], conclusive: bool| {
        result.findings = found.to_vec();
        judged(result, interrupted);
        if !conclusive && result.verdict == Verdict::Pass {
            result.verdict = Verdict::Invalid;
        }
        files.write(result)
    };
    let mut found = std::mem::take(&mut result.findings);
    let mut failed = None;
    let written = match &destination {
        None => conclude(&mut result, &found, true)?,
        Some(destination) => {
            // Whatever becomes of the verification, the run's figures are kept.
            let asked = format!("--verify {destination} had not come to its end when this was written");
            conclude(&mut result, &[found.as_slice(), &[asked]].concat(), false)?;
            let options =
                Options { timeout: args.verify_timeout, operate: args.operate.clone(), ..Options::new(began) };
            let expectation: Arc<dyn Expectation> = Arc::new(trace);
            progress.note(&format!("asking {destination} whether every acknowledged event is there"));
            let verified = runtime.block_on(verify(destination, expectation, &options, |_| {}));
            let mut conclusive = true;
            match verified {
                Ok(Some(verified)) => {
                    found.extend(verified.notes);
                    result.verification = Some(verified.verification);
                }
                Ok(None) => {}
                Err(error) => {
                    let what = format!("--verify {destination}: {error}");
                    found.push(format!("whether events were lost is not known: {what}"));
                    (failed, conclusive) = (Some(what), false);
                }
            }
            conclude(&mut result, &found, conclusive)?
        }
    };
    if let Some(bucket) = &remote
        && let Err(error) = runtime.block_on(remote::leave(bucket, &files))
    {
        failed = Some(failed.map_or_else(|| error.clone(), |verification| format!("{verification}\n{error}")));
    }
    progress.close(&result, &written);
    match failed {
        Some(what) => Err(Failure::internal(what)),
        None => Ok(result.verdict.exit_code()),
    }
}

/// The settings: scenario, file and flags.
fn resolve(args: &RunArgs) -> Result<Loaded, Failure> {
    let goose = &args.goose;
    goose_flags::refuse(goose)?;
    if let Some(at) = args.start_at {
        check_start(at, epoch_now())?;
    }
    let mut flags = args.load.layer();
    flags.endpoint = goose.host.clone();
    flags.driver = args.driver;
    flags.servers = goose.users.map(|users| u32::try_from(users).unwrap_or(u32::MAX));
    flags.slos = args.slo.clone();
    flags.run_time = goose.run_time.as_deref().map(duration).transpose().map_err(Failure::usage)?;
    let open_ended = goose_flags::is_open_ended(goose);
    if open_ended {
        // The users that come up in this shard are its part of the servers.
        let of = args.load.shard.map_or(1, |shard| shard.of);
        flags.servers = goose_flags::planned_users(goose).map(|users| users.saturating_mul(of));
    }
    plan::named(&args.load, &mut flags)?;
    let Loaded { config, stretch } = scenario::load(args.load.workload.as_deref(), &flags).map_err(Failure::usage)?;
    let mut config = config.resolved();
    let by_goose = config.driver == Driver::Goose && config.search.is_none();
    if !by_goose {
        let who = if config.search.is_some() { "a search" } else { "--driver native" };
        goose_flags::refuse_without_goose(goose, who)?;
    } else if open_ended {
        // The scenario's times stay as they are: nobody knows by what to scale them.
        config.run_time = OPEN_END;
    } else if let Some(ramp) = goose_flags::ramp(goose, goose_flags::most_users(&config))? {
        // As Goose has it: the run time begins once all users are there, and all that happens in it counts from then.
        config = config.after_ramp(ramp);
    }
    // Shards that start together are one run.
    config.run_id = (args.start_at.unwrap_or_else(epoch_now) * 1e3) as u64;
    config.check().map_err(Failure::usage)?;
    config.check_timeline().map_err(Failure::usage)?;
    if config.closed_loop > 0 && !by_goose {
        return Err(Failure::usage("--closed-loop clients are Goose users: leave out --driver native and searches"));
    }
    if open_ended && config.profile != Profile::Flat {
        return Err(Failure::usage(
            "--test-plan says how many servers there are when, and has no end known before: give --profile flat beside it",
        ));
    }
    Ok(Loaded { config, stretch })
}

/// Whether a schedule may begin at this instant of Unix time, in seconds.
fn check_start(at: f64, now: f64) -> Result<(), Failure> {
    if !at.is_finite() {
        return Err(Failure::usage(format!("--start-at {at}: give seconds of Unix time, such as {now:.0}")));
    }
    let early = now - at;
    if early > LATEST {
        return Err(Failure::usage(format!("--start-at {at} is {early:.0} s ago: give an instant to come")));
    }
    if -early > FURTHEST {
        return Err(Failure::usage(format!("--start-at {at} is more than 24 h ahead: give seconds of Unix time")));
    }
    Ok(())
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
        None if config.endpoint.starts_with("https://") => Some(authorities::of_this_machine()?),
        None => None,
    };
    let api_keys: Vec<_> = keys.as_slice().iter().map(|key| key.expose().to_owned()).collect();
    // What the run would refuse too, before a folder is made for its result.
    for key in &api_keys {
        Connector::new(config, key, tls_ca.as_deref()).map_err(Failure::usage)?;
    }
    Ok((Secrets { api_keys, tls_ca }, keys.findings))
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

/// What Goose is told.
fn configured(args: &RunArgs, config: &RunConfig, rules: &[Rule]) -> Result<GooseConfiguration, Failure> {
    let wait = args.start_at.map_or(0.0, |at| (at - epoch_now()).max(0.0));
    let wait = Duration::try_from_secs_f64(wait).map_err(Failure::usage)?;
    goose_flags::configure(&args.goose, config, wait, rules, args.goose_summary)
}

fn job(args: &RunArgs, config: RunConfig, goose: GooseConfiguration, secrets: &Secrets, rules: &[Rule]) -> Job {
    let open_ended = goose_flags::is_open_ended(&goose);
    Job {
        secrets: secrets.clone(),
        ramps: open_ended || goose_flags::ramps(&args.goose),
        open_ended,
        goose,
        start_at: args.start_at,
        trace: args.verify.is_some(),
        abort_on: if args.abort_on_slo { rules.to_vec() } else { Vec::new() },
        operate: args.operate.clone(),
        config,
    }
}

#[expect(clippy::disallowed_methods, reason = "the name of the results' folder, and since when to look at them")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    #[command(disable_version_flag = true)]
    struct Line {
        #[command(flatten)]
        args: RunArgs,
    }

    fn args(flags: &[&str]) -> RunArgs {
        Line::try_parse_from([&["run"], flags].concat()).unwrap_or_else(|error| panic!("{error}")).args
    }

    fn resolved(flags: &[&str]) -> RunConfig {
        resolve(&args(flags)).unwrap_or_else(|failure| panic!("{flags:?}: {}", failure.what)).config
    }

    fn refused(flags: &[&str]) -> String {
        let Err(Failure { status, what }) = resolve(&args(flags)) else { panic!("{flags:?} is taken") };
        assert_eq!(status, Failure::USAGE, "{what}");
        what
    }

    #[test]
    fn the_run_time_begins_after_gooses_ramp() {
        let seconds = |flags: &[&str]| resolved(flags).run_time.as_secs();
        assert_eq!(seconds(&["--increase-time", "30s", "--run-time", "60s"]), 90);
        assert_eq!(seconds(&["--users", "20", "--increase-rate", "2", "--run-time", "60s"]), 70);
        assert_eq!(seconds(&["--users", "20", "--run-time", "60s"]), 60);
        let spike = resolved(&["--profile", "spike", "--increase-time", "40s", "--run-time", "60s"]);
        assert!(matches!(spike.profile, Profile::Spike { at, .. } if at == Duration::from_secs(40 + 24)), "of 60 s");
        let storm = resolved(&["--workload", "reconnect-storm", "--increase-time", "9s", "--run-time", "30s"]);
        assert_eq!([storm.run_time, storm.warm_up, storm.actions[0].at].map(|time| time.as_secs()), [39, 11, 19]);
        let shard =
            |shard| resolved(&["--users", "25", "--increase-rate", "2", "--run-time", "60s", "--shard", shard]).hash();
        assert_eq!(shard("1/4"), shard("4/4"), "shards with other numbers of users merge all the same");
    }

    #[test]
    fn a_test_plan_says_how_many_servers_there_are_and_takes_no_profile() {
        let plan = ["--test-plan", "20,10s;20,30s;0,1s"];
        assert_eq!(resolved(&plan).servers, 20);
        assert_eq!(resolved(&[&plan[..], &["--shard", "2/3"]].concat()).servers, 60);
        assert!(refused(&[&plan[..], &["--users", "5"]].concat()).starts_with("--users"));
        assert!(refused(&[&plan[..], &["--profile", "diurnal"]].concat()).contains("--profile flat"));
        assert!(refused(&[&plan[..], &["--driver", "native"]].concat()).starts_with("--test-plan"));
    }

    #[test]
    fn a_test_plan_leaves_a_scenario_its_own_times() {
        let loaded = resolve(&args(&["--workload", "reconnect-storm", "--test-plan", "20,10s;20,80s;0,1s"]));
        let Ok(Loaded { config, stretch }) = loaded else { panic!("refused") };
        assert_eq!((config.run_time, stretch), (OPEN_END, None));
        assert_eq!([config.warm_up, config.actions[0].at], [5, 30].map(Duration::from_secs));
    }

    #[test]
    fn what_flags_give_themselves_is_not_scaled() {
        let launch = |flags: &[&str]| RunConfig {
            run_id: 0,
            ..resolved(&[&["--workload", "launch", "--run-time", "60s"], flags].concat())
        };
        let scaled = launch(&[]);
        assert_eq!((scaled.run_time.as_secs(), scaled.warm_up.as_secs()), (60, 2));
        assert!(matches!(scaled.profile, Profile::Launch { opens, .. } if opens == Duration::from_secs(8)));
        assert_eq!(launch(&["--warm-up", "5s"]), RunConfig { warm_up: Duration::from_secs(5), ..scaled.clone() });
        let spike = Profile::named("spike", Duration::from_secs(60)).expect("built in");
        assert_eq!(launch(&["--profile", "spike"]), RunConfig { profile: spike, ..scaled.clone() });
        assert_eq!(scaled.hash(), launch(&[]).hash());
        assert_eq!(scaled.hash(), launch(&["--shard", "2/3"]).hash());
        assert_ne!(scaled.hash(), resolved(&["--workload", "launch"]).hash());
    }

    #[test]
    fn searches_and_native_runs_take_no_flag_that_only_goose_heeds() {
        assert!(refused(&["--workload", "breakpoint", "--increase-time", "9"]).starts_with("--increase-time"));
        assert!(refused(&["--workload", "breakpoint", "--closed-loop", "2"]).starts_with("--closed-loop"));
        assert!(refused(&["--driver", "native", "--report-file", "a.html"]).starts_with("--report-file"));
        resolved(&["--driver", "native", "--users", "4", "--run-time", "9s", "--host", "http://127.0.0.1:1"]);
    }

    #[test]
    fn what_would_come_to_nothing_is_refused_before_the_run() {
        assert!(refused(&["--run-time", "5s", "--warm-up", "6s"]).contains("--warm-up"));
        let launch = refused(&["--workload", "launch", "--run-time", "20s"]);
        assert!(launch.contains("phase preload") && launch.ends_with("give --run-time 30s or more"), "{launch}");
        assert!(refused(&["--threshold", "p95<5ms"]).contains("--slo"));
        assert!(refused(&["--start-at", "1000"]).contains("ago"));
    }

    #[test]
    fn a_start_is_shortly_to_come() {
        let now = 1e9;
        for at in [now - 4.0, now, now + 86_000.0] {
            assert!(check_start(at, now).is_ok());
        }
        for at in [now - 6.0, 0.0, now * 1e3, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(check_start(at, now).is_err_and(|failure| failure.status == Failure::USAGE), "{at}");
        }
    }
}
