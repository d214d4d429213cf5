//! Tables: their keys, their indexes and what runs out in them, as the AWS solution and the gateway need them.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, GlobalSecondaryIndexDescription, IndexStatus, KeySchemaElement, ProjectionType,
    ScalarAttributeType, TableDescription, TableStatus, TimeToLiveStatus,
};

use super::super::check::{Check, Level, Verdict};
use super::refused::Call;
use super::skew::Skew;
use crate::config::Settings;

/// What a table has to be.
#[derive(Clone, Debug)]
pub(super) struct Needed {
    /// Its name.
    pub(super) table: String,
    /// The setting that names it.
    pub(super) setting: &'static str,
    /// Partition key and sort key, strings both.
    pub(super) keys: &'static [&'static str],
    indexes: &'static [Index],
    /// The attribute by which items run out.
    time_to_live: Option<&'static str>,
    /// Whether events flow without it.
    optional: bool,
}

/// What an index has to be.
#[derive(Debug)]
struct Index {
    name: &'static str,
    keys: &'static [&'static str],
    /// The attributes beside the keys that queries read from it; `*` stands for all.
    holds: &'static [&'static str],
}

const INDEXES: &[Index] = &[
    Index { name: "ApplicationAuthorizations", keys: &["application_id", "api_key_id"], holds: &["*"] },
    Index { name: "ApiKeyValues", keys: &["api_key_value", "application_id"], holds: &["api_key_id", "enabled"] },
    Index { name: "ApiKeyHashes", keys: &["api_key_hash"], holds: &[] },
];

/// The tables that these settings use.
pub(super) fn needed(settings: &Settings) -> Vec<Needed> {
    let dynamodb = &settings.registry.dynamodb;
    let table = |setting, table: &str, keys, indexes, time_to_live, optional| Needed {
        table: table.to_owned(),
        setting,
        keys,
        indexes,
        time_to_live,
        optional,
    };
    let mut tables = vec![
        table(
            "registry.dynamodb.applications_table",
            &dynamodb.applications_table,
            &["application_id"],
            &[][..],
            None,
            false,
        ),
        table(
            "registry.dynamodb.authorizations_table",
            &dynamodb.authorizations_table,
            &["api_key_id", "application_id"],
            INDEXES,
            None,
            false,
        ),
        table("registry.dynamodb.books_table", &dynamodb.books_table, &["book", "entry"], &[], None, true),
    ];
    if settings.cluster.shares_limits(settings.registry.kind) {
        let name = &settings.cluster.shares_table;
        tables.push(table("cluster.shares_table", name, &["application_id"], &[], Some("expires_at"), true));
    }
    tables
}

pub(super) fn client(shared: &SdkConfig, skew: &Skew) -> Client {
    Client::from_conf(Builder::from(shared).interceptor(skew.clone()).build())
}

pub(super) fn checks(client: &Client, settings: &Settings) -> Vec<Check> {
    let check = |needed: Needed| {
        let client = client.clone();
        Check::new(format!("table {}", needed.table), async move { described(&client, &needed).await })
    };
    needed(settings).into_iter().map(check).collect()
}

async fn described(client: &Client, needed: &Needed) -> Verdict {
    let if_missing = format!("create it with {}, or set {}, or the region", in_words(needed.keys), needed.setting);
    let resource = format!("table {}", needed.table);
    let call = |action| Call { action, resource: &resource, if_missing: &if_missing };
    let verdict = match client.describe_table().table_name(&needed.table).send().await {
        Err(error) => {
            let refused = call("dynamodb:DescribeTable").refused(&error);
            // The gateway itself never asks for it.
            return if refused.says.contains("AccessDenied") {
                Verdict { level: Level::Warn, ..refused }
            } else {
                needed.eased(refused)
            };
        }
        Ok(answer) => match answer.table {
            Some(table) => judged(&table, needed),
            None => return Verdict::fail("the answer has no description", "is the endpoint AWS's?"),
        },
    };
    match needed.time_to_live {
        Some(attribute) if verdict.level == Level::Ok => {
            match client.describe_time_to_live().table_name(&needed.table).send().await {
                Err(error) => Verdict { level: Level::Warn, ..call("dynamodb:DescribeTimeToLive").refused(&error) },
                Ok(answer) => {
                    let found = answer.time_to_live_description;
                    let on = found.as_ref().is_some_and(|found| {
                        let running = matches!(
                            found.time_to_live_status,
                            Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
                        );
                        running && found.attribute_name.as_deref() == Some(attribute)
                    });
                    if on {
                        return Verdict::ok(format!("{}, time to live on {attribute}", verdict.says));
                    }
                    Verdict::warn(
                        format!("{}; no time to live on {attribute}: what is over stays, and costs", verdict.says),
                        format!("switch it on: `aws dynamodb update-time-to-live`, attribute {attribute}"),
                    )
                }
            }
        }
        _ => verdict,
    }
}

impl Needed {
    /// What is optional warns where another fails.
    pub(super) fn eased(&self, verdict: Verdict) -> Verdict {
        if self.optional && verdict.level == Level::Fail { Verdict { level: Level::Warn, ..verdict } } else { verdict }
    }
}

fn judged(table: &TableDescription, needed: &Needed) -> Verdict {
    let keys = keys_of(table.key_schema());
    let types = table.attribute_definitions();
    let recreate = format!("create it anew with {}: keys of a table can't be changed", in_words(needed.keys));
    if keys != needed.keys {
        return needed.eased(Verdict::fail(format!("its key is {}", keys.join(", ")), recreate));
    }
    if let Some(key) = needed.keys.iter().find(|key| !is_text(types, key)) {
        return needed.eased(Verdict::fail(format!("its key {key} is no string"), recreate));
    }
    match &table.table_status {
        Some(TableStatus::Active | TableStatus::Updating) => {}
        status => {
            let status = status.as_ref().map_or("unknown", TableStatus::as_str);
            return needed.eased(Verdict::fail(format!("it is {status}"), "wait until it is ACTIVE"));
        }
    }
    for index in needed.indexes {
        if let Some(problem) = problem_of(table.global_secondary_indexes(), index) {
            let key = in_words(index.keys);
            return Verdict::fail(
                format!("index {}: {problem}", index.name),
                format!(
                    "create the index {} with {key} and what it has to hold: {}",
                    index.name,
                    held_in_words(index.holds)
                ),
            );
        }
    }
    let indexes = match needed.indexes.len() {
        0 => String::new(),
        count => format!(", {count} indexes as needed"),
    };
    Verdict::ok(format!("ACTIVE, key {}{indexes}", needed.keys.join(", ")))
}

fn problem_of(found: &[GlobalSecondaryIndexDescription], needed: &Index) -> Option<String> {
    let Some(index) = found.iter().find(|index| index.index_name.as_deref() == Some(needed.name)) else {
        return Some("there is none".to_owned());
    };
    let keys = keys_of(index.key_schema());
    if keys != needed.keys {
        return Some(format!("its key is {}", keys.join(", ")));
    }
    if !matches!(index.index_status, None | Some(IndexStatus::Active | IndexStatus::Updating)) {
        return Some(format!("it is {}", index.index_status.as_ref().map_or("", IndexStatus::as_str)));
    }
    let projection = index.projection()?;
    let all = projection.projection_type == Some(ProjectionType::All);
    // Every index holds its table's keys.
    let held = |wanted: &str| {
        let mut names =
            projection.non_key_attributes().iter().map(String::as_str).chain(["api_key_id", "application_id"]);
        all || wanted != "*" && names.any(|name| name == wanted)
    };
    let missing = needed.holds.iter().copied().find(|wanted| !held(wanted))?;
    Some(if missing == "*" {
        "it does not hold all attributes".to_owned()
    } else {
        format!("it does not hold {missing}")
    })
}

/// Partition key first.
fn keys_of(schema: &[KeySchemaElement]) -> Vec<&str> {
    schema.iter().map(|key| key.attribute_name.as_str()).collect()
}

fn is_text(types: &[AttributeDefinition], attribute: &str) -> bool {
    types.iter().any(|known| known.attribute_name == attribute && known.attribute_type == ScalarAttributeType::S)
}

fn in_words(keys: &[&str]) -> String {
    match keys {
        [partition, sort] => format!("the partition key {partition} and the sort key {sort} (strings)"),
        _ => format!("the partition key {} (a string)", keys.first().unwrap_or(&"")),
    }
}

fn held_in_words(holds: &[&str]) -> String {
    match holds {
        [] => "KEYS_ONLY is enough".to_owned(),
        ["*"] => "ALL".to_owned(),
        names => format!("INCLUDE {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::{KeyType, Projection};

    use super::*;

    fn schema(keys: &[&str]) -> Vec<KeySchemaElement> {
        let key = |(key, kind): (&&str, KeyType)| {
            KeySchemaElement::builder().attribute_name(*key).key_type(kind).build().expect("a key")
        };
        keys.iter().zip([KeyType::Hash, KeyType::Range]).map(key).collect()
    }

    fn index(needed: &Index, projection: ProjectionType) -> GlobalSecondaryIndexDescription {
        let projection = Projection::builder().projection_type(projection).build();
        GlobalSecondaryIndexDescription::builder()
            .index_name(needed.name)
            .set_key_schema(Some(schema(needed.keys)))
            .index_status(IndexStatus::Active)
            .projection(projection)
            .build()
    }

    #[test]
    fn an_index_is_held_against_what_queries_read_from_it() {
        let [all, values, hashes] = INDEXES else { panic!("three") };
        assert_eq!(problem_of(&[index(all, ProjectionType::All)], all), None);
        assert_eq!(problem_of(&[index(values, ProjectionType::All)], values), None);
        assert_eq!(problem_of(&[index(hashes, ProjectionType::KeysOnly)], hashes), None);
        let says = |found, needed| problem_of(&[found], needed).expect("a problem");
        assert!(says(index(all, ProjectionType::KeysOnly), all).contains("all attributes"));
        assert!(says(index(values, ProjectionType::KeysOnly), values).contains("enabled"));
        assert!(says(index(hashes, ProjectionType::All), all).contains("there is none"));
        let other = Index { name: hashes.name, keys: &["api_key_id"], holds: &[] };
        assert!(says(index(&other, ProjectionType::All), hashes).contains("its key is api_key_id"));
    }
}
