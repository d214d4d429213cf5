//! Cluster-wide limits on a real emulator of DynamoDB: what gateways accept together is the application's rate, wherever
//! its clients connect, and it stays so when DynamoDB goes away.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
};
use futures_util::future;
use headgate::registry::aws::demand::DynamoDbBoard;
use headgate::registry::demand::{Demand, DemandBoard, MemberId, Page, Report};
use headgate_tests::binary;
use headgate_tests::client::{Connection, Failure, Target};
use headgate_tests::events::login;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::ministack::{self, MiniStack};
use headgate_tests::poll;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tonic::Code;

use crate::PATIENCE;

/// The limit, in events a second, and three times as much is sent.
const RATE: u32 = 2_000;
const OFFERED: f64 = 3.0 * RATE as f64;
const BATCH: u32 = 50;
const TABLE: &str = "HeadgateShares";
/// As long as the promise is about.
const MINUTE: Duration = Duration::from_secs(60);
/// How long it is watched without DynamoDB.
const AWAY: Duration = Duration::from_secs(20);

/// Two applications at once, one whose clients are spread evenly and one most of whose clients are at one gateway.
const LOADS: [(&str, [f64; 2]); 2] = [("even", [0.5, 0.5]), ("lopsided", [0.9, 0.1])];

/// Guarantees the sum that is accepted in a minute: within 10 % of the limit, under both loads, and with the last shares
/// when DynamoDB is away.
#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_together_accept_an_applications_rate() {
    let (emulator, client) = MiniStack::with_tables().await;
    create_table(&client).await;
    let address = emulator.address();
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let mut gateways = Vec::new();
    for folder in &folders {
        let settings = ["registry.kind=dynamodb", "delivery.destination=discard"];
        gateways.push(GatewayProcess::start_in(folder.path(), &settings, &ministack::environment(address)).await);
    }
    let both_known = async || {
        let members = future::join_all(gateways.iter().map(GatewayProcess::metrics)).await;
        members.iter().all(|scrape| scrape.sum("headgate_share_members", &[]) == 2.0).then_some(())
    };
    poll::until("each gateway knows of the other", PATIENCE, both_known).await;
    let keys = LOADS.map(|(name, _)| application(folders[0].path(), address, name));

    let accepted = drive(&gateways, &keys, MINUTE).await;
    assert_within_ten_percent(accepted, MINUTE);
    for (_, id) in &keys {
        let mut portions = 0.0;
        for gateway in &gateways {
            let labels = [format!("application=\"{id}\""), "unit=\"events\"".to_owned()];
            portions +=
                gateway.metrics().await.sum("headgate_rate_share_ratio", &labels.each_ref().map(String::as_str));
        }
        assert!((portions - 1.0).abs() < 0.1, "the shares of {id} add up to {portions}");
    }

    drop(emulator);
    let accepted = drive(&gateways, &keys, AWAY).await;
    assert_within_ten_percent(accepted, AWAY);
    for gateway in &gateways {
        let age = gateway.metrics().await.sum("headgate_share_exchange_age_seconds", &[]);
        assert!(age > 10.0, "the alarm says {age}");
    }
}

/// One call writes a report, removes those of members that are gone and answers with everyone else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_reads_what_the_others_wrote_before_it_and_what_is_removed_is_gone() {
    let (_emulator, client) = MiniStack::with_tables().await;
    let board = DynamoDbBoard::new(client.clone(), TABLE.to_owned());
    let page = Page::Application(uuid::Uuid::new_v4());
    let report = |member: u64, sequence| Report {
        member: MemberId::from(member),
        sequence,
        demand: Demand { events: 1_000 * member, bytes: u64::MAX },
    };
    let error = board.exchange(page, report(1, 1), &[]).await.expect_err("there is no table").to_string();
    assert!(error.contains("cluster.shares_table"), "{error}");
    create_table(&client).await;
    let exchange = async |mine: Report, gone: &[u64]| {
        let gone: Vec<_> = gone.iter().copied().map(MemberId::from).collect();
        let mut others = board.exchange(page, mine, &gone).await.expect("the board answers");
        others.sort_by_key(|report| report.member);
        others
    };
    assert_eq!(exchange(report(1, 1), &[]).await, []);
    assert_eq!(exchange(report(2, 1), &[]).await, [report(1, 1)]);
    assert_eq!(exchange(report(1, 2), &[]).await, [report(2, 1)]);
    assert_eq!(exchange(report(3, 1), &[]).await, [report(1, 2), report(2, 1)]);
    assert_eq!(exchange(report(3, 2), &[1, 2, 3, 99]).await, [], "one's own report is never removed");
    assert_eq!(exchange(report(1, 3), &[]).await, [report(3, 2)]);
    board.withdraw(page, MemberId::from(3)).await.expect("the board answers");
    assert_eq!(exchange(report(1, 4), &[]).await, []);
    let gateways = board.exchange(Page::Gateways, report(1, 1), &[]).await.expect("the board answers");
    assert_eq!(gateways, [], "pages are apart");
}

fn assert_within_ten_percent(accepted: [u64; 2], time: Duration) {
    for ((name, _), accepted) in LOADS.iter().zip(accepted) {
        let ratio = accepted as f64 / (f64::from(RATE) * time.as_secs_f64());
        println!("{name}: {accepted} events accepted in {time:?}, {ratio:.3} of the rate");
        assert!((0.9..=1.1).contains(&ratio), "{name}: {ratio}");
    }
}

/// Sends both loads to both gateways for so long, and says how many events of each were accepted.
async fn drive(gateways: &[GatewayProcess], keys: &[(String, String); 2], time: Duration) -> [u64; 2] {
    let start = Instant::now() + Duration::from_millis(200);
    let mut accepted = [0, 0];
    let mut clients = Vec::new();
    for (place, ((_, parts), (key, _))) in LOADS.iter().zip(keys).enumerate() {
        for (gateway, part) in gateways.iter().zip(parts) {
            let target = gateway.target(key);
            let send = publish_at(target, OFFERED * part, start, start + time);
            clients.push((place, tokio::spawn(send)));
        }
    }
    for (place, client) in clients {
        accepted[place] += client.await.expect("a client does not fail");
    }
    accepted
}

/// Sends batches at this many events a second, whatever becomes of them, and counts what is accepted.
async fn publish_at(target: Target, events_per_second: f64, start: Instant, end: Instant) -> u64 {
    let mut connection = Connection::open(&target).await.expect("it listens");
    let mut ticks = interval_at(start, Duration::from_secs_f64(f64::from(BATCH) / events_per_second));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut accepted, mut sent) = (0, 0);
    loop {
        if ticks.tick().await >= end {
            break;
        }
        let verdict = connection.publish((0..BATCH).map(|_| login()).collect()).await;
        sent += u64::from(BATCH);
        match verdict {
            Ok(verdict) => accepted += u64::from(verdict.accepted),
            Err(status) => match connection.failure(&status) {
                Failure::Refused { code: Code::ResourceExhausted, retry_after: Some(_) } => {}
                other => panic!("{other:?}"),
            },
        }
    }
    let offered = sent as f64 / (end - start).as_secs_f64();
    assert!(offered > events_per_second * 0.95, "the machine is too busy: {offered} events a second were sent");
    accepted
}

/// Registers an application with the limit; its key and its id.
fn application(data_dir: &Path, address: SocketAddr, name: &str) -> (String, String) {
    let rate = RATE.to_string();
    let created = run(data_dir, address, &["apps", "create", name, "--events-per-second", &rate]);
    let id = created["application_id"].as_str().unwrap_or_else(|| panic!("no id in {created}"));
    let created = run(data_dir, address, &["keys", "create", name, "--name", "server"]);
    let key = created["api_key"].as_str().unwrap_or_else(|| panic!("no key in {created}"));
    (key.to_owned(), id.to_owned())
}

fn run(data_dir: &Path, address: SocketAddr, line: &[&str]) -> Value {
    let data_dir = data_dir.to_str().expect("a path in UTF-8");
    let all = [line, &["--registry", "dynamodb", "--output", "json", "--data-dir", data_dir]].concat();
    let all: Vec<_> = all.iter().map(OsStr::new).collect();
    let mut command = binary::command(&all);
    let command = command.envs(ministack::environment(address)).stdin(Stdio::null());
    let output = command.output().expect("headgate can be run");
    assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

async fn create_table(client: &aws_sdk_dynamodb::Client) {
    let attribute =
        AttributeDefinition::builder().attribute_name("application_id").attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder().attribute_name("application_id").key_type(KeyType::Hash);
    client
        .create_table()
        .table_name(TABLE)
        .attribute_definitions(attribute.build().expect("a name and a type"))
        .key_schema(key.build().expect("a name and a kind"))
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .expect("the table is created");
    poll::until("the table is there", PATIENCE, async || {
        let described = client.describe_table().table_name(TABLE).send().await.ok()?;
        (described.table?.table_status? == TableStatus::Active).then_some(())
    })
    .await;
}
