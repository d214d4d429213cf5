//! What is remembered of one application's events.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::dictionary::{Dictionary, NONE, OTHER, OTHER_NAME};
use super::export::{Dropped, Exporter};
use super::hour::LastHour;
use super::record::Page;
use super::rejections::Rejections;
use super::series::Curves;
use super::sharded::Sharded;
use super::tail::Tail;
use super::tally::{
    KNOCKOUT, LOGIN, NAMELESS_KNOCKOUT, NAMELESS_PURCHASE, OF_TYPE, PURCHASE, TOO_EARLY, TOO_LATE, Tally,
};
use super::view::{FieldCount, TypeCount, Verdicts, Window};
use super::windows::{Alike, Dictionaries, Kind, MINUTES_AHEAD, Memory, Rules, Windows};
use crate::config::LiveSettings;
use crate::metrics::Metrics;

/// Causes of rejections that are told apart within an hour.
const MAX_CAUSES: usize = 64;
/// Longer names of event types are not told apart.
const MAX_TYPE_LEN: usize = 128;
/// Stands for rejected events of which no type could be read.
const UNREADABLE: &str = "(unreadable)";

/// One application's counts, curves, windows and tail.
pub struct AppLive {
    id: Uuid,
    rules: Rules,
    max_types: usize,
    curves: Sharded<Curves>,
    counts: Mutex<Counts>,
    tail: Tail,
    waiting: Arc<Memory>,
}

struct Counts {
    windows: Windows,
    types: Vec<OfType>,
    causes: Vec<(String, &'static str, LastHour)>,
}

struct OfType {
    name: Box<str>,
    accepted: LastHour,
    rejected: LastHour,
}

/// What all applications share.
pub(super) struct Common<'a> {
    pub(super) settings: &'a LiveSettings,
    pub(super) metrics: &'a Arc<Metrics>,
    /// For the windows.
    pub(super) memory: &'a Arc<Memory>,
    /// For counts that wait for the outcome of what they count.
    pub(super) waiting: &'a Arc<Memory>,
    pub(super) serials: &'a Arc<AtomicU64>,
}

impl AppLive {
    pub(super) fn new(id: Uuid, common: &Common<'_>) -> Arc<Self> {
        let Common { settings, metrics, memory, waiting, serials } = common;
        let rules = Rules {
            grace_ms: i64::try_from(settings.window_grace.as_millis()).unwrap_or(i64::MAX),
            minutes_kept: i64::try_from(settings.windows_kept.as_secs().div_ceil(60)).unwrap_or(i64::MAX),
        };
        let names = Dictionaries {
            versions: Dictionary::new(settings.max_app_versions),
            spells: Dictionary::new(settings.max_dimension_values),
            currencies: Dictionary::new(settings.max_dimension_values),
        };
        let label = if id.is_nil() { OTHER_NAME.to_owned() } else { id.to_string() };
        let windows = Windows::new(rules, names, Exporter::new(metrics, label), memory);
        Arc::new(Self {
            id,
            rules,
            max_types: settings.max_event_types as usize,
            curves: Sharded::new(Curves::new),
            counts: Mutex::new(Counts { windows, types: Vec::new(), causes: Vec::new() }),
            tail: Tail::new(serials, settings.tail_accepted, settings.tail_rejected),
            waiting: Arc::clone(waiting),
        })
    }

    /// The application's id; nil where it stands for all that are not told apart.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Begins to count a batch of so many events that came at `wall_ms`.
    #[must_use]
    pub fn tally<'m>(self: &Arc<Self>, wall_ms: i64, events: u32) -> Tally<'m> {
        Tally::new(Arc::clone(self), wall_ms, events)
    }

    /// A batch was settled.
    pub fn settled(&self, wall_ms: i64, verdicts: &Verdicts) {
        self.curves.mine().add(wall_ms, verdicts);
    }

    pub(super) fn tail(&self) -> &Tail {
        &self.tail
    }

    pub(super) fn curves(&self) -> &Sharded<Curves> {
        &self.curves
    }

    /// The first minute that a window counts for events that come at this time, and how many there are from it.
    pub(super) fn minutes_taken(&self, wall_ms: i64) -> (i64, u64) {
        let minutes = self.rules.minutes_kept.saturating_add(MINUTES_AHEAD + 1);
        (self.rules.first_kept(wall_ms), minutes.unsigned_abs())
    }

    /// Counts what a part of a batch, which came at `wall_ms`, told; it is stored.
    pub(super) fn count_stored(&self, wall_ms: i64, first_minute: i64, pages: &[Page], part: u32) {
        let minute_now = wall_ms.div_euclid(60_000);
        let mut counts = self.lock();
        for page in pages {
            for (key, count) in page.cells_of(part) {
                #[allow(clippy::cast_possible_truncation, reason = "the lowest bytes")]
                let (place, low) = ((key >> 8) as u8, key as u8);
                if key & OF_TYPE != 0 {
                    let event_type = page.event_type(low.into());
                    counts.of_type(event_type, minute_now, self.max_types).accepted.add(minute_now, count);
                    continue;
                }
                let windows = &mut counts.windows;
                let minute = match (key >> 16) & 0xffff {
                    TOO_LATE => {
                        windows.dropped(Dropped::Late, count.into());
                        continue;
                    }
                    TOO_EARLY => {
                        windows.dropped(Dropped::Early, count.into());
                        continue;
                    }
                    minute => first_minute + minute.cast_signed(),
                };
                let names = &mut windows.names;
                let version = names.versions.id(page.version(place.into()), minute_now);
                let also = match low {
                    LOGIN => Some((Kind::Logins, OTHER)),
                    NAMELESS_KNOCKOUT => Some((Kind::Knockouts, NONE)),
                    NAMELESS_PURCHASE => Some((Kind::Purchases, NONE)),
                    KNOCKOUT..PURCHASE => {
                        let spell = page.dimension((low - KNOCKOUT).into());
                        Some((Kind::Knockouts, names.spells.id(spell, minute_now)))
                    }
                    PURCHASE.. => {
                        let currency = page.dimension((low - PURCHASE).into());
                        Some((Kind::Purchases, names.currencies.id(currency, minute_now)))
                    }
                    _ => None,
                };
                windows.add(wall_ms, Alike { minute, version, also, count: count.into() });
            }
        }
    }

    /// The memory for counts that wait.
    pub(super) fn waiting(&self) -> &Memory {
        &self.waiting
    }

    /// There is no memory for the counts of so many events.
    pub(super) fn drop_for_memory(&self, events: u64) {
        self.lock().windows.dropped(Dropped::Memory, events);
    }

    /// Counts a batch's rejected events.
    pub(super) fn count_rejections(&self, wall_ms: i64, rejections: &Rejections<'_>) {
        let minute = wall_ms.div_euclid(60_000);
        let mut counts = self.lock();
        for (event_type, count) in &rejections.types {
            // What breaks the rule for names is none to be shown.
            let readable = !event_type.is_empty() && event_type.iter().all(u8::is_ascii_graphic);
            let event_type = if readable { event_type } else { UNREADABLE.as_bytes() };
            counts.of_type(event_type, minute, self.max_types).rejected.add(minute, *count);
        }
        for cause in &rejections.causes {
            if let Some(hour) = counts.of_cause(&cause.field, cause.reason, minute) {
                hour.add(minute, cause.count);
            }
        }
    }

    /// Adds the event types of the last hour to `shown`.
    pub(super) fn show_types(&self, wall_ms: i64, shown: &mut Vec<TypeCount>) {
        let minute = wall_ms.div_euclid(60_000);
        shown.extend(self.lock().types.iter_mut().filter_map(|of_type| {
            let (accepted, rejected) = (of_type.accepted.sum(minute), of_type.rejected.sum(minute));
            let event_type = of_type.name.to_string();
            (accepted + rejected > 0).then_some(TypeCount { event_type, accepted, rejected })
        }));
    }

    /// Adds the causes of rejections of the last hour to `shown`.
    pub(super) fn show_causes(&self, wall_ms: i64, shown: &mut Vec<FieldCount>) {
        let minute = wall_ms.div_euclid(60_000);
        for (field, reason, hour) in &mut self.lock().causes {
            let count = hour.sum(minute);
            let known = shown.iter_mut().find(|known| known.field == *field && known.reason == *reason);
            match known {
                Some(known) => known.count += count,
                None if count > 0 => {
                    shown.push(FieldCount { field: field.clone(), reason: (*reason).to_owned(), count });
                }
                None => {}
            }
        }
    }

    pub(super) fn windows(&self, wall_ms: i64, last: u32) -> Vec<Window> {
        self.lock().windows.show(wall_ms, last)
    }

    /// Closes and drops what is due.
    pub(super) fn sweep(&self, wall_ms: i64) {
        self.lock().windows.sweep(wall_ms);
    }

    /// Whether nothing came for as long as minutes are kept.
    pub(super) fn is_idle(&self, wall_ms: i64) -> bool {
        let mut last = None;
        self.curves.each(|curves| last = last.max(curves.last_event_at_ms()));
        let idle_from = self.rules.first_kept(wall_ms).saturating_sub(MINUTES_AHEAD).saturating_mul(60_000);
        last.is_some_and(|last| last < idle_from)
    }

    /// Nothing of it is exported any more.
    pub(super) fn forget(&self) {
        self.lock().windows.forget();
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// A type's counts: its own or, where too many are told apart, those of all others.
    fn of_type(&mut self, name: &[u8], minute: i64, limit: usize) -> &mut OfType {
        let place = match self.place_of_type(name) {
            Some(place) => place,
            None => {
                if self.types.len() >= limit {
                    // What did not come for an hour makes room.
                    self.types.retain_mut(|known| known.accepted.sum(minute) + known.rejected.sum(minute) > 0);
                }
                let name = std::str::from_utf8(name).ok().filter(|name| name.len() <= MAX_TYPE_LEN);
                match name {
                    Some(name) if self.types.len() < limit => self.push_type(name, minute),
                    _ => match self.place_of_type(OTHER_NAME.as_bytes()) {
                        Some(place) => place,
                        None => self.push_type(OTHER_NAME, minute),
                    },
                }
            }
        };
        &mut self.types[place]
    }

    fn place_of_type(&self, name: &[u8]) -> Option<usize> {
        self.types.iter().position(|known| known.name.as_bytes() == name)
    }

    fn push_type(&mut self, name: &str, minute: i64) -> usize {
        let (accepted, rejected) = (LastHour::new(minute), LastHour::new(minute));
        self.types.push(OfType { name: name.into(), accepted, rejected });
        self.types.len() - 1
    }

    /// `None`: too many causes are told apart already.
    fn of_cause(&mut self, field: &str, reason: &'static str, minute: i64) -> Option<&mut LastHour> {
        if let Some(place) = self.causes.iter().position(|known| known.0 == field && known.1 == reason) {
            return Some(&mut self.causes[place].2);
        }
        if self.causes.len() >= MAX_CAUSES {
            self.causes.retain_mut(|known| known.2.sum(minute) > 0);
        }
        if self.causes.len() >= MAX_CAUSES {
            return None;
        }
        self.causes.push((field.to_owned(), reason, LastHour::new(minute)));
        self.causes.last_mut().map(|known| &mut known.2)
    }
}
