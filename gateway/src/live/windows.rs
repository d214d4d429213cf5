//! The metrics of each minute of event time: one-minute tumbling windows by `app_version` and, for knockouts and
//! purchases, by `spell_id` and `currency_type`.
//!
//! A minute is closed `live.window_grace` after its end by the gateway's clock; then its counts are exported. What comes
//! later still counts in its minute, and as late, and is exported as it comes, until the minute is older than
//! `live.windows_kept`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::dictionary::{Dictionary, OTHER};
use super::export::{Dropped, Exporter};
use super::view::Window;

/// How far ahead of the gateway's clock event times may be: players' clocks are wrong.
pub(super) const MINUTES_AHEAD: i64 = 60;
/// What a minute takes beside its cells.
const MINUTE_BYTES: usize = 128;
/// Cells are made room for in groups, so that none of the memory goes unused for long.
const CELLS_AT_ONCE: usize = 8;

/// What a cell counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Events,
    Late,
    Logins,
    Knockouts,
    Purchases,
}

/// A count's place in its minute. The numbers are those of the dictionaries; the dimension is [`OTHER`] where the kind has
/// none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CellKey {
    pub(super) version: u16,
    pub(super) kind: Kind,
    pub(super) dimension: u16,
}

#[derive(Clone, Copy)]
struct Cell {
    key: CellKey,
    count: u64,
}

#[derive(Default)]
struct Minute {
    // In the order of their keys.
    cells: Vec<Cell>,
    closed: bool,
}

/// Bytes that all applications take together.
pub(super) struct Memory {
    limit: usize,
    used: AtomicUsize,
}

impl Memory {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.used().saturating_add(bytes) <= self.limit
    }

    pub(super) fn take(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// How long minutes are open, and kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) grace_ms: i64,
    pub(super) minutes_kept: i64,
}

impl Rules {
    /// Whether a minute is closed at this time.
    pub(super) fn is_closed(&self, minute: i64, wall_ms: i64) -> bool {
        wall_ms >= minute.saturating_add(1).saturating_mul(60_000).saturating_add(self.grace_ms)
    }

    /// The first minute that is kept at this time.
    pub(super) fn first_kept(&self, wall_ms: i64) -> i64 {
        wall_ms.div_euclid(60_000) - self.minutes_kept
    }
}

/// The names that an application's cells refer to.
pub(super) struct Dictionaries {
    pub(super) versions: Dictionary,
    pub(super) spells: Dictionary,
    pub(super) currencies: Dictionary,
}

impl Dictionaries {
    pub(super) fn dimension(&self, key: CellKey) -> Option<&str> {
        match key.kind {
            Kind::Knockouts => Some(self.spells.name(key.dimension)),
            Kind::Purchases => Some(self.currencies.name(key.dimension)),
            Kind::Events | Kind::Late | Kind::Logins => None,
        }
    }
}

/// The windows of one application.
pub(super) struct Windows {
    rules: Rules,
    pub(super) names: Dictionaries,
    minutes: BTreeMap<i64, Minute>,
    // Minutes before it are closed.
    open_from: i64,
    exporter: Exporter,
    memory: Arc<Memory>,
}

/// Events of a batch that have everything in common.
#[derive(Clone, Copy)]
pub(super) struct Alike {
    pub(super) minute: i64,
    pub(super) version: u16,
    /// What they count as beside events, and its dimension.
    pub(super) also: Option<(Kind, u16)>,
    pub(super) count: u64,
}

impl Windows {
    pub(super) fn new(rules: Rules, names: Dictionaries, exporter: Exporter, memory: &Arc<Memory>) -> Self {
        let memory = Arc::clone(memory);
        Self { rules, names, minutes: BTreeMap::new(), open_from: i64::MIN, exporter, memory }
    }

    /// Counts events that came at `wall_ms` and are stored.
    pub(super) fn add(&mut self, wall_ms: i64, alike: Alike) {
        let Alike { minute, version, also, count } = alike;
        let late = self.rules.is_closed(minute, wall_ms);
        let key = |kind, dimension| CellKey { version, kind, dimension };
        self.count(minute, key(Kind::Events, OTHER), count);
        if let Some((kind, dimension)) = also {
            self.count(minute, key(kind, dimension), count);
        }
        if late {
            self.exporter.late(count);
            self.count(minute, key(Kind::Late, OTHER), count);
        }
    }

    /// Counts events that no minute counts.
    pub(super) fn dropped(&self, why: Dropped, count: u64) {
        self.exporter.dropped(why, count);
    }

    fn count(&mut self, minute: i64, key: CellKey, count: u64) {
        let memory = &self.memory;
        let held = self.minutes.entry(minute).or_insert_with(|| {
            memory.take(MINUTE_BYTES);
            Minute { closed: minute < self.open_from, ..Minute::default() }
        });
        let key = held.count(key, count, memory);
        if held.closed {
            self.exporter.add(key, &self.names, count);
        }
    }

    /// Closes and drops what is due. To be called about once a second.
    pub(super) fn sweep(&mut self, wall_ms: i64) {
        let first_open = (wall_ms - self.rules.grace_ms).div_euclid(60_000);
        if first_open > self.open_from {
            for (_, minute) in self.minutes.range_mut(self.open_from..first_open).filter(|(_, minute)| !minute.closed) {
                minute.closed = true;
                for cell in &minute.cells {
                    self.exporter.add(cell.key, &self.names, cell.count);
                }
            }
            self.open_from = first_open;
        }
        let first_kept = self.rules.first_kept(wall_ms);
        let mut dropped = 0;
        while let Some(oldest) = self.minutes.first_entry()
            && *oldest.key() < first_kept
        {
            dropped += oldest.remove().bytes();
        }
        if dropped > 0 {
            self.memory.give_back(dropped);
            self.free_names(first_kept);
        }
    }

    /// Names that no minute refers to any more make room. A name may be referred to by minutes ahead of the clock that it
    /// was seen by.
    fn free_names(&mut self, first_kept: i64) {
        let unseen_since = first_kept - MINUTES_AHEAD;
        for id in self.names.versions.unseen_since(unseen_since) {
            self.exporter.forget(&self.names, |key| key.version == id);
            self.names.versions.free(id);
        }
        for id in self.names.spells.unseen_since(unseen_since) {
            self.exporter.forget(&self.names, |key| key.kind == Kind::Knockouts && key.dimension == id);
            self.names.spells.free(id);
        }
        for id in self.names.currencies.unseen_since(unseen_since) {
            self.exporter.forget(&self.names, |key| key.kind == Kind::Purchases && key.dimension == id);
            self.names.currencies.free(id);
        }
    }

    /// The application is forgotten: nothing of it is exported any more.
    pub(super) fn forget(&mut self) {
        self.exporter.forget(&self.names, |_| true);
        self.exporter.forget_application();
    }

    /// The windows of the last so many minutes, the running one and those ahead included; oldest first.
    pub(super) fn show(&self, wall_ms: i64, last: u32) -> Vec<Window> {
        let first = wall_ms.div_euclid(60_000) - i64::from(last) + 1;
        let mut shown = Vec::new();
        for (minute, held) in self.minutes.range(first..) {
            let open = !self.rules.is_closed(*minute, wall_ms);
            let mut windows: BTreeMap<u16, Window> = BTreeMap::new();
            for cell in &held.cells {
                let window = windows.entry(cell.key.version).or_insert_with(|| {
                    let app_version = self.names.versions.name(cell.key.version).to_owned();
                    Window { minute_s: minute * 60, app_version, open, ..Window::default() }
                });
                self.add_to(window, cell);
            }
            let mut windows: Vec<_> = windows.into_values().collect();
            windows.sort_by(|one, other| one.app_version.cmp(&other.app_version));
            shown.extend(windows);
        }
        shown
    }

    fn add_to(&self, window: &mut Window, cell: &Cell) {
        let dimension = || self.names.dimension(cell.key).unwrap_or_default().to_owned();
        match cell.key.kind {
            Kind::Events => window.total_events += cell.count,
            Kind::Late => window.late_events += cell.count,
            Kind::Logins => window.total_logins += cell.count,
            Kind::Knockouts => *window.knockouts_by_spell.entry(dimension()).or_default() += cell.count,
            Kind::Purchases => *window.purchases.entry(dimension()).or_default() += cell.count,
        }
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        let bytes = self.minutes.values().map(Minute::bytes).sum();
        self.memory.give_back(bytes);
    }
}

impl Minute {
    fn bytes(&self) -> usize {
        MINUTE_BYTES + self.cells.capacity() * size_of::<Cell>()
    }

    /// Counts under a key or, where there is no memory for a new one, under what stands for all others. Says under which.
    fn count(&mut self, key: CellKey, count: u64, memory: &Memory) -> CellKey {
        let grows = self.cells.len() == self.cells.capacity();
        let has_room = !grows || memory.has_room(CELLS_AT_ONCE * size_of::<Cell>());
        let (key, place) = match self.place(key) {
            Err(_) if !has_room => {
                let same_version = CellKey { dimension: OTHER, ..key };
                // This one may always be made: a minute has few of them.
                let other = CellKey { version: OTHER, ..same_version };
                let key = if self.place(same_version).is_ok() { same_version } else { other };
                (key, self.place(key))
            }
            place => (key, place),
        };
        match place {
            Ok(place) => self.cells[place].count += count,
            Err(place) => {
                let before = self.cells.capacity();
                if grows {
                    self.cells.reserve_exact(CELLS_AT_ONCE);
                }
                self.cells.insert(place, Cell { key, count });
                memory.take((self.cells.capacity() - before) * size_of::<Cell>());
            }
        }
        key
    }

    fn place(&self, key: CellKey) -> Result<usize, usize> {
        self.cells.binary_search_by(|cell| cell.key.cmp(&key))
    }
}
