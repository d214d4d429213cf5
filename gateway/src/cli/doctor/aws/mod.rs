//! What the gateway needs of AWS: streams, delivery streams, tables, and the right to use them. Each call is one attempt,
//! bounded in time; what it is refused for names its mend.

mod access;
mod firehose;
pub(super) mod identity;
mod kinesis;
mod only_aws;
mod put;
mod refused;
mod routes;
mod skew;
mod table;

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;

use self::skew::Skew;
use super::check::Check;
use crate::clock::Clock;
use crate::config::{RegistryKind, Settings};

/// Connecting takes one or two round trips; what takes longer than this is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For one attempt. Shorter than a check may take, so that it says what did not answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// What is checked, and what the answers say of the time.
pub(super) struct Round {
    settings: Settings,
    write: bool,
    clock: Clock,
    skew: Skew,
}

impl Round {
    /// None where nothing of AWS is used.
    pub(super) fn of(settings: &Settings, write: bool, clock: &Clock) -> Option<Self> {
        let streams =
            [&settings.kinesis.stream, &settings.firehose.delivery_stream, &settings.firehose.bad_rows_stream];
        let used = settings.registry.kind == RegistryKind::Dynamodb || streams.iter().any(|name| !name.is_empty());
        let round = || Self { settings: settings.clone(), write, clock: clock.clone(), skew: Skew::new(clock.clone()) };
        used.then(round)
    }

    /// Everything that is asked with credentials.
    pub(super) fn checks(&self, shared: &SdkConfig) -> Vec<Check> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let once = shared.to_builder().retry_config(RetryConfig::disabled()).timeout_config(timeouts).build();
        let mut checks = kinesis::checks(&once, &self.settings, self.write, &self.skew);
        checks.extend(firehose::checks(&once, &self.settings, self.write, &self.skew));
        if self.settings.registry.kind == RegistryKind::Dynamodb {
            let client = table::client(&once, &self.skew);
            checks.extend(table::checks(&client, &self.settings));
            checks.extend(access::checks(&client, &self.settings, &self.clock));
            checks.push(routes::check(&once, &self.settings, &self.clock));
        }
        checks
    }

    /// What the answers say of this machine's clock.
    pub(super) fn clock(&self) -> Check {
        Check::done("clock", self.skew.verdict())
    }
}
