//! `cluster.*`: what the gateways of a fleet agree on among themselves.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::RegistryKind;

/// How an application's rates are shared by all gateways.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterSettings {
    /// Whether an application's rates hold across all gateways together rather than in each. Default true with
    /// `registry.kind = "dynamodb"`; a gateway with `sqlite` is alone, whatever this says.
    pub shared_limits: Option<bool>,
    /// The table in DynamoDB in which gateways tell each other of their demand. Default `HeadgateShares`.
    pub shares_table: String,
    /// How often they do, for applications near their limit. 200 ms to 10 s, default 1 s.
    #[serde(with = "humantime_serde")]
    pub exchange_interval: Duration,
    /// How long a gateway that is not heard of keeps its share. At least four times `exchange_interval`, up to 5 min,
    /// default 5 s.
    #[serde(with = "humantime_serde")]
    pub member_timeout: Duration,
    /// How many gateways there are, for one that has never heard of any because the table can't be reached: it takes
    /// this part of each application's rates. 1 to 10,000, default 1.
    pub expected_members: u32,
}

impl ClusterSettings {
    /// Whether rates are shared.
    #[must_use]
    pub fn shares_limits(&self, registry: RegistryKind) -> bool {
        match registry {
            RegistryKind::Dynamodb => self.shared_limits.unwrap_or(true),
            RegistryKind::Sqlite => false,
        }
    }
}

impl Default for ClusterSettings {
    fn default() -> Self {
        Self {
            shared_limits: None,
            shares_table: "HeadgateShares".to_owned(),
            exchange_interval: Duration::from_secs(1),
            member_timeout: Duration::from_secs(5),
            expected_members: 1,
        }
    }
}
