//! An object of at most 512 bytes, all of it at once; or two of them, side by side.
//!
//! As block by block, but in each lane of a register lies the word of a block, and a place moves on from one lane into the
//! next. There is no block before and none behind: nothing is carried over. Of two objects, nothing that is valid reaches
//! over the end of the first: behind its last bracket, which `nesting` looks for in each object by itself, stands white
//! space that nothing is due behind. So what the second one's lanes get from the first one's is wrong only if the first one
//! is, which is told by what is of its own.

mod bits;

use std::arch::x86_64::{
    _mm_setr_epi8, _mm512_broadcast_i32x4, _mm512_gf2p8affine_epi64_epi8, _mm512_loadu_si512, _mm512_mask_blend_epi64,
    _mm512_mask_set1_epi64, _mm512_maskz_loadu_epi8, _mm512_maskz_set1_epi64, _mm512_min_epu8, _mm512_movepi8_mask,
    _mm512_permutex2var_epi8, _mm512_permutexvar_epi8, _mm512_set1_epi8, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_shuffle_epi8, _mm512_shuffle_i64x2, _mm512_test_epi64_mask, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
};
use std::sync::LazyLock;

use self::bits::{Bits, add, after, and, any, behind, first, not, or, parity, without, words, xor};
use super::{Accepted, BLOCK, MAX_DEPTH, Object, escapes, literal};

/// Blocks, of all objects together.
const BLOCKS: usize = 8;
/// Bytes of an object at most.
const MOST: usize = BLOCKS * BLOCK;
/// It takes as long for a short object as for a long one: these are looked at sooner block by block.
const WORTH_IT: usize = 2 * BLOCK + 1;

/// The answer of [`is_there`], which is asked for each object and takes ten questions.
static IS_THERE: LazyLock<bool> = LazyLock::new(|| {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("gfni")
        && is_x86_feature_detected!("vpclmulqdq")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("popcnt")
});

/// Whether the machine has all that [`accept`] and [`accept_two`] ask for.
#[inline]
pub(super) fn is_there() -> bool {
    *IS_THERE
}

/// Whether [`accept`] is the fastest way for an object of so many bytes.
#[inline]
pub(super) fn is_for(len: usize) -> bool {
    (WORTH_IT..=MOST).contains(&len) && is_there()
}

/// Whether two objects of so many bytes have room side by side.
#[inline]
pub(super) fn is_for_two(one: usize, other: usize) -> bool {
    one.div_ceil(BLOCK) + other.div_ceil(BLOCK) <= BLOCKS && is_there()
}

// What a byte is. Outside of strings it is a token or a scalar's, and the three kinds mean something else for each.
const QUOTE: u8 = 1;
const BACKSLASH: u8 = 1 << 1;
const CONTROL: u8 = 1 << 2;
const LINE_BREAK: u8 = 1 << 3;
const TOKEN: u8 = 1 << 4;
const A: u8 = 1 << 5;
const B: u8 = 1 << 6;
const C: u8 = 1 << 7;

const CLASSES: [u8; 128] = classes();

const fn classes() -> [u8; 128] {
    let mut classes = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        classes[byte as usize] = match byte {
            b'"' => QUOTE,
            b'\\' => BACKSLASH,
            // White space is a token of no kind.
            b' ' => TOKEN,
            b'\t' => CONTROL | TOKEN,
            b'\n' | b'\r' => CONTROL | LINE_BREAK | TOKEN,
            0..0x20 => CONTROL,
            // A is a bracket; B is one of an object, C opens.
            b'{' => TOKEN | A | B | C,
            b'}' => TOKEN | A | B,
            b'[' => TOKEN | A | C,
            b']' => TOKEN | A,
            b':' => TOKEN | B,
            b',' => TOKEN | C,
            // A is a digit; B is zero.
            b'0' => A | B,
            b'1'..=b'9' => A,
            b'.' => B,
            b'-' => C,
            _ => 0,
        };
        byte += 1;
    }
    classes
}

/// Whether this is surely an object that begins with its first byte. `None`: it may be something else.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi,avx512vbmi2,gfni,vpclmulqdq,bmi1,bmi2,popcnt")]
pub(super) fn accept(input: &[u8], max_depth: u32) -> Option<Accepted> {
    look::<false>(input, &[], max_depth).map(|[accepted, _]| accepted)
}

/// The same of two side by side. `None`: one of them may be something else.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi,avx512vbmi2,gfni,vpclmulqdq,bmi1,bmi2,popcnt")]
pub(super) fn accept_two(one: &[u8], other: &[u8], max_depth: u32) -> Option<[Accepted; 2]> {
    look::<true>(one, other, max_depth)
}

/// At one or at `TWO`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi,avx512vbmi2,gfni,vpclmulqdq,bmi1,bmi2,popcnt")]
#[inline]
fn look<const TWO: bool>(one: &[u8], other: &[u8], max_depth: u32) -> Option<[Accepted; 2]> {
    let layout = Layout::<TWO>::of(one, other)?;
    let there = layout.there();
    let (planes, is_ascii) = planes(&layout, there);
    let [quotes, backslashes, control, line_breaks, token, a, b, c] = planes;
    let quotes = if any(backslashes) { without(quotes, escaped(&layout, backslashes)?) } else { quotes };
    // From each opening quote to the byte before its closing one.
    let (strings, is_open) = parity(quotes);
    if is_open {
        return None;
    }
    let opening = and(quotes, strings);
    let outside = without(there, or(strings, quotes));

    let (tokens, scalars) = (and(outside, token), without(outside, token));
    let (brackets, separators) = (and(tokens, a), without(tokens, a));
    let (open, close) = (and(brackets, c), without(brackets, c));
    let (colon, comma) = (and(separators, b), and(separators, c));
    let white = without(separators, or(b, c));
    let (digits, others) = (and(scalars, a), without(scalars, a));
    let (zeros, dots, minuses) = (and(digits, b), and(others, b), and(others, c));
    let others = without(others, or(b, c));
    let has_white = any(white);

    let scalar_starts = without(scalars, behind(scalars));
    if any(others) && !are_literals(&layout, others, and(others, scalar_starts)) {
        return None;
    }
    let (behind_minuses, behind_dots) = (behind(minuses), behind(dots));
    let leading_zeros = and(zeros, or(scalar_starts, behind_minuses));
    let behind_fractions = without(add(digits, and(behind_dots, digits)), digits);
    let bad_dots = and(dots, or(not(behind(digits)), behind_fractions));
    let bad_numbers = or(
        or(without(minuses, scalar_starts), without(or(behind_minuses, behind_dots), digits)),
        or(and(behind(leading_zeros), digits), bad_dots),
    );

    let objects = nesting(&layout, max_depth, brackets, open, b)?;
    let names_due = after(or(and(open, b), and(comma, objects)), white, has_white);
    let first_values = _mm512_maskz_set1_epi64(layout.heads(), 1);
    let value_tokens = or(or(without(open, b), without(comma, objects)), colon);
    let values_due = or(after(value_tokens, white, has_white), first_values);
    let more_due = after(or(comma, colon), white, has_white);
    // The carry of an addition runs through a string from its first byte to the byte behind its last.
    let behind_names = without(add(strings, and(opening, names_due)), strings);
    let colons_due = after(behind_names, white, has_white);

    let starts = or(or(opening, scalar_starts), open);
    let wrong = or(
        or(
            or(and(strings, control), without(names_due, or(opening, and(close, b)))),
            or(without(values_due, or(starts, without(close, b))), xor(colons_due, colon)),
        ),
        // A comma or a colon is the last thing in nothing; what follows a value is no value.
        or(or(and(more_due, close), without(starts, or(names_due, values_due))), bad_numbers),
    );
    if any(wrong) {
        return None;
    }
    let line_breaks = if has_white { _mm512_test_epi64_mask(white, line_breaks) } else { 0 };
    let accepted = |lanes: u8| {
        let object = Object { has_line_breaks: line_breaks & lanes != 0 };
        Accepted { object, is_ascii }
    };
    Some([accepted(layout.lanes(false)), accepted(layout.lanes(true))])
}

/// Which lanes the objects lie in, one behind the other.
///
/// No field is an array: it would be written to memory in pieces and read in one, for which the processor waits until all
/// that was begun before is done.
struct Layout<'a, const TWO: bool> {
    one: &'a [u8],
    other: &'a [u8],
    // The first lane behind the first object.
    second: usize,
}

impl<'a, const TWO: bool> Layout<'a, TWO> {
    /// `None`: there is no room, or one does not begin as objects do.
    #[inline(always)]
    fn of(one: &'a [u8], other: &'a [u8]) -> Option<Self> {
        let second = one.len().div_ceil(BLOCK);
        let blocks = second + if TWO { other.len().div_ceil(BLOCK) } else { 0 };
        let begin = one.first() == Some(&b'{') && (!TWO || other.first() == Some(&b'{'));
        (begin && blocks <= BLOCKS).then_some(Self { one, other, second })
    }

    /// The lanes of the first object or the second, and those behind the last one.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "a bit for each lane")]
    fn lanes(&self, is_second: bool) -> u8 {
        let of_first = ((1_u32 << self.second) - 1) as u8;
        match (TWO, is_second) {
            (false, _) => u8::MAX,
            (true, false) => of_first,
            (true, true) => !of_first,
        }
    }

    /// The lanes in which objects begin.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "a bit for each lane")]
    fn heads(&self) -> u8 {
        if TWO { (1 | 1_u32 << self.second) as u8 } else { 1 }
    }

    /// The object of a lane, and where in it the lane begins.
    #[inline(always)]
    fn at(&self, lane: usize) -> (&'a [u8], usize) {
        if TWO && lane >= self.second { (self.other, (lane - self.second) * BLOCK) } else { (self.one, lane * BLOCK) }
    }

    /// The places that have a byte.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn there(&self) -> Bits {
        let of_first = first(self.one.len());
        if !TWO {
            return of_first;
        }
        let of_both = first(self.second * BLOCK + self.other.len());
        // The first object's own end is not its last lane's.
        _mm512_mask_blend_epi64(self.lanes(false), of_both, of_first)
    }
}

/// The places of each bit of bytes' classes, and whether all bytes are ASCII.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi,avx512vbmi2,gfni,vpclmulqdq,bmi1,bmi2,popcnt")]
#[inline]
fn planes<const TWO: bool>(layout: &Layout<'_, TWO>, there: Bits) -> ([Bits; 8], bool) {
    // SAFETY: each has 64 bytes; no alignment is asked for.
    let (low, high) =
        unsafe { (_mm512_loadu_si512(CLASSES.as_ptr().cast()), _mm512_loadu_si512(CLASSES[BLOCK..].as_ptr().cast())) };
    let reversed = _mm512_broadcast_i32x4(_mm_setr_epi8(7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8));
    // SAFETY: as above.
    let gathered = unsafe { _mm512_loadu_si512(TRANSPOSED.as_ptr().cast()) };
    let each_bit = _mm512_set1_epi64(0x8040_2010_0804_0201_u64.cast_signed());
    let masks = words(there);
    let (mut rows, mut all) = ([_mm512_setzero_si512(); BLOCKS], _mm512_setzero_si512());
    for (lane, row) in rows.iter_mut().enumerate() {
        let (input, at) = layout.at(lane);
        // SAFETY: only bytes of the input are read.
        let bytes = unsafe { _mm512_maskz_loadu_epi8(masks[lane], input.as_ptr().wrapping_add(at).cast()) };
        all = or(all, bytes);
        // Beyond ASCII all are of the class of 0x7f: none.
        let classes = _mm512_permutex2var_epi8(low, _mm512_min_epu8(bytes, _mm512_set1_epi8(0x7f)), high);
        // Of each eight bytes one with their lowest bits, one with those above, and so on. The product of matrices takes
        // the last row for the first.
        let turned = _mm512_gf2p8affine_epi64_epi8::<0>(each_bit, _mm512_shuffle_epi8(classes, reversed));
        // All lowest bits first, and so on.
        *row = _mm512_permutexvar_epi8(gathered, turned);
    }
    (transpose(rows), _mm512_movepi8_mask(all) == 0)
}

/// The places of bytes in the transpose of a matrix of 8 by 8.
const TRANSPOSED: [u8; 64] = {
    let mut places = [0; 64];
    let mut place = 0;
    while place < 64 {
        places[place] = (place % 8 * 8 + place / 8) as u8;
        place += 1;
    }
    places
};

/// The transpose of a matrix of 8 by 8 words.
#[target_feature(enable = "avx512f")]
#[inline]
fn transpose(rows: [Bits; 8]) -> [Bits; 8] {
    let [r0, r1, r2, r3, r4, r5, r6, r7] = rows;
    let (low0, low1) = (_mm512_unpacklo_epi64(r0, r1), _mm512_unpacklo_epi64(r2, r3));
    let (low2, low3) = (_mm512_unpacklo_epi64(r4, r5), _mm512_unpacklo_epi64(r6, r7));
    let (high0, high1) = (_mm512_unpackhi_epi64(r0, r1), _mm512_unpackhi_epi64(r2, r3));
    let (high2, high3) = (_mm512_unpackhi_epi64(r4, r5), _mm512_unpackhi_epi64(r6, r7));
    let [c0, c2, c4, c6] = transpose_pairs([low0, low1, low2, low3]);
    let [c1, c3, c5, c7] = transpose_pairs([high0, high1, high2, high3]);
    [c0, c1, c2, c3, c4, c5, c6, c7]
}

/// The transpose of a matrix of 4 by 4 pairs of words.
#[target_feature(enable = "avx512f")]
#[inline]
fn transpose_pairs(rows: [Bits; 4]) -> [Bits; 4] {
    let [r0, r1, r2, r3] = rows;
    let (even, odd) = (_mm512_shuffle_i64x2::<0x88>(r0, r1), _mm512_shuffle_i64x2::<0xdd>(r0, r1));
    let (even2, odd2) = (_mm512_shuffle_i64x2::<0x88>(r2, r3), _mm512_shuffle_i64x2::<0xdd>(r2, r3));
    [
        _mm512_shuffle_i64x2::<0x88>(even, even2),
        _mm512_shuffle_i64x2::<0x88>(odd, odd2),
        _mm512_shuffle_i64x2::<0xdd>(even, even2),
        _mm512_shuffle_i64x2::<0xdd>(odd, odd2),
    ]
}

/// The places that lie in an object rather than an array. `None` if brackets don't match, are nested too deeply or something
/// follows the last one.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,vpclmulqdq,bmi1,bmi2,popcnt")]
#[inline]
fn nesting<const TWO: bool>(
    layout: &Layout<'_, TWO>,
    max_depth: u32,
    brackets: Bits,
    open: Bits,
    braces: Bits,
) -> Option<Bits> {
    let with_brackets = _mm512_test_epi64_mask(brackets, brackets);
    let (brackets, opens, braces) = (words(brackets), words(open), words(braces));
    let (mut deepest, mut wrong) = (0_u32, 0_u64);
    // Where an object begins in an array or the other way round, or where one goes on.
    let mut changes = _mm512_setzero_si512();
    for is_second in if TWO { &[false, true][..] } else { &[false] } {
        // A bit for each level, the innermost lowest: set for an object.
        let (mut objects, mut depth) = (0_u64, 0_u32);
        let mut left_lanes = with_brackets & layout.lanes(*is_second);
        let mut end = None;
        while left_lanes != 0 {
            let lane = left_lanes.trailing_zeros() as usize;
            let (mut left, opens, braces) = (brackets[lane], opens[lane], braces[lane]);
            let mut changed = 0;
            // With no branch but that of the end: which bracket comes next can't be foreseen.
            while left != 0 {
                let bracket = left & left.wrapping_neg();
                left ^= bracket;
                let (brace, opens) = (u64::from(braces & bracket != 0), opens & bracket != 0);
                let before = objects;
                wrong |= if opens { 0 } else { (objects & 1) ^ brace };
                objects = if opens { objects << 1 | brace } else { objects >> 1 };
                changed |= if (objects ^ before) & 1 == 0 { 0 } else { bracket };
                depth = depth.wrapping_add(if opens { 1 } else { u32::MAX });
                deepest = deepest.max(depth);
                if depth == 0 {
                    end = Some((lane, bracket.trailing_zeros() as usize));
                    break;
                }
            }
            changes = _mm512_mask_set1_epi64(changes, 1 << lane, changed.cast_signed());
            left_lanes = if end.is_some() { 0 } else { left_lanes & (left_lanes - 1) };
        }
        // Of two objects this is what keeps one's string, or whatever else it leaves open, out of the other.
        let (lane, place) = end?;
        let (input, at) = layout.at(lane);
        let is_white = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        if !input[at + place + 1..].iter().all(is_white) {
            return None;
        }
    }
    (wrong == 0 && deepest <= max_depth.min(MAX_DEPTH)).then(|| parity(changes).0)
}

/// The bytes that a backslash stands before. `None` if one is none that may stand there.
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
#[cold]
#[inline(never)]
fn escaped<const TWO: bool>(layout: &Layout<'_, TWO>, backslashes: Bits) -> Option<Bits> {
    let (mut escaped, mut next) = ([0; BLOCKS], 0);
    for (lane, (escaped, backslashes)) in escaped.iter_mut().zip(words(backslashes)).enumerate() {
        if backslashes | next != 0 {
            let (input, at) = layout.at(lane);
            // None is the last byte of the first of two: something has to stand behind it.
            (*escaped, next) = escapes(input.get(at..)?, backslashes, next)?;
        }
    }
    // SAFETY: they are 64 bytes; no alignment is asked for.
    Some(unsafe { _mm512_loadu_si512(escaped.as_ptr().cast()) })
}

/// Whether all `others` belong to literals, which begin at `heads`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,bmi1,bmi2,popcnt")]
#[inline]
fn are_literals<const TWO: bool>(layout: &Layout<'_, TWO>, others: Bits, heads: Bits) -> bool {
    let mut lanes = _mm512_test_epi64_mask(others, others);
    let (others, heads) = (words(others), words(heads));
    let (mut bytes, mut of_literals) = (0, 0);
    while lanes != 0 {
        let lane = lanes.trailing_zeros() as usize;
        lanes &= lanes - 1;
        bytes += others[lane].count_ones();
        let (input, from) = layout.at(lane);
        let mut heads = heads[lane];
        while heads != 0 {
            let at = from + heads.trailing_zeros() as usize;
            heads &= heads - 1;
            let length = literal(input, at);
            // What may stand behind a value.
            let behind = input.get(at + length as usize);
            if !matches!(behind, Some(b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r')) {
                return false;
            }
            of_literals += length;
        }
    }
    bytes == of_literals
}
