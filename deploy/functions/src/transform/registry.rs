//! Applications by their ids: the AWS solution's table `Applications`, and what is remembered of it.
//!
//! That an application is not known is remembered for a short time, so that a flood of events of one costs one read. A name
//! that was read once serves on for an hour while the table can't be read. What is neither known nor can be read is an error:
//! an event is called unregistered because the table said so, and for no other reason.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::stream::{self, StreamExt};
use uuid::Uuid;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(6);
const ATTEMPTS: u32 = 3;
const INITIAL_BACKOFF: Duration = Duration::from_millis(50);
const READS_AT_ONCE: usize = 16;
/// Applications remembered at most; some 100 bytes each.
const MAX_REMEMBERED: usize = 10_000;
/// How long a name serves after its time while the table can't be read.
const SERVES_ON: Duration = Duration::from_secs(3_600);

/// What the registry says of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is there; its name, if it has one.
    Registered(Option<Arc<str>>),
    /// It is not.
    Unregistered,
}

/// The table can't be read.
#[derive(Debug, thiserror::Error)]
#[error("DynamoDB, table {table}: {problem}")]
pub(super) struct RegistryError {
    table: Arc<str>,
    problem: String,
}

/// How long answers are remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct CacheRules {
    pub(super) known: Duration,
    pub(super) unknown: Duration,
}

struct Remembered {
    standing: Standing,
    until: Instant,
}

pub(super) struct Registry {
    client: Client,
    table: Arc<str>,
    rules: CacheRules,
    remembered: HashMap<String, Remembered>,
}

impl Registry {
    /// The registry in this table. Asks nothing yet.
    pub(super) async fn new(table: &str, rules: CacheRules) -> Self {
        // Pinned: a newer SDK must not change timeouts, retries or the HTTP stack under us.
        let shared = aws_config::defaults(BehaviorVersion::v2026_01_12()).load().await;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(INITIAL_BACKOFF);
        let client = Client::from_conf(Builder::from(&shared).timeout_config(timeouts).retry_config(retries).build());
        Self { client, table: Arc::from(table), rules, remembered: HashMap::new() }
    }

    /// The standing of each of these.
    ///
    /// # Errors
    /// If one of them is not known and the table can't be read.
    pub(super) async fn look_up(
        &mut self,
        ids: &BTreeSet<Cow<'_, str>>,
        now: Instant,
    ) -> Result<HashMap<String, Standing>, RegistryError> {
        let (mut known, mut asked) = (HashMap::new(), Vec::new());
        for id in ids {
            match self.remembered.get(&**id) {
                Some(remembered) if now < remembered.until => {
                    known.insert(id.to_string(), remembered.standing.clone());
                }
                // The registry's ids are UUIDs as it writes them; anything else need not be looked for.
                _ if Uuid::try_parse(id).is_ok_and(|uuid| uuid.to_string() == **id) => asked.push(id.to_string()),
                _ => {
                    known.insert(id.to_string(), Standing::Unregistered);
                }
            }
        }
        let (client, table) = (&self.client, &self.table);
        let read = async |id: String| {
            let answer = read(client, table, &id).await;
            (id, answer)
        };
        let answers: Vec<_> = stream::iter(asked).map(read).buffered(READS_AT_ONCE).collect().await;
        for (id, answer) in answers {
            let standing = match answer {
                Ok(standing) => self.remember(&id, standing, now),
                Err(error) => self.serve_on(&id, error, now)?,
            };
            known.insert(id, standing);
        }
        Ok(known)
    }

    fn remember(&mut self, id: &str, standing: Standing, now: Instant) -> Standing {
        if self.remembered.len() >= MAX_REMEMBERED {
            self.remembered.retain(|_, remembered| now < remembered.until);
            if self.remembered.len() >= MAX_REMEMBERED {
                self.remembered.clear();
            }
        }
        let time = match standing {
            Standing::Registered(_) => self.rules.known,
            Standing::Unregistered => {
                tracing::info!(application_id = id, "the registry does not know this application");
                self.rules.unknown
            }
        };
        self.remembered.insert(id.to_owned(), Remembered { standing: standing.clone(), until: now + time });
        standing
    }

    fn serve_on(&self, id: &str, error: RegistryError, now: Instant) -> Result<Standing, RegistryError> {
        match self.remembered.get(id) {
            Some(Remembered { standing: standing @ Standing::Registered(_), until }) if now < *until + SERVES_ON => {
                tracing::warn!(application_id = id, %error, "a name is used that could not be read again");
                Ok(standing.clone())
            }
            _ => Err(error),
        }
    }
}

async fn read(client: &Client, table: &Arc<str>, id: &str) -> Result<Standing, RegistryError> {
    let answer = client
        .get_item()
        .table_name(&**table)
        .key("application_id", AttributeValue::S(id.to_owned()))
        // The id comes back with it, so that a row without a name is still a row.
        .projection_expression("application_id, application_name")
        .consistent_read(true)
        .send()
        .await
        .map_err(|error| RegistryError { table: Arc::clone(table), problem: explain(&error) })?;
    Ok(match answer.item {
        None => Standing::Unregistered,
        Some(item) => {
            let name = item.get("application_name").and_then(|name| name.as_s().ok());
            Standing::Registered(name.map(|name| Arc::from(name.as_str())))
        }
    })
}

/// An error in words, from codes and messages only: its `Debug` output may hold the request.
fn explain<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E>) -> String {
    match error {
        SdkError::ServiceError(context) => {
            let error = context.err();
            format!("{}: {}", error.code().unwrap_or("no code"), error.message().unwrap_or("no reason given"))
        }
        SdkError::TimeoutError(_) => format!("no answer within {OPERATION_TIMEOUT:?}"),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(error) => format!("no connection: {error}"),
            None => "no connection".to_owned(),
        },
        SdkError::ResponseError(_) => "the answer can't be read".to_owned(),
        _ => "the call can't be made".to_owned(),
    }
}
