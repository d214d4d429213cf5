//! The stand-in for Kinesis and Firehose as a process of its own, for benches: what it costs is not the gateway's. Prints
//! one JSON line with its address; ends on SIGTERM, SIGINT or when its standard input ends, and then prints its tally,
//! which `GET /tally` answers as well. Exits with an error if its arguments make no sense or its port is taken.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use headgate_tests::aws::faults::{Fault, Rule};
use headgate_tests::aws::kinesis::StreamSettings;
use headgate_tests::aws::{RecordError, Settings, StandIn, Tls};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// A stand-in for Kinesis Data Streams and Firehose on 127.0.0.1.
#[derive(Parser)]
struct Arguments {
    /// The port; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// A data stream to create; may be repeated.
    #[arg(long = "stream", value_name = "NAME", default_value = "events")]
    streams: Vec<String>,
    /// How many shards each begins with.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    shards: u32,
    /// The largest record that the streams take, in KiB.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1_024..=10_240))]
    max_record_kib: u32,
    /// The streams are on-demand streams.
    #[arg(long)]
    on_demand: bool,
    /// Kinesis distributes the streams' records itself and ignores their keys.
    #[arg(long, requires = "on_demand")]
    auto: bool,
    /// A delivery stream to create; may be repeated.
    #[arg(long = "delivery-stream", value_name = "NAME", default_value = "events")]
    delivery_streams: Vec<String>,
    /// Serves TLS with this certificate chain and key, both in PEM.
    #[arg(long, num_args = 2, value_names = ["CERTIFICATES", "KEY"])]
    tls: Option<Vec<PathBuf>>,
    /// Shards take whatever comes.
    #[arg(long)]
    no_throttle: bool,
    /// A shard's write limit as a multiple of 1 MiB/s and 1,000 records/s.
    #[arg(long, default_value_t = 1.0, conflicts_with = "no_throttle")]
    throttle: f64,
    /// Keeps counts, not records.
    #[arg(long)]
    discard: bool,
    /// Answers every put only after so many milliseconds.
    #[arg(long, value_name = "MILLISECONDS")]
    latency: Option<u64>,
    /// Each record fails with this probability.
    #[arg(long, value_name = "PROBABILITY")]
    fail_records: Option<f64>,
    /// What is left to chance follows from it.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let tls = match arguments.tls.as_deref() {
        Some([certificates, key]) => {
            Some(Tls { certificates: std::fs::read_to_string(certificates)?, key: std::fs::read_to_string(key)? })
        }
        _ => None,
    };
    let settings = Settings {
        port: arguments.port,
        tls,
        throttle: (!arguments.no_throttle).then_some(arguments.throttle),
        keep: !arguments.discard,
        seed: arguments.seed,
        dynamodb: None,
    };
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(&arguments, settings))
}

async fn run(arguments: &Arguments, settings: Settings) -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stand_in = StandIn::start(settings).await;
    for name in &arguments.streams {
        let stream = StreamSettings::new(name, arguments.shards);
        let (on_demand, auto, max_record_kib) = (arguments.on_demand, arguments.auto, arguments.max_record_kib);
        stand_in.create_stream(StreamSettings { on_demand, auto, max_record_kib, ..stream });
    }
    arguments.delivery_streams.iter().for_each(|name| stand_in.create_delivery_stream(name));
    let faults = stand_in.faults();
    if let Some(milliseconds) = arguments.latency {
        faults.set(Rule::new(Fault::SlowAnswer(Duration::from_millis(milliseconds))));
    }
    if let Some(probability) = arguments.fail_records {
        faults.set(Rule::new(Fault::EachRecordFails { probability, error: RecordError::InternalFailure }));
    }
    print(&serde_json::json!({ "address": stand_in.address(), "endpoint": stand_in.endpoint() }))?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = end_of_input() => {}
    }
    print(&stand_in.tally())
}

/// Ready when standard input has ended or cannot be read.
async fn end_of_input() {
    let (ended, end) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let mut buffer = [0; 1_024];
        while std::io::stdin().read(&mut buffer).is_ok_and(|bytes| bytes > 0) {}
        drop(ended);
    });
    _ = end.await;
}

fn print(line: &impl serde::Serialize) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, line)?;
    out.write_all(b"\n")?;
    out.flush()
}
