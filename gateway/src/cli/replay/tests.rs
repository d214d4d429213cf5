use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use clap::Parser;
use futures_util::Stream;
use headgate_proto::v1::ingest_service_server::{IngestService, IngestServiceServer};
use headgate_proto::v1::{
    BatchVerdict, Event, EventVerdict, PublishEventsRequest, PublishEventsResponse, Reason, StreamEventsRequest,
    StreamEventsResponse, VerdictCode,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt};

use super::*;
use crate::cli::Output;
use crate::config::{LakeSettings, Settings};
use crate::delivery::lake::{FileLayer, LakeFiles, OsFiles};
use crate::delivery::rejects::{BadRow, BadRowLine, Rejects};
use crate::metrics::Metrics;

const APP: u128 = 0xf000_0000_0000_4000_8000_0000_0000_0001;

/// Answers what it is told to, in turn, and accepts everything after that.
#[derive(Clone, Default)]
struct Gateway {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    seen: Arc<Mutex<Vec<Vec<Event>>>>,
    /// A file to which every call appends a bad row.
    rejects_into: Option<PathBuf>,
}

enum Answer {
    Status(Status),
    /// Verdicts for events by their id; the others are accepted.
    Verdicts(Vec<(&'static str, VerdictCode, Reason)>),
}

#[tonic::async_trait]
impl IngestService for Gateway {
    async fn publish_events(
        &self,
        request: Request<PublishEventsRequest>,
    ) -> Result<Response<PublishEventsResponse>, Status> {
        assert_eq!(request.metadata().get("x-api-key").expect("has a key"), "hg_secret");
        let events = request.into_inner().events;
        self.seen.lock().expect("is not poisoned").push(events.clone());
        if let Some(path) = &self.rejects_into {
            let text = fs::read_to_string(path).expect("reads");
            fs::write(path, format!("{text}{}\n", text.lines().next().expect("has a row"))).expect("writes");
        }
        let answer = self.answers.lock().expect("is not poisoned").pop_front();
        let verdicts = match answer {
            Some(Answer::Status(status)) => return Err(status),
            Some(Answer::Verdicts(verdicts)) => verdicts,
            None => Vec::new(),
        };
        let mut verdict = BatchVerdict::default();
        for (index, event) in (0..).zip(&events) {
            match verdicts.iter().find(|(id, _, _)| *id == event.event_id) {
                None => verdict.accepted += 1,
                Some((_, code, reason)) => verdict.not_accepted.push(EventVerdict {
                    index,
                    code: *code as i32,
                    reason: *reason as i32,
                    field: String::new(),
                    message: String::new(),
                    retry_delay: Some(prost_types::Duration { seconds: 0, nanos: 1_000_000 }),
                }),
            }
        }
        Ok(Response::new(PublishEventsResponse { verdict: Some(verdict) }))
    }

    type StreamEventsStream = Pin<Box<dyn Stream<Item = Result<StreamEventsResponse, Status>> + Send>>;

    async fn stream_events(
        &self,
        _request: Request<Streaming<StreamEventsRequest>>,
    ) -> Result<Response<Self::StreamEventsStream>, Status> {
        Err(Status::unimplemented("not needed here"))
    }
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: ReplayArgs,
}

struct Rig {
    dir: TempDir,
}

impl Rig {
    /// A data folder with bad rows of these ids.
    async fn new(apps: &[u128], ids: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("makes a folder");
        fs::write(dir.path().join("key"), "hg_secret\n").expect("writes");
        let files: Arc<dyn FileLayer> = Arc::new(OsFiles);
        let rejects = Rejects::open(&files, dir.path(), &LakeSettings::default(), &Metrics::new(), &Clock::system())
            .expect("opens");
        for app in apps {
            for (index, id) in (0..).zip(ids) {
                rejects.submit(BadRow {
                    application_id: uuid::Uuid::from_u128(*app),
                    request_id: "request".to_owned(),
                    index,
                    reason: "charset",
                    field: "event_name".to_owned(),
                    message: String::new(),
                    received_at_ms: 0,
                    event: prost::Message::encode_to_vec(&Event {
                        event_id: (*id).to_owned(),
                        event_name: "bad name".to_owned(),
                        ..Event::default()
                    }),
                });
            }
        }
        rejects.close().await;
        Self { dir }
    }

    /// Arguments for the bad rows, unless `more` asks for the lake.
    fn args(&self, more: &[&str]) -> ReplayArgs {
        let (rows, key) = (self.dir.path().join("bad_rows"), self.dir.path().join("key"));
        let (rows, key) = (rows.to_str().expect("is text"), key.to_str().expect("is text"));
        let source: &[&str] = if more.contains(&"--lake") { &[] } else { &["--bad-rows", rows] };
        let args = [&["replay", "--api-key-file", key], source, more].concat();
        Cli::try_parse_from(args).expect("parses").args
    }

    fn context(&self) -> Context {
        let settings = Settings { data_dir: self.dir.path().to_owned(), ..Settings::default() };
        Context { settings, output: Output::Json }
    }

    /// The only file of bad rows.
    fn file(&self) -> PathBuf {
        let only = |dir: PathBuf| fs::read_dir(dir).expect("lists").next().expect("holds one").expect("reads").path();
        only(only(self.dir.path().join("bad_rows")))
    }

    /// Runs the command against the gateway. Returns its result and the ids that each call carried.
    async fn replay(&self, gateway: &Gateway, more: &[&str]) -> (Result<(), CliError>, Vec<Vec<String>>) {
        self.with(gateway, more, async |args, context| run(args, context).await).await
    }

    /// As [`Self::replay`], for what the command counts.
    async fn outcome(&self, gateway: &Gateway, more: &[&str]) -> (Outcome, Vec<Vec<String>>) {
        self.with(gateway, more, async |args, context| replay(&args, context).await.expect("runs")).await
    }

    async fn with<T>(
        &self,
        gateway: &Gateway,
        more: &[&str],
        command: impl AsyncFnOnce(ReplayArgs, &Context) -> T,
    ) -> (T, Vec<Vec<String>>) {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().expect("is an address")).expect("listens");
        let endpoint = format!("http://{}", incoming.local_addr().expect("has an address"));
        let args = self.args(&[&["--to-endpoint", &endpoint], more].concat());
        let (done, when_done) = oneshot::channel::<()>();
        let server = Server::builder()
            .add_service(IngestServiceServer::new(gateway.clone()))
            .serve_with_incoming_shutdown(incoming, async { drop(when_done.await) });
        let context = self.context();
        let replayed = async {
            let result = command(args, &context).await;
            drop(done);
            result
        };
        let (served, result) = tokio::join!(server, replayed);
        served.expect("serves");
        let seen = gateway.seen.lock().expect("is not poisoned");
        let ids = |events: &Vec<Event>| events.iter().map(|event| event.event_id.clone()).collect();
        (result, seen.iter().map(ids).collect())
    }
}

fn answers(answers: impl IntoIterator<Item = Answer>) -> Gateway {
    Gateway { answers: Arc::new(Mutex::new(answers.into_iter().collect())), ..Gateway::default() }
}

#[tokio::test]
async fn refusals_with_a_hint_are_tried_again_and_only_what_was_not_taken_is_sent() {
    let rig = Rig::new(&[APP], &["a", "b", "c"]).await;
    let hint = ErrorDetails::with_retry_info(Some(Duration::from_millis(5)));
    let gateway = answers([
        Answer::Status(Status::with_error_details(Code::Unavailable, "down", hint.clone())),
        Answer::Status(Status::with_error_details(Code::ResourceExhausted, "too fast", hint)),
        Answer::Verdicts(vec![("b", VerdictCode::Retry, Reason::DestinationUnavailable)]),
    ]);
    let (result, calls) = rig.replay(&gateway, &[]).await;
    result.expect("everything is accepted in the end");
    let all = ["a", "b", "c"].map(str::to_owned).to_vec();
    assert_eq!(calls, [all.clone(), all.clone(), all, vec!["b".to_owned()]]);
}

#[tokio::test]
async fn events_that_stay_rejected_or_unknown_are_counted_and_fail_the_command() {
    let rig = Rig::new(&[APP], &["a", "b", "c", "d"]).await;
    let gateway = answers([Answer::Verdicts(vec![
        ("a", VerdictCode::Rejected, Reason::Charset),
        ("c", VerdictCode::Unknown, Reason::Deadline),
    ])]);
    let (result, calls) = rig.replay(&gateway, &["--batch", "3"]).await;
    let error = result.expect_err("two were not accepted");
    assert_eq!((error.exit_code(), error.to_string().as_str()), (1, "2 events were not accepted"));
    assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1]);
}

#[tokio::test]
async fn a_key_that_is_refused_ends_the_replay_at_once() {
    let rig = Rig::new(&[APP], &["a", "b"]).await;
    let gateway = answers([Answer::Status(Status::unauthenticated("unknown key"))]);
    let (result, calls) = rig.replay(&gateway, &["--batch", "1"]).await;
    let error = result.expect_err("is refused").to_string();
    assert!(error.contains("2 events were not accepted") && error.contains("unknown key"), "{error}");
    assert!(!error.contains("hg_secret"));
    assert_eq!(calls.len(), 1);
}

#[tokio::test]
async fn patience_ends_where_nobody_answers() {
    let rig = Rig::new(&[APP], &["a"]).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("listens");
    let endpoint = format!("http://{}", closed.local_addr().expect("has an address"));
    drop(closed);
    let args = rig.args(&["--to-endpoint", &endpoint, "--patience", "600ms"]);
    let error = run(args, &rig.context()).await.expect_err("nobody is there").to_string();
    assert!(error.contains("nothing got through for 600ms"), "{error}");
}

#[tokio::test]
async fn a_call_that_gets_lost_is_made_again_with_the_same_events() {
    let rig = Rig::new(&[APP], &["a", ""]).await;
    let codes = [Code::Unknown, Code::Internal, Code::Cancelled, Code::DeadlineExceeded];
    let gateway = answers(codes.map(|code| Answer::Status(Status::new(code, "the connection is gone"))));
    let (outcome, calls) = rig.outcome(&gateway, &[]).await;
    assert_eq!((outcome.accepted, outcome.calls_repeated, outcome.failure()), (2, 4, None));
    assert!(calls.len() == 5 && calls.iter().all(|ids| *ids == calls[0] && !ids[1].is_empty()), "{calls:?}");
}

// Scenario: the connection ends after the request went out, with no answer. The next one gets through.
#[tokio::test]
async fn a_connection_that_breaks_during_a_call_does_not_end_the_replay() {
    let rig = Rig::new(&[APP], &["a"]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let endpoint = format!("http://{}", listener.local_addr().expect("has an address"));
    let gateway = Gateway::default();
    let (done, when_done) = oneshot::channel::<()>();
    let server = async {
        let (mut broken, _) = listener.accept().await.expect("accepts");
        broken.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.expect("greets with empty settings");
        let mut read = Vec::new();
        while !read.windows(8).any(|bytes| bytes == b"bad name") {
            assert!(broken.read_buf(&mut read).await.expect("reads") > 0, "the call did not come");
        }
        drop(broken);
        let server = Server::builder().add_service(IngestServiceServer::new(gateway.clone()));
        let served = server.serve_with_incoming_shutdown(TcpIncoming::from(listener), async { drop(when_done.await) });
        served.await.expect("serves");
    };
    let (args, context) = (rig.args(&["--to-endpoint", &endpoint]), rig.context());
    let replayed = async {
        let outcome = replay(&args, &context).await.expect("runs");
        drop(done);
        outcome
    };
    let ((), outcome) = tokio::join!(server, replayed);
    assert_eq!((outcome.accepted, outcome.calls, outcome.failure()), (1, 2, None));
}

#[tokio::test]
async fn events_of_lost_calls_are_not_called_unstored_when_patience_ends() {
    let rig = Rig::new(&[APP], &["a"]).await;
    let lost = || Answer::Status(Status::internal("the connection is gone"));
    let gateway = answers([lost(), lost(), lost()]);
    let (outcome, _) = rig.outcome(&gateway, &["--patience", "600ms"]).await;
    assert_eq!((outcome.unknown, outcome.retry, outcome.not_sent), (1, 0, 0));
    let gateway = answers([lost(), Answer::Status(Status::unauthenticated("unknown key"))]);
    let (outcome, _) = rig.outcome(&gateway, &[]).await;
    assert_eq!((outcome.unknown, outcome.not_sent), (1, 0));
}

#[tokio::test]
async fn rows_that_the_gateway_adds_meanwhile_are_not_sent() {
    let rig = Rig::new(&[APP], &["a", "b"]).await;
    let gateway = Gateway { rejects_into: Some(rig.file()), ..Gateway::default() };
    let (outcome, calls) = rig.outcome(&gateway, &["--batch", "1"]).await;
    assert_eq!(calls, [["a"], ["b"]]);
    assert_eq!((outcome.events, outcome.accepted, outcome.failure()), (2, 2, None));
    assert_eq!(fs::read_to_string(rig.file()).expect("reads").lines().count(), 4);
}

#[tokio::test]
async fn a_damaged_line_is_named_and_left_out_and_fails_the_command() {
    let rig = Rig::new(&[APP], &["a", "b"]).await;
    let text = fs::read_to_string(rig.file()).expect("reads");
    let lines: Vec<&str> = text.lines().collect();
    let damaged = [lines[0].as_bytes(), b"\n\xff\0\0\n", lines[1].as_bytes(), b"\n", &lines[0].as_bytes()[..40]];
    fs::write(rig.file(), damaged.concat()).expect("writes");
    let gateway = Gateway::default();
    let (outcome, calls) = rig.outcome(&gateway, &[]).await;
    assert_eq!(calls, [["a", "b"]]);
    assert_eq!((outcome.accepted, outcome.unreadable), (2, 2));
    assert_eq!(outcome.failure().as_deref(), Some("2 rows can't be read"));

    let selected = Source::bad_rows(&[rig.file()]).expect("is there").survey(None, |_| {}).expect("reads");
    for (problem, number) in selected.problems.iter().zip([2, 4]) {
        assert!(problem.starts_with(&format!("{}, line {number}: ", rig.file().display())), "{problem}");
    }
}

#[test]
fn whatever_was_not_accepted_fails_the_command_even_where_the_counts_do_not_add_up() {
    let selected = Selected { events: 3, ..Selected::default() };
    let counts = Counts { accepted: 5, rejected: 1, ..Counts::default() };
    assert_eq!(outcome(&selected, counts, None).failure().as_deref(), Some("1 events were not accepted"));
    let counts = Counts { accepted: 2, ..Counts::default() };
    assert_eq!(outcome(&selected, counts, None).failure().as_deref(), Some("1 events were not accepted"));
    let counts = Counts { accepted: 3, ..Counts::default() };
    let stopped = Some("x.jsonl: no such file".to_owned());
    assert_eq!(outcome(&selected, counts, stopped).failure().as_deref(), Some("stopped: x.jsonl: no such file"));
}

#[tokio::test]
async fn a_repaired_row_is_sent_as_repaired() {
    let rig = Rig::new(&[APP], &["a", "b"]).await;
    let gateway = Gateway::default();
    let file = rig.file();
    let mut lines: Vec<BadRowLine> = fs::read_to_string(&file)
        .expect("reads")
        .lines()
        .map(|line| serde_json::from_str(line).expect("reads"))
        .collect();
    lines[1].event.as_mut().expect("is there").event_name = "good_name".to_owned();
    lines.push(BadRowLine { event: None, event_base64: "/w==".to_owned(), ..lines[0].clone() });
    let text: Vec<String> = lines.iter().map(|line| serde_json::to_string(line).expect("writes")).collect();
    fs::write(&file, text.join("\n")).expect("writes");
    let (result, _) = rig.replay(&gateway, &[]).await;
    let error = result.expect_err("one row can't be read").to_string();
    assert_eq!(error, "1 rows can't be read");
    let seen = gateway.seen.lock().expect("is not poisoned");
    let names: Vec<&str> = seen[0].iter().map(|event| event.event_name.as_str()).collect();
    assert_eq!(names, ["bad name", "good_name"]);
}

#[tokio::test]
async fn a_dry_run_sends_nothing_and_several_applications_are_not_mixed() {
    let other = 7;
    let rig = Rig::new(&[APP, other], &["a", "b"]).await;
    let context = rig.context();
    let error = run(rig.args(&["--dry-run"]), &context).await.expect_err("are two applications");
    assert_eq!(error.exit_code(), 2);
    let ids = BTreeSet::from([uuid::Uuid::from_u128(APP), uuid::Uuid::from_u128(other)]);
    assert!(ids.iter().all(|id| error.to_string().contains(&id.to_string())), "{error}");
    let app = uuid::Uuid::from_u128(APP).to_string();
    let gateway = Gateway::default();
    let (result, calls) = rig.replay(&gateway, &["--dry-run", "--app", &app]).await;
    result.expect("counts");
    assert_eq!(calls.len(), 0);
    let (result, calls) = rig.replay(&gateway, &["--app", &app]).await;
    result.expect("sends");
    assert_eq!(calls, [["a", "b"]]);
}

#[tokio::test]
async fn a_range_of_the_lake_is_sent_as_it_was_stored() {
    let dir = crate::cli::lake::tests::data_dir().await;
    fs::write(dir.path().join("key"), "hg_secret").expect("writes");
    let rig = Rig { dir };
    let gateway = Gateway::default();
    let lake = |day| ["--lake", "--from", day, "--to", day, "--batch", "6"];
    let (result, calls) = rig.replay(&gateway, &lake("2023-11-14")).await;
    result.expect("there is nothing to do");
    assert_eq!(calls.len(), 0, "its events are still in the log");

    crate::cli::lake::run(crate::cli::lake::LakeCommand::Compact, &rig.context()).await.expect("compacts");
    let (result, calls) = rig.replay(&gateway, &lake("2023-11-14")).await;
    result.expect("everything is accepted");
    assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), [6, 4]);
    let expected: Vec<String> = (0..10).map(|id| format!("00000000-0000-4000-8000-{id:012x}")).collect();
    assert_eq!(calls.concat(), expected);
    let event = gateway.seen.lock().expect("is not poisoned")[0][0].clone();
    assert_eq!(event.event_timestamp, Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 250_000_000 }));
    assert_eq!((event.event_type.as_str(), &*event.event_data), ("login", &b"{\"level\": 7}"[..]));

    let (result, calls) = rig.replay(&gateway, &lake("2023-11-15")).await;
    result.expect("there is nothing to do");
    assert_eq!(calls.len(), 2);
}

// Scenario: every other byte of a Parquet file is changed in turn. Whatever the library makes of it, a panic included, the
// result is the rows or an error that names the file.
#[tokio::test]
async fn a_damaged_file_of_the_lake_fails_the_command_and_is_named() {
    let rig = Rig { dir: crate::cli::lake::tests::data_dir().await };
    crate::cli::lake::run(crate::cli::lake::LakeCommand::Compact, &rig.context()).await.expect("compacts");
    let day = Day::parse("2023-11-14").expect("is a day");
    let [path] = &LakeFiles::between(rig.dir.path(), day, day).expect("lists").paths[..] else {
        panic!("not one file")
    };
    let whole = fs::read(path).expect("reads");
    let mut panics = 0;
    for place in (0..whole.len()).step_by(2) {
        let mut damaged = whole.clone();
        damaged[place] ^= 0xff;
        fs::write(path, damaged).expect("writes");
        let source = Source::lake(rig.dir.path(), day, day).expect("lists");
        if let Err(error) = source.survey(None, |_| {}) {
            let text = error.to_string();
            // Or the byte is one of the application's id, and there are two.
            assert!(text.contains(path.to_str().expect("is text")) || error.exit_code() == 2, "byte {place}: {text}");
            panics += usize::from(text.contains("damaged, can't be decoded"));
        }
    }
    assert!(panics > 0, "no damage to {} bytes made the library panic", whole.len());
}

#[test]
fn what_can_not_be_meant_is_refused_by_the_arguments() {
    for args in [
        &["replay"][..],
        &["replay", "--lake", "--api-key-file", "k"],
        &["replay", "--lake", "--from", "2024-01-01", "--api-key-file", "k"],
        &["replay", "--lake", "--from", "2024-02-30", "--to", "2024-03-01", "--api-key-file", "k"],
        &["replay", "--bad-rows", "x"],
        &["replay", "--bad-rows", "x", "--lake", "--from", "2024-01-01", "--to", "2024-01-01", "--dry-run"],
        &["replay", "--bad-rows", "x", "--dry-run", "--batch", "0"],
    ] {
        assert!(Cli::try_parse_from(args).is_err(), "{args:?}");
    }
    let args = ["replay", "--lake", "--from", "2024-01-01", "--to", "2024-01-31", "--dry-run"];
    assert!(Cli::try_parse_from(args).is_ok());
}
