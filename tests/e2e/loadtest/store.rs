//! Results in S3: left by shards, waited for, and not lost where they can't be left.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use headgate_loadtest::result;
use headgate_tests::fault_proxy::{Fault, FaultProxy};
use headgate_tests::http as asked;
use headgate_tests::loadtest::LoadTester;
use headgate_tests::ministack::{self, MiniStack};
use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::{House, balanced};

const BUCKET: &str = "results";
const PATIENCE: Duration = Duration::from_secs(5);
const COMMON: [&str; 8] = ["--run-time", "7", "--allow-invalid", "--progress", "json", "--seed", "7", "--result-dir"];

/// As the emulator's clients have it, in the region in which it makes a bucket that is asked for by a bare PUT.
fn environment(address: SocketAddr) -> Vec<(String, String)> {
    let mut environment = ministack::environment(address);
    environment.push(("AWS_REGION".to_owned(), "us-east-1".to_owned()));
    environment
}

/// The same with the credentials that the agent of ECS gives a task by its role, and no others.
async fn as_a_task(address: SocketAddr) -> Vec<(String, String)> {
    let agent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let url = format!("http://{}/role", agent.local_addr().expect("an address"));
    tokio::spawn(async move {
        let role = r#"{"AccessKeyId":"role","SecretAccessKey":"role","Token":"t","Expiration":"2099-01-01T00:00:00Z"}"#;
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{role}", role.len());
        while let Ok((mut asked, _)) = agent.accept().await {
            let _ = asked.read(&mut [0; 4_096]).await;
            let _ = asked.write_all(answer.as_bytes()).await;
        }
    });
    let mut environment = environment(address);
    environment.retain(|(name, _)| name != "AWS_ACCESS_KEY_ID" && name != "AWS_SECRET_ACCESS_KEY");
    environment.push(("AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(), url));
    environment
}

async fn names(emulator: &MiniStack) -> Vec<String> {
    let answer = asked::ask(Method::GET, emulator.address(), &format!("/{BUCKET}?list-type=2"), PATIENCE).await;
    let (status, text) = answer.expect("the emulator answers");
    assert_eq!(status, StatusCode::OK, "{text}");
    let keys = text.split("<Key>").skip(1).map(|rest| rest.split('<').next().expect("a key").to_owned());
    keys.collect()
}

fn in_seconds(seconds: u64) -> String {
    let then = SystemTime::now() + Duration::from_secs(seconds);
    then.duration_since(UNIX_EPOCH).expect("after 1970").as_secs().to_string()
}

/// Whoever waits hears how far the shards are, and gets the whole once the last has left its result.
#[tokio::test(flavor = "multi_thread")]
async fn results_are_merged_as_soon_as_every_shard_has_left_its_own() {
    let (house, emulator) = (House::new().await, MiniStack::start().await);
    emulator.create_bucket(BUCKET).await;
    let environment = environment(emulator.address());
    let merge = ["merge", "s3://results/runs/1/", "--wait", "100s", "--allow-invalid", "--output", "merged.json"];
    let merging = LoadTester::start(house.home(), &merge, &environment);
    let (start, task) = (in_seconds(5), as_a_task(emulator.address()).await);
    let shards = ["1/2", "2/2"].map(|which| {
        let flags = [&COMMON[..], &["s3://results/runs/1", "--start-at", &start, "--shard", which]].concat();
        house.load_in(&flags, &task)
    });
    for shard in shards {
        let ended = shard.ended().await;
        assert_eq!(ended.status, Some(0), "{ended}");
    }
    let merging = merging.ended().await;
    assert_eq!(merging.status, Some(0), "{merging}");
    assert!(merging.complained.starts_with("no shard has begun yet\n"), "{merging}");
    assert!(merging.complained.contains("0 of 2 shards have left their results; "), "{merging}");
    let merged = result::read(&house.home().join("merged.json")).expect("a result");
    balanced(&merged.ledger);
    assert_eq!((merged.shards.len(), merged.ledger.due), (2, merged.ledger.accepted), "{:?}", merged.ledger);

    let mut left = names(&emulator).await;
    left.sort();
    let expected = ["begun-1-of-2.json", "begun-2-of-2.json", "report-1-of-2.html", "report-2-of-2.html"];
    let results = ["result-1-of-2.json", "result-2-of-2.json"];
    let expected: Vec<String> = expected.iter().chain(&results).map(|name| format!("runs/1/{name}")).collect();
    assert_eq!(left, expected);

    let report = ["report", "s3://results/runs/1/result-2-of-2.json"];
    let report = LoadTester::start(house.home(), &report, &environment).ended().await;
    assert_eq!(report.status, Some(0), "{report}");
    assert!(house.home().join("result-2-of-2.html").is_file());
}

/// One of two shards leaves its result: the whole is invalid and says which is missing. A second run in the same place is
/// refused before it sends anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_never_comes_is_named_and_makes_the_run_invalid() {
    let (house, emulator) = (House::new().await, MiniStack::start().await);
    emulator.create_bucket(BUCKET).await;
    let environment = environment(emulator.address());
    let flags = [&COMMON[..], &["s3://results/runs/1", "--shard", "2/2"]].concat();
    let ended = house.load_in(&flags, &environment).ended().await;
    assert_eq!(ended.status, Some(0), "{ended}");

    let merge = ["merge", "s3://results/runs/1", "--wait", "3s", "--output", "merged.json"];
    let merging = LoadTester::start(house.home(), &merge, &environment).ended().await;
    assert_eq!(merging.status, Some(4), "{merging}");
    assert!(merging.complained.contains("1 of 2 shards have left their results; 1 has not begun"), "{merging}");
    let merged = result::read(&house.home().join("merged.json")).expect("a result");
    balanced(&merged.ledger);
    assert!(merged.ledger.accepted > 2_000, "{:?}", merged.ledger);
    assert!(merged.findings.iter().any(|finding| finding == "shard 1 of 2 has never begun"), "{:?}", merged.findings);

    let received = house.gateway.metrics().await.sum("headgate_events_received_total", &[]);
    let again = house.load_in(&flags, &environment).ended().await;
    assert_eq!(again.status, Some(2), "{again}");
    assert!(again.complained.contains("begun-2-of-2.json is there already"), "{again}");
    assert_eq!(house.gateway.metrics().await.sum("headgate_events_received_total", &[]), received);
}

/// A place that can't be written is known before the run. Where it goes away during the run, the result is kept and the
/// error says where; and the exit status does not say that all is well.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_can_not_be_left_is_kept_here_and_said_where() {
    let (house, emulator) = (House::new().await, MiniStack::start().await);
    let environment = environment(emulator.address());
    let flags = [&COMMON[..], &["s3://results/runs/1"]].concat();
    let refused = house.load_in(&flags, &environment).ended().await;
    assert_eq!(refused.status, Some(2), "{refused}");
    assert!(refused.complained.contains("there is no bucket results"), "{refused}");
    let received = house.gateway.metrics().await.sum("headgate_events_received_total", &[]);
    assert_eq!(received, 0.0, "nothing was sent");

    emulator.create_bucket(BUCKET).await;
    let elsewhere = house.load_in(&flags, &ministack::environment(emulator.address())).ended().await;
    assert_eq!(elsewhere.status, Some(2), "{elsewhere}");
    assert!(elsewhere.complained.contains("the bucket results is not in eu-west-1: set AWS_REGION"), "{elsewhere}");
    let running = house.load_in(&flags, &environment);
    running.in_progress().await;
    for gone in ["/results/runs/1/begun.json", "/results"] {
        let (status, text) =
            asked::ask(Method::DELETE, emulator.address(), gone, PATIENCE).await.expect("the emulator answers");
        assert_eq!(status, StatusCode::NO_CONTENT, "{gone}: {text}");
    }
    let ended = running.ended().await;
    assert_eq!(ended.status, Some(1), "{ended}");
    let said = ended.complained.split_once("it is kept in ").expect("it says where").1;
    let folder = said.split_once(": mend that").expect("it says what to do").0;
    assert!(said.contains("s3://results/runs/1/re"), "{ended}");
    let kept = result::read(&house.home().join(folder).join("result.json")).expect("a result");
    balanced(&kept.ledger);
    assert!(kept.ledger.accepted > 4_000, "{:?}", kept.ledger);
}

/// While S3 takes what it is sent and its answers are lost, and then takes nothing, the load tester tries on; what was stored
/// without an answer is not taken for somebody else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_left_once_s3_can_be_reached_again() {
    let (house, emulator) = (House::new().await, MiniStack::start().await);
    emulator.create_bucket(BUCKET).await;
    let proxy = FaultProxy::start(emulator.address()).await;
    let environment = environment(proxy.address());
    let flags = [&COMMON[..], &["s3://results/runs/1"]].concat();
    let running = house.load_in(&flags, &environment);
    running.in_progress().await;
    proxy.set(Fault::ResetMidAnswer);
    // The report goes first.
    headgate_tests::poll::until("the report is stored", crate::PATIENCE, async || {
        names(&emulator).await.contains(&"runs/1/report.html".to_owned()).then_some(())
    })
    .await;
    proxy.set(Fault::Refuse);
    sleep(Duration::from_secs(1)).await;
    proxy.set(Fault::None);
    let ended = running.ended().await;
    assert_eq!(ended.status, Some(0), "{ended}");
    assert!(names(&emulator).await.contains(&"runs/1/result.json".to_owned()));
}
