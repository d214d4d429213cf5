//! The lines of a file of bad rows, up to the length that it had when it was chosen: a gateway may be appending to it,
//! even the rejections of this very replay. A line's length is bounded, so that a damaged file can't take all memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Take};
use std::path::Path;

/// The row of the largest event that a gateway can store (1,000 KiB) takes less than half of this, even if every one of
/// its bytes is written as a `\u` escape.
pub(super) const MAX_LINE: usize = 16 << 20;

/// A line that is not blank, without its end, and its number, from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: u64,
    /// `None`: it is longer than [`MAX_LINE`].
    pub(super) text: Option<Vec<u8>>,
}

pub(super) struct Lines {
    reader: BufReader<Take<File>>,
    number: u64,
}

impl Lines {
    pub(super) fn open(path: &Path, len: u64) -> io::Result<Self> {
        Ok(Self { reader: BufReader::new(File::open(path)?.take(len)), number: 0 })
    }

    fn read(&mut self) -> io::Result<Option<Line>> {
        loop {
            let mut text = Vec::new();
            // One more for the line's end.
            if self.reader.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut text)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if text.last() == Some(&b'\n') {
                text.pop();
            } else if text.len() > MAX_LINE {
                self.reader.skip_until(b'\n')?;
                return Ok(Some(Line { number: self.number, text: None }));
            }
            if !text.trim_ascii().is_empty() {
                return Ok(Some(Line { number: self.number, text: Some(text) }));
            }
        }
    }
}

impl Iterator for Lines {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_what_is_behind_the_length_is_not_read() {
        let dir = tempfile::tempdir().expect("makes a folder");
        let path = dir.path().join("rows.jsonl");
        let longest = vec![b'x'; MAX_LINE];
        let text = [b"one\n \n", &*longest, b"\n", &*longest, b"x\nfour", b" and more\nfive\n"];
        std::fs::write(&path, text.concat()).expect("writes");
        let len: usize = text[..5].iter().map(|part| part.len()).sum();
        let lines = Lines::open(&path, len as u64).expect("opens").collect::<io::Result<Vec<_>>>().expect("reads");
        let line = |number, text: Option<&[u8]>| Line { number, text: text.map(<[u8]>::to_vec) };
        let expected = [line(1, Some(b"one")), line(3, Some(&longest)), line(4, None), line(5, Some(b"four"))];
        assert!(lines == expected, "{:?}", lines.iter().map(|line| line.number).collect::<Vec<_>>());
    }
}
