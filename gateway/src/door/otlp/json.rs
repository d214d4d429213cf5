//! `ExportLogsServiceRequest` in protobuf's JSON, as protobuf: exporters in browsers send it.
//!
//! One pass, by tables of the fields that are looked at: others are passed over, as OTLP asks of receivers. Two things are
//! OTLP's own: trace and span ids are hexadecimal, and enums are numbers. A message's length is written in five bytes,
//! since it is known only behind the message; protobuf's readers take it so.
//!
//! An error says what has to stand where and nothing of what stands there: a text may be as long as the body, and nobody
//! has charged for a second one.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::encoding::encode_varint;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Bytes of a message's length.
const LENGTH: usize = 5;

/// protobuf's JSON takes Base64 of either alphabet, with and without padding.
const EITHER_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, EITHER_PADDING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, EITHER_PADDING);

/// The fields of a message: a name, a number and what is there.
struct Shape(&'static [(&'static str, u8, Kind)]);

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Base64,
    Hex,
    Bool,
    Int64,
    Fixed64,
    Double,
    Message(&'static Shape),
    Messages(&'static Shape),
}

static REQUEST: Shape = Shape(&[("resourceLogs", 1, Kind::Messages(&RESOURCE_LOGS))]);
static RESOURCE_LOGS: Shape =
    Shape(&[("resource", 1, Kind::Message(&RESOURCE)), ("scopeLogs", 2, Kind::Messages(&SCOPE_LOGS))]);
static RESOURCE: Shape = Shape(&[("attributes", 1, Kind::Messages(&KEY_VALUE))]);
static SCOPE_LOGS: Shape = Shape(&[("logRecords", 2, Kind::Messages(&LOG_RECORD))]);
static LOG_RECORD: Shape = Shape(&[
    ("timeUnixNano", 1, Kind::Fixed64),
    ("body", 5, Kind::Message(&ANY_VALUE)),
    ("attributes", 6, Kind::Messages(&KEY_VALUE)),
    ("traceId", 9, Kind::Hex),
    ("spanId", 10, Kind::Hex),
    ("observedTimeUnixNano", 11, Kind::Fixed64),
    ("eventName", 12, Kind::Text),
]);
static KEY_VALUE: Shape = Shape(&[("key", 1, Kind::Text), ("value", 2, Kind::Message(&ANY_VALUE))]);
static ANY_VALUE: Shape = Shape(&[
    ("stringValue", 1, Kind::Text),
    ("boolValue", 2, Kind::Bool),
    ("intValue", 3, Kind::Int64),
    ("doubleValue", 4, Kind::Double),
    ("arrayValue", 5, Kind::Message(&ARRAY_VALUE)),
    ("kvlistValue", 6, Kind::Message(&KEY_VALUE_LIST)),
    ("bytesValue", 7, Kind::Base64),
]);
static ARRAY_VALUE: Shape = Shape(&[("values", 1, Kind::Messages(&ANY_VALUE))]);
static KEY_VALUE_LIST: Shape = Shape(&[("values", 1, Kind::Messages(&KEY_VALUE))]);

/// Reads a request in JSON and writes it as protobuf.
///
/// # Errors
/// If it is no JSON (RFC 8259), nested more than 128 levels deep, or a field is not what it has to be; says where, in less
/// than 1 KiB.
pub(in crate::door) fn to_protobuf(body: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::with_capacity(body.len());
    let mut json = serde_json::Deserializer::from_slice(body);
    Message { shape: &REQUEST, out: &mut out }.deserialize(&mut json)?;
    json.end()?;
    Ok(out)
}

/// What is said of a string in a wrong place: not what it holds.
const A_STRING: de::Unexpected<'static> = de::Unexpected::Other("a string");

/// A message's fields, without its length.
struct Message<'o> {
    shape: &'static Shape,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Message<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Message<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Err(E::invalid_type(A_STRING, &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            match self.shape.0.iter().find(|(known, ..)| *known == name) {
                Some((_, number, kind)) => {
                    members.next_value_seed(Field { number: *number, kind: *kind, out: &mut *self.out })?;
                }
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// A field's value.
struct Field<'o> {
    number: u8,
    kind: Kind,
    out: &'o mut Vec<u8>,
}

impl Field<'_> {
    fn tag(&mut self, wire_type: u8) {
        self.out.push(self.number << 3 | wire_type);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.tag(2);
        encode_varint(bytes.len() as u64, self.out);
        self.out.extend_from_slice(bytes);
    }

    fn varint(&mut self, value: u64) {
        self.tag(0);
        encode_varint(value, self.out);
    }

    fn fixed64(&mut self, bits: u64) {
        self.tag(1);
        self.out.extend_from_slice(&bits.to_le_bytes());
    }

    fn double(&mut self, double: f64) {
        self.fixed64(double.to_bits());
    }

    fn wrong<E: de::Error>(&self, found: de::Unexpected<'_>) -> E {
        E::invalid_type(found, self)
    }
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Text => "a string",
            Kind::Base64 => "bytes in Base64",
            Kind::Hex => "hexadecimal digits",
            Kind::Bool => "a boolean",
            Kind::Int64 => "an integer of 64 bits, as a number or a string",
            Kind::Fixed64 => "a positive integer of 64 bits, as a number or a string",
            Kind::Double => "a number, as a number or a string",
            Kind::Message(_) => "an object",
            Kind::Messages(_) => "an array of objects",
        })
    }

    fn visit_str<E: de::Error>(mut self, text: &str) -> Result<(), E> {
        let wrong = || E::invalid_value(A_STRING, &self);
        match self.kind {
            Kind::Text => self.bytes(text.as_bytes()),
            Kind::Base64 => {
                let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
                let bytes = alphabet.decode(text).map_err(|_| wrong())?;
                self.bytes(&bytes);
            }
            Kind::Hex => {
                let bytes = from_hex(text).ok_or_else(wrong)?;
                self.bytes(&bytes);
            }
            Kind::Int64 => {
                let int = text.parse().ok().or_else(|| whole(double(text)?)).ok_or_else(wrong)?;
                let int = i64::try_from(int).map_err(|_| wrong())?;
                self.varint(int.cast_unsigned());
            }
            Kind::Fixed64 => {
                let int = text.parse().ok().or_else(|| whole(double(text)?)).ok_or_else(wrong)?;
                let int = u64::try_from(int).map_err(|_| wrong())?;
                self.fixed64(int);
            }
            Kind::Double => {
                let number = match text {
                    "NaN" => f64::NAN,
                    "Infinity" => f64::INFINITY,
                    "-Infinity" => f64::NEG_INFINITY,
                    _ => double(text).ok_or_else(wrong)?,
                };
                self.double(number);
            }
            Kind::Bool | Kind::Message(_) | Kind::Messages(_) => return Err(self.wrong(A_STRING)),
        }
        Ok(())
    }

    fn visit_u64<E: de::Error>(mut self, number: u64) -> Result<(), E> {
        match self.kind {
            Kind::Fixed64 => self.fixed64(number),
            #[allow(clippy::cast_precision_loss, reason = "a double is what the field is")]
            Kind::Double => self.double(number as f64),
            Kind::Int64 if i64::try_from(number).is_ok() => self.varint(number),
            _ => return Err(self.wrong(de::Unexpected::Unsigned(number))),
        }
        Ok(())
    }

    fn visit_i64<E: de::Error>(mut self, number: i64) -> Result<(), E> {
        match self.kind {
            Kind::Int64 => self.varint(number.cast_unsigned()),
            #[allow(clippy::cast_precision_loss, reason = "a double is what the field is")]
            Kind::Double => self.double(number as f64),
            _ => return Err(self.wrong(de::Unexpected::Signed(number))),
        }
        Ok(())
    }

    fn visit_f64<E: de::Error>(mut self, number: f64) -> Result<(), E> {
        match self.kind {
            Kind::Double => self.double(number),
            // 1e3 and 5.0 are integers, too.
            Kind::Int64 => {
                let int = whole(number).and_then(|int| i64::try_from(int).ok());
                let int = int.ok_or_else(|| self.wrong(de::Unexpected::Float(number)))?;
                self.varint(int.cast_unsigned());
            }
            Kind::Fixed64 => {
                let int = whole(number).and_then(|int| u64::try_from(int).ok());
                let int = int.ok_or_else(|| self.wrong(de::Unexpected::Float(number)))?;
                self.fixed64(int);
            }
            _ => return Err(self.wrong(de::Unexpected::Float(number))),
        }
        Ok(())
    }

    fn visit_bool<E: de::Error>(mut self, bool: bool) -> Result<(), E> {
        match self.kind {
            Kind::Bool => self.varint(bool.into()),
            _ => return Err(self.wrong(de::Unexpected::Bool(bool))),
        }
        Ok(())
    }

    /// null is as if nothing were there.
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        let Kind::Messages(shape) = self.kind else { return Err(self.wrong(de::Unexpected::Seq)) };
        let (number, kind, out) = (self.number, Kind::Message(shape), self.out);
        while values.next_element_seed(Field { number, kind, out: &mut *out })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, members: A) -> Result<(), A::Error> {
        let Kind::Message(shape) = self.kind else { return Err(self.wrong(de::Unexpected::Map)) };
        self.tag(2);
        let start = self.out.len() + LENGTH;
        self.out.resize(start, 0);
        Message { shape, out: &mut *self.out }.visit_map(members)?;
        let len = self.out.len() - start;
        for (place, byte) in self.out[start - LENGTH..start].iter_mut().enumerate() {
            let more = if place + 1 < LENGTH { 0x80 } else { 0 };
            #[allow(clippy::cast_possible_truncation, reason = "seven bits of it")]
            let bits = (len >> (7 * place)) as u8 & 0x7f;
            *byte = bits | more;
        }
        Ok(())
    }
}

/// A number in a string, as JSON writes it.
fn double(text: &str) -> Option<f64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if is_number { text.parse().ok().filter(|number: &f64| number.is_finite()) } else { None }
}

/// An integer that is written as 5.0 or 1e3.
fn whole(number: f64) -> Option<i128> {
    // Whatever is larger is no integer of 64 bits.
    const LIMIT: f64 = 18_446_744_073_709_551_616.0;
    #[allow(clippy::cast_possible_truncation, reason = "it has no fraction and is within the limit")]
    (number.fract() == 0.0 && number.abs() <= LIMIT).then_some(number as i128)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()).collect()
}
