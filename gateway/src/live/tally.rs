//! What one batch tells: counted on the stack while its events are read, written down when the batch is through, and
//! merged into the application's counts once the destination has stored what was counted.
//!
//! Nothing is allocated for an event and no lock is taken for one. A batch costs a handful of allocations: the record
//! that waits for the outcome, and a page of counts with the names in them. A batch with more names or combinations than
//! the tables on the stack hold takes several pages; they hold no more bytes of names than the batch does.

use std::sync::Arc;

use super::app::AppLive;
use super::cells::Cells;
use super::names::Names;
use super::record::{Page, Record};
use super::rejections::Rejections;
use super::tail::{Sampler, accepted_entry};
use super::view::TailEntry;
use crate::event::member::{member, scalar};
use crate::event::scan::RawEvent;
use crate::event::validate::Invalid;
use crate::gather::{BucketId, Witness};
use crate::registry::Violation;

/// Segments of a batch that are found again; a batch that goes on in one from before these knows it twice.
const PARTS_SEARCHED: usize = 64;

/// Counts of a batch. `'m` is the batch's message.
pub struct Tally<'m> {
    app: Arc<AppLive>,
    wall_ms: i64,
    // Minutes since 1970 that are taken: from the first, so many.
    first_minute: i64,
    minutes: u64,
    types: Names<'m>,
    versions: Names<'m>,
    // `spell_id` and `currency_type` alike.
    dimensions: Names<'m>,
    cells: Cells,
    bucket: Option<BucketId>,
    part: u64,
    parts: Vec<BucketId>,
    pages: Vec<Page>,
    record: Option<Arc<Record>>,
    sampler: Sampler,
    samples: Vec<TailEntry>,
    rejections: Rejections<'m>,
}

/// What a cell counts. Its key is `part << 32 | minute << 16 | version << 8 | class`, or with this bit
/// `part << 32 | type`.
pub(super) const OF_TYPE: u64 = 1 << 62;
/// In the place of a minute: older than what is kept.
pub(super) const TOO_LATE: u64 = 0xffff;
/// In the place of a minute: further ahead than any clock should be.
pub(super) const TOO_EARLY: u64 = 0xfffe;
/// Classes; from `KNOCKOUT` and `PURCHASE` on with the place of a name.
pub(super) const PLAIN: u8 = 0;
pub(super) const LOGIN: u8 = 1;
pub(super) const NAMELESS_KNOCKOUT: u8 = 2;
pub(super) const NAMELESS_PURCHASE: u8 = 3;
pub(super) const KNOCKOUT: u8 = 64;
pub(super) const PURCHASE: u8 = 128;

impl<'m> Tally<'m> {
    pub(super) fn new(app: Arc<AppLive>, wall_ms: i64, events: u32) -> Self {
        let (first_minute, minutes) = app.minutes_taken(wall_ms);
        let sampler = app.tail().sample(wall_ms, events);
        Self {
            app,
            wall_ms,
            first_minute,
            minutes,
            types: Names::new(),
            versions: Names::new(),
            dimensions: Names::new(),
            cells: Cells::new(),
            bucket: None,
            part: 0,
            parts: Vec::new(),
            pages: Vec::new(),
            record: None,
            sampler,
            samples: Vec::new(),
            rejections: Rejections::default(),
        }
    }

    /// The next events go into this segment. Gives whom to tell of its outcome, and as what, where that is not known yet.
    #[inline]
    #[must_use]
    pub fn enter(&mut self, bucket: BucketId) -> Option<(Arc<dyn Witness>, u32)> {
        if self.bucket == Some(bucket) { None } else { self.change(bucket) }
    }

    fn change(&mut self, bucket: BucketId) -> Option<(Arc<dyn Witness>, u32)> {
        self.bucket = Some(bucket);
        let searched = self.parts.len().saturating_sub(PARTS_SEARCHED);
        if let Some(known) = self.parts[searched..].iter().position(|part| *part == bucket) {
            self.part = (searched + known) as u64;
            return None;
        }
        self.part = self.parts.len() as u64;
        self.parts.push(bucket);
        let record = self.record.get_or_insert_with(|| Record::new(&self.app, self.wall_ms, self.first_minute));
        // A batch holds at most 30,000 events, and so fewer parts than 16 bits can tell.
        Some((Arc::clone(record) as Arc<dyn Witness>, u32::try_from(self.part).unwrap_or(u32::MAX)))
    }

    /// An event was written into the segment that was entered last, at these seconds since 1970.
    #[inline]
    pub fn written(&mut self, index: u32, event: &RawEvent<'m>, event_id: &[u8], seconds: i64) {
        if !self.count(event, seconds) {
            self.turn_page();
            // An empty page has room for any event.
            let _ = self.count(event, seconds);
        }
        if self.sampler.is_due(index) {
            self.samples.push(accepted_entry(self.wall_ms, self.app.id(), event, event_id));
        }
    }

    /// Says `false`, and counts nothing, where a table of names is full.
    #[inline]
    fn count(&mut self, event: &RawEvent<'m>, seconds: i64) -> bool {
        let (Some(event_type), Some(version)) =
            (self.types.place(event.event_type), self.versions.place(event.app_version))
        else {
            return false;
        };
        let Some(class) = self.class(event) else { return false };
        #[allow(clippy::cast_sign_loss, reason = "negative ones are as good as very large ones")]
        let minute = seconds.div_euclid(60).wrapping_sub(self.first_minute) as u64;
        let minute = if minute < self.minutes {
            minute
        } else if seconds.div_euclid(60) < self.first_minute {
            TOO_LATE
        } else {
            TOO_EARLY
        };
        let part = self.part << 32;
        let window = part | minute << 16 | u64::from(version) << 8 | u64::from(class);
        let room = self.cells.count(window) & self.cells.count(part | OF_TYPE | u64::from(event_type));
        if !room {
            self.turn_page();
        }
        true
    }

    #[inline]
    fn class(&mut self, event: &RawEvent<'m>) -> Option<u8> {
        match event.event_type {
            b"login" => Some(LOGIN),
            b"user_knockout" => self.dimension(event.event_data, "spell_id", KNOCKOUT, NAMELESS_KNOCKOUT),
            b"iap_transaction" => self.dimension(event.event_data, "currency_type", PURCHASE, NAMELESS_PURCHASE),
            _ => Some(PLAIN),
        }
    }

    fn dimension(&mut self, event_data: &'m [u8], name: &str, named: u8, nameless: u8) -> Option<u8> {
        match member(event_data, name).and_then(scalar) {
            Some(value) => self.dimensions.place(value).map(|place| named + place),
            None => Some(nameless),
        }
    }

    fn write_page(&mut self) {
        if !self.cells.is_empty() {
            self.pages.push(Page::new(&self.types, &self.versions, &self.dimensions, self.cells.to_vec()));
        }
    }

    #[cold]
    fn turn_page(&mut self) {
        self.write_page();
        self.cells.clear();
        self.types.clear();
        self.versions.clear();
        self.dimensions.clear();
    }

    /// An event breaks a rule. `event` is what could be read of it.
    #[cold]
    pub fn rejected(&mut self, event: Option<&RawEvent<'m>>, invalid: &Invalid) {
        self.rejections.count(event.map_or(&b""[..], |event| event.event_type), invalid);
        if let Some(entry) = self.app.tail().rejected_entry(self.wall_ms, self.app.id(), event, invalid) {
            self.samples.push(entry);
        }
    }

    /// An event was taken that does not fit its schema.
    #[cold]
    pub fn warned(&mut self, event: &RawEvent<'m>, violation: &Violation) {
        if let Some(entry) = self.app.tail().warned_entry(self.wall_ms, self.app.id(), event, violation) {
            self.samples.push(entry);
        }
    }

    /// The batch is through: what is stored counts from now on, and what is stored later counts then.
    pub fn close(&mut self) {
        self.write_page();
        if let Some(record) = &self.record {
            record.publish(std::mem::take(&mut self.pages));
        }
        if !self.rejections.is_empty() {
            self.app.count_rejections(self.wall_ms, &self.rejections);
        }
        if !self.samples.is_empty() {
            self.app.tail().push(std::mem::take(&mut self.samples));
        }
    }
}
