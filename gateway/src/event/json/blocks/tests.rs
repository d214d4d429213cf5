use super::*;
use crate::event::json::check_bytewise;

const OBJECT: &str = r#"{"player_id":"p_1","at":[1,20.5,-3,{"x":0,"y":-0.25}],"ok":true,"none":null,"off":false,"said":"a \"b\" \\ \u00e9","e":{},"l":[ ]}"#;

/// What each way that this machine has says.
fn every_way(input: &[u8], max_depth: u32) -> Vec<Option<Accepted>> {
    #[allow(unused_mut, reason = "there are ways on x86-64 only")]
    let mut said = Vec::new();
    #[cfg(target_arch = "x86_64")]
    if has_bits() {
        if is_x86_feature_detected!("avx512bw") {
            // SAFETY: the machine has it.
            said.push(unsafe { avx512::accept(input, max_depth) });
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the machine has it.
            said.push(unsafe { avx2::accept(input, max_depth) });
        }
    }
    said
}

/// Each way takes just what is taken a byte at a time. Numbers with an exponent it may leave.
fn check(input: &[u8]) {
    let is_ascii = input.is_ascii();
    let bytewise = check_bytewise(input, 64).ok().map(|object| Accepted { object, is_ascii });
    let may_leave = input.iter().any(|byte| matches!(byte, b'e' | b'E'));
    for said in every_way(input, 64) {
        assert!(said == bytewise || said.is_none() && may_leave, "{said:?} {}", String::from_utf8_lossy(input));
    }
    if let Some(said) = all_at_once(input, 64) {
        let may_leave = may_leave || input.len() > 512 || input.first() != Some(&b'{');
        assert!(said == bytewise || said.is_none() && may_leave, "{said:?} {}", String::from_utf8_lossy(input));
        check_side_by_side(input, said);
    }
}

/// Of two objects side by side both are taken or none: each as it would be alone.
fn check_side_by_side(input: &[u8], alone: Option<Accepted>) {
    let of_length = |length: usize| format!("{{\"t\":\"{}\"}}", "t".repeat(length - 8));
    // To the last byte of its last block goes an object, white space, or what something is due behind.
    let (full, white) = (of_length(BLOCK), format!("{}\r\n  ", of_length(BLOCK - 4)));
    let (comma, open) = (format!("{},", of_length(BLOCK - 1)), format!("{}\"", &full[..BLOCK - 1]));
    for (other, is_one) in [
        (full.as_str(), true),
        (&white, true),
        ("{\"at\":[1,{}]}", true),
        (&comma, false),
        (&open, false),
        ("[\"a\",{}]", false),
        ("[\"a\":1}", false),
        (" {}", false),
    ] {
        for inputs in [[input, other.as_bytes()], [other.as_bytes(), input], [input, input]] {
            #[cfg(target_arch = "x86_64")]
            if !at_once::is_for_two(inputs[0].len(), inputs[1].len()) {
                continue;
            }
            let expected = alone.filter(|_| is_one || inputs[0] == inputs[1]);
            let said = accept_two(inputs[0], inputs[1], 64);
            assert_eq!(said.is_some(), expected.is_some(), "{:?}", inputs.map(String::from_utf8_lossy));
            let Some(said) = said else { continue };
            for (said, input) in said.into_iter().zip(inputs) {
                assert_eq!(check_bytewise(input, 64), Ok(said.object));
                assert_eq!(said.is_ascii, inputs.iter().all(|input| input.is_ascii()));
            }
        }
    }
}

/// What is said where the machine looks at all of it at once.
fn all_at_once(input: &[u8], max_depth: u32) -> Option<Option<Accepted>> {
    #[cfg(target_arch = "x86_64")]
    if at_once::is_there() {
        // SAFETY: the machine has it.
        return Some(unsafe { at_once::accept(input, max_depth) });
    }
    let _ = (input, max_depth);
    None
}

/// The same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

#[test]
fn what_is_taken_a_byte_at_a_time_is_taken() {
    let accepted = Accepted { object: Object { has_line_breaks: false }, is_ascii: true };
    assert!(every_way(OBJECT.as_bytes(), 64).iter().all(|said| *said == Some(accepted)));
    assert!(all_at_once(OBJECT.as_bytes(), 64).is_none_or(|said| said == Some(accepted)));
    assert!(every_way(b"{\"a\":1e5}", 64).iter().all(Option::is_none), "exponents are not known here");
}

/// So that every token lies across the end of a block once, and so does what is wrong with it.
#[test]
fn it_does_not_matter_where_blocks_end() {
    for shift in 0..BLOCK {
        let white: Vec<u8> = (0..shift).map(|place| b" \t\r\n"[place % 4]).collect();
        let shifted = [&white, OBJECT.as_bytes()].concat();
        check(&shifted);
        for at in shift..shifted.len() {
            for byte in
                [b'"', b'\\', b'{', b'}', b'[', b']', b':', b',', b' ', b'0', b'7', b'.', b'-', b'x', 0x1f, 0xc3]
            {
                let mut changed = shifted.clone();
                changed[at] = byte;
                check(&changed);
            }
            let mut cut = shifted.clone();
            cut.remove(at);
            check(&cut);
            check(&shifted[..at]);
        }
    }
}

/// The same for objects that are looked at all at once: they begin with their first byte. Up to the longest of them, and beyond.
#[test]
fn it_does_not_matter_where_words_end() {
    let rest = &OBJECT[1..];
    let changes = [b'"', b'\\', b'{', b'}', b'[', b']', b':', b',', b' ', b'0', b'7', b'.', b'-', b'x', 0x1f, 0xc3];
    // The first member's text takes the room that is left.
    for length in (OBJECT.len() + 8..OBJECT.len() + 80).chain(512 - 40..=512 + 2) {
        let long = format!("{{\"t\":\"{}\",{rest}", "t".repeat(length - OBJECT.len() - 7));
        assert_eq!(long.len(), length);
        check(long.as_bytes());
        for at in length - rest.len() - 4..length {
            for byte in changes {
                let mut changed = long.clone().into_bytes();
                changed[at] = byte;
                check(&changed);
            }
            let mut cut = long.clone().into_bytes();
            cut.remove(at);
            check(&cut);
            check(&long.as_bytes()[..at]);
        }
    }
}

/// What is carried from a word into the next one goes through words that are full.
#[test]
fn names_numbers_and_white_space_may_be_longer_than_words() {
    for length in 1..500 {
        let (name, digits, white) = ("n".repeat(length), "7".repeat(length), " ".repeat(length));
        for object in [
            format!("{{\"{name}\":1}}"),
            format!("{{\"{name}\",\"a\":1}}"),
            format!("{{\"a\":0.{digits}}}"),
            format!("{{\"a\":0.{digits}.5}}"),
            format!("{{\"a\":1,{white}\"b\":2}}"),
            format!("{{\"a\":1,{white}2}}"),
            format!("{{\"a\"{white}:[1,{white}]}}"),
            format!("{{\"a\":\"{name}\"}}{white}"),
        ] {
            check(object.as_bytes());
        }
    }
}

#[test]
fn white_space_may_stand_between_tokens_and_nowhere_else() {
    for at in 0..=OBJECT.len() {
        for count in [1, 63, 64, 65, 130] {
            let white = " \n".repeat(count).into_bytes();
            check(&[&OBJECT.as_bytes()[..at], &white[..count], &OBJECT.as_bytes()[at..]].concat());
        }
    }
}

#[test]
fn tokens_in_any_order_are_taken_only_where_they_may_stand() {
    const TOKENS: [&str; 18] = [
        "{", "}", "[", "]", ":", ",", "\"a\"", "\"\\n\"", "1", "0", "-0.5", "12", "true", "false", "null", " ", "\n",
        "\"}{\"",
    ];
    let mut random = Random(1);
    let mut taken = 0;
    for _ in 0..60_000 {
        let tokens = (0..random.below(12)).map(|_| TOKENS[random.below(TOKENS.len())]).collect::<String>();
        let padding = " ".repeat(random.below(70));
        let input = format!("{padding}{{{tokens}}}");
        taken += usize::from(check_bytewise(input.as_bytes(), 64).is_ok());
        check(input.as_bytes());
        check(format!("{{\"{padding}\":{{{tokens}}}}}").as_bytes());
    }
    assert!(taken > 100, "{taken} of them are objects");
}

#[test]
fn numbers_are_those_of_json() {
    let mut random = Random(2);
    for _ in 0..60_000 {
        let number: String = (0..=random.below(6)).map(|_| char::from(b"0012-.."[random.below(7)])).collect();
        let padding = "x".repeat(50 + random.below(20));
        check(format!("{{\"{padding}\":{number}}}").as_bytes());
        check(format!("{{\"{padding}\":[{number},{number}]}}").as_bytes());
    }
}

#[test]
fn nesting_is_bounded() {
    for (levels, max_depth) in [(1, 1), (2, 1), (5, 5), (6, 5), (64, 64), (65, 65), (65, 512), (200, 512)] {
        let nested = format!("{{\"a\":{}1{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        let expected = levels <= max_depth.min(MAX_DEPTH) as usize;
        assert!(every_way(nested.as_bytes(), max_depth).iter().all(|said| said.is_some() == expected), "{levels}");
        assert!(all_at_once(nested.as_bytes(), max_depth).is_none_or(|said| said.is_some() == expected), "{levels}");
    }
}
