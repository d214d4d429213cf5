//! Gateways, a board and clients in virtual time. What is exact here is the parts that run in production: buckets,
//! meters, members, roster; only the board and the clock are stood in for.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::Spread;
use super::member::{Member, Rules, Step};
use super::roster::Roster;
use crate::admission::rate::{Portion, Rates, Timed};
use crate::clock::Clock;
use crate::registry::demand::{MemberId, Page, Report};

pub(super) const RATE: u32 = 2_000;
const STEP: Duration = Duration::from_millis(5);
const RULES: Rules = Rules { interval: Duration::from_secs(1), timeout: Duration::from_secs(5) };
const APP: Page = Page::Application(Uuid::nil());

/// A run in progress.
pub(super) struct World {
    start: Instant,
    now: Instant,
    board: HashMap<Page, BTreeMap<MemberId, Report>>,
    pub(super) board_is_up: bool,
    pub(super) exchanges: usize,
    gateways: Vec<Option<Gateway>>,
    batch: u32,
    expected: f64,
    // By seconds since the start.
    accepted: Vec<u64>,
    offered: Vec<u64>,
}

struct Gateway {
    id: MemberId,
    spread: Spread,
    roster: Roster,
    standby: Portion,
    member: Option<Member>,
    limit: Timed,
    portion: Portion,
    // Events that its clients have not sent yet because they do not make a batch.
    owed: f64,
}

fn rates() -> Rates {
    Rates {
        events_per_second: RATE,
        events_burst: 2 * RATE,
        bytes_per_second: u64::from(RATE) * 1_000,
        bytes_burst: 2 * u64::from(RATE) * 1_000,
    }
}

impl World {
    /// No gateway yet. Clients send batches of `batch` events.
    pub(super) fn new(batch: u32) -> Self {
        let start = Clock::system().now();
        Self {
            start,
            now: start,
            board: HashMap::new(),
            board_is_up: true,
            exchanges: 0,
            gateways: Vec::new(),
            batch,
            expected: 1.0,
            accepted: Vec::new(),
            offered: Vec::new(),
        }
    }

    /// `cluster.expected_members`.
    pub(super) fn expecting(mut self, members: u32) -> Self {
        self.expected = f64::from(members);
        self
    }

    /// Starts so many gateways at this moment.
    pub(super) fn start_gateways(&mut self, count: usize) {
        for _ in 0..count {
            let id = MemberId::from(self.gateways.len() as u64 * 7_919 + 1);
            let standby = Portion::of_both(1.0 / self.expected);
            let mut gateway = Gateway {
                id,
                spread: Spread(id.bits()),
                roster: Roster::new(id, self.now),
                standby,
                member: None,
                limit: Timed::new(rates(), standby, self.now),
                portion: standby,
                owed: 0.0,
            };
            // As `announce` does before the doors open; the bucket is made with the first batch.
            self.exchange(&mut gateway);
            gateway.limit = Timed::new(rates(), gateway.standby, self.now);
            self.gateways.push(Some(gateway));
        }
    }

    /// A gateway ends: after a drain, or at once.
    pub(super) fn end_gateway(&mut self, place: usize, drained: bool) {
        let gateway = self.gateways[place].take().expect("it runs");
        if drained {
            for page in self.board.values_mut() {
                page.remove(&gateway.id);
            }
        }
    }

    /// Goes on for so long; clients send to each gateway at this multiple of the application's rate.
    pub(super) fn run(&mut self, seconds: u64, load: impl Fn(f64, usize) -> f64) {
        let end = self.now + Duration::from_secs(seconds);
        while self.now < end {
            self.now += STEP;
            let since = (self.now - self.start).as_secs_f64();
            for place in 0..self.gateways.len() {
                let Some(mut gateway) = self.gateways[place].take() else { continue };
                gateway.owed += load(since, place) * f64::from(RATE) * STEP.as_secs_f64();
                while gateway.owed >= f64::from(self.batch) {
                    gateway.owed -= f64::from(self.batch);
                    self.send(&mut gateway);
                }
                self.exchange(&mut gateway);
                self.gateways[place] = Some(gateway);
            }
        }
    }

    fn send(&mut self, gateway: &mut Gateway) {
        let second = (self.now - self.start).as_secs() as usize;
        self.accepted.resize(self.accepted.len().max(second + 1), 0);
        self.offered.resize(self.offered.len().max(second + 1), 0);
        self.offered[second] += u64::from(self.batch);
        let charged = gateway.limit.charge(self.batch, u64::from(self.batch) * 300, self.now);
        if charged.is_ok() {
            self.accepted[second] += u64::from(self.batch);
        }
        if gateway.member.is_none() {
            gateway.member = Some(Member::new(gateway.id, gateway.limit.offered(), self.now));
        }
    }

    fn exchange(&mut self, gateway: &mut Gateway) {
        let now = self.now;
        if gateway.roster.due() <= now {
            let (page, mine, gone) = gateway.roster.call(RULES, gateway.spread.next(), now);
            if let Some(reports) = self.ask(page, mine, &gone) {
                let gateways = gateway.roster.hear(&reports, RULES, now);
                gateway.standby = Portion::of_both(1.0 / gateways as f64);
                if gateway.member.is_none() {
                    gateway.set_portion(gateway.standby, now);
                }
            }
        }
        let Some(mut member) = gateway.member.take() else { return };
        if member.due() <= now {
            let spread = gateway.spread.next();
            match member.step(gateway.limit.offered(), rates(), gateway.portion, RULES, spread, now) {
                Step::Exchange(mine, gone) => {
                    if let Some(reports) = self.ask(APP, mine, &gone) {
                        let portion = member.hear(&reports, rates(), RULES, now);
                        gateway.set_portion(portion, now);
                    }
                }
                Step::Leave if self.board_is_up => {
                    self.board.entry(APP).or_default().remove(&gateway.id);
                    gateway.set_portion(gateway.standby, now);
                    return;
                }
                Step::Leave | Step::Wait => {}
            }
        }
        gateway.member = Some(member);
    }

    fn ask(&mut self, page: Page, mine: Report, gone: &[MemberId]) -> Option<Vec<Report>> {
        if !self.board_is_up {
            return None;
        }
        self.exchanges += 1;
        let reports = self.board.entry(page).or_default();
        reports.insert(mine.member, mine);
        reports.retain(|member, _| !gone.contains(member));
        Some(reports.values().filter(|report| report.member != mine.member).copied().collect())
    }

    /// What the gateways' portions add up to.
    pub(super) fn portions(&self) -> f64 {
        self.gateways.iter().flatten().map(|gateway| gateway.portion.events).sum()
    }

    /// What was accepted, over the rate, in each minute that starts with a second from `from` on: least and most.
    pub(super) fn minutes(&self, from: usize) -> (f64, f64) {
        let ratio = |minute: &[u64]| minute.iter().sum::<u64>() as f64 / (60.0 * f64::from(RATE));
        let minutes: Vec<f64> = self.accepted[from..].windows(60).map(ratio).collect();
        assert!(!minutes.is_empty(), "less than a minute");
        (minutes.iter().copied().fold(f64::MAX, f64::min), minutes.iter().copied().fold(0.0, f64::max))
    }

    /// Events refused from this second on.
    pub(super) fn refused(&self, from: usize) -> u64 {
        self.offered[from..].iter().sum::<u64>() - self.accepted[from..].iter().sum::<u64>()
    }
}

impl Gateway {
    fn set_portion(&mut self, portion: Portion, now: Instant) {
        self.portion = portion;
        self.limit.set_portion(portion, now);
    }
}
