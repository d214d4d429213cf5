//! An `ExportLogsServiceRequest` as the message that every batch travels in from there on: each log record is an event.
//!
//! It costs a copy, for which OTLP has one way of being read, checked and written with gRPC. What an event can't show of a
//! record is noted beside it as a [`Flaw`]; everything else is the validator's to find.

use std::cell::OnceCell;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::record::Record;
use super::wire::{Any, Fields, Value, each, key_value};
use crate::admission::refusal::Refusal;
use crate::event::id::{self, IdText};
use crate::event::scan::Malformed;
use crate::event::validate::{Field, Flaw, Invalid, Limits, Problem};

/// `ExportLogsServiceRequest.resource_logs`
const RESOURCE_LOGS: u32 = 1;
/// `ResourceLogs.resource`
const RESOURCE: u32 = 1;
/// `ResourceLogs.scope_logs`
const SCOPE_LOGS: u32 = 2;
/// `ScopeLogs.log_records`
const LOG_RECORDS: u32 = 2;
/// `Resource.attributes`
const ATTRIBUTES: u32 = 1;

const NAMELESS: Invalid = Invalid { field: Field::EventName, problem: Problem::Required };

/// A batch that was read.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// A `PublishEventsRequest`: an event for each log record, in their order.
    pub(super) message: Vec<u8>,
    /// How many.
    pub(super) events: u32,
    /// Records that can't be taken as they are, by ascending index.
    pub(super) flaws: Vec<Flaw>,
}

/// Counts a request's log records, and finds it whole down to them.
///
/// # Errors
/// [`Refusal::Undecodable`].
pub(super) fn count(request: &[u8]) -> Result<u32, Refusal> {
    let mut records = 0_u32;
    let counted = each(request, RESOURCE_LOGS, |resource_logs| {
        each(resource_logs, SCOPE_LOGS, |scope_logs| {
            each::<Malformed>(scope_logs, LOG_RECORDS, |_| {
                records = records.saturating_add(1);
                Ok(())
            })
        })
    });
    counted.map_err(|malformed: Malformed| Refusal::Undecodable { why: malformed.as_str() })?;
    Ok(records)
}

/// Why a request is not read to its end.
enum Stop {
    Malformed(Malformed),
    Refused(Refusal),
}

impl From<Malformed> for Stop {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// Reads a request. `charge` is told by how many bytes the events outgrow it, before they do so by much.
///
/// # Errors
/// [`Refusal::Undecodable`], or what `charge` says.
pub(super) fn read(
    request: &[u8],
    limits: Limits,
    charge: impl FnMut(usize) -> Result<(), Refusal>,
) -> Result<Batch, Refusal> {
    let mut reader = Reader {
        limits,
        ids: Ids { request, of_request: OnceCell::new() },
        charged: request.len(),
        charge,
        data: Vec::new(),
        batch: Batch { message: Vec::with_capacity(request.len()), ..Batch::default() },
    };
    each(request, RESOURCE_LOGS, |resource_logs| reader.resource_logs(resource_logs)).map_err(|stop| match stop {
        Stop::Malformed(malformed) => Refusal::Undecodable { why: malformed.as_str() },
        Stop::Refused(refusal) => refusal,
    })?;
    Ok(reader.batch)
}

struct Reader<'a, C> {
    limits: Limits,
    ids: Ids<'a>,
    // Bytes of the message that are paid for.
    charged: usize,
    charge: C,
    // One record's `event_data`, kept for its room.
    data: Vec<u8>,
    batch: Batch,
}

impl<C: FnMut(usize) -> Result<(), Refusal>> Reader<'_, C> {
    fn resource_logs(&mut self, resource_logs: &[u8]) -> Result<(), Stop> {
        let version = app_version(resource_logs, self.limits.max_name);
        each(resource_logs, SCOPE_LOGS, |scope_logs| {
            each(scope_logs, LOG_RECORDS, |record| self.record(record, &version))
        })
    }

    fn record(&mut self, message: &[u8], version: &Result<&[u8], Invalid>) -> Result<(), Stop> {
        let index = self.batch.events;
        let (record, read) = Record::read(message);
        let written = read.and_then(|()| record.write_data(self.limits, &mut self.data));
        if written.is_err() {
            self.data.clear();
        }
        // An application's usual log line has no name; that it has no type follows from that.
        let nameless = || record.name().is_empty().then_some(NAMELESS);
        let invalid = written.err().or_else(|| version.as_ref().err().cloned()).or_else(nameless);
        if let Some(invalid) = invalid {
            self.batch.flaws.push(Flaw { index, invalid });
        }
        let version = version.as_ref().copied().unwrap_or_default();
        let (own, assigned);
        let event_id: &[u8] = if record.event_id().is_empty() {
            assigned = self.ids.of(index);
            &assigned
        } else {
            own = record.event_id();
            own
        };
        record.write_event(event_id, version, &self.data, &mut self.batch.message);
        self.batch.events += 1;
        let grown = self.batch.message.len().saturating_sub(self.charged);
        if grown > 0 {
            (self.charge)(grown).map_err(Stop::Refused)?;
            self.charged += grown;
        }
        Ok(())
    }
}

/// The resource's `service.version`; empty where it has none. One that is too long is not copied into each event.
fn app_version(resource_logs: &[u8], max_name: usize) -> Result<&[u8], Invalid> {
    let wrong = |problem| Invalid { field: Field::AppVersion, problem };
    let mut version: &[u8] = &[];
    let mut fields = Fields::of(resource_logs);
    while let Some(field) = fields.next_field()? {
        let (RESOURCE, Value::Bytes(resource)) = field else { continue };
        each(resource, ATTRIBUTES, |attribute| {
            let (key, any) = key_value(attribute)?;
            if key == b"service.version" {
                let Any::Text(text) = Any::read(any)? else {
                    return Err(wrong(Problem::WrongType { expected: "a string" }));
                };
                version = text;
            }
            Ok(())
        })?;
    }
    if version.len() > max_name { Err(wrong(Problem::TooLong { limit: max_name })) } else { Ok(version) }
}

/// Ids of records that bring none: those of the same request, sent again, are the same ones.
///
/// OTLP knows no answer for each record. Where a part of a request was not stored, or its answer was lost, the exporter
/// sends the same bytes again; by these ids those that are stored are known. Two records that are equal are two events:
/// the place in the request is part of the id. And so is the request, not the record alone: servers that say the same at
/// the same moment have said it twice.
struct Ids<'a> {
    request: &'a [u8],
    of_request: OnceCell<[u8; 12]>,
}

impl Ids<'_> {
    /// A UUID of version 8: twelve bytes of the request's SHA-256, and the record's position in it.
    fn of(&self, index: u32) -> IdText {
        let request = self.of_request.get_or_init(|| {
            let digest = Sha256::digest(self.request);
            digest.first_chunk().copied().unwrap_or_default()
        });
        let mut bytes = [0; 16];
        bytes[..12].copy_from_slice(request);
        bytes[12..].copy_from_slice(&index.to_be_bytes());
        id::text(Uuid::new_v8(bytes))
    }
}
