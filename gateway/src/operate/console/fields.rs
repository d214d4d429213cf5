//! What a form sent: names and texts, read with the words that a person who filled it in wrong is to see.

use std::str::FromStr;

use crate::config::Size;

/// The fields of a form, as sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

/// What is wrong with what was filled in, for the person who did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Misfilled(pub(super) String);

impl Fields {
    /// Reads `application/x-www-form-urlencoded`.
    pub(super) fn parse(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// A field's text, without blanks around it; empty where it was not sent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// A field's text as it was typed.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }

    /// A field's text; `None` where it is empty.
    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Whether a box was ticked.
    pub(super) fn ticked(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// What a field says, where it says something.
    ///
    /// # Errors
    /// [`Misfilled`] with `label` and what would be right.
    pub(super) fn parsed<T: FromStr>(&self, name: &str, label: &str, right: &str) -> Result<Option<T>, Misfilled> {
        let Some(text) = self.optional(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Misfilled(format!("{label}: {text:?} can't be used: give {right}")))
    }

    /// A size in bytes or in words, where there is one.
    ///
    /// # Errors
    /// [`Misfilled`] with `label`.
    pub(super) fn size(&self, name: &str, label: &str) -> Result<Option<u64>, Misfilled> {
        let Some(text) = self.optional(name) else { return Ok(None) };
        let size: Result<Size, _> = serde_json::from_value(serde_json::Value::String(text.to_owned()));
        size.map(|size| Some(size.0))
            .map_err(|_| Misfilled(format!("{label}: {text:?} can't be used: give a size such as 64KiB or 16MiB")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_browsers_send_them() {
        let fields = Fields::parse(b"name=+My+game%21&read=on&empty=&x=%C3%BC");
        assert_eq!((fields.text("name"), fields.raw("name"), fields.text("x")), ("My game!", " My game!", "\u{fc}"));
        assert!(fields.ticked("read") && !fields.ticked("write"));
        assert_eq!((fields.optional("empty"), fields.optional("missing")), (None, None));
    }

    #[test]
    fn what_is_misfilled_is_named_with_what_would_be_right() {
        let fields = Fields::parse(b"events=many&bytes=2MiB&rate=7");
        assert_eq!(fields.parsed::<u32>("rate", "Events", "a number"), Ok(Some(7)));
        let error = fields.parsed::<u32>("events", "Events a second", "a whole number").expect_err("no number");
        assert_eq!(error.to_string(), "Events a second: \"many\" can't be used: give a whole number");
        assert_eq!(fields.size("bytes", "Bytes"), Ok(Some(2 << 20)));
        assert!(fields.size("events", "Bytes").is_err());
    }
}
