//! Writes flat JSON, and the protobuf around it, into a buffer that is used again for each event.
//!
//! Pieces of fixed size are copied with fixed-size moves: a [`Phrase`] always as 64 bytes of which the next piece
//! overwrites what is too much. That is several times as fast as copying pieces of a length known only at run time.
//! Texts come from the catalog or a checked model and need no escaping; the payload tests parse what is written.

/// Room past the end of what is written, for pieces that are copied whole.
pub(crate) const SLACK: usize = 64;

/// A prepared piece of text of up to 64 bytes.
#[derive(Clone)]
pub(crate) struct Phrase {
    bytes: [u8; SLACK],
    len: usize,
}

impl Phrase {
    /// The bytes beyond 64 are cut off; a checked model has none.
    pub(crate) fn new(text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        debug_assert!(text.len() <= SLACK, "{}", String::from_utf8_lossy(text));
        let len = text.len().min(SLACK);
        let mut bytes = [0; SLACK];
        bytes[..len].copy_from_slice(&text[..len]);
        Self { bytes, len }
    }

    /// `,"key":"value"`.
    pub(super) fn text(key: &str, value: &str) -> Self {
        Self::new(format!(",\"{key}\":\"{value}\""))
    }
}

/// Writes into a buffer from its beginning.
pub(crate) struct Pen<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> Pen<'a> {
    #[inline]
    pub(crate) fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0 }
    }

    /// How much was written.
    #[inline]
    pub(crate) fn written(&self) -> usize {
        self.at
    }

    #[inline]
    pub(crate) fn raw<const N: usize>(&mut self, text: &[u8; N]) -> &mut Self {
        self.out[self.at..self.at + N].copy_from_slice(text);
        self.at += N;
        self
    }

    #[inline]
    pub(crate) fn phrase(&mut self, phrase: &Phrase) -> &mut Self {
        self.out[self.at..self.at + SLACK].copy_from_slice(&phrase.bytes);
        self.at += phrase.len;
        self
    }

    /// A piece of any length.
    pub(crate) fn bytes(&mut self, text: &[u8]) -> &mut Self {
        self.out[self.at..self.at + text.len()].copy_from_slice(text);
        self.at += text.len();
        self
    }

    #[inline]
    pub(crate) fn number(&mut self, value: u32) -> &mut Self {
        if value < 1_000 {
            let [digits @ .., len] = SMALL[value as usize];
            self.out[self.at..self.at + 3].copy_from_slice(&digits);
            self.at += usize::from(len);
        } else if value < 1_000_000 {
            self.number(value / 1_000).three(value % 1_000);
        } else {
            self.number(value / 1_000_000).three(value / 1_000 % 1_000).three(value % 1_000);
        }
        self
    }

    /// A decimal with two places, given in hundredths.
    #[inline]
    pub(crate) fn hundredths(&mut self, value: u32) -> &mut Self {
        self.number(value / 100);
        let (tens, ones) = (value % 100 / 10, value % 10);
        self.raw(&[b'.', b'0' + tens as u8, b'0' + ones as u8])
    }

    /// A number below 1,000 with leading zeros.
    #[inline]
    pub(crate) fn three(&mut self, value: u32) -> &mut Self {
        self.raw(&[b'0' + (value / 100) as u8, b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8])
    }

    #[inline]
    pub(crate) fn flag(&mut self, value: bool) -> &mut Self {
        if value { self.raw(b"true") } else { self.raw(b"false") }
    }

    #[inline]
    pub(crate) fn varint(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.raw(&[value as u8 | 0x80]);
            value >>= 7;
        }
        self.raw(&[value as u8])
    }
}

/// The decimal digits of the numbers below 1,000, and how many they are.
static SMALL: [[u8; 4]; 1_000] = {
    let mut table = [[0; 4]; 1_000];
    let mut value = 0;
    while value < 1_000 {
        let (hundreds, tens, ones) =
            (b'0' + (value / 100) as u8, b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8);
        table[value] = match value {
            0..10 => [ones, 0, 0, 1],
            10..100 => [tens, ones, 0, 2],
            _ => [hundreds, tens, ones, 3],
        };
        value += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are_read() {
        let mut out = [0; 128];
        for value in [0, 1, 9, 10, 99, 100, 999, 1_000, 1_001, 99_999, 999_999, 1_000_000, 70_000_500, u32::MAX] {
            let mut pen = Pen::new(&mut out);
            let written = pen.number(value).written();
            assert_eq!(out[..written], *value.to_string().as_bytes());
            let mut pen = Pen::new(&mut out);
            let written = pen.hundredths(value).written();
            assert_eq!(out[..written], *format!("{}.{:02}", value / 100, value % 100).as_bytes());
            let mut pen = Pen::new(&mut out);
            let written = pen.varint(u64::from(value)).written();
            let mut expected = Vec::new();
            prost::encoding::encode_varint(u64::from(value), &mut expected);
            assert_eq!(out[..written], expected);
        }
    }
}
