//! On an emulator that others wrote, read by consumers that others wrote: what is acknowledged comes out of the shards
//! through AWS's own de-aggregation package, and out of the objects that Firehose wrote. And what a start says where the
//! stream, the delivery stream or the credentials are missing.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use headgate_tests::client::Target;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::lake::Row;
use headgate_tests::load::{Load, Shape, Tally};
use headgate_tests::metrics::Scrape;
use headgate_tests::ministack::{self, MiniStack};
use headgate_tests::oracle::Oracle;
use headgate_tests::seed::seed;
use headgate_tests::{binary, poll, python, stream};
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use super::{DELIVERY_STREAM, STREAM};
use crate::{NO_RATE_LIMIT, PATIENCE};

const BUCKET: &str = "event-lake";
const SHARDS: i32 = 4;
/// What is acknowledged on each route.
const TO_KINESIS: u64 = 200_000;
const TO_FIREHOSE: u64 = 20_000;
/// For the whole load, which takes about half a minute on two cores that nobody else needs.
const LOAD_PATIENCE: Duration = Duration::from_secs(300);
const ROUTES: [&str; 4] = [
    "registry.kind=dynamodb",
    "delivery.destination=kinesis",
    "kinesis.stream=events",
    "firehose.delivery_stream=events-to-s3",
];

/// The emulator with everything that a gateway needs there, and a gateway.
struct House {
    emulator: MiniStack,
    gateway: GatewayProcess,
    data: TempDir,
}

impl House {
    async fn start(settings: &[&str]) -> Self {
        let (emulator, _) = MiniStack::with_tables().await;
        emulator.create_stream(STREAM, SHARDS).await;
        emulator.create_bucket(BUCKET).await;
        emulator.create_delivery_stream(DELIVERY_STREAM, BUCKET).await;
        let data = tempfile::tempdir().expect("a folder");
        // It is one Python process: on a busy machine its answers take long, and one given up counts as ambiguous.
        let patient = ["kinesis.attempt_timeout=14s", "firehose.attempt_timeout=14s"];
        let settings = [&NO_RATE_LIMIT[..], &ROUTES, &patient, settings].concat();
        let gateway =
            GatewayProcess::start_in(data.path(), &settings, &ministack::environment(emulator.address())).await;
        Self { emulator, gateway, data }
    }

    /// Registers an application as an operator does: its id, and where and with which key to send.
    fn application(&self, line: &[&str]) -> (Uuid, Target) {
        let application = self.command(&[&["apps", "create"], line].concat());
        let id = application["application_id"].as_str().unwrap_or_else(|| panic!("no id in {application}"));
        let key = self.command(&["keys", "create", line[0], "--name", "server"]);
        let key = key["api_key"].as_str().unwrap_or_else(|| panic!("no key in {key}"));
        (id.parse().expect("an application's id is a UUID"), self.gateway.target(key))
    }

    fn command(&self, line: &[&str]) -> Value {
        let data = self.data.path().to_str().expect("a path in UTF-8");
        let all = [line, &["--registry", "dynamodb", "--output", "json", "--data-dir", data]].concat();
        let all: Vec<_> = all.iter().map(OsStr::new).collect();
        let mut command = binary::command(&all);
        printed(command.envs(ministack::environment(self.emulator.address())))
    }

    /// What a consumer's script reads and counts. Whatever it says beside that is an error: so does the package that
    /// takes records apart, and goes on.
    fn read(&self, script: &str, arguments: &[&str]) -> (Value, Vec<u8>) {
        let out = self.data.path().join(script).with_extension("out");
        let mut command = Command::new(python::consumer());
        command.arg(binary::workspace().join("tests/e2e/kinesis").join(script));
        command.args(arguments).arg("--out").arg(&out);
        let counts = printed(command.envs(ministack::environment(self.emulator.address())));
        (counts, std::fs::read(&out).expect("the script writes it"))
    }

    /// The user records of the stream, and the consumer's counts.
    fn consumed(&self, how: &[&str]) -> (Value, Vec<Vec<u8>>) {
        let (counts, framed) = self.read("read_stream.py", &[&["--stream", STREAM], how].concat());
        let mut records = Vec::new();
        let mut rest = &framed[..];
        while let Some((len, after)) = rest.split_first_chunk::<4>() {
            let (record, after) = after.split_at(u32::from_be_bytes(*len) as usize);
            records.push(record.to_vec());
            rest = after;
        }
        assert_eq!((records.len() as u64, rest.len()), (count(&counts["user_records"]), 0), "{counts}");
        (counts, records)
    }
}

/// Runs a command that must succeed and be silent but for the JSON that it prints.
fn printed(command: &mut Command) -> Value {
    let output = command.stdin(Stdio::null()).output().expect("the program can be run");
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && wrong.is_empty(), "{command:?}: {}\n{said}\n{wrong}", output.status);
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{command:?}: {error}: {said}"))
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no count: {value}"))
}

/// How many records the shards hold, all of which are used.
fn stored_records(counts: &Value) -> u64 {
    let shards: Vec<u64> = counts["shards"].as_object().expect("counts by shard").values().map(count).collect();
    assert_eq!(shards.len(), SHARDS as usize, "{counts}");
    assert!(shards.iter().all(|records| *records > 0), "a shard is idle: {counts}");
    shards.iter().sum()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
fn counted(metrics: &Scrape, name: &str, destination: &str) -> u64 {
    metrics.sum(name, &[&format!("destination=\"{destination}\"")]) as u64
}

/// Streams only, with batches as large as a debug build turns over well.
fn shape(streams: usize) -> Shape {
    Shape { streams, stubborn: 0, window: 32, unary: 0, batch: 100..=500, ..Shape::default() }
}

/// Load that runs until so many events are acknowledged.
async fn acknowledge(oracle: &Arc<Oracle>, target: Target, shape: Shape, events: u64, seed: u64) -> Tally {
    let load = Load::start(oracle, &[target], &shape, seed);
    load.acknowledge(events, LOAD_PATIENCE).await;
    load.finish(PATIENCE).await
}

/// Two games on two routes, with everything that AWS would do done by software that is not ours.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_thousand_events_come_out_of_the_shards_and_the_bucket_as_they_were_sent() {
    let seed = seed("emulator");
    let house = House::start(&[]).await;
    let (streamed, to_kinesis) = house.application(&["Skyfall"]);
    let (filed, to_firehose) = house.application(&["Rooftop", "--route", "firehose"]);
    let kinesis = Arc::new(Oracle::new(seed, &[streamed]));
    let firehose = Arc::new(Oracle::new(!seed, &[filed]));
    let start = Instant::now();
    let tallies = tokio::join!(
        acknowledge(&kinesis, to_kinesis, shape(4), TO_KINESIS, seed),
        acknowledge(&firehose, to_firehose, shape(1), TO_FIREHOSE, !seed),
    );
    let load_took = start.elapsed();
    println!("{tallies:?}");

    let metrics = house.gateway.metrics().await;
    assert_eq!(metrics.sum("headgate_delivery_ambiguous_records_total", &[]), 0.0, "so nothing may be there twice");
    let start = Instant::now();
    let (counts, records) = house.consumed(&[]);
    let read_took = start.elapsed();
    println!("the consumer of the stream: {counts}");
    let rows: Vec<Row> = records.iter().map(|record| stream::row(record)).collect();
    let judgement = kinesis.judge(&rows);
    let (acknowledged, stored) = (judgement.acknowledged, stored_records(&counts));
    judgement.assert_kept(TO_KINESIS);
    assert_eq!(rows.len() as u64, acknowledged, "what is in the stream is acknowledged, once");
    assert_eq!(count(&counts["outside"]), 0, "consumers with KCL's rules get everything, too");
    assert!(stored * 20 < acknowledged, "events share records: {counts}");
    // The gateway counts what others count.
    let of_kinesis = |name| counted(&metrics, name, "kinesis");
    assert_eq!(of_kinesis("headgate_delivery_records_total"), stored);
    let (wire, stored_bytes) = (of_kinesis("headgate_delivery_wire_bytes_total"), count(&counts["stored_bytes"]));
    assert_eq!(wire, stored_bytes, "{counts}");
    let payload = records.iter().map(|record| record.len() as u64).sum::<u64>();
    assert_eq!(of_kinesis("headgate_delivery_payload_bytes_total"), payload);

    let (objects, lines) = house.read("read_objects.py", &["--bucket", BUCKET]);
    let rows = stream::rows(&lines);
    let judgement = firehose.judge(&rows);
    let filed = judgement.acknowledged;
    judgement.assert_kept(TO_FIREHOSE);
    assert_eq!(rows.len() as u64, filed, "what is in the bucket is acknowledged, once");
    assert_eq!(count(&objects["objects"]), counted(&metrics, "headgate_delivery_records_total", "firehose"));

    #[allow(clippy::cast_precision_loss)]
    let rate = (acknowledged + filed) as f64 / load_took.as_secs_f64();
    let efficiency = |destination: &str| {
        let labels = [format!("destination=\"{destination}\""), "part=\"total\"".to_owned()];
        metrics.sum("headgate_delivery_efficiency_ratio", &[&labels[0], &labels[1]])
    };
    println!(
        "{acknowledged} events in {stored} records, {filed} in {} objects; {rate:.0} events/s, read in {read_took:.1?}; \
         efficiency of Kinesis {:.3}, of Firehose {:.3}",
        objects["objects"],
        efficiency("kinesis"),
        efficiency("firehose"),
    );
    assert!(acknowledged + filed >= 200_000);
}

/// The emulator reads CBOR with a library of its own, and an ordinary consumer gets what was put.
#[tokio::test(flavor = "multi_thread")]
async fn calls_in_cbor_are_read_by_another_implementation_of_it() {
    let seed = seed("emulator cbor");
    let house = House::start(&["kinesis.encoding=cbor"]).await;
    let (id, target) = house.application(&["Thunderball"]);
    let oracle = Arc::new(Oracle::new(seed, &[id]));
    acknowledge(&oracle, target, shape(2), 5_000, seed).await;
    let metrics = house.gateway.metrics().await;
    assert_eq!(metrics.sum("headgate_delivery_ambiguous_records_total", &[]), 0.0, "so nothing may be there twice");
    let (_, records) = house.consumed(&[]);
    let rows: Vec<Row> = records.iter().map(|record| stream::row(record)).collect();
    oracle.judge(&rows).assert_kept(5_000);
}

/// For consumers that can't take records apart.
#[tokio::test(flavor = "multi_thread")]
async fn without_aggregation_a_plain_consumer_reads_one_event_from_each_record() {
    let seed = seed("emulator plain");
    let house = House::start(&["kinesis.aggregation=none"]).await;
    let (id, target) = house.application(&["Skyfall"]);
    let oracle = Arc::new(Oracle::new(seed, &[id]));
    acknowledge(&oracle, target, shape(2), 5_000, seed).await;
    let metrics = house.gateway.metrics().await;
    assert_eq!(metrics.sum("headgate_delivery_ambiguous_records_total", &[]), 0.0, "so nothing may be there twice");
    let (counts, records) = house.consumed(&["--as-stored"]);
    // Each is one line of JSON, or it is no row.
    let rows: Vec<Row> = records.iter().map(|record| stream::row(record)).collect();
    let judgement = oracle.judge(&rows);
    assert_eq!((stored_records(&counts), rows.len() as u64), (judgement.acknowledged, judgement.acknowledged));
    judgement.assert_kept(5_000);
}

/// Kills what it holds, so that a gateway that starts after all does not outlive the test.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The exit code and the last words of a gateway that can't start.
async fn start_in_vain(data_dir: &Path, settings: &[&str], environment: &[(String, String)]) -> (Option<i32>, String) {
    let data = data_dir.to_str().expect("a path in UTF-8");
    let mut arguments = vec!["serve", "--data-dir", data, "--listen", "127.0.0.1:0", "--operate-listen", "127.0.0.1:0"];
    arguments.extend(["--rest-listen", "127.0.0.1:0"]);
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    let arguments: Vec<_> = arguments.iter().map(OsStr::new).collect();
    let mut command = binary::command(&arguments);
    // Whoever runs the tests may be at home in AWS.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"AWS_")) {
        command.env_remove(name);
    }
    let said = std::fs::File::create(data_dir.join("said")).expect("a file");
    let command = command.envs(environment.iter().map(|(name, value)| (name, value)));
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn().expect("headgate can be run");
    let mut started = Started(child);
    let status = poll::until("the gateway gives up", PATIENCE, async || {
        started.0.try_wait().expect("one's own child can be waited for")
    })
    .await;
    (status.code(), std::fs::read_to_string(data_dir.join("said")).expect("it was written"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_its_stream_or_credentials_ends_and_says_what_is_missing() {
    let emulator = MiniStack::start().await;
    emulator.create_stream(STREAM, 1).await;
    let environment = ministack::environment(emulator.address());
    let without_credentials: Vec<_> = environment
        .iter()
        .filter(|(name, _)| !["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].contains(&name.as_str()))
        .cloned()
        .collect();
    let kinesis = "delivery.destination=kinesis";
    let firehose = "delivery.destination=firehose";
    let there = "kinesis.stream=events";
    for (settings, environment, words) in [
        (
            &[kinesis, "kinesis.stream=no-such-stream"][..],
            &environment,
            &["Kinesis", "stream no-such-stream", "not found"][..],
        ),
        (
            &[firehose, "firehose.delivery_stream=no-such-delivery"],
            &environment,
            &["Firehose", "no delivery stream no-such-delivery"],
        ),
        (
            &[kinesis, there],
            &without_credentials,
            &["no AWS credentials", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "role"],
        ),
    ] {
        let data = tempfile::tempdir().expect("a folder");
        let start = Instant::now();
        let (code, said) = start_in_vain(data.path(), settings, environment).await;
        println!("{settings:?}: {:?}, exit code {code:?}: {said}", start.elapsed());
        assert_eq!(code, Some(1), "{settings:?}: {said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(last.starts_with("headgate: "), "{said}");
        assert!(words.iter().all(|word| last.contains(word)), "{words:?} in {last:?}");
    }
}
