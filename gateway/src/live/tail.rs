//! The tail: some of the events that pass, as they were sent, and what was wrong with them.
//!
//! A sample, so that it costs the same however much passes: a few entries a second, and a bounded number of bytes. What
//! was rejected or refused has a ring of its own and is never driven out by what was accepted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use headgate_proto::v1::Reason;
use uuid::Uuid;

use super::view::{TailEntry, TailVerdict};
use crate::admission::refusal::Refusal;
use crate::event::scan::RawEvent;
use crate::event::validate::Invalid;
use crate::registry::Violation;

/// Bytes of `event_data` that are shown.
const MAX_DATA: usize = 2 << 10;
/// Bytes of any other field that are shown.
const MAX_FIELD: usize = 256;
/// Entries of one ring, and their bytes.
const MAX_ENTRIES: usize = 256;
const MAX_BYTES: usize = 128 << 10;

/// The tail of one application.
pub(super) struct Tail {
    rings: Mutex<Rings>,
    serials: Arc<AtomicU64>,
    accepted: Quota,
    rejected: Quota,
}

#[derive(Default)]
struct Rings {
    accepted: Ring,
    // Rejected and refused ones, and those that do not fit their schema.
    rejected: Ring,
}

#[derive(Default)]
struct Ring {
    entries: VecDeque<TailEntry>,
    bytes: usize,
}

impl Tail {
    /// An empty one. `serials` is shared by all tails.
    pub(super) fn new(serials: &Arc<AtomicU64>, accepted_a_second: u32, rejected_a_second: u32) -> Self {
        Self {
            rings: Mutex::default(),
            serials: Arc::clone(serials),
            accepted: Quota::new(accepted_a_second),
            rejected: Quota::new(rejected_a_second),
        }
    }

    /// Which accepted events of a batch are to be shown.
    pub(super) fn sample(&self, wall_ms: i64, events: u32) -> Sampler {
        let left = self.accepted.take(wall_ms, events);
        Sampler { next: 0, left, step: events / left.max(1) }
    }

    /// A rejected event, if there is room for it within this second.
    pub(super) fn rejected_entry(
        &self,
        wall_ms: i64,
        application: Uuid,
        event: Option<&RawEvent<'_>>,
        invalid: &Invalid,
    ) -> Option<TailEntry> {
        if self.rejected.take(wall_ms, 1) == 0 {
            return None;
        }
        let event = event.copied().unwrap_or_default();
        let entry = entry(wall_ms, application, TailVerdict::Rejected, &event, event.event_id);
        Some(TailEntry {
            reason: Some(invalid.problem.reason().label().to_owned()),
            field: Some(invalid.place().to_owned()).filter(|field| !field.is_empty()),
            message: Some(invalid.to_string()),
            ..entry
        })
    }

    /// An event that was taken and does not fit its schema, if there is room for it within this second.
    pub(super) fn warned_entry(
        &self,
        wall_ms: i64,
        application: Uuid,
        event: &RawEvent<'_>,
        violation: &Violation,
    ) -> Option<TailEntry> {
        if self.rejected.take(wall_ms, 1) == 0 {
            return None;
        }
        let entry = entry(wall_ms, application, TailVerdict::Accepted, event, event.event_id);
        Some(TailEntry {
            reason: Some(Reason::Schema.label().to_owned()),
            field: Some(violation.field.clone()),
            message: Some(violation.to_string()),
            ..entry
        })
    }

    /// A batch was refused as a whole.
    pub(super) fn refused(&self, wall_ms: i64, application_id: Option<Uuid>, refusal: &Refusal) {
        if self.rejected.take(wall_ms, 1) == 0 {
            return;
        }
        self.push(vec![TailEntry {
            serial: 0,
            at_ms: wall_ms,
            application_id,
            verdict: TailVerdict::Refused,
            event_id: String::new(),
            event_type: String::new(),
            event_name: String::new(),
            reason: Some(refusal.row().label.to_owned()),
            field: None,
            message: Some(refusal.to_string()),
            event_data: String::new(),
        }]);
    }

    /// Takes entries in, which get their serials here.
    pub(super) fn push(&self, entries: Vec<TailEntry>) {
        let mut rings = self.lock();
        for mut entry in entries {
            entry.serial = self.serials.fetch_add(1, Ordering::Relaxed) + 1;
            match entry.verdict {
                TailVerdict::Accepted if entry.message.is_none() => rings.accepted.push(entry),
                TailVerdict::Accepted | TailVerdict::Rejected | TailVerdict::Refused => rings.rejected.push(entry),
            }
        }
    }

    /// Adds the newest entries after a serial, at most `limit`, to `shown`; in no order.
    pub(super) fn show(&self, verdict: Option<TailVerdict>, after: u64, limit: usize, shown: &mut Vec<TailEntry>) {
        let rings = self.lock();
        for ring in [&rings.accepted, &rings.rejected] {
            let newest = ring.entries.iter().rev().take_while(|entry| entry.serial > after);
            let wanted = newest.filter(|entry| verdict.is_none_or(|verdict| verdict == entry.verdict));
            shown.extend(wanted.take(limit).cloned());
        }
    }

    /// Forgets every entry.
    pub(super) fn clear(&self) {
        *self.lock() = Rings::default();
    }

    fn lock(&self) -> MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, entry: TailEntry) {
        self.bytes += size(&entry);
        self.entries.push_back(entry);
        while self.entries.len() > MAX_ENTRIES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(size(&oldest));
        }
    }
}

fn size(entry: &TailEntry) -> usize {
    let optional = [&entry.reason, &entry.field, &entry.message];
    let texts = [&entry.event_id, &entry.event_type, &entry.event_name, &entry.event_data];
    size_of::<TailEntry>()
        + texts.iter().map(|text| text.capacity()).sum::<usize>()
        + optional.iter().map(|text| text.as_ref().map_or(0, String::capacity)).sum::<usize>()
}

/// Which events of a batch are shown: evenly spread over it, and for one that turns out not to be accepted the next that is.
pub(super) struct Sampler {
    next: u32,
    left: u32,
    step: u32,
}

impl Sampler {
    /// Whether the accepted event at this position is shown.
    #[inline]
    pub(super) fn is_due(&mut self, index: u32) -> bool {
        if self.left == 0 || index < self.next {
            return false;
        }
        self.left -= 1;
        self.next = self.next.saturating_add(self.step.max(1));
        true
    }
}

/// So many a second: the second in the high half, in the low half how many of it are used up.
struct Quota {
    a_second: u32,
    used: AtomicU64,
}

impl Quota {
    fn new(a_second: u32) -> Self {
        Self { a_second, used: AtomicU64::new(0) }
    }

    /// Takes up to `wanted`, and says how many.
    fn take(&self, wall_ms: i64, wanted: u32) -> u32 {
        #[allow(
            clippy::cast_sign_loss,
            clippy::cast_possible_truncation,
            reason = "one second need differ from the next"
        )]
        let second = u64::from(wall_ms.div_euclid(1_000) as u32);
        let used = self.used.load(Ordering::Relaxed);
        #[allow(clippy::cast_possible_truncation, reason = "the low half")]
        let used_now = if used >> 32 == second { used as u32 } else { 0 };
        let granted = wanted.min(self.a_second.saturating_sub(used_now));
        if granted == 0 {
            return 0;
        }
        let now_used = second << 32 | u64::from(used_now + granted);
        // Who loses the race goes without: it is a sample.
        match self.used.compare_exchange(used, now_used, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => granted,
            Err(_) => 0,
        }
    }
}

/// An accepted event; `event_id` is the one it was stored under.
#[cold]
pub(super) fn accepted_entry(wall_ms: i64, application: Uuid, event: &RawEvent<'_>, event_id: &[u8]) -> TailEntry {
    entry(wall_ms, application, TailVerdict::Accepted, event, event_id)
}

fn entry(at_ms: i64, application: Uuid, verdict: TailVerdict, event: &RawEvent<'_>, event_id: &[u8]) -> TailEntry {
    TailEntry {
        serial: 0,
        at_ms,
        application_id: Some(application),
        verdict,
        event_id: text(event_id, MAX_FIELD),
        event_type: text(event.event_type, MAX_FIELD),
        event_name: text(event.event_name, MAX_FIELD),
        reason: None,
        field: None,
        message: None,
        event_data: text(event.event_data, MAX_DATA),
    }
}

/// As much as fits, cut between characters; what is no UTF-8 is shown as U+FFFD.
fn text(bytes: &[u8], limit: usize) -> String {
    let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(limit)]).into_owned();
    if bytes.len() > limit {
        text.reserve_exact('\u{2026}'.len_utf8());
        // A character that was cut in two.
        while text.ends_with(char::REPLACEMENT_CHARACTER) {
            text.pop();
        }
        text.push('\u{2026}');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_790_000_000_000;

    fn tail() -> Tail {
        Tail::new(&Arc::default(), 5, 3)
    }

    fn event(data: &'static [u8]) -> RawEvent<'static> {
        RawEvent { event_type: b"login", event_name: b"n", event_data: data, ..RawEvent::default() }
    }

    fn shown(tail: &Tail, verdict: Option<TailVerdict>, after: u64, limit: usize) -> Vec<u64> {
        let mut entries = Vec::new();
        tail.show(verdict, after, limit, &mut entries);
        let mut serials: Vec<_> = entries.iter().map(|entry| entry.serial).collect();
        serials.sort_unstable();
        serials
    }

    #[test]
    fn a_second_shows_so_many_and_the_next_as_many_again() {
        let tail = tail();
        let due = |wall_ms: i64, events: u32| {
            let mut sampler = tail.sample(wall_ms, events);
            (0..events).filter(|index| sampler.is_due(*index)).collect::<Vec<_>>()
        };
        assert_eq!(due(NOW_MS, 3), [0, 1, 2]);
        assert_eq!(due(NOW_MS + 500, 100), [0, 50]);
        assert_eq!(due(NOW_MS + 999, 100), [0_u32; 0]);
        assert_eq!(due(NOW_MS + 1_000, 100), [0, 20, 40, 60, 80]);
    }

    #[test]
    fn what_was_rejected_is_not_driven_out_by_what_was_accepted() {
        let tail = tail();
        for n in 0..5 {
            tail.refused(NOW_MS, None, &Refusal::KeyDisabled);
            assert_eq!(shown(&tail, Some(TailVerdict::Refused), 0, 10).len(), 3.min(n + 1));
        }
        for _ in 0..2 * MAX_ENTRIES {
            tail.push(vec![accepted_entry(NOW_MS, Uuid::nil(), &event(b"{}"), b"id")]);
        }
        assert_eq!(shown(&tail, Some(TailVerdict::Refused), 0, 10), [1, 2, 3]);
        let all = shown(&tail, None, 0, usize::MAX);
        assert_eq!(all.len(), MAX_ENTRIES + 3);
        let newest = all[all.len() - 1];
        assert_eq!(shown(&tail, None, newest - 2, 10), [newest - 1, newest]);
        assert_eq!(shown(&tail, Some(TailVerdict::Accepted), 0, 2), [newest - 1, newest], "the newest ones");
    }

    #[test]
    fn its_bytes_are_bounded_and_long_values_are_cut_between_characters() {
        let tail = tail();
        let long: &'static [u8] = "{\"text\":\"\u{6f22}\u{5b57}".repeat(1_000).leak().as_bytes();
        for _ in 0..MAX_ENTRIES {
            tail.push(vec![accepted_entry(NOW_MS, Uuid::nil(), &event(long), b"id")]);
        }
        let rings = tail.lock();
        assert!(rings.accepted.bytes <= MAX_BYTES && rings.accepted.entries.len() > 40, "{}", rings.accepted.bytes);
        let data = &rings.accepted.entries[0].event_data;
        assert!(data.ends_with('\u{2026}') && !data.contains(char::REPLACEMENT_CHARACTER) && data.len() > 2_000);
    }

    #[test]
    fn a_refusal_says_why_in_plain_words() {
        let tail = tail();
        tail.refused(NOW_MS, Some(Uuid::nil()), &Refusal::KeyDisabled);
        let mut entries = Vec::new();
        tail.show(None, 0, 1, &mut entries);
        assert_eq!(entries[0].reason.as_deref(), Some("key_disabled"));
        assert_eq!(entries[0].message.as_deref(), Some("the API key is disabled"));
    }
}
