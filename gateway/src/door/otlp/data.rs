//! Writes a record's attributes and its body as one JSON object: the event's `event_data`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::wire::{Any, each, key_value};
use crate::event::validate::{Field, Invalid, Limits, Problem};

/// `ArrayValue.values` and `KeyValueList.values`.
const VALUES: u32 = 1;

/// An object that is being written.
pub(super) struct Data<'o> {
    out: &'o mut Vec<u8>,
    limits: Limits,
}

fn wrong(problem: Problem) -> Invalid {
    Invalid { field: Field::EventData, problem }
}

impl<'o> Data<'o> {
    /// Begins an object in an empty `out`.
    pub(super) fn begin(out: &'o mut Vec<u8>, limits: Limits) -> Self {
        out.clear();
        out.push(b'{');
        Self { out, limits }
    }

    /// Writes a member, or nothing of it.
    ///
    /// # Errors
    /// What can't be shown in JSON, is nested too deeply, or makes the object larger than an event may be.
    pub(super) fn put(&mut self, key: &[u8], any: &[u8]) -> Result<(), Invalid> {
        let start = self.out.len();
        self.member(key, any, 1).inspect_err(|_| self.out.truncate(start))
    }

    /// Writes a member whose value is digits of a hexadecimal number, or nothing of it.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub(super) fn put_hex(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), Invalid> {
        let start = self.out.len();
        self.hex(key, bytes).inspect_err(|_| self.out.truncate(start))
    }

    fn hex(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), Invalid> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.key(key)?;
        self.out.push(b'"');
        for byte in bytes {
            self.out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]]);
        }
        self.out.push(b'"');
        self.within_limit()
    }

    /// Ends the object. One without members is none.
    pub(super) fn end(self) {
        if self.out.len() == 1 {
            self.out.clear();
        } else {
            self.out.push(b'}');
        }
    }

    /// Ends what is no event's data: the object stays open, and behind it stands the record that it was read from, where
    /// the object can't show all of it. Nobody takes that for an object, so what has lost something is never stored as if
    /// it were whole; and the members are found in it as far as it goes, as the id of a player who is to be forgotten.
    pub(super) fn leave_open(self, record: Option<&[u8]>) {
        if let Some(record) = record {
            self.out.extend_from_slice(b"\nlog_record ");
            self.out.extend_from_slice(record);
        }
    }

    /// `depth`: how many objects and arrays are open.
    fn member(&mut self, key: &[u8], any: &[u8], depth: u32) -> Result<(), Invalid> {
        self.key(key)?;
        self.value(any, depth)
    }

    fn key(&mut self, key: &[u8]) -> Result<(), Invalid> {
        self.comma();
        self.text(key)?;
        self.out.push(b':');
        Ok(())
    }

    fn comma(&mut self) {
        if !self.out.ends_with(b"{") && !self.out.ends_with(b"[") {
            self.out.push(b',');
        }
    }

    fn value(&mut self, any: &[u8], depth: u32) -> Result<(), Invalid> {
        match Any::read(any)? {
            Any::Null => self.out.extend_from_slice(b"null"),
            Any::Text(text) => self.text(text)?,
            Any::Bool(bool) => self.out.extend_from_slice(if bool { b"true" } else { b"false" }),
            Any::Int(int) => self.out.extend_from_slice(itoa::Buffer::new().format(int).as_bytes()),
            Any::Double(double) => self.double(double),
            Any::Bytes(bytes) => {
                self.has_room(bytes.len())?;
                self.plain_text(&STANDARD.encode(bytes));
            }
            Any::Array(values) => {
                self.open(b'[', depth)?;
                each(values, VALUES, |value| {
                    self.comma();
                    self.value(value, depth + 1)
                })?;
                self.out.push(b']');
            }
            Any::Map(members) => {
                self.open(b'{', depth)?;
                each(members, VALUES, |member| {
                    let (key, any) = key_value(member)?;
                    self.member(key, any, depth + 1)
                })?;
                self.out.push(b'}');
            }
        }
        self.within_limit()
    }

    fn open(&mut self, bracket: u8, depth: u32) -> Result<(), Invalid> {
        let limit = self.limits.max_depth;
        if depth >= limit {
            return Err(wrong(Problem::TooDeep { limit }));
        }
        self.out.push(bracket);
        Ok(())
    }

    fn text(&mut self, text: &[u8]) -> Result<(), Invalid> {
        self.has_room(text.len())?;
        let text = simdutf8::basic::from_utf8(text).map_err(|_| wrong(Problem::NotUtf8))?;
        self.plain_text(text);
        Ok(())
    }

    fn plain_text(&mut self, text: &str) {
        // A text has no way of failing, and a vector takes all.
        let _ = serde_json::to_writer(&mut *self.out, text);
    }

    /// What JSON has no number for is a text, as in protobuf's own JSON.
    fn double(&mut self, double: f64) {
        if double.is_finite() {
            let _ = serde_json::to_writer(&mut *self.out, &double);
        } else if double.is_nan() {
            self.plain_text("NaN");
        } else {
            self.plain_text(if double > 0.0 { "Infinity" } else { "-Infinity" });
        }
    }

    fn within_limit(&self) -> Result<(), Invalid> {
        self.has_room(0)
    }

    /// What can't be an event is not written to its end: escapes make a text up to six times as long.
    fn has_room(&self, len: usize) -> Result<(), Invalid> {
        let (size, limit) = (self.out.len() + len, self.limits.max_event);
        if size > limit {
            return Err(Invalid { field: Field::Event, problem: Problem::EventTooLarge { size, limit } });
        }
        Ok(())
    }
}
