//! Schemas from administrators, and events that are held against them.

use super::JsonSchema;
use crate::event::json::check_object;

/// A schema, a line, and below it an event: both are taken or refused, with messages that stay short.
pub fn schema(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (schema, event_data) = text.split_once('\n').unwrap_or((text, ""));
    let schema = match JsonSchema::compile(schema) {
        Ok(schema) => schema,
        Err(problem) => return assert!(problem.len() < 2_048, "{problem}"),
    };
    let is_object = event_data.is_empty() || check_object(event_data.as_bytes(), 64).is_ok();
    if is_object && let Err(violation) = schema.check(event_data.as_bytes()) {
        assert!(violation.field.len() + violation.message.len() < 1_024, "{violation}");
        assert!(schema.check(event_data.as_bytes()).is_err(), "the same each time");
    }
}
