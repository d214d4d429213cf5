//! A JSON Schema in the form that events are held against.
//!
//! Schemas come from administrators, events from anybody. So a schema may refer only to itself and to the drafts' own
//! meta-schemas (nothing is ever fetched), and its patterns are run by an engine whose time is linear in the text: those
//! with look-around or back-references, which JSON Schema leaves to implementations, are refused when the schema is put.

use std::collections::HashSet;
use std::fmt;

use jsonschema::paths::LocationSegment;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

/// Bytes of a pattern once it is compiled, and how many a schema may hold.
const MAX_PATTERN: usize = 1 << 20;
const MAX_PATTERNS: usize = 100;
/// Bytes that are told of a field's path, and of what is wrong with it. Both can hold names that the event chose.
const MAX_TOLD: usize = 256;

/// A schema for `event_data`. Without `$schema` it is read as draft 2020-12.
pub struct JsonSchema {
    validator: Validator,
    // Names of members that it speaks of.
    names: HashSet<String>,
}

/// What does not fit: the first thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where: `event_data`, or a place in it such as `event_data/player/level`. Names that the schema does not know are
    /// `*`: they are the event's own, and may be anybody's.
    pub field: String,
    /// What is wrong there, in plain words. Values are not repeated.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.message)
    }
}

impl fmt::Debug for JsonSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonSchema")
    }
}

impl JsonSchema {
    /// Makes a schema ready for use.
    ///
    /// # Errors
    /// If it is no JSON object, or no JSON Schema; says where.
    pub fn compile(schema: &str) -> Result<Self, String> {
        let schema: Value = serde_json::from_str(schema).map_err(|error| format!("must be a JSON object: {error}"))?;
        if !schema.is_object() {
            return Err("must be a JSON object".to_owned());
        }
        let mut spoken_of = SpokenOf::default();
        spoken_of.gather(&schema);
        if spoken_of.patterns > MAX_PATTERNS {
            return Err(format!("holds {} patterns, at most {MAX_PATTERNS} are allowed", spoken_of.patterns));
        }
        let patterns = PatternOptions::regex().size_limit(MAX_PATTERN);
        let options = jsonschema::options().offline().with_pattern_options(patterns).should_validate_formats(true);
        let validator = options.build(&schema).map_err(|error| {
            let place = error.instance_path().as_str();
            let place = if place.is_empty() { "" } else { &format!(" at {place}") };
            format!("is no JSON Schema{place}: {}", shortened(&error.to_string()))
        })?;
        Ok(Self { validator, names: spoken_of.names })
    }

    /// Holds an event's `event_data` against it: one JSON object, already checked. None at all counts as an empty one.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn check(&self, event_data: &[u8]) -> Result<(), Box<Violation>> {
        let event_data = if event_data.is_empty() { b"{}" } else { event_data };
        let value: Value = serde_json::from_slice(event_data).map_err(|error| {
            // More than 127 levels, a number that no float holds, half of a surrogate pair.
            Box::new(Violation {
                field: "event_data".to_owned(),
                message: format!("can't be held against its schema: {error}"),
            })
        })?;
        if self.validator.is_valid(&value) {
            return Ok(());
        }
        self.validator.validate(&value).map_err(|error| {
            let field = shortened(&self.place(&error));
            let message = shortened(&error.masked_with("the value").to_string());
            Box::new(Violation { field, message })
        })
    }
}

impl JsonSchema {
    fn place(&self, error: &ValidationError<'_>) -> String {
        error.instance_path().segments().fold("event_data".to_owned(), |place, segment| match segment {
            LocationSegment::Index(index) => format!("{place}/{index}"),
            LocationSegment::Property(name) if self.names.contains(name.as_ref()) => format!("{place}/{name}"),
            LocationSegment::Property(_) => format!("{place}/*"),
        })
    }
}

/// What a schema speaks of.
#[derive(Default)]
struct SpokenOf {
    names: HashSet<String>,
    patterns: usize,
}

impl SpokenOf {
    fn gather(&mut self, schema: &Value) {
        match schema {
            Value::Object(members) => {
                for (name, value) in members {
                    match (name.as_str(), value) {
                        ("properties", Value::Object(properties)) => self.names.extend(properties.keys().cloned()),
                        ("patternProperties", Value::Object(properties)) => self.patterns += properties.len(),
                        ("pattern", Value::String(_)) => self.patterns += 1,
                        _ => {}
                    }
                    self.gather(value);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.gather(value)),
            _ => {}
        }
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= MAX_TOLD {
        return text.to_owned();
    }
    let mut end = MAX_TOLD;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}\u{2026}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MATCH: &str = r#"{
        "type": "object",
        "required": ["player_id"],
        "properties": {
            "player_id": { "type": "string", "pattern": "^[a-z0-9-]+$" },
            "score": { "type": "integer", "minimum": 0 },
            "items": { "type": "array", "items": { "enum": ["sword", "shield"] } },
            "mail": { "type": "string", "format": "email" }
        },
        "additionalProperties": false
    }"#;

    #[test]
    fn the_schemas_of_the_library_of_events_can_be_put() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/schemas/headgate/events/v1");
        let mut put = 0;
        for entry in std::fs::read_dir(folder).expect("the library is there") {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            let event_type = name.strip_suffix(".schema.json").expect("a schema");
            let text = std::fs::read_to_string(&path).expect("the schema can be read");
            let checked = crate::registry::rules::check_schema(event_type, &text);
            assert!(checked.is_ok(), "{name}: {checked:?}");
            let schema = JsonSchema::compile(&text).expect("it is a schema");
            let nobody = schema.check(br#"{"session_id":"s-1"}"#).expect_err("who plays is required");
            assert_eq!(nobody.field, "event_data", "{name}: {}", nobody.message);
            put += 1;
        }
        assert!(put >= 20, "{put}");
    }

    fn found(event_data: &str) -> Option<(String, String)> {
        let schema = JsonSchema::compile(MATCH).expect("it is a schema");
        schema.check(event_data.as_bytes()).err().map(|violation| (violation.field, violation.message))
    }

    #[test]
    fn what_fits_fits_and_what_does_not_is_told_with_its_place() {
        assert_eq!(found(r#"{"player_id":"p-1","score":3,"items":["sword"],"mail":"a@example.com"}"#), None);
        for (event_data, field, says) in [
            ("", "event_data", "\"player_id\" is a required property"),
            (r#"{"player_id":7}"#, "event_data/player_id", "the value is not of type \"string\""),
            (r#"{"player_id":"p","score":-1}"#, "event_data/score", "less than the minimum"),
            (r#"{"player_id":"p","items":["sword","gun"]}"#, "event_data/items/1", "is not one of"),
            (r#"{"player_id":"p","mail":"nobody"}"#, "event_data/mail", "is not a \"email\""),
            (r#"{"player_id":"p","x":1}"#, "event_data", "('x' was unexpected)"),
        ] {
            let (at, message) = found(event_data).unwrap_or_else(|| panic!("{event_data} does not fit"));
            assert_eq!(at, field, "{message}");
            assert!(message.contains(says), "{event_data}: {message}");
        }
    }

    #[test]
    fn a_value_is_not_repeated_and_a_chosen_name_is_cut() {
        let (_, message) = found(r#"{"player_id":"Anna Maria"}"#).expect("the pattern forbids it");
        assert!(!message.contains("Anna"), "{message}");
        let (_, message) = found(&format!(r#"{{"player_id":"p","{}":1}}"#, "é".repeat(2_000))).expect("it is too much");
        assert!(message.len() <= MAX_TOLD + 3, "{}", message.len());
    }

    #[test]
    fn a_name_of_the_events_own_is_not_told() {
        let schema = r#"{"properties":{"friends":{"additionalProperties":{"type":"integer"}}}}"#;
        let schema = JsonSchema::compile(schema).expect("it is a schema");
        let violation = schema.check(br#"{"friends":{"anna@example.com":"x"}}"#).expect_err("it is no integer");
        assert_eq!(violation.field, "event_data/friends/*");
        let many = format!(r#"{{"allOf":[{}]}}"#, vec![r#"{"pattern":"a"}"#; 101].join(","));
        assert!(JsonSchema::compile(&many).expect_err("too many").contains("101 patterns"));
    }

    #[test]
    fn what_serde_cannot_read_does_not_fit_and_says_why() {
        let deep = format!(r#"{{"player_id":"p","score":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
        for event_data in [deep.as_str(), r#"{"player_id":"\ud83d"}"#, r#"{"player_id":"p","score":1e999}"#] {
            let (field, message) = found(event_data).expect("it can't be read");
            assert_eq!(field, "event_data");
            assert!(message.contains("can't be held against its schema"), "{message}");
        }
    }

    #[test]
    fn what_is_no_schema_or_would_cost_too_much_is_refused_when_it_is_put() {
        let refused = |schema: &str| JsonSchema::compile(schema).expect_err(schema);
        assert!(refused("").contains("must be a JSON object"));
        assert!(refused("[]").contains("must be a JSON object"));
        assert!(refused(r#"{"type":"strnig"}"#).contains("is no JSON Schema at /type"));
        assert!(refused(r#"{"properties":[]}"#).contains("/properties"));
        assert!(refused(r#"{"$ref":"https://example.com/schema.json"}"#).contains("is no JSON Schema"));
        assert!(refused(r##"{"$ref":"#/$defs/none"}"##).contains("is no JSON Schema"));
        assert!(refused(r#"{"properties":{"a":{"pattern":"(?=x)y"}}}"#).contains("is no JSON Schema"));
        assert!(refused(r#"{"properties":{"a":{"pattern":"((a{1000}){1000}){1000}"}}}"#).contains("is no JSON Schema"));
    }

    /// A pattern that takes a backtracking engine years.
    #[test]
    fn a_pattern_takes_time_in_proportion_to_the_text() {
        let schema = JsonSchema::compile(r#"{"properties":{"a":{"pattern":"^(a+)+$"}}}"#).expect("it is a schema");
        let event_data = format!(r#"{{"a":"{}!"}}"#, "a".repeat(100_000));
        assert!(schema.check(event_data.as_bytes()).is_err());
    }

    #[test]
    fn a_schema_may_refer_to_itself() {
        let schema = r##"{"$defs":{"id":{"type":"string"}},"properties":{"a":{"$ref":"#/$defs/id"}}}"##;
        let schema = JsonSchema::compile(schema).expect("it is a schema");
        assert!(schema.check(br#"{"a":"x"}"#).is_ok());
        assert_eq!(schema.check(br#"{"a":1}"#).expect_err("no string").field, "event_data/a");
    }
}
