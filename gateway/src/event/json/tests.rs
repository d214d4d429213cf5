use super::*;

/// What serde_json says of the same bytes.
fn by_serde(input: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(input).is_ok()
}

fn agree(input: &[u8]) {
    let ours = check_object(input, 64).is_ok();
    // Two known differences, both on purpose: serde_json refuses numbers out of f64's range and lone surrogates,
    // which RFC 8259 allows.
    let theirs = by_serde(input);
    let text = String::from_utf8_lossy(input);
    assert!(ours == theirs || (ours && (text.contains('e') || text.contains('E') || text.contains("\\u"))), "{text}");
}

#[test]
fn it_agrees_with_serde_json_on_the_corners_of_the_grammar() {
    let cases = [
        "{}",
        " {} ",
        "{",
        "}",
        "",
        " ",
        "[]",
        "\"a\"",
        "1",
        "null",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":-0}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":1.5}",
        "{\"a\":1e}",
        "{\"a\":1e5}",
        "{\"a\":1E+05}",
        "{\"a\":+1}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":tru}",
        "{\"a\":true}",
        "{\"a\":[1,2,]}",
        "{\"a\":[1,2]}",
        "{\"a\":[}",
        "{\"a\":[]]",
        "{\"a\":{}}",
        "{\"a\":{]}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\u12fG\"}",
        "{\"a\":\"\\u12fF\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"abcdefgh\u{1}ijkl\"}",
        "{\"a\":\"\\\"\"}",
        "{\"a\":\"\\\"}",
        "{}{}",
        "{} x",
        "{'a':1}",
        "{a:1}",
        "{\"a\":1,\"a\":2}",
        "\u{feff}{}",
        "{\"a\":\"é漢字🎮\"}",
        "{\"é\":\"é\"}",
        "{\"a\" : [ { \"b\" : [ ] } ] }",
    ];
    for case in cases {
        assert_eq!(check_object(case.as_bytes(), 64).is_ok(), by_serde(case.as_bytes()), "{case}");
    }
}

#[test]
fn it_agrees_with_serde_json_on_every_one_byte_change_of_an_object() {
    let object =
        br#"{"id":"p-\u00e91","n":[1,-2.5e+3,true,false,null,{"k":"v\n"}],"o":{"a":[],"b":{}},"s":"plain text"}"#;
    for at in 0..object.len() {
        for byte in b" \"\\{}[],:-+.0e9tnux\x1f\x7f".iter() {
            let mut changed = object.to_vec();
            changed[at] = *byte;
            agree(&changed);
        }
        let mut cut = object.to_vec();
        cut.remove(at);
        agree(&cut);
        agree(&object[..at]);
    }
}

#[test]
fn depth_is_bounded_and_ten_thousand_levels_cost_no_stack() {
    let nested = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    assert!(check_object(nested(64).as_bytes(), 64).is_ok());
    assert_eq!(check_object(nested(65).as_bytes(), 64), Err(Fault::TooDeep));
    assert!(check_object(nested(512).as_bytes(), 10_000).is_ok());
    assert_eq!(check_object(nested(10_000).as_bytes(), 10_000), Err(Fault::TooDeep));
}

#[test]
fn what_is_no_utf8_is_told_before_anything_else() {
    for length in [1, 20, 60, 64, 65, 200] {
        let text = "x".repeat(length);
        for (object, at) in
            [(format!("{{\"a\":\"{text}\"}}"), 6), (format!("{{\"a\":\"{text}\" no JSON"), 6 + length - 1)]
        {
            let mut bytes = object.into_bytes();
            bytes[at] = 0xff;
            assert_eq!(check_object(&bytes, 64), Err(Fault::NotUtf8), "{length}");
        }
    }
}

#[test]
fn line_breaks_between_tokens_are_reported() {
    assert_eq!(check_object(b"{\"a\":1}", 64), Ok(Object { has_line_breaks: false }));
    assert_eq!(check_object(b"{\n\"a\":1}", 64), Ok(Object { has_line_breaks: true }));
    assert_eq!(check_object(b"{\"a\":1}\r", 64), Ok(Object { has_line_breaks: true }));
    assert_eq!(check_object(b"{\"a\":\"\\n\"}", 64), Ok(Object { has_line_breaks: false }));
}
