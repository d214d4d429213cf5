//! The task itself, with a board in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::super::Shares;
use crate::admission::app::{App, Apps};
use crate::admission::rate::Portion;
use crate::clock::Clock;
use crate::config::{AdmissionSettings, ClusterSettings};
use crate::metrics::Metrics;
use crate::registry::demand::{BoardError, DemandBoard, MemberId, Page, Report};
use crate::registry::{Application, Limits};

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Memory {
    pages: Mutex<BTreeMap<String, BTreeMap<MemberId, Report>>>,
    is_away: AtomicBool,
}

impl Memory {
    fn members(&self, page: Page) -> usize {
        self.pages.lock().expect("not poisoned").get(&format!("{page:?}")).map_or(0, BTreeMap::len)
    }
}

#[async_trait]
impl DemandBoard for Memory {
    async fn exchange(&self, page: Page, mine: Report, gone: &[MemberId]) -> Result<Vec<Report>, BoardError> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(BoardError("away".to_owned()));
        }
        let mut pages = self.pages.lock().expect("not poisoned");
        let reports = pages.entry(format!("{page:?}")).or_default();
        reports.insert(mine.member, mine);
        reports.retain(|member, _| !gone.contains(member));
        Ok(reports.values().filter(|report| report.member != mine.member).copied().collect())
    }

    async fn withdraw(&self, page: Page, member: MemberId) -> Result<(), BoardError> {
        if let Some(reports) = self.pages.lock().expect("not poisoned").get_mut(&format!("{page:?}")) {
            reports.remove(&member);
        }
        Ok(())
    }
}

struct House {
    shares: Arc<Shares>,
    apps: Arc<Apps>,
    metrics: Arc<Metrics>,
}

fn house(board: Option<Arc<dyn DemandBoard>>, expected_members: u32) -> House {
    let metrics = Metrics::new();
    let apps = Apps::new(&AdmissionSettings::default(), &metrics);
    let settings =
        ClusterSettings { expected_members, exchange_interval: Duration::from_millis(200), ..Default::default() };
    let shares = Shares::new(board, &apps, &settings, &Clock::system(), &metrics).expect("the system has randomness");
    House { shares, apps, metrics }
}

fn app(apps: &Apps) -> Arc<App> {
    apps.get(&Application {
        application_id: Uuid::from_u128(7),
        name: "skyfall".to_owned(),
        description: None,
        limits: Limits { events_per_second: Some(1_000), ..Limits::default() },
        route: None,
        environment: crate::registry::Environment::Prod,
        created_at_ms: 0,
        updated_at_ms: 0,
    })
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

#[tokio::test]
async fn without_a_board_an_application_has_its_whole_rates() {
    let House { shares, apps, metrics } = house(None, 8);
    shares.announce().await;
    // Returns at once.
    Arc::clone(&shares).run().await;
    let app = app(&apps);
    app.charge(2_000, 1).expect("the whole burst");
    assert_eq!(app.portion(), Portion::WHOLE);
    assert!(apps.wakes().take().is_empty());
    shares.withdraw().await;
    assert!(metrics.encode().expect("encodes").contains("headgate_share_members 0"));
}

#[tokio::test]
async fn an_applications_first_batch_passes_and_tells_the_others_at_once() {
    let board = Arc::new(Memory::default());
    let houses = [(); 2].map(|()| house(Some(Arc::clone(&board) as Arc<dyn DemandBoard>), 1));
    for house in &houses {
        house.shares.announce().await;
    }
    assert_eq!(board.members(Page::Gateways), 2);
    let second = app(&houses[1].apps);
    assert_eq!(second.portion(), Portion::of_both(0.5), "it knows that there are two before anything comes");
    let runs = houses.each_ref().map(|house| Arc::clone(&house.shares).run());
    let page = Page::Application(Uuid::from_u128(7));
    let check = async {
        second.charge(2_000, 1).expect("a first batch as large as the application's burst");
        until("its demand is on the board", || board.members(page) == 1).await;
        until("it is alone and has everything", || second.portion() == Portion::WHOLE).await;
        let first = app(&houses[0].apps);
        first.charge(1, 1).expect("a first batch");
        until("both have a share", || first.portion().events < 1.0 && second.portion().events < 1.0).await;
        houses[1].shares.withdraw().await;
        assert_eq!((board.members(page), board.members(Page::Gateways)), (1, 1));
    };
    tokio::select! {
        () = check => {}
        _ = futures_util::future::join_all(runs) => panic!("an exchange has ended"),
    }
}

#[tokio::test]
async fn a_board_that_is_away_leaves_shares_as_they_are_and_raises_the_alarm() {
    let board = Arc::new(Memory::default());
    let House { shares, apps, metrics } = house(Some(Arc::clone(&board) as Arc<dyn DemandBoard>), 4);
    board.is_away.store(true, Ordering::Relaxed);
    shares.announce().await;
    let app = app(&apps);
    app.charge(100, 1).expect("a first batch");
    let counted = |text: &str| metrics.encode().expect("encodes").lines().any(|line| line.starts_with(text));
    let check = async {
        until("the age rises", || counted("headgate_share_exchange_age_seconds 1")).await;
        assert!(!counted("headgate_share_exchanges_total{result=\"failed\"} 0"));
        assert_eq!(app.portion(), Portion::of_both(0.25), "the expected number's part");
        board.is_away.store(false, Ordering::Relaxed);
        until("it follows the board again", || app.portion() == Portion::WHOLE).await;
        until("the age falls", || counted("headgate_share_exchange_age_seconds 0")).await;
        until("it counts itself", || counted("headgate_share_members 1")).await;
    };
    tokio::select! {
        () = check => {}
        () = Arc::clone(&shares).run() => panic!("the exchange has ended"),
    }
}
