//! A frame of the log: 20 bytes, then data.
//!
//! `checksum u32, length of the data u32, batch u64, events u32`, little-endian. The checksum is CRC-32C over all that
//! follows it. A frame of no events says that the batch is settled. A run of zeros, as some file systems leave behind after
//! a power cut, is no frame: its checksum is not 0.

use crc_fast::{CrcAlgorithm, Digest};

pub(super) const HEADER_LEN: usize = 20;

/// What stands before the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    checksum: u32,
    pub(super) len: u32,
    pub(super) batch: u64,
    /// How many events the data hold; 0: the batch is settled.
    pub(super) events: u32,
}

impl Header {
    pub(super) fn read(bytes: &[u8; HEADER_LEN]) -> Self {
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let batch = u64::from(u32_at(8)) | u64::from(u32_at(12)) << 32;
        Self { checksum: u32_at(0), len: u32_at(4), batch, events: u32_at(16) }
    }

    /// Whether it and these data were written together.
    pub(super) fn fits(&self, data: &[u8]) -> bool {
        data.len() == self.len as usize && checksum(&self.rest(), data) == self.checksum
    }

    fn rest(&self) -> [u8; HEADER_LEN - 4] {
        let mut rest = [0; HEADER_LEN - 4];
        rest[..4].copy_from_slice(&self.len.to_le_bytes());
        rest[4..12].copy_from_slice(&self.batch.to_le_bytes());
        rest[12..].copy_from_slice(&self.events.to_le_bytes());
        rest
    }
}

/// Appends a frame.
pub(super) fn write(out: &mut Vec<u8>, batch: u64, events: u32, data: &[u8]) {
    let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let rest = Header { checksum: 0, len, batch, events }.rest();
    out.extend_from_slice(&checksum(&rest, data).to_le_bytes());
    out.extend_from_slice(&rest);
    out.extend_from_slice(data);
}

fn checksum(rest: &[u8], data: &[u8]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(rest);
    digest.update(data);
    digest.finalize() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_bit_anywhere_is_noticed() {
        let mut frame = Vec::new();
        write(&mut frame, 0x0102_0304_0506_0708, 3, b"three events");
        let read = |frame: &[u8]| {
            let (header, data) = frame.split_first_chunk().expect("a header");
            let header = Header::read(header);
            header.fits(data).then_some((header.batch, header.events))
        };
        assert_eq!(read(&frame), Some((0x0102_0304_0506_0708, 3)));
        for bit in 0..frame.len() * 8 {
            let mut changed = frame.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&changed), None, "bit {bit}");
        }
        assert_eq!(read(&[0; HEADER_LEN]), None, "zeros");
    }
}
