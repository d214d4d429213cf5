use std::fs;
use std::sync::Mutex;

use axum::Json;
use axum::Router;
use axum::routing::post;
use headgate_proto::record::{EventFields, RecordTail, write_record};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::*;
use crate::cli::Output;
use crate::config::{GatherSettings, LakeSettings, Settings};
use crate::delivery::Destination;
use crate::delivery::lake::Lake;
use crate::gather::testing::bucket;
use crate::gather::{BucketSink, InFlight, Outcome};

/// A lake that a gateway has left with ten events in its log.
pub(in crate::cli) async fn data_dir() -> TempDir {
    let dir = tempfile::tempdir().expect("makes a folder");
    let clock = Clock::system();
    let parts = LakeParts {
        files: Arc::new(OsFiles),
        names: Arc::new(Names(HashMap::new())),
        metrics: Metrics::new(),
        clock: clock.clone(),
    };
    let lake = Lake::open(dir.path(), &LakeSettings::default(), &GatherSettings::default(), parts).expect("opens");
    let tail = RecordTail::new("request", 1_700_000_000_000, "f0000000-0000-4000-8000-000000000001");
    let mut payload = Vec::new();
    for id in 0..10 {
        let event_id = format!("00000000-0000-4000-8000-{id:012x}");
        let event = EventFields {
            event_id: event_id.as_bytes(),
            event_type: b"login",
            event_name: b"login",
            seconds: 1_700_000_000,
            nanos: 250_000_000,
            event_version: b"",
            app_version: b"",
            event_data: br#"{"level": 7}"#,
            data_has_line_breaks: false,
        };
        write_record(&mut payload, &event, &tail);
    }
    let (bucket, verdict) = bucket(&InFlight::new(), payload, 10, clock.now() + Duration::from_secs(15));
    lake.submit(bucket);
    assert_eq!(verdict.wait(), Outcome::Stored);
    lake.close().await;
    dir
}

fn context(dir: &TempDir) -> Context {
    let settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
    Context { settings, output: Output::Json }
}

#[tokio::test]
async fn a_stopped_lake_is_compacted_by_the_command_itself() {
    let dir = data_dir().await;
    assert_eq!(verify(dir.path(), |_, _| {}).expect("verifies").waiting.len(), 1);
    run(LakeCommand::Compact, &context(&dir)).await.expect("compacts");
    let report = verify(dir.path(), |_, _| {}).expect("verifies");
    assert_eq!((report.rows, report.waiting.len()), (10, 0));
    run(LakeCommand::Verify, &context(&dir)).await.expect("is good");
}

#[tokio::test]
async fn verify_fails_when_a_file_is_not_as_it_was_written() {
    let dir = data_dir().await;
    run(LakeCommand::Compact, &context(&dir)).await.expect("compacts");
    fs::write(dir.path().join("lake/raw_events/x.parquet"), b"whose is this").expect("writes");
    let error = run(LakeCommand::Verify, &context(&dir)).await.expect_err("has a stray");
    assert_eq!(error.exit_code(), 1);
    let report = verify(dir.path(), |_, _| {}).expect("verifies");
    assert!(verify_shown(&report).expect("shows").text.contains("raw_events/x.parquet"), "{report:?}");
}

#[tokio::test]
async fn a_running_gateway_is_asked() {
    let dir = data_dir().await;
    let held = Lock::take(dir.path()).expect("is free");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let operate = listener.local_addr().expect("has an address");
    let running = format!(r#"{{"pid":1,"grpc":"127.0.0.1:1","operate":"{operate}"}}"#);
    fs::write(dir.path().join("lock"), running).expect("writes");
    let report = Arc::new(Mutex::new(CompactReport { segments: 3, rows: 7, ..CompactReport::default() }));
    let answer = Arc::clone(&report);
    let handler = move || async move { Json(answer.lock().expect("is not poisoned").clone()) };
    let routes = Router::new().route("/lake/compact", post(handler));
    let (done, when_done) = oneshot::channel::<()>();
    let served = axum::serve(listener, routes).with_graceful_shutdown(async { drop(when_done.await) });
    let asked = async {
        assert_eq!(ask(operate).await.expect("answers").rows, 7);
        run(LakeCommand::Compact, &context(&dir)).await.expect("is done");
        let failed = crate::delivery::lake::FailedSegment { segment: 9, error: "no room".to_owned() };
        report.lock().expect("is not poisoned").failed.push(failed);
        let error = run(LakeCommand::Compact, &context(&dir)).await.expect_err("a segment failed");
        assert_eq!(error.exit_code(), 1);
        drop(done);
    };
    let (served, ()) = tokio::join!(async { served.await }, asked);
    served.expect("serves");
    drop(held);
    assert!(ask(operate).await.is_err(), "nobody is there any more");
}
