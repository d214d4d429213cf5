//! A text that is never shown: not in `check-config`, not in the log, not in an error.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What is shown in the place of a secret.
const HIDDEN: &str = "(hidden)";

/// A secret. It has no `Display`; its `Debug` and its serialized form show nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// The secret itself, for whoever compares it or signs with it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl Visitor {
            // serde's own errors show the value.
            fn not_a_text<E: de::Error>() -> E {
                E::custom("must be a text: write it in quotes")
            }
        }

        impl de::Visitor<'_> for Visitor {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret::from(text))
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Secret, E> {
                Err(Self::not_a_text())
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
                Err(Self::not_a_text())
            }

            fn visit_i128<E: de::Error>(self, _: i128) -> Result<Secret, E> {
                Err(Self::not_a_text())
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<Secret, E> {
                Err(Self::not_a_text())
            }

            fn visit_u128<E: de::Error>(self, _: u128) -> Result<Secret, E> {
                Err(Self::not_a_text())
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
                Err(Self::not_a_text())
            }
        }
        // Whatever it is, the visitor says what is wrong: formats that are asked for a text show what they found instead.
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_and_never_written() {
        let secret: Secret = serde_json::from_str("\"open sesame\"").expect("a text");
        assert_eq!(secret.expose(), "open sesame");
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "(hidden) Some(\n    (hidden),\n)");
        assert_eq!(serde_json::to_string(&secret).expect("serializes"), "\"(hidden)\"");
    }

    #[test]
    fn a_secret_of_another_kind_is_refused_without_being_repeated() {
        for wrong in ["7123456", "-7123456", "7123456.5", "true"] {
            let error = serde_json::from_str::<Secret>(wrong).map(|_| ()).expect_err("no text").to_string();
            assert!(error.contains("quotes") && !error.contains(wrong), "{error}");
        }
    }
}
