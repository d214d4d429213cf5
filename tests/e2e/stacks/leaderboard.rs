//! The sample of `deploy/samples/leaderboard`, deployed as a game's team deploys it, behind a gateway under load: what it
//! serves is what the lake says.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use headgate::clock::Clock;
use headgate_loadtest::Ledger;
use headgate_proto::v1::Event;
use headgate_tests::client::{Connection, Target};
use headgate_tests::loadtest::LoadTester;
use headgate_tests::{binary, ministack, poll, python};
use prost_types::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::house::{House, consumer};
use crate::NO_RATE_LIMIT;
use crate::queries::{queries, run, script};

/// As the stack's container has it, for a debug build on a busy machine.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);
/// For what is in the stream when the load ends, and then comes again.
const PATIENCE: Duration = Duration::from_secs(180);
/// Of the load tester's players few, so that each plays several matches: 3 % of its events end one.
const LOAD: &str = "run --workload steady --players 200 --users 8 --event-rate 1000 --run-time 20 --warm-up 0";
/// Players in an answer at most.
const MOST: usize = 100;

fn sample() -> PathBuf {
    binary::workspace().join("deploy/samples/leaderboard")
}

/// The functions' own tests, with the packages of a stock consumer.
#[test]
fn the_functions_of_the_leaderboard_keep_their_promises() {
    let mut tests = Command::new(python::consumer());
    tests.args(["-B", "-m", "unittest", "discover"]).arg(sample().join("tests"));
    let output = tests.output().expect("Python can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("\nOK"), "{said}");
}

impl House {
    /// Has the script of the sample deploy it, and gives the address of its API.
    async fn deploy_leaderboard(&self) -> String {
        let mut path = OsString::from(python::aws_cli());
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let command = |program: &Path, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).envs(ministack::environment(self.emulator.address())).env("PATH", &path);
            command.stdin(Stdio::null());
            command
        };
        println!("{}", run(command(&sample().join("deploy"), &["prod", "--bucket", "artifacts"])).await);
        let stack =
            ["cloudformation", "describe-stacks", "--stack-name", "headgate-prod-leaderboard", "--output", "json"];
        let told: Value =
            serde_json::from_str(&run(command(&python::aws_cli().join("aws"), &stack)).await).expect("JSON");
        assert_eq!(told["Stacks"][0]["StackStatus"], "CREATE_COMPLETE", "{told}");
        let outputs = told["Stacks"][0]["Outputs"].as_array().expect("outputs");
        let url = outputs.iter().find(|output| output["OutputKey"] == "Url").expect("the stack says where it answers");
        url["OutputValue"].as_str().expect("text").to_owned()
    }

    /// The emulator's own Firehose would hold up PutRecords for milliseconds a row, and take no aggregate apart.
    async fn without_firehose(&self) {
        let client = aws_sdk_firehose::Client::new(&ministack::config(self.emulator.address()).await);
        let name = self.resource("streaming", "StreamDelivery");
        client.delete_delivery_stream().delivery_stream_name(name).send().await.expect("it is taken away");
    }

    async fn account(&self, arguments: &[&OsStr]) -> Value {
        let mut command = consumer("leaderboard/account.py", &self.emulator);
        command.args(arguments);
        serde_json::from_str(&run(command).await).expect("JSON")
    }

    /// Waits until the consumer has been handed every record that is in the stream, and gives what it counted.
    async fn consumed(&self) -> Value {
        let stream = self.resource("data", "Stream");
        let arguments =
            ["seen", "--stream", stream, "--log-group", "/headgate/prod/leaderboard-consume"].map(OsStr::new);
        poll::until("the consumer has seen the whole stream", PATIENCE, async || {
            let seen = self.account(&arguments).await;
            (seen["records"].as_u64() >= seen["stored"].as_u64()).then_some(seen)
        })
        .await
    }

    /// What the API answers to these paths: statuses and bodies.
    async fn ask(&self, url: &str, paths: &[String]) -> Vec<(u64, Value)> {
        let mut arguments = ["ask", "--url", url].map(OsStr::new).to_vec();
        arguments.extend(paths.iter().map(OsStr::new));
        let answers = self.account(&arguments).await;
        let answer = |answer: &Value| (answer["status"].as_u64().expect("a status"), answer["body"].clone());
        answers.as_array().expect("answers").iter().map(answer).collect()
    }
}

/// Data of matches' ends as clients write them when nobody looks, and the totals that come of them.
fn odd() -> (Vec<String>, Vec<(String, u64)>) {
    let (longest, too_long) = ("k".repeat(240), "k".repeat(241));
    let counted = [
        // A number and a string are one player, and so is a score of either kind.
        r#"{"player_id":42,"score":10}"#,
        r#"{"player_id":"42","score":"20"}"#,
        r#"{"player_id":"a#b/c?d=%20&e,f","player_name":"<b>\"é\\","score":7}"#,
        r#"{"player_id":"玩家😀","player_name":"漢字😀\n\u0000","score":1000000000}"#,
        // Of a member that comes twice the first counts.
        r#"{"player_id":" ","score":5,"score":6}"#,
        r#"{"player_\u0069d":"x","sc\u006fre":7,"player_name":"before"}"#,
        r#"{"player_id":"x","score":7,"player_name":"later"}"#,
        r#"{"player_id":"zero","score":0}"#,
    ];
    let none = [
        r#"{"player_id":"","score":3}"#,
        r#"{"score":3}"#,
        r#"{"player_id":"n","score":-1}"#,
        r#"{"player_id":"n","score":1.5}"#,
        r#"{"player_id":"n","score":true}"#,
        r#"{"player_id":"n","score":"007"}"#,
        r#"{"player_id":"n","score":1000000001}"#,
        r#"{"player_id":"n"}"#,
        "{}",
    ];
    let mut all: Vec<String> = counted.iter().chain(&none).map(|data| (*data).to_owned()).collect();
    all.extend([&longest, &too_long].map(|player| json!({"player_id": player, "score": 3}).to_string()));
    let totals = [("42", 30), ("a#b/c?d=%20&e,f", 7), ("玩家😀", 1_000_000_000), (" ", 5), ("x", 14), ("zero", 0)];
    let totals = totals.iter().map(|(player, total)| ((*player).to_owned(), *total));
    (all, totals.chain([(longest, 3)]).collect())
}

/// Sends them, a second apart, with an event of another type that has a score.
async fn send_odd(target: &Target, data: &[String]) {
    let seconds = Clock::system().wall_ms() / 1_000;
    let event = |at: usize, event_type: &str, data: &str| Event {
        event_id: Uuid::new_v4().to_string(),
        event_type: event_type.to_owned(),
        event_name: "match_end".to_owned(),
        event_timestamp: Some(Timestamp { seconds: seconds + at as i64, nanos: 500_000_000 }),
        event_data: data.as_bytes().to_vec().into(),
        ..Event::default()
    };
    let mut events: Vec<Event> = data.iter().enumerate().map(|(at, data)| event(at, "match_end", data)).collect();
    events.push(event(0, "login", r#"{"player_id":"n","score":4}"#));
    let count = events.len();
    let mut connection = Connection::open(target).await.expect("the gateway listens");
    let verdict = connection.publish(events).await.expect("an answer");
    assert_eq!(verdict.accepted as usize, count, "{verdict:?}");
}

fn path_of_player(application: &str, player: &Value) -> String {
    let id = player["player_id"].as_str().expect("text");
    let encoded: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("/leaderboards/{application}/player?id={encoded}")
}

/// A player as the API shows one.
fn shown(player: &Value) -> Value {
    let members = ["player_id", "player_name", "total", "best", "events"];
    Value::Object(members.iter().map(|name| ((*name).to_owned(), player[*name].clone())).collect())
}

/// The load tester's players and some odd ones play against a gateway that streams aggregated records; a third of the
/// stream comes twice, and rubbish with it. The sample, deployed by its own script, hands the same first ten, the same first
/// hundred and the same figures for every player over HTTP as its query finds in the lake that the transform function made
/// of the stream, names and ids of any characters among them; each event counts once, in its own game.
#[tokio::test(flavor = "multi_thread")]
async fn the_leaderboard_says_what_the_lake_says() {
    let house = House::deploy().await;
    let url = house.deploy_leaderboard().await;
    house.without_firehose().await;
    let folder = tempfile::tempdir().expect("a folder");
    let settings = [&["kinesis.attempt_timeout=14s"], &NO_RATE_LIMIT[..]].concat();
    let mut gateway = house.start_gateway(&folder.path().join("data"), &settings).await;
    let [(loaded, loaded_key), (odd_game, odd_key)] = ["skyfall", "harbor"].map(|name| house.new_game(&gateway, name));
    house.make_known(&loaded).await;
    house.make_known(&odd_game).await;

    let host = format!("http://{}", gateway.target("").address);
    // The verdict is on the sample, not on how soon a debug build and an emulator on one machine answer.
    let mut arguments: Vec<&str> = LOAD.split(' ').collect();
    arguments.extend(["--host", &host, "--allow-invalid", "--slo", "error-rate < 100%"]);
    let key = ("HEADGATE_API_KEY".to_owned(), loaded_key);
    let load = LoadTester::start(folder.path(), &arguments, &[key]);
    load.in_progress().await;
    let (data, totals) = odd();
    send_odd(&gateway.target(&odd_key), &data).await;
    let result = load.ended().await.result(0);
    let Ledger { accepted, unknown, .. } = result.ledger;
    assert!(accepted > 5_000, "{:?}", result.ledger);
    assert!(gateway.terminate(DRAIN_PATIENCE).await.success());

    let stream = house.resource("data", "Stream");
    let put = house.account(&["again", "--stream", stream].map(OsStr::new)).await;
    assert!(put["aggregates"].as_u64() > Some(10) && put["twice"].as_u64() > Some(10), "{put}");
    let consumed = house.consumed().await;
    println!("{put} {consumed}");
    // The emulator passes over what it is asked to hand over again (it does not know ReportBatchItemFailures for streams).
    assert_eq!((&consumed["unreadable"], &consumed["not_written"]), (&json!(1), &json!(0)), "{consumed}");

    let lake = in_the_lake(&house, folder.path()).await;
    let stored = lake["distinct"].as_u64().expect("a count") - data.len() as u64 - 1;
    assert!((accepted..=accepted + unknown).contains(&stored), "{stored} of {:?}", result.ledger);
    let players = lake["players"].as_array().expect("players");
    let scored: u64 = players.iter().map(|player| player["events"].as_u64().expect("a count")).sum();
    assert_eq!(consumed["added"], scored, "each event counts once");
    assert!(consumed["scores"].as_u64() > Some(scored) && scored > 100, "{consumed}");

    for application in [&loaded, &odd_game] {
        let its: Vec<&Value> = players.iter().filter(|player| player["application_id"] == **application).collect();
        assert!(its.len() > 5, "{its:?}");
        let counts = [10, MOST];
        let mut paths: Vec<String> = counts.map(|top| format!("/leaderboards/{application}?top={top}")).to_vec();
        paths.extend(its.iter().map(|player| path_of_player(application, player)));
        let answers = house.ask(&url, &paths).await;
        for (top, (status, said)) in counts.iter().zip(&answers) {
            let first = its.iter().take(*top).zip(1..).map(|(player, rank)| {
                let mut player = shown(player);
                player["rank"] = json!(rank);
                player
            });
            let wanted = json!({"application_id": application, "players": first.collect::<Vec<_>>()});
            assert_eq!((*status, said), (200, &wanted));
        }
        for (player, (status, said)) in its.iter().zip(&answers[counts.len()..]) {
            assert_eq!((*status, said), (200, &shown(player)));
        }
    }
    the_odd_ones(&house, &url, &odd_game, &totals).await;
}

/// What the test itself knows of them, whatever the lake says; and that who has no score is nobody.
async fn the_odd_ones(house: &House, url: &str, application: &str, totals: &[(String, u64)]) {
    let mut paths: Vec<String> =
        totals.iter().map(|(player, _)| path_of_player(application, &json!({"player_id": player}))).collect();
    paths.push(path_of_player(application, &json!({"player_id": "n"})));
    let answers = house.ask(url, &paths).await;
    for ((player, total), (status, said)) in totals.iter().zip(&answers) {
        assert_eq!((*status, &said["player_id"], &said["total"]), (200, &json!(player), &json!(total)), "{said}");
    }
    assert_eq!(answers.last().map(|(status, _)| *status), Some(404), "{answers:?}");
    let named = totals.iter().position(|(player, _)| player == "x").expect("is there");
    assert_eq!(answers[named].1["player_name"], "later", "the latest name is shown");
}

/// The lake of the transform function's rows, and what the sample's query finds there.
async fn in_the_lake(house: &House, folder: &Path) -> Value {
    let (stream, transform) = (house.resource("data", "Stream"), house.resource("streaming", "Transform"));
    let rows = folder.join("rows");
    let mut arguments = ["deliver", "--stream", stream, "--function", transform, "--into"].map(OsStr::new).to_vec();
    arguments.push(rows.as_os_str());
    let delivered = house.account(&arguments).await;
    let mut ask = script("../stacks/leaderboard/lake.py");
    ask.current_dir(folder).arg("--rows").arg(&rows).arg("--setup").arg(queries().join("duckdb/setup.sql"));
    ask.arg("--query").arg(sample().join("standings.sql"));
    let lake: Value = serde_json::from_str(&run(ask).await).expect("JSON");
    println!("{delivered} {} rows, {} events", lake["rows"], lake["distinct"]);
    assert_eq!(lake["rows"], delivered["Ok"]);
    assert!(lake["rows"].as_u64() > lake["distinct"].as_u64(), "what came twice lies there twice");
    lake
}
