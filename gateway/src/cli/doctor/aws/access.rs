//! May the tables be used? Reads of a row that is not there, and writes under a condition that never holds: the service
//! looks at who asks before it looks at the condition, and writes nothing. They cost a unit or two each.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};

use super::super::check::{Check, Verdict};
use super::refused::Call;
use super::table::{Needed, needed};
use crate::clock::Clock;
use crate::config::Settings;

/// A key that no row has: ids are UUIDs, books have names of their own.
const NOBODY: &str = "headgate-doctor";
/// Never true, of any row and of none.
const NEVER: &str = "attribute_exists(#key) AND attribute_not_exists(#key)";

/// One call that the gateway makes.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Get,
    BatchGet,
    Scan,
    Query,
    QueryIndex { index: &'static str, attribute: &'static str },
    Update,
    Put,
}

impl Ask {
    fn action(self) -> &'static str {
        match self {
            Self::Get => "dynamodb:GetItem",
            Self::BatchGet => "dynamodb:BatchGetItem",
            Self::Scan => "dynamodb:Scan",
            Self::Query | Self::QueryIndex { .. } => "dynamodb:Query",
            Self::Update => "dynamodb:UpdateItem",
            Self::Put => "dynamodb:PutItem",
        }
    }
}

pub(super) fn checks(client: &Client, settings: &Settings, clock: &Clock) -> Vec<Check> {
    let notes_uses = !settings.admission.key_last_used_every.is_zero();
    let slow = settings.registry.dynamodb.attempt_timeout;
    needed(settings)
        .into_iter()
        .map(|table| {
            let (client, clock, asks) = (client.clone(), clock.clone(), asks(table.setting, notes_uses));
            Check::new(format!("access to {}", table.table), async move {
                let verdict = tried(&client, &table, &asks, slow, &clock).await;
                table.eased(verdict)
            })
        })
        .collect()
}

/// What the gateway does with a table.
fn asks(setting: &str, notes_uses: bool) -> Vec<Ask> {
    let index = |index, attribute| Ask::QueryIndex { index, attribute };
    match setting {
        "registry.dynamodb.applications_table" => vec![Ask::Get, Ask::BatchGet, Ask::Scan],
        "registry.dynamodb.authorizations_table" => {
            let mut asks = vec![
                Ask::Get,
                Ask::BatchGet,
                index("ApplicationAuthorizations", "application_id"),
                index("ApiKeyValues", "api_key_value"),
                index("ApiKeyHashes", "api_key_hash"),
            ];
            asks.extend(notes_uses.then_some(Ask::Update));
            asks
        }
        "registry.dynamodb.books_table" => vec![Ask::Query, Ask::Put],
        // A gateway writes and reads its share in one call.
        _ => vec![Ask::Update],
    }
}

async fn tried(client: &Client, table: &Needed, asks: &[Ask], slow: Duration, clock: &Clock) -> Verdict {
    let mut slowest = Duration::ZERO;
    for (place, ask) in asks.iter().enumerate() {
        let began = clock.now();
        if let Err(verdict) = once(client, table, *ask).await {
            return verdict;
        }
        // The first call also connects.
        if place > 0 {
            slowest = slowest.max(clock.now().saturating_duration_since(began));
        }
    }
    let mut distinct: Vec<&str> = asks.iter().map(|ask| ask.action().trim_start_matches("dynamodb:")).collect();
    distinct.dedup();
    let says = format!("{} allowed, nothing written", distinct.join(", "));
    if slowest > slow {
        return Verdict::warn(
            format!("{says}; a call took {slowest:.0?}"),
            "a longer registry.dynamodb.attempt_timeout, or a gateway endpoint for DynamoDB in the VPC",
        );
    }
    Verdict::ok(if slowest.is_zero() { says } else { format!("{says}, {slowest:.1?} at most") })
}

async fn once(client: &Client, table: &Needed, ask: Ask) -> Result<(), Verdict> {
    let nobody = || AttributeValue::S(NOBODY.to_owned());
    let key: HashMap<String, AttributeValue> = table.keys.iter().map(|key| ((*key).to_owned(), nobody())).collect();
    let first = table.keys.first().copied().unwrap_or_default();
    let if_missing = format!("create it, or set {}, or the region", table.setting);
    let resource = match ask {
        Ask::QueryIndex { index, .. } => format!("table {} (table/{}/index/{index})", table.table, table.table),
        _ => format!("table {}", table.table),
    };
    let call = Call { action: ask.action(), resource: &resource, if_missing: &if_missing };
    let name = &table.table;
    match ask {
        Ask::Get => {
            let asked = client.get_item().table_name(name).set_key(Some(key)).consistent_read(true).send().await;
            asked.map(drop).map_err(|error| call.refused(&error))
        }
        Ask::BatchGet => {
            let Ok(keys) = KeysAndAttributes::builder().keys(key).build() else { return Ok(()) };
            let asked = client.batch_get_item().request_items(name, keys).send().await;
            asked.map(drop).map_err(|error| call.refused(&error))
        }
        Ask::Scan => {
            let asked = client.scan().table_name(name).limit(1).send().await;
            asked.map(drop).map_err(|error| call.refused(&error))
        }
        Ask::Query | Ask::QueryIndex { .. } => {
            let (index, attribute) = match ask {
                Ask::QueryIndex { index, attribute } => (Some(index.to_owned()), attribute),
                _ => (None, first),
            };
            let asked = client
                .query()
                .table_name(name)
                .set_index_name(index)
                .key_condition_expression("#key = :key")
                .expression_attribute_names("#key", attribute)
                .expression_attribute_values(":key", nobody())
                .limit(1)
                .send()
                .await;
            asked.map(drop).map_err(|error| call.refused(&error))
        }
        Ask::Update => {
            let asked = client
                .update_item()
                .table_name(name)
                .set_key(Some(key))
                .update_expression("REMOVE headgate_doctor")
                .condition_expression(NEVER)
                .expression_attribute_names("#key", first)
                .send()
                .await;
            asked.map(drop).or_else(|error| if did_not_hold(&error) { Ok(()) } else { Err(call.refused(&error)) })
        }
        Ask::Put => {
            let asked = client
                .put_item()
                .table_name(name)
                .set_item(Some(key))
                .condition_expression(NEVER)
                .expression_attribute_names("#key", first)
                .send()
                .await;
            asked.map(drop).or_else(|error| if did_not_hold(&error) { Ok(()) } else { Err(call.refused(&error)) })
        }
    }
}

fn did_not_hold(error: &impl ProvideErrorMetadata) -> bool {
    error.code() == Some("ConditionalCheckFailedException")
}
