//! An application's rates hold across all gateways: each has a share that follows demand.
//!
//! Each gateway writes what it is asked for to a board that all of them read, and takes its part by a rule that gives
//! parts which add up to 1 (`allot`). An application that sends nothing here costs nothing; its first batch passes on a
//! small portion and wakes an exchange at once. When the board can't be reached every gateway keeps its last shares, and
//! one that never heard from it takes 1 / `cluster.expected_members`.

mod allot;
mod exchange;
mod member;
mod meter;
mod peers;
mod roster;
#[cfg(test)]
mod simulation;
mod wakes;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use uuid::Uuid;

use self::exchange::Exchange;
use self::member::{Member, Rules, Step};
use self::roster::Roster;
pub use self::wakes::Wakes;
use super::app::{App, Apps};
use super::rate::Portion;
use crate::clock::Clock;
use crate::config::ClusterSettings;
use crate::metrics::{Gauge, GaugeHandle, Metrics, Ratio};
use crate::registry::demand::{DemandBoard, MemberId, Page, Report};

/// How long a withdrawal may take, with all applications: the gateway is about to end.
const WITHDRAW_PATIENCE: Duration = Duration::from_secs(2);

/// Applications that wake within this time are seen to together.
const WAKES_TOGETHER: Duration = Duration::from_millis(10);

/// This gateway's shares of every application's rates.
pub struct Shares {
    sharing: Option<Sharing>,
}

struct Sharing {
    exchange: Exchange,
    apps: Arc<Apps>,
    id: MemberId,
    rules: Rules,
    metrics: Arc<Metrics>,
    gateways: GaugeHandle,
    age: GaugeHandle,
    clock: Clock,
    started_at: Instant,
    state: Mutex<State>,
}

struct State {
    roster: Roster,
    members: HashMap<Uuid, Member>,
    heard_at: Option<Instant>,
    is_away: bool,
    spread: Spread,
}

impl Shares {
    /// Shares over `board`; without one, every application has its whole rates here and nothing is exchanged.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn new(
        board: Option<Arc<dyn DemandBoard>>,
        apps: &Arc<Apps>,
        settings: &ClusterSettings,
        clock: &Clock,
        metrics: &Arc<Metrics>,
    ) -> Result<Arc<Self>, getrandom::Error> {
        let Some(board) = board else { return Ok(Arc::new(Self { sharing: None })) };
        let id = MemberId::random()?;
        apps.share(Portion::of_both(1.0 / f64::from(settings.expected_members.max(1))));
        let rules = Rules { interval: settings.exchange_interval, timeout: settings.member_timeout };
        let now = clock.now();
        let state = State {
            roster: Roster::new(id, now),
            members: HashMap::new(),
            heard_at: None,
            is_away: false,
            spread: Spread(id.bits()),
        };
        let sharing = Sharing {
            exchange: Exchange::new(board, settings.exchange_interval, metrics),
            apps: Arc::clone(apps),
            id,
            rules,
            metrics: Arc::clone(metrics),
            gateways: metrics.gauge(Gauge::ShareMembers, &[]),
            age: metrics.gauge(Gauge::ShareAge, &[]),
            clock: clock.clone(),
            started_at: now,
            state: Mutex::new(state),
        };
        Ok(Arc::new(Self { sharing: Some(sharing) }))
    }

    /// Tells the other gateways of this one and learns how many there are; to be called before the doors open. Where
    /// the board can't be reached that is logged, and the gateway goes on without knowing.
    pub async fn announce(&self) {
        if let Some(sharing) = &self.sharing {
            let _ = sharing.round().await;
        }
    }

    /// Exchanges demand and follows with the portions, forever; returns at once where nothing is shared.
    pub async fn run(self: Arc<Self>) {
        let Some(sharing) = &self.sharing else { return };
        loop {
            let due = sharing.round().await;
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {}
                () = sharing.apps.wakes().woken() => tokio::time::sleep(WAKES_TOGETHER).await,
            }
        }
    }

    /// Leaves this gateway's shares to the others, once it takes no more batches. Without it they wait for
    /// `cluster.member_timeout`.
    pub async fn withdraw(&self) {
        let Some(sharing) = &self.sharing else { return };
        if tokio::time::timeout(WITHDRAW_PATIENCE, sharing.withdraw()).await.is_err() {
            tracing::warn!("the shares of this gateway could not be withdrawn; they pass on by themselves");
        }
    }
}

impl Sharing {
    /// Does everything that is due, and says when something is due again.
    async fn round(&self) -> Instant {
        let mut state = self.state.lock().await;
        let now = self.clock.now();
        for id in self.apps.wakes().take() {
            if let Some(app) = self.apps.find(id) {
                state.members.entry(id).or_insert_with(|| Member::new(self.id, app.offered(), now));
            }
        }
        let (calls, leavers) = self.steps(&mut state, now);
        let answers = self.exchange.ask(calls).await;
        self.apply(&mut state, answers);
        self.leave(&mut state, leavers).await;
        self.show(&mut state);
        let due = state.members.values().map(Member::due).chain([state.roster.due()]).min();
        due.unwrap_or_else(|| now + self.rules.interval)
    }

    /// What is to be asked now, and which applications have fallen silent.
    fn steps(&self, state: &mut State, now: Instant) -> (Vec<exchange::Call>, Vec<Page>) {
        let State { roster, members, spread, .. } = state;
        let (mut calls, mut leavers) = (Vec::new(), Vec::new());
        if roster.due() <= now {
            calls.push(roster.call(self.rules, spread.next(), now));
        }
        for (id, member) in members.iter_mut().filter(|(_, member)| member.due() <= now) {
            // An application is never forgotten while the gateway runs.
            let Some(app) = self.apps.find(*id) else { continue };
            match member.step(app.offered(), app.rates(), app.portion(), self.rules, spread.next(), now) {
                Step::Exchange(mine, gone) => calls.push((Page::Application(*id), mine, gone)),
                Step::Leave => leavers.push(Page::Application(*id)),
                Step::Wait => {}
            }
        }
        (calls, leavers)
    }

    fn apply(&self, state: &mut State, answers: Vec<(Page, Option<Vec<Report>>)>) {
        let now = self.clock.now();
        let asked = !answers.is_empty();
        let mut answered = false;
        for (page, reports) in answers {
            let Some(reports) = reports else { continue };
            answered = true;
            match page {
                Page::Gateways => {
                    let gateways = state.roster.hear(&reports, self.rules, now);
                    self.gateways.set(i64::try_from(gateways).unwrap_or(i64::MAX));
                    self.apps.share(Portion::of_both(1.0 / gateways as f64));
                }
                Page::Application(id) => {
                    if let (Some(member), Some(app)) = (state.members.get_mut(&id), self.apps.find(id)) {
                        let portion = member.hear(&reports, app.rates(), self.rules, now);
                        app.set_portion(portion);
                        self.show_portion(&app, portion);
                    }
                }
            }
        }
        if answered {
            state.heard_at = Some(now);
        }
        if asked && answered == state.is_away {
            state.is_away = !answered;
            if answered {
                tracing::info!("demand is exchanged with the other gateways again");
            } else {
                tracing::warn!(why = %self.exchange.last_error(), "demand can't be exchanged; shares stay as they are");
            }
        }
    }

    /// Leaves the pages of applications that have fallen silent. Where that fails the share is kept, and the next round
    /// tries again.
    async fn leave(&self, state: &mut State, leavers: Vec<Page>) {
        let standby = Portion::of_both(1.0 / state.roster.gateways(self.rules) as f64);
        for page in self.exchange.withdraw(leavers, self.id).await {
            if let Page::Application(id) = page
                && let Some(app) = self.apps.find(id)
            {
                state.members.remove(&id);
                app.stand_by(standby);
                self.show_portion(&app, standby);
            }
        }
    }

    async fn withdraw(&self) {
        let state = self.state.lock().await;
        let pages = state.members.keys().map(|id| Page::Application(*id)).chain([Page::Gateways]);
        let _ = self.exchange.withdraw(pages.collect(), self.id).await;
    }

    fn show(&self, state: &mut State) {
        let since = state.heard_at.unwrap_or(self.started_at);
        let age = self.clock.now().saturating_duration_since(since);
        self.age.set(age.as_secs().cast_signed());
    }

    fn show_portion(&self, app: &App, portion: Portion) {
        let show = |unit, part| self.metrics.ratio(Ratio::RateShare, &[app.id_text(), unit]).set(part);
        show("events", portion.events);
        show("bytes", portion.bytes);
    }
}

/// Numbers from -1 to 1 without a pattern: a linear congruential generator, of which the upper bits are good enough to
/// spread gateways in time.
struct Spread(u64);

impl Spread {
    fn next(&mut self) -> f64 {
        // Multiplier and increment of Knuth's MMIX.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from((self.0 >> 32) as u32) / f64::from(u32::MAX) * 2.0 - 1.0
    }
}

#[cfg(test)]
mod tests;
