//! The form of a log segment: a header, then frames, each the records of one bucket.
//!
//! A frame counts only if its checksum fits, which covers the segment's number too: bytes that the disk brings back from
//! another file, or a torn write, are never taken for events. The header says where the segment before it ends, so that
//! what a failed write may have left behind that end does not come back at the next start.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};

use super::layout::SegmentNumber;
use super::partition::EventWindow;
use crate::delivery::buffers::BufferPool;

const SEGMENT_MAGIC: [u8; 8] = *b"HGLAKE\xf7\x01";
/// What frames begin with, before the letter of their form. Its first byte occurs nowhere in UTF-8, so no record holds
/// it, nor a packed one.
const FRAME_MAGIC: [u8; 3] = *b"\xf7HG";
/// Magic, number, two bounds of the window, number and length of the segment before, checksum.
pub(super) const SEGMENT_HEADER: usize = 8 + 8 + 8 + 8 + 8 + 8 + 4;
/// Magic, length, events, checksum.
pub(super) const FRAME_HEADER: usize = 4 + 4 + 4 + 4;
/// Bytes of frames read before that a reader keeps the memory of: one or two of the largest.
const KEPT: usize = 4 << 20;

/// How the records of a frame stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One line each: what was written before records were packed.
    Lines,
    /// Packed ([`headgate_proto::record::Unpacker`]).
    Packed,
}

impl Form {
    fn magic(self) -> [u8; 4] {
        let [a, b, c] = FRAME_MAGIC;
        [a, b, c, if self == Self::Lines { b'F' } else { b'P' }]
    }

    fn of(magic: &[u8; 4]) -> Option<Self> {
        [Self::Lines, Self::Packed].into_iter().find(|form| form.magic() == *magic)
    }
}

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: SegmentNumber,
    /// Which event times get a partition of their own. Kept here, so that the Parquet files are a function of the
    /// segment alone, whatever the settings are when they are written, and written again.
    pub(super) window: EventWindow,
    /// The segment before, and where its durable frames end.
    pub(super) previous: Option<SegmentEnd>,
}

/// Where a segment's durable frames end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentEnd {
    pub(super) number: SegmentNumber,
    pub(super) len: u64,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let previous = self.previous.unwrap_or(SegmentEnd { number: SegmentNumber(0), len: 0 });
        let mut bytes = [0; SEGMENT_HEADER];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        let numbers = [self.number.0, self.window.past_ms, self.window.future_ms, previous.number.0, previous.len];
        for (place, number) in bytes[8..48].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let checksum = crc_fast::crc32_iscsi(&bytes[..48]);
        bytes[48..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; SEGMENT_HEADER], number: SegmentNumber) -> Option<Self> {
        let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let checksum = u32::from_le_bytes(std::array::from_fn(|i| bytes[48 + i]));
        if bytes[..8] != SEGMENT_MAGIC || checksum != crc_fast::crc32_iscsi(&bytes[..48]) || u64_at(8) != number.0 {
            return None;
        }
        let previous = SegmentEnd { number: SegmentNumber(u64_at(32)), len: u64_at(40) };
        Some(Self {
            number,
            window: EventWindow { past_ms: u64_at(16), future_ms: u64_at(24) },
            previous: (previous.number.0 != 0).then_some(previous),
        })
    }
}

/// The bytes that stand before a frame's payload. `None` if the payload is longer than a frame can be.
pub(super) fn frame_header(
    number: SegmentNumber,
    form: Form,
    events: u32,
    payload: &[u8],
) -> Option<[u8; FRAME_HEADER]> {
    let len = u32::try_from(payload.len()).ok()?;
    let mut header = [0; FRAME_HEADER];
    header[..4].copy_from_slice(&form.magic());
    header[4..8].copy_from_slice(&len.to_le_bytes());
    header[8..12].copy_from_slice(&events.to_le_bytes());
    header[12..].copy_from_slice(&frame_checksum(number, form.magic(), len, events, payload).to_le_bytes());
    Some(header)
}

fn frame_checksum(number: SegmentNumber, magic: [u8; 4], len: u32, events: u32, payload: &[u8]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(&number.0.to_le_bytes());
    // The first form was alone.
    if magic != Form::Lines.magic() {
        digest.update(&magic);
    }
    digest.update(&len.to_le_bytes());
    digest.update(&events.to_le_bytes());
    digest.update(payload);
    // A 32-bit checksum, in the low half.
    digest.finalize() as u32
}

/// One bucket's records, read back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// How they stand there.
    pub(super) form: Form,
    /// Records.
    pub(super) payload: Bytes,
    /// How many.
    pub(super) events: u32,
    /// Where the whole frame stands in the segment.
    pub(super) place: Range<u64>,
}

/// What comes next in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Frame(Frame),
    /// From here on no frame's checksum fits, up to the next [`SegmentReader::resume`].
    Bad {
        offset: u64,
    },
    End,
}

/// Reads a segment from its start to `end`.
pub(super) struct SegmentReader<R = File> {
    source: BufReader<R>,
    number: SegmentNumber,
    /// `None` if it can't be read.
    pub(super) header: Option<SegmentHeader>,
    offset: u64,
    end: u64,
    buffers: Arc<BufferPool>,
}

impl<R: Read + Seek> SegmentReader<R> {
    /// Reads the header. `end` is at most the file's length.
    pub(super) fn open(source: R, number: SegmentNumber, end: u64) -> io::Result<Self> {
        let (source, buffers) = (BufReader::with_capacity(64 << 10, source), BufferPool::new(KEPT));
        let mut reader = Self { source, number, header: None, offset: 0, end, buffers };
        let mut bytes = [0; SEGMENT_HEADER];
        if reader.end >= SEGMENT_HEADER as u64 {
            reader.source.read_exact(&mut bytes)?;
            reader.header = SegmentHeader::decode(&bytes, number);
        }
        match reader.header {
            Some(_) => reader.offset = SEGMENT_HEADER as u64,
            None => reader.seek(0)?,
        }
        Ok(reader)
    }

    /// Reads what comes next. After [`Next::Bad`] it says the same again until it is told to resume.
    pub(super) fn read(&mut self) -> io::Result<Next> {
        if self.offset >= self.end {
            return Ok(Next::End);
        }
        let offset = self.offset;
        match self.read_frame()? {
            Some(frame) => {
                self.offset = frame.place.end;
                Ok(Next::Frame(frame))
            }
            None => {
                self.seek(offset)?;
                Ok(Next::Bad { offset })
            }
        }
    }

    /// Goes on at the first good frame after a bad place. Returns where that is; the end, if there is none.
    pub(super) fn resume(&mut self) -> io::Result<u64> {
        let mut from = self.offset + 1;
        while let Some(candidate) = self.find_magic(from)? {
            self.seek(candidate)?;
            if self.read_frame()?.is_some() {
                self.seek(candidate)?;
                return Ok(candidate);
            }
            from = candidate + 1;
        }
        self.seek(self.end)?;
        Ok(self.end)
    }

    fn read_frame(&mut self) -> io::Result<Option<Frame>> {
        let left = self.end - self.offset;
        if left < FRAME_HEADER as u64 {
            return Ok(None);
        }
        let mut header = [0; FRAME_HEADER];
        self.source.read_exact(&mut header)?;
        let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| header[at + i]));
        let (len, events, checksum) = (u32_at(4), u32_at(8), u32_at(12));
        let magic: [u8; 4] = std::array::from_fn(|i| header[i]);
        // The length is bounded by the file before anything is allocated for it.
        if !magic.starts_with(&FRAME_MAGIC) || u64::from(len) > left - FRAME_HEADER as u64 {
            return Ok(None);
        }
        let mut payload = self.buffers.take(len as usize);
        (&mut self.source).take(u64::from(len)).read_to_end(&mut payload)?;
        if payload.len() != len as usize || frame_checksum(self.number, magic, len, events, &payload) != checksum {
            return Ok(None);
        }
        // Not damage, which would be cut off: somebody went back to this release.
        let form = Form::of(&magic).ok_or_else(|| {
            let letter = char::from(magic[3]);
            let why = format!("a frame of the form {letter:?}, which only a later release of Headgate can read");
            io::Error::new(io::ErrorKind::Unsupported, why)
        })?;
        let end = self.offset + FRAME_HEADER as u64 + u64::from(len);
        Ok(Some(Frame { form, payload: self.buffers.share(payload), events, place: self.offset..end }))
    }

    fn find_magic(&mut self, from: u64) -> io::Result<Option<u64>> {
        const CHUNK: u64 = 256 << 10;
        let overlap = FRAME_MAGIC.len() as u64 - 1;
        let mut start = from;
        let mut chunk = Vec::new();
        while start + overlap < self.end {
            let len = CHUNK.min(self.end - start);
            self.seek(start)?;
            chunk.clear();
            (&mut self.source).take(len).read_to_end(&mut chunk)?;
            if let Some(at) = memchr::memmem::find(&chunk, &FRAME_MAGIC) {
                return Ok(Some(start + at as u64));
            }
            // A magic may lie across the border of two chunks.
            start += (len - overlap).max(1);
        }
        Ok(None)
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.source.seek(SeekFrom::Start(offset))?;
        self.offset = offset;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const NUMBER: SegmentNumber = SegmentNumber(7);

    fn header() -> SegmentHeader {
        let previous = Some(SegmentEnd { number: SegmentNumber(6), len: 12_345 });
        SegmentHeader { number: NUMBER, window: EventWindow { past_ms: 1_000, future_ms: 2_000 }, previous }
    }

    fn segment(payloads: &[&[u8]]) -> Vec<u8> {
        let mut bytes = header().encode().to_vec();
        for (events, payload) in (1..).zip(payloads) {
            let form = if events % 2 == 0 { Form::Packed } else { Form::Lines };
            bytes.extend_from_slice(&frame_header(NUMBER, form, events, payload).expect("fits"));
            bytes.extend_from_slice(payload);
        }
        bytes
    }

    fn reader(bytes: &[u8]) -> SegmentReader<Cursor<&[u8]>> {
        SegmentReader::open(Cursor::new(bytes), NUMBER, bytes.len() as u64).expect("opens")
    }

    fn good_payloads(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut reader = reader(bytes);
        let mut payloads = Vec::new();
        loop {
            match reader.read().expect("reads") {
                Next::Frame(frame) => payloads.push(frame.payload.to_vec()),
                Next::Bad { .. } => drop(reader.resume().expect("reads")),
                Next::End => return payloads,
            }
        }
    }

    #[test]
    fn frames_come_back_as_they_were_written() {
        let bytes = segment(&[b"one\n", b"", b"three\nlines\nmore\n"]);
        let mut reader = reader(&bytes);
        assert_eq!(reader.header, Some(header()));
        let Next::Frame(first) = reader.read().expect("reads") else { panic!("no frame") };
        assert_eq!((&first.payload[..], first.events, first.form), (&b"one\n"[..], 1, Form::Lines));
        assert_eq!(first.place, SEGMENT_HEADER as u64..(SEGMENT_HEADER + FRAME_HEADER + 4) as u64);
        assert_eq!(good_payloads(&bytes), [&b"one\n"[..], b"", b"three\nlines\nmore\n"]);
    }

    #[test]
    fn a_flipped_byte_anywhere_costs_at_most_the_frame_it_is_in() {
        let payloads: [&[u8]; 3] = [b"first\n", b"second\n", b"third\n"];
        let bytes = segment(&payloads);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let good = good_payloads(&damaged);
            let expected = if at < SEGMENT_HEADER { 3 } else { 2 };
            assert_eq!(good.len(), expected, "byte {at}");
            assert!(good.iter().all(|payload| payloads.contains(&payload.as_slice())), "byte {at}");
            if at < SEGMENT_HEADER {
                assert_eq!(reader(&damaged).header, None, "byte {at}");
            }
        }
    }

    #[test]
    fn a_frame_is_not_taken_for_one_of_another_form() {
        let bytes = segment(&[b"lines\n", b"packed"]);
        let letters = [SEGMENT_HEADER + 3, SEGMENT_HEADER + FRAME_HEADER + 6 + 3];
        assert_eq!(letters.map(|at| bytes[at]), [b'F', b'P']);
        for at in letters {
            let mut swapped = bytes.clone();
            swapped[at] ^= b'F' ^ b'P';
            assert_eq!(good_payloads(&swapped).len(), 1, "byte {at}");
        }
    }

    /// It must not be cut off as a torn write would be.
    #[test]
    fn a_good_frame_of_a_form_that_is_not_known_is_an_error() {
        let mut bytes = segment(&[b"first\n"]);
        let magic = *b"\xf7HGQ";
        let checksum = frame_checksum(NUMBER, magic, 3, 1, b"new");
        bytes.extend_from_slice(&magic);
        for number in [3, 1, checksum] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(b"new");
        let mut reader = reader(&bytes);
        assert!(matches!(reader.read(), Ok(Next::Frame(_))));
        let error = reader.read().expect_err("nobody knows how to read it");
        assert!(error.to_string().contains("'Q'"), "{error}");
    }

    #[test]
    fn a_cut_anywhere_leaves_the_frames_before_it() {
        let bytes = segment(&[b"first\n", b"second\n"]);
        let second = SEGMENT_HEADER + FRAME_HEADER + 6;
        for len in 0..bytes.len() {
            let expected = usize::from(len >= second);
            assert_eq!(good_payloads(&bytes[..len]).len(), expected, "cut at {len}");
        }
    }

    #[test]
    fn frames_of_another_segment_do_not_count() {
        let bytes = segment(&[b"first\n"]);
        let mut reader = SegmentReader::open(Cursor::new(&bytes), SegmentNumber(8), bytes.len() as u64).expect("opens");
        assert_eq!(reader.header, None);
        assert_eq!(reader.read().expect("reads"), Next::Bad { offset: 0 });
        assert_eq!(reader.resume().expect("reads"), bytes.len() as u64);
    }

    #[test]
    fn a_good_frame_is_found_behind_a_long_hole() {
        // The hole ends so that the magic lies across the border of two chunks of the search.
        let frame = segment(&[b"behind\n"])[SEGMENT_HEADER..].to_vec();
        for hole in [(256 << 10) - 2, (256 << 10) - 1, 256 << 10, 700_000] {
            let mut bytes = header().encode().to_vec();
            bytes.resize(SEGMENT_HEADER + 1 + hole, 0);
            bytes.extend_from_slice(&frame);
            assert_eq!(good_payloads(&bytes), [b"behind\n"], "hole of {hole}");
        }
    }
}
