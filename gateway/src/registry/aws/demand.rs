//! The demand board in DynamoDB: one item for each page, one attribute for each member, and one call that writes a
//! member's attribute and answers with all of them.
//!
//! One item rather than one for each member: such an update costs one write unit for each KiB of the item (up to about
//! 25 members a unit) and no read, half the calls of writing and querying; and updates of one item come one after the
//! other, so that each member sees whatever was written before its own report. No condition, so no conflict.
//! An item that nobody updates any more goes by the table's time to live (`expires_at`).

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

use crate::clock::Clock;
use crate::config::ClusterSettings;
use crate::registry::demand::{BoardError, Demand, DemandBoard, MemberId, Page, Report};

/// The table's partition key; there is no sort key.
const PAGE: &str = "application_id";
/// The page of the gateways themselves, beside the applications' ids.
const GATEWAYS: &str = "gateways";
/// The attribute of the table's time to live, in seconds since 1970-01-01 UTC.
const EXPIRES_AT: &str = "expires_at";
/// Far beyond what clocks may differ by: an item in use never goes.
const LIFETIME: Duration = Duration::from_secs(86_400);
/// Members' attributes start so, and go on with their id.
const MEMBER_PREFIX: &str = "m_";
/// So many members' reports are removed in one update; the others' turn comes with the next.
const REMOVED_AT_ONCE: usize = 50;
/// A second attempt covers a connection that was closed meanwhile; the next exchange is the real retry.
const ATTEMPTS: u32 = 2;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A [`DemandBoard`] in a table.
pub struct DynamoDbBoard {
    client: Client,
    table: String,
    clock: Clock,
}

impl DynamoDbBoard {
    /// The board in this table, asked through this client.
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table, clock: Clock::system() }
    }

    /// The board that the settings name. Asks nothing yet.
    #[must_use]
    pub fn open(shared: &SdkConfig, settings: &ClusterSettings) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(settings.exchange_interval)
            .operation_timeout(settings.exchange_interval * 2)
            .build();
        let retries =
            RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(Duration::from_millis(50));
        let config = Builder::from(shared).timeout_config(timeouts).retry_config(retries).build();
        Self::new(Client::from_conf(config), settings.shares_table.clone())
    }

    fn explain<E>(&self, error: &SdkError<E>) -> BoardError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let table = &self.table;
        let what = match error {
            SdkError::ServiceError(context) => {
                let (code, message) = (context.err().code(), context.err().message());
                match code {
                    Some("ResourceNotFoundException") => {
                        "there is no such table: create it with the partition key application_id (a string), or set \
                         cluster.shares_table"
                            .to_owned()
                    }
                    Some("AccessDeniedException") => {
                        "access is denied: allow dynamodb:UpdateItem in the gateway's role".to_owned()
                    }
                    code => format!("{}: {}", code.unwrap_or("no code"), message.unwrap_or("no reason given")),
                }
            }
            SdkError::TimeoutError(_) => "no answer in time".to_owned(),
            SdkError::DispatchFailure(_) => "no connection".to_owned(),
            SdkError::ResponseError(_) => "the answer can't be read".to_owned(),
            _ => "the call failed".to_owned(),
        };
        BoardError(format!("DynamoDB, table {table}: {what}"))
    }
}

#[async_trait]
impl DemandBoard for DynamoDbBoard {
    async fn exchange(&self, page: Page, mine: Report, gone: &[MemberId]) -> Result<Vec<Report>, BoardError> {
        let expires_at = self.clock.wall_ms() / 1_000 + LIFETIME.as_secs().cast_signed();
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(PAGE, AttributeValue::S(name(page)))
            .expression_attribute_names("#me", attribute(mine.member))
            .expression_attribute_names("#expires_at", EXPIRES_AT)
            .expression_attribute_values(":report", written(&mine))
            .expression_attribute_values(":expires_at", AttributeValue::N(expires_at.to_string()))
            .return_values(ReturnValue::AllNew);
        let mut expression = "SET #me = :report, #expires_at = :expires_at".to_owned();
        for (place, member) in gone.iter().filter(|member| **member != mine.member).take(REMOVED_AT_ONCE).enumerate() {
            expression.push_str(if place == 0 { " REMOVE " } else { ", " });
            expression.push_str(&format!("#gone{place}"));
            update = update.expression_attribute_names(format!("#gone{place}"), attribute(*member));
        }
        let answer = update.update_expression(expression).send().await.map_err(|error| self.explain(&error))?;
        let reports = answer.attributes.unwrap_or_default();
        Ok(reports.iter().filter_map(read).filter(|report| report.member != mine.member).collect())
    }

    async fn withdraw(&self, page: Page, member: MemberId) -> Result<(), BoardError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(PAGE, AttributeValue::S(name(page)))
            .expression_attribute_names("#me", attribute(member))
            .update_expression("REMOVE #me");
        update.send().await.map(drop).map_err(|error| self.explain(&error))
    }
}

fn name(page: Page) -> String {
    match page {
        Page::Gateways => GATEWAYS.to_owned(),
        Page::Application(id) => id.to_string(),
    }
}

fn attribute(member: MemberId) -> String {
    format!("{MEMBER_PREFIX}{member}")
}

/// Short names: they are written, and paid for, with every report.
fn written(report: &Report) -> AttributeValue {
    let number = |number: u64| AttributeValue::N(number.to_string());
    AttributeValue::M(HashMap::from([
        ("s".to_owned(), number(report.sequence)),
        ("e".to_owned(), number(report.demand.events)),
        ("b".to_owned(), number(report.demand.bytes)),
    ]))
}

/// `None` for an attribute that is no report that we understand; a later version may write others.
fn read((attribute, value): (&String, &AttributeValue)) -> Option<Report> {
    let member = attribute.strip_prefix(MEMBER_PREFIX)?.parse().ok()?;
    let fields = value.as_m().ok()?;
    let number = |name: &str| fields.get(name)?.as_n().ok()?.parse::<u64>().ok();
    let demand = Demand { events: number("e")?, bytes: number("b")? };
    Some(Report { member, sequence: number("s")?, demand })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let report = Report { member: MemberId::from(0xa), sequence: 7, demand: Demand { events: u64::MAX, bytes: 0 } };
        let attribute = attribute(report.member);
        assert_eq!(attribute, "m_000000000000000a");
        assert_eq!(read((&attribute, &written(&report))), Some(report));
    }

    #[test]
    fn what_is_no_report_is_passed_over() {
        let number = AttributeValue::N("5".to_owned());
        for attribute in [EXPIRES_AT, PAGE, "m_", "m_zz", "m_000000000000000a"] {
            assert_eq!(read((&attribute.to_owned(), &number)), None, "{attribute}");
        }
        let other = AttributeValue::M(HashMap::from([("s".to_owned(), number.clone()), ("e".to_owned(), number)]));
        assert_eq!(read((&"m_000000000000000a".to_owned(), &other)), None);
    }
}
