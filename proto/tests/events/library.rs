//! The event types, read from the protos with their comments. A comment ends with what a value may be: `At most 64
//! characters.` for a text, unit and range for a number (`Milliseconds, 0 to 3,600,000.`).

use std::collections::BTreeMap;

use headgate_proto::EVENT_DESCRIPTOR_SET;
use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};

/// Units, and how the names of fields end that are in it, where such a name says it.
const UNITS: [(&str, Option<&str>); 12] = [
    ("Count", None),
    ("Level", None),
    ("Points", None),
    ("Stars", None),
    ("Units", None),
    ("Frames a second", None),
    ("Metres of the game", Some("_m")),
    ("Mebibytes", Some("_mb")),
    ("Milliseconds", Some("_ms")),
    ("Percent", Some("_pct")),
    ("Seconds", Some("_s")),
    ("Seconds", Some("_second")),
];

/// An event type.
pub(crate) struct EventType {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) fields: Vec<Field>,
}

/// A member of its `event_data`.
pub(crate) struct Field {
    pub(crate) name: String,
    /// All that the proto says of it.
    pub(crate) about: String,
    pub(crate) is_required: bool,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// At most so many characters.
    Text(u64),
    Truth,
    Integer {
        unit: String,
        least: i64,
        most: i64,
    },
    Number {
        unit: String,
        least: i64,
        most: i64,
    },
}

/// Every event type, in the order of the files and of the messages in them.
pub(crate) fn event_types() -> Vec<EventType> {
    let set = FileDescriptorSet::decode(EVENT_DESCRIPTOR_SET).expect("the build has made it");
    let files = set.file.iter().filter(|file| file.package() == "headgate.events.v1");
    files
        .flat_map(|file| (0_i32..).zip(&file.message_type).map(|(place, message)| event_type(file, place, message)))
        .collect()
}

fn event_type(file: &FileDescriptorProto, place: i32, message: &DescriptorProto) -> EventType {
    assert!(message.nested_type.is_empty() && message.enum_type.is_empty(), "{}: flat, as columns are", message.name());
    EventType {
        name: snake_case(message.name()),
        about: comment(file, &[4, place]),
        fields: (0_i32..)
            .zip(&message.field)
            .map(|(field_place, of_message)| field(of_message, comment(file, &[4, place, 2, field_place])))
            .collect(),
    }
}

fn field(field: &FieldDescriptorProto, about: String) -> Field {
    let name = field.name().to_owned();
    assert!(field.proto3_optional() && field.label() == Label::Optional, "{name}: optional, so that 0 is not left out");
    assert_eq!(field.json_name(), name, "{name}: every library's JSON is to have the lake's names");
    let value = match field.r#type() {
        Type::String => Value::Text(characters(&about).unwrap_or_else(|| panic!("{name}: no limit in {about:?}"))),
        Type::Bool => Value::Truth,
        // Numbers of 64 bits are texts in protobuf's JSON.
        Type::Uint32 | Type::Double => number(field.r#type(), &name, &about),
        other => panic!("{name}: {other:?} is no type that JSON has"),
    };
    Field { is_required: about.contains(" Required. "), name, about, value }
}

/// `At most 64 characters.`
fn characters(about: &str) -> Option<u64> {
    let (_, limit) = about.strip_suffix(" characters.")?.rsplit_once("At most ")?;
    whole(limit).and_then(|limit| u64::try_from(limit).ok())
}

/// `Milliseconds, 0 to 3,600,000.`
fn number(of_type: Type, name: &str, about: &str) -> Value {
    let (unit, least, most) = unit_and_range(about).unwrap_or_else(|| panic!("{name}: no unit and range in {about:?}"));
    let known: Vec<_> = UNITS.iter().filter(|(known, _)| *known == unit).collect();
    assert!(!known.is_empty(), "{name}: {unit:?} is no unit");
    let ends = |ending: &Option<&str>| ending.is_none_or(|ending| name.ends_with(ending));
    assert!(known.iter().any(|(_, ending)| ends(ending)), "{name}: a name that does not say that it is {unit}");
    for (other, ending) in UNITS.iter().filter(|(other, _)| *other != unit) {
        assert!(ending.is_none_or(|ending| !name.ends_with(ending)), "{name}: a name of {other} for {unit}");
    }
    assert!(least < most, "{name}: {about:?}");
    if of_type == Type::Double {
        return Value::Number { unit, least, most };
    }
    assert!(least >= 0 && most <= u32::MAX.into(), "{name}: {about:?}");
    Value::Integer { unit, least, most }
}

fn unit_and_range(about: &str) -> Option<(String, i64, i64)> {
    let sentence = about.strip_suffix('.')?.rsplit(". ").next()?;
    let (unit, range) = sentence.split_once(", ")?;
    let (least, most) = range.split_once(" to ")?;
    Some((unit.to_owned(), whole(least)?, whole(most)?))
}

/// A whole number with commas between its thousands.
fn whole(text: &str) -> Option<i64> {
    text.replace(',', "").parse().ok()
}

/// The comment before what lies at a path in a file, as one line.
fn comment(file: &FileDescriptorProto, path: &[i32]) -> String {
    let locations = file.source_code_info.as_ref().map_or(&[][..], |info| &info.location);
    let location = locations.iter().find(|location| location.path == path);
    let text = location.and_then(|location| location.leading_comments.as_deref()).unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.ends_with('.'), "{} {path:?}: a sentence says what it is", file.name());
    text
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[test]
fn every_field_says_what_it_holds_and_names_mean_the_same_everywhere() {
    let mut kinds: BTreeMap<String, (String, Value)> = BTreeMap::new();
    let types = event_types();
    assert!(types.len() >= 20, "the library is there");
    for of_type in &types {
        assert_eq!(of_type.fields[0].name, "player_id", "{}: who", of_type.name);
        assert!(of_type.fields[0].is_required, "{}: who", of_type.name);
        assert_eq!(of_type.fields[1].name, "session_id", "{}: when together", of_type.name);
        for field in &of_type.fields {
            let known = kinds.entry(field.name.clone()).or_insert_with(|| (of_type.name.clone(), field.value.clone()));
            let is_alike = std::mem::discriminant(&known.1) == std::mem::discriminant(&field.value);
            assert!(is_alike, "{}: {} and {} differ", field.name, known.0, of_type.name);
        }
    }
}

#[test]
fn a_comment_that_does_not_say_unit_and_range_is_noticed() {
    assert_eq!(
        unit_and_range("How long. Milliseconds, 0 to 3,600,000."),
        Some(("Milliseconds".to_owned(), 0, 3_600_000))
    );
    assert_eq!(unit_and_range("Points reached. Points, -5 to 5."), Some(("Points".to_owned(), -5, 5)));
    for none in ["How long.", "How long. Milliseconds.", "How long. Milliseconds, 0 to", "How long, 0 to many."] {
        assert_eq!(unit_and_range(none), None, "{none}");
    }
    assert_eq!(characters("What. At most 2,000 characters."), Some(2_000));
    assert_eq!((characters("What. At most 64."), characters("What.")), (None, None));
}
