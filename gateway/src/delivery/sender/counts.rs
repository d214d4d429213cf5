//! What a sender counts.

use std::sync::Arc;

use super::Sender;
use super::cost::Cost;
use super::dispatch::Note;
use crate::metrics::{Counter, CounterHandle, Gauge, GaugeHandle, Histogram, HistogramHandle, Metrics, Ratio};

/// A stream with more open shards than this gets no metrics for each of them.
const SHARDS_SHOWN: usize = 64;

pub(super) struct Counts {
    pub(super) metrics: Arc<Metrics>,
    pub(super) name: &'static str,
    pub(super) cost: Cost,
    pub(super) stored: CounterHandle,
    pub(super) ambiguous: CounterHandle,
    pub(super) retried: CounterHandle,
    pub(super) wrong_shard: CounterHandle,
    pub(super) expired: CounterHandle,
    pub(super) overflowed: CounterHandle,
    pub(super) kept: CounterHandle,
    pub(super) calls_ok: CounterHandle,
    pub(super) calls_failed: CounterHandle,
    pub(super) calls: GaugeHandle,
    pub(super) queued: GaugeHandle,
    pub(super) put_seconds: HistogramHandle,
    pub(super) wait_seconds: HistogramHandle,
    pub(super) records_a_call: HistogramHandle,
    pub(super) events_a_record: HistogramHandle,
    pub(super) fill: HistogramHandle,
}

impl Counts {
    pub(super) fn new(name: &'static str, metrics: Arc<Metrics>) -> Self {
        let counter = |counter| metrics.counter(counter, &[name]);
        let calls = |result| metrics.counter(Counter::DeliveryCalls, &[name, result]);
        Self {
            name,
            cost: Cost::new(name, &metrics),
            stored: counter(Counter::DeliveryRecords),
            ambiguous: counter(Counter::DeliveryAmbiguousRecords),
            retried: counter(Counter::DeliveryRetriedRecords),
            wrong_shard: metrics.counter(Counter::WrongShard, &[]),
            expired: counter(Counter::DeliveryExpired),
            overflowed: counter(Counter::DeliveryOverflowed),
            kept: counter(Counter::DeliveryKept),
            calls_ok: calls("ok"),
            calls_failed: calls("failed"),
            calls: metrics.gauge(Gauge::DeliveryCallsInFlight, &[name]),
            queued: metrics.gauge(Gauge::DeliveryQueuedBytes, &[name]),
            put_seconds: metrics.histogram(Histogram::PutSeconds),
            wait_seconds: metrics.histogram(Histogram::DeliverySeconds),
            records_a_call: metrics.histogram(Histogram::CallRecords),
            events_a_record: metrics.histogram(Histogram::RecordEvents),
            fill: metrics.histogram(Histogram::RecordFill),
            metrics,
        }
    }
}

impl Sender {
    /// Counts it.
    pub(super) fn note(&self, note: Note) {
        let counts = &self.counts;
        match note {
            Note::Stored { wire, record_bytes, events, waited } => {
                let billing = self.billing();
                counts.stored.inc();
                counts.cost.stored(&billing, record_bytes, wire, events);
                counts.wait_seconds.observe(waited.as_secs_f64());
                counts.events_a_record.observe(f64::from(events));
                #[allow(clippy::cast_precision_loss)]
                counts.fill.observe(wire as f64 / (billing.units(wire) * billing.unit as u64) as f64);
            }
            Note::Failed { code } => {
                counts.metrics.counter(Counter::DeliveryFailedRecords, &[counts.name, &code]).inc();
            }
            Note::Ambiguous => {
                counts.ambiguous.inc();
                counts.cost.ambiguous();
            }
            Note::Retried => {
                counts.retried.inc();
            }
            Note::WrongShard => {
                counts.wrong_shard.inc();
            }
            Note::Opened(reason) => {
                tracing::error!(
                    destination = self.name,
                    reason,
                    "the destination fails; probing until it is well again"
                );
            }
            Note::Closed => tracing::info!(destination = self.name, "the destination is well again"),
            Note::LookAgain => {
                if let Some(stream) = &self.stream {
                    stream.look_again.notify_one();
                }
            }
        }
    }

    /// Brings gauges up to date.
    pub(super) fn show(&self) {
        let counts = &self.counts;
        counts.cost.show(&self.billing());
        let books = self.books();
        counts.calls.set(i64::try_from(books.calls_in_flight()).unwrap_or(i64::MAX));
        counts.queued.set(i64::try_from(books.queued_bytes()).unwrap_or(i64::MAX));
        if self.stream.is_some() {
            counts.metrics.ratio(Ratio::ShardRate, &["all"]).set(books.shards().fraction());
            if books.shards().len() <= SHARDS_SHOWN {
                for shard in books.shards().iter() {
                    if let Some(id) = shard.id() {
                        counts.metrics.ratio(Ratio::ShardRate, &[id]).set(shard.fraction());
                    }
                }
            }
        }
    }
}
