//! Everything that is counted, as documented enums. `docs/metrics.md` is generated from them
//! (`headgate reference metrics`) and a test holds it to them.
//!
//! A component takes a handle once ([`Metrics::counter`], [`Metrics::gauge`], [`Metrics::histogram`]) and counts on it:
//! a handle costs an atomic addition, finding one a hash and a lock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge;
use prometheus_client::metrics::histogram;
use prometheus_client::registry::Registry;

type Labels = Vec<(&'static str, String)>;
/// A handle on a counter.
pub type CounterHandle = counter::Counter<u64, AtomicU64>;
/// A handle on a gauge.
pub type GaugeHandle = gauge::Gauge;
/// A handle on a histogram.
pub type HistogramHandle = histogram::Histogram;
type HistogramFamily = Family<Labels, HistogramHandle, fn() -> HistogramHandle>;

/// One line of the reference.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// The name in the exposition, without the `_total` of a counter.
    pub name: &'static str,
    /// What it says, with its unit.
    pub help: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
}

macro_rules! described {
    ($(#[$outer:meta])* $enum:ident { $($variant:ident = $name:literal [$($label:literal),*] $help:literal;)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $enum {
            $(#[doc = $help] $variant,)+
        }

        impl $enum {
            /// Every one of them, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its line of the reference.
            #[must_use]
            pub fn description(self) -> Description {
                match self {
                    $(Self::$variant => Description { name: $name, help: $help, labels: &[$($label),*] },)+
                }
            }
        }
    };
}

described! {
    /// Counters. They only rise.
    Counter {
        EventsReceived = "headgate_events_received" ["application"] "Events that arrived in batches that were admitted.";
        EventsSettled = "headgate_events_settled" ["application", "verdict"] "Events by verdict (accepted, rejected, retry, unknown); their sum follows headgate_events_received.";
        EventsRejected = "headgate_events_rejected_reason" ["reason"] "Rejected events by reason.";
        EventsDuplicate = "headgate_events_duplicate" ["application"] "Events whose id was seen before: answered as the first one, stored once; of two payloads under one id the first wins.";
        BytesReceived = "headgate_received_bytes" ["application"] "Bytes of admitted messages, decompressed.";
        BatchesReceived = "headgate_batches_received" ["application"] "Batches admitted.";
        Refusals = "headgate_refusals" ["refusal"] "Batches and calls refused as a whole, by refusal (see docs/status.md).";
        Violations = "headgate_accounting_violations" [] "Batches whose verdicts did not add up. Anything but 0 is a bug.";
        ConnectionsOpened = "headgate_connections_opened" [] "Connections accepted.";
        ConnectionsRefused = "headgate_connections_refused" ["cause"] "Connections closed before their first request (limit, tls, timeout, protocol).";
        StreamsOpened = "headgate_streams_opened" [] "StreamEvents calls that got past their key.";
        StreamsEnded = "headgate_streams_ended" ["cause"] "StreamEvents calls that ended, by cause.";
        KeyLookups = "headgate_key_lookups" ["result"] "Look-ups of keys in the registry (found, unknown, failed).";
        KeyCacheHits = "headgate_key_cache_hits" ["kind"] "Keys answered from the cache (positive, negative, stale).";
        KeysRevoked = "headgate_keys_revoked" [] "Keys in use that were found disabled, expired or gone.";
        BucketsClosed = "headgate_buckets_closed" ["cause"] "Buckets closed, by cause (size, linger, drain).";
        BucketsSettled = "headgate_buckets_settled" ["outcome"] "Buckets by outcome (stored, not_stored, unknown).";
        LakeWrittenBytes = "headgate_lake_log_written_bytes" [] "Bytes appended to the lake's log.";
        LakeSyncs = "headgate_lake_log_syncs" [] "Groups of buckets made durable by one fsync.";
        LakeErrors = "headgate_lake_errors" ["operation"] "Failed file operations of the lake (open, write, sync, compact).";
        LakeRowsCompacted = "headgate_lake_rows_compacted" [] "Rows written to Parquet files.";
        LakeSegmentsCompacted = "headgate_lake_segments_compacted" [] "Log segments turned into Parquet files.";
        LakeTornBytes = "headgate_lake_torn_bytes" [] "Bytes of torn tails cut off at the start; none of them was acknowledged.";
        LakeDamagedBytes = "headgate_lake_damaged_bytes" [] "Bytes of damaged log, set aside for a look.";
        BadRowsWritten = "headgate_bad_rows_written" [] "Rejected events kept as bad rows.";
        BadRowsDropped = "headgate_bad_rows_dropped" [] "Rejected events not kept because the queue was full or the disk refused.";
        Panics = "headgate_panics" ["task"] "Panics caught in a task or a handler. Anything but 0 is a bug.";
        CertificateReloads = "headgate_tls_reloads" ["result"] "TLS files read again after a change (ok, failed).";
    }
}

described! {
    /// Gauges. They rise and fall.
    Gauge {
        BytesInFlight = "headgate_in_flight_bytes" [] "Bytes held by the budget for events on their way.";
        BytesBudget = "headgate_in_flight_limit_bytes" [] "The budget's size.";
        BucketsInFlight = "headgate_in_flight_buckets" [] "Buckets without an outcome.";
        Connections = "headgate_connections" [] "Open connections.";
        Streams = "headgate_streams" [] "Open StreamEvents calls.";
        KeysCached = "headgate_keys_cached" [] "Keys in the cache.";
        DestinationUp = "headgate_destination_up" ["destination"] "1 while the destination takes events, else 0.";
        LakeLogBytes = "headgate_lake_log_bytes" [] "Bytes in log segments not yet turned into Parquet.";
        LakeSegments = "headgate_lake_log_segments" [] "Log segments not yet turned into Parquet.";
        Ready = "headgate_ready" [] "1 while the gateway takes events, else 0.";
    }
}

described! {
    /// Histograms, in seconds or as the name says.
    Histogram {
        BatchSeconds = "headgate_batch_seconds" [] "From a batch's arrival to its verdict, seconds.";
        BatchEvents = "headgate_batch_events" [] "Events in a batch.";
        SyncSeconds = "headgate_lake_sync_seconds" [] "Duration of an fsync of the lake's log, seconds.";
        SyncBytes = "headgate_lake_sync_bytes" [] "Bytes made durable by one fsync.";
        CompactSeconds = "headgate_lake_compact_seconds" [] "Duration of turning a segment into Parquet, seconds.";
    }
}

/// The process's metrics. Cheap to share, one to a gateway.
pub struct Metrics {
    registry: Registry,
    counters: Vec<Family<Labels, CounterHandle>>,
    gauges: Vec<Family<Labels, GaugeHandle>>,
    histograms: Vec<HistogramFamily>,
}

impl Metrics {
    /// Every metric of the enums, at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::default();
        let counters = Counter::ALL
            .iter()
            .map(|metric| {
                let family = Family::default();
                let description = metric.description();
                registry.register(description.name, description.help, family.clone());
                family
            })
            .collect();
        let gauges = Gauge::ALL
            .iter()
            .map(|metric| {
                let family = Family::default();
                let description = metric.description();
                registry.register(description.name, description.help, family.clone());
                family
            })
            .collect();
        let histograms = Histogram::ALL
            .iter()
            .map(|metric| {
                let family = HistogramFamily::new_with_constructor(metric.constructor());
                let description = metric.description();
                registry.register(description.name, description.help, family.clone());
                family
            })
            .collect();
        let metrics = Self { registry, counters, gauges, histograms };
        metrics.touch_unlabelled();
        Arc::new(metrics)
    }

    /// A counter's handle. `labels` are the values in the order of its description.
    #[must_use]
    pub fn counter(&self, metric: Counter, labels: &[&str]) -> CounterHandle {
        self.counters[metric as usize].get_or_create(&named(metric.description(), labels)).clone()
    }

    /// A gauge's handle.
    #[must_use]
    pub fn gauge(&self, metric: Gauge, labels: &[&str]) -> GaugeHandle {
        self.gauges[metric as usize].get_or_create(&named(metric.description(), labels)).clone()
    }

    /// A histogram's handle.
    #[must_use]
    pub fn histogram(&self, metric: Histogram) -> HistogramHandle {
        self.histograms[metric as usize].get_or_create(&Vec::new()).clone()
    }

    /// Everything in the OpenMetrics text format.
    ///
    /// # Errors
    /// Only if formatting fails, which a `String` does not.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    // A metric without labels is shown from the start, at zero: an alarm on it must not find "no data".
    fn touch_unlabelled(&self) {
        for metric in Counter::ALL.iter().filter(|metric| metric.description().labels.is_empty()) {
            let _ = self.counter(*metric, &[]);
        }
        for metric in Gauge::ALL.iter().filter(|metric| metric.description().labels.is_empty()) {
            let _ = self.gauge(*metric, &[]);
        }
        for metric in Histogram::ALL {
            let _ = self.histogram(*metric);
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Histogram {
    fn constructor(self) -> fn() -> HistogramHandle {
        match self {
            Self::BatchSeconds | Self::SyncSeconds | Self::CompactSeconds => seconds,
            Self::BatchEvents => events,
            Self::SyncBytes => bytes,
        }
    }
}

fn seconds() -> HistogramHandle {
    HistogramHandle::new(histogram::exponential_buckets(0.000_25, 2.0, 18))
}

fn events() -> HistogramHandle {
    HistogramHandle::new([1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0])
}

fn bytes() -> HistogramHandle {
    HistogramHandle::new(histogram::exponential_buckets(1_024.0, 4.0, 9))
}

fn named(description: Description, labels: &[&str]) -> Labels {
    assert_eq!(
        description.labels.len(),
        labels.len(),
        "{} takes the labels {:?}",
        description.name,
        description.labels
    );
    description.labels.iter().copied().zip(labels.iter().map(|value| (*value).to_owned())).collect()
}

/// The reference page, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Metrics\n\nServed at `/metrics` of the operators' listener in the OpenMetrics text format. \
         Generated by `headgate reference metrics`.\n",
    );
    let counters = Counter::ALL.iter().map(|metric| (metric.description(), "_total"));
    let gauges = Gauge::ALL.iter().map(|metric| (metric.description(), ""));
    let histograms = Histogram::ALL.iter().map(|metric| (metric.description(), ""));
    section(&mut page, "Counters", counters);
    section(&mut page, "Gauges", gauges);
    section(&mut page, "Histograms", histograms);
    page
}

fn section(page: &mut String, title: &str, metrics: impl Iterator<Item = (Description, &'static str)>) {
    page.push_str(&format!("\n## {title}\n\n| name | labels | what it says |\n|---|---|---|\n"));
    for (metric, suffix) in metrics {
        let labels = metric.labels.join(", ");
        page.push_str(&format!("| `{}{suffix}` | {labels} | {} |\n", metric.name, metric.help));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_without_labels_is_exposed_before_it_is_counted() {
        let text = Metrics::new().encode().expect("encodes");
        assert!(text.contains("headgate_accounting_violations_total 0"), "{text}");
        assert!(text.contains("headgate_in_flight_bytes 0"), "{text}");
    }

    #[test]
    fn the_published_reference_is_this_one() {
        let page = include_str!("../../docs/metrics.md");
        assert!(page == reference(), "docs/metrics.md is old: replace it by what `headgate reference metrics` prints");
    }

    #[test]
    fn a_handle_counts_under_its_labels() {
        let metrics = Metrics::new();
        metrics.counter(Counter::EventsSettled, &["app-1", "accepted"]).inc_by(7);
        let text = metrics.encode().expect("encodes");
        assert!(text.contains("headgate_events_settled_total{application=\"app-1\",verdict=\"accepted\"} 7"), "{text}");
    }
}
