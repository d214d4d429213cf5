//! The load tester's own binary against real gateways: its figures are true, its verdicts right, its exit statuses kept.

mod fargate;
mod judgement;
mod kinesis;
mod report;
mod shards;
pub(crate) mod smoke;
mod stall;
mod store;
mod usage;

use std::path::Path;

use headgate_loadtest::Ledger;
use headgate_loadtest::result::RunResult;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::loadtest::LoadTester;
use tempfile::TempDir;

use crate::NO_RATE_LIMIT;

/// A gateway on its embedded defaults, in the folder where the load tester looks for it.
struct House {
    gateway: GatewayProcess,
    home: TempDir,
}

impl House {
    async fn new() -> Self {
        Self::with(&[], &[]).await
    }

    async fn with(settings: &[&str], environment: &[(String, String)]) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let data = home.path().join("headgate-data");
        std::fs::create_dir(&data).expect("a folder");
        let settings = [&NO_RATE_LIMIT[..], settings].concat();
        let gateway = GatewayProcess::start_in(&data, &settings, environment).await;
        Self { gateway, home }
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    /// Starts a small run; `flags` on top of what that takes.
    fn load(&self, flags: &[&str]) -> LoadTester {
        self.load_in(flags, &[])
    }

    fn load_in(&self, flags: &[&str], environment: &[(String, String)]) -> LoadTester {
        let host = format!("http://{}", self.gateway.demo().1.address);
        let mut all = vec!["run", "--host", &host, "--players", "4000", "--users", "8", "--warm-up", "0"];
        all.extend(flags);
        if !flags.contains(&"--event-rate") {
            all.extend(["--event-rate", "2000"]);
        }
        LoadTester::start(self.home(), &all, environment)
    }
}

fn balanced(ledger: &Ledger) {
    assert!(ledger.balances() && ledger.in_flight == 0, "{ledger:?}");
}

/// The key is found where the gateway's first start left it; the lake is asked for every acknowledged event.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_against_the_embedded_defaults_finds_every_acknowledged_event_in_the_lake() {
    let house = House::new().await;
    let operate = house.gateway.operate_address().to_string();
    let flags = ["--run-time", "7", "--verify", "--allow-invalid", "--operate", &operate];
    let ended = house.load(&flags).ended().await;
    let result = ended.result(0);
    balanced(&result.ledger);
    assert!((13_000..15_000).contains(&result.ledger.due), "{:?}", result.ledger);
    assert_eq!(result.ledger.accepted, result.ledger.due);
    let verified = result.verification.as_ref().expect("it was asked for");
    assert_eq!((verified.missing, verified.doubled, verified.stored), (0, 0, result.ledger.accepted));
    assert!(ended.file("report.html").is_file());
    what_the_gateway_said(&result);

    let kinds: Vec<String> = ended.lines().iter().map(|line| line["kind"].to_string()).collect();
    assert_eq!(kinds.first().map(String::as_str), Some("\"start\""), "{kinds:?}");
    assert_eq!(kinds.last().map(String::as_str), Some("\"end\""), "{kinds:?}");
    assert!(kinds.contains(&"\"progress\"".to_owned()), "{kinds:?}");
    assert_eq!(ended.lines().last().expect("it ended")["exit_code"], 0);
}

/// It was looked at in the course of the run and after its end, and what it received has its verdict by then.
fn what_the_gateway_said(result: &RunResult) {
    let [gateway] = result.gateways.as_slice() else { panic!("one gateway was asked: {:?}", result.gateways) };
    assert!(gateway.started_s.is_some(), "{gateway:?}");
    let looks = &gateway.looks;
    assert!(looks.len() >= 2 && looks.windows(2).all(|pair| pair[0].at_s <= pair[1].at_s), "{looks:?}");
    for look in looks {
        // A gateway takes some megabytes, has its listeners open, and a task for each of them.
        assert!(look.resident_bytes > 1 << 20 && look.descriptors > 3, "{look:?}");
        assert!(look.tasks.is_some_and(|tasks| tasks > 3), "{look:?}");
    }
    let last = looks.last().expect("there are some");
    assert!(u64::from(last.at_s) >= 7, "{looks:?}");
    assert!(last.unsettled == Some(0) && last.in_flight_bytes.is_some(), "{last:?}");
    assert_eq!(result.measures["server_unsettled_at_end"], 0.0);
    assert!(result.unmeasured["server_tasks_grown"].contains("30 min"), "{:?}", result.unmeasured);
}
