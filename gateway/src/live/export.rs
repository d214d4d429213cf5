//! Windows as Prometheus counters, in bounded number.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::dictionary::OTHER;
use super::windows::{CellKey, Dictionaries, Kind};
use crate::metrics::{Counter, CounterHandle, Metrics};

/// Series of an application; what comes beyond is counted under `(other)`.
const MAX_SERIES: usize = 256;

/// The counters of one application.
pub(super) struct Exporter {
    metrics: Arc<Metrics>,
    application: String,
    series: BTreeMap<CellKey, CounterHandle>,
    late: CounterHandle,
    dropped: [CounterHandle; 3],
}

/// Why no minute counts an event.
#[derive(Clone, Copy)]
pub(super) enum Dropped {
    /// Its minute is not kept any more.
    Late,
    /// Its minute is further ahead than any clock should be.
    Early,
    /// There was no memory for it while it was on its way.
    Memory,
}

impl Dropped {
    const ALL: [Self; 3] = [Self::Late, Self::Early, Self::Memory];

    const fn label(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Early => "early",
            Self::Memory => "memory",
        }
    }
}

impl Exporter {
    pub(super) fn new(metrics: &Arc<Metrics>, application: String) -> Self {
        let dropped = |why: Dropped| metrics.counter(Counter::WindowDroppedEvents, &[&application, why.label()]);
        Self {
            late: metrics.counter(Counter::WindowLateEvents, &[&application]),
            dropped: Dropped::ALL.map(dropped),
            metrics: Arc::clone(metrics),
            application,
            series: BTreeMap::new(),
        }
    }

    pub(super) fn late(&self, count: u64) {
        self.late.inc_by(count);
    }

    pub(super) fn dropped(&self, why: Dropped, count: u64) {
        self.dropped[why as usize].inc_by(count);
    }

    /// Adds a cell of a closed minute.
    pub(super) fn add(&mut self, key: CellKey, names: &Dictionaries, count: u64) {
        // Shown in the windows; as a counter there is one for all versions.
        let Some(metric) = metric(key.kind) else { return };
        if let Some(counter) = self.series.get(&key) {
            counter.inc_by(count);
            return;
        }
        let full = self.series.len() >= MAX_SERIES;
        let key = if full { CellKey { version: OTHER, kind: key.kind, dimension: OTHER } } else { key };
        let (metrics, application) = (&self.metrics, &self.application);
        let counter = self
            .series
            .entry(key)
            .or_insert_with(|| labelled(application, key, names, |labels| metrics.counter(metric, labels)));
        counter.inc_by(count);
    }

    /// Takes series out of the exposition, before the names in their keys stand for others.
    pub(super) fn forget(&mut self, names: &Dictionaries, which: impl Fn(&CellKey) -> bool) {
        let (metrics, application) = (&self.metrics, &self.application);
        self.series.retain(|key, _| {
            let goes = which(key);
            if goes && let Some(metric) = metric(key.kind) {
                labelled(application, *key, names, |labels| metrics.forget_counter(metric, labels));
            }
            !goes
        });
    }

    /// Takes out what is there for every application.
    pub(super) fn forget_application(&self) {
        self.metrics.forget_counter(Counter::WindowLateEvents, &[&self.application]);
        for why in Dropped::ALL {
            self.metrics.forget_counter(Counter::WindowDroppedEvents, &[&self.application, why.label()]);
        }
    }
}

fn metric(kind: Kind) -> Option<Counter> {
    match kind {
        Kind::Events => Some(Counter::WindowEvents),
        Kind::Late => None,
        Kind::Logins => Some(Counter::WindowLogins),
        Kind::Knockouts => Some(Counter::WindowKnockouts),
        Kind::Purchases => Some(Counter::WindowPurchases),
    }
}

fn labelled<T>(application: &str, key: CellKey, names: &Dictionaries, act: impl FnOnce(&[&str]) -> T) -> T {
    let version = names.versions.name(key.version);
    match names.dimension(key) {
        Some(dimension) => act(&[application, version, dimension]),
        None => act(&[application, version]),
    }
}
