//! The metrics of a Kinesis stream, minute by minute: an event source mapping with tumbling windows of 60 s hands over the
//! records of a shard, and between invocations keeps what was counted so far.
//!
//! An event counts once for its application and `event_id` within shard and window. Windows are of arrival, not of event
//! time; what a window of one shard counted is published as it ends, and CloudWatch adds up what shards publish for the same
//! minute. A mapping without windows has its counts published invocation by invocation.
//!
//! Nothing that a record holds stops a shard: what can't be read is counted and left. The one thing that helps by being tried
//! again is time, so an invocation that runs out of it hands back the records it did not come to.

mod count;
mod event;
mod ids;
mod publish;
mod state;
#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;

use self::count::Occurrence;
use self::event::{Answer, Event, ItemFailure, StreamRecord};
use self::state::{Limits, State};
use crate::environment::{Environment, SettingError};
use crate::{bundle, clock, emf, record};

/// What an invocation keeps of its time for writing its answer.
const RESERVE_MS: i64 = 2_000;

struct Settings {
    namespace: String,
    limits: Limits,
}

impl Settings {
    fn read(environment: &Environment<'_>) -> Result<Self, SettingError> {
        Ok(Self {
            namespace: environment.required("CW_NAMESPACE")?,
            limits: Limits {
                ids: environment.number("MAX_EVENT_IDS", state::MAX_IDS, 0..=state::MAX_IDS)?,
                values: environment.number("MAX_DIMENSION_VALUES", 100, 1..=1_000)?,
            },
        })
    }
}

/// Serves invocations.
///
/// # Errors
/// If a setting is missing or bad, or Lambda can't be asked for invocations.
pub async fn serve() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::read(&Environment(&|name| std::env::var(name).ok()))?;
    let settings = &settings;
    lambda_runtime::run(service_fn(move |invocation: LambdaEvent<Event>| async move {
        let deadline_ms = i64::try_from(invocation.context.deadline).unwrap_or(i64::MAX);
        let handled = handle(settings, invocation.payload, deadline_ms.saturating_sub(RESERVE_MS), &clock::wall_ms);
        emf::write(&handled.documents).map_err(NotPublished)?;
        Ok::<_, NotPublished>(handled.answer)
    }))
    .await
}

/// Lambda keeps the state and asks again.
#[derive(Debug, thiserror::Error)]
#[error("the metrics can't be written: {0}")]
struct NotPublished(std::io::Error);

impl From<NotPublished> for Diagnostic {
    fn from(error: NotPublished) -> Self {
        Self { error_type: "Metrics.NotPublished".to_owned(), error_message: error.to_string() }
    }
}

struct Handled {
    answer: Answer,
    documents: Vec<String>,
}

fn handle(settings: &Settings, event: Event, stop_at_ms: i64, wall_ms: &dyn Fn() -> i64) -> Handled {
    let has_window = event.window.is_some();
    // After a window that grew too large, the same minute goes on with a fresh state.
    let ends = !has_window || event.is_final_invoke_for_window || event.is_window_terminated_early;
    let mut state = State::restore(event.state, settings.limits);
    let counted = count_all(&mut state, &event.records, || !ends && wall_ms() >= stop_at_ms);
    let left = &event.records[counted..];
    if let Some(first) = left.first() {
        tracing::warn!(records = left.len(), from = first.kinesis.sequence_number, "out of time: these come again");
    }
    let item_identifier = left.first().map(|record| record.kinesis.sequence_number.clone());
    let batch_item_failures =
        item_identifier.map(|item_identifier| ItemFailure { item_identifier }).into_iter().collect();

    let mut documents = Vec::new();
    if ends {
        let arrival_ms = event.records.first().and_then(|record| record.kinesis.arrival_ms());
        let start_ms = event.window.as_ref().and_then(|window| window.start_ms());
        let minute_ms = start_ms.or(arrival_ms).unwrap_or_else(wall_ms).div_euclid(60_000) * 60_000;
        let shard = event.shard_id.as_deref().unwrap_or_default();
        documents = publish::documents(&state, &settings.namespace, minute_ms, shard);
        tracing::info!(
            shard,
            minute_ms,
            events = state.events(),
            unreadable = state.unreadable(),
            not_deduplicated = state.not_deduplicated(),
            terminated_early = event.is_window_terminated_early,
            "published"
        );
    }
    let state = if ends { Value::Object(serde_json::Map::new()) } else { state.keep() };
    Handled { answer: Answer { state, batch_item_failures }, documents }
}

/// Counts records until there is no time left, but at least one. Gives how many.
fn count_all(state: &mut State, records: &[StreamRecord], is_late: impl Fn() -> bool) -> usize {
    for (place, record) in records.iter().enumerate() {
        if place > 0 && is_late() {
            return place;
        }
        match STANDARD.decode(&record.kinesis.data) {
            Ok(data) => count_lines(state, &data),
            Err(_) => state.count_unreadable(),
        }
    }
    records.len()
}

fn count_lines(state: &mut State, data: &[u8]) {
    let lines = bundle::lines(data);
    if lines.is_empty() {
        state.count_unreadable();
    }
    for line in lines {
        let read = record::read(line).ok();
        match read.as_ref().and_then(Occurrence::of) {
            Some(occurrence) => state.count(&occurrence),
            None => state.count_unreadable(),
        }
    }
}
