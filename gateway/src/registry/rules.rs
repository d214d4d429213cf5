//! What applications and keys may be called and allowed, the same for every registry.

use super::{Limits, NewApplication, NewAuthorization, RegistryError};

const NAME_CHARS: usize = 256;
const DESCRIPTION_CHARS: usize = 1_024;
const MIN_BYTES: u64 = 1_024;
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
        check_description(self.description.as_deref())
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
