//! Ranges of settings, and settings that do not fit together.

mod grpc_web;
mod rest;

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::units::Size;
use super::{
    Aggregation, BadRowsKind, ClientCertificates, RegistryKind, Routing, Settings, TlsSettings, problem_of_secret,
};
use crate::admission::budget::Budget;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Every problem, as the setting's name and what is wrong.
pub(super) fn problems(settings: &Settings) -> Vec<(String, String)> {
    let mut found = Problems(Vec::new());
    grpc(settings, &mut found);
    console(settings, &mut found);
    rest::check(settings, &mut found);
    grpc_web::check(settings, &mut found);
    admin(settings, &mut found);
    admission(settings, &mut found);
    ingest(settings, &mut found);
    gather_and_delivery(settings, &mut found);
    aws(settings, &mut found);
    kinesis(settings, &mut found);
    firehose(settings, &mut found);
    lake(settings, &mut found);
    registry(settings, &mut found);
    cluster(settings, &mut found);
    live(settings, &mut found);
    lifecycle(settings, &mut found);
    found.0
}

struct Problems(Vec<(String, String)>);

impl Problems {
    fn add(&mut self, setting: &str, problem: impl Into<String>) {
        self.0.push((setting.to_owned(), problem.into()));
    }

    fn range<T: PartialOrd + Display>(&mut self, setting: &str, value: &T, range: &RangeInclusive<T>) {
        if !range.contains(value) {
            self.add(setting, format!("must be {} to {}", range.start(), range.end()));
        }
    }

    fn time(&mut self, setting: &str, value: Duration, range: RangeInclusive<Duration>) {
        if !range.contains(&value) {
            let words = |duration: Duration| humantime::format_duration(duration).to_string();
            self.add(setting, format!("must be {} to {}", words(*range.start()), words(*range.end())));
        }
    }

    /// DynamoDB's rule for names.
    fn table(&mut self, setting: &str, table: &str) {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if !(3..=255).contains(&table.len()) || !table.bytes().all(allowed) {
            self.add(setting, "must be 3 to 255 letters, digits, `_`, `-` or `.`");
        }
    }
}

fn grpc(settings: &Settings, found: &mut Problems) {
    let grpc = &settings.grpc;
    found.range("grpc.max_message", &grpc.max_message, &(Size::kib(1)..=Size::mib(64)));
    found.range("grpc.max_batches_in_flight", &grpc.max_batches_in_flight, &(1..=65_536));
    found.range("grpc.max_concurrent_streams", &grpc.max_concurrent_streams, &(1..=100_000));
    found.range("grpc.max_connections", &grpc.max_connections, &(1..=1_000_000));
    found.range("grpc.max_connections_per_peer", &grpc.max_connections_per_peer, &(1..=1_000_000));
    found.range("grpc.max_control_frames", &grpc.max_control_frames, &(100..=1_000_000));
    found.range("grpc.stream_window", &grpc.stream_window, &(Size::kib(64)..=Size::mib(16)));
    found.range("grpc.connection_window", &grpc.connection_window, &(Size::kib(64)..=Size::mib(64)));
    // RFC 9113, 4.2: SETTINGS_MAX_FRAME_SIZE is 2^14 to 2^24 - 1.
    found.range("grpc.max_frame", &grpc.max_frame, &(Size::kib(16)..=Size((16 << 20) - 1)));
    found.range("grpc.max_header_list", &grpc.max_header_list, &(Size::kib(1)..=Size::mib(1)));
    found.time("grpc.keepalive_interval", grpc.keepalive_interval, SECOND..=SECOND * 3_600);
    found.time("grpc.keepalive_timeout", grpc.keepalive_timeout, MILLISECOND * 100..=SECOND * 600);
    found.time("grpc.handshake_timeout", grpc.handshake_timeout, MILLISECOND * 100..=SECOND * 600);
    found.time("grpc.message_timeout", grpc.message_timeout, MILLISECOND * 100..=SECOND * 3_600);
    found.time("grpc.slow_reader_timeout", grpc.slow_reader_timeout, MILLISECOND * 100..=SECOND * 3_600);
    found.time("grpc.connection_age_grace", grpc.connection_age_grace, Duration::ZERO..=SECOND * 3_600);
    found.range("grpc.connection_age_jitter", &grpc.connection_age_jitter, &(0.0..=1.0));
    if let Some(tls) = &grpc.tls {
        self::tls("grpc", tls, found);
    }
}

fn tls(section: &str, tls: &TlsSettings, found: &mut Problems) {
    let files = [
        ("certificate", Some(&tls.certificate)),
        ("private_key", Some(&tls.private_key)),
        ("client_ca", tls.client_ca.as_ref()),
    ];
    for (file, path) in files {
        if let Some(path) = path
            && !path.is_file()
        {
            found.add(&format!("{section}.tls.{file}"), format!("there is no file {}", path.display()));
        }
    }
    if tls.client_certificate == ClientCertificates::Optional && tls.client_ca.is_none() {
        found.add(&format!("{section}.tls.client_certificate"), "needs client_ca, which says whose certificates count");
    }
    let reload_interval = format!("{section}.tls.reload_interval");
    found.time(&reload_interval, tls.reload_interval, MILLISECOND * 100..=SECOND * 86_400);
}

fn admin(settings: &Settings, found: &mut Problems) {
    let admin = &settings.admin;
    if let Some(problem) = admin.token.as_ref().and_then(|token| problem_of_secret(token.expose())) {
        found.add("admin.token", problem);
    }
    if admin.token.is_some() && admin.token_file.is_some() {
        found.add("admin.token_file", "must not be set together with admin.token: there is one token");
    }
    let files =
        [("admin.token_file", admin.token_file.as_ref()), ("admin.access_keys_file", admin.access_keys_file.as_ref())];
    for (setting, path) in files {
        if let Some(path) = path
            && !path.exists()
        {
            found.add(setting, format!("there is no file {}", path.display()));
        }
    }
}

fn console(settings: &Settings, found: &mut Problems) {
    let lifetime = settings.console.session_lifetime;
    found.time("console.session_lifetime", lifetime, SECOND * 60..=SECOND * 86_400 * 30);
}

fn admission(settings: &Settings, found: &mut Problems) {
    let admission = &settings.admission;
    found.range("admission.events_per_second", &admission.events_per_second, &(1..=u32::MAX));
    found.range("admission.events_burst", &admission.events_burst, &(1..=u32::MAX));
    found.range("admission.bytes_per_second", &admission.bytes_per_second, &(Size::kib(1)..=Size::mib(1 << 20)));
    found.range("admission.bytes_burst", &admission.bytes_burst, &(Size::kib(1)..=Size::mib(1 << 20)));
    found.range("admission.app_share", &admission.app_share, &(0.01..=1.0));
    found.time("admission.key_refresh", admission.key_refresh, MILLISECOND * 100..=SECOND * 4);
    found.time("admission.key_stale_grace", admission.key_stale_grace, Duration::ZERO..=SECOND * 86_400 * 7);
    found.time("admission.key_lookup_timeout", admission.key_lookup_timeout, MILLISECOND * 10..=SECOND * 60);
    found.time("admission.unknown_key_ttl", admission.unknown_key_ttl, MILLISECOND * 10..=SECOND * 3_600);
    found.time("admission.key_idle", admission.key_idle, SECOND..=SECOND * 86_400);
    if !admission.key_last_used_every.is_zero() {
        found.time("admission.key_last_used_every", admission.key_last_used_every, SECOND..=SECOND * 86_400);
    }
    // One application must be able to send the largest message; its cost is charged to its share.
    let message = settings.grpc.max_message.as_usize();
    let cost = Budget::cost_of_call(message).max(Budget::cost_of_events(settings.ingest.max_batch, message));
    let share = share_of_budget(settings);
    if share < cost {
        let needed = Size(cost);
        found.add(
            "admission.bytes_in_flight",
            format!("an application's share of it is {}, but one message of grpc.max_message and ingest.max_batch takes {needed}", Size(share)),
        );
    }
}

/// The bytes in flight that one application may have.
fn share_of_budget(settings: &Settings) -> u64 {
    let admission = &settings.admission;
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let share = (admission.bytes_in_flight.0 as f64 * admission.app_share.clamp(0.01, 1.0)) as u64;
    share
}

fn ingest(settings: &Settings, found: &mut Problems) {
    let ingest = &settings.ingest;
    found.range("ingest.max_batch", &ingest.max_batch, &(1..=30_000));
    // A record that holds the largest event and fills its last unit is to fit into 1 MiB (Kinesis) and 1,024,000 B
    // (Firehose).
    found.range("ingest.max_event", &ingest.max_event, &(Size::kib(1)..=Size::kib(990)));
    found.range("ingest.max_name", &ingest.max_name, &(Size(1)..=Size::kib(4)));
    found.range("ingest.max_depth", &ingest.max_depth, &(1..=crate::event::json::MAX_DEPTH));
    found.range("ingest.dedupe_window", &ingest.dedupe_window, &(0..=100_000_000));
    found.time("ingest.policy_refresh", ingest.policy_refresh, MILLISECOND * 100..=SECOND * 4);
}

fn gather_and_delivery(settings: &Settings, found: &mut Problems) {
    found.range("gather.lanes", &settings.gather.lanes, &(0..=1_024));
    if let Some(target) = settings.gather.target {
        found.range("gather.target", &target, &(Size::kib(1)..=Size::mib(16)));
    }
    if let Some(linger) = settings.gather.linger {
        found.time("gather.linger", linger, Duration::ZERO..=SECOND * 10);
    }
    let destination = settings.delivery.destination;
    if destination.needs_kinesis() && settings.kinesis.stream.is_empty() {
        found.add("kinesis.stream", "must name the stream that delivery.destination needs");
    }
    if destination.needs_firehose() && settings.firehose.delivery_stream.is_empty() {
        found.add("firehose.delivery_stream", "must name the delivery stream that delivery.destination needs");
    }
    if settings.kinesis.routing == Routing::Keyed && settings.kinesis.aggregation == Aggregation::None {
        let problem =
            "keyed routing keeps the order of records, not of records within one call: it needs aggregation = kpl";
        found.add("kinesis.routing", problem);
    }
    let named = !settings.kinesis.stream.is_empty() || !settings.firehose.delivery_stream.is_empty();
    if named && !cfg!(feature = "aws") {
        found.add("delivery.destination", "this headgate was built without the feature `aws`: use another build");
    }
    found.time("delivery.deadline", settings.delivery.deadline, MILLISECOND * 100..=SECOND * 600);
    found.range("delivery.spill", &settings.delivery.spill, &(Size(0)..=Size::mib(1 << 20)));
    bad_rows(settings, found);
}

fn bad_rows(settings: &Settings, found: &mut Problems) {
    let stream = &settings.firehose.bad_rows_stream;
    if !stream.is_empty() && !stream_name(stream, ":deliverystream/", 64) {
        let problem = "must be a delivery stream's name (1 to 64 letters, digits, `_`, `-` or `.`) or its ARN";
        found.add("firehose.bad_rows_stream", problem);
    }
    if settings.delivery.bad_rows != BadRowsKind::Firehose {
        return;
    }
    if stream.is_empty() {
        found.add("firehose.bad_rows_stream", "must name the delivery stream that delivery.bad_rows needs");
    } else if *stream == settings.firehose.delivery_stream {
        found.add("firehose.bad_rows_stream", "must be another delivery stream than the one that events go to");
    }
    if !cfg!(feature = "aws") {
        found
            .add("delivery.bad_rows", "this headgate was built without the feature `aws`: use local, or another build");
    }
}

fn aws(settings: &Settings, found: &mut Problems) {
    if let Some(url) = &settings.aws.endpoint_url
        && !["http://", "https://"].iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
    {
        found.add("aws.endpoint_url", "must be a URL such as http://127.0.0.1:4566");
    }
    if settings.aws.region.as_ref().is_some_and(String::is_empty) {
        found.add("aws.region", "must be a region such as eu-west-1, or not be set");
    }
}

/// A name as AWS takes it for streams of both kinds, or an ARN that ends in one after `marker`.
fn stream_name(value: &str, marker: &str, longest: usize) -> bool {
    let name = match value.strip_prefix("arn:") {
        Some(rest) => rest.split_once(marker).map_or("", |(_, name)| name),
        None => value,
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=longest).contains(&name.len()) && name.bytes().all(allowed)
}

fn kinesis(settings: &Settings, found: &mut Problems) {
    let kinesis = &settings.kinesis;
    if !kinesis.stream.is_empty() && !stream_name(&kinesis.stream, ":stream/", 128) {
        found.add("kinesis.stream", "must be a stream's name (1 to 128 letters, digits, `_`, `-` or `.`) or its ARN");
    }
    found.time("kinesis.linger", kinesis.linger, MILLISECOND..=SECOND * 10);
    if let Some(units) = kinesis.max_units {
        found.range("kinesis.max_units", &units, &(1..=8));
    }
    found.range("kinesis.max_call", &kinesis.max_call, &(Size::kib(64)..=Size::mib(10)));
    found.range("kinesis.max_call_per_shard", &kinesis.max_call_per_shard, &(Size::kib(25)..=Size::mib(1)));
    found.range("kinesis.max_calls_in_flight", &kinesis.max_calls_in_flight, &(1..=256));
    found.range("kinesis.max_records_in_flight_per_shard", &kinesis.max_records_in_flight_per_shard, &(1..=64));
    found.time("kinesis.attempt_timeout", kinesis.attempt_timeout, MILLISECOND * 100..=SECOND * 60);
    found.time("kinesis.refresh_interval", kinesis.refresh_interval, SECOND..=SECOND * 3_600);
    for (setting, price) in [
        ("kinesis.price_put_unit_per_million", kinesis.price_put_unit_per_million),
        ("kinesis.price_shard_hour", kinesis.price_shard_hour),
        ("kinesis.price_on_demand_gb", kinesis.price_on_demand_gb),
    ] {
        found.range(setting, &price, &(0.0..=1_000.0));
    }
}

fn firehose(settings: &Settings, found: &mut Problems) {
    let firehose = &settings.firehose;
    if !firehose.delivery_stream.is_empty() && !stream_name(&firehose.delivery_stream, ":deliverystream/", 64) {
        let problem = "must be a delivery stream's name (1 to 64 letters, digits, `_`, `-` or `.`) or its ARN";
        found.add("firehose.delivery_stream", problem);
    }
    found.time("firehose.linger", firehose.linger, MILLISECOND..=SECOND * 10);
    // 1,000 KiB before base64.
    found.range("firehose.target", &firehose.target, &(Size::kib(5)..=Size(1_024_000)));
    found.range("firehose.max_events_per_record", &firehose.max_events_per_record, &(0..=100_000));
    found.range("firehose.max_call", &firehose.max_call, &(Size::kib(64)..=Size::mib(4)));
    if firehose.max_call < firehose.target {
        found.add("firehose.max_call", "must hold at least one record of firehose.target");
    }
    found.range("firehose.max_calls_in_flight", &firehose.max_calls_in_flight, &(1..=256));
    found.time("firehose.attempt_timeout", firehose.attempt_timeout, MILLISECOND * 100..=SECOND * 60);
    found.range("firehose.price_gb", &firehose.price_gb, &(0.0..=1_000.0));
}

fn lake(settings: &Settings, found: &mut Problems) {
    let lake = &settings.lake;
    found.range("lake.segment", &lake.segment, &(Size::mib(1)..=Size::mib(1_024)));
    found.time("lake.segment_age", lake.segment_age, SECOND..=SECOND * 3_600);
    found.range("lake.sync_batch", &lake.sync_batch, &(Size::kib(64)..=Size::mib(256)));
    found.time("lake.event_time_past", lake.event_time_past, Duration::ZERO..=SECOND * 86_400 * 36_525);
    found.time("lake.event_time_future", lake.event_time_future, Duration::ZERO..=SECOND * 86_400 * 36_525);
    found.range("lake.bad_rows_queue", &lake.bad_rows_queue, &(Size::kib(64)..=Size::mib(1_024)));
}

fn registry(settings: &Settings, found: &mut Problems) {
    let dynamodb = &settings.registry.dynamodb;
    if settings.registry.kind == RegistryKind::Dynamodb && !cfg!(feature = "aws") {
        found.add("registry.kind", "this headgate was built without the feature `aws`: use sqlite, or another build");
    }
    let tables = [
        ("registry.dynamodb.applications_table", &dynamodb.applications_table),
        ("registry.dynamodb.authorizations_table", &dynamodb.authorizations_table),
        ("registry.dynamodb.books_table", &dynamodb.books_table),
    ];
    for (setting, table) in tables {
        found.table(setting, table);
    }
    if dynamodb.applications_table == dynamodb.authorizations_table {
        found.add("registry.dynamodb.authorizations_table", "must be another table than applications_table");
    }
    if [&dynamodb.applications_table, &dynamodb.authorizations_table].contains(&&dynamodb.books_table) {
        found.add("registry.dynamodb.books_table", "must be a table of its own");
    }
    found.time("registry.dynamodb.attempt_timeout", dynamodb.attempt_timeout, MILLISECOND * 50..=SECOND * 30);
    let least = dynamodb.attempt_timeout.min(SECOND * 60);
    found.time("registry.dynamodb.operation_timeout", dynamodb.operation_timeout, least..=SECOND * 60);
}

fn cluster(settings: &Settings, found: &mut Problems) {
    let cluster = &settings.cluster;
    found.table("cluster.shares_table", &cluster.shares_table);
    let dynamodb = &settings.registry.dynamodb;
    let others = [&dynamodb.applications_table, &dynamodb.authorizations_table, &dynamodb.books_table];
    if others.contains(&&cluster.shares_table) {
        found.add("cluster.shares_table", "must be another table than those of the registry");
    }
    found.time("cluster.exchange_interval", cluster.exchange_interval, MILLISECOND * 200..=SECOND * 10);
    let least = cluster.exchange_interval.min(SECOND * 10) * 4;
    found.time("cluster.member_timeout", cluster.member_timeout, least..=SECOND * 300);
    found.range("cluster.expected_members", &cluster.expected_members, &(1..=10_000));
}

fn live(settings: &Settings, found: &mut Problems) {
    let live = &settings.live;
    found.time("live.windows_kept", live.windows_kept, SECOND * 60..=SECOND * 86_400 * 7);
    found.time("live.window_grace", live.window_grace, Duration::ZERO..=SECOND * 86_400 * 7);
    if live.window_grace > live.windows_kept {
        found
            .add("live.window_grace", "must not be longer than live.windows_kept: a minute is kept until it is closed");
    }
    found.range("live.window_memory", &live.window_memory, &(Size::mib(1)..=Size::mib(16 << 10)));
    found.range("live.tail_accepted", &live.tail_accepted, &(0..=1_000));
    found.range("live.tail_rejected", &live.tail_rejected, &(0..=1_000));
    found.range("live.max_applications", &live.max_applications, &(1..=10_000));
    found.range("live.max_event_types", &live.max_event_types, &(1..=1_000));
    found.range("live.max_app_versions", &live.max_app_versions, &(1..=1_000));
    found.range("live.max_dimension_values", &live.max_dimension_values, &(1..=1_000));
}

fn lifecycle(settings: &Settings, found: &mut Problems) {
    let lifecycle = &settings.lifecycle;
    found.time("lifecycle.drain_deadline", lifecycle.drain_deadline, SECOND..=SECOND * 600);
    if lifecycle.drain_grace >= lifecycle.drain_deadline {
        found.add("lifecycle.drain_grace", "must be shorter than lifecycle.drain_deadline");
    }
    // A stream is read for the first part of a grace; what it then holds takes up to the delivery's deadline.
    let needed = settings.delivery.deadline + lifecycle.drain_grace + SECOND * 3;
    if needed > lifecycle.drain_deadline {
        let problem = "delivery.deadline + drain_grace + 3 s must fit into it, or a drain can't finish";
        found.add("lifecycle.drain_deadline", problem);
    }
    let grpc = &settings.grpc;
    if !grpc.max_connection_age.is_zero() && grpc.connection_age_grace < (settings.delivery.deadline + SECOND) * 2 {
        found.add("grpc.connection_age_grace", "must be twice delivery.deadline + 1 s, or answers are cut off");
    }
}
