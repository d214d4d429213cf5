//! The counts of a batch on their way: they wait here for the outcome of each segment that the batch was written into.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::app::AppLive;
use super::names::Names;
use super::tally::OF_TYPE;
use crate::event::member::unescaped;
use crate::gather::{Outcome, Witness};

/// What a record takes beside its pages: its own fields, and its places in the lists of its buckets.
const RECORD_BYTES: usize = 256;

/// Counts, with the names that their keys refer to.
pub(super) struct Page {
    // Every name, one after the other.
    text: Vec<u8>,
    // Where each name ends.
    ends: Vec<u32>,
    // How many of the names are event types and versions; the rest are values of dimensions.
    types: usize,
    versions: usize,
    cells: Vec<(u64, u32)>,
}

impl Page {
    pub(super) fn new(types: &Names<'_>, versions: &Names<'_>, dimensions: &Names<'_>, cells: Vec<(u64, u32)>) -> Self {
        let (types, versions, dimensions) = (types.as_slice(), versions.as_slice(), dimensions.as_slice());
        let bytes = types.iter().chain(versions).chain(dimensions).map(|name| name.len()).sum();
        let mut page = Self {
            text: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(types.len() + versions.len() + dimensions.len()),
            types: types.len(),
            versions: versions.len(),
            cells,
        };
        types.iter().chain(versions).for_each(|name| page.push(name));
        dimensions.iter().for_each(|value| match value.contains(&b'\\') {
            true => page.push(&unescaped(value)),
            false => page.push(value),
        });
        page
    }

    fn push(&mut self, name: &[u8]) {
        self.text.extend_from_slice(name);
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
    }

    pub(super) fn event_type(&self, place: usize) -> &[u8] {
        self.name(place)
    }

    pub(super) fn version(&self, place: usize) -> &[u8] {
        self.name(self.types + place)
    }

    pub(super) fn dimension(&self, place: usize) -> &[u8] {
        self.name(self.types + self.versions + place)
    }

    /// Keys without their part, and counts.
    pub(super) fn cells_of(&self, part: u32) -> impl Iterator<Item = (u64, u32)> {
        let of_part = self.cells.iter().filter(move |(key, _)| (key >> 32) & 0xffff == u64::from(part));
        of_part.map(|(key, count)| (key & !(0xffff << 32), *count))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.text.capacity()
            + self.ends.capacity() * size_of::<u32>()
            + self.cells.capacity() * size_of::<(u64, u32)>()
    }

    fn events(&self) -> u64 {
        self.cells.iter().filter(|(key, _)| key & OF_TYPE == 0).map(|(_, count)| u64::from(*count)).sum()
    }

    fn name(&self, place: usize) -> &[u8] {
        let end = |place: usize| self.ends.get(place).map_or(0, |end| *end as usize);
        let start = place.checked_sub(1).map_or(0, end);
        self.text.get(start..end(place)).unwrap_or_default()
    }
}

/// A batch's counts, and the segments that were stored before it was through.
pub(super) struct Record {
    app: Arc<AppLive>,
    wall_ms: i64,
    first_minute: i64,
    // Parts of the batch that were stored while it was being read.
    early: Mutex<Vec<u32>>,
    // There once the batch is through.
    pages: OnceLock<Vec<Page>>,
    // Taken of the memory for counts that wait.
    bytes: AtomicUsize,
}

impl Record {
    pub(super) fn new(app: &Arc<AppLive>, wall_ms: i64, first_minute: i64) -> Arc<Self> {
        Arc::new(Self {
            app: Arc::clone(app),
            wall_ms,
            first_minute,
            early: Mutex::default(),
            pages: OnceLock::new(),
            bytes: AtomicUsize::new(0),
        })
    }

    /// The batch is through, and these are its counts.
    pub(super) fn publish(&self, mut pages: Vec<Page>) {
        let bytes = RECORD_BYTES + pages.iter().map(Page::bytes).sum::<usize>();
        if self.app.waiting().has_room(bytes) {
            self.app.waiting().take(bytes);
            self.bytes.store(bytes, Ordering::Relaxed);
        } else {
            self.app.drop_for_memory(pages.iter().map(Page::events).sum());
            pages.clear();
        }
        let early = {
            // Who settles a part looks for the pages under this lock, too.
            let mut early = self.early();
            if self.pages.set(pages).is_err() {
                return;
            }
            std::mem::take(&mut *early)
        };
        for part in early {
            self.count(part);
        }
    }

    fn early(&self) -> MutexGuard<'_, Vec<u32>> {
        self.early.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, part: u32) {
        if let Some(pages) = self.pages.get() {
            self.app.count_stored(self.wall_ms, self.first_minute, pages, part);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.app.waiting().give_back(self.bytes.load(Ordering::Relaxed));
    }
}

impl Witness for Record {
    fn settled(&self, part: u32, outcome: &Outcome) {
        match outcome {
            Outcome::Stored => {}
            Outcome::NotStored { .. } | Outcome::Unknown { .. } => return,
        }
        if self.pages.get().is_none() {
            let mut early = self.early();
            if self.pages.get().is_none() {
                early.push(part);
                return;
            }
        }
        self.count(part);
    }
}
