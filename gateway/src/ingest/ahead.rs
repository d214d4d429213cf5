//! Looks at a batch's events before they are read: what takes long to come from memory is asked for meanwhile, and what is
//! cheaper for two than for one is done for two.

use arrayvec::ArrayVec;

use super::dedupe::{self, Dedupe};
use crate::event::id;
use crate::event::json;
use crate::event::scan::{self, Malformed, RawEvent};
use crate::event::validate::{Known, Limits};

/// So many events are looked at in one go.
const GROUP: usize = 8;
/// Those of two goes: but for the first, a go is looked at while the one before is read.
const PLACES: usize = 2 * GROUP;

/// An event of a batch that was looked at.
pub(super) struct LookedAt<'m> {
    pub(super) index: u32,
    pub(super) bytes: &'m [u8],
    /// Its fields, as far as they could be found.
    pub(super) event: RawEvent<'m>,
    pub(super) scanned: Result<(), Malformed>,
    pub(super) known: Known,
    /// Its id's, where that is known.
    pub(super) key: Option<dedupe::Key>,
}

/// A batch's events, of which all but the first [`GROUP`] are looked at as many or more events before they are read. The dedupe window lies in memory,
/// not in a cache: its loads go on while other events are read.
///
/// What was looked at is written where it stays, and read there: a copy right behind the writing would wait for it.
pub(super) struct Ahead<'m, I> {
    events: I,
    dedupe: &'m Dedupe,
    salt: u128,
    limits: Limits,
    looked_at: ArrayVec<LookedAt<'m>, PLACES>,
    // Events that were looked at, and how many of them were read.
    end: usize,
    read: usize,
}

impl<'m, I: Iterator<Item = (u32, &'m [u8])>> Ahead<'m, I> {
    pub(super) fn new(events: I, dedupe: &'m Dedupe, salt: u128, limits: Limits) -> Self {
        let mut this = Self { events, dedupe, salt, limits, looked_at: ArrayVec::new(), end: 0, read: 0 };
        this.look();
        this
    }

    /// The next event.
    #[inline]
    pub(super) fn next(&mut self) -> Option<&LookedAt<'m>> {
        if self.read.is_multiple_of(GROUP) {
            // Into the places of those that were read last.
            self.look();
        }
        if self.read == self.end {
            return None;
        }
        let place = self.read % PLACES;
        self.read += 1;
        Some(&self.looked_at[place])
    }

    /// At those of the next go. There are none behind one that is not full: the events of a message whose top level was read
    /// do not go on once they ended.
    fn look(&mut self) {
        let first = self.end % PLACES;
        let mut last = first;
        for (index, bytes) in self.events.by_ref().take(GROUP) {
            if last == self.looked_at.len() {
                self.looked_at.push(LookedAt::default());
            }
            self.looked_at[last].scan(index, bytes, self.salt);
            last += 1;
        }
        self.end += last - first;
        let group = &mut self.looked_at[first..last];
        // One right behind the other: the processor waits until it knows where in memory each is, and so for all of them
        // at once.
        group.iter().filter_map(|looked_at| looked_at.key).for_each(|key| self.dedupe.touch(key));
        let (pairs, _) = group.as_chunks_mut::<2>();
        pairs.iter_mut().for_each(|pair| check(pair, self.limits.max_depth));
    }
}

impl<'m> LookedAt<'m> {
    #[inline(always)]
    fn scan(&mut self, index: u32, bytes: &'m [u8], salt: u128) {
        (self.index, self.bytes) = (index, bytes);
        self.scanned = scan::event_into(bytes, &mut self.event);
        let event_id = id::parse(self.event.event_id);
        self.known = Known { event_id, object: None };
        self.key = event_id.map(|event_id| Dedupe::key(salt, event_id));
    }
}

impl Default for LookedAt<'_> {
    fn default() -> Self {
        Self { index: 0, bytes: &[], event: RawEvent::default(), scanned: Ok(()), known: Known::default(), key: None }
    }
}

/// Looks at the JSON of two events together, where it has room side by side. What is no object for sure is left to be
/// looked at alone, and so is what stands beside it.
fn check(pair: &mut [LookedAt<'_>; 2], max_depth: u32) {
    let [one, other] = &*pair;
    if let Some(objects) = json::accept_two(one.event.event_data, other.event.event_data, max_depth) {
        for (looked_at, object) in pair.iter_mut().zip(objects) {
            looked_at.known.object = Some(object);
        }
    }
}

#[cfg(test)]
mod tests {
    use headgate_proto::v1::Event;
    use prost::Message;
    use uuid::Uuid;

    use super::*;
    use crate::config::IngestSettings;

    #[test]
    fn events_come_in_their_order_with_what_their_own_ids_and_data_told() {
        let dedupe = Dedupe::new(100, 42);
        let salt = dedupe.salt(Uuid::from_u128(1));
        let limits = Limits::from(&IngestSettings::default());
        for count in (0..=2 * PLACES).chain([100]) {
            let data = |number: u128| match number % 5 {
                0 => format!("{{\"number\":{number}}}"),
                1 => format!("{{\n\"number\":{number}}}"),
                2 => format!("{{\"long\":\"{}\"}}", "x".repeat(300)),
                3 => format!("{{\"broken\":{number}"),
                _ => String::new(),
            };
            let events: Vec<Vec<u8>> = (0..count as u128)
                .map(|number| {
                    // Every seventh has none.
                    let id = if number % 7 == 6 { String::new() } else { Uuid::from_u128(number).to_string() };
                    let event_data = data(number / 3).into();
                    Event { event_id: id, event_type: number.to_string(), event_data, ..Event::default() }
                        .encode_to_vec()
                })
                .collect();
            let mut ahead = Ahead::new((0_u32..).zip(events.iter().map(Vec::as_slice)), &dedupe, salt, limits);
            for (number, bytes) in (0_u32..).zip(&events) {
                let looked_at = ahead.next().expect("one more");
                assert_eq!((looked_at.index, looked_at.bytes), (number, bytes.as_slice()), "of {count}");
                assert_eq!((looked_at.scanned, Ok(looked_at.event)), (Ok(()), scan::event(bytes)));
                let id = (number % 7 != 6).then(|| Uuid::from_u128(number.into()));
                assert_eq!(looked_at.known.event_id, id);
                assert_eq!(looked_at.key, id.map(|id| Dedupe::key(salt, id)));
                let alone = json::check_object(data(u128::from(number) / 3).as_bytes(), limits.max_depth).ok();
                assert!(looked_at.known.object.is_none_or(|object| Some(object) == alone), "{number} of {count}");
            }
            assert!(ahead.next().is_none() && ahead.next().is_none(), "of {count}");
        }
    }

    #[test]
    fn a_broken_event_has_nothing_of_the_one_whose_place_it_takes() {
        let dedupe = Dedupe::new(100, 42);
        let limits = Limits::from(&IngestSettings::default());
        let good = Event { event_id: Uuid::from_u128(7).to_string(), event_type: "login".into(), ..Event::default() };
        let good = good.encode_to_vec();
        let events = (0..PLACES as u32).map(|index| (index, good.as_slice())).chain([(16, &[0xff][..]), (17, b"")]);
        let mut ahead = Ahead::new(events, &dedupe, 0, limits);
        (0..PLACES).for_each(|_| assert!(ahead.next().is_some_and(|looked_at| looked_at.scanned.is_ok())));
        for scanned in [false, true] {
            let looked_at = ahead.next().expect("one more");
            assert_eq!(looked_at.scanned.is_ok(), scanned);
            assert_eq!((looked_at.event, looked_at.known), (RawEvent::default(), Known::default()));
            assert_eq!(looked_at.key, None);
        }
    }
}
