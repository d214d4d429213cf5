//! Gateways under random, replayable faults, judged by the conservation oracle; SIGKILL and SIGTERM at full load; and the
//! proof that bugs are noticed. Exits with 0 if every promise was kept, with 1 if one was broken, with 2 if its arguments
//! make no sense.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use headgate_tests::ministack;
use headgate_tests::torture::campaign::Campaign;
use headgate_tests::torture::plan::{Plan, Scope};
use headgate_tests::torture::progress::{Progress, say_in_a_line};
use headgate_tests::torture::sabotage;
use headgate_tests::torture::stops::{self, Stop, Stops, To};
use serde_json::json;

/// Random faults under load, judged; or, with --kills or --terms, gateways that are stopped at full load.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// So many random plans.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The first of them; otherwise it is drawn, and printed.
    #[arg(long)]
    first: Option<u64>,
    /// This plan, and no random ones; may be repeated.
    #[arg(long = "seed", value_name = "SEED")]
    chosen: Vec<u64>,
    /// Begins no plan after this time, such as 10m.
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    at_most: Option<Duration>,
    /// So many plans at a time. They mostly wait: several fit on a core.
    #[arg(long, global = true, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// Only gateways in this process: no kills.
    #[arg(long)]
    no_processes: bool,
    /// No registries in DynamoDB, for which an emulator would be started.
    #[arg(long)]
    no_dynamodb: bool,
    /// Ends with the first plan that fails.
    #[arg(long)]
    stop_at_first: bool,
    /// Shows the plans and runs none.
    #[arg(long)]
    plan: bool,
    /// Writes a report of every run.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Kills at full load, on the lake and on Kinesis, so many each; no random plans.
    #[arg(long, default_value_t = 0)]
    kills: u32,
    /// SIGTERMs at full load, the same way.
    #[arg(long, default_value_t = 0)]
    terms: u32,
}

#[derive(Subcommand)]
enum Command {
    /// Puts bugs into a copy of the source, one at a time; each must be caught.
    Sabotage {
        /// Only those whose name holds this.
        #[arg(long, default_value = "")]
        only: String,
        /// Shows their names and what they must be caught as.
        #[arg(long)]
        list: bool,
    },
}

fn main() -> ExitCode {
    // SAFETY: there is no other thread yet.
    unsafe { ministack::set_process_credentials() };
    std::panic::set_hook(Box::new(say_in_a_line));
    let arguments = Arguments::parse();
    let mut progress = Progress::new();
    if let Some(Command::Sabotage { only, list }) = &arguments.command {
        return if *list { list_sabotages() } else { run_sabotages(only, arguments.jobs.into(), &progress) };
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be had");
    let first = arguments.first.unwrap_or_else(|| getrandom::u32().expect("the system has randomness").into());
    let passed = if arguments.kills + arguments.terms > 0 {
        runtime.block_on(stop_at_load(&arguments, first, &mut progress))
    } else {
        runtime.block_on(torture(&arguments, first, &mut progress))
    };
    // Gateways that were dropped in the middle may leave a thread that waits for a disk which is gone.
    runtime.shutdown_background();
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn torture(arguments: &Arguments, first: u64, progress: &mut Progress) -> bool {
    let scope = Scope { processes: !arguments.no_processes, dynamodb: !arguments.no_dynamodb };
    let random = (first..).take(usize::try_from(arguments.seeds).unwrap_or(usize::MAX));
    let seeds: Vec<u64> = if arguments.chosen.is_empty() { random.collect() } else { arguments.chosen.clone() };
    if arguments.plan {
        for seed in seeds {
            println!("{}", serde_json::to_string_pretty(&Plan::of(seed, scope)).expect("a plan is JSON"));
        }
        return true;
    }
    if arguments.chosen.is_empty() {
        println!("seeds {first} to {}", first + arguments.seeds.saturating_sub(1));
    }
    let campaign = Campaign {
        seeds,
        at_most: arguments.at_most,
        jobs: arguments.jobs.into(),
        scope,
        stop_at_first: arguments.stop_at_first,
    };
    let outcome = campaign.run(progress).await;
    println!("{}", outcome.tally);
    let never = outcome.tally.never_happened();
    if !never.is_empty() {
        println!("planned often and never met: {}", never.join(", "));
    }
    write(arguments, &json!({ "tally": outcome.tally, "runs": outcome.reports }));
    outcome.tally.failed() == 0 && outcome.tally.runs > 0 && never.is_empty()
}

async fn stop_at_load(arguments: &Arguments, first: u64, progress: &mut Progress) -> bool {
    let mut all: Vec<Stops> = Vec::new();
    println!("seed {first}");
    println!("stop       to        times  acknowledged  lost  double  unanswered  unclean  worst drain  worst ready");
    for (stop, times) in [(Stop::Kill, arguments.kills), (Stop::Terminate, arguments.terms)] {
        for to in [To::Lake, To::Kinesis].into_iter().filter(|_| times > 0) {
            let done = stops::run(stop, to, times, first, progress).await;
            println!(
                "{:<10} {:<8} {:>6} {:>13} {:>5} {:>7} {:>11} {:>8} {:>9} ms {:>9} ms",
                format!("{:?}", done.stop),
                format!("{:?}", done.to),
                done.stops,
                done.acknowledged,
                done.lost,
                done.duplicates,
                done.unanswered,
                done.unclean,
                done.worst_drain_ms,
                done.worst_ready_ms,
            );
            all.push(done);
        }
    }
    write(arguments, &json!({ "stops": all }));
    all.iter().all(Stops::passed)
}

fn list_sabotages() -> ExitCode {
    for sabotage in sabotage::SABOTAGES {
        println!("{:<46} {}", sabotage.name, sabotage.expected.join(" or "));
    }
    ExitCode::SUCCESS
}

fn run_sabotages(only: &str, jobs: usize, progress: &Progress) -> ExitCode {
    match sabotage::run(only, jobs, progress) {
        Ok(caught) => {
            caught.iter().for_each(|caught| println!("{:<46} {}", caught.name, caught.words()));
            let all = !caught.is_empty() && caught.iter().all(|caught| caught.as_expected);
            if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(problem) => {
            eprintln!("torture: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn write(arguments: &Arguments, report: &serde_json::Value) {
    if let Some(path) = &arguments.json
        && let Err(error) = fs::write(path, format!("{report:#}\n"))
    {
        eprintln!("torture: the report can't be written to {}: {error}", path.display());
    }
}
