//! Attributes of a row, read with the error that names the row where one is missing or of another type.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use crate::registry::RegistryError;

/// A row as DynamoDB gives it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// A row that is being read.
pub(super) struct Reader<'a> {
    item: &'a Item,
    table: &'a Arc<str>,
    key: &'static str,
}

impl<'a> Reader<'a> {
    /// `key` is the attribute that names the row.
    pub(super) fn new(item: &'a Item, table: &'a Arc<str>, key: &'static str) -> Self {
        Self { item, table, key }
    }

    pub(super) fn bad(&self, attribute: &'static str, problem: impl Into<String>) -> RegistryError {
        let row = match self.item.get(self.key) {
            Some(AttributeValue::S(id)) => id.as_str(),
            _ => "without an id",
        };
        let (table, problem) = (Arc::clone(self.table), Arc::from(problem.into()));
        RegistryError::BadRow { table, row: Arc::from(row), attribute, problem }
    }

    pub(super) fn optional_text(&self, attribute: &'static str) -> Result<Option<&'a str>, RegistryError> {
        match self.item.get(attribute) {
            None | Some(AttributeValue::Null(_)) => Ok(None),
            Some(AttributeValue::S(text)) => Ok(Some(text)),
            Some(_) => Err(self.bad(attribute, "is not a string")),
        }
    }

    pub(super) fn text(&self, attribute: &'static str) -> Result<&'a str, RegistryError> {
        self.optional_text(attribute)?.ok_or_else(|| self.bad(attribute, "is missing"))
    }

    /// An id in the form in which rows are looked up: lower case, with hyphens.
    pub(super) fn id(&self, attribute: &'static str) -> Result<Uuid, RegistryError> {
        let text = self.text(attribute)?;
        let id = Uuid::try_parse(text).ok().filter(|id| id.to_string() == text);
        id.ok_or_else(|| self.bad(attribute, "is not a UUID in lower case with hyphens"))
    }

    pub(super) fn truth(&self, attribute: &'static str) -> Result<bool, RegistryError> {
        match self.item.get(attribute) {
            Some(AttributeValue::Bool(truth)) => Ok(*truth),
            Some(_) => Err(self.bad(attribute, "is not true or false")),
            None => Err(self.bad(attribute, "is missing")),
        }
    }

    pub(super) fn optional_number<T: FromStr>(&self, attribute: &'static str) -> Result<Option<T>, RegistryError> {
        match self.item.get(attribute) {
            None | Some(AttributeValue::Null(_)) => Ok(None),
            Some(AttributeValue::N(number)) => {
                number.parse().map(Some).map_err(|_| self.bad(attribute, "is not a number of its range"))
            }
            Some(_) => Err(self.bad(attribute, "is not a number")),
        }
    }

    pub(super) fn number<T: FromStr>(&self, attribute: &'static str) -> Result<T, RegistryError> {
        self.optional_number(attribute)?.ok_or_else(|| self.bad(attribute, "is missing"))
    }

    /// A time that is kept twice: as the AWS solution writes it, in seconds, which counts; and in milliseconds, which
    /// is the finer one unless somebody has changed the first alone.
    pub(super) fn time(&self, attribute: &'static str, fine: &'static str) -> Result<i64, RegistryError> {
        let text = self.text(attribute)?;
        let ms = parse_time(text).ok_or_else(|| self.bad(attribute, "is not a time such as 2030-01-31T12:00:00Z"))?;
        let fine = self.optional_number::<i64>(fine).ok().flatten();
        Ok(fine.filter(|fine| fine.div_euclid(1_000) == ms.div_euclid(1_000)).unwrap_or(ms))
    }
}

/// A time as the AWS solution writes it.
pub(super) fn write_time(ms: i64) -> String {
    let since_epoch = Duration::from_millis(u64::try_from(ms).unwrap_or(0)).min(LATEST);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since_epoch).to_string()
}

// 9999-12-31 23:59:59, the last second that RFC 3339 can write.
const LATEST: Duration = Duration::from_secs(253_402_300_799);

fn parse_time(text: &str) -> Option<i64> {
    // Some libraries write UTC so.
    let zulu = text.strip_suffix("+00:00").map(|time| format!("{time}Z"));
    let time: SystemTime = humantime::parse_rfc3339(zulu.as_deref().unwrap_or(text)).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

pub(super) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(super) fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_aws_solution_writes_them_and_to_the_millisecond_where_we_wrote_them() {
        let table = Arc::from("T");
        let mut item = Item::from([("at".to_owned(), text("2023-11-14T22:13:20Z"))]);
        let read = |item: &Item| Reader::new(item, &table, "id").time("at", "at_ms").expect("a time");
        assert_eq!(read(&item), 1_700_000_000_000);
        item.insert("at_ms".to_owned(), number(1_700_000_000_123_i64));
        assert_eq!(read(&item), 1_700_000_000_123);
        item.insert("at".to_owned(), text("2023-11-14T22:13:21+00:00"));
        assert_eq!(read(&item), 1_700_000_001_000, "changed by somebody who knows nothing of milliseconds");
        assert_eq!(write_time(1_700_000_000_999), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn an_attribute_that_is_missing_or_of_another_type_is_named_with_its_row() {
        let table = Arc::from("Keys");
        let item = Item::from([
            ("id".to_owned(), text("row-7")),
            ("flag".to_owned(), text("true")),
            ("count".to_owned(), number("1e99")),
            ("name".to_owned(), number(7)),
        ]);
        let reader = Reader::new(&item, &table, "id");
        let errors = [
            reader.truth("flag").map(|_| ()),
            reader.truth("none").map(|_| ()),
            reader.optional_number::<u32>("count").map(|_| ()),
            reader.text("name").map(|_| ()),
            reader.text("missing").map(|_| ()),
            reader.id("id").map(|_| ()),
        ];
        for error in errors {
            let error = error.expect_err("a bad attribute");
            assert!(matches!(error, RegistryError::BadRow { .. }), "{error:?}");
            assert!(error.to_string().contains("row-7 of table Keys"), "{error}");
        }
    }
}
