//! Typed settings: a TOML file, `HEADGATE_…` environment variables and flags, later ones winning. Settings are checked
//! as a whole before anything starts; each knows where its value came from.

mod admin;
mod admission;
mod aws;
mod check;
mod cluster;
mod console;
mod delivery;
mod firehose;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod gather;
mod grpc;
mod grpc_web;
mod ingest;
mod kinesis;
mod lake;
mod lifecycle;
mod live;
mod load;
mod operate;
mod otlp;
mod registry;
mod rest;
mod secret;
mod sources;
pub mod units;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use admin::AdminSettings;
pub(crate) use admin::problem_of_secret;
pub use admission::AdmissionSettings;
pub use aws::AwsSettings;
pub use cluster::ClusterSettings;
pub use console::ConsoleSettings;
pub use delivery::{BadRowsKind, DeliverySettings, DestinationKind};
pub use firehose::FirehoseSettings;
pub use gather::GatherSettings;
pub use grpc::{ClientCertificates, GrpcSettings, TlsProfile, TlsSettings};
pub use grpc_web::GrpcWebSettings;
pub use ingest::IngestSettings;
pub use kinesis::{Aggregation, Encoding, KinesisSettings, Routing};
pub use lake::LakeSettings;
pub use lifecycle::LifecycleSettings;
pub use live::LiveSettings;
pub use load::{ConfigError, Loaded, load};
pub use operate::{LogFormat, OperateSettings};
pub use otlp::OtlpSettings;
pub use registry::{DynamoDbSettings, RegistryKind, RegistrySettings};
pub use rest::RestSettings;
pub use secret::Secret;
pub use sources::Source;
pub use units::Size;

/// Every setting of the gateway. The defaults run it on one machine with nothing else.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Folder of the embedded registry, the local lake, the demo key and the admin token. Default `headgate-data`.
    pub data_dir: PathBuf,
    /// The gRPC listener.
    pub grpc: GrpcSettings,
    /// The REST listener.
    pub rest: RestSettings,
    /// gRPC-Web, on the REST listener.
    pub grpc_web: GrpcWebSettings,
    /// OpenTelemetry's logs, on both listeners.
    pub otlp: OtlpSettings,
    /// The operators' listener and the log.
    pub operate: OperateSettings,
    /// The pages on the operators' listener.
    pub console: ConsoleSettings,
    /// Who may administer the gateway from outside.
    pub admin: AdminSettings,
    /// Keys, rates and budgets.
    pub admission: AdmissionSettings,
    /// What an event and a batch may be.
    pub ingest: IngestSettings,
    /// How events are gathered into buckets.
    pub gather: GatherSettings,
    /// Where events go.
    pub delivery: DeliverySettings,
    /// The Kinesis data stream.
    pub kinesis: KinesisSettings,
    /// The Firehose delivery stream.
    pub firehose: FirehoseSettings,
    /// Region and endpoints of AWS.
    pub aws: AwsSettings,
    /// The local lake.
    pub lake: LakeSettings,
    /// Applications and keys.
    pub registry: RegistrySettings,
    /// What gateways agree on among themselves.
    pub cluster: ClusterSettings,
    /// What is shown of the events that pass.
    pub live: LiveSettings,
    /// Start and stop.
    pub lifecycle: LifecycleSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("headgate-data"),
            grpc: GrpcSettings::default(),
            rest: RestSettings::default(),
            grpc_web: GrpcWebSettings::default(),
            otlp: OtlpSettings::default(),
            operate: OperateSettings::default(),
            console: ConsoleSettings::default(),
            admin: AdminSettings::default(),
            admission: AdmissionSettings::default(),
            ingest: IngestSettings::default(),
            gather: GatherSettings::default(),
            delivery: DeliverySettings::default(),
            kinesis: KinesisSettings::default(),
            firehose: FirehoseSettings::default(),
            aws: AwsSettings::default(),
            lake: LakeSettings::default(),
            registry: RegistrySettings::default(),
            cluster: ClusterSettings::default(),
            live: LiveSettings::default(),
            lifecycle: LifecycleSettings::default(),
        }
    }
}
