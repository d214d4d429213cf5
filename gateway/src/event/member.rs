//! Finds one member of a JSON object without building the object. Only for objects that [`super::json`] has checked: the
//! grammar is taken for granted, and bytes that are no JSON give no answer or a wrong one, but never a panic.

/// The value of an object's member, as it stands there.
///
/// Of a name that comes twice the first one counts, as for the readers of the lake (DuckDB, Athena). Members of nested
/// objects are not looked at.
#[must_use]
pub fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut walk = Walk { input: object, at: 0 };
    walk.skip_white_space();
    walk.expect(b'{')?;
    loop {
        walk.skip_white_space();
        let key = walk.string()?;
        walk.skip_white_space();
        walk.expect(b':')?;
        walk.skip_white_space();
        let value = walk.value()?;
        if is_named(key, name) {
            return Some(value);
        }
        walk.skip_white_space();
        walk.expect(b',')?;
    }
}

/// Every member of an object, as its name (without quotes, escapes left as they stand) and its value, both as they stand
/// there. Members of nested objects are not looked at.
pub fn members(object: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut walk = Walk { input: object, at: 0 };
    let mut opening = Some(b'{');
    std::iter::from_fn(move || {
        walk.skip_white_space();
        walk.expect(opening.take().unwrap_or(b','))?;
        walk.skip_white_space();
        let key = walk.string()?;
        walk.skip_white_space();
        walk.expect(b':')?;
        walk.skip_white_space();
        Some((key, walk.value()?))
    })
    .fuse()
}

/// A scalar's text: a string's characters (escapes are left as they stand), a number or a truth value as it is written.
/// `None` for null, an object or an array.
#[must_use]
pub fn scalar(value: &[u8]) -> Option<&[u8]> {
    match value {
        [b'"', text @ .., b'"'] => Some(text),
        [b'-' | b'0'..=b'9' | b't' | b'f', ..] => Some(value),
        _ => None,
    }
}

/// The characters of a string whose escapes are left as they stand. A lone surrogate, which UTF-8 can't hold, leaves them so.
#[must_use]
pub fn unescaped(text: &[u8]) -> Vec<u8> {
    if !text.contains(&b'\\') {
        return text.to_vec();
    }
    let quoted = [b"\"", text, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).map_or_else(|_| text.to_vec(), String::into_bytes)
}

fn is_named(key: &[u8], name: &str) -> bool {
    if key.contains(&b'\\') { unescaped(key) == name.as_bytes() } else { key == name.as_bytes() }
}

struct Walk<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        let found = self.peek() == Some(byte);
        self.at += 1;
        found.then_some(())
    }

    fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// What stands between two quotes.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            let rest = self.input.get(self.at..)?;
            self.at += memchr::memchr2(b'"', b'\\', rest)?;
            if self.peek() == Some(b'"') {
                let text = &self.input[start..self.at];
                self.at += 1;
                return Some(text);
            }
            // The character after a backslash never ends the string.
            self.at += 2;
        }
    }

    fn value(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        let mut depth = 0_u32;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                _ => self.skip_plain(),
            }
            if depth == 0 {
                return self.input.get(start..self.at);
            }
        }
    }

    /// A number or a word.
    fn skip_plain(&mut self) {
        while let Some(byte) = self.peek()
            && !matches!(byte, b',' | b':' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t' | b'"' | b'{' | b'[')
        {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::json::check_object;

    fn text(object: &str) -> Option<String> {
        assert!(check_object(object.as_bytes(), 64).is_ok(), "{object}");
        let value = scalar(member(object.as_bytes(), "spell_id")?)?;
        Some(String::from_utf8(unescaped(value)).expect("UTF-8"))
    }

    #[test]
    fn a_member_of_the_object_itself_is_found_wherever_it_stands() {
        for object in [
            r#"{"spell_id":"fire"}"#,
            r#"{ "a" : [1, {"spell_id":"no"}, "]}"], "b":{"spell_id":"no"}, "spell_id" : "fire" , "c":null}"#,
            "{\n\t\"x\":-1.5e+3,\r\n\"y\":true,\"z\":\"\\\"\\\\\",\"spell_id\":\"fire\"}",
            r#"{"":{},"e":[],"spell\u005fid":"f\u0069re"}"#,
            r#"{"spell_id":"fire","spell_id":"second"}"#,
        ] {
            assert_eq!(text(object).as_deref(), Some("fire"), "{object}");
        }
    }

    #[test]
    fn every_member_is_told_with_its_name() {
        let object = br#"{ "a" : [1, {"b":2}] , "c\u005f":"}", "":null,"a":3 }"#;
        let told: Vec<(&str, &str)> = members(object)
            .map(|(key, value)| (std::str::from_utf8(key).expect("UTF-8"), std::str::from_utf8(value).expect("UTF-8")))
            .collect();
        assert_eq!(told, [("a", r#"[1, {"b":2}]"#), (r"c\u005f", r#""}""#), ("", "null"), ("a", "3")]);
        for none in ["", "{}", " { } ", "[1]"] {
            assert_eq!(members(none.as_bytes()).count(), 0, "{none}");
        }
    }

    #[test]
    fn scalars_are_told_as_text_and_other_values_not_at_all() {
        assert_eq!(text(r#"{"spell_id":7}"#).as_deref(), Some("7"));
        assert_eq!(text(r#"{"spell_id":-7.50}"#).as_deref(), Some("-7.50"));
        assert_eq!(text(r#"{"spell_id":true}"#).as_deref(), Some("true"));
        assert_eq!(text(r#"{"spell_id":""}"#).as_deref(), Some(""));
        assert_eq!(text(r#"{"spell_id":"\ud83d\ude00"}"#).as_deref(), Some("\u{1f600}"));
        assert_eq!(text(r#"{"spell_id":"\ud83d"}"#).as_deref(), Some(r"\ud83d"), "a lone surrogate stays as it is");
        for other in ["{}", r#"{"spell_id":null}"#, r#"{"spell_id":{}}"#, r#"{"spell_id":[1]}"#, r#"{"spell":"x"}"#] {
            assert_eq!(text(other), None, "{other}");
        }
    }

    #[test]
    fn it_agrees_with_serde_json_and_never_panics_on_what_is_no_json() {
        let object =
            r#"{"id":"p-\u00e91","n":[1,-2.5e+3,null,{"k":"v\n"}],"o":{"a":[],"b":{}},"spell_id":"x\ty","t":1}"#;
        for name in ["id", "n", "o", "spell_id", "t", "k", "a"] {
            let parsed: serde_json::Value = serde_json::from_str(object).expect("JSON");
            let found = member(object.as_bytes(), name).map(|value| serde_json::from_slice(value).expect("JSON"));
            assert_eq!(found.as_ref(), parsed.get(name), "{name}");
        }
        for at in 0..object.len() {
            for byte in b" \"\\{}[],:-0tn" {
                let mut changed = object.as_bytes().to_vec();
                changed[at] = *byte;
                let _ = member(&changed, "spell_id").and_then(scalar).map(unescaped);
            }
            let _ = member(&object.as_bytes()[..at], "spell_id");
        }
    }
}
