//! An `ExportLogsServiceRequest` as the message that every batch travels in from there on: each log record is an event.
//!
//! It costs a copy, for which OTLP has one way of being read, checked and written with gRPC. What an event can't show of a
//! record is noted beside it as a [`Flaw`]; everything else is the validator's to find. Nothing of a record that is
//! rejected is lost to its bad row, nor stored by a replay as if it were whole.

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

const NO_TEXT: Invalid = Invalid { field: Field::AppVersion, problem: Problem::WrongType { expected: "a string" } };
/// An application's usual log line.
pub(super) const NAMELESS: Invalid = Invalid { field: Field::EventName, problem: Problem::Required };

/// A batch that was read.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// A `PublishEventsRequest`: an event for each log record, in their order.
    pub(super) message: Vec<u8>,
    /// How many.
    pub(super) events: u32,
    /// Records that can't be taken as they are, by ascending index.
    pub(super) flaws: Vec<Flaw>,
    // Bytes of the message that are of them.
    rejected: usize,
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

/// Reads the request of a sender, whose records without an id get one that only it gives. The events may take `max` bytes
/// but for those that are rejected. `charge` is told by how many bytes they outgrow the request, before they do so by much.
///
/// # Errors
/// [`Refusal::Undecodable`], [`Refusal::MessageTooLarge`], or what `charge` says.
pub(super) fn read(
    request: &[u8],
    sender: Uuid,
    limits: Limits,
    max: usize,
    charge: impl FnMut(usize) -> Result<(), Refusal>,
) -> Result<Batch, Refusal> {
    let mut reader = Reader {
        limits,
        max,
        ids: Ids { request, sender, of_request: OnceCell::new() },
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
    max: usize,
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
        let version = AppVersion::of(resource_logs, self.limits.max_name);
        each(resource_logs, SCOPE_LOGS, |scope_logs| {
            each(scope_logs, LOG_RECORDS, |record| self.record(record, &version))
        })
    }

    fn record(&mut self, message: &[u8], version: &AppVersion<'_>) -> Result<(), Stop> {
        let index = self.batch.events;
        let start = self.batch.message.len();
        let record = Record::read(message);
        let invalid = record.write_data(version, self.limits, &mut self.data);
        // An application's usual log line has no name; that it has no type follows from that.
        let invalid = invalid.or_else(|| record.name().is_empty().then_some(NAMELESS));
        let (own, assigned);
        let event_id: &[u8] = if record.event_id().is_empty() {
            assigned = self.ids.of(index);
            &assigned
        } else {
            own = record.event_id();
            own
        };
        record.write_event(event_id, version.text, &self.data, &mut self.batch.message);
        self.batch.events += 1;
        if let Some(invalid) = invalid {
            self.batch.flaws.push(Flaw { index, invalid });
            self.batch.rejected += self.batch.message.len() - start;
        }
        let size = self.batch.message.len() - self.batch.rejected;
        if size > self.max {
            return Err(Stop::Refused(Refusal::MessageTooLarge { size: size as u64, limit: self.max as u64 }));
        }
        let grown = self.batch.message.len().saturating_sub(self.charged);
        if grown > 0 {
            (self.charge)(grown).map_err(Stop::Refused)?;
            self.charged += grown;
        }
        Ok(())
    }
}

/// What the resource says of its events' `app_version`.
#[derive(Default)]
pub(super) struct AppVersion<'a> {
    /// Empty where it says nothing. Of one that is too long just so much that the validator finds it so: it stands in each
    /// event.
    text: &'a [u8],
    /// What is wrong with it.
    pub(super) invalid: Option<Invalid>,
    /// What stands there, where it is no text; nothing of what is longer than a text may be.
    pub(super) no_text: Option<&'a [u8]>,
}

impl<'a> AppVersion<'a> {
    /// Where it stands.
    pub(super) const ATTRIBUTE: &'static [u8] = b"service.version";

    fn of(resource_logs: &'a [u8], max_name: usize) -> Self {
        let mut version = Self::default();
        if let Err(malformed) = version.find(resource_logs, max_name) {
            version.invalid = Some(malformed.into());
        }
        version
    }

    fn find(&mut self, resource_logs: &'a [u8], max_name: usize) -> Result<(), Malformed> {
        let mut fields = Fields::of(resource_logs);
        while let Some(field) = fields.next_field()? {
            let (RESOURCE, Value::Bytes(resource)) = field else { continue };
            each::<Malformed>(resource, ATTRIBUTES, |attribute| {
                let (key, any) = key_value(attribute)?;
                if key != Self::ATTRIBUTE {
                    return Ok(());
                }
                *self = match Any::read(any)? {
                    Any::Text(text) => Self { text: &text[..text.len().min(max_name + 1)], ..Self::default() },
                    _ => Self {
                        invalid: Some(NO_TEXT),
                        no_text: Some(any).filter(|any| any.len() <= max_name),
                        text: b"",
                    },
                };
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Ids of records that bring none: those of the same sender's same request, sent again, are the same ones.
///
/// OTLP knows no answer for each record. Where a part of a request was not stored, or its answer was lost, the exporter
/// sends the same bytes again; by these ids those that are stored are known. Two records that are equal are two events:
/// the place in the request is part of the id. And so is the request, not the record alone: servers that say the same with
/// the same time stamp have said it twice. Requests that are equal all the same are told apart as far as the gateway can,
/// by the key that they come with.
struct Ids<'a> {
    request: &'a [u8],
    sender: Uuid,
    of_request: OnceCell<[u8; 12]>,
}

impl Ids<'_> {
    /// A UUID of version 8: twelve bytes of the SHA-256 of the sender's id and the request, and the record's position.
    fn of(&self, index: u32) -> IdText {
        let request = self.of_request.get_or_init(|| {
            let digest = Sha256::new().chain_update(self.sender.as_bytes()).chain_update(self.request).finalize();
            digest.first_chunk().copied().unwrap_or_default()
        });
        let mut bytes = [0; 16];
        bytes[..12].copy_from_slice(request);
        bytes[12..].copy_from_slice(&index.to_be_bytes());
        id::text(Uuid::new_v8(bytes))
    }
}
