//! Writes one flat JSON object into a buffer that is used again for each event.
//!
//! Texts come from the catalog and need no escaping; the payload tests parse what is written.

/// An object that is being written.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    digits: itoa::Buffer,
}

impl<'a> Object<'a> {
    pub(super) fn open(out: &'a mut Vec<u8>) -> Self {
        out.clear();
        Self { out, digits: itoa::Buffer::new() }
    }

    pub(super) fn text(&mut self, key: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.key(key);
        self.out.push(b'"');
        self.out.extend_from_slice(value.as_ref());
        self.out.push(b'"');
        self
    }

    pub(super) fn number(&mut self, key: &str, value: impl itoa::Integer) -> &mut Self {
        self.key(key);
        self.out.extend_from_slice(self.digits.format(value).as_bytes());
        self
    }

    /// A decimal with two places, given in hundredths.
    pub(super) fn hundredths(&mut self, key: &str, value: u32) -> &mut Self {
        self.number(key, value / 100);
        let (tens, ones) = (value % 100 / 10, value % 10);
        self.out.extend_from_slice(&[b'.', b'0' + tens as u8, b'0' + ones as u8]);
        self
    }

    pub(super) fn flag(&mut self, key: &str, value: bool) -> &mut Self {
        self.key(key);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
        self
    }

    pub(super) fn close(&mut self) {
        self.out.push(b'}');
    }

    fn key(&mut self, key: &str) {
        self.out.extend_from_slice(if self.out.is_empty() { b"{\"" } else { b",\"" });
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}
