//! Rows 7 and 8: what the gateway asks others for is away, its credentials and its keys.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::Code;

use super::Run;
use super::figures::{Figures, count, percent, seconds};
use super::stage::{KINESIS, Stage, steady};
use crate::aws::CallError;
use crate::aws::faults::{Fault, Rule};
use crate::client::{Connection, Target};
use crate::ministack::MiniStack;
use crate::poll;
use crate::torture::house::{Running, keys};
use crate::torture::plan::{self, Destination, HousePlan, RegistryKind};

const PATIENCE: Duration = Duration::from_secs(60);
const CREDENTIALS_WITHIN: Duration = Duration::from_secs(5);
const KEYS_WITHIN: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn credentials(run: Run) -> Figures {
    let mut figures = Figures::default();
    let house = HousePlan { process: false, ..KINESIS };
    let stage = Stage::open_short_lived(run, house, &steady()).await;
    let healthy = stage.rate(run.time).await;

    Run::say("the source of credentials is away, and they end");
    let (gone, before) = (Instant::now(), stage.refusals());
    let acknowledged = stage.oracle.acknowledged();
    stage.house.credentials.set_away(true);
    poll::until("refusals", PATIENCE, async || (stage.refusals() > before).then_some(())).await;
    let served = (gone.elapsed(), stage.oracle.acknowledged() - acknowledged);
    sleep(run.time).await;
    let asked = stage.house.credentials.asked_in_vain();
    stage.house.credentials.set_away(false);
    let back = stage.back_at(healthy).await;
    let words = format!("source away: {} events in {} to expiry", count(served.1), seconds(served.0));
    figures.must(served.1 > 0, words);
    figures.tell(format!("then {} refusals, {asked} times asked", count(stage.refusals() - before)));
    figures.must(back <= CREDENTIALS_WITHIN, format!("back after {}", seconds(back)));

    Run::say("the service says that they are expired");
    let before = stage.refusals();
    let faults = stage.house.stand_in.as_ref().expect("the house is on Kinesis").faults();
    let rule = faults.set(Rule::new(Fault::CallFails(CallError::ExpiredToken)));
    sleep(run.time).await;
    faults.unset(rule);
    let refused = stage.refusals() - before;
    let back = stage.back_at(healthy).await;
    figures.must(refused > 0, format!("expired: {} refusals", count(refused)));
    figures.must(back <= CREDENTIALS_WITHIN, format!("back after {}", seconds(back)));
    stage.close(&mut figures).await;
    figures
}

/// What somebody with a key was told, by the codes that matter here.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    unavailable: u64,
    denied: u64,
    otherwise: u64,
}

pub(super) async fn key_store(run: Run) -> Figures {
    let mut figures = Figures::default();
    let emulator = MiniStack::start().await;
    let house =
        HousePlan { process: false, destination: Destination::Lake, registry: RegistryKind::Dynamodb, ..KINESIS };
    let stage = Stage::open_with(run, house, &steady(), &emulator).await;
    let healthy = stage.rate(run.time).await;
    let (mut told, mut slowest, mut worst_goodput) = (Told::default(), Duration::ZERO, f64::INFINITY);
    for how in ["refuse", "reset", "hang"] {
        Run::say(&format!("DynamoDB is away: {how}"));
        let stranger = stranger(&stage, how).await;
        let faults = stage.house.stand_in.as_ref().expect("DynamoDB is behind it").faults();
        let rule = plan::Fault::KeyStoreDown { how }.rule().expect("a rule of the stand-in");
        let rule = faults.set(rule);
        let until = Instant::now() + run.time;
        let asking = async {
            while Instant::now() < until {
                match knock(&stranger).await {
                    Code::Unavailable => told.unavailable += 1,
                    Code::Unauthenticated | Code::PermissionDenied => told.denied += 1,
                    _ => told.otherwise += 1,
                }
                sleep(PAUSE).await;
            }
        };
        let (goodput, ()) = tokio::join!(stage.rate(run.time), asking);
        worst_goodput = worst_goodput.min(goodput / healthy);
        faults.unset(rule);
        let back = Instant::now();
        poll::until("the key to be known", PATIENCE, async || match knock(&stranger).await {
            // The batch is empty: whoever is told so has been let in.
            Code::InvalidArgument => Some(()),
            Code::Unavailable => None,
            _ => {
                told.denied += 1;
                None
            }
        })
        .await;
        slowest = slowest.max(back.elapsed());
    }
    let tally = stage.tally();
    let refused: u64 = tally.refusals.values().chain(tally.call_ends.values()).sum();
    figures.must(refused == 0, format!("known keys refused {refused} times"));
    figures.tell(format!("their goodput at least {}", percent(worst_goodput)));
    figures.must(told.unavailable > 0, format!("unknown keys told UNAVAILABLE {} times", count(told.unavailable)));
    figures.must(told.denied + told.otherwise == 0, format!("anything else {} times", told.denied + told.otherwise));
    figures.must(slowest <= KEYS_WITHIN, format!("let in at most {} after its return", seconds(slowest)));
    stage.close(&mut figures).await;
    figures
}

/// A good key that the gateway has never seen.
async fn stranger(stage: &Stage, name: &str) -> Target {
    let registry = match &*stage.house.gateway.lock().await {
        Running::InProcess(gateway) => gateway.registry(),
        Running::Process(_) | Running::Down => unreachable!("the house's gateway is in this process"),
    };
    let (_, key) = keys::application(&*registry, name, None).await;
    Target::new(stage.house.targets[0].address, &key)
}

/// What an empty batch is told: it stores nothing.
async fn knock(target: &Target) -> Code {
    let mut connection = Connection::open(target).await.expect("the gateway listens");
    connection.publish(Vec::new()).await.map_or_else(|status| status.code(), |_| Code::Ok)
}
