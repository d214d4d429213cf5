//! A plan's settings, as flags: the same list for a gateway in this process and for one of its own.

use std::path::Path;
use std::time::Duration;

use headgate::config::units::Size;
use headgate::config::{self, Settings};

use super::keys::Tables;
use super::{DELIVERY_STREAM, STREAM};
use crate::torture::plan::{Destination, HousePlan, RegistryKind};

/// Settings by name.
pub(super) struct List(Vec<(String, String)>);

impl List {
    pub(super) fn of(plan: &HousePlan, folder: &Path, tables: &Tables, endpoint: Option<String>) -> Self {
        let mut list = Self(Vec::new());
        let ms = |ms: u64| format!("{ms}ms");
        list.set("admission.bytes_in_flight", &format!("{}MiB", plan.budget_mib));
        // What a small budget can hold.
        list.set("grpc.max_message", "128KiB");
        list.set("rest.max_body", "128KiB");
        list.set("ingest.max_batch", "500");
        let rate = plan.events_per_second.unwrap_or(1_000_000_000);
        for setting in ["admission.events_per_second", "admission.events_burst"] {
            list.set(setting, &rate.to_string());
        }
        for setting in ["admission.bytes_per_second", "admission.bytes_burst"] {
            list.set(setting, "100GiB");
        }
        list.set("delivery.deadline", &ms(plan.deadline_ms));
        list.set("delivery.spill", if plan.spill { "64MiB" } else { "0B" });
        // What is on its way must fit into it.
        list.set("lifecycle.drain_deadline", &ms(10_000.max(plan.deadline_ms + 5_000)));
        list.set("lifecycle.drain_grace", "300ms");
        list.set("grpc.slow_reader_timeout", "1s");
        list.set("ingest.policy_refresh", "1s");
        list.set("lake.segment", "1MiB");
        list.set("lake.segment_age", "1s");
        list.set("lake.min_free", "16MiB");
        if let Some(endpoint) = endpoint {
            list.set("aws.endpoint_url", &endpoint);
            list.set("aws.region", "eu-west-1");
        }
        list.registry(plan, tables);
        if plan.streams() {
            list.streams(plan);
        }
        if plan.tls {
            let file = |name: &str| folder.join(name).display().to_string();
            list.set("grpc.tls.certificate", &file(super::keys::CERTIFICATE));
            list.set("grpc.tls.private_key", &file(super::keys::PRIVATE_KEY));
        }
        list
    }

    fn registry(&mut self, plan: &HousePlan, tables: &Tables) {
        if plan.registry == RegistryKind::Dynamodb {
            self.set("registry.kind", "dynamodb");
            self.set("registry.demo_application", "true");
            self.set("registry.dynamodb.applications_table", &tables.applications);
            self.set("registry.dynamodb.authorizations_table", &tables.authorizations);
            self.set("registry.dynamodb.books_table", &tables.books);
            // The emulator is one process for all houses, and slow where the machine is busy.
            self.set("registry.dynamodb.attempt_timeout", "2s");
            self.set("registry.dynamodb.operation_timeout", "10s");
            self.set("admission.key_refresh", "200ms");
            self.set("cluster.shared_limits", "false");
        }
    }

    fn streams(&mut self, plan: &HousePlan) {
        let destination = match plan.destination {
            Destination::Kinesis { .. } => "kinesis",
            Destination::Firehose => "firehose",
            Destination::Fallback => "kinesis-with-firehose-fallback",
            Destination::Both => "kinesis-and-firehose",
            Destination::Lake | Destination::PanickyLake => "lake",
        };
        self.set("delivery.destination", destination);
        self.set("kinesis.stream", STREAM);
        self.set("firehose.delivery_stream", DELIVERY_STREAM);
        if let Destination::Kinesis { aggregated, keyed } = plan.destination {
            self.set("kinesis.aggregation", if aggregated { "kpl" } else { "none" });
            self.set("kinesis.routing", if keyed { "keyed" } else { "sticky" });
        }
        let attempt = format!("{}ms", plan.attempt_ms);
        let linger = format!("{}ms", plan.linger_ms);
        for service in ["kinesis", "firehose"] {
            self.set(&format!("{service}.attempt_timeout"), &attempt);
            self.set(&format!("{service}.linger"), &linger);
        }
        self.set("kinesis.refresh_interval", "1s");
        self.set("kinesis.encoding", if plan.cbor { "cbor" } else { "json" });
    }

    pub(super) fn set(&mut self, setting: &str, value: &str) {
        self.0.push((setting.to_owned(), value.to_owned()));
    }

    /// For a process: it is given its addresses otherwise.
    pub(super) fn process(&self) -> Vec<String> {
        let own = self.0.iter().filter(|(setting, _)| !setting.ends_with(".listen"));
        own.map(|(setting, value)| format!("{setting}={value}")).collect()
    }

    /// For a gateway in this process, with what no operator may set: segments so small that faults meet their sealing.
    pub(super) fn loaded(&self) -> Settings {
        let loaded = config::load(None, &self.0).unwrap_or_else(|error| panic!("{error}"));
        let mut settings = loaded.settings;
        settings.lake.segment = Size::kib(256);
        settings.lake.segment_age = Duration::from_millis(150);
        settings.rest.listen.set_port(0);
        settings
    }
}
