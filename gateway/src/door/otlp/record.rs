//! One log record as an event: which of its fields and attributes become which of the event's fields.

use super::batch::AppVersion;
use super::data::Data;
use super::wire::{Any, Fields, Value, each, key_value};
use crate::door::event_message::{begin_event, bytes_len, put_bytes, put_timestamp, timestamp_len};
use crate::event::scan::Malformed;
use crate::event::validate::{Field, Invalid, Limits, Problem};

/// `LogRecord.attributes`.
const ATTRIBUTES: u32 = 6;
/// Members of `event_data` that come from fields of the record; an attribute of such a name comes before it.
const BODY: &[u8] = b"body";
const TRACE_ID: &[u8] = b"trace_id";
const SPAN_ID: &[u8] = b"span_id";

/// What a record says of the event, as slices of the message. Empty: nothing.
#[derive(Default)]
pub(super) struct Record<'a> {
    message: &'a [u8],
    time: u64,
    observed_time: u64,
    body: &'a [u8],
    trace_id: &'a [u8],
    span_id: &'a [u8],
    event_name: &'a [u8],
    named: Named<'a>,
    attribute_is_body: bool,
    attribute_is_trace_id: bool,
    attribute_is_span_id: bool,
    flaw: Option<Invalid>,
}

/// Writes an attribute that is no field of the event: one that should be and is no text is data still, to be repaired.
fn put_attribute(data: &mut Data<'_>, attribute: &[u8]) -> Result<(), Invalid> {
    let (key, any) = key_value(attribute)?;
    let is_field = Named::default().place(key).is_some();
    if is_field && matches!(Any::read(any)?, Any::Text(_)) { Ok(()) } else { data.put(key, any) }
}

/// Attributes that are fields of the event.
#[derive(Default)]
struct Named<'a> {
    event_id: &'a [u8],
    event_type: &'a [u8],
    type_of_event: &'a [u8],
    event_name: &'a [u8],
    event_version: &'a [u8],
    partition_key: &'a [u8],
}

impl<'a> Named<'a> {
    /// The place of an attribute that is a field of the event, and which field it is.
    fn place(&mut self, key: &[u8]) -> Option<(&mut &'a [u8], Field)> {
        Some(match key {
            b"headgate.event_id" => (&mut self.event_id, Field::EventId),
            b"headgate.event_type" => (&mut self.event_type, Field::EventType),
            b"event.type" => (&mut self.type_of_event, Field::EventType),
            b"event.name" => (&mut self.event_name, Field::EventName),
            b"headgate.event_version" => (&mut self.event_version, Field::EventVersion),
            b"headgate.partition_key" => (&mut self.partition_key, Field::PartitionKey),
            _ => return None,
        })
    }
}

impl<'a> Record<'a> {
    /// Reads a `LogRecord`, all but the values of its attributes. What is wrong with it is told by
    /// [`Self::write_data`]: no protobuf, or an attribute that is a field of the event and no text.
    pub(super) fn read(message: &'a [u8]) -> Self {
        let mut record = Self { message, ..Self::default() };
        if let Err(malformed) = record.fields() {
            record.note(malformed.into());
        }
        record
    }

    fn note(&mut self, invalid: Invalid) {
        self.flaw.get_or_insert(invalid);
    }

    fn fields(&mut self) -> Result<(), Malformed> {
        let mut fields = Fields::of(self.message);
        while let Some(field) = fields.next_field()? {
            match field {
                (1, Value::Fixed64(nanos)) => self.time = nanos,
                (11, Value::Fixed64(nanos)) => self.observed_time = nanos,
                (5, Value::Bytes(any)) => self.body = any,
                (ATTRIBUTES, Value::Bytes(attribute)) => self.attribute(attribute),
                (9, Value::Bytes(id)) => self.trace_id = id,
                (10, Value::Bytes(id)) => self.span_id = id,
                (12, Value::Bytes(name)) => self.event_name = name,
                (1 | 5 | ATTRIBUTES | 9..=12, _) => self.note(Malformed::WireType.into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn attribute(&mut self, attribute: &'a [u8]) {
        let (key, any) = match key_value(attribute) {
            Ok(read) => read,
            Err(malformed) => return self.note(malformed.into()),
        };
        if let Some((place, field)) = self.named.place(key) {
            match Any::read(any) {
                Ok(Any::Text(text)) => *place = text,
                Ok(_) => self.note(Invalid { field, problem: Problem::WrongType { expected: "a string" } }),
                Err(malformed) => self.note(malformed.into()),
            }
        }
        match key {
            BODY => self.attribute_is_body = true,
            TRACE_ID => self.attribute_is_trace_id = true,
            SPAN_ID => self.attribute_is_span_id = true,
            _ => {}
        }
    }

    /// Writes its attributes, but for those that are fields of the event, and its body as one object. `version` is what
    /// its resource says of the event.
    ///
    /// Says what is wrong first: then everything that could be written is there, and whatever could not as it came, but as
    /// no object ([`Data::leave_open`]).
    pub(super) fn write_data(&self, version: &AppVersion<'_>, limits: Limits, out: &mut Vec<u8>) -> Option<Invalid> {
        let mut data = Data::begin(out, limits);
        let mut unwritten = None;
        let mut note = |written: Result<(), Invalid>| {
            if let Err(invalid) = written {
                unwritten.get_or_insert(invalid);
            }
        };
        let attributes = each::<Malformed>(self.message, ATTRIBUTES, |attribute| {
            note(put_attribute(&mut data, attribute));
            Ok(())
        });
        note(attributes.map_err(Invalid::from));
        if !self.attribute_is_body {
            note(Any::read(self.body).map_err(Invalid::from).and_then(|body| match body {
                Any::Null => Ok(()),
                _ => data.put(BODY, self.body),
            }));
        }
        for (name, id, is_attribute) in
            [(TRACE_ID, self.trace_id, self.attribute_is_trace_id), (SPAN_ID, self.span_id, self.attribute_is_span_id)]
        {
            if !is_attribute && !id.is_empty() {
                note(data.put_hex(name, id));
            }
        }
        if let Some(any) = version.no_text {
            note(data.put(AppVersion::ATTRIBUTE, any));
        }
        let is_broken = self.flaw.as_ref().is_some_and(|flaw| matches!(flaw.problem, Problem::Malformed(_)));
        let is_whole = unwritten.is_none() && !is_broken;
        let invalid = self.flaw.clone().or(unwritten).or_else(|| version.invalid.clone());
        if invalid.is_none() {
            data.end();
        } else {
            data.leave_open((!is_whole).then_some(self.message));
        }
        invalid
    }

    /// The id that it brings; empty: none.
    pub(super) fn event_id(&self) -> &'a [u8] {
        self.named.event_id
    }

    /// Writes it as an event with this id and this `event_data`.
    pub(super) fn write_event(&self, event_id: &[u8], app_version: &[u8], event_data: &[u8], out: &mut Vec<u8>) {
        let texts = [
            (1, event_id),
            (2, self.event_type()),
            (3, self.name()),
            (5, self.named.event_version),
            (6, app_version),
            (7, event_data),
            (8, self.named.partition_key),
        ];
        let timestamp = self.timestamp();
        let len = texts.iter().map(|(_, bytes)| bytes_len(bytes)).sum::<usize>() + timestamp.map_or(0, timestamp_len);
        begin_event(len, out);
        for (number, bytes) in texts {
            // Fields in the order of their numbers, as readers have them soonest.
            if number == 5
                && let Some(timestamp) = timestamp
            {
                put_timestamp(timestamp, out);
            }
            put_bytes(number, bytes, out);
        }
    }

    /// The event's name; empty: it has none.
    pub(super) fn name(&self) -> &'a [u8] {
        if self.event_name.is_empty() { self.named.event_name } else { self.event_name }
    }

    /// As it is said, or the name's part before its first dot: OpenTelemetry's names are `namespace.event`.
    fn event_type(&self) -> &'a [u8] {
        let said = [self.named.event_type, self.named.type_of_event].into_iter().find(|text| !text.is_empty());
        said.unwrap_or_else(|| {
            let name = self.name();
            &name[..memchr::memchr(b'.', name).unwrap_or(name.len())]
        })
    }

    /// When it happened, or else when it was seen. `None`: it does not say (OTLP: 0 is unknown).
    fn timestamp(&self) -> Option<(i64, u32)> {
        const NANOS: u64 = 1_000_000_000;
        let nanos = [self.time, self.observed_time].into_iter().find(|nanos| *nanos != 0)?;
        #[allow(clippy::cast_possible_truncation, reason = "below a billion")]
        Some(((nanos / NANOS).cast_signed(), (nanos % NANOS) as u32))
    }
}
