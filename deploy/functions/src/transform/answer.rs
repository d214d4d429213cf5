//! The answer, kept within what Lambda takes.
//!
//! A synchronous invocation's answer holds at most 6 MB (Lambda quotas: 6,291,556 bytes); one that is larger fails the
//! invocation as a whole, and Firehose would hand over the same records again, with the same result. So every record has
//! room for a bare refusal set aside from the start, and what its rows take beyond that is taken while it lasts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use super::event::SourceRecord;
use super::partition::PartitionKeys;

/// Below 6 MB in either sense of it.
const MAX_BYTES: usize = 5_900_000;

/// The answer to one record.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    record_id: &'a str,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    partition_keys: PartitionKeys,
}

impl<'a> Answer<'a> {
    /// These rows, all of one day.
    pub(super) fn ok(record_id: &'a str, rows: &[u8], day: i64) -> Self {
        let metadata = Metadata { partition_keys: PartitionKeys::of_day(day) };
        Self { record_id, result: "Ok", data: Some(STANDARD.encode(rows)), metadata: Some(metadata) }
    }

    /// No rows, since there is no event in it: nothing is lost.
    pub(super) fn dropped(record_id: &'a str) -> Self {
        Self { record_id, result: "Dropped", data: None, metadata: None }
    }

    /// No rows. `data` is what was handed over, as it was.
    pub(super) fn failed(record_id: &'a str, data: Option<&str>) -> Self {
        Self { record_id, result: "ProcessingFailed", data: data.map(str::to_owned), metadata: None }
    }
}

/// The answers to all records of an invocation.
#[derive(Debug, Serialize)]
pub(super) struct Answers {
    records: Vec<Box<RawValue>>,
    #[serde(skip)]
    room: usize,
}

impl Answers {
    pub(super) fn new(records: &[SourceRecord]) -> Self {
        let bare: usize = records.iter().map(|record| bare_len(&record.record_id)).sum();
        Self { records: Vec::with_capacity(records.len()), room: MAX_BYTES.saturating_sub(bare) }
    }

    /// Adds an answer; says `false`, and adds nothing, where there is no room for it.
    #[must_use]
    pub(super) fn push(&mut self, answer: Answer<'_>) -> bool {
        let set_aside = bare_len(answer.record_id);
        let answer = super::raw(&answer);
        let beyond = (answer.get().len() + 1).saturating_sub(set_aside);
        let fits = beyond <= self.room;
        if fits {
            self.room -= beyond;
            self.records.push(answer);
        }
        fits
    }

    /// Adds a failure without data, for which there always is room.
    pub(super) fn push_bare(&mut self, record_id: &str) {
        self.records.push(super::raw(&Answer::failed(record_id, None)));
    }
}

/// What a failure without data takes, with the comma after it. Ids with characters that JSON escapes are not given out.
fn bare_len(record_id: &str) -> usize {
    r#"{"recordId":"","result":"ProcessingFailed"},"#.len() + record_id.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_never_grow_past_the_limit_and_everybody_gets_one() {
        let records: Vec<_> = (0..20)
            .map(|n| SourceRecord {
                record_id: format!("{n:064}"),
                data: "x".repeat(700_000),
                approximate_arrival_timestamp: None,
            })
            .collect();
        let rows = vec![b'r'; 500_000];
        let mut answers = Answers::new(&records);
        let mut ok = 0;
        for record in &records {
            if answers.push(Answer::ok(&record.record_id, &rows, 0)) {
                ok += 1;
            } else if !answers.push(Answer::failed(&record.record_id, Some(&record.data))) {
                answers.push_bare(&record.record_id);
            }
        }
        let text = serde_json::to_string(&answers).expect("is JSON");
        assert_eq!((ok, answers.records.len()), (8, 20));
        assert!(text.len() <= MAX_BYTES + r#"{"records":[]}"#.len(), "{}", text.len());
        for record in &records {
            assert_eq!(text.matches(&record.record_id).count(), 1);
        }
    }
}
