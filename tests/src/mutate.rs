//! Random changes of an input, those that fuzzers begin with: bits, bytes, stretches, pieces of another input, and bytes
//! that mean something to most parsers.

use crate::seed::Draw;

const MEANINGFUL: [&[u8]; 14] = [
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"{",
    b"}",
    b"[",
    b"\"",
    b"\\u",
    b"1e999",
    b"-",
    b"\r\n",
];
/// Longer inputs are not made.
const MAX_LEN: usize = 16 << 10;

/// Changes an input in one to four places; `other` is another input.
pub fn mutate(input: &mut Vec<u8>, other: &[u8], draw: &mut Draw) {
    for _ in 0..=draw.below(4) {
        change(input, other, draw);
    }
    input.truncate(MAX_LEN);
}

fn change(input: &mut Vec<u8>, other: &[u8], draw: &mut Draw) {
    let at = draw.below(input.len() + 1);
    let len = draw.below((input.len() - at).min(64) + 1);
    match draw.below(8) {
        0 if at < input.len() => input[at] ^= 1 << draw.below(8),
        1 if at < input.len() => input[at] = draw.any().to_le_bytes()[0],
        2 => drop(input.drain(at..at + len)),
        3 => drop(input.splice(at..at, input[at..at + len].to_vec())),
        4 => {
            let word = MEANINGFUL[draw.below(MEANINGFUL.len())];
            drop(input.splice(at..at, word.iter().copied()));
        }
        5 => {
            let from = draw.below(other.len() + 1);
            let piece = &other[from..from + draw.below(other.len() - from + 1)];
            drop(input.splice(at..at + len, piece.iter().copied()));
        }
        6 if at < input.len() => input[at] = input[at].wrapping_add(draw.below(5) as u8).wrapping_sub(2),
        _ => input.truncate(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_mutations_change_something_and_none_grows_without_bound() {
        let mut draw = Draw::new(7, 0);
        let (original, other) = (b"an input of some length".to_vec(), b"{\"another\":1}".to_vec());
        let changed = (0..1_000).filter(|_| {
            let mut input = original.clone();
            mutate(&mut input, &other, &mut draw);
            input != original
        });
        assert!(changed.count() > 900);
        let mut input = original;
        for _ in 0..10_000 {
            mutate(&mut input, &other, &mut draw);
            assert!(input.len() <= MAX_LEN);
        }
    }
}
