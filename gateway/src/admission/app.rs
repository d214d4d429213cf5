//! An application while the gateway runs: its rates, its share of the budget and its counters, one for all its keys.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use uuid::Uuid;

use super::budget::{Budget, Permit, Share};
use super::rate::{Offered, Portion, RateLimit, Rates};
use super::refusal::Refusal;
use super::shares::Wakes;
use crate::config::AdmissionSettings;
use crate::metrics::{Counter, CounterHandle, Gauge, Metrics};
use crate::registry::{Application, Route};

/// An application's state, shared by everything it sends.
#[derive(Debug)]
pub struct App {
    id: Uuid,
    id_text: String,
    name: RwLock<Arc<str>>,
    rate: RateLimit,
    // Whether its next batch is news to the other gateways; never where its rates are this gateway's alone.
    standby: AtomicBool,
    wakes: Arc<Wakes>,
    route: RwLock<Option<Route>>,
    share: Arc<Share>,
    budget: Arc<Budget>,
    counters: AppCounters,
}

/// An application's counters.
#[derive(Debug)]
pub struct AppCounters {
    /// Batches admitted.
    pub batches: CounterHandle,
    /// Bytes admitted.
    pub bytes: CounterHandle,
    /// Events admitted.
    pub received: CounterHandle,
    /// Events accepted.
    pub accepted: CounterHandle,
    /// Events rejected.
    pub rejected: CounterHandle,
    /// Events to be sent again.
    pub retry: CounterHandle,
    /// Events nobody knows about.
    pub unknown: CounterHandle,
    /// Events of players who are not to be kept.
    pub suppressed: CounterHandle,
    /// Events seen before.
    pub duplicates: CounterHandle,
    /// Events that were taken and do not fit their schema.
    pub warned: CounterHandle,
}

impl App {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Its id in hyphenated lower case, as records carry it.
    #[must_use]
    pub fn id_text(&self) -> &str {
        &self.id_text
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        Arc::clone(&self.name.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where its events go, where that is not the gateway's default.
    #[must_use]
    pub fn route(&self) -> Option<Route> {
        *self.route.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its counters.
    #[must_use]
    pub fn counters(&self) -> &AppCounters {
        &self.counters
    }

    /// Takes a permit for a message of `len` bytes.
    ///
    /// # Errors
    /// As [`Budget::take`].
    pub fn take_permit(&self, len: usize) -> Result<Permit, Refusal> {
        self.budget.take(&self.share, len)
    }

    /// Takes a permit for a call that carries one message, before that has come.
    ///
    /// # Errors
    /// As [`Budget::take_call`].
    pub fn take_call(&self) -> Result<Permit, Refusal> {
        self.budget.take_call(&self.share)
    }

    /// Charges a batch to its rates.
    ///
    /// # Errors
    /// As [`RateLimit::charge`].
    pub fn charge(&self, events: u32, bytes: usize) -> Result<(), Refusal> {
        let charged = self.rate.charge(events, bytes);
        if self.standby.load(Ordering::Relaxed) && self.standby.swap(false, Ordering::AcqRel) {
            self.wakes.wake(self.id);
        }
        charged
    }

    /// Its rates, of which this gateway has its portion.
    #[must_use]
    pub fn rates(&self) -> Rates {
        self.rate.rates()
    }

    /// What its clients asked this gateway for, refused or not.
    #[must_use]
    pub fn offered(&self) -> Offered {
        self.rate.offered()
    }

    /// This gateway's portion of its rates.
    #[must_use]
    pub fn portion(&self) -> Portion {
        self.rate.portion()
    }

    /// Gives this gateway another portion of its rates.
    pub fn set_portion(&self, portion: Portion) {
        self.rate.set_portion(portion);
    }

    /// Nothing has come for a while: goes on with this portion, and its next batch wakes the exchange of shares.
    pub fn stand_by(&self, portion: Portion) {
        self.rate.set_portion(portion);
        self.standby.store(true, Ordering::Release);
    }

    fn update(&self, application: &Application, rates: Rates) {
        if self.name().as_ref() != application.name {
            *self.name.write().unwrap_or_else(PoisonError::into_inner) = application.name.as_str().into();
        }
        if self.route() != application.route {
            *self.route.write().unwrap_or_else(PoisonError::into_inner) = application.route;
        }
        if self.rate.rates() != rates {
            self.rate.set_rates(rates);
        }
    }
}

/// Every application that was seen, with the gateway's defaults and its budget.
#[derive(Debug)]
pub struct Apps {
    apps: RwLock<HashMap<Uuid, Arc<App>>>,
    defaults: Rates,
    budget: Arc<Budget>,
    metrics: Arc<Metrics>,
    wakes: Arc<Wakes>,
    // The part of its rates that an application has here before this gateway has told the others of it. `None`: rates
    // are not shared.
    standby: Mutex<Option<Portion>>,
}

impl Apps {
    /// No application yet.
    #[must_use]
    pub fn new(settings: &AdmissionSettings, metrics: &Arc<Metrics>) -> Arc<Self> {
        let limit = settings.bytes_in_flight.0;
        metrics.gauge(Gauge::BytesBudget, &[]).set(limit.cast_signed());
        let budget = Budget::new(limit, settings.app_share, metrics.gauge(Gauge::BytesInFlight, &[]));
        let defaults = Rates {
            events_per_second: settings.events_per_second,
            events_burst: settings.events_burst,
            bytes_per_second: settings.bytes_per_second.0,
            bytes_burst: settings.bytes_burst.0,
        };
        Arc::new(Self {
            apps: RwLock::new(HashMap::new()),
            defaults,
            budget,
            metrics: Arc::clone(metrics),
            wakes: Arc::default(),
            standby: Mutex::new(None),
        })
    }

    /// From now on rates are shared with other gateways: an application that nothing was heard of has this portion.
    pub fn share(&self, standby: Portion) {
        let before = self.standby.lock().unwrap_or_else(PoisonError::into_inner).replace(standby);
        if before == Some(standby) {
            return;
        }
        for app in self.apps.read().unwrap_or_else(PoisonError::into_inner).values() {
            // The first time there is no portion yet that anyone has agreed on.
            if before.is_none() {
                app.stand_by(standby);
            } else if app.standby.load(Ordering::Acquire) {
                app.set_portion(standby);
            }
        }
    }

    /// Where applications with traffic announce themselves, once rates are shared.
    #[must_use]
    pub fn wakes(&self) -> &Arc<Wakes> {
        &self.wakes
    }

    /// An application that was seen.
    #[must_use]
    pub fn find(&self, id: Uuid) -> Option<Arc<App>> {
        self.apps.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The state of an application, made at the first call and brought up to date at each.
    #[must_use]
    pub fn get(&self, application: &Application) -> Arc<App> {
        let rates = self.rates(application);
        let known = self.apps.read().unwrap_or_else(PoisonError::into_inner).get(&application.application_id).cloned();
        if let Some(app) = known {
            app.update(application, rates);
            return app;
        }
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        let app = apps.entry(application.application_id).or_insert_with(|| Arc::new(self.make(application, rates)));
        Arc::clone(app)
    }

    /// The name of an application that was seen.
    #[must_use]
    pub fn name(&self, id: Uuid) -> Option<Arc<str>> {
        self.apps.read().unwrap_or_else(PoisonError::into_inner).get(&id).map(|app| app.name())
    }

    /// The gateway's budget.
    #[must_use]
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    fn rates(&self, application: &Application) -> Rates {
        let limits = application.limits;
        // An application with a rate but no burst of its own gets the default burst in proportion to its rate, so that
        // a low rate is not drowned by a high default burst.
        let burst = |rate: Option<u64>, burst: Option<u64>, default_rate: u64, default_burst: u64| match (rate, burst) {
            (_, Some(burst)) => burst,
            (Some(rate), None) => {
                u64::try_from(u128::from(rate) * u128::from(default_burst) / u128::from(default_rate.max(1)))
                    .unwrap_or(u64::MAX)
                    .max(1)
            }
            (None, None) => default_burst,
        };
        let events_burst = burst(
            limits.events_per_second.map(u64::from),
            limits.events_burst.map(u64::from),
            self.defaults.events_per_second.into(),
            self.defaults.events_burst.into(),
        );
        Rates {
            events_per_second: limits.events_per_second.unwrap_or(self.defaults.events_per_second),
            events_burst: u32::try_from(events_burst).unwrap_or(u32::MAX),
            bytes_per_second: limits.bytes_per_second.unwrap_or(self.defaults.bytes_per_second),
            bytes_burst: burst(
                limits.bytes_per_second,
                limits.bytes_burst,
                self.defaults.bytes_per_second,
                self.defaults.bytes_burst,
            ),
        }
    }

    fn make(&self, application: &Application, rates: Rates) -> App {
        let id = application.application_id;
        let id_text = id.to_string();
        let counter = |metric| self.metrics.counter(metric, &[&id_text]);
        let settled = |verdict| self.metrics.counter(Counter::EventsSettled, &[&id_text, verdict]);
        let counters = AppCounters {
            batches: counter(Counter::BatchesReceived),
            bytes: counter(Counter::BytesReceived),
            received: counter(Counter::EventsReceived),
            accepted: settled("accepted"),
            rejected: settled("rejected"),
            retry: settled("retry"),
            unknown: settled("unknown"),
            suppressed: settled("suppressed"),
            duplicates: counter(Counter::EventsDuplicate),
            warned: counter(Counter::EventsWarned),
        };
        let standby = *self.standby.lock().unwrap_or_else(PoisonError::into_inner);
        App {
            id,
            name: RwLock::new(application.name.as_str().into()),
            rate: RateLimit::with_portion(rates, standby.unwrap_or(Portion::WHOLE)),
            standby: AtomicBool::new(standby.is_some()),
            wakes: Arc::clone(&self.wakes),
            route: RwLock::new(application.route),
            share: Arc::new(Share::default()),
            budget: Arc::clone(&self.budget),
            counters,
            id_text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Limits;

    fn application(limits: Limits) -> Application {
        Application {
            application_id: Uuid::from_u128(7),
            name: "skyfall".to_owned(),
            description: None,
            limits,
            route: None,
            environment: crate::registry::Environment::Prod,
            created_at_ms: 0,
            updated_at_ms: 0,
        }
    }

    #[test]
    fn all_keys_of_an_application_share_one_limit() {
        let apps = Apps::new(&AdmissionSettings::default(), &Metrics::new());
        let first = apps.get(&application(Limits { events_burst: Some(10), ..Limits::default() }));
        let second = apps.get(&application(Limits { events_burst: Some(10), ..Limits::default() }));
        first.charge(10, 1).expect("the bucket starts full");
        assert!(second.charge(10, 1).is_err());
    }

    #[test]
    fn a_changed_limit_takes_effect_on_what_is_open() {
        let apps = Apps::new(&AdmissionSettings::default(), &Metrics::new());
        let app = apps.get(&application(Limits { events_burst: Some(10), ..Limits::default() }));
        assert!(app.charge(11, 1).is_err());
        let _ = apps.get(&application(Limits { events_burst: Some(20), ..Limits::default() }));
        app.charge(11, 1).expect("the new burst holds for the same handle");
    }

    #[test]
    fn a_rate_without_a_burst_gets_one_in_proportion() {
        let apps = Apps::new(&AdmissionSettings::default(), &Metrics::new());
        let rates = apps.rates(&application(Limits { events_per_second: Some(50), ..Limits::default() }));
        assert_eq!(rates.events_burst, 100);
    }
}
