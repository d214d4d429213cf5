//! Typed settings: a TOML file, `HEADGATE_…` environment variables and flags, later ones winning. Settings are checked
//! as a whole before anything starts; each knows where its value came from.

mod admission;
mod aws;
mod check;
mod cluster;
mod delivery;
mod firehose;
mod gather;
mod grpc;
mod ingest;
mod kinesis;
mod lake;
mod lifecycle;
mod load;
mod operate;
mod registry;
pub mod units;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use admission::AdmissionSettings;
pub use aws::AwsSettings;
pub use cluster::ClusterSettings;
pub use delivery::{BadRowsKind, DeliverySettings, DestinationKind};
pub use firehose::FirehoseSettings;
pub use gather::GatherSettings;
pub use grpc::{GrpcSettings, TlsSettings};
pub use ingest::IngestSettings;
pub use kinesis::{Aggregation, KinesisSettings, Routing};
pub use lake::LakeSettings;
pub use lifecycle::LifecycleSettings;
pub use load::{ConfigError, Loaded, Source, load};
pub use operate::{LogFormat, OperateSettings};
pub use registry::{DynamoDbSettings, RegistryKind, RegistrySettings};
pub use units::Size;

/// Every setting of the gateway. The defaults run it on one machine with nothing else.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Folder of the embedded registry, the local lake and the demo key. Default `headgate-data`.
    pub data_dir: PathBuf,
    /// The gRPC listener.
    pub grpc: GrpcSettings,
    /// The operators' listener and the log.
    pub operate: OperateSettings,
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
    /// Start and stop.
    pub lifecycle: LifecycleSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("headgate-data"),
            grpc: GrpcSettings::default(),
            operate: OperateSettings::default(),
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
            lifecycle: LifecycleSettings::default(),
        }
    }
}
