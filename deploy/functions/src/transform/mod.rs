//! Firehose's data transformation: stream records in, rows of the lake's table out, each with the day it belongs to.
//!
//! Every record that Firehose hands over is answered exactly once: as `Ok` with rows, as `Dropped` where nothing is in it, or
//! as `ProcessingFailed`, which makes Firehose write what it had handed over under the error prefix, whence it can be sent
//! again. An invocation fails only
//! where the registry can't be asked about an application that is not known: Firehose then asks again.
//!
//! An answer has one set of partition keys. Firehose takes bundles apart before it calls (for a stream as the source, and
//! for direct puts where de-aggregation is on, up to 500 events a record), so mostly a record is one event. Where a bundle
//! arrives whole, its rows are answered together if all of them belong to one day, and fail together if not: rows under a
//! wrong day would be missed by every query that names a day, and nobody would notice.

mod answer;
mod event;
mod failure;
mod partition;
mod registry;
mod row;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tokio::sync::Mutex;

use self::answer::{Answer, Answers};
use self::event::Event;
use self::failure::{Failure, Failures};
use self::partition::{Partitions, Window};
use self::registry::{CacheRules, Registry, RegistryError, Standing};
use self::row::{Origin, Row, Status};
use crate::environment::{Environment, SettingError};
use crate::record::{self, Record};
use crate::{bundle, clock, emf};

const DAY: Duration = Duration::from_secs(86_400);

struct Settings {
    applications_table: String,
    cache: CacheRules,
    window: Window,
    namespace: Option<String>,
}

impl Settings {
    fn read(environment: &Environment<'_>) -> Result<Self, SettingError> {
        let seconds = |name, default| environment.number(name, default, 0..=86_400).map(Duration::from_secs);
        Ok(Self {
            applications_table: environment.required("APPLICATIONS_TABLE")?,
            cache: CacheRules {
                known: seconds("CACHE_TIMEOUT_SECONDS", 60)?,
                unknown: seconds("NEGATIVE_CACHE_SECONDS", 10)?,
            },
            window: Window::new(
                environment.duration("EVENT_TIME_PAST", 400 * DAY)?,
                environment.duration("EVENT_TIME_FUTURE", DAY)?,
            ),
            namespace: environment.optional("CW_NAMESPACE"),
        })
    }
}

/// Serves invocations.
///
/// # Errors
/// If a setting is missing or bad, or Lambda can't be asked for invocations.
pub async fn serve() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::read(&Environment(&|name| std::env::var(name).ok()))?;
    let registry = Mutex::new(Registry::new(&settings.applications_table, settings.cache).await);
    let (settings, registry) = (&settings, &registry);
    lambda_runtime::run(service_fn(move |invocation: LambdaEvent<Event>| async move {
        handle(settings, &mut *registry.lock().await, invocation).await
    }))
    .await
}

impl From<RegistryError> for Diagnostic {
    fn from(error: RegistryError) -> Self {
        Self { error_type: "Registry.Unavailable".to_owned(), error_message: error.to_string() }
    }
}

async fn handle(
    settings: &Settings,
    registry: &mut Registry,
    invocation: LambdaEvent<Event>,
) -> Result<Answers, RegistryError> {
    let (now_ms, ingestion_id) = (clock::wall_ms(), invocation.context.request_id);
    let records = invocation.payload.records;
    let decoded: Vec<_> = records.iter().map(|record| STANDARD.decode(&record.data).ok()).collect();
    let read: Vec<_> = decoded.iter().map(|data| read_all(data.as_deref())).collect();
    let applications: BTreeSet<_> =
        read.iter().flatten().flatten().map(|event| record::text(event.application_id)).collect();
    let standings = registry.look_up(&applications, clock::now()).await?;

    let mut making =
        Making { settings, ingestion_id: &ingestion_id, now_ms, standings, partitions: Partitions::default() };
    let (mut answers, mut counts, mut failures) = (Answers::new(&records), Counts::default(), Failures::default());
    for (record, read) in records.iter().zip(&read) {
        // An aggregate of nothing, or a blank line, such as `headgate doctor --write` puts. There always is room.
        if read.as_ref().is_ok_and(Vec::is_empty) && answers.push(Answer::dropped(&record.record_id)) {
            continue;
        }
        let arrival_ms = record.approximate_arrival_timestamp;
        let made = read.as_ref().map_err(|failure| *failure).and_then(|events| making.rows(events, arrival_ms));
        let made = made.and_then(|made| {
            let fits = answers.push(Answer::ok(&record.record_id, &made.rows, made.day));
            fits.then_some(made.statuses).ok_or(Failure::TooLarge)
        });
        match made {
            Ok(statuses) => statuses.into_iter().for_each(|status| counts.add(status)),
            Err(failure) => {
                failures.add(&record.record_id, failure);
                // Firehose keeps what it handed over; where even that does not fit, it has to do with its own copy.
                if !answers.push(Answer::failed(&record.record_id, Some(&record.data))) {
                    answers.push_bare(&record.record_id);
                }
            }
        }
    }
    failures.log();
    counts.tell(settings.namespace.as_deref(), now_ms, records.len(), &failures);
    Ok(answers)
}

/// The events of a record; none where nothing is in it.
fn read_all(data: Option<&[u8]>) -> Result<Vec<Record<'_>>, Failure> {
    let lines = bundle::lines(data.ok_or(Failure::NotBase64)?);
    lines.into_iter().map(|line| record::read(line).map_err(Failure::Unreadable)).collect()
}

/// What all rows of an invocation have in common.
struct Making<'a> {
    settings: &'a Settings,
    ingestion_id: &'a str,
    now_ms: i64,
    standings: HashMap<String, Standing>,
    partitions: Partitions,
}

/// The rows of one record.
struct Made {
    rows: Vec<u8>,
    day: i64,
    statuses: Vec<Status>,
}

impl Making<'_> {
    fn rows(&mut self, events: &[Record<'_>], arrival_ms: Option<i64>) -> Result<Made, Failure> {
        let window = self.settings.window;
        // Neither clock is believed that is far from the one before it: a day that is wrong by years opens partitions.
        let arrival_ms = arrival_ms.filter(|ms| window.holds(*ms, self.now_ms)).unwrap_or(self.now_ms);
        let (mut rows, mut days, mut statuses) = (Vec::new(), BTreeSet::new(), Vec::with_capacity(events.len()));
        for event in events {
            let origin = Origin::of(event);
            let received_ms = origin.request_time_ms.filter(|ms| window.holds(*ms, arrival_ms)).unwrap_or(arrival_ms);
            let application_id = record::text(event.application_id);
            let standing = self.standings.get(&*application_id).cloned().unwrap_or(Standing::Unregistered);
            let row = Row::new(event, &origin, &standing, self.ingestion_id, self.now_ms.div_euclid(1_000));
            days.insert(self.partitions.place(window, row.event_time_ms(), received_ms));
            statuses.push(row.status());
            row.write(&mut rows);
        }
        match days.into_iter().collect::<Vec<_>>()[..] {
            [day] => Ok(Made { rows, day, statuses }),
            _ => Err(Failure::SeveralDays),
        }
    }
}

#[derive(Default)]
struct Counts {
    ok: u64,
    unregistered: u64,
    schema_mismatch: u64,
}

impl Counts {
    fn add(&mut self, status: Status) {
        let count = match status {
            Status::Ok => &mut self.ok,
            Status::Unregistered => &mut self.unregistered,
            Status::SchemaMismatch => &mut self.schema_mismatch,
        };
        *count += 1;
    }

    fn tell(&self, namespace: Option<&str>, now_ms: i64, records: usize, failures: &Failures) {
        let Self { ok, unregistered, schema_mismatch } = *self;
        let failed = failures.count();
        tracing::info!(records, ok, unregistered, schema_mismatch, failed, "transformed");
        let Some(namespace) = namespace else { return };
        let metrics = [
            ("EventsOk", ok),
            ("EventsUnregistered", unregistered),
            ("EventsSchemaMismatch", schema_mismatch),
            ("RecordsFailed", failed),
        ];
        let document = emf::document(namespace, now_ms, &[("FUNCTION", "transform")], &metrics, &[]);
        if let Err(error) = emf::write(&[document]) {
            tracing::error!(%error, "metrics can't be written");
        }
    }
}

/// A value as JSON.
fn raw(value: &impl serde::Serialize) -> Box<RawValue> {
    // What is serialised here, structs of strings and numbers, always becomes JSON.
    serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
