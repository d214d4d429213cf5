//! What hostile clients cost: `cargo run --release -p headgate-tests --bin hostile [-- --for 3s]` prints a table of each kind
//! of them, with what a request of theirs takes of the gateway's CPU, how its memory grows, and how a neighbour fares that
//! sends 20 events a hundred times a second all the while.

#![allow(clippy::disallowed_methods, reason = "a tool's tasks end with its runtime")]

mod attacks;
mod neighbour;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::process::cpu_time;

use self::attacks::{ATTACKS, Ground};
use self::neighbour::Neighbour;

/// Attackers at a time, each with a connection of its own.
const ATTACKERS: usize = 4;

#[derive(Parser)]
struct Arguments {
    /// How long each kind is let loose.
    #[arg(long = "for", default_value = "3s", value_parser = humantime::parse_duration)]
    time: Duration,
    /// Only kinds with this in their names.
    #[arg(long, default_value = "")]
    only: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { time, only } = Arguments::parse();
    let attacks: Vec<_> = ATTACKS.iter().filter(|attack| attack.name.contains(&only)).collect();
    if attacks.is_empty() {
        eprintln!("hostile: no kind has {only:?} in its name");
        return ExitCode::from(2);
    }
    println!(
        "| kind | requests | CPU each, µs | memory grown, MiB | neighbour's p99, ms (before) | neighbour's goodput |"
    );
    println!("|---|---|---|---|---|---|");
    for attack in attacks {
        let data = tempfile::tempdir().expect("a folder");
        let settings = [
            "admission.events_per_second=1000000000",
            "admission.events_burst=1000000000",
            "admission.bytes_per_second=100GiB",
            "admission.bytes_burst=100GiB",
            "operate.log=error",
        ];
        let gateway = GatewayProcess::start(data.path(), &settings).await;
        let (application, target) = gateway.demo();
        let (_, other) = gateway.new_application("neighbour");
        let neighbour = Neighbour::move_in(&other).await;
        // Caches and buffers are filled.
        let _ = neighbour.over(Duration::from_secs(1)).await;
        let alone = Taken::over(&gateway, &neighbour, time, std::future::ready(0)).await;
        let path = format!("/applications/{application}/events");
        let ground = Ground { grpc: target.address, rest: gateway.rest(), key: target.key, path };
        let ground = Arc::new(ground);
        let until = Instant::now() + time;
        let attackers = (0..ATTACKERS).map(|_| tokio::spawn((attack.run)(Arc::clone(&ground), until)));
        let attackers = futures_util::future::join_all(attackers);
        let requests = async { attackers.await.into_iter().map(|sent| sent.expect("no attacker panics")).sum() };
        let beside = Taken::over(&gateway, &neighbour, time, requests).await;
        let cpu = beside.cpu.as_secs_f64() - alone.cpu.as_secs_f64();
        let each = if beside.requests == 0 { 0.0 } else { cpu.max(0.0) * 1e6 / beside.requests as f64 };
        println!(
            "| {} | {} | {each:.1} | {:.1} | {:.1} ({:.1}) | {:.1} % |",
            attack.name,
            beside.requests,
            (beside.memory as f64 - alone.memory as f64) / f64::from(1 << 20),
            beside.p99.as_secs_f64() * 1e3,
            alone.p99.as_secs_f64() * 1e3,
            100.0 * beside.goodput
        );
    }
    ExitCode::SUCCESS
}

/// What a stretch of time took.
struct Taken {
    requests: u64,
    cpu: Duration,
    memory: u64,
    p99: Duration,
    goodput: f64,
}

impl Taken {
    async fn over(
        gateway: &GatewayProcess,
        neighbour: &Neighbour,
        time: Duration,
        requests: impl Future<Output = u64>,
    ) -> Self {
        let before = cpu_time(gateway.pid());
        let (requests, served) = tokio::join!(requests, neighbour.over(time));
        let cpu = cpu_time(gateway.pid()).saturating_sub(before);
        Self { requests, cpu, memory: gateway.resident_bytes(), p99: served.p99, goodput: served.goodput }
    }
}
