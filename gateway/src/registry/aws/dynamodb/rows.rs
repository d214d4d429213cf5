//! Rows as values and values as rows. A row of the AWS solution lacks what is ours, and holds its key readable.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use super::attributes::{Item, Reader, number, text, write_time};
use crate::registry::{Application, Authorization, KeyHash, Limits, NewApplication, RegistryError};

/// Of a shorter key, the last four characters would give too much away.
const MASKABLE_LEN: usize = 16;

/// Attributes of ours that an application may lack.
pub(super) const OPTIONAL: [&str; 7] =
    ["description", "events_per_second", "events_burst", "bytes_per_second", "bytes_burst", "route", "environment"];

/// A key's row.
#[derive(Clone, Debug)]
pub(super) struct KeyRow {
    pub(super) authorization: Authorization,
    pub(super) hash: KeyHash,
}

pub(super) fn application(item: &Item, table: &Arc<str>) -> Result<Application, RegistryError> {
    let row = Reader::new(item, table, "application_id");
    Ok(Application {
        application_id: row.id("application_id")?,
        name: row.text("application_name")?.to_owned(),
        description: row.optional_text("description")?.map(str::to_owned),
        limits: Limits {
            events_per_second: row.optional_number("events_per_second")?,
            events_burst: row.optional_number("events_burst")?,
            bytes_per_second: row.optional_number("bytes_per_second")?,
            bytes_burst: row.optional_number("bytes_burst")?,
        },
        route: optional_named(&row, "route")?,
        environment: optional_named(&row, "environment")?.unwrap_or_default(),
        created_at_ms: row.time("created_at", "created_at_ms")?,
        updated_at_ms: row.time("updated_at", "updated_at_ms")?,
    })
}

pub(super) fn key(item: &Item, table: &Arc<str>) -> Result<KeyRow, RegistryError> {
    let row = Reader::new(item, table, "api_key_id");
    // While a row is migrated it holds both. A readable key counts: it is what the AWS solution's own authorizer sees.
    let (hash, masked_key) = match row.optional_text("api_key_value")? {
        Some(value) => (KeyHash::of(value), mask(value)),
        None => {
            let digits = row.text("api_key_hash")?;
            let hash = digits.parse().map_err(|_| row.bad("api_key_hash", "is not 64 hexadecimal digits"))?;
            (hash, row.optional_text("api_key_masked")?.unwrap_or("****").to_owned())
        }
    };
    let authorization = Authorization {
        api_key_id: row.id("api_key_id")?,
        application_id: row.id("application_id")?,
        name: row.text("api_key_name")?.to_owned(),
        description: row.optional_text("api_key_description")?.map(str::to_owned),
        masked_key,
        enabled: row.truth("enabled")?,
        expires_at_ms: row.optional_number("expires_at")?,
        scopes: optional_named(&row, "scopes")?.unwrap_or_default(),
        last_used_at_ms: row.optional_number("last_used_at")?,
        created_at_ms: row.time("created_at", "created_at_ms")?,
        updated_at_ms: row.time("updated_at", "updated_at_ms")?,
    };
    Ok(KeyRow { authorization, hash })
}

/// What is kept by its name, where it is kept.
pub(super) fn optional_named<T: FromStr<Err: Display>>(
    row: &Reader<'_>,
    attribute: &'static str,
) -> Result<Option<T>, RegistryError> {
    let read = |name: &str| name.parse().map_err(|error| row.bad(attribute, format!("is unknown: {error}")));
    row.optional_text(attribute)?.map(read).transpose()
}

/// What is kept by its name.
pub(super) fn named<T: FromStr<Err: Display>>(row: &Reader<'_>, attribute: &'static str) -> Result<T, RegistryError> {
    optional_named(row, attribute)?.ok_or_else(|| row.bad(attribute, "is missing"))
}

/// What may be shown of a key that another system issued.
pub(super) fn mask(value: &str) -> String {
    let last = if value.len() < MASKABLE_LEN { "" } else { value.get(value.len() - 4..).unwrap_or_default() };
    format!("****{last}")
}

pub(super) fn application_item(application: &Application) -> Item {
    let mut item = Item::from([
        ("application_id".to_owned(), text(application.application_id)),
        ("application_name".to_owned(), text(&application.name)),
    ]);
    times(&mut item, application.created_at_ms, application.updated_at_ms);
    for (attribute, value) in optional_attributes(&NewApplication::of(application)) {
        if let Some(value) = value {
            item.insert(attribute.to_owned(), value);
        }
    }
    item
}

/// What an application may lack, as it is to be kept.
pub(super) fn optional_attributes(new: &NewApplication) -> [(&'static str, Option<AttributeValue>); 7] {
    let values = [
        new.description.clone().map(text),
        new.limits.events_per_second.map(number),
        new.limits.events_burst.map(number),
        new.limits.bytes_per_second.map(number),
        new.limits.bytes_burst.map(number),
        new.route.map(|route| text(route.as_str())),
        Some(text(new.environment.as_str())),
    ];
    let mut named = OPTIONAL.iter().zip(values);
    std::array::from_fn(|_| named.next().map_or(("", None), |(name, value)| (*name, value)))
}

pub(super) fn key_item(key: &Authorization, hash: &KeyHash) -> Item {
    let mut item = Item::from([
        ("api_key_id".to_owned(), text(key.api_key_id)),
        ("application_id".to_owned(), text(key.application_id)),
        ("api_key_name".to_owned(), text(&key.name)),
        ("api_key_hash".to_owned(), text(hash.to_string())),
        ("api_key_masked".to_owned(), text(&key.masked_key)),
        ("enabled".to_owned(), AttributeValue::Bool(key.enabled)),
        ("scopes".to_owned(), text(key.scopes)),
    ]);
    times(&mut item, key.created_at_ms, key.updated_at_ms);
    item.extend(key.description.as_ref().map(|description| ("api_key_description".to_owned(), text(description))));
    item.extend(key.expires_at_ms.map(|expires_at| ("expires_at".to_owned(), number(expires_at))));
    item
}

fn times(item: &mut Item, created_at_ms: i64, updated_at_ms: i64) {
    item.extend([
        ("created_at".to_owned(), text(write_time(created_at_ms))),
        ("created_at_ms".to_owned(), number(created_at_ms)),
        ("updated_at".to_owned(), text(write_time(updated_at_ms))),
        ("updated_at_ms".to_owned(), number(updated_at_ms)),
    ]);
}

/// The primary key of an application's row.
pub(super) fn application_key(id: Uuid) -> Item {
    Item::from([("application_id".to_owned(), text(id))])
}

/// The primary key of a key's row.
pub(super) fn key_key(api_key: impl ToString, application: impl ToString) -> Item {
    Item::from([
        ("api_key_id".to_owned(), text(api_key.to_string())),
        ("application_id".to_owned(), text(application.to_string())),
    ])
}

impl NewApplication {
    fn of(application: &Application) -> Self {
        Self {
            name: application.name.clone(),
            description: application.description.clone(),
            limits: application.limits,
            route: application.route,
            environment: application.environment,
        }
    }
}

/// The primary key of a key's row that was read, as it stands there.
pub(super) fn key_place(item: &Item) -> Item {
    let part = |name: &str| item.get(name).map(|value| (name.to_owned(), value.clone()));
    part("api_key_id").into_iter().chain(part("application_id")).collect()
}
