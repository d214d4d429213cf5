//! The form of a spill file: a header, then frames, each one bucket as it was packed.
//!
//! A frame counts only if its checksum fits, which covers the file's number too: a torn write, or bytes that the disk
//! brings back from another file, are never taken for events. Behind a frame that does not fit, reading goes on where the next
//! one begins.

use std::io::{self, Read};

use crc_fast::{CrcAlgorithm, Digest};

use crate::gather::Format;

const FILE_MAGIC: [u8; 8] = *b"HGSPILL\x01";
const FRAME_MAGIC: [u8; 4] = *b"\xf7HGS";
/// Magic, the file's number, checksum.
pub(super) const FILE_HEADER: usize = 8 + 8 + 4;
/// Magic, length, events, format, checksum.
pub(super) const FRAME_HEADER: usize = 4 + 4 + 4 + 4 + 4;

/// What a frame says of its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    /// Bytes of the payload.
    pub(super) len: u32,
    /// Records in it.
    pub(super) events: u32,
    /// How they stand there.
    pub(super) format: Format,
}

/// The bytes that a file begins with.
pub(super) fn file_header(number: u64) -> [u8; FILE_HEADER] {
    let mut bytes = [0; FILE_HEADER];
    bytes[..8].copy_from_slice(&FILE_MAGIC);
    bytes[8..16].copy_from_slice(&number.to_le_bytes());
    let checksum = crc_fast::crc32_iscsi(&bytes[..16]);
    bytes[16..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The bytes that stand before a bucket's payload. `None` if the payload is longer than a frame can be.
pub(super) fn frame_header(number: u64, events: u32, format: Format, payload: &[u8]) -> Option<[u8; FRAME_HEADER]> {
    let head = FrameHead { len: u32::try_from(payload.len()).ok()?, events, format };
    let mut bytes = [0; FRAME_HEADER];
    bytes[..4].copy_from_slice(&FRAME_MAGIC);
    let numbers = [head.len, events, code_of(format), checksum(number, head, payload)];
    for (place, number) in bytes[4..].chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    Some(bytes)
}

/// Reads a file's header. `Ok(false)`: it is not the header of the file with this number.
pub(super) fn read_file_header(source: &mut impl Read, number: u64) -> io::Result<bool> {
    let mut bytes = [0; FILE_HEADER];
    Ok(read_whole(source, &mut bytes)? && bytes == file_header(number))
}

/// Reads a frame of at most `left` bytes into `payload`. `None`: there is no good frame.
pub(super) fn read_frame(
    source: &mut impl Read,
    number: u64,
    left: u64,
    payload: &mut Vec<u8>,
) -> io::Result<Option<FrameHead>> {
    let mut bytes = [0; FRAME_HEADER];
    if left < FRAME_HEADER as u64 || !read_whole(source, &mut bytes)? {
        return Ok(None);
    }
    let number_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
    let (len, events, found) = (number_at(4), number_at(8), number_at(16));
    let Some(format) = format_of(number_at(12)) else { return Ok(None) };
    // The length is bounded by the file before anything is allocated for it.
    if bytes[..4] != FRAME_MAGIC || u64::from(len) > left - FRAME_HEADER as u64 {
        return Ok(None);
    }
    payload.clear();
    payload.reserve_exact(len as usize);
    source.take(u64::from(len)).read_to_end(payload)?;
    let head = FrameHead { len, events, format };
    Ok((payload.len() == len as usize && checksum(number, head, payload) == found).then_some(head))
}

/// How far behind the beginning of a bad frame the next one may begin: records are UTF-8, which never holds what a frame
/// begins with, and what holds several of them together does not either.
pub(super) fn next_frame(bad: &[u8]) -> usize {
    let behind = bad.get(1..).unwrap_or_default();
    behind.windows(FRAME_MAGIC.len()).position(|bytes| bytes == FRAME_MAGIC).map_or(bad.len(), |place| place + 1)
}

/// Fills `bytes`, or says that there are not as many.
fn read_whole(source: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match source.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn checksum(number: u64, head: FrameHead, payload: &[u8]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(&number.to_le_bytes());
    for part in [head.len, head.events, code_of(head.format)] {
        digest.update(&part.to_le_bytes());
    }
    digest.update(payload);
    // A 32-bit checksum, in the low half.
    digest.finalize() as u32
}

/// A format's number in a file: must stay what it is.
fn code_of(format: Format) -> u32 {
    match format {
        Format::Lines => 1,
        Format::Aggregate => 2,
        Format::Packed => 3,
    }
}

fn format_of(code: u32) -> Option<Format> {
    [Format::Lines, Format::Aggregate, Format::Packed].into_iter().find(|format| code_of(*format) == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: u64 = 7;

    fn frame(format: Format, payload: &[u8]) -> Vec<u8> {
        let mut bytes = frame_header(NUMBER, 3, format, payload).expect("fits").to_vec();
        bytes.extend_from_slice(payload);
        bytes
    }

    fn read(bytes: &[u8], number: u64) -> Option<(FrameHead, Vec<u8>)> {
        let mut payload = Vec::new();
        let head = read_frame(&mut &*bytes, number, bytes.len() as u64, &mut payload).expect("reads");
        head.map(|head| (head, payload))
    }

    #[test]
    fn a_frame_comes_back_with_its_format() {
        for format in [Format::Lines, Format::Aggregate, Format::Packed] {
            let expected = FrameHead { len: 4, events: 3, format };
            assert_eq!(read(&frame(format, b"one\n"), NUMBER), Some((expected, b"one\n".to_vec())));
        }
    }

    #[test]
    fn a_frame_that_was_cut_or_changed_or_is_another_files_is_none() {
        let good = frame(Format::Lines, b"some\nlines\n");
        for len in 0..good.len() {
            assert_eq!(read(&good[..len], NUMBER), None, "cut at {len}");
        }
        for at in 0..good.len() {
            let mut damaged = good.clone();
            damaged[at] ^= 0x10;
            assert_eq!(read(&damaged, NUMBER), None, "byte {at}");
        }
        assert_eq!(read(&good, NUMBER + 1), None);
        assert!(read_file_header(&mut &file_header(NUMBER)[..], NUMBER).expect("reads"));
        assert!(!read_file_header(&mut &file_header(NUMBER)[..], NUMBER + 1).expect("reads"));
        assert!(!read_file_header(&mut &file_header(NUMBER)[..9], NUMBER).expect("reads"));
    }
}
