//! What applications, keys and books may hold, the same for every registry.

use super::{JsonSchema, Limits, NewApplication, NewAuthorization, RegistryError, Scopes};

const NAME_CHARS: usize = 256;
const DESCRIPTION_CHARS: usize = 1_024;
const MIN_BYTES: u64 = 1_024;
// As `ingest.max_name` is by default.
const EVENT_TYPE_BYTES: usize = 256;
const SCHEMA_BYTES: usize = 64 << 10;
// A sort key of DynamoDB holds 1,024 bytes, and an application's id goes before.
const PLAYER_ID_BYTES: usize = 512;
// Registries keep numbers as signed 64-bit integers.
const MAX_BYTES: u64 = i64::MAX.cast_unsigned();

impl NewApplication {
    /// Checks it against the rules.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] with the first field that breaks one.
    pub fn check(&self) -> Result<(), RegistryError> {
        check_name(&self.name)?;
        check_description(self.description.as_deref())?;
        self.limits.check()
    }
}

impl NewAuthorization {
    /// Checks it against the rules.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] with the first field that breaks one.
    pub fn check(&self) -> Result<(), RegistryError> {
        check_name(&self.name)?;
        check_description(self.description.as_deref())?;
        self.scopes.check()
    }
}

impl Scopes {
    /// Checks them against the rules: a key is good for something.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] if there are none.
    pub fn check(self) -> Result<(), RegistryError> {
        if self.is_empty() {
            return Err(invalid("scopes", "must be one or more of ingest-client, ingest-server and read".to_owned()));
        }
        Ok(())
    }
}

impl Limits {
    fn check(&self) -> Result<(), RegistryError> {
        for (field, events) in [("events_per_second", self.events_per_second), ("events_burst", self.events_burst)] {
            if events == Some(0) {
                return Err(invalid(field, "must be at least 1".to_owned()));
            }
        }
        for (field, bytes) in [("bytes_per_second", self.bytes_per_second), ("bytes_burst", self.bytes_burst)] {
            if bytes.is_some_and(|bytes| !(MIN_BYTES..=MAX_BYTES).contains(&bytes)) {
                return Err(invalid(field, format!("must be {MIN_BYTES} to {MAX_BYTES} bytes")));
            }
        }
        Ok(())
    }
}

/// Whether a schema may be kept.
pub(super) fn check_schema(event_type: &str, schema: &str) -> Result<(), RegistryError> {
    if event_type.is_empty() || event_type.len() > EVENT_TYPE_BYTES || !event_type.bytes().all(is_of_event_type) {
        let problem = format!("must be 1 to {EVENT_TYPE_BYTES} of the characters A-Z a-z 0-9 - _ .");
        return Err(invalid("event_type", problem));
    }
    if schema.len() > SCHEMA_BYTES {
        return Err(invalid("schema", format!("holds {} bytes, at most {SCHEMA_BYTES} are allowed", schema.len())));
    }
    JsonSchema::compile(schema).map(drop).map_err(|problem| invalid("schema", problem))
}

/// Whether a player may be called so.
pub(super) fn check_player(player_id: &str) -> Result<(), RegistryError> {
    if player_id.is_empty() || player_id.len() > PLAYER_ID_BYTES {
        return Err(invalid("player_id", format!("must be 1 to {PLAYER_ID_BYTES} bytes")));
    }
    Ok(())
}

fn is_of_event_type(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn check_name(name: &str) -> Result<(), RegistryError> {
    if name.trim().is_empty() {
        return Err(invalid("name", format!("must not be empty: give it 1 to {NAME_CHARS} characters")));
    }
    let characters = name.chars().count();
    if characters > NAME_CHARS {
        return Err(invalid("name", format!("has {characters} characters, at most {NAME_CHARS} are allowed")));
    }
    Ok(())
}

fn check_description(description: Option<&str>) -> Result<(), RegistryError> {
    let characters = description.map_or(0, |description| description.chars().count());
    if characters > DESCRIPTION_CHARS {
        let problem = format!("has {characters} characters, at most {DESCRIPTION_CHARS} are allowed");
        return Err(invalid("description", problem));
    }
    Ok(())
}

fn invalid(field: &'static str, problem: String) -> RegistryError {
    RegistryError::Invalid { field, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused_field(new: &NewApplication) -> Option<&'static str> {
        match new.check() {
            Ok(()) => None,
            Err(RegistryError::Invalid { field, .. }) => Some(field),
            Err(other) => panic!("another error than a broken rule: {other}"),
        }
    }

    fn named(name: &str) -> NewApplication {
        NewApplication { name: name.to_owned(), ..NewApplication::default() }
    }

    fn limited(limits: Limits) -> NewApplication {
        NewApplication { limits, ..named("skyfall") }
    }

    #[test]
    fn lengths_count_characters_and_not_bytes() {
        assert_eq!(refused_field(&named(&"ü".repeat(256))), None);
        assert_eq!(refused_field(&named(&"ü".repeat(257))), Some("name"));
        for empty in ["", " ", "\t\n"] {
            assert_eq!(refused_field(&named(empty)), Some("name"));
        }
        let described = |length| NewApplication { description: Some("ü".repeat(length)), ..named("skyfall") };
        assert_eq!(refused_field(&described(1_024)), None);
        assert_eq!(refused_field(&described(1_025)), Some("description"));
    }

    #[test]
    fn a_limit_that_would_let_nothing_in_is_refused() {
        let none = Limits::default();
        assert_eq!(refused_field(&limited(none)), None);
        let refused = [
            (Limits { events_per_second: Some(0), ..none }, "events_per_second"),
            (Limits { events_burst: Some(0), ..none }, "events_burst"),
            (Limits { bytes_per_second: Some(1_023), ..none }, "bytes_per_second"),
            (Limits { bytes_burst: Some(u64::MAX), ..none }, "bytes_burst"),
        ];
        for (limits, field) in refused {
            assert_eq!(refused_field(&limited(limits)), Some(field));
        }
        let smallest = Limits {
            events_per_second: Some(1),
            events_burst: Some(1),
            bytes_per_second: Some(1_024),
            bytes_burst: Some(1_024),
        };
        assert_eq!(refused_field(&limited(smallest)), None);
    }
}
