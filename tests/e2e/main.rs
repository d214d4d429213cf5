//! End to end: real gateways, real sockets, real clients, and faults.

#![allow(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]

mod admin;
#[path = "../../loadtest/tests/browser/mod.rs"]
#[allow(dead_code, reason = "its other half is for the tests of the load tester")]
mod browser;
mod client;
mod clients;
mod console;
mod container;
mod crash;
mod disk_faults;
mod doctor;
mod drain;
mod dynamodb;
mod faults;
mod functions;
mod fuzzing;
mod grpc_web;
mod healthcheck;
mod hostile;
mod identity;
mod keys;
mod kinesis;
mod loadtest;
mod otlp;
mod overload;
mod pages;
mod policies;
mod power_cut;
mod privacy;
mod queries;
mod rest;
#[path = "../../deploy/functions/tests/runtime_api/rig/mod.rs"]
#[allow(dead_code, reason = "the rest of it is for the tests of the functions")]
mod rig;
mod secrets;
mod shares;
mod stacks;
mod status_table;
mod stock_client;
mod streams;
mod tls;
mod torture;
mod upgrade;
mod windows;

use std::time::Duration;

use headgate::config::Settings;
use headgate::config::units::Size;

/// For what takes well under a second unless something is broken, or the machine is very busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Faults are to be met at full load, not at a limit's.
const NO_RATE_LIMIT: [&str; 4] = [
    "admission.events_per_second=1000000000",
    "admission.events_burst=1000000000",
    "admission.bytes_per_second=100GiB",
    "admission.bytes_burst=100GiB",
];

fn no_rate_limit(settings: &mut Settings) {
    let admission = &mut settings.admission;
    (admission.events_per_second, admission.events_burst) = (1_000_000_000, 1_000_000_000);
    (admission.bytes_per_second, admission.bytes_burst) = (Size::mib(100 << 10), Size::mib(100 << 10));
}
