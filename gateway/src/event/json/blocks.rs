//! Takes valid objects 64 bytes at a time; those of up to 512 bytes, as nearly all are, all at once where the machine can,
//! or two of them if both together are no longer.
//!
//! A byte at a time, a check spends most of its time on branches that the processor can't foresee: where each string and
//! each number ends. Here every byte of a block is put into its class at once, a bit for each byte, and the grammar is a
//! handful of operations on those bits: what follows each token, as a set of places, has to lie within the places at which
//! such a token may begin. Only brackets (which say whether a comma is followed by a name or by a value), literals and
//! escapes are looked at one by one.
//!
//! It says yes or does not know: what is wrong, and where, is for the byte-wise check to say.

// Only the vectors of x86-64 make it.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

#[cfg(target_arch = "x86_64")]
mod at_once;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use super::Object;

/// Bytes in a block, and bits in a word.
const BLOCK: usize = 64;
/// Levels of nesting that fit a word of bits.
const MAX_DEPTH: u32 = 64;

/// Which bytes of a block are what: bit 0 is the first byte.
#[derive(Clone, Copy)]
struct Classes {
    quote: u64,
    backslash: u64,
    // `{` and `[`.
    open: u64,
    // `}` and `]`.
    close: u64,
    // Of them, those that are braces; of no meaning elsewhere.
    brace: u64,
    colon: u64,
    comma: u64,
    // Space, tab, line feed, carriage return.
    white: u64,
    // Below 0x20.
    control: u64,
    // Beyond ASCII.
    high: u64,
    digit: u64,
    zero: u64,
    dot: u64,
    minus: u64,
}

/// A JSON object, if it is UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) object: Object,
    /// Then it is.
    pub(super) is_ascii: bool,
}

/// Whether these bytes are surely one JSON object, nested at most so deep, and what it looks like. `None`: they may be
/// none.
#[inline]
pub(super) fn accept(input: &[u8], max_depth: u32) -> Option<Accepted> {
    #[cfg(target_arch = "x86_64")]
    {
        if at_once::is_for(input.len()) {
            // SAFETY: the machine has all of it.
            if let Some(accepted) = unsafe { at_once::accept(input, max_depth) } {
                return Some(accepted);
            }
        }
        if is_x86_feature_detected!("avx512bw") && has_bits() {
            // SAFETY: the machine has AVX-512 with its byte and word instructions, and the others.
            return unsafe { avx512::accept(input, max_depth) };
        }
        if is_x86_feature_detected!("avx2") && has_bits() {
            // SAFETY: the machine has AVX2, and the others.
            return unsafe { avx2::accept(input, max_depth) };
        }
    }
    let _ = (input, max_depth);
    None
}

/// As [`accept`], for two objects side by side. `None`: they have no room, the machine can't, or one of them may be none.
#[inline]
pub(super) fn accept_two(one: &[u8], other: &[u8], max_depth: u32) -> Option<[Accepted; 2]> {
    #[cfg(target_arch = "x86_64")]
    if at_once::is_for_two(one.len(), other.len()) {
        // SAFETY: the machine has all of it.
        return unsafe { at_once::accept_two(one, other, max_depth) };
    }
    let _ = (one, other, max_depth);
    None
}

/// Whether the machine has what the bits of a block are worked on with.
#[cfg(target_arch = "x86_64")]
#[inline]
fn has_bits() -> bool {
    is_x86_feature_detected!("pclmulqdq") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2")
}

#[inline(always)]
fn accept_by(
    input: &[u8],
    max_depth: u32,
    whole: impl Fn(&[u8; BLOCK]) -> Classes,
    last: impl Fn(&[u8]) -> Classes,
    parity: impl Fn(u64) -> u64,
) -> Option<Accepted> {
    let mut reader = Reader::new(input, max_depth)?;
    let (blocks, rest) = input.as_chunks::<BLOCK>();
    for block in blocks {
        reader.read(whole(block), &parity)?;
    }
    if !rest.is_empty() {
        reader.read(last(rest), &parity)?;
    }
    reader.end()
}

/// What is known at the end of a block. Words of bits are of the next block, but where it is said that they are of the last.
struct Reader<'a> {
    input: &'a [u8],
    // Where the current block begins.
    at: usize,
    // All bits set, or none.
    in_string: u64,
    escaped: u64,
    // The string that the block ended in is a name.
    in_name: Carry,
    scalars: Scalars,
    // What may come next.
    name_due: Due,
    colon_due: Due,
    value_due: Due,
    more_due: Due,
    nesting: Nesting,
    has_line_breaks: bool,
    high: u64,
}

impl<'a> Reader<'a> {
    /// `None` if it does not begin with an object.
    #[inline(always)]
    fn new(input: &'a [u8], max_depth: u32) -> Option<Self> {
        let first = input.iter().find(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'))?;
        (*first == b'{').then(|| Self {
            input,
            at: 0,
            in_string: 0,
            escaped: 0,
            in_name: 0,
            scalars: Scalars::default(),
            name_due: Due::default(),
            colon_due: Due::default(),
            value_due: Due { pending: 1 << 63 },
            more_due: Due::default(),
            nesting: Nesting { depth: 0, deepest: 0, max_depth: max_depth.min(MAX_DEPTH), objects: 0, closed: false },
            has_line_breaks: false,
            high: 0,
        })
    }

    #[inline(always)]
    fn read(&mut self, classes: Classes, parity: impl Fn(u64) -> u64) -> Option<()> {
        self.high |= classes.high;
        let mut escaped = std::mem::take(&mut self.escaped);
        if classes.backslash != 0 {
            (escaped, self.escaped) = escapes(self.input.get(self.at..)?, classes.backslash, escaped)?;
        }
        let quotes = classes.quote & !escaped;
        // From each opening quote to the byte before its closing one.
        let strings = parity(quotes) ^ self.in_string;
        self.in_string = (strings.cast_signed() >> 63).cast_unsigned();
        let opening = quotes & strings;
        let outside = !(strings | quotes);
        let white = classes.white & outside;
        let (open, close) = (classes.open & outside, classes.close & outside);
        let (colon, comma) = (classes.colon & outside, classes.comma & outside);
        if white & classes.control != 0 && !self.has_line_breaks {
            self.has_line_breaks = has_line_breaks(self.input.get(self.at..)?, white & classes.control);
        }
        let scalars = outside & !(white | open | close | colon | comma);
        let (scalar_starts, bad_scalars) = self.scalars.read(scalars, &classes, self.input, self.at);
        let (objects, bad_nesting) = self.nesting.read(open, close, classes.brace, !white);

        let names_due = self.name_due.after(open & classes.brace | comma & objects, white);
        let values_due = self.value_due.after(open & !classes.brace | comma & !objects | colon, white);
        let more_due = self.more_due.after(comma | colon, white);
        // The carry of an addition runs through a string from its first byte to the byte behind its last.
        let sum;
        (sum, self.in_name) = add(strings, opening & names_due, self.in_name);
        let colons_due = self.colon_due.after(sum & !strings, white);

        let starts = opening | scalar_starts | open;
        let wrong = strings & classes.control
            | names_due & !(opening | close & classes.brace)
            | values_due & !(starts | close & !classes.brace)
            | colons_due ^ colon
            // A comma or a colon is the last thing in nothing.
            | more_due & close
            // What follows a value is no value.
            | starts & !(names_due | values_due)
            | bad_scalars
            | bad_nesting;
        self.at += BLOCK;
        (wrong == 0).then_some(())
    }

    #[inline(always)]
    fn end(&self) -> Option<Accepted> {
        let nesting = &self.nesting;
        let whole = nesting.closed && nesting.deepest <= nesting.max_depth && self.in_string == 0;
        let object = Object { has_line_breaks: self.has_line_breaks };
        whole.then_some(Accepted { object, is_ascii: self.high == 0 })
    }
}

struct Nesting {
    depth: u32,
    deepest: u32,
    max_depth: u32,
    // A bit for each level, the innermost lowest: set for an object.
    objects: u64,
    closed: bool,
}

impl Nesting {
    /// The places that lie in an object rather than an array; and a bit, somewhere, where brackets don't match.
    #[inline(always)]
    fn read(&mut self, open: u64, close: u64, braces: u64, tokens: u64) -> (u64, u64) {
        let in_object = |objects: u64| 0_u64.wrapping_sub(objects & 1);
        let mut wrong = if self.closed { tokens } else { 0 };
        let mut places = in_object(self.objects);
        let mut brackets = open | close;
        let mut ends = 0;
        // Without branches: which bracket comes next can't be foreseen.
        while brackets != 0 {
            let bracket = brackets & brackets.wrapping_neg();
            brackets ^= bracket;
            let (brace, opens) = (u64::from(braces & bracket != 0), open & bracket != 0);
            let (opened, left) = (self.objects << 1 | brace, self.objects >> 1);
            wrong |= if opens { 0 } else { (self.objects & 1) ^ brace };
            self.objects = if opens { opened } else { left };
            self.depth = self.depth.wrapping_add(if opens { 1 } else { u32::MAX });
            self.deepest = self.deepest.max(self.depth);
            ends |= if self.depth == 0 { bracket } else { 0 };
            let rest = bracket.wrapping_neg();
            places = places & !rest | in_object(self.objects) & rest;
        }
        if ends != 0 {
            // Nothing may follow the end.
            wrong |= tokens & !(ends ^ ends.wrapping_sub(1));
            self.closed = true;
        }
        (places, wrong)
    }
}

/// Numbers and literals.
#[derive(Default)]
struct Scalars {
    // Of the last block: their places; digits, minuses, dots, and zeros at the beginning of a number.
    scalars: u64,
    digits: u64,
    minuses: u64,
    dots: u64,
    leading_zeros: u64,
    // The last byte was a digit of a fraction.
    fraction: Carry,
    // What is left of a literal, and the byte behind it.
    literal: u64,
    behind_literal: u64,
}

impl Scalars {
    /// Where they begin; and where something is wrong. Numbers with an exponent are not known here.
    #[inline(always)]
    fn read(&mut self, scalars: u64, classes: &Classes, input: &[u8], at: usize) -> (u64, u64) {
        let starts = scalars & !behind(scalars, self.scalars);
        self.scalars = scalars;
        let (digits, dots, minuses) = (classes.digit & scalars, classes.dot & scalars, classes.minus & scalars);
        let others = scalars & !(digits | dots | minuses);
        let mut literals = std::mem::take(&mut self.literal);
        let mut behind_literals = std::mem::take(&mut self.behind_literal);
        let mut heads = others & starts;
        while heads != 0 {
            let place = heads.trailing_zeros();
            heads &= heads - 1;
            let length = literal(input, at + place as usize);
            let behind = 1_u64 << length;
            let bytes = behind - 1;
            (literals, self.literal) = (literals | bytes << place, bytes >> 1 >> (63 - place));
            (behind_literals, self.behind_literal) = (behind_literals | behind << place, behind >> 1 >> (63 - place));
        }
        let behind_minuses = behind(minuses, self.minuses);
        let behind_dots = behind(dots, self.dots);
        let first_digits = digits & (starts | behind_minuses);
        let leading_zeros = first_digits & classes.zero;
        let behind_leading_zeros = behind(leading_zeros, self.leading_zeros);
        let behind_digits = behind(digits, self.digits);
        let sum;
        (sum, self.fraction) = add(digits, behind_dots & digits, self.fraction);
        let behind_fractions = sum & !digits;
        (self.digits, self.minuses, self.dots, self.leading_zeros) = (digits, minuses, dots, leading_zeros);
        let wrong = others & !literals
            | behind_literals & scalars
            | minuses & !starts
            | (behind_minuses | behind_dots) & !digits
            | behind_leading_zeros & digits
            | dots & (!behind_digits | behind_fractions);
        (starts, wrong)
    }
}

/// How long the literal is that begins there; 0 if none does.
#[inline(always)]
fn literal(input: &[u8], at: usize) -> u32 {
    match input.get(at..) {
        Some([b't', b'r', b'u', b'e', ..] | [b'n', b'u', b'l', b'l', ..]) => 4,
        Some([b'f', b'a', b'l', b's', b'e', ..]) => 5,
        _ => 0,
    }
}

/// The places one further than those of `places`; `before` are those of the block before.
#[inline(always)]
fn behind(places: u64, before: u64) -> u64 {
    places << 1 | before >> 63
}

/// What an addition carries over into the next block: 1 or 0.
type Carry = u8;

/// The sum of two words and of what was carried over, and what is. Written out, the compiler does not see that the
/// processor has this.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn add(one: u64, other: u64, carry: Carry) -> (u64, Carry) {
    let mut sum = 0;
    let carry = std::arch::x86_64::_addcarry_u64(carry, one, other, &mut sum);
    (sum, carry)
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn add(one: u64, other: u64, carry: Carry) -> (u64, Carry) {
    let (sum, over) = one.overflowing_add(other);
    let (sum, over_too) = sum.overflowing_add(carry.into());
    (sum, Carry::from(over | over_too))
}

/// Where the tokens behind some others begin.
#[derive(Default)]
struct Due {
    // The highest bit: one does so in the next block.
    pending: u64,
}

impl Due {
    #[inline(always)]
    fn after(&mut self, tokens: u64, white: u64) -> u64 {
        let behind = behind(tokens, self.pending);
        // What programs write has no white space but in the last block, behind its end.
        if white == 0 {
            self.pending = tokens;
            return behind;
        }
        // The carry of an addition runs through white space to the byte behind it.
        let (sum, over) = (behind & white).overflowing_add(white);
        self.pending = tokens | u64::from(over) << 63;
        (behind | sum) & !white
    }
}

/// The bytes that a backslash stands before, and whether the next block's first one is such a byte. `None` if one is none
/// that may stand there. `input` begins with the block.
#[inline(never)]
fn escapes(input: &[u8], mut backslashes: u64, mut escaped: u64) -> Option<(u64, u64)> {
    let mut next = 0;
    while backslashes != 0 {
        let place = backslashes.trailing_zeros();
        backslashes &= backslashes - 1;
        if escaped >> place & 1 == 1 {
            continue;
        }
        match input.get(place as usize + 1..)? {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => {}
            [b'u', rest @ ..] if rest.len() >= 4 && rest[..4].iter().all(u8::is_ascii_hexdigit) => {}
            _ => return None,
        }
        if place == 63 {
            next = 1;
        } else {
            escaped |= 2 << place;
        }
    }
    Some((escaped, next))
}

/// Whether one of these places has a line break. `input` begins with the block.
#[inline(never)]
fn has_line_breaks(input: &[u8], mut places: u64) -> bool {
    while places != 0 {
        if matches!(input.get(places.trailing_zeros() as usize), Some(b'\n' | b'\r')) {
            return true;
        }
        places &= places - 1;
    }
    false
}

/// Each bit is the parity of those up to it: set from each odd one to the byte before the next even one. That is what the
/// carry-less product with all ones has.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "pclmulqdq")]
#[inline]
fn parity(bits: u64) -> u64 {
    use std::arch::x86_64::{_mm_clmulepi64_si128, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_set1_epi8};
    let product = _mm_clmulepi64_si128::<0>(_mm_cvtsi64_si128(bits.cast_signed()), _mm_set1_epi8(-1));
    _mm_cvtsi128_si64(product).cast_unsigned()
}

#[cfg(test)]
mod tests;
