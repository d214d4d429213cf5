//! Records packed: what the events of a batch share stands once, and of each event only its values do.
//!
//! A packed text is a row of entries, each with a letter first. `t` is the end of a batch's records, for all events behind
//! it up to the next; `e` is an event: the lengths of its values and its time, then the values; `l` is a whole line, for
//! what the others can't hold. All numbers are written in bytes of seven bits, lowest first, so that a packed text is
//! UTF-8, as lines are.

use std::str;

use super::split::{SplitRecord, Tail};
use super::write::{EventFields, MeasuredRecord, Place, RecordTail, write_record};

const TAIL: u8 = b't';
const EVENT: u8 = b'e';
const LINE: u8 = b'l';

/// The letter and the length of a tail.
const TAIL_HEAD: usize = 1 + 2;
/// The letter; the lengths of type, name and versions; that of the data, and the nanoseconds; the seconds; what of these
/// went over, and the length of the id.
const EVENT_HEAD: usize = 1 + 8 + 8 + 8 + 2;
/// The letter and the length of a line.
const LINE_HEAD: usize = 1 + 8;

// Bits of the lengths.
const ID_BITS: u32 = 6;
const NAME_BITS: u32 = 14;
const DATA_BITS: u32 = 26;

/// Longer tails are not packed; shorter ones are, if they hold no escapes.
pub(super) const LONGEST_TAIL: usize = (1 << NAME_BITS) - 1;

impl RecordTail {
    /// How many bytes [`RecordTail::pack`] appends.
    #[inline]
    #[must_use]
    pub fn packed_len(&self) -> usize {
        if self.is_plain() { TAIL_HEAD + self.as_bytes().len() } else { 0 }
    }

    /// Begins the records of a batch in a packed text: they follow without another batch's between them.
    pub fn pack(&self, out: &mut Vec<u8>) {
        if self.is_plain() {
            let text = self.as_bytes();
            out.push(TAIL);
            out.extend_from_slice(&spread(text.len() as u64).to_le_bytes()[..2]);
            out.extend_from_slice(text);
        }
    }
}

impl MeasuredRecord<'_> {
    /// How many bytes [`MeasuredRecord::pack`] appends.
    #[inline]
    #[must_use]
    pub fn packed_len(&self) -> usize {
        if self.has_short_values() { EVENT_HEAD + values_len(self.event) } else { LINE_HEAD + self.len() }
    }

    /// Appends it to a packed text, in which its tail was packed before. Kept out of the way of those that write lines.
    #[inline(never)]
    pub fn pack(&self, out: &mut Vec<u8>) {
        if !self.has_short_values() {
            return self.pack_line(out);
        }
        let event = self.event;
        let len = EVENT_HEAD + values_len(event);
        out.reserve(len);
        let mut place = Place::of(out, len);
        let names = event.event_type.len() as u64
            | (event.event_name.len() as u64) << NAME_BITS
            | (event.event_version.len() as u64) << (2 * NAME_BITS)
            | (event.app_version.len() as u64) << (3 * NAME_BITS);
        let data = event.event_data.len() as u64 | u64::from(event.nanos) << DATA_BITS;
        // Small numbers on both sides of 1970 have their high bits free.
        let seconds = ((event.seconds << 1) ^ (event.seconds >> 63)).cast_unsigned();
        let rest = seconds >> 56 | (event.event_id.len() as u64) << 8;
        place.put(&[EVENT]);
        place.put(&spread(names).to_le_bytes());
        place.put(&spread(data).to_le_bytes());
        place.put(&spread(seconds & LOW_56).to_le_bytes());
        place.put(&spread(rest).to_le_bytes()[..2]);
        place.put(event.event_id);
        place.put_name(event.event_type);
        place.put_name(event.event_name);
        place.put_name(event.event_version);
        place.put_name(event.app_version);
        place.put_data(event);
        assert!(place.is_full(), "an event is as long as it was measured");
        // SAFETY: `len` bytes behind the vector's are its own, and each of them was written: the place is full.
        unsafe { out.set_len(out.len() + len) }
    }

    #[cold]
    fn pack_line(&self, out: &mut Vec<u8>) {
        out.push(LINE);
        out.extend_from_slice(&spread(self.len() as u64).to_le_bytes());
        self.write(out);
    }

    /// Whether the lengths go into an event's head, and there is a tail for it.
    #[inline]
    fn has_short_values(&self) -> bool {
        let event = self.event;
        let names =
            event.event_type.len() | event.event_name.len() | event.event_version.len() | event.app_version.len();
        let over = names >> NAME_BITS | event.event_data.len() >> DATA_BITS | event.event_id.len() >> ID_BITS;
        over == 0 && self.tail.is_plain()
    }
}

#[inline]
fn values_len(event: &EventFields<'_>) -> usize {
    event.event_id.len()
        + event.event_type.len()
        + event.event_name.len()
        + event.event_version.len()
        + event.app_version.len()
        + event.event_data.len()
}

/// An entry of a packed text that holds an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpacked<'a> {
    /// The event's values.
    Record(SplitRecord<'a>),
    /// Its line, with its newline.
    Line(&'a [u8]),
}

/// What can't be read of a packed text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a packed record: {why}")]
pub struct UnpackError<'a> {
    /// The entry; the whole rest of the text where its end can't be told, and then the text is over.
    pub bytes: &'a [u8],
    /// What is wrong with it.
    pub why: &'static str,
}

/// Reads a packed text, event by event.
#[derive(Clone, Debug)]
pub struct Unpacker<'a> {
    rest: &'a [u8],
    tail: Option<Tail<'a>>,
}

impl<'a> Unpacker<'a> {
    /// Of the whole text.
    #[must_use]
    pub fn new(packed: &'a [u8]) -> Self {
        Self { rest: packed, tail: None }
    }

    /// The end of a batch's records under which the entries stand now.
    #[must_use]
    pub fn tail(&self) -> Option<&'a str> {
        self.tail.map(|tail| tail.text)
    }

    /// Cuts off what comes next, of so many bytes.
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn word(&mut self) -> Option<u64> {
        let (word, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(gather(u64::from_le_bytes(*word)))
    }

    fn half_word(&mut self) -> Option<usize> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(gather(u64::from(u16::from_le_bytes(*bytes))) as usize)
    }

    /// `None`: the text ends within the entry.
    fn entry(&mut self, letter: u8) -> Option<Entry<'a>> {
        match letter {
            TAIL => {
                let len = self.half_word()?;
                let text = str::from_utf8(self.take(len)?).ok();
                // Its newline is a line's, not a tail's.
                let tail = text.and_then(|text| Tail::split(text.strip_suffix('\n')?));
                self.tail = tail.filter(|(before, _)| before.is_empty()).map(|(_, tail)| tail);
                Some(match self.tail {
                    Some(_) => Entry::Tail,
                    None => Entry::Bad("it is not the end of a batch's records"),
                })
            }
            LINE => {
                let len = usize::try_from(self.word()?).ok()?;
                self.take(len).map(Unpacked::Line).map(Entry::Event)
            }
            _ => {
                let (names, data, seconds, rest) = (self.word()?, self.word()?, self.word()?, self.half_word()? as u64);
                let name_len = |place: u32| low_bits(names >> (place * NAME_BITS), NAME_BITS);
                let lens = [low_bits(rest >> 8, ID_BITS), name_len(0), name_len(1), name_len(2), name_len(3)];
                let data_len = low_bits(data, DATA_BITS);
                let values = self.take(lens.iter().sum::<usize>() + data_len)?;
                let seconds = (seconds | (rest & 0xff) << 56).cast_signed();
                let seconds = (seconds >> 1) & i64::MAX ^ -(seconds & 1);
                let nanos = (data >> DATA_BITS) as u32;
                Some(match self.tail {
                    Some(tail) => record(values, lens, (seconds, nanos), &tail),
                    None => Entry::Bad("no end of a batch's records stands before it"),
                })
            }
        }
    }
}

enum Entry<'a> {
    Tail,
    Event(Unpacked<'a>),
    Bad(&'static str),
}

#[inline]
fn record<'a>(values: &'a [u8], lens: [usize; 5], (seconds, nanos): (i64, u32), tail: &Tail<'a>) -> Entry<'a> {
    let Ok(mut values) = simdutf8::basic::from_utf8(values) else { return Entry::Bad("a value is not UTF-8") };
    let mut next = |len: usize| {
        let (value, rest) = values.split_at_checked(len)?;
        values = rest;
        Some(value)
    };
    let [id, event_type, name, event_version, app_version] = lens.map(&mut next);
    let (Some(event_id), Some(event_type), Some(event_name), Some(event_version), Some(app_version)) =
        (id, event_type, name, event_version, app_version)
    else {
        return Entry::Bad("a value ends within a character");
    };
    let data = match values.as_bytes() {
        [] => None,
        [b'{', .., b'}'] => Some(values),
        // Around an object JSON allows white space.
        _ => Some(values.trim_matches([' ', '\t', '\n', '\r'])).filter(|data| data.starts_with('{')),
    };
    if data.is_none() && !values.is_empty() {
        return Entry::Bad("event_data is not an object");
    }
    if nanos >= 1_000_000_000 {
        return Entry::Bad("its time has a second or more of nanoseconds");
    }
    let some = |text: &'a str| Some(text).filter(|text| !text.is_empty());
    Entry::Event(Unpacked::Record(SplitRecord {
        event_id,
        event_type,
        event_name,
        seconds,
        nanos,
        event_version: some(event_version),
        app_version: some(app_version),
        event_data: data,
        request_id: tail.request_id,
        request_time_ms: tail.request_time_ms,
        application_id: tail.application_id,
    }))
}

impl<'a> Iterator for Unpacker<'a> {
    type Item = Result<Unpacked<'a>, UnpackError<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let text = self.rest;
            let (letter, rest) = text.split_first()?;
            self.rest = rest;
            let known = matches!(*letter, TAIL | EVENT | LINE);
            match known.then(|| self.entry(*letter)).flatten() {
                Some(Entry::Tail) => {}
                Some(Entry::Event(event)) => return Some(Ok(event)),
                Some(Entry::Bad(why)) => {
                    return Some(Err(UnpackError { bytes: &text[..text.len() - self.rest.len()], why }));
                }
                None => {
                    self.rest = &[];
                    let why = if known { "it is cut short" } else { "its first letter is not known" };
                    return Some(Err(UnpackError { bytes: text, why }));
                }
            }
        }
    }
}

/// Appends the lines of a packed text; what can't be read of it is left as it is.
pub fn unpack_lines(packed: &[u8], out: &mut Vec<u8>) {
    for event in Unpacker::new(packed) {
        match event {
            Ok(Unpacked::Line(line)) => out.extend_from_slice(line),
            Ok(Unpacked::Record(record)) => {
                let tail = RecordTail::new(record.request_id, record.request_time_ms, record.application_id);
                let fields = EventFields {
                    event_id: record.event_id.as_bytes(),
                    event_type: record.event_type.as_bytes(),
                    event_name: record.event_name.as_bytes(),
                    seconds: record.seconds,
                    nanos: record.nanos,
                    event_version: record.event_version.unwrap_or_default().as_bytes(),
                    app_version: record.app_version.unwrap_or_default().as_bytes(),
                    event_data: record.event_data.unwrap_or_default().as_bytes(),
                    data_has_line_breaks: false,
                };
                write_record(out, &fields, &tail);
            }
            Err(error) => out.extend_from_slice(error.bytes),
        }
    }
}

const LOW_56: u64 = (1 << 56) - 1;

#[inline]
fn low_bits(number: u64, bits: u32) -> usize {
    (number & ((1 << bits) - 1)) as usize
}

/// 56 bits as eight bytes of seven.
#[inline]
fn spread(number: u64) -> u64 {
    let halves = (number & 0x0fff_ffff) | (number & 0x00ff_ffff_f000_0000) << 4;
    let quarters = (halves & 0x0000_3fff_0000_3fff) | (halves & 0x0fff_c000_0fff_c000) << 2;
    (quarters & 0x007f_007f_007f_007f) | (quarters & 0x3f80_3f80_3f80_3f80) << 1
}

/// The other way round; the highest bit of each byte does not count.
#[inline]
fn gather(bytes: u64) -> u64 {
    let quarters = (bytes & 0x007f_007f_007f_007f) | (bytes & 0x7f00_7f00_7f00_7f00) >> 1;
    let halves = (quarters & 0x0000_3fff_0000_3fff) | (quarters & 0x3fff_0000_3fff_0000) >> 2;
    (halves & 0x0fff_ffff) | (halves & 0x0fff_ffff_0000_0000) >> 4
}

#[cfg(test)]
mod tests {
    use super::super::{TimestampText, read_record, split_record};
    use super::*;

    fn fields() -> EventFields<'static> {
        EventFields {
            event_id: b"0d5f2a34-3f0a-4c6e-8a54-2f4a7c1b9e01",
            event_type: b"login",
            event_name: b"login.ok",
            seconds: 1_700_000_000,
            nanos: 250_000_000,
            event_version: b"1.0",
            app_version: b"",
            event_data: "{\"player\":\"\u{e9}\"}".as_bytes(),
            data_has_line_breaks: false,
        }
    }

    fn line(event: &EventFields<'_>, tail: &RecordTail) -> String {
        let mut line = Vec::new();
        write_record(&mut line, event, tail);
        String::from_utf8(line).expect("UTF-8")
    }

    fn packed(batches: &[(&RecordTail, &[EventFields<'_>])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (tail, events) in batches {
            let before = out.len();
            tail.pack(&mut out);
            assert_eq!(out.len() - before, tail.packed_len());
            for event in *events {
                let mut timestamp = TimestampText::default();
                let (before, record) = (out.len(), MeasuredRecord::new(event, tail, &mut timestamp));
                record.pack(&mut out);
                assert_eq!(out.len() - before, record.packed_len());
            }
        }
        out
    }

    #[test]
    fn numbers_come_back_and_every_byte_is_ascii() {
        for number in [0, 1, 127, 128, 0x3fff, 0x4000, 0x0fff_ffff, 0x1000_0000, 0x00aa_5512_3456_789a, LOW_56] {
            let bytes = spread(number);
            assert_eq!(bytes & 0x8080_8080_8080_8080, 0, "{number:x}");
            assert_eq!(gather(bytes), number, "{number:x}");
        }
    }

    #[test]
    fn events_come_back_with_what_their_batch_shares() {
        let tails = [RecordTail::new("r1", 1_700_000_000_123, "app-1"), RecordTail::new("r2", -1, "app-2")];
        let long = [b'n'; LONGEST_TAIL];
        let events = [
            fields(),
            EventFields { seconds: -1, nanos: 999_999_999, event_version: b"", event_data: b"", ..fields() },
            EventFields { event_name: &long, event_id: b"", app_version: b"2", ..fields() },
            EventFields { seconds: i64::MIN + 1, ..fields() },
            EventFields { seconds: i64::MAX, ..fields() },
        ];
        let packed = packed(&[(&tails[0], &events), (&tails[1], &events[..1])]);
        assert!(str::from_utf8(&packed).is_ok());
        let read: Vec<_> = Unpacker::new(&packed).map(|event| event.expect("it was just packed")).collect();
        let lines: Vec<_> =
            events.iter().map(|event| line(event, &tails[0])).chain([line(&events[0], &tails[1])]).collect();
        assert_eq!(read.len(), lines.len());
        for (read, line) in read.iter().zip(&lines) {
            let split = split_record(line.trim_end());
            assert_eq!(*read, Unpacked::Record(split.expect("it was just written")));
        }
        let mut unpacked = Vec::new();
        unpack_lines(&packed, &mut unpacked);
        assert_eq!(String::from_utf8(unpacked).expect("UTF-8"), lines.concat());
    }

    #[test]
    fn what_no_head_can_hold_is_a_line() {
        let (plain, escaped) = (RecordTail::new("r", 1, "a"), RecordTail::new("r\"\n", 1, "a"));
        assert_eq!(escaped.packed_len(), 0);
        let long = vec![b'n'; LONGEST_TAIL + 1];
        let long_name = EventFields { event_name: &long, ..fields() };
        let packed = packed(&[(&plain, &[long_name]), (&escaped, &[fields()])]);
        let lines = [line(&long_name, &plain), line(&fields(), &escaped)];
        let read: Vec<_> = Unpacker::new(&packed).collect();
        assert_eq!(read, lines.each_ref().map(|line| Ok(Unpacked::Line(line.as_bytes()))));
        assert_eq!(read_record(lines[1].as_bytes()).expect("reads").request_id, "r\"\n");
    }

    #[test]
    fn white_space_around_the_data_and_line_breaks_in_it_are_what_they_are_in_lines() {
        let tail = RecordTail::new("r", 1, "a");
        let event = EventFields { event_data: b" \n{\"a\":\r\n1}\t", data_has_line_breaks: true, ..fields() };
        let packed = packed(&[(&tail, &[event])]);
        let Some(Ok(Unpacked::Record(read))) = Unpacker::new(&packed).next() else { panic!("{packed:?}") };
        assert_eq!(read.event_data, Some("{\"a\":  1}"));
        let line = line(&event, &tail);
        assert_eq!(SplitRecord::from(&read_record(line.as_bytes()).expect("reads")), read);
    }

    #[test]
    fn a_bad_entry_costs_itself_and_one_without_an_end_the_rest() {
        let tail = RecordTail::new("r", 1, "a");
        let (good, bad) = (fields(), EventFields { event_data: b"{\"a\":\"\xff\"}", ..fields() });
        let whole = packed(&[(&tail, &[good, bad, good])]);
        let read: Vec<_> = Unpacker::new(&whole).collect();
        assert!(matches!(read[..], [Ok(_), Err(UnpackError { why: "a value is not UTF-8", .. }), Ok(_)]), "{read:?}");
        assert_eq!(
            read[1].expect_err("bad").bytes.len(),
            MeasuredRecord::new(&bad, &tail, &mut TimestampText::default()).packed_len()
        );
        let without_tail = &whole[tail.packed_len()..];
        assert!(Unpacker::new(without_tail).all(|event| event.is_err()));
        for len in 0..whole.len() {
            let read: Vec<_> = Unpacker::new(&whole[..len]).collect();
            assert!(read.len() <= 3 && read.iter().filter(|event| event.is_ok()).count() <= 2, "cut at {len}");
        }
        let unknown = [&whole[..], b"x12"].concat();
        let last = Unpacker::new(&unknown).last().expect("it has entries");
        assert_eq!(last, Err(UnpackError { bytes: b"x12", why: "its first letter is not known" }));
    }
}
