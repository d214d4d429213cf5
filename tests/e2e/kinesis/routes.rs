//! Routes: where an application's events go, what happens when one destination is away, and changes without a restart.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use headgate_proto::v1::Event;
use headgate_tests::aws::faults::{Fault, Rule};
use headgate_tests::aws::kinesis::StreamSettings;
use headgate_tests::aws::{CallError, Service, Settings, StandIn};
use headgate_tests::client::{Connection, Target};
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::load::{Load, Shape};
use headgate_tests::oracle::Oracle;
use headgate_tests::poll;
use headgate_tests::seed::seed;
use headgate_tests::{binary, events, ministack};

use super::{STREAM, Streaming};
use crate::PATIENCE;

/// Gives an application another route, as an operator does.
fn set_route(data: &Path, application: &str, route: &str) {
    let data = data.to_str().expect("a path in UTF-8");
    let line = ["apps", "update", application, "--route", route, "--data-dir", data];
    let line: Vec<_> = line.iter().map(std::ffi::OsStr::new).collect();
    let output = binary::command(&line).stdin(Stdio::null()).output().expect("headgate can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

struct Routed {
    house: Streaming,
    oracle: Arc<Oracle>,
    target: Target,
    seed: u64,
}

impl Routed {
    /// A gateway whose only application has this route.
    async fn start(name: &str, route: &str, settings: &[&str]) -> Self {
        let seed = seed(name);
        let fast = ["firehose.linger=20ms", "delivery.spill=0B"];
        let settings = [&fast[..], settings].concat();
        let house = Streaming::start(Settings { throttle: None, seed, ..Settings::default() }, 4, &settings).await;
        set_route(house.gateway.data_dir(), "demo", route);
        let (demo, target) = house.gateway.demo();
        Self { house, oracle: Arc::new(Oracle::new(seed, &[demo])), target, seed }
    }

    fn load(&self) -> Load {
        Load::start(&self.oracle, std::slice::from_ref(&self.target), &Shape::default(), self.seed)
    }

    fn fault(&self, service: Service, fault: Fault) {
        self.house.stand_in.faults().set(Rule::new(fault).service(service));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_firehose_route_delivers_lines() {
    let routed = Routed::start("firehose", "firehose", &[]).await;
    // Records fail there, too.
    let error = headgate_tests::aws::RecordError::Throttled;
    routed.fault(Service::Firehose, Fault::EachRecordFails { probability: 0.1, error });
    let load = routed.load();
    load.acknowledge(5_000, PATIENCE).await;
    let tally = load.finish(PATIENCE).await;
    assert_eq!(tally.without_hint, 0, "{tally:?}");
    assert_eq!(routed.house.stand_in.tally().kinesis.records, 0, "nothing goes to the default");
    routed.oracle.judge(&routed.house.delivered()).assert_kept(5_000);
    routed.house.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_to_both_acknowledges_what_both_have() {
    let routed = Routed::start("both", "kinesis-and-firehose", &["delivery.deadline=2s"]).await;
    let load = routed.load();
    load.acknowledge(2_000, PATIENCE).await;
    // While one of them is away nothing is acknowledged, and nothing is lost.
    routed.fault(Service::Firehose, Fault::CallFails(CallError::InternalFailure));
    poll::until("refusals", PATIENCE, async || {
        (load.tally().refusals_like("Unavailable with a hint") > 10).then_some(())
    })
    .await;
    routed.house.stand_in.faults().clear();
    load.acknowledge(2_000, PATIENCE).await;
    let tally = load.finish(PATIENCE).await;
    assert_eq!(tally.without_hint, 0, "{tally:?}");
    for rows in [routed.house.consumed(), routed.house.delivered()] {
        routed.oracle.judge(&rows).at_least_once().assert_kept(4_000);
    }
    routed.house.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_takes_what_kinesis_does_not_and_gives_it_back() {
    let routed = Routed::start("fallback", "kinesis-with-firehose-fallback", &[]).await;
    let load = routed.load();
    load.acknowledge(2_000, PATIENCE).await;
    assert_eq!(routed.house.stand_in.tally().firehose.records, 0);
    routed.fault(Service::Kinesis, Fault::CallFails(CallError::ServiceUnavailable));
    poll::until("the fallback", PATIENCE, async || {
        (routed.house.stand_in.tally().firehose.stored_records > 20).then_some(())
    })
    .await;
    load.acknowledge(2_000, PATIENCE).await;
    routed.house.stand_in.faults().clear();
    let before = routed.house.stand_in.tally().kinesis.stored_records;
    poll::until("Kinesis again", Duration::from_secs(10), async || {
        (routed.house.stand_in.tally().kinesis.stored_records > before + 20).then_some(())
    })
    .await;
    let tally = load.finish(PATIENCE).await;
    println!("{tally:?}");
    assert_eq!(tally.refusals_like("Unavailable with a hint"), 0, "one of the two was there all the time: {tally:?}");
    let rows = [routed.house.consumed(), routed.house.delivered()].concat();
    routed.oracle.judge(&rows).at_least_once().assert_kept(4_000);
    routed.house.assert_quiet().await;
}

/// Firehose hangs: applications on Kinesis notice nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_stands_still_holds_up_no_other() {
    let seed = seed("cross-blocking");
    let settings = ["firehose.linger=20ms", "delivery.deadline=2s", "firehose.attempt_timeout=500ms"];
    let house = Streaming::start(Settings { throttle: None, seed, ..Settings::default() }, 4, &settings).await;
    let (other, other_target) = house.gateway.new_application("other");
    set_route(house.gateway.data_dir(), "other", "firehose");
    let (demo, target) = house.gateway.demo();
    let hang = Rule::new(Fault::Hang).service(Service::Firehose);
    house.stand_in.faults().set(hang);
    let oracle = Arc::new(Oracle::new(seed, &[demo]));
    let stuck = Arc::new(Oracle::new(seed + 1, &[other]));
    let stuck_load = Load::start(&stuck, &[other_target], &Shape::default(), seed + 1);
    poll::until("Firehose to be refused", PATIENCE, async || {
        (stuck_load.tally().refusals_like("Unavailable with a hint") > 10).then_some(())
    })
    .await;
    let load = Load::start(&oracle, &[target], &Shape::default(), seed);
    load.acknowledge(10_000, PATIENCE).await;
    let tally = load.finish(PATIENCE).await;
    assert!(tally.refusals.is_empty(), "{tally:?}");
    house.stand_in.faults().clear();
    let tally = stuck_load.finish(PATIENCE).await;
    assert_eq!(tally.without_hint, 0, "{tally:?}");
    oracle.judge(&house.consumed()).assert_kept(10_000);
    stuck.judge(&house.delivered()).at_least_once().assert_kept(0);
    house.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_changes_without_a_restart() {
    let routed = Routed::start("route change", "default", &[]).await;
    let load = routed.load();
    load.acknowledge(1_000, PATIENCE).await;
    assert_eq!(routed.house.stand_in.tally().firehose.records, 0);
    set_route(routed.house.gateway.data_dir(), "demo", "firehose");
    poll::until("the new route", Duration::from_secs(10), async || {
        (routed.house.stand_in.tally().firehose.stored_records > 5).then_some(())
    })
    .await;
    let before = routed.house.stand_in.tally().kinesis.records;
    load.acknowledge(1_000, PATIENCE).await;
    assert!(routed.house.stand_in.tally().kinesis.records <= before + 10, "what was on its way, and no more");
    let tally = load.finish(PATIENCE).await;
    assert!(tally.refusals.is_empty(), "{tally:?}");
    let rows = [routed.house.consumed(), routed.house.delivered()].concat();
    routed.oracle.judge(&rows).assert_kept(2_000);
}

/// Rejected events as lines of a delivery stream of their own, while the events themselves go to Kinesis.
#[tokio::test(flavor = "multi_thread")]
async fn bad_rows_go_to_a_delivery_stream_of_their_own() {
    const BAD_ROWS: &str = "bad-rows";
    let seed = seed("bad rows");
    let stand_in = StandIn::start(Settings { throttle: None, seed, ..Settings::default() }).await;
    stand_in.create_stream(StreamSettings::new(STREAM, 1));
    stand_in.create_delivery_stream(BAD_ROWS);
    let data = tempfile::tempdir().expect("a folder");
    let settings = [
        "delivery.destination=kinesis",
        "kinesis.stream=events",
        "delivery.bad_rows=firehose",
        "firehose.bad_rows_stream=bad-rows",
    ];
    let environment = ministack::environment(stand_in.address());
    let gateway = GatewayProcess::start_in(data.path(), &settings, &environment).await;
    let (_, target) = gateway.demo();
    let mut connection = Connection::open(&target).await.expect("the gateway takes calls");
    let bad = Event { event_name: "no blanks here".to_owned(), ..events::login() };
    let id = bad.event_id.clone();
    let verdict = connection.publish(vec![events::login(), bad]).await.expect("the batch is taken");
    assert_eq!((verdict.accepted, verdict.rejected), (1, 1));
    let row = poll::until("the bad row", PATIENCE, async || stand_in.delivered(BAD_ROWS).first().cloned()).await;
    let row: serde_json::Value = serde_json::from_slice(&row).expect("a line of JSON");
    assert_eq!((&row["reason"], &row["event"]["event_id"]), (&"charset".into(), &id.into()), "{row}");
}
