//! What passes, as it passes: counters, a tail of events, and the metrics of each minute.
//!
//! Everything here is in memory, bounded, and begins anew with the process. What an application takes: its curves
//! 36 KB, its tail up to 260 KB, its types up to 80 KB at the default settings, and its windows, of which those of all
//! applications together take about `live.window_memory`. Counts that wait for an outcome (in an outage as long as their
//! buckets lie in the spill) take as much at most; beyond it they are dropped, which is counted.
//!
//! # What a window counts
//!
//! An event counts once its destination has stored it, in the minute of its own time. It is written for once however
//! often it is sent, as long as its id is in the dedupe window: a resend of a stored event, or of one on its way, is not
//! written and not counted. Of a bucket that failed, or of which nobody knows, nothing is counted; its events are new
//! when they are sent again, and count when that is stored. A bucket that is answered as unknown and delivered later
//! from the spill counts when it is delivered. So a window equals a count of distinct ids over what this gateway stored
//! since it started, with these exceptions (beside those that are counted as dropped): an event of unknown outcome that was stored after all and never sent again
//! is not counted; an id that left the dedupe window and is sent again counts twice; a bucket that was kept in the spill
//! over a restart does not count. Counts of several gateways add up, but an event that is sent to two of them is in both.

mod app;
mod cells;
mod dictionary;
mod export;
mod hour;
mod names;
mod record;
mod rejections;
mod series;
mod sharded;
mod tail;
mod tally;
#[cfg(test)]
mod tests;
pub mod view;
mod windows;

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use uuid::Uuid;

pub use self::app::AppLive;
use self::app::Common;
use self::dictionary::OTHER_NAME;
use self::hour::MINUTES;
use self::series::SECONDS;
use self::tail::Tail;
pub use self::tally::Tally;
use self::view::{AppNow, FieldCount, Series, TailEntry, TailVerdict, TypeCount, Verdicts, Window};
use self::windows::Memory;
use crate::admission::app::Apps;
use crate::admission::refusal::Refusal;
use crate::clock::Clock;
use crate::config::LiveSettings;
use crate::metrics::{Gauge, GaugeHandle, Metrics};

/// Seconds that the rate of an application is taken over.
const RATE_SECONDS: usize = 10;
/// Causes of rejections that are shown.
const TOP_CAUSES: usize = 20;

/// What passes. One to a gateway.
pub struct Live {
    apps: RwLock<HashMap<Uuid, Arc<AppLive>>>,
    // In the place of every application beyond `live.max_applications`.
    others: Arc<AppLive>,
    // Refusals of callers whose application is not known.
    strangers: Tail,
    settings: LiveSettings,
    names: Arc<Apps>,
    memory: Arc<Memory>,
    waiting: Arc<Memory>,
    serials: Arc<AtomicU64>,
    clock: Clock,
    metrics: Arc<Metrics>,
    applications: GaugeHandle,
    window_bytes: GaugeHandle,
}

impl Live {
    /// Nothing has passed yet. `names` knows what applications are called.
    #[must_use]
    pub fn new(settings: &LiveSettings, names: &Arc<Apps>, clock: &Clock, metrics: &Arc<Metrics>) -> Arc<Self> {
        let memory = Memory::new(settings.window_memory.as_usize());
        let waiting = Memory::new(settings.window_memory.as_usize());
        let serials = Arc::new(AtomicU64::new(0));
        let common = Common { settings, metrics, memory: &memory, waiting: &waiting, serials: &serials };
        Arc::new(Self {
            apps: RwLock::default(),
            others: AppLive::new(Uuid::nil(), &common),
            strangers: Tail::new(&serials, settings.tail_accepted, settings.tail_rejected),
            settings: settings.clone(),
            names: Arc::clone(names),
            clock: clock.clone(),
            applications: metrics.gauge(Gauge::LiveApplications, &[]),
            window_bytes: metrics.gauge(Gauge::LiveWindowBytes, &[]),
            metrics: Arc::clone(metrics),
            memory,
            waiting,
            serials,
        })
    }

    /// An application's state, made at the first call.
    #[must_use]
    pub fn app(&self, id: Uuid) -> Arc<AppLive> {
        let limit = self.settings.max_applications as usize;
        {
            let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(app) = apps.get(&id) {
                return Arc::clone(app);
            }
            if apps.len() >= limit {
                return Arc::clone(&self.others);
            }
        }
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        // Others may have come meanwhile.
        if apps.len() >= limit && !apps.contains_key(&id) {
            return Arc::clone(&self.others);
        }
        let common = Common {
            settings: &self.settings,
            metrics: &self.metrics,
            memory: &self.memory,
            waiting: &self.waiting,
            serials: &self.serials,
        };
        Arc::clone(apps.entry(id).or_insert_with(|| AppLive::new(id, &common)))
    }

    /// A batch or a call was refused as a whole.
    pub fn refused(&self, application: Option<Uuid>, refusal: &Refusal) {
        let wall_ms = self.clock.wall_ms();
        match application {
            Some(id) => self.app(id).tail().refused(wall_ms, Some(id), refusal),
            None => self.strangers.refused(wall_ms, None, refusal),
        }
    }

    /// Every application that something came from, the busiest first.
    #[must_use]
    pub fn apps_now(&self) -> Vec<AppNow> {
        let wall_ms = self.clock.wall_ms();
        let mut apps: Vec<_> = self.everyone().iter().filter_map(|app| self.app_now(app, wall_ms)).collect();
        apps.sort_by(|one, other| {
            let (busy, other_busy) = (one.last_hour.accepted, other.last_hour.accepted);
            other_busy.cmp(&busy).then_with(|| one.name.cmp(&other.name))
        });
        apps
    }

    /// An application at a glance, also if nothing has come from it.
    #[must_use]
    pub fn now(&self, id: Uuid) -> AppNow {
        let known = self.chosen(Some(id)).first().and_then(|app| self.app_now(app, self.clock.wall_ms()));
        known.unwrap_or_else(|| AppNow {
            application_id: id,
            name: self.names.name(id).map_or_else(|| id.to_string(), |name| name.to_string()),
            events_per_second: 0.0,
            last_hour: Verdicts::default(),
            last_event_at_ms: None,
        })
    }

    /// `None`: nothing came from it but refused batches.
    fn app_now(&self, app: &AppLive, wall_ms: i64) -> Option<AppNow> {
        let (mut last_hour, mut last_event_at_ms) = (Verdicts::default(), None);
        let mut seconds = series::empty(wall_ms, 1, RATE_SECONDS);
        app.curves().each(|curves| {
            curves.show(&mut seconds);
            curves.show_hour(wall_ms.div_euclid(60_000), &mut last_hour);
            last_event_at_ms = last_event_at_ms.max(curves.last_event_at_ms());
        });
        last_event_at_ms?;
        let id = app.id();
        let name = if id.is_nil() { Some(OTHER_NAME.into()) } else { self.names.name(id) };
        let accepted: u64 = seconds.steps.iter().map(|step| step.accepted).sum();
        #[allow(clippy::cast_precision_loss, reason = "a rate, to be shown")]
        let events_per_second = accepted as f64 / RATE_SECONDS as f64;
        Some(AppNow {
            application_id: id,
            name: name.map_or_else(|| id.to_string(), |name| name.to_string()),
            events_per_second,
            last_hour,
            last_event_at_ms,
        })
    }

    /// The last five minutes by second, of one application or of all.
    #[must_use]
    pub fn seconds(&self, app: Option<Uuid>) -> Series {
        self.series(app, 1, SECONDS)
    }

    /// The last hour by minute, of one application or of all.
    #[must_use]
    pub fn minutes(&self, app: Option<Uuid>) -> Series {
        self.series(app, 60, MINUTES)
    }

    fn series(&self, app: Option<Uuid>, step_s: u32, steps: usize) -> Series {
        let mut series = series::empty(self.clock.wall_ms(), step_s, steps);
        self.chosen(app).iter().for_each(|app| app.curves().each(|curves| curves.show(&mut series)));
        series
    }

    /// An application's event types of the last hour, the most frequent first.
    #[must_use]
    pub fn types(&self, app: Uuid) -> Vec<TypeCount> {
        let mut types = Vec::new();
        self.chosen(Some(app)).iter().for_each(|app| app.show_types(self.clock.wall_ms(), &mut types));
        types.sort_by(|one, other| {
            let total = |count: &TypeCount| count.accepted + count.rejected;
            total(other).cmp(&total(one)).then_with(|| one.event_type.cmp(&other.event_type))
        });
        types
    }

    /// Why events of the last hour were rejected, the most frequent causes first, of one application or of all.
    #[must_use]
    pub fn rejected_fields(&self, app: Option<Uuid>) -> Vec<FieldCount> {
        let mut causes = Vec::new();
        self.chosen(app).iter().for_each(|app| app.show_causes(self.clock.wall_ms(), &mut causes));
        causes.sort_by(|one, other| {
            let name = |count: &FieldCount| (count.field.clone(), count.reason.clone());
            other.count.cmp(&one.count).then_with(|| name(one).cmp(&name(other)))
        });
        causes.truncate(TOP_CAUSES);
        causes
    }

    /// The newest entries of the tail after a serial, at most `limit`, oldest first; of one application, or of all and of
    /// those that no application is known of.
    #[must_use]
    pub fn tail(
        &self,
        app: Option<Uuid>,
        verdict: Option<TailVerdict>,
        after_serial: u64,
        limit: usize,
    ) -> Vec<TailEntry> {
        let mut entries = Vec::new();
        for app in self.chosen(app) {
            app.tail().show(verdict, after_serial, limit, &mut entries);
        }
        if app.is_none() {
            self.strangers.show(verdict, after_serial, limit, &mut entries);
        }
        entries.sort_unstable_by_key(|entry| entry.serial);
        entries.split_off(entries.len().saturating_sub(limit))
    }

    /// Forgets what the tail shows of an application.
    pub fn forget_tail(&self, app: Uuid) {
        self.chosen(Some(app)).iter().for_each(|app| app.tail().clear());
    }

    /// The metrics of an application's last so many minutes of event time, the running one and those ahead of the clock
    /// included, oldest first. Minutes without events are left out.
    #[must_use]
    pub fn windows(&self, app: Uuid, last: u32) -> Vec<Window> {
        self.chosen(Some(app)).first().map(|app| app.windows(self.clock.wall_ms(), last)).unwrap_or_default()
    }

    /// Closes minutes and forgets what is old. To be run as a task.
    pub async fn run(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.sweep();
        }
    }

    fn sweep(&self) {
        let wall_ms = self.clock.wall_ms();
        let (mut idle, everyone) = (Vec::new(), self.everyone());
        for app in &everyone {
            app.sweep(wall_ms);
            if !app.id().is_nil() && app.is_idle(wall_ms) {
                idle.push(app.id());
            }
        }
        if !idle.is_empty() {
            let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
            idle.iter().filter_map(|id| apps.remove(id)).for_each(|app| app.forget());
        }
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.applications.set(gauge(everyone.len() - 1 - idle.len()));
        self.window_bytes.set(gauge(self.memory.used() + self.waiting.used()));
    }

    fn everyone(&self) -> Vec<Arc<AppLive>> {
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        apps.values().chain([&self.others]).map(Arc::clone).collect()
    }

    fn chosen(&self, app: Option<Uuid>) -> Vec<Arc<AppLive>> {
        match app {
            None => self.everyone(),
            Some(id) if id.is_nil() => vec![Arc::clone(&self.others)],
            Some(id) => {
                let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
                apps.get(&id).map(Arc::clone).into_iter().collect()
            }
        }
    }
}
