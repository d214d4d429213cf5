//! Walks the fields of OTLP's messages where they lie. They are not decoded into structures: two bytes of a log record
//! would become hundreds, and whoever sends a message would choose how much memory it takes.

use prost::encoding::{WireType, decode_key, decode_varint};

use crate::event::scan::Malformed;

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// Of an integer, a bool or an enum.
    Varint(u64),
    /// Of eight bytes: a time, or a double's bits.
    Fixed64(u64),
    /// Of four bytes; nothing that is looked at has them.
    Fixed32,
    /// Of a text, bytes or a message.
    Bytes(&'a [u8]),
}

/// A message's fields, one after the other.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field's number and value; `None` past the last one.
    ///
    /// # Errors
    /// [`Malformed`] with what is wrong.
    pub(super) fn next_field(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (number, wire_type) = decode_key(&mut self.rest).map_err(|_| Malformed::Tag)?;
        let value = match wire_type {
            WireType::Varint => Value::Varint(self.varint()?),
            WireType::SixtyFourBit => {
                let (bytes, rest) = self.rest.split_first_chunk().ok_or(Malformed::Length)?;
                self.rest = rest;
                Value::Fixed64(u64::from_le_bytes(*bytes))
            }
            WireType::LengthDelimited => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed::Length)?;
                let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Length)?;
                self.rest = rest;
                Value::Bytes(bytes)
            }
            WireType::ThirtyTwoBit => {
                self.rest = self.rest.get(4..).ok_or(Malformed::Length)?;
                Value::Fixed32
            }
            // proto3 has no groups.
            WireType::StartGroup | WireType::EndGroup => return Err(Malformed::Tag),
        };
        Ok(Some((number, value)))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        decode_varint(&mut self.rest).map_err(|_| Malformed::Varint)
    }
}

/// Calls `visit` for each message in a repeated field; every other field is passed over.
///
/// # Errors
/// [`Malformed`] with what is wrong, or what `visit` says.
pub(super) fn each<'a, E: From<Malformed>>(
    message: &'a [u8],
    field: u32,
    mut visit: impl FnMut(&'a [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next_field()? {
        match value {
            Value::Bytes(bytes) if number == field => visit(bytes)?,
            _ if number == field => return Err(Malformed::WireType.into()),
            _ => {}
        }
    }
    Ok(())
}

/// `KeyValue`: its key, and its value, where it has one.
///
/// # Errors
/// [`Malformed`] with what is wrong.
pub(super) fn key_value(message: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (mut key, mut any): (&[u8], &[u8]) = (&[], &[]);
    let mut fields = Fields::of(message);
    while let Some(field) = fields.next_field()? {
        match field {
            (1, Value::Bytes(bytes)) => key = bytes,
            (2, Value::Bytes(bytes)) => any = bytes,
            (1 | 2, _) => return Err(Malformed::WireType),
            _ => {}
        }
    }
    Ok((key, any))
}

/// `AnyValue`: what an attribute or a body is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Any<'a> {
    /// No value.
    Null,
    /// `string_value`
    Text(&'a [u8]),
    /// `bool_value`
    Bool(bool),
    /// `int_value`
    Int(i64),
    /// `double_value`
    Double(f64),
    /// `array_value`, an `ArrayValue`.
    Array(&'a [u8]),
    /// `kvlist_value`, a `KeyValueList`.
    Map(&'a [u8]),
    /// `bytes_value`
    Bytes(&'a [u8]),
}

impl<'a> Any<'a> {
    /// Reads one. Of several members of its `oneof` the last counts.
    ///
    /// # Errors
    /// [`Malformed`] with what is wrong.
    pub(super) fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut any = Self::Null;
        let mut fields = Fields::of(message);
        while let Some(field) = fields.next_field()? {
            any = match field {
                (1, Value::Bytes(text)) => Self::Text(text),
                (2, Value::Varint(bool)) => Self::Bool(bool != 0),
                (3, Value::Varint(int)) => Self::Int(int.cast_signed()),
                (4, Value::Fixed64(bits)) => Self::Double(f64::from_bits(bits)),
                (5, Value::Bytes(array)) => Self::Array(array),
                (6, Value::Bytes(map)) => Self::Map(map),
                (7, Value::Bytes(bytes)) => Self::Bytes(bytes),
                (1..=7, _) => return Err(Malformed::WireType),
                _ => continue,
            };
        }
        Ok(any)
    }
}
