//! The queries of `deploy/queries`: what they say over a lake that a gateway wrote is what plain Python makes of the
//! events that were sent to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use headgate::clock::Clock;
use headgate_proto::v1::Event;
use headgate_tests::client::{Connection, Target};
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::seed::seed;
use headgate_tests::{binary, python};
use prost_types::Timestamp;
use serde::{Deserialize, Serialize};

const BATCH: usize = 500;
const DAY_MS: i64 = 86_400_000;
/// A segment of the lake's log has partitions for 62 days; the rows of more days go to the day on which they came.
const DAYS_AT_ONCE: usize = 60;

/// An event that the games' players want sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ToSend {
    pub(crate) application_id: String,
    pub(crate) application_name: String,
    pub(crate) event_id: String,
    pub(crate) event_type: String,
    pub(crate) event_name: String,
    pub(crate) app_version: Option<String>,
    pub(crate) event_time_ms: i64,
    pub(crate) event_data: Option<String>,
    pub(crate) again: bool,
}

/// What was found.
#[derive(Debug, Deserialize)]
struct Summary {
    queries: usize,
    events: usize,
    rows: usize,
    distinct: usize,
    rows_compared: usize,
}

impl ToSend {
    fn day(&self) -> i64 {
        self.event_time_ms.div_euclid(DAY_MS)
    }
}

impl From<&ToSend> for Event {
    fn from(event: &ToSend) -> Self {
        let (seconds, millis) = (event.event_time_ms.div_euclid(1_000), event.event_time_ms.rem_euclid(1_000));
        Self {
            event_id: event.event_id.clone(),
            event_type: event.event_type.clone(),
            event_name: event.event_name.clone(),
            app_version: event.app_version.clone().unwrap_or_default(),
            event_timestamp: Some(Timestamp { seconds, nanos: millis as i32 * 1_000_000 }),
            event_data: event.event_data.clone().unwrap_or_default().into_bytes().into(),
            ..Self::default()
        }
    }
}

pub(crate) fn queries() -> PathBuf {
    binary::workspace().join("deploy/queries")
}

pub(crate) fn script(name: &str) -> Command {
    let mut command = Command::new(python::analyst());
    command.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/queries").join(name));
    command
}

pub(crate) async fn run(mut command: Command) -> String {
    let running = tokio::task::spawn_blocking(move || python::run(&mut command));
    running.await.expect("a command can be run").unwrap_or_else(|problem| panic!("{problem}"))
}

/// Sends events in the order of their times, each with its application's key. Every one is accepted.
async fn send(gateway: &GatewayProcess, targets: &BTreeMap<String, Target>, events: &[ToSend]) {
    let mut connections = BTreeMap::new();
    for (application, target) in targets {
        connections.insert(application, Connection::open(target).await.expect("the gateway listens"));
    }
    let mut days = BTreeSet::new();
    for some in events.chunk_by(|one, next| one.day() == next.day()) {
        if days.len() == DAYS_AT_ONCE {
            gateway.compact().await;
            days.clear();
        }
        days.insert(some[0].day());
        for (application, connection) in &mut connections {
            let of_it: Vec<&ToSend> = some.iter().filter(|event| event.application_id == **application).collect();
            for batch in of_it.chunks(BATCH) {
                let verdict = connection.publish(batch.iter().map(|event| Event::from(*event)).collect()).await;
                let verdict = verdict.expect("an answer");
                assert_eq!(verdict.accepted as usize, batch.len(), "{verdict:?}");
            }
        }
    }
}

/// Three games' events of 13 months, of which a crash makes the games send some again that were stored, so that these
/// lie in the lake twice. Then each query, as Athena would answer it today and at the ends of months, and with DuckDB's
/// macros as it stands, gives row for row what was sent.
#[tokio::test(flavor = "multi_thread")]
async fn every_query_says_what_was_sent() {
    let seed = seed("queries") >> 1;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("headgate-data");
    fs::create_dir(&data).expect("a folder");
    let mut gateway = GatewayProcess::start(&data, &super::NO_RATE_LIMIT).await;
    let mut targets = BTreeMap::new();
    let mut play = script("players.py");
    for name in ["skyfall", "harbor", "tidewater"] {
        let (application, target) = gateway.new_application(name);
        play.args(["--application", &format!("{application}={name}")]);
        targets.insert(application.to_string(), target);
    }
    let now_ms = Clock::system().wall_ms().to_string();
    play.args(["--seed", &seed.to_string(), "--now-ms", &now_ms]);
    let played = run(play).await;
    let sent = folder.path().join("sent.jsonl");
    fs::write(&sent, &played).expect("the folder can be written");
    let events: Vec<ToSend> =
        played.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect();

    send(&gateway, &targets, &events).await;
    // Stored, but not yet in Parquet files, when it is killed; the ids that it had seen are forgotten with it.
    gateway.kill();
    gateway.start_again().await;
    gateway.compact().await;
    let again: Vec<ToSend> = events.iter().filter(|event| event.again).cloned().collect();
    send(&gateway, &targets, &again).await;
    gateway.compact().await;
    assert!(gateway.terminate(Duration::from_secs(25)).await.success());

    let mut ask = script("answers.py");
    ask.current_dir(folder.path()).arg("--queries").arg(queries()).arg("--sent").arg(&sent).args(["--now-ms", &now_ms]);
    let text = run(ask).await;
    println!("{text}");
    let summary: Summary = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!((summary.events, summary.distinct), (events.len(), events.len()));
    assert_eq!(summary.rows, events.len() + again.len(), "what was sent again lies there twice");
    assert!(summary.queries >= 20 && summary.rows_compared > 1_000, "{summary:?}");
}

/// Each file is one statement that sqlglot takes for Athena's and can say in DuckDB's words, names the partitions that
/// it reads, has its figures for the test above, and stands in the folder's README as its header says.
#[tokio::test]
async fn every_query_is_written_for_athena_and_described_in_the_readme() {
    let mut lint = script("answers.py");
    lint.arg("--lint").arg("--queries").arg(queries());
    println!("{}", run(lint).await);
    let mut readme = script("headers.py");
    readme.arg(queries());
    run(readme).await;
}
