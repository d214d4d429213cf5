//! Sends bad rows to a Firehose delivery stream of their own, as the same lines as in files, many to a record.
//!
//! Only records that failed are sent again, a few times, and then they are dropped and counted. One call is out at a
//! time; while it is, and while the service fails, rows wait in the queue, and those that do not fit are dropped there.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tracing::warn;

use super::BadRow;
use super::queue::Queue;
use super::row::BadRowLine;
use crate::clock::Clock;
use crate::config::FirehoseSettings;
use crate::delivery::sender::backoff::full_jitter;
use crate::delivery::sender::wire::{CallFailure, Entry, EntryResult, Wire};
use crate::metrics::{Counter, CounterHandle, Metrics};

/// The largest record that Firehose takes, bytes before base64.
const MAX_RECORD: usize = 1_024_000;
/// PutRecordBatch takes 500 records at most.
const RECORDS_A_CALL: usize = 500;
/// Rows are taken so many bytes at a time: as lines they take up to some three times as much.
const BATCH_BYTES: usize = 1 << 20;
/// A record is sent at most so often.
const TRIES: u32 = 6;
const RETRY_BASE: Duration = Duration::from_millis(200);
const RETRY_CAP: Duration = Duration::from_secs(5);
/// After a failure that can't pass by itself: a flood of rejected events must not become a flood of calls.
const PERMANENT_PAUSE: Duration = Duration::from_secs(10);
/// Between two log lines about rows that can't be sent.
const WARN_INTERVAL: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct ToFirehose {
    queue: Arc<Queue>,
    wire: Arc<dyn Wire>,
    linger: Duration,
    target: usize,
    max_call: usize,
    attempt_timeout: Duration,
    clock: Clock,
    written: CounterHandle,
    dropped: CounterHandle,
}

/// Lines that travel together.
struct Record {
    data: Bytes,
    rows: u64,
}

/// Rows that are in nobody's count yet: whatever ends this counts them as dropped.
struct InHand<'a> {
    rows: u64,
    dropped: &'a CounterHandle,
}

impl InHand<'_> {
    fn settle(&mut self, rows: u64, counter: &CounterHandle) {
        counter.inc_by(rows);
        self.rows -= rows;
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.dropped.inc_by(self.rows);
    }
}

impl ToFirehose {
    pub(super) fn new(
        queue: Arc<Queue>,
        wire: Arc<dyn Wire>,
        settings: &FirehoseSettings,
        metrics: &Metrics,
        clock: Clock,
    ) -> Self {
        Self {
            queue,
            wire,
            linger: settings.linger,
            target: settings.target.as_usize().min(MAX_RECORD),
            max_call: settings.max_call.as_usize(),
            attempt_timeout: settings.attempt_timeout,
            clock,
            written: metrics.counter(Counter::BadRowsWritten, &[]),
            dropped: metrics.counter(Counter::BadRowsDropped, &[]),
        }
    }

    /// Works until the queue is closed and empty.
    pub(super) async fn run(&self) {
        let mut next_warning = None;
        while self.queue.holds(1).await {
            // Others may share its record.
            let _ = tokio::time::timeout(self.linger, self.queue.holds(BATCH_BYTES)).await;
            let rows = self.queue.take_up_to(BATCH_BYTES);
            let mut in_hand = InHand { rows: rows.len() as u64, dropped: &self.dropped };
            let records = self.pack(rows, &mut in_hand);
            let mut records = records.into_iter().peekable();
            while records.peek().is_some() {
                let (mut call, mut bytes) = (Vec::new(), 0);
                while let Some(record) = records.next_if(|next| {
                    call.is_empty() || (call.len() < RECORDS_A_CALL && bytes + next.data.len() <= self.max_call)
                }) {
                    bytes += record.data.len();
                    call.push(record);
                }
                self.send(call, &mut in_hand, &mut next_warning).await;
            }
        }
    }

    fn pack(&self, rows: Vec<BadRow>, in_hand: &mut InHand<'_>) -> Vec<Record> {
        let (mut records, mut data, mut in_record) = (Vec::new(), Vec::new(), 0);
        for row in rows {
            let Some(line) = line_of(&row) else {
                in_hand.settle(1, &self.dropped);
                continue;
            };
            if !data.is_empty() && data.len() + line.len() > self.target {
                records.push(Record { data: std::mem::take(&mut data).into(), rows: in_record });
                in_record = 0;
            }
            data.extend_from_slice(&line);
            in_record += 1;
        }
        if !data.is_empty() {
            records.push(Record { data: data.into(), rows: in_record });
        }
        records
    }

    async fn send(&self, mut records: Vec<Record>, in_hand: &mut InHand<'_>, next_warning: &mut Option<Instant>) {
        let mut tries = 0;
        loop {
            let entries = records.iter().map(|record| Entry::plain(record.data.clone(), None)).collect();
            let (problem, permanent) = match self.wire.put(entries, self.attempt_timeout).await {
                Ok(results) if results.len() == records.len() => {
                    let mut results = results.into_iter();
                    records.retain(|record| {
                        let stored = matches!(results.next(), Some(EntryResult::Stored { .. }));
                        if stored {
                            in_hand.settle(record.rows, &self.written);
                        }
                        !stored
                    });
                    ("records failed".to_owned(), false)
                }
                Ok(results) => (format!("{} results for {} records", results.len(), records.len()), false),
                Err(error) => (error.to_string(), error.failure == CallFailure::Permanent),
            };
            if records.is_empty() {
                return;
            }
            tries += 1;
            if permanent || tries == TRIES {
                in_hand.settle(records.iter().map(|record| record.rows).sum(), &self.dropped);
                self.warn(&problem, next_warning);
                if permanent {
                    tokio::time::sleep(PERMANENT_PAUSE).await;
                }
                return;
            }
            tokio::time::sleep(full_jitter(RETRY_BASE, tries - 1, RETRY_CAP)).await;
        }
    }

    fn warn(&self, problem: &str, next_warning: &mut Option<Instant>) {
        let now = self.clock.now();
        if next_warning.is_none_or(|next| next <= now) {
            *next_warning = Some(now + WARN_INTERVAL);
            warn!(problem, dropped = self.dropped.get(), "bad rows can't be sent to Firehose; they are dropped");
        }
    }
}

/// A row as a line. Where that is too long for a record, without the form for people: the original bytes are all that is
/// needed. `None` if even that is too long.
fn line_of(row: &BadRow) -> Option<Vec<u8>> {
    let mut line = BadRowLine::new(row);
    let mut encoded = encode(&line).ok()?;
    if encoded.len() > MAX_RECORD {
        line.event = None;
        encoded = encode(&line).ok()?;
    }
    (encoded.len() <= MAX_RECORD).then_some(encoded)
}

fn encode(line: &BadRowLine) -> io::Result<Vec<u8>> {
    let mut encoded = serde_json::to_vec(line)?;
    encoded.push(b'\n');
    Ok(encoded)
}
