//! Checks that bytes are one JSON object (RFC 8259), in UTF-8, without building it and without allocating.
//!
//! A hand-written check because this is the largest step of the hot path. Where the machine can, 64 bytes are looked at at
//! once, or all of them (`blocks`); what is not taken there is looked at a byte at a time, eight inside strings, which also
//! tells what is wrong. Most payloads are ASCII, which the blocks see on their way: UTF-8 is looked at only where they don't.

mod blocks;

/// What a valid object looks like, as far as it matters to whoever writes it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Whether line breaks stand between tokens (inside a string JSON forbids them).
    pub has_line_breaks: bool,
}

/// Why bytes are no acceptable JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not UTF-8.
    NotUtf8,
    /// It is JSON at first sight, but no object.
    NotAnObject,
    /// The grammar is broken at this byte.
    Syntax {
        /// Position of the byte at fault, from 0.
        at: usize,
    },
    /// Nested more deeply than allowed.
    TooDeep,
}

/// The deepest nesting that can be asked for.
pub const MAX_DEPTH: u32 = 512;

/// Shorter objects are checked as fast a byte at a time.
const WORTH_BLOCKS: usize = 24;

/// Checks one object with nothing but white space around it. `max_depth` counts the object itself and is at most
/// [`MAX_DEPTH`].
///
/// # Errors
/// [`Fault`] with the first thing that is wrong.
pub fn check_object(input: &[u8], max_depth: u32) -> Result<Object, Fault> {
    if input.len() >= WORTH_BLOCKS
        && let Some(accepted) = blocks::accept(input, max_depth)
    {
        let is_utf8 = accepted.is_ascii || simdutf8::basic::from_utf8(input).is_ok();
        return if is_utf8 { Ok(accepted.object) } else { Err(Fault::NotUtf8) };
    }
    simdutf8::basic::from_utf8(input).map_err(|_| Fault::NotUtf8)?;
    check_bytewise(input, max_depth)
}

/// Two objects, looked at side by side for little more than one costs. `None`: at least one of them may be none, or the
/// machine can't; [`check_object`] tells.
#[must_use]
#[inline]
pub fn accept_two(one: &[u8], other: &[u8], max_depth: u32) -> Option<[Object; 2]> {
    let accepted = blocks::accept_two(one, other, max_depth)?;
    let is_utf8 = |input, accepted: blocks::Accepted| accepted.is_ascii || simdutf8::basic::from_utf8(input).is_ok();
    (is_utf8(one, accepted[0]) && is_utf8(other, accepted[1])).then(|| accepted.map(|accepted| accepted.object))
}

fn check_bytewise(input: &[u8], max_depth: u32) -> Result<Object, Fault> {
    let mut checker =
        Checker { input, at: 0, line_breaks: false, depth: 0, max_depth: max_depth.min(MAX_DEPTH), objects: [0; 8] };
    checker.skip_white_space();
    if checker.peek() != Some(b'{') {
        return Err(Fault::NotAnObject);
    }
    checker.document()?;
    Ok(Object { has_line_breaks: checker.line_breaks })
}

struct Checker<'a> {
    input: &'a [u8],
    at: usize,
    line_breaks: bool,
    depth: u32,
    max_depth: u32,
    // One bit a level: set for an object, clear for an array.
    objects: [u64; (MAX_DEPTH / 64) as usize],
}

impl Checker<'_> {
    fn document(&mut self) -> Result<(), Fault> {
        loop {
            let closed = self.value()?;
            if !closed {
                // A container was opened and its first value comes next.
                continue;
            }
            if self.after_value()? {
                break;
            }
        }
        self.skip_white_space();
        if self.at == self.input.len() { Ok(()) } else { Err(self.fault()) }
    }

    /// Reads a scalar or opens a container. Says whether a value is complete (a scalar or an empty container).
    #[inline(always)]
    fn value(&mut self) -> Result<bool, Fault> {
        match self.peek() {
            Some(b'"') => self.string()?,
            Some(b'{') => {
                self.open(true)?;
                self.skip_white_space();
                if self.peek() != Some(b'}') {
                    self.key()?;
                    return Ok(false);
                }
                self.close();
            }
            Some(b'[') => {
                self.open(false)?;
                self.skip_white_space();
                if self.peek() != Some(b']') {
                    return Ok(false);
                }
                self.close();
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal(b"true")?,
            Some(b'f') => self.literal(b"false")?,
            Some(b'n') => self.literal(b"null")?,
            _ => return Err(self.fault()),
        }
        Ok(true)
    }

    /// After a complete value: moves to the next one, closing what closes. Says whether the document is complete.
    #[inline(always)]
    fn after_value(&mut self) -> Result<bool, Fault> {
        while self.depth > 0 {
            self.skip_white_space();
            let in_object = self.in_object();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.skip_white_space();
                    if in_object {
                        self.key()?;
                    }
                    return Ok(false);
                }
                Some(b'}') if in_object => self.close(),
                Some(b']') if !in_object => self.close(),
                _ => return Err(self.fault()),
            }
        }
        Ok(true)
    }

    #[inline(always)]
    fn key(&mut self) -> Result<(), Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.fault());
        }
        self.string()?;
        self.skip_white_space();
        if self.peek() != Some(b':') {
            return Err(self.fault());
        }
        self.at += 1;
        self.skip_white_space();
        Ok(())
    }

    fn open(&mut self, object: bool) -> Result<(), Fault> {
        if self.depth == self.max_depth {
            return Err(Fault::TooDeep);
        }
        let (word, bit) = (self.depth as usize / 64, self.depth % 64);
        if object {
            self.objects[word] |= 1 << bit;
        } else {
            self.objects[word] &= !(1 << bit);
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    fn in_object(&self) -> bool {
        let level = self.depth - 1;
        self.objects[level as usize / 64] >> (level % 64) & 1 == 1
    }

    /// Reads a string from its opening quote.
    #[inline(always)]
    fn string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        loop {
            self.skip_plain_characters();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0x20..) => self.at += 1,
                _ => return Err(self.fault()),
            }
        }
    }

    /// Moves over eight characters at a time while none of them is a quote, a backslash or a control character; stops at
    /// the first that is, or where fewer than eight bytes are left.
    #[inline(always)]
    fn skip_plain_characters(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGHS: u64 = 0x8080_8080_8080_8080;
        while let Some(chunk) = self.input.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*chunk);
            let quote = word ^ (ONES * b'"' as u64);
            let backslash = word ^ (ONES * b'\\' as u64);
            // A byte is zero (below 0x20) where subtracting 1 (0x20) borrows into its high bit; bytes above the first
            // such one may be marked wrongly, but only the first is asked for.
            let marks = (quote.wrapping_sub(ONES) & !quote
                | backslash.wrapping_sub(ONES) & !backslash
                | word.wrapping_sub(ONES * 0x20) & !word)
                & HIGHS;
            if marks != 0 {
                self.at += (marks.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.fault());
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.fault()),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            // A leading zero stands alone.
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.fault()),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.one_or_more_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.one_or_more_digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn one_or_more_digits(&mut self) -> Result<(), Fault> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.fault());
        }
        self.digits();
        Ok(())
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Fault> {
        if !self.input[self.at..].starts_with(word) {
            return Err(self.fault());
        }
        self.at += word.len();
        Ok(())
    }

    #[inline(always)]
    fn skip_white_space(&mut self) {
        while let Some(byte @ (b' ' | b'\n' | b'\r' | b'\t')) = self.peek() {
            self.line_breaks |= matches!(byte, b'\n' | b'\r');
            self.at += 1;
        }
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    #[cold]
    fn fault(&self) -> Fault {
        Fault::Syntax { at: self.at }
    }
}

#[cfg(test)]
mod tests;
