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

pub use self::percentiles::LastMinute;
use self::process::ProcessCollector;

type Labels = Vec<(&'static str, String)>;
/// A handle on a counter.
pub type CounterHandle = counter::Counter<u64, AtomicU64>;
/// A handle on a gauge.
pub type GaugeHandle = gauge::Gauge;
/// A handle on a ratio.
pub type RatioHandle = gauge::Gauge<f64, AtomicU64>;
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

mod percentiles;
// Here and not above, since it uses the macro.
mod process;

pub use self::process::Process;

described! {
    /// Counters. They only rise.
    Counter {
        EventsReceived = "headgate_events_received" ["application"] "Events that arrived in batches that were admitted.";
        EventsSettled = "headgate_events_settled" ["application", "verdict"] "Events by verdict (accepted, rejected, retry, unknown, and suppressed: of players who are not to be kept, answered as accepted and not stored); their sum follows headgate_events_received.";
        EventsRejected = "headgate_events_rejected_reason" ["reason"] "Rejected events by reason.";
        EventsDuplicate = "headgate_events_duplicate" ["application"] "Events whose id was seen before: answered as the first one, stored once; of two payloads under one id the first wins.";
        EventsWarned = "headgate_events_warned" ["application"] "Events that were taken and do not fit the schema of their type, which is in mode warn.";
        PlayerDeletions = "headgate_player_deletions" ["result"] "Deletions of a player's data that are over: done, or incomplete, of which the report says what is left to do.";
        BytesReceived = "headgate_received_bytes" ["application"] "Bytes of admitted messages, decompressed.";
        BatchesReceived = "headgate_batches_received" ["application"] "Batches admitted.";
        DoorBatches = "headgate_door_batches" ["door"] "Batches taken by doors beside headgate.v1 over gRPC and the REST API (otlp_grpc, otlp_http, grpc_web); they are in headgate_batches_received, too.";
        WindowEvents = "headgate_window_events" ["application", "app_version"] "TotalEvents: stored events, distinct by id, of one-minute windows of event time; added when a minute closes, late ones as they come.";
        WindowLogins = "headgate_window_logins" ["application", "app_version"] "TotalLogins: of headgate_window_events, those of type login.";
        WindowKnockouts = "headgate_window_knockouts" ["application", "app_version", "spell_id"] "KnockoutsBySpell: of headgate_window_events, those of type user_knockout, by event_data.spell_id.";
        WindowPurchases = "headgate_window_purchases" ["application", "app_version", "currency_type"] "Purchases: of headgate_window_events, those of type iap_transaction, by event_data.currency_type.";
        WindowLateEvents = "headgate_window_late_events" ["application"] "Stored events that came after their minute was closed (live.window_grace); they are in headgate_window_events.";
        WindowDroppedEvents = "headgate_window_dropped_events" ["application", "cause"] "Stored events that no window counts: their minute is not kept any more (late, live.windows_kept) or more than an hour ahead (early), or too many were on their way (memory, live.window_memory).";
        Refusals = "headgate_refusals" ["refusal"] "Batches and calls refused as a whole, by refusal (see docs/status.md).";
        AdminRefusals = "headgate_admin_refusals" ["door", "reason"] "Calls of administrators refused for want of a credential: none came, a wrong one, or none is configured.";
        Violations = "headgate_accounting_violations" [] "Batches whose verdicts did not add up. Anything but 0 is a bug.";
        ConnectionsOpened = "headgate_connections_opened" [] "Connections accepted.";
        ConnectionsRefused = "headgate_connections_refused" ["cause"] "Connections closed because of what their client did: before their first request (limit, peer: too many of one address, tls, timeout), or on the way (protocol: it broke HTTP, flood: too many control frames).";
        StreamsOpened = "headgate_streams_opened" [] "StreamEvents calls that got past their key.";
        StreamsEnded = "headgate_streams_ended" ["cause"] "StreamEvents calls that ended, by cause.";
        KeyLookups = "headgate_key_lookups" ["result"] "Look-ups of keys in the registry (found, unknown, failed).";
        KeyCacheHits = "headgate_key_cache_hits" ["kind"] "Keys answered from the cache (positive, negative, stale).";
        KeysRevoked = "headgate_keys_revoked" [] "Keys in use that were found disabled, expired or gone.";
        KeyUses = "headgate_key_uses" ["result"] "Last uses of keys written into the registry, about once a minute for each key in use (noted, failed: tried again the next time).";
        BucketsClosed = "headgate_buckets_closed" ["cause"] "Buckets closed, by cause (size, linger, drain).";
        TailsKept = "headgate_bucket_tails_kept" [] "Buckets of several units cut after a whole one when their linger was over.";
        BucketsSettled = "headgate_buckets_settled" ["outcome"] "Buckets by outcome (stored, not_stored, unknown).";
        LakeWrittenBytes = "headgate_lake_log_written_bytes" [] "Bytes appended to the lake's log.";
        LakeSyncs = "headgate_lake_log_syncs" [] "Groups of buckets made durable by one fsync.";
        LakeErrors = "headgate_lake_errors" ["operation"] "Failed file operations of the lake (open, write, sync, compact).";
        LakeRowsCompacted = "headgate_lake_rows_compacted" [] "Rows written to Parquet files.";
        LakeSegmentsCompacted = "headgate_lake_segments_compacted" [] "Log segments turned into Parquet files.";
        LakeTornBytes = "headgate_lake_torn_bytes" [] "Bytes of torn tails cut off at the start; none of them was acknowledged.";
        LakeDamagedBytes = "headgate_lake_damaged_bytes" [] "Bytes of damaged log, set aside for a look.";
        BadRowsWritten = "headgate_bad_rows_written" [] "Rejected events kept as bad rows.";
        BadRowsDropped = "headgate_bad_rows_dropped" [] "Rejected events not kept because the queue was full, or because the disk or Firehose refused.";
        DeliveryRecords = "headgate_delivery_records" ["destination"] "Records that Kinesis or Firehose took.";
        DeliveryFailedRecords = "headgate_delivery_failed_records" ["destination", "code"] "Records that a call did not store, by error code; most are sent again.";
        DeliveryAmbiguousRecords = "headgate_delivery_ambiguous_records" ["destination"] "Records of calls that were not answered: stored or not, nobody knows. Sent again, they may be there twice.";
        DeliveryRetriedRecords = "headgate_delivery_retried_records" ["destination"] "Records sent once more.";
        DeliveryCalls = "headgate_delivery_calls" ["destination", "result"] "Calls by result (ok: answered, though records of it may have failed; failed).";
        DeliveryPayloadBytes = "headgate_delivery_payload_bytes" ["destination"] "Bytes of stream records that were stored, without envelope.";
        DeliveryWireBytes = "headgate_delivery_wire_bytes" ["destination"] "Bytes of records that were stored, envelope and keys included.";
        DeliveryBilledUnits = "headgate_delivery_billed_units" ["destination"] "Units that stored records are billed as (Kinesis 25,600 B provisioned, 1,024 B on demand; Firehose 5,120 B).";
        DeliveryExpired = "headgate_delivery_expired_buckets" ["destination"] "Buckets that were not stored by their deadline.";
        DeliveryOverflowed = "headgate_delivery_overflowed_buckets" ["destination"] "Buckets handed to the other destination of their route.";
        DeliveryKept = "headgate_delivery_spilled_buckets" ["destination"] "Buckets kept in the spill after their deadline, to be delivered later.";
        SpillDelivered = "headgate_spill_delivered_buckets" ["destination"] "Kept buckets that were delivered after all.";
        SpillRefused = "headgate_spill_refused_buckets" ["destination"] "Buckets that the spill did not take: it is full, off or its disk refuses.";
        SpillLost = "headgate_spill_lost_buckets" ["destination"] "Buckets that the spill took and could not write, or could not read back. The verdict of their events was unknown.";
        SpillTornBytes = "headgate_spill_torn_bytes" ["destination"] "Bytes of spill files that could not be read at the start: torn at their ends, or damaged.";
        ShardMapRefreshes = "headgate_shard_map_refreshes" ["result"] "Descriptions of the stream (ok, failed).";
        WrongShard = "headgate_wrong_shard_records" [] "Records that landed in another shard than the map said: it had been split or merged. Nothing is lost by it.";
        ShareExchanges = "headgate_share_exchanges" ["result"] "Exchanges of demand with the other gateways, one an application each time (ok, failed, skipped: not tried because others had just failed).";
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
        DestinationUp = "headgate_destination_up" ["destination"] "1 while the destination takes events, or has too much to do to take more at the moment; 0 while it is down.";
        DestinationOverloaded = "headgate_destination_overloaded" ["destination"] "1 while the destination works and has too much to do to take more at the moment: batches are refused with a hint.";
        LakeLogBytes = "headgate_lake_log_bytes" [] "Bytes in log segments not yet turned into Parquet.";
        LakeSegments = "headgate_lake_log_segments" [] "Log segments not yet turned into Parquet.";
        DeliveryCallsInFlight = "headgate_delivery_calls_in_flight" ["destination"] "Calls without an answer.";
        DeliveryQueuedBytes = "headgate_delivery_queued_bytes" ["destination"] "Bytes of buckets that wait or are on their way.";
        SpillBuckets = "headgate_spill_buckets" ["destination"] "Buckets kept in the spill.";
        SpillBytes = "headgate_spill_bytes" ["destination"] "Bytes of the spill's files, and of buckets on their way there.";
        OpenShards = "headgate_open_shards" [] "Open shards of the Kinesis stream, as last described.";
        ShardMapAge = "headgate_shard_map_age_seconds" [] "Since the stream was last described.";
        ShareMembers = "headgate_share_members" [] "Gateways that share the applications' rates, this one included; 0 where rates are not shared.";
        ShareAge = "headgate_share_exchange_age_seconds" [] "Since demand was last exchanged with the other gateways; while it rises, every gateway keeps its last shares.";
        PoliciesFresh = "headgate_policies_fresh" [] "1 while schemas, suppressed players and how ids are hashed are as the registry has them, 0 while it can't be asked, has no books, or has a row of how ids are hashed that can't be read.";
        LiveApplications = "headgate_live_applications" [] "Applications whose events are shown one by one (at most live.max_applications).";
        LiveWindowBytes = "headgate_live_window_bytes" [] "Memory that the windows of all applications take, and counts of events on their way (each at most about live.window_memory).";
        Tasks = "headgate_tasks" [] "Tasks of the runtime that have not ended; they follow connections, streams and calls. What rises while those do not is a leak.";
        Ready = "headgate_ready" [] "1 while the gateway takes events, else 0.";
    }
}

described! {
    /// Gauges of ratios and amounts that are not whole.
    Ratio {
        DeliveryEfficiency = "headgate_delivery_efficiency_ratio" ["destination", "part"] "Payload bytes over billed bytes since the start (total), and its factors envelope, rounding and duplication; 1 would be no loss at all.";
        DeliveryDollars = "headgate_delivery_dollars_per_million_events" ["destination"] "US dollars for writing a million events, at the prices of the settings; shard-hours not included.";
        RateShare = "headgate_rate_share_ratio" ["application", "unit"] "This gateway's part of an application's rate, by unit (events, bytes); over all gateways they add up to 1.";
        ShardRate = "headgate_shard_rate_ratio" ["shard"] "Rate that a shard is sent at, over its limit; below 1 after it throttled. Shard all: the mean.";
        BatchLastMinute = "headgate_batch_last_minute_seconds" ["percentile"] "headgate_batch_seconds over the last whole minute (p50, p99, max), interpolated within its buckets; absent after a minute without batches.";
        PutLastMinute = "headgate_delivery_put_last_minute_seconds" ["percentile"] "headgate_delivery_put_seconds over the last whole minute, likewise.";
        DeliveryLastMinute = "headgate_delivery_last_minute_seconds" ["percentile"] "headgate_delivery_seconds over the last whole minute, likewise.";
        SyncLastMinute = "headgate_lake_sync_last_minute_seconds" ["percentile"] "headgate_lake_sync_seconds over the last whole minute, likewise.";
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
        PutSeconds = "headgate_delivery_put_seconds" [] "Duration of a call to Kinesis or Firehose, seconds.";
        DeliverySeconds = "headgate_delivery_seconds" [] "From a bucket's first event to its record being stored, seconds.";
        CallRecords = "headgate_delivery_call_records" [] "Records in a call.";
        RecordEvents = "headgate_delivery_record_events" [] "Events in a record that was stored.";
        RecordFill = "headgate_delivery_record_fill_ratio" [] "Bytes of a stored record over those it is billed as.";
    }
}

/// The process's metrics. Cheap to share, one to a gateway.
pub struct Metrics {
    registry: Registry,
    counters: Vec<Family<Labels, CounterHandle>>,
    gauges: Vec<Family<Labels, GaugeHandle>>,
    ratios: Vec<Family<Labels, RatioHandle>>,
    histograms: Vec<HistogramFamily>,
}

impl Metrics {
    /// Every metric of the enums, at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::default();
        let counters = Counter::ALL.iter().map(|metric| family(&mut registry, metric.description())).collect();
        let gauges = Gauge::ALL.iter().map(|metric| family(&mut registry, metric.description())).collect();
        let ratios = Ratio::ALL.iter().map(|metric| family(&mut registry, metric.description())).collect();
        let histograms = Histogram::ALL
            .iter()
            .map(|metric| {
                let family = HistogramFamily::new_with_constructor(metric.constructor());
                let description = metric.description();
                registry.register(description.name, description.help, family.clone());
                family
            })
            .collect();
        registry.register_collector(Box::new(ProcessCollector));
        let metrics = Self { registry, counters, gauges, ratios, histograms };
        metrics.touch_unlabelled();
        Arc::new(metrics)
    }

    /// A counter's handle. `labels` are the values in the order of its description.
    #[must_use]
    pub fn counter(&self, metric: Counter, labels: &[&str]) -> CounterHandle {
        self.counters[metric as usize].get_or_create(&named(metric.description(), labels)).clone()
    }

    /// Takes a counter out of the exposition. A handle on it goes on counting, unseen.
    pub fn forget_counter(&self, metric: Counter, labels: &[&str]) {
        let _ = self.counters[metric as usize].remove(&named(metric.description(), labels));
    }

    /// A gauge's handle.
    #[must_use]
    pub fn gauge(&self, metric: Gauge, labels: &[&str]) -> GaugeHandle {
        self.gauges[metric as usize].get_or_create(&named(metric.description(), labels)).clone()
    }

    /// A ratio's handle. `labels` are the values in the order of its description.
    #[must_use]
    pub fn ratio(&self, metric: Ratio, labels: &[&str]) -> RatioHandle {
        self.ratios[metric as usize].get_or_create(&named(metric.description(), labels)).clone()
    }

    /// Takes a ratio out of the exposition.
    pub fn forget_ratio(&self, metric: Ratio, labels: &[&str]) {
        let _ = self.ratios[metric as usize].remove(&named(metric.description(), labels));
    }

    /// A histogram's handle.
    #[must_use]
    pub fn histogram(&self, metric: Histogram) -> HistogramHandle {
        self.histograms[metric as usize].get_or_create(&Vec::new()).clone()
    }

    /// Everything in the OpenMetrics text format. Looks the process up in `/proc`: tens of microseconds, on kernels before
    /// 6.2 milliseconds for ten thousand open descriptors.
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

fn family<M>(registry: &mut Registry, description: Description) -> Family<Labels, M>
where
    Family<Labels, M>: prometheus_client::registry::Metric + Default + Clone,
{
    let family = Family::default();
    registry.register(description.name, description.help, family.clone());
    family
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Histogram {
    fn constructor(self) -> fn() -> HistogramHandle {
        match self {
            Self::BatchSeconds
            | Self::SyncSeconds
            | Self::CompactSeconds
            | Self::PutSeconds
            | Self::DeliverySeconds => seconds,
            Self::BatchEvents | Self::CallRecords | Self::RecordEvents => events,
            Self::SyncBytes => bytes,
            Self::RecordFill => fill,
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

fn fill() -> HistogramHandle {
    HistogramHandle::new([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0])
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
    let ratios = Ratio::ALL.iter().map(|metric| (metric.description(), ""));
    let gauges = Gauge::ALL.iter().map(|metric| (metric.description(), "")).chain(ratios);
    let histograms = Histogram::ALL.iter().map(|metric| (metric.description(), ""));
    section(&mut page, "Counters", counters);
    section(&mut page, "Gauges", gauges);
    section(&mut page, "Histograms", histograms);
    let process = Process::ALL.iter().map(|metric| (metric.description(), metric.suffix()));
    section(&mut page, "Process", process);
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
