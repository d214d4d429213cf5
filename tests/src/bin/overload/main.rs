//! Overload and noisy neighbours, measured: `cargo run --release -p headgate-tests --bin overload` offers twice as much as
//! can be taken, `-- neighbour` has one application send a hundred times its limit beside others. Each prints a table of
//! its figures and what of them does not keep to the bars. Exit status 1: a bar is broken; 3: the run was too short, or
//! the machine too busy, to say.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use headgate_tests::overload::SLACK;
use headgate_tests::overload::case::{self, Overload, Times};
use headgate_tests::overload::charge::{self, Charge};
use headgate_tests::overload::fleet::Fleet;
use headgate_tests::overload::house::{Destination, House};
use headgate_tests::overload::neighbour::{self, Change, Neighbours};

// The cases' names.
const KINESIS: &str = "throttled Kinesis";
const SLOW_READERS: &str = "slow readers";
const DISCARDED: &str = "one core, discarded";
const LAKE: &str = "one core, lake";
const UNDECIDED: u8 = 3;
/// Shards of the throttled stream, MiB a second.
const SHARDS: u32 = 16;
/// Streams whose clients read nothing, and the connections that they share.
const SLOW_STREAMS: usize = 1_000;
/// How much later a slow destination answers.
const SLOW: Duration = Duration::from_millis(500);
const LEAVE: Duration = Duration::from_secs(5);

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    /// How long twice the capacity is offered, in each case.
    #[arg(long = "for", default_value = "20s", value_parser = humantime::parse_duration)]
    time: Duration,
    /// How long a step of the search for the capacity takes.
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    step: Duration,
    /// `admission.bytes_in_flight`, MiB.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u64).range(32..=4_096))]
    budget: u64,
    /// Connections that the 1,000 streams of slow readers share.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    connections: u64,
    /// A further setting of the gateway, such as `lake.segment=16MiB`; may be repeated.
    #[arg(long, value_name = "SETTING=VALUE")]
    set: Vec<String>,
    /// Only cases with this in their names.
    #[arg(long, default_value = "")]
    only: String,
}

#[derive(Subcommand)]
enum What {
    /// What a byte of the budget costs: growth beside what is held, for batches and calls of several shapes.
    Charge,
    /// One application at a hundred times its limit.
    Neighbour {
        /// Pairs of turns, within the limit and past it.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(4..=10_000))]
        pairs: u64,
        /// How long a turn takes.
        #[arg(long, default_value = "4s", value_parser = humantime::parse_duration)]
        turn: Duration,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.what {
        Some(What::Neighbour { pairs, turn }) => {
            let pairs = usize::try_from(pairs).expect("few");
            let found = neighbour::run(pairs, turn, 1).await;
            judge_neighbours(&found)
        }
        Some(What::Charge) => charge(&arguments).await,
        None => overload(&arguments).await,
    }
}

/// What was never run held no bar.
fn no_case(only: &str) -> ExitCode {
    eprintln!("overload: no case has {only:?} in its name");
    ExitCode::from(2)
}

async fn charge(arguments: &Arguments) -> ExitCode {
    let mut breaches = Vec::new();
    let loads: Vec<_> = charge::LOADS.iter().filter(|load| load.name.contains(&arguments.only)).collect();
    if loads.is_empty() {
        return no_case(&arguments.only);
    }
    println!("| in flight | answered | held, MiB | memory grown, MiB (bound) |");
    println!("|---|---|---|---|");
    for load in loads {
        let house = House::start(Destination::Kinesis { shards: SHARDS }, arguments.budget << 20, &arguments.set).await;
        let Charge { held, grown, answered } = charge::measure(&house, load).await;
        let (held_mib, bound) = (held / f64::from(1 << 20), held as u64 + SLACK);
        println!("| {} | {answered} | {held_mib:.1} | {} ({}) |", load.name, grown >> 20, bound >> 20);
        if grown > bound {
            breaches.push(format!("{}: memory grew by {} MiB, more than {}", load.name, grown >> 20, bound >> 20));
        }
    }
    verdict(&breaches, &[])
}

async fn overload(arguments: &Arguments) -> ExitCode {
    if ![KINESIS, SLOW_READERS, DISCARDED, LAKE].iter().any(|name| name.contains(&arguments.only)) {
        return no_case(&arguments.only);
    }
    let times = Times { step: arguments.step, overload: arguments.time };
    let budget = arguments.budget << 20;
    println!(
        "| case | capacity, events/s | offered | goodput | of capacity | refused | refusals p50 / p99 / max, ms | without hint | \
         memory grown, MiB (bound) | of the budget held, MiB | cores: gateway / load |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let mut breaches = Vec::new();
    if [KINESIS, SLOW_READERS].iter().any(|name| name.contains(&arguments.only)) {
        let house = House::start(Destination::Kinesis { shards: SHARDS }, budget, &arguments.set).await;
        let fleets = case::well_behaved(&house, 16).await;
        let peak = case::find_capacity(&fleets, 5_000.0, &times).await;
        house.settle().await;
        if KINESIS.contains(&arguments.only) {
            let found = case::overload(KINESIS, &house, &fleets, &[], peak, 2.0 * peak, &times).await;
            print(&found);
            breaches.extend(found.breaches().into_iter().chain(found.timed_breaches(true)));
        }
        if SLOW_READERS.contains(&arguments.only) {
            house.slow_down(SLOW);
            let connections = usize::try_from(arguments.connections).expect("few");
            let slow = case::slow_readers(&house, SLOW_STREAMS, connections).await;
            let found = case::overload(SLOW_READERS, &house, &fleets, &slow, peak, 2.0 * peak, &times).await;
            print(&found);
            breaches.extend(found.breaches());
            leave(slow).await;
        }
        leave(fleets).await;
        house.emptied().await;
    }
    for (name, destination) in [(DISCARDED, Destination::Discard), (LAKE, Destination::Lake)] {
        if !name.contains(&arguments.only) {
            continue;
        }
        let house = House::start(destination, budget, &arguments.set).await;
        let fleets = case::well_behaved(&house, 16).await;
        let peak = case::find_capacity(&fleets, 20_000.0, &times).await;
        house.settle().await;
        let found = case::overload_by_turns(name, &house, &fleets, peak, &times).await;
        print(&found);
        breaches.extend(found.breaches());
        // A core that is busy refuses nothing: clients' windows fill up. How much a disk takes changes by itself.
        if destination == Destination::Discard {
            breaches.extend(found.timed_breaches(false));
        }
        leave(fleets).await;
        house.emptied().await;
    }
    verdict(&breaches, &[])
}

async fn leave(fleets: Vec<Fleet>) {
    for fleet in fleets {
        fleet.leave(LEAVE).await;
    }
}

fn print(found: &Overload) {
    println!(
        "| {} | {:.0} | {:.0} | {:.0} | {:.1} % | {} of {} | {} | {} | {} ({}) | {:.1} | {:.2} / {:.2} |",
        found.name,
        found.peak,
        found.offered,
        found.goodput,
        100.0 * found.goodput / found.peak,
        found.refused,
        found.due,
        milliseconds(&found.refusals),
        found.without_hint,
        found.grown >> 20,
        (found.budget + SLACK) >> 20,
        found.held / f64::from(1 << 20),
        found.gateway_cpu,
        found.load_cpu
    );
}

fn judge_neighbours(found: &Neighbours) -> ExitCode {
    let Neighbours { turns, quiet, noisy, changes: [goodput, median, p99], refused, refusals, broken } = found;
    println!(
        "| neighbours, {turns} turns each | noisy one within its limit | at 100 times | change | 95 % interval | bar |"
    );
    println!("|---|---|---|---|---|---|");
    let change = |change: &Change| {
        let [low, high] = change.interval.map(|end| 100.0 * end);
        format!("{:+.2} % | {low:+.2} % to {high:+.2} %", 100.0 * change.change)
    };
    println!("| goodput, events/s | {:.0} | {:.0} | {} | -5 % |", quiet.goodput, noisy.goodput, change(goodput));
    let [quiet_p50, quiet_p99] = quiet.latency.map(|latency| latency.as_secs_f64() * 1e3);
    let [noisy_p50, noisy_p99] = noisy.latency.map(|latency| latency.as_secs_f64() * 1e3);
    println!("| p50, ms | {quiet_p50:.2} | {noisy_p50:.2} | {} | – |", change(median));
    println!("| p99, ms | {quiet_p99:.2} | {noisy_p99:.2} | {} | +10 % |", change(p99));
    let [quiet_gateway, quiet_load] = quiet.cpu;
    let [noisy_gateway, noisy_load] = noisy.cpu;
    println!(
        "| cores: gateway / load | {quiet_gateway:.2} / {quiet_load:.2} | {noisy_gateway:.2} / {noisy_load:.2} | | | |"
    );
    let [answered, refused, bare] = refused;
    println!();
    println!(
        "Of the noisy one's {answered} batches at 100 times its limit {refused} were refused, within {} ms (p50 / p99 / max), \
         {bare} without a hint.",
        milliseconds(refusals)
    );
    let (mut breaches, mut undecided) = (Vec::new(), Vec::new());
    let mut judge = |name: &str, kept: bool, surely_broken: bool| {
        if surely_broken {
            breaches.push(format!("{name}: beyond the bar"));
        } else if !kept {
            undecided.push(format!("{name}: the interval reaches beyond the bar"));
        }
    };
    judge("goodput", goodput.interval[0] >= -0.05, goodput.interval[1] < -0.05);
    judge("p99", p99.interval[1] <= 0.10, p99.interval[0] > 0.10);
    judge("hints", *bare == 0, *bare > 0);
    // At its limit one batch in a hundred gets through.
    let share = *refused as f64 / (*answered).max(1) as f64;
    judge("the limit", (0.97..1.0).contains(&share), !(0.97..1.0).contains(&share));
    judge("streams", *broken == 0, *broken > 0);
    verdict(&breaches, &undecided)
}

fn verdict(breaches: &[String], undecided: &[String]) -> ExitCode {
    println!();
    let mut text = String::new();
    breaches.iter().for_each(|breach| _ = writeln!(text, "BROKEN: {breach}"));
    undecided
        .iter()
        .for_each(|bar| _ = writeln!(text, "UNDECIDED: {bar}; run longer, on a machine that does nothing else"));
    if text.is_empty() {
        text.push_str("Every bar holds.\n");
    }
    print!("{text}");
    match (breaches, undecided) {
        ([], []) => ExitCode::SUCCESS,
        ([], _) => ExitCode::from(UNDECIDED),
        _ => ExitCode::FAILURE,
    }
}

fn milliseconds(durations: &[Duration]) -> String {
    let each: Vec<String> = durations.iter().map(|duration| format!("{:.2}", duration.as_secs_f64() * 1e3)).collect();
    each.join(" / ")
}
