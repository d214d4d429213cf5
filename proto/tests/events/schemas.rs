//! A JSON Schema of each event type, as a gateway takes it: names, types and limits of the protos. Members that the library
//! does not know are allowed, since every game has its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value as Json, json};

use crate::library::{EventType, Field, Value, event_types};
use crate::{WRITE, is_to_be_written, workspace};

const ENDING: &str = ".schema.json";

fn folder() -> PathBuf {
    workspace().join("proto/schemas/headgate/events/v1")
}

fn schema(of_type: &EventType) -> Json {
    let required: Vec<&str> =
        of_type.fields.iter().filter(|field| field.is_required).map(|field| field.name.as_str()).collect();
    let properties: Map<String, Json> =
        of_type.fields.iter().map(|field| (field.name.clone(), property(field))).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": of_type.name,
        "description": of_type.about,
        "type": "object",
        "required": required,
        "properties": properties,
    })
}

fn property(field: &Field) -> Json {
    let about = &field.about;
    match &field.value {
        Value::Text(most) => json!({"description": about, "type": "string", "maxLength": most}),
        Value::Truth => json!({"description": about, "type": "boolean"}),
        Value::Integer { least, most, .. } => {
            json!({"description": about, "type": "integer", "minimum": least, "maximum": most})
        }
        Value::Number { least, most, .. } => {
            json!({"description": about, "type": "number", "minimum": least, "maximum": most})
        }
    }
}

#[test]
fn the_schemas_are_those_of_the_protos() {
    let made: BTreeMap<String, Json> =
        event_types().iter().map(|of_type| (of_type.name.clone() + ENDING, schema(of_type))).collect();
    if is_to_be_written() {
        fs::create_dir_all(folder()).expect("the folder can be made");
        for (name, schema) in &made {
            let text = serde_json::to_string_pretty(schema).expect("JSON") + "\n";
            fs::write(folder().join(name), text).expect("the file can be written");
        }
    }
    let entries = fs::read_dir(folder()).unwrap_or_else(|error| panic!("{}: {error}", folder().display()));
    let kept: BTreeMap<String, Json> = entries
        .map(|entry| {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            let text = fs::read_to_string(&path).expect("the file can be read");
            (name, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        })
        .collect();
    let differing: Vec<&String> =
        made.keys().chain(kept.keys()).filter(|name| made.get(*name) != kept.get(*name)).collect();
    assert!(differing.is_empty(), "{differing:?} are not what the protos say: run this test with {WRITE}=1");
}
