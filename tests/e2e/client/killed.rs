//! The client's own process is killed, with its log on: nothing that it confirmed is lost.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use headgate_tests::gateway::GatewayProcess;
use headgate_tests::poll;
use headgate_tests::seed::{Draw, seed};

use crate::PATIENCE;
use crate::crash::stored;

const KILLS: usize = 6;
const DRAIN_DEADLINE: Duration = Duration::from_secs(25);

/// A process that gives durable events, and says the id of each that was confirmed.
struct Game {
    child: Child,
    confirmed: Arc<Mutex<Vec<String>>>,
    reading: JoinHandle<()>,
}

impl Game {
    fn start(endpoint: &str, key: &Path, log: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_durable_client"));
        command.args(["--endpoint", endpoint, "--key-file"]).arg(key).arg("--log").arg(log).args(arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it can be run");
        let output = child.stdout.take().expect("it is piped");
        let confirmed: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&confirmed);
        let reading = std::thread::spawn(move || {
            let mut lines = BufReader::new(output);
            let mut line = String::new();
            // The last line may be torn by the kill: then nobody was told.
            while lines.read_line(&mut line).is_ok_and(|bytes| bytes > 0) && line.ends_with('\n') {
                heard.lock().expect("no panic").push(line.trim().to_owned());
                line.clear();
            }
        });
        Self { child, confirmed, reading }
    }

    fn confirmed(&self) -> usize {
        self.confirmed.lock().expect("no panic").len()
    }

    /// SIGKILL, and what it had confirmed.
    fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("one's own child can be killed");
        let _ = self.child.wait().expect("one's own child can be waited for");
        self.reading.join().expect("no panic");
        std::mem::take(&mut self.confirmed.lock().expect("no panic"))
    }

    /// What it said until its own end.
    fn finish(mut self) -> Vec<String> {
        let status = self.child.wait().expect("one's own child can be waited for");
        assert!(status.success(), "{status}");
        self.reading.join().expect("no panic");
        std::mem::take(&mut self.confirmed.lock().expect("no panic"))
    }
}

/// The process is killed six times at moments that chance picks, on the same log; half of the time the gateway is away. The
/// last process sends what the others left. Every id that was ever said is in the lake.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_client_confirmed_as_durable_is_stored() {
    let mut draw = Draw::new(seed("client killed"), 1);
    let (data, log) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let mut gateway = GatewayProcess::start(data.path(), &[]).await;
    let (_, target) = gateway.demo();
    let endpoint = format!("http://{}", target.address);
    let key = data.path().join("demo-api-key");
    let mut confirmed: BTreeSet<String> = BTreeSet::new();
    for round in 0..KILLS {
        let away = round % 2 == 1;
        if away {
            gateway.kill();
        }
        let game = Game::start(&endpoint, &key, log.path(), &["--threads", "4"]);
        let due = draw.within(20..=400) as usize;
        poll::until("some are confirmed", PATIENCE, async || (game.confirmed() >= due).then_some(())).await;
        // Not to wait for anything: the kill must not be tied to a confirmation.
        tokio::time::sleep(Duration::from_micros(draw.within(0..=30_000))).await;
        let said = game.kill();
        println!("round {round}: {} confirmed", said.len());
        confirmed.extend(said);
        if away {
            gateway.start_again().await;
        }
    }
    let last = Game::start(&endpoint, &key, log.path(), &["--drain"]);
    let said = tokio::task::spawn_blocking(|| last.finish()).await.expect("no panic");
    assert_eq!(said, ["nothing is left"]);

    assert!(gateway.terminate(DRAIN_DEADLINE).await.success());
    let rows = stored(data.path());
    let there: BTreeSet<String> =
        rows.iter().map(|row| String::from_utf8_lossy(row.event_id.data()).into_owned()).collect();
    let lost: Vec<&String> = confirmed.difference(&there).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), confirmed.len());
    assert!(confirmed.len() >= KILLS * 20);
}
