//! The gateway of a plan and what it stands on.

use serde::Serialize;

use super::Scope;
use crate::seed::Draw;

/// Where events go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "to")]
pub enum Destination {
    /// A Kinesis stream.
    Kinesis {
        /// Events share records.
        aggregated: bool,
        /// By partition key.
        keyed: bool,
    },
    /// A Firehose delivery stream.
    Firehose,
    /// Kinesis, and Firehose while Kinesis does not take events.
    Fallback,
    /// Kinesis and Firehose, both.
    Both,
    /// The local lake.
    Lake,
    /// The local lake, behind a wall at which handlers panic.
    PanickyLake,
}

/// Where applications and keys are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryKind {
    /// A file.
    Sqlite,
    /// DynamoDB, an emulator behind the stand-in's faults.
    Dynamodb,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HousePlan {
    /// The gateway is a process of its own; otherwise it runs in this one.
    pub process: bool,
    /// Where events go.
    pub destination: Destination,
    /// The second application's route, where it has one of its own.
    pub second_route: Option<&'static str>,
    /// Shards at the beginning.
    pub shards: u32,
    /// Applications and keys.
    pub registry: RegistryKind,
    /// What is not delivered in time is kept on disk.
    pub spill: bool,
    /// Bytes in flight, MiB.
    pub budget_mib: u64,
    /// Events a second of each application; `None`: no limit.
    pub events_per_second: Option<u64>,
    /// How long an event may wait for others, milliseconds.
    pub linger_ms: u64,
    /// From an event's arrival to its verdict, milliseconds.
    pub deadline_ms: u64,
    /// One attempt of a call to Kinesis or Firehose, milliseconds.
    pub attempt_ms: u64,
    /// Calls to Kinesis are in CBOR, as they are where it is AWS's.
    pub cbor: bool,
    /// The door takes TLS.
    pub tls: bool,
    /// Clients come through a network that can be cut.
    pub network: bool,
}

impl HousePlan {
    pub(super) fn draw(draw: &mut Draw, scope: Scope) -> Self {
        let destination = match draw.within(0..=99) {
            0..=24 => Destination::Kinesis { aggregated: true, keyed: false },
            25..=36 => Destination::Kinesis { aggregated: true, keyed: true },
            37..=46 => Destination::Kinesis { aggregated: false, keyed: false },
            47..=54 => Destination::Firehose,
            55..=62 => Destination::Fallback,
            63..=69 => Destination::Both,
            70..=91 => Destination::Lake,
            _ => Destination::PanickyLake,
        };
        let routes: &[&'static str] = match destination {
            Destination::Kinesis { .. } | Destination::Firehose => &["kinesis", "firehose"],
            Destination::Fallback => &["kinesis", "firehose", "kinesis-with-firehose-fallback"],
            Destination::Both | Destination::Lake | Destination::PanickyLake => &[],
        };
        // Drawn whether they are asked for or not, so that a scope changes as little as can be.
        let (process, dynamodb) = (draw.within(1..=8) == 1, draw.within(1..=5) == 1);
        let process = process && scope.processes && destination != Destination::PanickyLake;
        let route = draw.within(0..=2);
        Self {
            process,
            destination,
            second_route: usize::try_from(route).ok().and_then(|route| routes.get(route)).copied(),
            shards: [1, 2, 4, 7][draw.within(0..=3) as usize],
            registry: if dynamodb && scope.dynamodb && !process {
                RegistryKind::Dynamodb
            } else {
                RegistryKind::Sqlite
            },
            spill: draw.within(1..=3) == 1,
            budget_mib: [2, 8, 64][draw.within(0..=2) as usize],
            events_per_second: [None, None, Some(2_000)][draw.within(0..=2) as usize],
            linger_ms: draw.within(2..=30),
            deadline_ms: draw.within(500..=1_800),
            attempt_ms: draw.within(300..=700),
            tls: draw.within(1..=4) == 1,
            network: draw.within(1..=3) == 1,
            cbor: draw.within(1..=4) > 1,
        }
    }

    /// Whether events go to Kinesis or Firehose.
    #[must_use]
    pub fn streams(&self) -> bool {
        !matches!(self.destination, Destination::Lake | Destination::PanickyLake)
    }

    /// Whether a file system whose faults can be commanded carries something that matters.
    #[must_use]
    pub fn has_disk(&self) -> bool {
        !self.process && (self.spill || !self.streams())
    }
}
