//! Stations by themselves.

use std::hint::black_box;

use bytes::Bytes;
use headgate::admission::key::{ApiKey, KeyHash};
use headgate::admission::rate::{RateLimit, Rates};
use headgate::config::IngestSettings;
use headgate::delivery::lake::frame_header;
use headgate::event::member::member;
use headgate::event::scan::{self, Envelope};
use headgate::event::validate::{Limits, validate};
use headgate::event::{id, json};
use headgate::gather::BucketId;
use headgate::ingest::dedupe::Dedupe;
use headgate_proto::aggregate::envelopes;
use headgate_proto::record::{EventFields, MeasuredRecord, RecordTail, TimestampText, Unpacker};
use headgate_proto::v1::{Event, StreamEventsRequest};
use prost::Message;
use serde::de::IgnoredAny;
use uuid::Uuid;

use super::{EVENTS, Turn};
use crate::events::Sample;

/// User records of one aggregated record, KiB.
pub(super) const UNIT_KIB: u32 = 24;
const BUCKET: usize = 256 << 10;

fn events() -> Vec<Event> {
    let mut sample = Sample::new(1);
    (0..EVENTS).map(|_| sample.event()).collect()
}

fn encoded() -> Vec<Vec<u8>> {
    events().iter().map(Message::encode_to_vec).collect()
}

fn payloads() -> Vec<Bytes> {
    events().into_iter().map(|event| event.event_data).collect()
}

/// A result that nobody looks at, and that has to be found all the same.
fn spend<T>(result: T) {
    black_box(result);
}

/// A turn that does the same to each.
fn each<T: 'static>(items: Vec<T>, mut work: impl FnMut(&T) + 'static) -> Turn {
    Box::new(move || black_box(&items).iter().for_each(&mut work))
}

pub(super) fn head() -> Turn {
    let message = StreamEventsRequest { sequence: 1, events: events() }.encode_to_vec();
    Box::new(move || spend(scan::head(black_box(&message), Envelope::Stream)))
}

pub(super) fn scan() -> Turn {
    each(encoded(), |bytes| spend(scan::event(bytes)))
}

pub(super) fn scan_and_validate() -> Turn {
    let limits = Limits::from(&IngestSettings::default());
    each(encoded(), move |bytes| {
        let event = scan::event(bytes).expect("samples are well formed");
        black_box(validate(&event, &limits).is_ok());
    })
}

pub(super) fn decode_by_prost() -> Turn {
    each(encoded(), |bytes| spend(Event::decode(bytes.as_slice())))
}

pub(super) fn check_json() -> Turn {
    each(payloads(), |payload| spend(json::check_object(payload, 64)))
}

pub(super) fn check_by_serde() -> Turn {
    each(payloads(), |payload| spend(serde_json::from_slice::<IgnoredAny>(payload)))
}

pub(super) fn value_by_serde() -> Turn {
    each(payloads(), |payload| spend(serde_json::from_slice::<serde_json::Value>(payload)))
}

pub(super) fn read_id() -> Turn {
    let ids = events().into_iter().map(|event| event.event_id).collect();
    each(ids, |text: &String| spend(id::parse(text.as_bytes())))
}

pub(super) fn write_id() -> Turn {
    let ids = events().iter().filter_map(|event| id::parse(event.event_id.as_bytes())).collect();
    each(ids, |id: &Uuid| {
        black_box(id::text(*id));
    })
}

pub(super) fn write_record() -> Turn {
    let (tail, mut bucket) = (tail(), Vec::with_capacity(BUCKET));
    each(encoded(), move |bytes| {
        with_fields(bytes, |fields| {
            let mut timestamp = TimestampText::default();
            let record = MeasuredRecord::new(fields, &tail, &mut timestamp);
            if bucket.len() + record.len() > BUCKET {
                bucket.clear();
            }
            record.write(black_box(&mut bucket));
        });
    })
}

pub(super) fn pack_record() -> Turn {
    let (tail, mut bucket) = (tail(), Vec::with_capacity(BUCKET));
    each(encoded(), move |bytes| {
        with_fields(bytes, |fields| {
            let mut timestamp = TimestampText::default();
            let record = MeasuredRecord::new(fields, &tail, &mut timestamp);
            if bucket.len() + record.packed_len() > BUCKET {
                bucket.clear();
            }
            record.pack(black_box(&mut bucket));
        });
    })
}

fn tail() -> RecordTail {
    RecordTail::new(&Uuid::nil().to_string(), 1_790_000_000_000, &Uuid::nil().to_string())
}

/// An encoded event's fields.
#[inline(always)]
fn with_fields(bytes: &[u8], mut put: impl FnMut(&EventFields<'_>)) {
    let event = scan::event(bytes).expect("samples are well formed");
    let timestamp = event.timestamp.unwrap_or_default();
    put(&EventFields {
        event_id: event.event_id,
        event_type: event.event_type,
        event_name: event.event_name,
        seconds: timestamp.seconds,
        nanos: timestamp.nanos.unsigned_abs(),
        event_version: event.event_version,
        app_version: event.app_version,
        event_data: event.event_data,
        data_has_line_breaks: false,
    });
}

pub(super) fn claim() -> Turn {
    let window = IngestSettings::default().dedupe_window;
    let dedupe = Dedupe::new(window, 42);
    let salt = dedupe.salt(Uuid::from_u128(7));
    let mut number = 0_u128;
    let mut claim = move || {
        number += 1;
        dedupe.claim(Dedupe::key(salt, Uuid::from_u128(number)), BucketId(1))
    };
    for _ in 0..2 * window {
        let _ = claim();
    }
    Box::new(move || (0..EVENTS).for_each(|_| spend(claim())))
}

pub(super) fn find_member() -> Turn {
    each(payloads(), |payload| spend(member(payload, "spell_id")))
}

fn sealed(together: usize) -> Turn {
    let user_records = vec![b'x'; UNIT_KIB as usize * 1_024];
    Box::new(move || {
        let records = vec![(&black_box(&user_records)[..], 1_u128 << 127); together];
        spend(envelopes(&records));
    })
}

pub(super) fn seal_full_call() -> Turn {
    sealed(32)
}

pub(super) fn seal_one() -> Turn {
    sealed(1)
}

pub(super) fn hash_key() -> Turn {
    let key = ApiKey::generate().expect("the system has randomness");
    Box::new(move || {
        for _ in 0..EVENTS {
            black_box(KeyHash::of(black_box(key.expose())));
        }
    })
}

pub(super) fn charge() -> Turn {
    let rates =
        Rates { events_per_second: u32::MAX, events_burst: u32::MAX, bytes_per_second: 1 << 41, bytes_burst: 1 << 41 };
    let limit = RateLimit::new(rates);
    Box::new(move || {
        for _ in 0..EVENTS {
            spend(limit.charge(black_box(100), black_box(34_200)));
        }
    })
}

pub(super) fn frame() -> Turn {
    let packed = packed();
    Box::new(move || spend(frame_header(7, EVENTS, black_box(&packed))))
}

pub(super) fn unpack_record() -> Turn {
    let packed = packed();
    Box::new(move || {
        for event in Unpacker::new(black_box(&packed)) {
            black_box(event.is_ok());
        }
    })
}

/// The records of a turn's events as they stand in the lake's log.
fn packed() -> Vec<u8> {
    let (tail, mut packed) = (tail(), Vec::new());
    tail.pack(&mut packed);
    for bytes in &encoded() {
        with_fields(bytes, |fields| {
            MeasuredRecord::new(fields, &tail, &mut TimestampText::default()).pack(&mut packed)
        });
    }
    packed
}
