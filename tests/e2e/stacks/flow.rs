//! From a game server to a query's answer, through what the stacks make of an emulator: the stream, Firehose, the
//! functions as Lambda runs them, and the lake.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use aws_sdk_kinesis::primitives::Blob;
use headgate::clock::Clock;
use headgate_tests::client::{Connection, Target};
use headgate_tests::ministack;
use headgate_tests::poll;
use headgate_tests::seed::seed;
use serde_json::Value;

use super::house::{House, read_back};
use crate::queries::{ToSend, queries, run, script};

/// What the container is given to drain (`StopTimeout`), which a debug build on a busy machine needs, too.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);
/// For what follows an acknowledgement: functions of a debug build, on an emulator that is one Python process.
const PATIENCE: Duration = Duration::from_secs(180);
/// The emulator's Firehose runs the function and writes an object for each record, while the call waits.
const EVENTS: usize = 150;
const BATCH: usize = 10;
/// Three games, as the players of `players.py` need them. The last one's row is gone from the table when its events come.
const GAMES: [&str; 3] = ["skyfall", "harbor", "ghost"];
const GARBAGE: &str = "no event at all";
/// Queries that the emulator's Athena is asked, too: in the words of DuckDB, which it hands them to, over the stack's table.
const ATHENA: [&str; 3] = ["total_events", "total_logins", "events_by_type"];

impl House {
    /// A record of the stream that no gateway has written.
    async fn put_garbage(&self) {
        let client = aws_sdk_kinesis::Client::new(&ministack::config(self.emulator.address()).await);
        let put = client.put_record().stream_name(self.resource("data", "Stream")).partition_key("garbage");
        let _ = put.data(Blob::new(GARBAGE)).send().await.expect("the stream takes it");
    }

    /// What a function's log adds up to, once it has this sum.
    async fn metrics(&self, function: &str, name: &str, sum: u64) -> BTreeMap<String, u64> {
        let group = format!("/headgate/prod/{function}");
        let arguments = ["metrics", "--log-group", &group].map(OsStr::new);
        poll::until("the function has published", PATIENCE, async || {
            let sums: BTreeMap<String, u64> =
                serde_json::from_value(read_back(&self.emulator, &arguments).await).expect("sums");
            (sum_of(&sums, name) >= sum).then_some(sums)
        })
        .await
    }
}

/// The sum of a metric over all of its dimensions.
fn sum_of(sums: &BTreeMap<String, u64>, name: &str) -> u64 {
    sums.iter().filter(|(metric, _)| metric.split('/').next() == Some(name)).map(|(_, sum)| sum).sum()
}

/// What three games' players did lately: some of it, so that there is something of each day and kind.
async fn played(applications: &[String], now_ms: i64) -> Vec<ToSend> {
    let mut play = script("players.py");
    for (application, name) in applications.iter().zip(GAMES) {
        play.args(["--application", &format!("{application}={name}")]);
    }
    play.args(["--seed", &(seed("flow") >> 1).to_string(), "--now-ms", &now_ms.to_string()]);
    let text = run(play).await;
    let events: Vec<ToSend> = text.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    let of_late: Vec<ToSend> =
        events.into_iter().filter(|event| now_ms - event.event_time_ms < 45 * 86_400_000).collect();
    let step = of_late.len().div_ceil(EVENTS);
    of_late.into_iter().step_by(step).map(|event| ToSend { again: false, ..event }).collect()
}

/// Every stack is created on an emulator, wired by nothing but its SSM parameters. A gateway that is started with the
/// environment of the task definition that came of it finds its tables and streams, lets an administrator in with the
/// token of the secret, and acknowledges events once they are in the stack's stream. From there Firehose has the transform
/// function make rows of them, writes Parquet files by event day, and every query says of them what was sent, an application
/// that is not registered any more and a record that is none among them; the metrics function counts the same. The gateway
/// drains within the container's stop. (Not aggregated: the emulator takes nothing apart.)
#[tokio::test(flavor = "multi_thread")]
async fn events_get_from_the_gateway_to_the_answers_of_queries_on_what_the_stacks_make() {
    let house = House::deploy().await;
    let folder = tempfile::tempdir().expect("a folder");
    // Its data folder and its listeners are the test's own; everything else is the container's.
    let settings = ["kinesis.aggregation=none", "kinesis.attempt_timeout=14s"];
    let mut gateway = house.start_gateway(&folder.path().join("data"), &settings).await;

    let mut targets: BTreeMap<String, Target> = BTreeMap::new();
    let mut applications = Vec::new();
    for name in GAMES {
        let (application, key) = house.new_game(&gateway, name);
        targets.insert(application.clone(), gateway.target(&key));
        applications.push(application);
    }
    for application in &applications[..2] {
        house.make_known(application).await;
    }
    let ghost = &applications[2];

    let now_ms = Clock::system().wall_ms();
    let events = played(&applications, now_ms).await;
    for (application, target) in &targets {
        let mut connection = Connection::open(target).await.expect("the gateway listens");
        let of_it: Vec<&ToSend> = events.iter().filter(|event| event.application_id == *application).collect();
        for batch in of_it.chunks(BATCH) {
            let verdict = connection.publish(batch.iter().map(|event| (*event).into()).collect()).await;
            let verdict = verdict.expect("an answer");
            assert_eq!(verdict.accepted as usize, batch.len(), "{verdict:?}");
        }
    }
    house.put_garbage().await;
    let metrics = gateway.metrics().await;
    assert!(metrics.sum("headgate_delivery_records_total", &["destination=\"kinesis\""]) >= events.len() as f64);
    assert!(gateway.terminate(DRAIN_PATIENCE).await.success());

    count_in_the_lake(&house, folder.path(), &events, ghost, now_ms).await;
    count_in_the_metrics(&house, &events).await;
}

/// The lake's files, asked by DuckDB and by the emulator's Athena.
async fn count_in_the_lake(house: &House, folder: &Path, events: &[ToSend], ghost: &str, now_ms: i64) {
    let lake = folder.join("headgate-data/lake");
    let bucket = house.resource("data", "Lake");
    let arguments = ["objects", "--bucket", bucket].map(OsStr::new);
    poll::until("the lake has an object for each event", PATIENCE, async || {
        let keys = read_back(&house.emulator, &arguments).await;
        (keys.as_array().expect("keys").len() >= events.len()).then_some(())
    })
    .await;
    let arguments = [&arguments[..], &[OsStr::new("--into"), lake.as_os_str()]].concat();
    for key in read_back(&house.emulator, &arguments).await.as_array().expect("keys") {
        let key = key.as_str().expect("a key");
        assert!(key.starts_with("raw_events/year=") && key.ends_with(".parquet"), "{key}");
    }

    let translated = folder.join("translated");
    std::fs::create_dir(&translated).expect("a folder");
    let mut translate = script("counted.py");
    translate.arg("--queries").arg(queries()).arg("--translate").arg(&translated);
    let _ = run(translate).await;
    let files: Vec<_> = ATHENA.iter().map(|name| translated.join(format!("{name}.sql"))).collect();
    let [workgroup, database] = ["Workgroup", "Database"].map(|name| house.resource("data", name));
    let mut arguments = ["athena", "--workgroup", workgroup, "--database", database].map(OsStr::new).to_vec();
    arguments.extend(files.iter().map(|file| file.as_os_str()));
    let also = folder.join("athena.json");
    std::fs::write(&also, read_back(&house.emulator, &arguments).await.to_string()).expect("a file can be written");

    let sent = folder.join("sent.jsonl");
    let lines = events.iter().map(|event| {
        let mut event = serde_json::to_value(event).expect("JSON");
        if event["application_id"] == ghost {
            event["application_name"] = Value::Null;
        }
        format!("{event}\n")
    });
    std::fs::write(&sent, lines.collect::<String>()).expect("a file can be written");
    let mut ask = script("counted.py");
    ask.current_dir(folder).arg("--queries").arg(queries()).arg("--sent").arg(&sent).arg("--also").arg(&also);
    ask.args(["--now-ms", &now_ms.to_string()]);
    let text = run(ask).await;
    println!("{text}");
    let counted: Value = serde_json::from_str(&text).expect("JSON");
    let unregistered = events.iter().filter(|event| event.application_id == ghost).count();
    assert!(unregistered > 0 && unregistered < events.len());
    assert_eq!(counted["distinct"], events.len());
    assert_eq!(counted["status"]["unregistered"], unregistered);
    assert_eq!(counted["status"]["ok"], counted["rows"].as_u64().expect("a count") - unregistered as u64);
    assert!(counted["answered"].as_u64() > Some(15), "most queries had something to say: {counted}");
}

/// What the functions told CloudWatch.
async fn count_in_the_metrics(house: &House, events: &[ToSend]) {
    let sums = house.metrics("metrics-function", "TotalEvents", events.len() as u64).await;
    for application in events.iter().map(|event| event.application_id.as_str()) {
        let of_it = |sums: &BTreeMap<String, u64>, name: &str| -> u64 {
            let its = sums.iter().filter(|(metric, _)| metric.split('/').nth(1) == Some(application));
            its.filter(|(metric, _)| metric.split('/').next() == Some(name)).map(|(_, sum)| sum).sum()
        };
        let sent = |wanted: Option<&str>| {
            let its = events.iter().filter(|event| event.application_id == application);
            its.filter(|event| wanted.is_none_or(|wanted| event.event_type == wanted)).count() as u64
        };
        assert_eq!(of_it(&sums, "TotalEvents"), sent(None), "{application}: {sums:?}");
        assert_eq!(of_it(&sums, "TotalLogins"), sent(Some("login")), "{application}: {sums:?}");
    }
    assert_eq!(sum_of(&house.metrics("metrics-function", "RecordsUnreadable", 1).await, "RecordsUnreadable"), 1);
    let transformed = house.metrics("transform", "RecordsFailed", 1).await;
    assert_eq!(sum_of(&transformed, "RecordsFailed"), 1, "{transformed:?}");
}
